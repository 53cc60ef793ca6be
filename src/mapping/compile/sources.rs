//! `sources:` — SELECTs with names, used like tables.

use crate::mapping::catalog::{Column, SqlType, Table};
use crate::mapping::document::Node;
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::sources::declared;

use super::Compiler;

/// What the parts of a text are rows of.
pub(super) fn part() -> Table {
    let column = Column {
        name: "part".to_owned(),
        ty: SqlType::Text,
        declared: String::new(),
        nullable: false,
        has_default: false,
        collation: None,
        comment: None,
    };
    Table {
        schema: None,
        name: "part".to_owned(),
        view: true,
        heirs: false,
        columns: vec![column],
        primary_key: Vec::new(),
        text_indexes: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        estimated_rows: None,
    }
}

/// What stands for a table that is not there, so that the rest of what is written over it is looked at as well.
/// Nothing can be said of its columns.
pub(super) fn unknown() -> Table {
    Table { columns: Vec::new(), ..part() }
}

impl<'c> Compiler<'c> {
    /// Checks what is declared; what it gives was asked of the database before.
    pub(super) fn check_sources(&mut self, node: Option<&Node>) {
        let Some(node) = node else { return };
        if !matches!(node, Node::Map(_)) {
            let hint = "Write `sources: {name: {sql: \"SELECT …\", key: column}}`.";
            self.problems.error(
                "/sources",
                "shape",
                "`sources` is a group of named sources.",
                hint,
            );
            return;
        }
        for (name, source) in node.members() {
            let at = pointer("/sources", name);
            self.keys(source, &["sql", "key", "description"], &at);
            let declared = match declared(name, source) {
                Ok(declared) => declared,
                Err(message) => {
                    let hint =
                        "A source is one SELECT that reads, without comments and parameters.";
                    let message = format!("The source cannot be used: {message}.");
                    self.problems.error(&pointer(&at, "sql"), "source", message, hint);
                    continue;
                }
            };
            let known =
                self.catalog.named.iter().find(|n| n.name == *name && n.sql == declared.sql);
            let Some(known) = known else {
                let hint =
                    "See whether the statement runs on the database, with the gateway's own user.";
                let message = "The database cannot say what this source gives.";
                self.problems.error(&pointer(&at, "sql"), "source", message, hint);
                continue;
            };
            let found = declared.key.iter().all(|name| known.table.column(name).is_some());
            if found && !declared.key.is_empty() && known.table.primary_key.is_empty() {
                let message = "The key is not one: it is NULL or there twice, or the database could not tell in time.";
                let hint = "Name columns that are together different in every row, and never NULL.";
                self.problems.error(&pointer(&at, "key"), "key-not-unique", message, hint);
            }
            for column in &declared.key {
                if known.table.column(column).is_none() {
                    let names = known.table.columns.iter().map(|c| c.name.as_str());
                    let hint = did_you_mean(column, names, "Name columns that the SELECT gives.");
                    let message = format!("The source has no column '{column}'.");
                    self.problems.error(&pointer(&at, "key"), "unknown-column", message, hint);
                }
            }
        }
    }

    /// Finds the source a part names.
    pub(super) fn named_source(&mut self, name: &Node, at: &str) -> &'c Table {
        let name = name.text().unwrap_or_default();
        let catalog = self.catalog;
        if let Some(known) = catalog.named.iter().find(|named| *named.name == *name) {
            return &known.table;
        }
        let names = catalog.named.iter().map(|named| named.name.as_str());
        let hint = did_you_mean(&name, names, "Declare it under `sources:`.");
        let message = format!("There is no source '{name}'.");
        self.problems.error(at, "unknown-source", message, hint);
        self.unknown
    }
}
