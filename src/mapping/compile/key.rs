//! `key:` and `id:` of an entry.

use std::sync::Arc;

use crate::base::Engine;
use crate::fhir::elements::TypeDef;
use crate::mapping::catalog::{SqlType, Table};
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::Target;
use crate::mapping::lens::id::{IdPart, IdTemplate};
use crate::mapping::lens::predicate::all;
use crate::mapping::plan::{ColumnRef, Predicate, Relation};
use crate::mapping::problem::pointer;
use crate::mapping::syntax::{IdPiece, column_name, id_template};
use crate::mapping::tree::Test;

use super::Compiler;
use super::resource::Head;
use super::scope::Scope;

impl<'c> Compiler<'c> {
    /// The key of an entry and the template of its ids, as far as they can be told.
    pub(super) fn key_and_id(
        &mut self,
        scope: &Scope<'c>,
        node: &Node,
        asked: &[(ColumnRef, Test)],
        at: &str,
    ) -> (Option<Vec<ColumnRef>>, Option<IdTemplate>) {
        let key = self.key(scope, node.get("key"), asked, at);
        // What an id must name is not known without the key.
        let id = key.as_deref().and_then(|key| self.id(node.get("id"), key, at));
        (key, id)
    }

    /// An entry whose key or id is wrong: what is written below it is looked at all the same.
    pub(super) fn unkeyed(
        &mut self,
        ty: &TypeDef,
        name: Option<String>,
        (node, scope): (Node, Scope<'c>),
        at: &str,
    ) -> Head<'c> {
        let (name, at) = (name.unwrap_or_else(|| at.to_owned()), at.to_owned());
        self.unkeyed.push(name.clone());
        let id = IdTemplate { parts: Vec::new(), key: Vec::new(), escaped: false };
        let target = Arc::new(Target { resource_type: ty.name.to_owned(), id });
        let from = Arc::new(Relation::Table { schema: None, name: String::new() });
        let (filter, conditions) = (Predicate::Never, Vec::new());
        Head { name, node, at, scope, from, filter, conditions, target }
    }

    pub(super) fn key(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        asked: &[(ColumnRef, Test)],
        at: &str,
    ) -> Option<Vec<ColumnRef>> {
        let at = pointer(at, "key");
        let items = match node {
            Some(Node::List(items)) if !items.is_empty() => items.as_slice(),
            Some(scalar @ Node::Scalar(Scalar::Text(_))) => std::slice::from_ref(scalar),
            _ => {
                let key = scope.table().map(|t| t.primary_key.join(", ")).unwrap_or_default();
                let hint =
                    format!("Write `key: [{}]`.", if key.is_empty() { "column" } else { &key });
                self.problems.error(&at, "missing", "The key's columns are not named.", hint);
                return None;
            }
        };
        let mut key = Vec::new();
        for item in items {
            let name = column_name(&item.text().unwrap_or_default());
            let column = self.column(scope, &name, &at)?;
            if self.unknowable(scope, &column) {
                key.push(column);
                continue;
            }
            if !key_type(column.ty) || column.relation != 0 {
                let message = format!("'{}' cannot be part of a key.", column.name);
                let hint = "A key is made of whole numbers, exact decimals, texts and UUIDs of the table itself; where the rest of it tells the rows apart, a view or a source can say so.";
                self.problems.error(&at, "key-type", message, hint);
                return None;
            }
            key.push(column);
        }
        let table = scope.table()?;
        if self.is_unknown(table) {
            return Some(key);
        }
        let names: Vec<&str> = key.iter().map(|c| c.name.as_str()).collect();
        let distinct = scope.group.as_ref().is_some_and(|group| group.distinct);
        if !distinct && !table.unique(&names) {
            let message = format!("'{}' does not say that these columns are unique.", table.name);
            let hint = "Two rows with one key would be one resource; use the primary key or a unique index. Where the columns are unique and the database cannot say so, as in a partitioned table whose key has a date in it, a named source with this `key` or a view can.";
            if table.view {
                self.problems.warn(&at, "key-not-unique", message, hint);
            } else {
                self.problems.error(&at, "key-not-unique", message, hint);
            }
        }
        if table.heirs {
            let message = format!(
                "Other tables inherit from '{}': their rows are read with its own, and its keys do not hold for them.",
                table.name
            );
            let hint = "Two rows with one key would be one resource; map a view over `ONLY` this table, or see to it that no key is given twice.";
            self.problems.warn(&at, "inherited", message, hint);
        }
        let same = |a: &str, b: &String| a.eq_ignore_ascii_case(b);
        let primary = names.len() == table.primary_key.len()
            && names.iter().all(|n| table.primary_key.iter().any(|own| same(n, own)));
        // Rows without a key are no rows where the filter says so.
        let firm = |name: &str| {
            let told = |test: &Test| matches!(test, Test::NotNull | Test::In(_));
            asked.iter().any(|(c, test)| c.relation == 0 && c.name == name && told(test))
        };
        let may_lack = |n: &&&str| table.column(n).is_some_and(|c| c.nullable) && !firm(n);
        let nullable = names.iter().find(may_lack);
        if let Some(name) = nullable.filter(|_| !table.view && !primary && !distinct) {
            let message = format!("'{name}' may be NULL, so not every row has this key.");
            let hint = format!(
                "Use the primary key, or a unique index over columns that are never NULL, or leave out the rows that lack it: `filter: {{{name}: {{missing: false}}}}`."
            );
            self.problems.error(&at, "key-nullable", message, hint);
        }
        if !table.view && !table.indexed(&names) {
            let message = "No index begins with the key's columns; every read looks at every row.";
            self.problems.warn(&at, "unindexed", message, "Add an index on the key.");
        }
        Some(key)
    }

