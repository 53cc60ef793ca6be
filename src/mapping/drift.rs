//! What a mapping needs of a database, and what of it is not as it was when the mapping was checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Compiled;
use super::catalog::{Catalog, SqlType, Table};
use super::plan::{ColumnRef, Expr, Join, JoinOn, Order, Predicate, Relation};
use super::tree::{Condition, EachRows, Source, Tree};
use super::write::{ChildRules, Rules};

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The table.
    pub table: String,
    /// The column, when it is about one.
    pub column: Option<String>,
    /// `table_gone`, `column_gone`, `type_changed` or `index_gone`.
    pub kind: String,
    /// Whether requests fail until somebody acts; otherwise they are slower, or give something else.
    pub breaks: bool,
    /// In one sentence.
    pub message: String,
    /// Which parts of the mapping need it, such as `Patient.birthDate`.
    pub paths: Vec<String>,
}

/// Columns that a mapping reads, each with what it holds and which parts need it.
type Uses = BTreeMap<(Option<String>, String), BTreeMap<String, (SqlType, BTreeSet<String>)>>;

impl Compiled {
    /// What is not as the mapping needs it. `saved` is the catalogue it was checked against, where indexes
    /// are to be compared as well.
    pub fn drift(&self, saved: Option<&Catalog>, live: &Catalog) -> Vec<Drift> {
        let mut found = Vec::new();
        for ((schema, name), columns) in uses(self) {
            let everyone: BTreeSet<String> =
                columns.values().flat_map(|(_, p)| p.clone()).collect();
            let Some(table) = live.table(schema.as_deref(), &name) else {
                let message = format!("The table '{name}' is gone, or may not be read any more.");
                found.push(drift(&name, None, "table_gone", true, message, everyone));
                continue;
            };
            for (column, (ty, paths)) in columns {
                found.extend(changed(table, &column, ty, paths));
            }
            let before = saved.and_then(|saved| saved.table(schema.as_deref(), &name));
            found.extend(before.into_iter().flat_map(|before| indexes(before, table, &everyone)));
        }
        found
    }
}

fn drift(
    table: &str,
    column: Option<&str>,
    kind: &str,
    breaks: bool,
    message: String,
    paths: BTreeSet<String>,
) -> Drift {
    Drift {
        table: table.to_owned(),
        column: column.map(str::to_owned),
        kind: kind.to_owned(),
        breaks,
        message,
        paths: paths.into_iter().take(50).collect(),
    }
}

fn changed(table: &Table, name: &str, ty: SqlType, paths: BTreeSet<String>) -> Option<Drift> {
    let table_name = &table.name;
    let exact = table.columns.iter().find(|c| c.name == name);
    let Some(column) = exact.or_else(|| table.column(name)) else {
        let message = format!("The column '{table_name}.{name}' is gone or was renamed.");
        return Some(drift(table_name, Some(name), "column_gone", true, message, paths));
    };
    if column.ty == ty {
        return None;
    }
    let message = format!(
        "The column '{table_name}.{name}' holds something else than when the mapping was checked; it is \
         now declared {}.",
        column.declared
    );
    // Values are bound with the type the mapping knows: another kind of type is refused by the database.
    let textual = |ty| matches!(ty, SqlType::Text | SqlType::Char | SqlType::Enum);
    let whole = |ty| matches!(ty, SqlType::Integer { .. });
    let near = (textual(ty) && textual(column.ty)) || (whole(ty) && whole(column.ty));
    Some(drift(table_name, Some(name), "type_changed", !near, message, paths))
}

fn indexes(before: &Table, now: &Table, paths: &BTreeSet<String>) -> Vec<Drift> {
    let gone = before.indexes.iter().filter(|index| {
        let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
        let there = if index.unique { now.unique(&columns) } else { now.indexed(&columns) };
        !there && columns.iter().all(|c| now.column(c).is_some())
    });
    gone.map(|index| {
        let columns = index.columns.join(", ");
        let what = if index.unique { "unique index" } else { "index" };
        let message = format!("The {what} on '{}' ({columns}) is gone.", now.name);
        drift(
            &now.name,
            index.columns.first().map(String::as_str),
            "index_gone",
            false,
            message,
            paths.clone(),
        )
    })
    .collect()
}

