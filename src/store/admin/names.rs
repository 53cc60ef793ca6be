use std::fmt::Write as _;

use crate::base::TenantId;

/// What a tenant's database and its role are called on a server: made of the tenant's id and a number,
/// so that a retry finds what an earlier attempt made. Letters, digits and underscores only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    database: String,
    role: String,
}

impl Names {
    /// Of the tenant, with the role of that number. A password is changed by making the next role.
    pub fn of(tenant: TenantId, role: u64) -> Self {
        // 96 bits of the id: MySQL takes names of roles of at most 32 characters.
        let mut short = String::with_capacity(24);
        for byte in &tenant.as_uuid().as_bytes()[..12] {
            let _infallible = write!(short, "{byte:02x}");
        }
        Self { database: format!("wg_{short}"), role: format!("wg_{short}_{role}") }
    }

    /// From what a connection record says, when it is of this form and this tenant's.
    pub fn recognise(tenant: TenantId, database: &str, role: &str) -> Option<Self> {
        let number = role.strip_prefix(database)?.strip_prefix('_')?;
        let plain = number.len() <= 5 && !number.starts_with('0');
        let names = Self::of(tenant, number.parse().ok().filter(|_| plain)?);
        (names.database == database && names.role == role).then_some(names)
    }

    /// With another role of the same tenant.
    pub(super) fn sibling(&self, role: &str) -> Option<Self> {
        let number = role.strip_prefix(self.database.as_str())?.strip_prefix('_')?;
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| Self { database: self.database.clone(), role: role.to_owned() })
    }

    /// The role's number.
    pub fn number(&self) -> u64 {
        self.role.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role's name.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The file's name, for SQLite.
    pub fn file(&self) -> String {
        format!("{}.db", self.database)
    }

    /// What every role of this tenant begins with, as a pattern of LIKE whose escape is `!`.
    pub(super) fn roles_like(&self) -> String {
        format!("{}!_%", self.database.replace('_', "!_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_recognised() {
        let tenant: TenantId = "0123cdef-89ab-4def-8123-456789abcdef".parse().unwrap();
        let names = Names::of(tenant, 12345);
        assert_eq!(names.database(), "wg_0123cdef89ab4def81234567");
        assert!(names.role().len() <= 33, "{}", names.role());
        assert!(Names::of(tenant, 9999).role().len() <= 32);
        assert_eq!(Names::recognise(tenant, names.database(), names.role()), Some(names.clone()));
        for (database, role) in [
            (names.database(), "wg_0123cdef89ab4def81234567"),
            (names.database(), "wg_0123cdef89ab4def81234567_01"),
            (names.database(), "wg_0123cdef89ab4def81234567_x"),
            ("postgres", "postgres_1"),
        ] {
            assert_eq!(Names::recognise(tenant, database, role), None, "{role}");
        }
        assert_eq!(Names::recognise(TenantId::random(), names.database(), names.role()), None);
    }
}
