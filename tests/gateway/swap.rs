//! Somebody who can write to the registry, and has no keys, tries to lead one hospital to another's
//! database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{Gateway, Options, TestIssuer, mapping};
use crate::world::{self, in_registry};

/// A port that counts who knocks and says nothing.
struct Trap {
    port: u16,
    knocks: Arc<AtomicUsize>,
}

impl Trap {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let knocks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&knocks);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Self { port, knocks }
    }

    fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }
}

/// The gateway takes up what plain SQL wrote, and opens the connection anew: a lane that is open already
/// was made from the true record and may serve on.
async fn take_up(gateway: &Gateway, name: &str) {
    for what in ["invalidate", "pool/drain", "breaker/reset"] {
        let path = format!("tenants/{name}/{what}");
        let done = gateway.operate(Method::POST, &path, None, None).await;
        assert!((200..300).contains(&done.status), "{path}: {done:?}");
    }
}

/// A binding is plain text, and leads tokens to hospitals.
#[tokio::test]
async fn a_rewritten_binding_leads_no_token_to_another_hospital() {
    let names = ["north", "south"];
    let issuer = TestIssuer::for_tenants(&names).await;
    let gateway = world::hospitals(&issuer, &names, Options::default()).await;
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    let of = |name: &str| format!("(SELECT id FROM tenants WHERE name = '{name}')");
    let copied =
        "INSERT INTO bindings (issuer, claim_value, tenant, azp) SELECT issuer, claim_value, ";
    for sql in [
        format!("UPDATE bindings SET tenant = {} WHERE claim_value = 'north'", of("south")),
        format!(
            "DELETE FROM bindings WHERE claim_value = 'north'; {copied} {}, azp FROM gone",
            of("south")
        ),
        "UPDATE bindings SET azp = '[\"ward-app\"]' WHERE claim_value = 'north'".to_owned(),
        "UPDATE bindings SET azp = json_set(azp, '$.clients', json('[\"ward-app\",\"x\"]')) \
         WHERE claim_value = 'north'"
            .to_owned(),
        format!(
            "UPDATE bindings SET tenant = {}, azp = (SELECT azp FROM bindings WHERE claim_value = 'south') \
             WHERE claim_value = 'north'",
            of("south")
        ),
    ] {
        assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200, "before {sql}");
        in_registry(
            &gateway,
            "CREATE TABLE gone AS SELECT * FROM bindings WHERE claim_value = 'north'",
        )
        .await;
        in_registry(&gateway, &sql).await;
        take_up(&gateway, "south").await;
        take_up(&gateway, "north").await;
        for path in ["/Patient/1001", "/Patient/2001", "/Patient", "/metadata"] {
            let reply = gateway.get(&north, path).await;
            assert_eq!(reply.status, 403, "{path} after {sql}: {reply:?}");
            assert!(!reply.body.contains("mark-"), "{sql}: {reply:?}");
        }
        assert_eq!(gateway.get(&south, "/Patient/2001").await.status, 200, "{sql}");
        let back = "DELETE FROM bindings WHERE claim_value = 'north'; \
                    INSERT INTO bindings SELECT * FROM gone; DROP TABLE gone";
        in_registry(&gateway, back).await;
        take_up(&gateway, "north").await;
    }
}

/// The columns of `connections` an attacker exchanges, from the least to all.
const EXCHANGES: [&[&str]; 4] = [
    &["sealed"],
    &["sealed", "data_key_id"],
    &["sealed", "data_key_id", "record_id"],
    &["sealed", "data_key_id", "record_id", "server_identity", "engine", "tls", "sealed_at"],
];