/// Gathers what each source reads.
struct Gather<'u> {
    uses: &'u mut Uses,
    relations: Vec<Relation>,
}

impl Gather<'_> {
    fn column(&mut self, column: &ColumnRef, path: &str) {
        let mut relation = self.relations.get(column.relation);
        while let Some(Relation::Distinct { of, .. }) = relation {
            relation = Some(of);
        }
        // A named source is an operator's text: what it reads is the database's to say.
        let Some(Relation::Table { schema, name }) = relation else { return };
        let table = self.uses.entry((schema.clone(), name.clone())).or_default();
        let known =
            table.entry(column.name.clone()).or_insert_with(|| (column.ty, BTreeSet::new()));
        known.1.insert(path.to_owned());
    }

    fn joins(&mut self, joins: &[Join], path: &str) {
        for on in joins.iter().flat_map(|join| &join.on) {
            match on {
                JoinOn::Columns(a, b) => {
                    self.column(a, path);
                    self.column(b, path);
                }
                JoinOn::Value(column, _) => self.column(column, path),
                JoinOn::First { key, order } => {
                    for column in key {
                        self.column(column, path);
                    }
                    self.order(order, path);
                }
            }
        }
    }

    fn predicate(&mut self, predicate: &Predicate, path: &str) {
        match predicate {
            Predicate::All(parts) | Predicate::Any(parts) => {
                for part in parts {
                    self.predicate(part, path);
                }
            }
            Predicate::Not(part) => self.predicate(part, path),
            Predicate::Compare { left, .. }
            | Predicate::In { left, .. }
            | Predicate::IsNull(left)
            | Predicate::Text { left, .. }
            | Predicate::Folded { left, .. } => self.expr(left, path),
            Predicate::InSelect { columns, .. } => {
                for column in columns {
                    self.column(column, path);
                }
            }
            _ => {}
        }
    }

    fn expr(&mut self, expr: &Expr, path: &str) {
        match expr {
            Expr::Column(column) | Expr::Pieces { column, .. } => self.column(column, path),
            Expr::Joined { parts, .. } => {
                for part in parts {
                    self.expr(part, path);
                }
            }
            Expr::Trimmed(inner) => self.expr(inner, path),
        }
    }

    fn order(&mut self, order: &[Order], path: &str) {
        for key in order {
            self.column(&key.column, path);
        }
    }
}

fn uses(compiled: &Compiled) -> Uses {
    let mut uses = Uses::new();
    for source in compiled.sources.iter() {
        let ty = &source.resource_type;
        let relations = |from: &Relation, joins: &[Join]| {
            std::iter::once(from.clone()).chain(joins.iter().map(|j| j.relation.clone())).collect()
        };
        let mut base =
            Gather { uses: &mut uses, relations: relations(&source.from, &source.joins) };
        base.joins(&source.joins, &format!("{ty} (join)"));
        base.predicate(&source.filter, &format!("{ty} (filter)"));
        source.key.iter().for_each(|slot| base.column(&slot.column, &format!("{ty}.id")));
        leaves(source, None, &mut |column, path| base.column(column, path));
        let written = source.write.as_ref().map(Rules::own_columns).unwrap_or_default();
        for column in written {
            base.column(column, &format!("{ty} (write)"));
        }
        for (number, child) in source.children.iter().enumerate() {
            let mut rows =
                Gather { uses: &mut uses, relations: relations(&child.relation, &child.joins) };
            let path = format!("{ty} (each)");
            rows.joins(&child.joins, &path);
            rows.predicate(&child.filter, &path);
            rows.order(&child.order, &path);
            child.own.iter().for_each(|slot| rows.column(&slot.column, &path));
            leaves(source, Some(number), &mut |column, path| rows.column(column, path));
            let written = source.write.as_ref().and_then(|rules| rules.children.get(number));
            for column in written.into_iter().flat_map(ChildRules::own_columns) {
                rows.column(column, &format!("{ty} (write)"));
            }
        }
    }
    uses
}

