//! Two gateways over one PostgreSQL registry: what one is told, or what plain SQL writes, counts on both
//! within 5 seconds.

use std::time::{Duration, Instant};

use crate::harness::{Database, Postgres};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};

/// What the documentation promises.
const WITHIN: Duration = Duration::from_secs(5);

/// The registry's own URL form for a database.
fn setting(database: &Database) -> String {
    let Database { server, user, password, name, .. } = database;
    let ca = server.ca_file.display();
    format!("postgres://{user}:{password}@{}:{}/{name}?sslrootcert={ca}", server.host, server.port)
}

/// Waits until a gateway answers with that status.
async fn until(gateway: &Gateway, token: &str, status: u16, what: &str) {
    let begun = Instant::now();
    loop {
        let reply = gateway.get(token, "/Patient/1").await;
        if reply.status == status {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "{what}: after {WITHIN:?} still {reply:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_follow_a_change_however_it_was_made() {
    let (registry, keys, hospital) =
        (Postgres::database().await, Postgres::database().await, Postgres::database().await);
    hospital.execute(&patients_sql("mark", 1..4)).await;
    let issuer = TestIssuer::for_tenants(&["shared", "other"]).await;
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores {
        registry: setting(&registry),
        keys: setting(&keys),
        kek: folder.path().join("kek"),
    };
    let options = |fresh| Options {
        egress: vec![format!("127.0.0.1/32:{}", hospital.server.port)],
        stores: Some(stores.clone()),
        fresh,
        ..Options::default()
    };
    let one = Gateway::start(&issuer, options(true)).await;
    let two = Gateway::start(&issuer, options(false)).await;
    for name in ["shared", "other"] {
        one.register(name, hospital.connection(hospital.server.port)).await;
        one.publish(name, &mapping("1")).await;
    }
    let (token, other) = (issuer.token("shared"), issuer.token("other"));
    for gateway in [&one, &two] {
        until(gateway, &token, 200, "warming up").await;
        until(gateway, &other, 200, "warming up").await;
    }

    for (teller, follower) in [(&one, &two), (&two, &one)] {
        teller.suspend("shared").await;
        assert_eq!(teller.get(&token, "/Patient/1").await.status, 403, "not at once");
        until(follower, &token, 403, "suspended by the other gateway").await;
        teller.resume("shared").await;
        assert_eq!(teller.get(&token, "/Patient/1").await.status, 200, "not at once");
        until(follower, &token, 200, "resumed by the other gateway").await;
    }
    for (state, status) in
        [("suspended", 403), ("active", 200), ("suspended", 403), ("active", 200)]
    {
        let sql = format!("UPDATE tenants SET state = '{state}' WHERE name = 'shared'");
        registry.execute(&sql).await;
        tokio::join!(
            until(&one, &token, status, "changed by plain SQL"),
            until(&two, &token, status, "changed by plain SQL"),
        );
    }
    // A new mapping and a removed identity travel the same way.
    one.publish("shared", &mapping("2")).await;
    let begun = Instant::now();
    while two.get(&token, "/Patient/1").await.json()["identifier"][0]["system"] != "urn:mapping:2" {
        assert!(begun.elapsed() < WITHIN, "the old mapping is still in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    registry.execute("DELETE FROM bindings WHERE claim_value = 'shared'").await;
    for gateway in [&one, &two] {
        until(gateway, &token, 403, "its identity removed by plain SQL").await;
        assert_eq!(gateway.get(&other, "/Patient/1").await.status, 200);
    }
}
