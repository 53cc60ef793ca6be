use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the kind asked for. Says what is expected, never what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

/// The immutable identity of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(Uuid);

impl TenantId {
    /// A new random identity.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// From a UUID that was stored earlier.
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID itself.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    /// Accepts the hyphenated form of a UUID only.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId("a tenant id is a UUID like 123e4567-e89b-42d3-a456-426614174000");
        if text.len() != 36 {
            return Err(invalid);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| invalid)
    }
}

/// Names that no new tenant gets, because a route of the admin API stands where its own would: `tenants/provision`.
const RESERVED: [&str; 1] = ["provision"];

/// The short name operators give a tenant: a lower-case slug, unique, renameable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TenantName(String);

impl TenantName {
    /// A name for a new tenant. Those that have a reserved one from earlier keep it and are reached by their id.
    pub fn for_new(text: &str) -> Result<Self, InvalidId> {
        if RESERVED.contains(&text) {
            return Err(InvalidId("that name is reserved; take another"));
        }
        text.parse()
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantName {
    type Err = InvalidId;

    /// Accepts 1 to 63 characters `a-z`, `0-9`, `-`, beginning with a letter or digit, and not a
    /// UUID, so that a name can never be read as another tenant's id.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId(
            "a tenant name is 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit",
        );
        let good_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty()
            || text.len() > 63
            || text.starts_with('-')
            || !text.bytes().all(good_byte)
            || Uuid::try_parse(text).is_ok()
        {
            return Err(invalid);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for TenantName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A tenant's configuration generation: bumped by every change of its configuration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bumped only when a tenant's connection record is written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ConnectionRevision(pub u64);

impl fmt::Display for ConnectionRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_is_a_hyphenated_uuid_only() {
        let id = TenantId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in
            ["", "1", "{123e4567-e89b-42d3-a456-426614174000}", "123e4567e89b42d3a456426614174000"]
        {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tenant_name_is_a_slug() {
        for good in ["a", "st-mary", "7-lakes", &"x".repeat(63)] {
            assert!(good.parse::<TenantName>().is_ok(), "{good}");
        }
        let uuid = TenantId::random().to_string();
        for bad in ["", "-a", "St-Mary", "a b", "a/b", "ä", "a.b", &"x".repeat(64), &uuid] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
            assert!(TenantName::for_new(bad).is_err(), "{bad}");
        }
    }
}
