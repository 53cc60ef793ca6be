//! PostgreSQL 12 or later.

use super::{Admin, AdminFault, Names};
use crate::base::{SecretText, TenantId};
use crate::pool::dial::scram_verifier;

/// Tables the role of a tenant reads and never writes.
const READ_ONLY: &str = "wardgate_identity, wardgate_migrations, reference_codes";

async fn role_exists(admin: &mut Admin, names: &Names) -> Result<bool, AdminFault> {
    let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{}'", names.role());
    Ok(admin.count(&sql).await? > 0)
}

async fn database_exists(admin: &mut Admin, names: &Names) -> Result<bool, AdminFault> {
    let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", names.database());
    Ok(admin.count(&sql).await? > 0)
}

pub(super) async fn make_role(
    admin: &mut Admin,
    names: &Names,
    password: &SecretText,
) -> Result<(), AdminFault> {
    let verifier = scram_verifier(password).map_err(|_| AdminFault::Lost)?;
    let (role, verifier) = (names.role(), verifier.expose());
    let sql = if role_exists(admin, names).await? {
        format!("ALTER ROLE {role} LOGIN PASSWORD '{verifier}'")
    } else {
        format!("CREATE ROLE {role} LOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD '{verifier}'")
    };
    admin.command(&sql).await
}

pub(super) async fn make_database(
    admin: &mut Admin,
    names: &Names,
    tenant: TenantId,
) -> Result<(), AdminFault> {
    let database = names.database();
    if !database_exists(admin, names).await? {
        let sql = format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'");
        match admin.command(&sql).await {
            // Another run that lost its lease was in the middle of it.
            Err(AdminFault::Refused { code, .. }) if code == "42P04" || code == "23505" => {}
            done => done?,
        }
    }
    admin.command(&format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await?;
    admin.command(&format!("COMMENT ON DATABASE {database} IS 'wardgate tenant {tenant}'")).await
}

pub(super) async fn grant(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    let (database, role) = (names.database(), names.role());
    let sql = format!(
        "BEGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
         GRANT CONNECT ON DATABASE {database} TO {role}; GRANT USAGE ON SCHEMA public TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
         REVOKE INSERT, UPDATE, DELETE ON {READ_ONLY} FROM {role}; COMMIT"
    );
    let done = admin.command(&sql).await;
    if done.is_err() {
        let _closed_soon = admin.command("ROLLBACK").await;
    }
    done
}

/// Sessions that may not be ended keep what is dropped next in use, which says so itself.
async fn end_sessions(admin: &mut Admin, sql: &str) -> Result<(), AdminFault> {
    match admin.rows(sql).await {
        Ok(_) | Err(AdminFault::Refused { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn drop_role(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    if !role_exists(admin, names).await? {
        return Ok(());
    }
    let role = names.role();
    // An administrator who is no superuser may end sessions of roles she is a member of.
    admin.command(&format!("ALTER ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER")).await?;
    let ended =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'");
    end_sessions(admin, &ended).await?;
    // What it was granted on databases goes with them, or here when they stay.
    if database_exists(admin, names).await? {
        let sql = format!("REVOKE ALL ON DATABASE {} FROM {role}", names.database());
        admin.command(&sql).await?;
    }
    admin.command(&format!("DROP ROLE IF EXISTS {role}")).await
}

/// Takes away what the role was granted inside the database this connection is to.
pub(super) async fn drop_grants(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    if !role_exists(admin, names).await? {
        return Ok(());
    }
    let role = names.role();
    let sql = format!(
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}; REVOKE ALL ON SCHEMA public FROM {role}"
    );
    admin.command(&sql).await
}

pub(super) async fn drop_database(admin: &mut Admin, names: &Names) -> Result<(), AdminFault> {
    if !database_exists(admin, names).await? {
        return Ok(());
    }
    let database = names.database();
    admin.command(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await?;
    let ended = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    );
    end_sessions(admin, &ended).await?;
    admin.command(&format!("DROP DATABASE IF EXISTS {database}")).await
}

pub(super) async fn traces(admin: &mut Admin, names: &Names) -> Result<(u64, u64), AdminFault> {
    let databases = u64::from(database_exists(admin, names).await?);
    let like = names.roles_like();
    let roles = format!("SELECT count(*) FROM pg_roles WHERE rolname LIKE '{like}' ESCAPE '!'");
    Ok((databases, admin.count(&roles).await?))
}
