//! The whole gateway on embedded parts: SQLite registry, SQLite hospitals, an issuer on loopback. The
//! program runs as a process of its own and is talked to over HTTP only.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod authoring;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod cursors;
#[cfg(test)]
mod drifting;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod further;
#[cfg(test)]
mod exporting;
#[cfg(test)]
mod following;
#[cfg(test)]
mod exporting_again;
#[cfg(test)]
mod exporting_some;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod heavy;
#[cfg(test)]
mod hospital;
#[cfg(test)]
#[expect(unused, reason = "made for the tests of tokens")]
#[path = "../support/idp.rs"]
mod idp;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod loose;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod ready;
#[cfg(test)]
mod repeated;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod seeing;
#[cfg(test)]
mod selfcheck;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod swap;
#[cfg(test)]
mod tenancy;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod whole;
#[cfg(test)]
mod writing;

/// What the topics share.
#[cfg(test)]
mod world {
    use std::time::Duration;

    use serde_json::json;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{ConnectOptions as _, Connection as _};

    use crate::support::{Gateway, Options, TestIssuer, mapping, sqlite_hospital};

    /// A gateway with SQLite hospitals of these names. Ids of the first begin at 1001, of the second at
    /// 2001 and so on, five rows each; every row's family name is `mark-NAME`.
    pub async fn hospitals(issuer: &TestIssuer, names: &[&str], options: Options) -> Gateway {
        let gateway = Gateway::start(issuer, options).await;
        for (at, name) in names.iter().enumerate() {
            let first = 1000 * (at as u64 + 1) + 1;
            let file = gateway.folder().join(format!("sqlite/{name}.db"));
            sqlite_hospital(&file, &format!("mark-{name}"), first..first + 5).await;
            let connection = json!({ "url": format!("sqlite:{name}.db") });
            let tenant = gateway.register(name, connection).await;
            assert_eq!(tenant["state"], "active", "{tenant}");
            gateway.publish(name, &mapping("1")).await;
        }
        gateway
    }

    /// A connection to a gateway's registry, past the gateway.
    pub async fn registry(gateway: &Gateway) -> SqliteConnection {
        let file = gateway.folder().join("registry.db");
        let options =
            SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
        options.connect().await.unwrap()
    }

    /// What somebody else writes into a gateway's registry.
    pub async fn in_registry(gateway: &Gateway, sql: &str) {
        let mut connection = registry(gateway).await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