    /// Rows whose key is what its columns say. SQLite keeps whatever it was given, and NULL even in a
    /// primary key; a row like that could be shown and never be found again, and no page begin after it.
    pub(super) fn keyed(&self, table: &Table, filter: Predicate, key: &[ColumnRef]) -> Predicate {
        if self.catalog.engine != Engine::Sqlite {
            return filter;
        }
        let row_number = |column: &ColumnRef| {
            let declared = table.column(&column.name).map(|c| c.declared.as_str());
            table.primary_key.len() == 1
                && table.primary_key.first() == Some(&column.name)
                && declared.is_some_and(|ty| ty.eq_ignore_ascii_case("INTEGER"))
        };
        let loose = key.iter().filter(|column| !row_number(column));
        all([filter].into_iter().chain(loose.cloned().map(Predicate::OwnKind)))
    }

    pub(super) fn id(
        &mut self,
        node: Option<&Node>,
        key: &[ColumnRef],
        at: &str,
    ) -> Option<IdTemplate> {
        let at = pointer(at, "id");
        let hint = "Write the key's columns with texts between them: `id: \"adm-$ADM_ID\"`.";
        let Some(text) = node.and_then(Node::text) else {
            self.problems.error(&at, "missing", "The id's template is missing.", hint);
            return None;
        };
        let (pieces, escaped) = match id_template(&text) {
            Ok(pieces) => pieces,
            Err(message) => {
                self.problems.error(&at, "id", format!("The template is broken: {message}."), hint);
                return None;
            }
        };
        let mut parts = Vec::new();
        for piece in pieces {
            let part = match piece {
                IdPiece::Literal(text) => {
                    let good =
                        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
                    if !good {
                        let hint = "A FHIR id has letters A-Z, digits, '-' and '.' only.";
                        self.problems.error(&at, "id", "The template has other characters.", hint);
                        return None;
                    }
                    IdPart::Literal(text)
                }
                IdPiece::Column(name) => {
                    let place = key.iter().position(|c| c.name.eq_ignore_ascii_case(&name));
                    let Some(place) = place else {
                        let message = format!("'{name}' is not a column of the key.");
                        self.problems.error(&at, "id", message, "Name only columns of `key`.");
                        return None;
                    };
                    if matches!(parts.last(), Some(IdPart::Key(_))) {
                        let hint = "Put a text between them: `$a-$b`.";
                        self.problems.error(&at, "id", "Two columns stand side by side.", hint);
                        return None;
                    }
                    IdPart::Key(place)
                }
            };
            parts.push(part);
        }
        for (place, column) in key.iter().enumerate() {
            if !parts.contains(&IdPart::Key(place)) {
                let message = format!("'{}' is in the key and not in the id.", column.name);
                self.problems.error(
                    &at,
                    "id",
                    message,
                    "Every column of the key must be in the id.",
                );
                return None;
            }
        }
        let id = IdTemplate { parts, key: key.to_vec(), escaped };
        let dotted = (0..key.len()).find(|n| id.escapes(*n) && id.apart(*n) == Some('.'));
        if dotted.is_some() {
            let message = "A dot begins what is escaped, so it cannot part a text from the rest.";
            self.problems.error(&at, "id", message, "Put another text between: `$a-$b | escape`.");
            return None;
        }
        Some(id)
    }
}

/// Whether a column's values can be told from their text exactly, which a key's must: a page begins
/// after the last one shown, and an id leads to one row.
const fn key_type(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Integer { .. }
            | SqlType::Decimal
            | SqlType::Text
            | SqlType::Char
            | SqlType::Uuid
            | SqlType::Enum
    )
}
