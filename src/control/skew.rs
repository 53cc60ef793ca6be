//! How far the schemas of the databases are that the gateway made, tenant by tenant, for the fleet's page.

use std::collections::HashMap;

use super::{Control, ControlFault};
use crate::base::TenantId;
use crate::registry::SchemaMark;
use crate::store::admin::Schema;

/// How far the schema of one tenant's database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaStand {
    /// The release that is whole there, as of when it was last looked at.
    pub release: u64,
    /// The newest release of its engine.
    pub newest: u64,
    /// Whether its last migration failed, or was left in the middle.
    pub failed: bool,
}

/// Tenants by how far their schemas are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaFilter {
    /// At the newest release.
    Newest,
    /// At an older one.
    Behind,
    /// Whose last migration failed.
    Failed,
    /// Whose database is the hospital's own, or not made yet.
    None,
}

impl SchemaStand {
    fn of(mark: &SchemaMark) -> Self {
        let newest = Schema::of(mark.engine).release();
        Self { release: mark.release, newest, failed: mark.failed }
    }

    /// How many releases it lacks.
    pub const fn behind(self) -> u64 {
        self.newest.saturating_sub(self.release)
    }

    /// Its place where the oldest come first: failed ones before all others, those without a schema of
    /// ours last.
    pub(super) fn place(stand: Option<Self>) -> (bool, bool, u64) {
        stand.map_or((true, true, 0), |stand| (false, !stand.failed, stand.release))
    }
}

impl SchemaFilter {
    /// Whether a tenant at that stand is one of them.
    pub(super) fn fits(self, stand: Option<SchemaStand>) -> bool {
        match (self, stand) {
            (Self::None, stand) => stand.is_none(),
            (_, None) => false,
            (Self::Newest, Some(stand)) => stand.behind() == 0,
            (Self::Behind, Some(stand)) => stand.behind() > 0,
            (Self::Failed, Some(stand)) => stand.failed,
        }
    }
}

impl Control {
    /// How far schemas are: of one tenant, or of all.
    pub(super) async fn schema_stands(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<HashMap<TenantId, SchemaStand>, ControlFault> {
        let marks = self.0.registry.schema_marks(tenant).await?;
        Ok(marks.iter().map(|mark| (mark.tenant, SchemaStand::of(mark))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_need_somebody_come_first() {
        let stand = |release, failed| Some(SchemaStand { release, newest: 3, failed });
        let mut all = [None, stand(3, false), stand(1, false), stand(2, true), stand(2, false)];
        all.sort_by_key(|stand| SchemaStand::place(*stand));
        let releases: Vec<_> = all.iter().map(|s| s.map(|s| (s.release, s.failed))).collect();
        let expected = [(2, true), (1, false), (2, false), (3, false)].map(Some);
        assert_eq!(releases, [&expected[..], &[None]].concat());
    }

    #[test]
    fn a_newer_programs_schema_is_not_behind() {
        use SchemaFilter::{Behind, Failed, Newest, None};
        let stand = SchemaStand { release: 9, newest: 2, failed: false };
        assert_eq!(stand.behind(), 0);
        let fit = |filter: SchemaFilter| filter.fits(Some(stand));
        assert_eq!([Newest, Behind, Failed, None].map(fit), [true, false, false, false]);
        assert!(None.fits(Option::None) && !Newest.fits(Option::None));
    }
}
