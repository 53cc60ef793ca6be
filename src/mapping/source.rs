use super::plan::{Child, ColumnRef, Join, Order, Predicate, Relation, Select, SourcePlan, Value};
use super::rows::Row;
use super::template::Node;
use super::values;

/// One table (or more) that gives resources of one type, compiled.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) resource: String,
    pub(super) relation: Relation,
    pub(super) joins: Vec<Join>,
    pub(super) filter: Predicate,
    pub(super) key: ColumnRef,
    /// What stands before the key in ids.
    pub(super) prefix: String,
    /// What a page fetches; the key is the first.
    pub(super) columns: Vec<ColumnRef>,
    pub(super) children: Vec<ChildTable>,
    /// The resource without `resourceType` and `id`: members of one object.
    pub(super) root: Node,
    /// Keys of the members FHIR demands.
    pub(super) required: Vec<String>,
}

/// A one-to-many table.
#[derive(Debug, Clone)]
pub(super) struct ChildTable {
    pub(super) relation: Relation,
    /// Places in the source's columns.
    pub(super) parent: Vec<usize>,
    /// The same key in this table.
    pub(super) own: Vec<ColumnRef>,
    pub(super) filter: Predicate,
    pub(super) order: Vec<ColumnRef>,
    pub(super) columns: Vec<ColumnRef>,
}

impl Source {
    /// The plan of a page: rows for which `wanted` holds, in the order of the key, after `after`.
    pub(super) fn plan(&self, wanted: Predicate, after: Option<Value>, limit: u32) -> SourcePlan {
        let children = self.children.iter().map(|child| Child {
            select: Select {
                from: child.relation.clone(),
                joins: Vec::new(),
                columns: child.columns.clone(),
                filter: child.filter.clone(),
                order: child.order.iter().cloned().map(ascending).collect(),
                after: None,
                limit: None,
            },
            parent: child.parent.clone(),
            own: child.own.clone(),
        });
        SourcePlan {
            page: Select {
                from: self.relation.clone(),
                joins: self.joins.clone(),
                columns: self.columns.clone(),
                filter: Predicate::All(vec![self.filter.clone(), wanted]),
                order: vec![ascending(self.key.clone())],
                after: after.map(|value| vec![Some(value)]),
                limit: Some(limit),
            },
            children: children.collect(),
        }
    }

    /// The key an id names, if the id is of this source's form.
    pub(super) fn key_of(&self, id: &str) -> Option<Value> {
        values::parse(self.key.ty, id.strip_prefix(self.prefix.as_str())?)
    }

    /// The id of a row; `None` if its key cannot be part of a FHIR id.
    pub(super) fn id(&self, row: &Row<'_>) -> Option<String> {
        let id = format!("{}{}", self.prefix, row.get(0)?);
        super::is_fhir_id(&id).then_some(id)
    }
}

fn ascending(column: ColumnRef) -> Order {
    Order { column, descending: false }
}
