use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::value::{Row, binds};
use super::{Registry, RegistryFault};
use crate::base::{TenantId, TenantName, Timestamp};
use crate::telemetry::usage::Usage;

/// How long the number of a run's last addition is kept after it.
const KEEP_RUNS: Duration = Duration::from_hours(30 * 24);

/// A month of the calendar in UTC, written `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(String);

impl Month {
    /// The month that moment is in.
    pub fn of(at: Timestamp) -> Self {
        // `2026-11-21T…`; years beyond 9999 are no moments of this program.
        Self(at.to_string().chars().take(7).collect())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Month {
    type Err = RegistryFault;

    fn from_str(text: &str) -> Result<Self, RegistryFault> {
        let fault = RegistryFault::Invalid("a month is written YYYY-MM");
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match text.split_once('-') {
            Some((year, month))
                if year.len() == 4
                    && month.len() == 2
                    && digits(year)
                    && digits(month)
                    && ("01"..="12").contains(&month) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(fault),
        }
    }
}

/// What tenants used since a run of a gateway was added up last.
#[derive(Debug, Clone)]
pub struct Addition<'a> {
    /// Names the run.
    pub run: &'a str,
    /// From 1, one more for each addition of the run.
    pub number: u64,
    /// The month it counts for.
    pub month: &'a Month,
    /// Who used how much.
    pub used: &'a [(TenantId, Usage)],
}

/// What one tenant used in one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedInMonth {
    /// Identity.
    pub tenant: TenantId,
    /// Slug.
    pub name: TenantName,
    /// Which month.
    pub month: Month,
    /// How much.
    pub usage: Usage,
}

fn read(row: &Row) -> Result<UsedInMonth, RegistryFault> {
    Ok(UsedInMonth {
        tenant: row.tenant(0)?,
        name: row.parse(1, "tenant name")?,
        month: row.parse(2, "month")?,
        usage: Usage {
            requests: row.counter(3)?,
            rows: row.counter(4)?,
            bytes: row.counter(5)?,
            database_micros: row.counter(6)?,
        },
    })
}

impl Registry {
    /// Adds up what was used. The same number of the same run twice counts once, so that an addition whose
    /// outcome was never heard can be tried again.
    pub async fn add_usage(&self, addition: &Addition<'_>) -> Result<(), RegistryFault> {
        let now = self.inner.clock.now();
        let mut tx = self.write().await?;
        let numbered = "INSERT INTO usage_runs (run, added, added_at) VALUES ($1, $2, $3) \
                        ON CONFLICT (run) DO UPDATE SET added = excluded.added, \
                        added_at = excluded.added_at WHERE usage_runs.added < excluded.added";
        if tx.execute(numbered, binds![addition.run, addition.number, now]).await? == 1 {
            // Someone who is not there any more, because an older registry was put back, costs nobody else.
            let sql = "INSERT INTO usage_months \
                       (tenant, month, requests, row_count, bytes, database_micros) \
                       SELECT id, $2, $3, $4, $5, $6 FROM tenants WHERE id = $1 \
                       ON CONFLICT (tenant, month) DO UPDATE SET \
                       requests = usage_months.requests + excluded.requests, \
                       row_count = usage_months.row_count + excluded.row_count, \
                       bytes = usage_months.bytes + excluded.bytes, \
                       database_micros = usage_months.database_micros + excluded.database_micros";
            for (tenant, used) in addition.used {
                let Usage { requests, rows, bytes, database_micros } = *used;
                let month = addition.month.as_str();
                tx.execute(sql, binds![*tenant, month, requests, rows, bytes, database_micros])
                    .await?;
            }
            let keep = i64::try_from(KEEP_RUNS.as_millis()).unwrap_or(i64::MAX);
            let old = Timestamp::from_millis(now.as_millis().saturating_sub(keep));
            tx.execute("DELETE FROM usage_runs WHERE added_at < $1", binds![old]).await?;
        }
        tx.commit().await
    }

    /// What a tenant used in each month it was asked anything in, newest first; at most `limit` months.
    pub async fn usage_of(
        &self,
        tenant: TenantId,
        limit: u32,
    ) -> Result<Vec<UsedInMonth>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT t.id, t.name, u.month, u.requests, u.row_count, u.bytes, \
                   u.database_micros FROM usage_months u JOIN tenants t ON t.id = u.tenant \
                   WHERE u.tenant = $1 ORDER BY u.month DESC LIMIT $2";
        let rows = tx.fetch(sql, binds![tenant, limit]).await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }

    /// What every tenant used in a month, by name; after the name `after`, at most `limit`.
    pub async fn usage_in(
        &self,
        month: &Month,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<UsedInMonth>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT t.id, t.name, u.month, u.requests, u.row_count, u.bytes, \
                   u.database_micros FROM usage_months u JOIN tenants t ON t.id = u.tenant \
                   WHERE u.month = $1 AND t.name > $2 ORDER BY t.name LIMIT $3";
        let rows = tx.fetch(sql, binds![month.as_str(), after.unwrap_or(""), limit]).await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_written_in_one_way() {
        assert_eq!(Month::of(Timestamp::from_secs(1_763_700_000)).as_str(), "2025-11");
        assert_eq!("2026-01".parse::<Month>().unwrap().to_string(), "2026-01");
        for wrong in ["2026-13", "2026-00", "2026-1", "26-01", "2026-011", "2026", "+026-01", ""] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