/// Calls `each` with the columns of a source's own elements, or of those in one of its one-to-many tables.
fn leaves(source: &Source, child: Option<usize>, each: &mut dyn FnMut(&ColumnRef, &str)) {
    let mut trees: Vec<(Within, &Tree)> =
        source.root.members.iter().map(|m| (Within::Base, &m.value)).collect();
    let wanted = child.map_or(Within::Base, Within::Child);
    let all = |conditions: &[Condition], each: &mut dyn FnMut(&ColumnRef, &str)| {
        let path = format!("{} (if)", source.resource_type);
        for condition in conditions {
            each(&condition.slot.column, &path);
        }
    };
    while let Some((within, tree)) = trees.pop() {
        let here = within == wanted;
        match tree {
            Tree::Object(object) => {
                if here {
                    all(&object.when, each);
                }
                trees.extend(object.members.iter().map(|m| (within, &m.value)));
            }
            Tree::List(items) => trees.extend(items.iter().map(|item| (within, item))),
            Tree::Case(branches) => {
                for branch in branches {
                    if here {
                        all(&branch.when, each);
                    }
                    trees.extend(branch.tree.as_ref().map(|tree| (within, tree)));
                }
            }
            Tree::Each(inner) => match &inner.rows {
                EachRows::Child(number) => trees.push((Within::Child(*number), &inner.item)),
                EachRows::Parts { lens, .. } => {
                    let path = format!("{} (split)", source.resource_type);
                    if here {
                        for slot in lens.slots() {
                            each(&slot.column, &path);
                        }
                    }
                    trees.push((Within::Part, &inner.item));
                }
            },
            Tree::Leaf(leaf) if here => {
                let path = source.paths.get(leaf.path).map_or("", String::as_str);
                for slot in leaf.lens.slots() {
                    each(&slot.column, path);
                }
            }
            Tree::Const(_) | Tree::Leaf(_) => {}
        }
    }
}

/// Whose columns a part of the template reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Base,
    Child(usize),
    /// The parts of a text: no column of any table.
    Part,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::support::{catalog, compiled, table};

    #[test]
    fn nothing_changed_is_nothing_to_say() {
        assert_eq!(compiled().drift(Some(&catalog()), &catalog()), []);
        // What the mapping does not read may change as it likes.
        let mut live = catalog();
        live.tables[0].columns.retain(|c| c.name != "clave_password");
        live.tables.push(table("other", &[], "id"));
        assert_eq!(compiled().drift(Some(&catalog()), &live), []);
    }

    #[test]
    fn what_is_gone_is_named_with_who_needs_it() {
        let mut live = catalog();
        live.tables[0].columns.retain(|c| c.name != "nac");
        live.tables[1].columns.retain(|c| c.name != "valor");
        let found = compiled().drift(None, &live);
        let said: Vec<_> =
            found.iter().map(|d| (d.column.as_deref().unwrap(), d.paths.join(" "))).collect();
        let wanted = [
            ("valor", "Patient.telecom.value".to_owned()),
            ("nac", "Patient.birthDate".to_owned()),
        ];
        assert_eq!(said, wanted, "{found:?}");
        assert!(found.iter().all(|d| d.breaks && d.kind == "column_gone"));
        live.tables.remove(0);
        let found = compiled().drift(None, &live);
        assert!(
            found.iter().any(|d| d.kind == "table_gone" && d.table == "pacientes"),
            "{found:?}"
        );
    }

    #[test]
    fn types_and_indexes_are_compared() {
        let mut live = catalog();
        live.tables[0].columns[6].ty = SqlType::Boolean;
        live.tables[2].indexes.clear();
        live.tables[2].primary_key.clear();
        let found = compiled().drift(Some(&catalog()), &live);
        let kinds: Vec<_> = found.iter().map(|d| (d.kind.as_str(), d.breaks)).collect();
        assert_eq!(kinds, [("index_gone", false), ("type_changed", true)], "{found:?}");
    }
}
