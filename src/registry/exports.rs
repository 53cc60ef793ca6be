use super::value::{Row, binds};
use super::{Registry, RegistryFault};
use crate::base::{TenantId, Timestamp};

/// Cancelled orders of one tenant that are kept until they would have ended; more cannot be cancelled.
const KEPT: u64 = 10_000;

/// An order of a bulk export that counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelledExport {
    /// Whose hospital's.
    pub tenant: TenantId,
    /// What the order is known by.
    pub mark: [u8; 32],
    /// When it would have ended by itself.
    pub ends_at: Timestamp,
}

impl CancelledExport {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        let mark = unhex(&row.text(1)?).ok_or(RegistryFault::Damaged("cancelled export"))?;
        Ok(Self { tenant: row.tenant(0)?, mark, ends_at: row.time(2)? })
    }
}

fn hex(mark: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    mark.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut mark = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in mark.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(mark)
}

impl Registry {
    /// Has every gateway know that an order counts no more. Doing it again changes nothing.
    pub async fn cancel_export(&self, cancelled: &CancelledExport) -> Result<(), RegistryFault> {
        let (mut tx, now) = (self.write().await?, self.inner.clock.now());
        tx.execute("DELETE FROM cancelled_exports WHERE ends_at <= $1", binds![now]).await?;
        let sql = "SELECT COUNT(*) FROM cancelled_exports WHERE tenant = $1 AND mark <> $2";
        let values = binds![cancelled.tenant, hex(&cancelled.mark)];
        let kept = match tx.fetch_one(sql, values).await? {
            Some(row) => row.counter(0)?,
            None => 0,
        };
        // Forgetting another one would bring it back to life.
        if kept >= KEPT {
            return Err(RegistryFault::Conflict(
                "too many cancelled exports of one tenant are kept",
            ));
        }
        let sql = "INSERT INTO cancelled_exports (tenant, mark, ends_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (tenant, mark) DO NOTHING";
        let (tenant, mark) = (cancelled.tenant, hex(&cancelled.mark));
        tx.execute(sql, binds![tenant, mark, cancelled.ends_at]).await?;
        tx.commit().await
    }

    /// The orders that were cancelled and have not ended by themselves. A row that does not read is passed
    /// over, so that the others still count.
    pub async fn cancelled_exports(&self) -> Result<Vec<CancelledExport>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT tenant, mark, ends_at FROM cancelled_exports WHERE ends_at > $1";
        let rows = tx.fetch(sql, binds![self.inner.clock.now()]).await?;
        tx.commit().await?;
        Ok(rows.iter().filter_map(|row| CancelledExport::read(row).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_written_and_read() {
        let mark: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());
        assert_eq!(unhex(&hex(&mark)), Some(mark));
        let odd = ["", "0", &"0".repeat(63), &"g".repeat(64), &"ä".repeat(32)];
        assert!(odd.iter().all(|text| unhex(text).is_none()));
    }
}
