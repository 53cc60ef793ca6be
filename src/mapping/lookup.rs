//! Names in a document against the names in the catalogue: tables, columns, joins, filters.

use serde_json::{Map, Value as Json};

use super::catalog::{Catalog, Table};
use super::compile::{Builder, known_keys};
use super::plan::{ColumnRef, Expr, Join, JoinOn, Predicate, Relation};
use super::problem::below;
use super::shape::Scope;
use super::values;

impl<'a> Builder<'a> {
    pub(super) fn joins(
        &mut self,
        resource: &Map<String, Json>,
        pointer: &str,
        scope: &mut Scope<'a>,
    ) -> Vec<Join> {
        let mut joins = Vec::new();
        let Some(Json::Object(wanted)) = resource.get("join") else { return joins };
        for (alias, join) in wanted {
            let pointer = below(&below(pointer, "join"), alias);
            let Json::Object(join) = join else {
                self.problems.error(
                    &pointer,
                    "shape",
                    "a join is a set of keys",
                    "`{table: …, match: {theirs: ours}}`",
                );
                continue;
            };
            known_keys(join, &pointer, &["table", "schema", "match"], self.problems);
            let Some(table) = self.table(join, &pointer) else { continue };
            let Some(pairs) =
                self.object(join, "match", &pointer, "`match: {their_column: our_column}`")
            else {
                continue;
            };
            let relation_number = scope.join(alias, table);
            let mut on = Vec::new();
            for (theirs, ours) in pairs {
                let pointer = below(&below(&pointer, "match"), theirs);
                let left = self.column(scope, &format!("{alias}.{theirs}"), &pointer);
                let right = self.column(scope, ours.as_str().unwrap_or_default(), &pointer);
                if let (Some(left), Some(right)) = (left, right) {
                    on.push(JoinOn::Columns(left, right));
                }
            }
            let matched: Vec<&str> = pairs.keys().map(String::as_str).collect();
            if !table.unique(&matched) {
                let message = "more than one row may match, which would multiply resources";
                self.problems.error(
                    &pointer,
                    "join",
                    message,
                    "join on the other table's key, or use `each`",
                );
            }
            debug_assert_eq!(relation_number, joins.len() + 1);
            joins.push(Join { relation: relation(self.catalog, table), on });
        }
        joins
    }

    /// A column by name, `alias.name` for a joined one.
    pub(super) fn column(
        &mut self,
        scope: &Scope<'a>,
        name: &str,
        pointer: &str,
    ) -> Option<ColumnRef> {
        if let Some(column) = scope.find(name) {
            Some(column)
        } else {
            let near = nearest(name, scope.names());
            self.problems.error(pointer, "column", format!("there is no column \"{name}\""), near);
            None
        }
    }

    /// `filter: {column: value, column: [values], column: {missing: false}}`.
    pub(super) fn filter(
        &mut self,
        from: &Map<String, Json>,
        scope: &Scope<'a>,
        pointer: &str,
    ) -> Predicate {
        let Some(Json::Object(wanted)) = from.get("filter") else { return Predicate::Always };
        let mut all = Vec::new();
        for (name, condition) in wanted {
            let pointer = below(&below(pointer, "filter"), name);
            let Some(column) = self.column(scope, name, &pointer) else { continue };
            let left = Expr::Column(column.clone());
            if let Some(missing) = condition.get("missing").and_then(Json::as_bool) {
                let is_null = Predicate::IsNull(left);
                all.push(if missing { is_null } else { Predicate::Not(Box::new(is_null)) });
                continue;
            }
            let single = std::slice::from_ref(condition);
            let items = condition.as_array().map_or(single, Vec::as_slice);
            let mut typed = Vec::new();
            for item in items {
                let text = match item {
                    Json::String(text) => text.clone(),
                    Json::Number(number) => number.to_string(),
                    Json::Bool(flag) => flag.to_string(),
                    _ => String::new(),
                };
                if let Some(value) = values::parse(column.ty, &text) {
                    typed.push(value);
                } else {
                    let message = "the value does not fit the column's type";
                    self.problems.error(
                        &pointer,
                        "value",
                        message,
                        format!("the column is of type {:?}", column.ty),
                    );
                }
            }
            all.push(Predicate::In { left, values: typed });
        }
        Predicate::All(all)
    }
}

/// How statements name a table. One in the connection's own schema goes without it, so that a mapping
/// outlives a move to a database of another name, and cannot reach back to the one before.
pub(super) fn relation(catalog: &Catalog, table: &Table) -> Relation {
    let schema = table.schema.clone().filter(|s| catalog.default_schema.as_ref() != Some(s));
    Relation::Table { schema, name: table.name.clone() }
}

/// "Did you mean": the name that shares the longest beginning, or a general hint.
pub(super) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> String {
    let wanted = name.to_lowercase();
    let alike = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let same = candidate.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
        if candidate.contains(&wanted) || wanted.contains(&candidate) { same + 3 } else { same }
    };
    match candidates.max_by_key(|c| alike(c)).filter(|c| alike(c) >= 2) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "names are those of the database's own catalogue".to_owned(),
    }
}
