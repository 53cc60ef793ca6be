use std::borrow::Cow;
use std::str::FromStr;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::RegistryFault;
use crate::base::{ConnectionRevision, Engine, Generation, TenantId, Timestamp};
use crate::keyring::DataKeyId;

/// One bound value. The tables use text, 64-bit integers and bytes only, so that both engines share
/// their queries.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// A counter of ours; it starts at 1 and cannot reach the end of `i64` in practice.
impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<TenantId> for Value<'_> {
    fn from(id: TenantId) -> Self {
        id.to_string().into()
    }
}

impl From<DataKeyId> for Value<'_> {
    fn from(id: DataKeyId) -> Self {
        id.to_string().into()
    }
}

impl From<Uuid> for Value<'_> {
    fn from(id: Uuid) -> Self {
        id.hyphenated().to_string().into()
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        at.as_millis().into()
    }
}

impl From<Generation> for Value<'_> {
    fn from(generation: Generation) -> Self {
        generation.0.into()
    }
}

impl From<ConnectionRevision> for Value<'_> {
    fn from(revision: ConnectionRevision) -> Self {
        revision.0.into()
    }
}

/// `binds![a, b]`: the values of a statement's `$1`, `$2`, … in order.
macro_rules! binds {
    ($($value:expr),* $(,)?) => { &[$($crate::registry::value::Value::from($value)),*] };
}
pub(super) use binds;

/// One row of a result.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! get {
    ($self:ident, $index:ident) => {
        match $self {
            Row::Sqlite(row) => row.try_get($index),
            Row::Postgres(row) => row.try_get($index),
        }
        .map_err(|_| RegistryFault::Damaged("column"))
    };
}

impl Row {
    pub(super) fn opt_text(&self, index: usize) -> Result<Option<String>, RegistryFault> {
        get!(self, index)
    }

    pub(super) fn text(&self, index: usize) -> Result<String, RegistryFault> {
        get!(self, index)
    }

    pub(super) fn opt_int(&self, index: usize) -> Result<Option<i64>, RegistryFault> {
        get!(self, index)
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, RegistryFault> {
        get!(self, index)
    }

    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>, RegistryFault> {
        get!(self, index)
    }

    /// A counter of ours, never negative.
    pub(super) fn counter(&self, index: usize) -> Result<u64, RegistryFault> {
        u64::try_from(self.int(index)?).map_err(|_| RegistryFault::Damaged("counter"))
    }

    pub(super) fn generation(&self, index: usize) -> Result<Generation, RegistryFault> {
        self.counter(index).map(Generation)
    }

    pub(super) fn time(&self, index: usize) -> Result<Timestamp, RegistryFault> {
        self.int(index).map(Timestamp::from_millis)
    }

    /// A text column read as the type it was written from.
    pub(super) fn parse<T: FromStr>(
        &self,
        index: usize,
        what: &'static str,
    ) -> Result<T, RegistryFault> {
        self.text(index)?.parse().map_err(|_| RegistryFault::Damaged(what))
    }

    pub(super) fn tenant(&self, index: usize) -> Result<TenantId, RegistryFault> {
        self.parse(index, "tenant id")
    }

    pub(super) fn data_key(&self, index: usize) -> Result<DataKeyId, RegistryFault> {
        self.parse(index, "data key id").map(DataKeyId)
    }

    pub(super) fn opt_engine(&self, index: usize) -> Result<Option<Engine>, RegistryFault> {
        let Some(word) = self.opt_text(index)? else { return Ok(None) };
        [Engine::Postgres, Engine::MySql, Engine::Sqlite]
            .into_iter()
            .find(|engine| engine.as_str() == word)
            .map(Some)
            .ok_or(RegistryFault::Damaged("engine"))
    }

    /// A JSON column that may be empty.
    pub(super) fn opt_json<T: serde::de::DeserializeOwned>(
        &self,
        index: usize,
        what: &'static str,
    ) -> Result<Option<T>, RegistryFault> {
        let Some(text) = self.opt_text(index)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| RegistryFault::Damaged(what))
    }

    /// A JSON column.
    pub(super) fn json<T: serde::de::DeserializeOwned>(
        &self,
        index: usize,
        what: &'static str,
    ) -> Result<T, RegistryFault> {
        serde_json::from_str(&self.text(index)?).map_err(|_| RegistryFault::Damaged(what))
    }
}