#[tokio::test]
async fn exchanged_connection_records_open_nothing() {
    let names = ["north", "south", "third"];
    let issuer = TestIssuer::for_tenants(&names).await;
    let traps = [Trap::set().await, Trap::set().await];
    let egress = traps.iter().map(|trap| format!("127.0.0.1/32:{}", trap.port)).collect();
    let options = Options { egress, ..Options::default() };
    let gateway = world::hospitals(&issuer, &names, options).await;
    for (name, trap) in names.iter().zip(&traps) {
        let url = format!("postgres://u:p@127.0.0.1:{}/d?tls=loopback-plaintext", trap.port);
        let connection = json!({ "url": url, "check": false });
        gateway.change(Method::PUT, name, "connection", connection).await;
    }
    let tokens = names.map(|name| issuer.token(name));
    // Positive control: each tenant's own requests knock at its own trap.
    for (at, trap) in traps.iter().enumerate() {
        let reply = gateway.get(&tokens[at], "/Patient/1001").await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(trap.knocks() > 0, "the trap does not work");
    }
    let id = async |name: &str| {
        gateway.view(&format!("tenants/{name}")).await["id"].as_str().unwrap().to_owned()
    };
    let (north, south) = (id("north").await, id("south").await);
    for columns in EXCHANGES {
        let exchange = exchange(columns, &north, &south);
        in_registry(&gateway, &exchange).await;
        take_up(&gateway, "north").await;
        take_up(&gateway, "south").await;
        let before = traps.each_ref().map(Trap::knocks);
        for _ in 0..20 {
            for token in &tokens[..2] {
                let reply = gateway.get(token, "/Patient/1001").await;
                assert_eq!(reply.status, 500, "{columns:?}: {reply:?}");
                assert!(!reply.body.contains("seal"), "{reply:?}");
            }
            let third = gateway.get(&tokens[2], "/Patient/3001").await;
            assert_eq!(third.status, 200, "{third:?}");
        }
        let after = traps.each_ref().map(Trap::knocks);
        assert_eq!(before, after, "{columns:?}: a socket was opened");
        // Exchanged back, all is as before.
        in_registry(&gateway, &exchange).await;
        for (at, trap) in traps.iter().enumerate() {
            take_up(&gateway, names[at]).await;
            let reply = gateway.get(&tokens[at], "/Patient/1001").await;
            assert_eq!(reply.status, 503, "{columns:?}: {reply:?}");
            assert!(trap.knocks() > after[at], "{columns:?}: its own record does not open");
        }
    }
    let log = gateway.log().await.to_lowercase();
    assert!(log.contains("integrity"), "no integrity event in the log");
}

/// SQL that exchanges these columns between two tenants' rows; run twice it is undone.
fn exchange(columns: &[&str], one: &str, other: &str) -> String {
    let kept = columns.iter().map(|c| format!("{c} AS {c}")).collect::<Vec<_>>().join(", ");
    let set = |from: &str| {
        let part = |c: &&str| format!("{c} = (SELECT {c} FROM kept WHERE tenant = '{from}')");
        columns.iter().map(part).collect::<Vec<_>>().join(", ")
    };
    let spare = if columns.contains(&"record_id") {
        // record_id is unique, so one row steps aside first.
        format!(
            "UPDATE connections SET record_id = '00000000-0000-4000-8000-000000000000' WHERE tenant = '{one}';"
        )
    } else {
        String::new()
    };
    format!(
        "BEGIN IMMEDIATE;
         CREATE TEMP TABLE kept AS SELECT tenant, {kept} FROM connections;
         {spare}
         UPDATE connections SET {} WHERE tenant = '{other}';
         UPDATE connections SET {} WHERE tenant = '{one}';
         COMMIT; DROP TABLE kept;",
        set(one),
        set(other),
    )
}

#[tokio::test]
async fn an_older_record_put_back_opens_nothing() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let old: String = {
        let mut connection = world::registry(&gateway).await;
        let row = sqlx::query_scalar("SELECT sealed FROM connections").fetch_one(&mut connection);
        row.await.unwrap()
    };
    let file = gateway.folder().join("sqlite/new.db");
    crate::support::sqlite_hospital(&file, "mark-new", 1001..1006).await;
    gateway.change(Method::PUT, "north", "connection", json!({ "url": "sqlite:new.db" })).await;
    gateway.publish("north", &mapping("2")).await;
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
    in_registry(&gateway, &format!("UPDATE connections SET sealed = '{old}'")).await;
    take_up(&gateway, "north").await;
    for _ in 0..10 {
        let reply = gateway.get(&token, "/Patient/1001").await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(!reply.body.contains("mark-"), "{reply:?}");
    }
}
