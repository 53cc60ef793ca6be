use std::collections::HashMap;

use uuid::Uuid;

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
    /// How many parts of each operation from `first` to `last` are in each state; those without parts are left out.
    pub async fn parts_by_state(
        &self,
        first: Uuid,
        last: Uuid,
    ) -> Result<HashMap<Uuid, Vec<(OperationState, u64)>>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT parent, state, count(*) FROM operations \
                   WHERE parent >= $1 AND parent <= $2 GROUP BY parent, state";
        let rows = tx.fetch(sql, binds![first, last]).await?;
        tx.commit().await?;
        let mut found: HashMap<Uuid, Vec<_>> = HashMap::new();
        for row in &rows {
            let state = (row.parse(1, "operation state")?, row.counter(2)?);
            found.entry(row.parse(0, "operation")?).or_default().push(state);
        }
        Ok(found)
    }

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
