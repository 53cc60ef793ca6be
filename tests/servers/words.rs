//! A database server's own words - its errors quote cells, accounts, databases and statements - stay in
//! the server: none is in an answer, the log, the metrics or the access log.

use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Database, MariaDb, Postgres};
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};

/// A `patients` that works for row 1, and whose other rows make the server say what is in them.
const POSTGRES: &str = "
    CREATE TABLE rows (id integer PRIMARY KEY, raw text);
    INSERT INTO rows VALUES (1, '7'), (2, 'canarycell-cast'), (3, 'canarycell-raise'), (4, 'canarycell-notice');
    CREATE FUNCTION shown(raw text) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        IF raw = 'canarycell-raise' THEN
            RAISE EXCEPTION 'canarycell-message %', raw USING DETAIL = 'canarycell-detail', HINT = 'canarycell-hint';
        END IF;
        IF raw = 'canarycell-notice' THEN RAISE WARNING 'canarycell-warning'; RETURN raw; END IF;
        RETURN raw::integer::text;
    END $$;
    CREATE VIEW patients AS SELECT id, shown(raw) AS mrn, 'a'::text AS family_name, 'b'::text AS given_names
        FROM rows;";

const MARIADB: &str = "
    CREATE TABLE raw_rows (id INTEGER PRIMARY KEY, raw VARCHAR(80));
    INSERT INTO raw_rows VALUES (1, '7'), (2, 'canarycell-cast'), (3, 'canarycell-raise'), (4, '8');
    CREATE FUNCTION shown(raw VARCHAR(80)) RETURNS VARCHAR(80) DETERMINISTIC
    BEGIN
        IF raw LIKE 'canarycell%' THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'canarycell-message';
        END IF;
        RETURN raw;
    END;
    CREATE VIEW patients AS SELECT id, shown(raw) AS mrn, 'a' AS family_name, 'b' AS given_names
        FROM raw_rows;";

const WORDS: [&str; 5] =
    ["canarycell", "canaryaccount", "canarydatabase", "canarypassword", "shown("];

/// Reads that make the server complain, then logins it refuses in its own words.
async fn complain(database: Database, sql: &str) {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let port = database.server.port;
    let egress = vec![format!("127.0.0.1/32:{port}")];
    let gateway = Gateway::start(&issuer, Options { egress, ..Options::default() }).await;
    database.execute(sql).await;
    gateway.register("north", database.connection(port)).await;
    gateway.publish("north", &mapping("1")).await;
    let token = issuer.token("north");
    let good = gateway.get(&token, "/Patient/1").await;
    assert_eq!(good.status, 200, "{good:?}");

    let mut replies = Vec::new();
    for path in
        ["/Patient/2", "/Patient/3", "/Patient", "/Patient?identifier=7", "/Patient?family=a"]
    {
        let reply = gateway.get(&token, path).await;
        replies.push(reply);
    }
    // The server did complain: of a cell it could not convert, and in words of its own.
    assert!(replies[..2].iter().all(|reply| reply.status >= 400), "{replies:?}");
    // A value the server warns of is a value: it is in her own answer and nowhere else.
    gateway.get(&token, "/Patient/4").await;
    replies.extend(refused_logins(&gateway, &database, &token).await);
    for reply in &replies {
        let shown = format!("{:?} {}", reply.headers, reply.body);
        assert!(!WORDS.iter().any(|word| shown.contains(word)), "{reply:?}");
    }
    let metrics = Reply::of(gateway.http.get(format!("{}/metrics", gateway.admin))).await.unwrap();
    let mut places = vec![("the log", gateway.log().await), ("the metrics", metrics.body)];
    let mut audit = String::new();
    texts(&gateway.folder().join("audit"), &mut audit);
    assert!(!audit.is_empty(), "no access log");
    places.push(("the access log", audit));
    for (place, text) in &places {
        for word in WORDS {
            let lines: Vec<_> = text.lines().filter(|line| line.contains(word)).collect();
            assert!(lines.is_empty(), "{word} in {place}: {lines:?}");
        }
    }
}

async fn refused_logins(gateway: &Gateway, database: &Database, token: &str) -> Vec<Reply> {
    let Database { user, password, name, ca_pem, .. } = database;
    let good = database.connection(database.server.port);
    let scheme = good["url"].as_str().unwrap().split_once(':').unwrap().0.to_owned();
    let mut replies = Vec::new();
    for part in [
        format!("canaryaccount:canarypassword@127.0.0.1:{}/{name}", database.server.port),
        format!("{user}:canarypassword@127.0.0.1:{}/{name}", database.server.port),
        format!("{user}:{password}@127.0.0.1:{}/canarydatabase", database.server.port),
    ] {
        for check in [true, false] {
            let url = format!("{scheme}://{part}");
            let body = json!({ "url": url, "ca_pem": ca_pem, "check": check }).to_string();
            let generation = gateway.view("tenants/north").await["generation"].as_u64();
            let path = "tenants/north/connection";
            let body = Some(("application/json", body));
            replies.push(gateway.operate(Method::PUT, path, generation, body).await);
            replies.push(gateway.get(token, "/Patient/1").await);
            for (method, path) in [
                (Method::POST, "tenants/north/check"),
                (Method::POST, "tenants/north/breaker/reset"),
                (Method::GET, "tenants/north/pool"),
                (Method::GET, "tenants/north/breaker"),
                (Method::GET, "events"),
            ] {
                replies.push(gateway.operate(method, path, None, None).await);
            }
        }
    }
    assert!(replies.iter().any(|reply| reply.status == 503), "no login was refused: {replies:?}");
    replies
}

fn texts(place: &Path, into: &mut String) {
    if place.is_dir() {
        for entry in std::fs::read_dir(place).unwrap() {
            texts(&entry.unwrap().path(), into);
        }
    } else {
        into.push_str(&String::from_utf8_lossy(&std::fs::read(place).unwrap()));
    }
}

#[tokio::test]
async fn postgres_is_not_quoted() {
    complain(Postgres::database().await, POSTGRES).await;
}

#[tokio::test]
async fn mariadb_is_not_quoted() {
    complain(MariaDb::database().await, MARIADB).await;
}
