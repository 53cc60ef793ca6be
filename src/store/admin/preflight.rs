//! What there is to know of a database before it is served, asked without writing anything.

use serde::Serialize;

use super::{Admin, AdminFault};
use crate::pool::dial::ServerFlavour;

/// Something found out about a database, with whether it should be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about: `version`, `rights`, `other databases`, `time zone`, `characters`.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// Why that should be looked at.
    pub warning: Option<&'static str>,
}

const PG: &str = "SELECT current_setting('server_version_num'), current_setting('server_encoding'), \
     current_setting('TimeZone'), (SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user), \
     (SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
      AND n.nspname OPERATOR(pg_catalog.!~) '^pg_' AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE')), \
     (SELECT count(*)::text FROM pg_database WHERE datallowconn AND datname <> current_database() \
      AND datname NOT IN ('postgres', 'template1') AND has_database_privilege(oid, 'CONNECT'))";
const MY: &str = "SELECT VERSION(), @@character_set_database, @@system_time_zone, \
     (SELECT CAST(count(*) AS CHAR) FROM information_schema.user_privileges WHERE privilege_type = 'SUPER'), \
     (SELECT CAST(count(*) AS CHAR) FROM (\
      SELECT privilege_type FROM information_schema.user_privileges \
       WHERE privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'DROP', 'ALTER') \
      UNION ALL SELECT privilege_type FROM information_schema.schema_privileges \
       WHERE privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'DROP', 'ALTER') \
      UNION ALL SELECT privilege_type FROM information_schema.table_privileges \
       WHERE privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'DROP', 'ALTER')) p), \
     (SELECT CAST(count(*) AS CHAR) FROM information_schema.schemata WHERE schema_name NOT IN \
      ('information_schema', 'performance_schema', 'sys') AND schema_name <> DATABASE())";
const LITE: &str = "SELECT sqlite_version(), (SELECT encoding FROM pragma_encoding)";

/// Whether what is served from a database is meant to be written, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritesBack {
    /// The gateway made the database, or the mapping in force writes back.
    Yes,
    /// The mapping in force only reads.
    No,
    /// There is no mapping yet.
    Unknown,
}

/// Asks. Nothing is written, whatever the role may do.
pub async fn preflight(conn: &mut Admin, meant: WritesBack) -> Result<Vec<Finding>, AdminFault> {
    let flavour = conn.opened().facts.flavour;
    let sql = match flavour {
        ServerFlavour::Postgres => PG,
        ServerFlavour::MySql | ServerFlavour::MariaDb => MY,
        ServerFlavour::Sqlite => LITE,
    };
    let row = conn.rows(sql).await?.into_iter().next().unwrap_or_default();
    let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let short = |text: String| -> String {
        text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(60).collect()
    };
    let mut found = vec![
        Finding { what: "version", found: short(cell(0)), warning: too_old(flavour, &cell(0)) },
        Finding { what: "characters", found: short(cell(1)), warning: characters(&cell(1)) },
    ];
    if flavour == ServerFlavour::Sqlite {
        return Ok(found);
    }
    let zone = cell(2);
    let utc = ["UTC", "Etc/UTC", "GMT"].contains(&zone.as_str());
    let sets =
        "times without a zone are read as the mapping's database.timezone says; set it there";
    found.push(Finding { what: "time zone", found: short(zone), warning: (!utc).then_some(sets) });
    let all = flavour == ServerFlavour::Postgres && cell(3) != "false"
        || flavour != ServerFlavour::Postgres && cell(3) != "0";
    let writes = cell(4) != "0";
    found.push(rights(all, writes, meant));
    let others = cell(5);
    let seen = "the role sees other databases of the server: use one that sees its own only";
    let warning = (others != "0").then_some(seen);
    found.push(Finding { what: "other databases", found: short(others), warning });
    Ok(found)
}

fn rights(all: bool, writes: bool, meant: WritesBack) -> Finding {
    let (found, warning) = match (all, writes, meant) {
        (true, ..) => (
            "superuser",
            Some("the role may do anything on the server: use one of the hospital's data alone"),
        ),
        (_, true, WritesBack::Yes) => ("reads and writes, as is meant", None),
        (_, true, WritesBack::No) => (
            "reads and writes",
            Some(
                "the role may write and the mapping in force only reads: use one that may only read",
            ),
        ),
        (_, true, WritesBack::Unknown) => (
            "reads and writes",
            Some("the role may write; unless writing back is wanted, use one that may only read"),
        ),
        (_, false, WritesBack::Yes) => (
            "reads",
            Some("the mapping in force writes back and the role may only read: changes will fail"),
        ),
        _ => ("reads", None),
    };
    Finding { what: "rights", found: found.to_owned(), warning }
}

fn too_old(flavour: ServerFlavour, version: &str) -> Option<&'static str> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let mut next = || -> u64 { numbers.next().unwrap_or(0) };
    match flavour {
        ServerFlavour::Postgres => (next() < 120_000).then_some("older than PostgreSQL 12"),
        ServerFlavour::MariaDb => {
            let mut at = (next(), next());
            // Old protocol prefix of MariaDB: 5.5.5-10.x.
            if at == (5, 5) {
                let _patch = next();
                at = (next(), next());
            }
            (at < (10, 5)).then_some("older than MariaDB 10.5")
        }
        ServerFlavour::MySql => ((next(), next()) < (8, 0)).then_some("older than MySQL 8.0"),
        ServerFlavour::Sqlite => None,
    }
}

fn characters(set: &str) -> Option<&'static str> {
    let whole = ["UTF8", "utf8mb4", "UTF-8", "UTF-16le", "UTF-16be"].contains(&set);
    (!whole).then_some("not all letters of Unicode fit: names may be damaged already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_warned_of_where_it_is_not_what_is_meant() {
        use WritesBack::{No, Unknown, Yes};
        for (all, writes, meant, warned) in [
            (false, true, Yes, false),
            (false, true, No, true),
            (false, true, Unknown, true),
            (false, false, Yes, true),
            (false, false, No, false),
            (false, false, Unknown, false),
            (true, true, Yes, true),
            (true, false, No, true),
        ] {
            let found = rights(all, writes, meant);
            assert_eq!(found.warning.is_some(), warned, "{all} {writes} {meant:?}");
        }
    }

    #[test]
    fn old_servers_are_named() {
        use ServerFlavour::{MariaDb, MySql, Postgres};
        for (flavour, version, old) in [
            (Postgres, "150018", false),
            (Postgres, "110022", true),
            (MariaDb, "10.11.19-MariaDB-0+deb12u1", false),
            (MariaDb, "5.5.5-10.3.1-MariaDB", true),
            (MariaDb, "10.4.2-MariaDB", true),
            (MySql, "8.0.36", false),
            (MySql, "5.7.44-log", true),
        ] {
            assert_eq!(too_old(flavour, version).is_some(), old, "{version}");
        }
        assert_eq!([characters("utf8mb4"), characters("UTF8")], [None, None]);
        assert!(characters("latin1").is_some());
    }
}
