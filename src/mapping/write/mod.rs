//! The inverse of rendering: a resource to changes of rows.
//!
//! The template is walked along the resource. A leaf whose row already shows the value keeps its
//! cells as they are; one that must change is turned back through its transforms. Nothing relies on
//! that alone: what was written is read back and rendered in the same transaction, and
//! [`Target::confirm`] demands that everything sent is shown ([`shows`]) and nothing that
//! was taken away, else the transaction is rolled back. What is stored is therefore what was sent, or
//! nothing.

mod absent;
mod changes;
mod children;
mod column;
mod compare;
mod confirm;
mod derived;
mod empty;
mod fit;
mod moment;
mod power;
mod rules;
mod store;
mod target;
mod walk;

use std::sync::Arc;

use super::plan::{ColumnRef, Relation, Value};

pub use compare::shows;
pub use confirm::{Confirmed, Promises};
pub use target::{Creation, Powers, Target, Update};

pub(super) use column::ColumnRule;
pub(super) use moment::touch;
pub(super) use power::{bases, eaches, leaves, one_way, part, powerless};
pub(super) use rules::{ChildMode, ChildRules, CreateRules, DeleteRules, KeySource, Rules};

/// What a write is given besides the resource: things that are not the mapping's to make.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The present time, in milliseconds since 1970.
    pub now: i64,
    /// Random UUIDs, hyphenated, each used once; as many as rows may be made.
    pub uuids: Vec<String>,
}

/// Rows that one request may make or take away beside the resource's own.
pub const MAX_CHILD_ROWS: usize = 200;

/// A value for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The column.
    pub column: ColumnRef,
    /// What it becomes; `None` for NULL.
    pub value: Option<Value>,
    /// The element it comes from, as FHIRPath; empty where the mapping itself says so.
    pub path: String,
}

/// One statement's worth of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The table.
    pub table: Arc<Relation>,
    /// What is done to it.
    pub kind: ChangeKind,
    /// What the statement is about, as FHIRPath, for faults that name no column.
    pub path: String,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Makes a row.
    Insert(Vec<Set>),
    /// Changes the row of a key.
    Update {
        /// Its key.
        key: Vec<(ColumnRef, Value)>,
        /// The columns that change.
        sets: Vec<Set>,
    },
    /// Takes the row of a key away.
    Delete {
        /// Its key.
        key: Vec<(ColumnRef, Value)>,
    },
}

impl Change {
    /// The elements that these columns come from; the whole change's where none is known.
    pub fn elements(&self, columns: &[String]) -> Vec<String> {
        let sets = match &self.kind {
            ChangeKind::Insert(sets) | ChangeKind::Update { sets, .. } => sets.as_slice(),
            ChangeKind::Delete { .. } => &[],
        };
        let of = |set: &&Set| {
            !set.path.is_empty() && columns.iter().any(|c| c.eq_ignore_ascii_case(&set.column.name))
        };
        let mut paths: Vec<String> = sets.iter().filter(of).map(|s| s.path.clone()).collect();
        paths.sort_unstable();
        paths.dedup();
        if paths.is_empty() {
            paths.push(self.path.clone());
        }
        paths
    }
}
