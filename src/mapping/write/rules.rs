use std::collections::HashMap;
use std::sync::Arc;

use crate::mapping::plan::{ColumnRef, KeyedRead, Value};

use super::ColumnRule;

/// What `write:` of a resource says, compiled.
#[derive(Debug)]
pub struct Rules {
    pub create: Option<CreateRules>,
    /// Whether resources can be updated.
    pub update: bool,
    pub delete: Option<DeleteRules>,
    /// Counted up with every change.
    pub version_column: Option<ColumnRef>,
    /// Set to the present time with every change.
    pub touch: Option<ColumnRef>,
    /// The base table's columns, by name in lower case.
    pub columns: HashMap<String, ColumnRule>,
    /// What the source's own filter demands of a row that is made.
    pub filter: Vec<(ColumnRef, Value)>,
    /// For each of the source's children.
    pub children: Vec<ChildRules>,
    /// Element paths that are not written though they are mapped.
    pub read_only: Vec<String>,
    /// How a row is read before and after a change: what is rendered, and what changing it needs.
    pub read: Arc<KeyedRead>,
    /// The cell of [`read`](Self::read) that holds the version column.
    pub version_cell: Option<usize>,
}

#[derive(Debug)]
pub struct CreateRules {
    pub key: KeySource,
    pub set: Vec<(ColumnRef, Value)>,
}

/// Where a new row's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// The database gives this column its value.
    Database(ColumnRef),
    /// A random UUID for this column.
    Uuid(ColumnRef),
    /// The resource's own elements, or constants.
    Body,
}

#[derive(Debug)]
pub enum DeleteRules {
    Hard,
    /// These columns get these values.
    Soft(Vec<(ColumnRef, Option<Value>)>),
}

/// What happens to rows of an `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildMode {
    /// Rows become what the resource says.
    Replace,
    /// Rows are added; none goes.
    Merge,
    ReadOnly,
}

#[derive(Debug)]
pub struct ChildRules {
    pub mode: ChildMode,
    /// The child's own key: cells of the rows that [`Rules::read`] gives, and columns.
    pub key: Vec<(usize, ColumnRef)>,
    pub columns: HashMap<String, ColumnRule>,
    pub filter: Vec<(ColumnRef, Value)>,
    pub set: Vec<(ColumnRef, Value)>,
    /// A column that gets a random UUID.
    pub uuid: Option<ColumnRef>,
    /// Instead of taking a row away.
    pub soft: Option<Vec<(ColumnRef, Option<Value>)>>,
}

impl Rules {
    /// Columns of the base table that are written beside those of elements.
    pub fn own_columns(&self) -> Vec<&ColumnRef> {
        let mut all: Vec<&ColumnRef> = self.version_column.iter().chain(&self.touch).collect();
        if let Some(create) = &self.create {
            all.extend(create.set.iter().map(|(column, _)| column));
            match &create.key {
                KeySource::Database(column) | KeySource::Uuid(column) => all.push(column),
                KeySource::Body => {}
            }
        }
        if let Some(DeleteRules::Soft(columns)) = &self.delete {
            all.extend(columns.iter().map(|(column, _)| column));
        }
        all
    }

    /// Whether an element is declared read-only. `path` is FHIRPath with the type in front.
    pub fn is_read_only(&self, path: &str) -> bool {
        let inner = path.split_once('.').map_or(path, |(_, inner)| inner);
        self.read_only.iter().any(|listed| {
            inner
                .strip_prefix(listed.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

impl ChildRules {
    /// Columns of the table that are written beside those of elements, and its key. None where its rows are
    /// read only.
    pub fn own_columns(&self) -> Vec<&ColumnRef> {
        if self.mode == ChildMode::ReadOnly {
            return Vec::new();
        }
        let soft = self.soft.iter().flatten().map(|(column, _)| column);
        let set = self.set.iter().map(|(column, _)| column);
        let key = self.key.iter().map(|(_, column)| column);
        soft.chain(set).chain(key).chain(&self.uuid).collect()
    }
}
