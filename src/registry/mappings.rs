use serde::Serialize;
use serde_json::json;

use super::change::TenantChange;
use super::value::{Row, binds};
use super::{Origin, PublicationOrder, Registry, RegistryFault};
use crate::base::{Generation, TenantId, Timestamp};

/// The largest text of a mapping version: 8 MiB each for document, source, catalogue and report.
const LARGEST: usize = 8 << 20;

/// A mapping version to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewMapping<'a> {
    /// The document in its JSON form.
    pub document: &'a str,
    /// The text as the integrator wrote it, YAML or JSON.
    pub source: &'a str,
    /// The catalogue it was checked against, JSON.
    pub catalog: &'a str,
    /// What the check found, JSON.
    pub report: &'a str,
}

/// A mapping version: immutable once added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its number and origin.
    pub summary: MappingSummary,
    /// The document in its JSON form.
    pub document: String,
    /// The text as the integrator wrote it.
    pub source: String,
    /// The catalogue it was checked against, JSON.
    pub catalog: String,
    /// What the check found, JSON.
    pub report: String,
}

/// A mapping version as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingSummary {
    /// 1, 2, 3, … within the tenant.
    pub version: u64,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Whether it is in force.
    pub active: bool,
}

/// The mapping in force, as the configuration snapshot holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveMapping {
    /// Its number.
    pub version: u64,
    /// The document in its JSON form.
    pub document: String,
    /// The catalogue it was checked against, JSON.
    pub catalog: String,
}

/// One entry of a tenant's publication history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publication {
    /// Its place in the history; the highest is in force.
    pub seq: u64,
    /// The mapping version it put in force.
    pub version: u64,
    /// The entry that rolling back from it returns to.
    pub undo_to: Option<u64>,
    /// Who published it.
    pub published_by: String,
    /// When.
    pub published_at: Timestamp,
}

const OVERTAKEN: RegistryFault = RegistryFault::Conflict(
    "another mapping has come in force since it was asked; refuse it, look, and order it again",
);

const ACTIVE: &str = "SELECT seq, version, undo_to, published_by, published_at FROM publications \
                      WHERE tenant = $1 ORDER BY seq DESC LIMIT 1";

impl Publication {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        let undo_to = row.opt_int(2)?.map(u64::try_from).transpose();
        Ok(Self {
            seq: row.counter(0)?,
            version: row.counter(1)?,
            undo_to: undo_to.map_err(|_| RegistryFault::Damaged("publication"))?,
            published_by: row.text(3)?,
            published_at: row.time(4)?,
        })
    }
}

impl MappingSummary {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            version: row.counter(0)?,
            created_by: row.text(1)?,
            created_at: row.time(2)?,
            active: row.int(3)? == 1,
        })
    }
}

/// The columns [`MappingSummary::read`] reads.
macro_rules! summary_columns {
    () => {
        "m.version, m.created_by, m.created_at, \
         CASE WHEN m.version = (SELECT p.version FROM publications p WHERE p.tenant = m.tenant \
         ORDER BY p.seq DESC LIMIT 1) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END"
    };
}

impl Registry {
    /// Keeps a new version. It is not in force until it is published, so the generation stays.
    /// Gives back the version's number.
    pub async fn add_mapping(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        new: &NewMapping<'_>,
        origin: &Origin,
    ) -> Result<u64, RegistryFault> {
        if [new.document, new.source, new.catalog, new.report].iter().any(|t| t.len() > LARGEST) {
            return Err(RegistryFault::Invalid("a mapping's texts are at most 8 MiB each"));
        }
        let mut change = self.change(tenant, expected, origin).await?;
        let sql = "SELECT coalesce(max(version), 0) FROM mappings WHERE tenant = $1";
        let row = change.tx.fetch_one(sql, binds![tenant]).await?;
        let version = row.ok_or(RegistryFault::NotFound("mapping"))?.counter(0)? + 1;
        change
            .tx
            .execute(
                "INSERT INTO mappings (tenant, version, document, source, catalog, report, \
                 created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                binds![
                    tenant,
                    version,
                    new.document,
                    new.source,
                    new.catalog,
                    new.report,
                    &origin.actor.subject,
                    change.now
                ],
            )
            .await?;
        change.finish("mapping.add", json!({"version": version})).await?;
        Ok(version)
    }

    /// One version, whole.
    pub async fn mapping(
        &self,
        tenant: TenantId,
        version: u64,
    ) -> Result<Option<Mapping>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = concat!(
            "SELECT ",
            summary_columns!(),
            ", m.document, m.source, m.catalog, m.report FROM mappings m \
             WHERE m.tenant = $1 AND m.version = $2"
        );
        let row = tx.fetch_one(sql, binds![tenant, version]).await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(Mapping {
                summary: MappingSummary::read(&row)?,
                document: row.text(4)?,
                source: row.text(5)?,
                catalog: row.text(6)?,
                report: row.text(7)?,
            })
        })
        .transpose()
    }

    /// Versions, newest first, below `before`, at most `limit` (capped at 1,000).
    pub async fn list_mappings(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<MappingSummary>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = concat!(
            "SELECT ",
            summary_columns!(),
            " FROM mappings m WHERE m.tenant = $1 AND m.version < $2 \
             ORDER BY m.version DESC LIMIT $3"
        );
        let before = before.unwrap_or(u64::MAX);
        let rows = tx.fetch(sql, binds![tenant, before, limit.min(1000)]).await?;
        tx.commit().await?;
        rows.iter().map(MappingSummary::read).collect()
    }

    /// Puts a version in force.
    pub async fn publish_mapping(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        version: u64,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        self.change(tenant, expected, origin).await?.publish(version).await
    }

    /// Puts back in force what was before the present version; again and again leads further back.
    /// Gives back the generation and the version now in force.
    pub async fn rollback_mapping(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        origin: &Origin,
    ) -> Result<(Generation, u64), RegistryFault> {
        self.change(tenant, expected, origin).await?.roll_back(None).await
    }

    /// The version to which [`rollback_mapping`](Self::rollback_mapping) would lead now.
    pub async fn mapping_before(&self, tenant: TenantId) -> Result<Option<u64>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT b.version FROM publications b JOIN publications a \
                   ON a.tenant = b.tenant AND a.undo_to = b.seq WHERE a.tenant = $1 \
                   AND a.seq = (SELECT max(seq) FROM publications WHERE tenant = $1)";
        let row = tx.fetch_one(sql, binds![tenant]).await?;
        tx.commit().await?;
        row.map(|row| row.counter(0)).transpose()
    }

    /// What was in force when, newest first, at most `limit` (capped at 1,000).
    pub async fn mapping_history(
        &self,
        tenant: TenantId,
        limit: u32,
    ) -> Result<Vec<Publication>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT seq, version, undo_to, published_by, published_at FROM publications \
                   WHERE tenant = $1 ORDER BY seq DESC LIMIT $2";
        let rows = tx.fetch(sql, binds![tenant, limit.min(1000)]).await?;
        tx.commit().await?;
        rows.iter().map(Publication::read).collect()
    }
}

