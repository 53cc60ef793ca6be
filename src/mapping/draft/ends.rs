//! What columns of other tables may lead to by their names.

use super::links::named_key;
use super::words::Words;
use crate::mapping::catalog::{Column, Table};

/// Whether the words of a column name a table.
pub(super) fn names(words: &[&str], table: &Words) -> bool {
    named(words, &table.subject())
}

/// Whether they name one of that subject.
pub(super) fn named(words: &[&str], subject: &[&str]) -> bool {
    words.len() == subject.len()
        && words.iter().all(|w| subject.iter().any(|m| super::words::same(m, w) || m == w))
}

/// The key of one column that columns of other tables may lead to, and what its name says: asked of every
/// column of every table, so it is taken apart once.
pub(super) struct End<'c> {
    pub key: &'c Column,
    /// What the table's name says it holds.
    pub subject: Vec<String>,
    /// Whether the key's name says more than that it is one.
    pub telling: bool,
    /// Whether the key is named like its table.
    pub own: bool,
    /// How a longer name ends that means this key.
    pub tail: String,
}

impl<'c> End<'c> {
    pub fn of(table: &'c Table, words: &Words, key: Option<&[String]>) -> Option<Self> {
        let key = match key {
            Some([key]) => table.column(key),
            Some(_) => None,
            None => named_key(table),
        }?;
        let their = Words::of(&key.name);
        let meaning = their.meaning();
        Some(Self {
            key,
            subject: words.subject().into_iter().map(str::to_owned).collect(),
            telling: !meaning.is_empty(),
            own: names(&meaning, words),
            tail: format!("_{}", key.name.to_lowercase()),
        })
    }
}
