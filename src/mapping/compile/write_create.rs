//! `create:` of a `write:`: where a new row's key and its other columns come from.

use std::collections::BTreeSet;

use crate::base::Engine;
use crate::mapping::catalog::SqlType;
use crate::mapping::document::Node;
use crate::mapping::lens::typed;
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::problem::pointer;
use crate::mapping::tree::Source;
use crate::mapping::write::{CreateRules, KeySource};

use super::Compiler;
use super::scope::Scope;

impl<'c> Compiler<'c> {
    pub(super) fn create(
        &mut self,
        source: &Source,
        scope: &Scope<'c>,
        node: &Node,
        given: &mut BTreeSet<String>,
        open: &[ColumnRef],
        at: &str,
    ) -> Option<CreateRules> {
        let at = pointer(at, "create");
        if matches!(node, Node::Map(_)) {
            self.keys(node, &["key", "set"], &at);
        }
        let set = self.constants(scope, node.get("set"), false, &pointer(&at, "set"));
        let set: Vec<(ColumnRef, Value)> =
            set.into_iter().filter_map(|(column, value)| Some((column, value?))).collect();
        given.extend(set.iter().map(|(column, _)| column.name.clone()));
        for column in open.iter().filter(|column| !given.contains(&column.name)) {
            let message =
                format!("The filter on '{}' does not say which value a new row gets.", column.name);
            let hint = format!(
                "Write `set: {{{}: …}}` with one that the filter lets through.",
                column.name
            );
            self.problems.error(&at, "filter-not-set", message, hint);
        }
        let missing: Vec<&ColumnRef> = source
            .key
            .iter()
            .map(|slot| &slot.column)
            .filter(|c| !given.contains(&c.name))
            .collect();
        let key = self.key_source(scope, node.get("key"), &missing, &at)?;
        if let KeySource::Database(column) | KeySource::Uuid(column) = &key {
            given.insert(column.name.clone());
        }
        let table = scope.table()?;
        let uncovered = table.columns.iter().filter(|column| {
            !column.nullable
                && !column.has_default
                && !given.iter().any(|g| g.eq_ignore_ascii_case(&column.name))
        });
        for column in uncovered {
            let message = format!(
                "'{}' may not be NULL, has no default, and nothing gives it a value.",
                column.name
            );
            let hint = format!("Map it, or write `set: {{{}: …}}`.", column.name);
            self.problems.error(&at, "not-covered", message, hint);
        }
        Some(CreateRules { key, set })
    }

    fn key_source(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        missing: &[&ColumnRef],
        at: &str,
    ) -> Option<KeySource> {
        let at = pointer(at, "key");
        let word = node.and_then(Node::text);
        let hint = "Write `auto_increment` (also for sequences and identity columns), `uuid`, or `body` where elements make the key.";
        let one = |column: &ColumnRef| column.clone();
        let source = match (word.as_deref(), missing) {
            (Some("auto_increment" | "sequence" | "identity"), [column]) => {
                let known = scope.table().and_then(|t| t.column(&column.name))?;
                let rowid = self.catalog.engine == Engine::Sqlite
                    && known.declared.eq_ignore_ascii_case("INTEGER");
                let whole = matches!(column.ty, SqlType::Integer { .. });
                // MySQL tells the value of an AUTO_INCREMENT column only.
                let told = self.catalog.engine != Engine::MySql || whole;
                if !told || !(known.has_default || rowid) {
                    let message =
                        format!("The database does not give '{}' a value by itself.", column.name);
                    self.problems.error(&at, "key-not-given", message, hint);
                    return None;
                }
                KeySource::Database(one(column))
            }
            (Some("uuid"), [column]) => {
                if typed::for_column(column, "00000000-0000-4000-8000-000000000000").is_none() {
                    let message = format!("'{}' cannot hold a UUID.", column.name);
                    self.problems.error(&at, "key-not-given", message, hint);
                    return None;
                }
                KeySource::Uuid(one(column))
            }
            (Some("body"), []) => KeySource::Body,
            (Some("body" | "uuid" | "auto_increment" | "sequence" | "identity"), _) => {
                let names: Vec<&str> = missing.iter().map(|c| c.name.as_str()).collect();
                let message = if names.is_empty() {
                    "Elements or constants already give the whole key.".to_owned()
                } else {
                    format!("Nothing gives the key's columns {} a value.", names.join(", "))
                };
                self.problems.error(&at, "key-not-given", message, hint);
                return None;
            }
            _ => {
                let message = "It is not said where a new row's key comes from.";
                self.problems.error(&at, "missing", message, hint);
                return None;
            }
        };
        Some(source)
    }
}