impl TenantChange<'_> {
    /// Puts a version in force and commits.
    pub(super) async fn publish(mut self, version: u64) -> Result<Generation, RegistryFault> {
        let sql = "SELECT version FROM mappings WHERE tenant = $1 AND version = $2";
        if self.tx.fetch_one(sql, binds![self.tenant, version]).await?.is_none() {
            return Err(RegistryFault::NotFound("mapping version"));
        }
        let active = self.active().await?;
        if active.as_ref().is_some_and(|active| active.version == version) {
            return Err(RegistryFault::Conflict("that mapping version is in force already"));
        }
        let seq = active.as_ref().map_or(0, |active| active.seq);
        self.put_in_force(seq + 1, version, active.as_ref().map(|active| active.seq)).await?;
        let from = active.map(|active| active.version);
        self.finish("mapping.publish", json!({"version": version, "from": from})).await
    }

    /// Puts back in force what was before the present version, which is `meant` where that is given, and
    /// commits.
    async fn roll_back(mut self, meant: Option<u64>) -> Result<(Generation, u64), RegistryFault> {
        let nothing = RegistryFault::Conflict("there is no earlier mapping to return to");
        let active = self.active().await?.ok_or_else(|| nothing.clone())?;
        let undo_to = active.undo_to.ok_or(nothing)?;
        let sql = "SELECT seq, version, undo_to, published_by, published_at FROM publications \
                   WHERE tenant = $1 AND seq = $2";
        let row = self.tx.fetch_one(sql, binds![self.tenant, undo_to]).await?;
        let target = Publication::read(&row.ok_or(RegistryFault::Damaged("publication"))?)?;
        if meant.is_some_and(|meant| meant != target.version) {
            return Err(OVERTAKEN);
        }
        self.put_in_force(active.seq + 1, target.version, target.undo_to).await?;
        let detail = json!({"version": target.version, "from": active.version});
        Ok((self.finish("mapping.rollback", detail).await?, target.version))
    }

    /// Does what was asked of a second person, if the version in force is still the one it was then.
    pub(super) async fn publish_as_asked(
        mut self,
        order: &PublicationOrder,
    ) -> Result<Generation, RegistryFault> {
        let now = self.active().await?.map_or(0, |active| active.version);
        if order.from.is_some_and(|from| from != now) {
            return Err(OVERTAKEN);
        }
        if order.back {
            Ok(self.roll_back(Some(order.version)).await?.0)
        } else {
            self.publish(order.version).await
        }
    }

    async fn active(&mut self) -> Result<Option<Publication>, RegistryFault> {
        let row = self.tx.fetch_one(ACTIVE, binds![self.tenant]).await?;
        row.as_ref().map(Publication::read).transpose()
    }

    async fn put_in_force(
        &mut self,
        seq: u64,
        version: u64,
        undo_to: Option<u64>,
    ) -> Result<(), RegistryFault> {
        let undo_to = undo_to.and_then(|seq| i64::try_from(seq).ok());
        let by = &self.origin.actor.subject;
        self.tx
            .execute(
                "INSERT INTO publications (tenant, seq, version, undo_to, published_by, \
                 published_at) VALUES ($1, $2, $3, $4, $5, $6)",
                binds![self.tenant, seq, version, undo_to, by, self.now],
            )
            .await?;
        Ok(())
    }
}
