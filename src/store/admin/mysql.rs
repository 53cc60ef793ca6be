//! MariaDB 10.5 and MySQL 8.0.16 or later.
//!
//! Rights are granted table by table: in a grant on a whole database `_` and `%` are wildcards, so that
//! one on `wg_ab` would reach `wgxab` too.

use super::{Admin, AdminFault, Names};
use crate::base::SecretText;
use crate::pool::dial::{ServerFlavour, native_hash};

/// Tables the role of a tenant reads and never writes.
const READ_ONLY: [&str; 3] = ["wardgate_identity", "wardgate_migrations", "reference_codes"];

pub(super) async fn make_role(
    admin: &mut Admin,
    names: &Names,
    password: &SecretText,
) -> Result<(), AdminFault> {
    let role = names.role();
    let identified = if admin.opened().facts.flavour == ServerFlavour::MariaDb {
        format!("IDENTIFIED BY PASSWORD '{}'", native_hash(password).expose())
    } else {
        // MySQL keeps passwords out of its logs by itself.
        format!("IDENTIFIED BY '{}'", password.expose())
    };
    let tls = if admin.opened().facts.tls { "REQUIRE SSL" } else { "" };
    admin.command(&format!("CREATE USER IF NOT EXISTS '{role}'@'%' {identified} {tls}")).await?;
    admin.command(&format!("ALTER USER '{role}'@'%' {identified} {tls}")).await
}

pub(super) async fn make_database(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    let database = names.database();
    let sql = format!(
        "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
    );
    admin.command(&sql).await
}

async fn tables(admin: &mut Admin, names: &Names) -> Result<Vec<String>, AdminFault> {
    let sql = format!(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = '{}'",
        names.database()
    );
    let plain = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    Ok(admin.rows(&sql).await?.into_iter().flatten().flatten().filter(plain).collect())
}

pub(super) async fn grant(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    let (database, role) = (names.database(), names.role());
    for table in tables(admin, names).await? {
        let rights = if READ_ONLY.contains(&table.as_str()) {
            "SELECT"
        } else {
            "SELECT, INSERT, UPDATE, DELETE"
        };
        admin.command(&format!("GRANT {rights} ON {database}.`{table}` TO '{role}'@'%'")).await?;
    }
    Ok(())
}

pub(super) async fn drop_role(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    let role = names.role();
    admin.command(&format!("DROP USER IF EXISTS '{role}'@'%'")).await?;
    // Sessions of a user that is gone live on until they are ended.
    let sql = format!(
        "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE user = '{role}'"
    );
    for id in admin.rows(&sql).await?.into_iter().flatten().flatten() {
        if id.bytes().all(|b| b.is_ascii_digit()) {
            // One that ended by itself in this moment is no fault.
            match admin.command(&format!("KILL {id}")).await {
                Err(AdminFault::Refused { .. }) | Ok(()) => {}
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(())
}

pub(super) async fn drop_database(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    admin.command(&format!("DROP DATABASE IF EXISTS {}", names.database())).await
}

pub(super) async fn traces(admin: &mut Admin, names: &Names) -> Result<(u64, u64), AdminFault> {
    let databases = format!(
        "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '{}'",
        names.database()
    );
    let databases = admin.count(&databases).await?;
    let like = names.roles_like();
    let roles = format!("SELECT count(*) FROM mysql.user WHERE user LIKE '{like}' ESCAPE '!'");
    Ok((databases, admin.count(&roles).await?))
}
