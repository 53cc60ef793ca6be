use crate::base::Engine;

use super::Letters;
use super::WriteFault;
use crate::pool::dial::{ServerFacts, ServerFlavour};

/// Which SQL to write. MySQL and MariaDB differ in their regular expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// PostgreSQL 9.6 or later.
    Postgres,
    /// The same, its texts in another encoding than UTF-8, which holds these letters.
    PostgresIn(Letters),
    /// MySQL 5.7 or later.
    MySql,
    /// MariaDB 10.3 or later.
    MariaDb,
    /// SQLite 3.44 or later, which is the one built in.
    Sqlite,
}

impl Flavour {
    /// The flavour of an engine and, for MySQL's family, the server's version text.
    pub fn of(engine: Engine, version: &str) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres,
            Engine::Sqlite => Self::Sqlite,
            Engine::MySql if version.to_ascii_lowercase().contains("mariadb") => Self::MariaDb,
            Engine::MySql => Self::MySql,
        }
    }

    /// The engine it belongs to.
    pub const fn engine(self) -> Engine {
        match self {
            Self::Postgres | Self::PostgresIn(_) => Engine::Postgres,
            Self::MySql | Self::MariaDb => Engine::MySql,
            Self::Sqlite => Engine::Sqlite,
        }
    }

    /// Of a server that is connected to.
    pub fn of_server(facts: &ServerFacts) -> Self {
        let letters = || facts.encoding.as_deref().and_then(Letters::of);
        match facts.flavour {
            ServerFlavour::Postgres => letters().map_or(Self::Postgres, Self::PostgresIn),
            ServerFlavour::MySql => Self::MySql,
            ServerFlavour::MariaDb => Self::MariaDb,
            ServerFlavour::Sqlite => Self::Sqlite,
        }
    }

    /// Whether it is PostgreSQL, in whatever encoding.
    pub const fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres | Self::PostgresIn(_))
    }

    /// Where what was written for it is kept; nowhere for those of which there are many.
    pub(super) const fn place(self) -> Option<usize> {
        match self {
            Self::Postgres => Some(0),
            Self::MySql => Some(1),
            Self::MariaDb => Some(2),
            Self::Sqlite => Some(3),
            Self::PostgresIn(_) => None,
        }
    }

    /// Whether the database can hold a text. One that it cannot hold equals nothing in it.
    pub(super) fn holds(self, text: &str) -> bool {
        match self {
            Self::PostgresIn(letters) => letters.holds(text),
            _ => true,
        }
    }

    /// Whether it is MySQL or MariaDB.
    pub const fn is_mysql(self) -> bool {
        matches!(self, Self::MySql | Self::MariaDb)
    }

    /// Appends a quoted identifier. Names come from the catalogue and are still not trusted: one that
    /// is empty, holds a NUL, or is longer than the engine keeps (and would silently cut) is refused.
    pub(super) fn quote(self, name: &str, out: &mut String) -> Result<(), WriteFault> {
        let fits = match self {
            Self::Postgres | Self::PostgresIn(_) => name.len() <= 63,
            // Identifiers live in utf8mb3 there: nothing beyond the basic plane can name anything.
            Self::MySql | Self::MariaDb => {
                name.chars().count() <= 64 && name.chars().all(|c| u32::from(c) <= 0xFFFF)
            }
            Self::Sqlite => name.len() <= 1024,
        };
        if name.is_empty() || name.contains('\0') || !fits {
            return Err(WriteFault::Identifier);
        }
        let mark = if self.is_mysql() { '`' } else { '"' };
        out.push(mark);
        for c in name.chars() {
            if c == mark {
                out.push(mark);
            }
            out.push(c);
        }
        out.push(mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_inside_a_name_cannot_end_it() {
        for (flavour, name, want) in [
            (Flavour::Postgres, "a\"; DROP", "\"a\"\"; DROP\""),
            (Flavour::MariaDb, "a`b\"", "`a``b\"`"),
            (Flavour::Sqlite, "\"", "\"\"\"\""),
        ] {
            let mut out = String::new();
            flavour.quote(name, &mut out).unwrap();
            assert_eq!(out, want);
        }
    }

    #[test]
    fn names_no_engine_can_hold_are_refused() {
        let long = "x".repeat(2000);
        for flavour in [Flavour::Postgres, Flavour::MySql, Flavour::MariaDb, Flavour::Sqlite] {
            for name in ["", "a\0b", &long] {
                assert_eq!(flavour.quote(name, &mut String::new()), Err(WriteFault::Identifier));
            }
        }
        assert!(Flavour::Postgres.quote(&"é".repeat(32), &mut String::new()).is_err());
        assert!(Flavour::MySql.quote("a😀", &mut String::new()).is_err());
    }
}
