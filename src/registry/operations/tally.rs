use crate::base::Timestamp;
use crate::registry::value::{Row, binds};
use crate::registry::{OperationState, Registry, RegistryFault};

/// Operations of one kind that are in one state and not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOperations {
    /// What is done.
    pub kind: String,
    /// How far they are.
    pub state: OperationState,
    /// How many.
    pub count: u64,
    /// When the oldest was ordered.
    pub oldest: Timestamp,
}

impl Registry {
    /// How many operations of each kind are in each state that is not the end.
    pub async fn open_operations(&self) -> Result<Vec<OpenOperations>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT kind, state, count(*), min(created_at) FROM operations \
                   WHERE state IN ('held', 'pending', 'running', 'undoing') \
                   GROUP BY kind, state ORDER BY kind, state";
        let rows = tx.fetch(sql, binds![]).await?;
        tx.commit().await?;
        let read = |row: &Row| {
            Ok(OpenOperations {
                kind: row.text(0)?,
                state: row.parse(1, "operation state")?,
                count: row.counter(2)?,
                oldest: row.time(3)?,
            })
        };
        rows.iter().map(read).collect()
    }
}
