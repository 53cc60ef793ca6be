//! Who sees what on a server, asked of the server itself.

use super::{Admin, AdminFault, Names};
use crate::pool::dial::ServerFlavour;

/// What a role or others see that they should not, in words; empty when the walls stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sees {
    /// Sentences.
    pub faults: Vec<String>,
    /// Other databases of the server the role may enter; what it can read in each is asked there.
    pub enters: Vec<String>,
}

const PG_SELF: &str = "SELECT rolsuper::text, rolcreatedb::text, rolcreaterole::text, rolreplication::text, \
     rolbypassrls::text, (SELECT count(*)::text FROM pg_auth_members m WHERE m.member = r.oid) \
     FROM pg_roles r WHERE rolname = current_user";
const PG_ENTERS: &str = "SELECT datname FROM pg_database WHERE datallowconn \
     AND datname <> current_database() AND has_database_privilege(current_user, oid, 'CONNECT')";
const PG_READS: &str = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)' AND has_schema_privilege(n.oid, 'USAGE') \
     AND has_table_privilege(c.oid, 'SELECT')";
const MY_SCHEMAS: &str = "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata \
     WHERE schema_name NOT IN ('information_schema', 'performance_schema')";
const MY_GLOBAL: &str = "SELECT count(*) FROM information_schema.user_privileges \
     WHERE privilege_type <> 'USAGE' \
     AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";

/// What the role behind this connection sees beyond its own database, whose names are given.
pub async fn seen_by_role(conn: &mut Admin, names: &Names) -> Result<Sees, AdminFault> {
    let mut sees = Sees::default();
    match conn.opened().facts.flavour {
        ServerFlavour::Sqlite => {}
        ServerFlavour::Postgres => {
            let row = conn.rows(PG_SELF).await?.into_iter().next().unwrap_or_default();
            let words = [
                "is a superuser",
                "may make databases",
                "may make roles",
                "may replicate",
                "passes row policies",
            ];
            for (word, cell) in words.iter().zip(&row) {
                if cell.as_deref() != Some("false") {
                    sees.faults.push(format!("the role {word}"));
                }
            }
            if row.get(5).and_then(Option::as_deref) != Some("0") {
                sees.faults.push("the role is a member of another role".to_owned());
            }
            sees.enters = conn.rows(PG_ENTERS).await?.into_iter().flatten().flatten().collect();
        }
        ServerFlavour::MySql | ServerFlavour::MariaDb => {
            let seen: Vec<String> =
                conn.rows(MY_SCHEMAS).await?.into_iter().flatten().flatten().collect();
            for other in seen.iter().filter(|name| *name != names.database()) {
                sees.faults.push(format!("the role sees the database {}", shown(other)));
            }
            if conn.count(MY_GLOBAL).await? > 0 {
                sees.faults.push("the role has rights on the whole server".to_owned());
            }
        }
    }
    Ok(sees)
}

/// How many tables the role behind this connection can read in the PostgreSQL database it is in.
pub async fn readable_tables(conn: &mut Admin) -> Result<u64, AdminFault> {
    conn.count(PG_READS).await
}

/// Who but its own role and the server's administrators may enter the tenant's database. Asked as the
/// server's administrator.
pub async fn seen_by_others(admin: &mut Admin, names: &Names) -> Result<Sees, AdminFault> {
    let (database, like) = (names.database(), names.roles_like());
    let sql = match admin.opened().facts.flavour {
        ServerFlavour::Sqlite => return Ok(Sees::default()),
        ServerFlavour::Postgres => format!(
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper \
             AND rolname NOT LIKE '{like}' ESCAPE '!' AND NOT pg_has_role(oid, \
             (SELECT datdba FROM pg_database WHERE datname = '{database}'), 'MEMBER') \
             AND has_database_privilege(oid, '{database}', 'CONNECT') LIMIT 20"
        ),
        ServerFlavour::MySql | ServerFlavour::MariaDb => format!(
            "SELECT DISTINCT CAST(grantee AS CHAR) FROM (\
             SELECT grantee FROM information_schema.schema_privileges WHERE '{database}' LIKE table_schema \
             UNION SELECT grantee FROM information_schema.table_privileges WHERE table_schema = '{database}' \
             UNION SELECT grantee FROM information_schema.user_privileges \
             WHERE privilege_type <> 'USAGE' AND grantee LIKE '''wg!_%' ESCAPE '!') g \
             WHERE grantee NOT LIKE '''{like}' ESCAPE '!' \
             AND grantee <> CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') LIMIT 20"
        ),
    };
    let others = admin.rows(&sql).await?.into_iter().flatten().flatten();
    let faults = others.map(|who| format!("{} may enter the new database", shown(&who))).collect();
    Ok(Sees { faults, enters: Vec::new() })
}

/// A name of the server's for people: short and without anything odd.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(64).collect()
}
