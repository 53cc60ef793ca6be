//! Hospitals made through the API of running gateways, read by their clinicians; gateways killed as processes.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{MariaDb, Postgres, Server};
use crate::support::{Gateway, Options, TestIssuer};

const PATIENCE: Duration = Duration::from_mins(2);

async fn post(gateway: &Gateway, path: &str, body: Value) -> Value {
    let body = Some(("application/json", body.to_string()));
    let reply = gateway.operate(Method::POST, path, None, body).await;
    assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
    reply.json()
}

/// Waits for an operation's end.
async fn ended(gateway: &Gateway, ordered: &Value) -> Value {
    let (begun, path) = (Instant::now(), format!("operations/{}", ordered["id"].as_str().unwrap()));
    loop {
        let now = gateway.view(&path).await;
        if ["succeeded", "failed", "cancelled"].contains(&now["state"].as_str().unwrap()) {
            return now;
        }
        assert!(begun.elapsed() < PATIENCE, "{now:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn add_servers(gateway: &Gateway) {
    for (name, server, database) in
        [("postgres", Postgres::server(), "postgres"), ("mysql", MariaDb::server(), "mysql")]
    {
        let Server { host, port, user, password, ca_file } = server;
        let url = format!("{name}://{user}:{password}@{host}:{port}/{database}");
        let ca = std::fs::read_to_string(ca_file).unwrap();
        let connection = json!({"url": url, "ca_pem": ca});
        let added = post(gateway, "servers", json!({"name": name, "connection": connection})).await;
        assert!(!added.to_string().contains(&password), "{added}");
    }
    post(gateway, "servers", json!({"name": "sqlite"})).await;
}

fn hospital(issuer: &TestIssuer, name: &str) -> Value {
    let identity = json!({"issuer": issuer.hospitals(), "claim_value": name, "azp": ["ward-app"]});
    json!({"name": name, "identities": [identity], "server": name})
}

fn options() -> Options {
    let port = |server: Server| format!("127.0.0.1/32:{}", server.port);
    Options {
        egress: vec![port(Postgres::server()), port(MariaDb::server())],
        ..Options::default()
    }
}

/// Puts a patient with an identifier and an observation into a hospital's database, as its administrator.
async fn admit(gateway: &Gateway, engine: &str, database: &str, name: &str) {
    use sqlx::{ConnectOptions as _, Executor as _};
    // A word of MySQL's own, and of no other engine's.
    let system = if engine == "mysql" { "`system`" } else { "system" };
    let sql = format!(
        "INSERT INTO patients (id, family, given, birth_date, gender) VALUES \
         ('0b6f7c1e-0d5b-4a5f-9a6e-2f1c3d4e5f60', '{name}', 'Ana Maria', '1980-02-03', 'female'); \
         INSERT INTO patient_identifiers (patient_id, position, use_code, {system}, value) VALUES \
         ('0b6f7c1e-0d5b-4a5f-9a6e-2f1c3d4e5f60', 1, 'official', 'urn:example:mrn', 'M-1'); \
         INSERT INTO observations (id, patient_id, status, category, code_system, code, value_number, value_unit, effective_at) \
         VALUES ('1b6f7c1e-0d5b-4a5f-9a6e-2f1c3d4e5f60', '0b6f7c1e-0d5b-4a5f-9a6e-2f1c3d4e5f60', 'final', \
         'vital-signs', 'http://loinc.org', '8867-4', 72, '/min', '2026-01-02 03:04:05')"
    );
    let sql = sqlx::raw_sql(&sql);
    match engine {
        "postgres" => {
            let server = Postgres::server();
            let options = sqlx::postgres::PgConnectOptions::new()
                .host(&server.host)
                .port(server.port)
                .username(&server.user)
                .password(&server.password)
                .database(database);
            options.connect().await.unwrap().execute(sql).await.unwrap();
        }
        "mysql" => {
            let mut admin = MariaDb::admin().await;
            admin.execute(sqlx::raw_sql(&format!("USE {database}"))).await.unwrap();
            admin.execute(sql).await.unwrap();
        }
        _ => {
            let file = gateway.folder().join(format!("sqlite/{database}.db"));
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
            options.connect().await.unwrap().execute(sql).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_made_over_the_api_is_read_rotated_and_ended() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let engines = ["postgres", "mysql", "sqlite"];
    let issuer = TestIssuer::for_tenants(&engines).await;
    let gateway = Gateway::start(&issuer, options()).await;
    add_servers(&gateway).await;
    for engine in engines {
        let token = issuer.token(engine);
        assert_eq!(gateway.get(&token, "/Patient").await.status, 403, "before it is there");
        let ordered = post(&gateway, "tenants/provision", hospital(&issuer, engine)).await;
        let done = ended(&gateway, &ordered).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        let database = done["result"]["database"].as_str().unwrap().to_owned();
        admit(&gateway, engine, &database, "Rojas").await;
        let found = gateway.get(&token, "/Patient?family=roj&identifier=M-1").await;
        assert_eq!(found.status, 200, "{found:?}");
        let patients = found.resources();
        assert_eq!(patients.len(), 1, "{engine}: {found:?}");
        assert_eq!(patients[0]["birthDate"], "1980-02-03");
        let found = gateway.get(&token, "/Observation?code=8867-4&category=vital-signs").await;
        assert_eq!(
            found.resources()[0]["valueQuantity"]["value"].as_f64(),
            Some(72.0),
            "{found:?}"
        );
        for kind in [
            "Practitioner",
            "Organization",
            "Encounter",
            "Condition",
            "AllergyIntolerance",
            "MedicationRequest",
            "Procedure",
            "Appointment",
            "DocumentReference",
        ] {
            let found = gateway.get(&token, &format!("/{kind}")).await;
            assert_eq!(found.status, 200, "{engine} {kind}: {found:?}");
        }
        if engine != "sqlite" {
            let ordered =
                post(&gateway, &format!("tenants/{engine}/rotate-password"), json!({})).await;
            // Read on and on while the roles are exchanged: nobody notices.
            loop {
                let reply = gateway.get(&token, "/Patient?family=roj").await;
                assert_eq!(reply.status, 200, "{engine}: {reply:?}");
                let now =
                    gateway.view(&format!("operations/{}", ordered["id"].as_str().unwrap())).await;
                if now["state"] == "succeeded" {
                    break;
                }
                assert_ne!(now["state"], "failed", "{now:#}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let generation = gateway.view(&format!("tenants/{engine}")).await["generation"].as_u64();
        let path = format!("tenants/{engine}?confirm={engine}");
        let stale = gateway.operate(Method::DELETE, &path, Some(1), None).await;
        assert_eq!(stale.status, 412, "{stale:?}");
        let ordered = gateway.operate(Method::DELETE, &path, generation, None).await;
        assert_eq!(ordered.status, 202, "{ordered:?}");
        let done = ended(&gateway, &ordered.json()).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        assert_eq!(gateway.get(&token, "/Patient").await.status, 403);
    }
    let log = gateway.log().await;
    assert!(
        !log.contains(&Postgres::server().password) && !log.contains("SCRAM-SHA-256$"),
        "a secret in the log"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_as_a_process_is_followed_by_the_next() {
    let _shared = crate::provisioning::SERVERS.read().await;
    let issuer = TestIssuer::for_tenants(&["postgres", "mysql"]).await;
    let folder = tempfile::tempdir().unwrap();
    let stores = crate::support::gateway::Stores::in_folder(folder.path());
    let start = |fresh| Options { stores: Some(stores.clone()), fresh, ..options() };
    let first = Gateway::start(&issuer, start(true)).await;
    add_servers(&first).await;
    let mut ordered = Vec::new();
    for name in ["postgres", "mysql"] {
        ordered.push(post(&first, "tenants/provision", hospital(&issuer, name)).await);
    }
    // Killed outright, in the middle of whatever it did.
    drop(first);
    let second = Gateway::start(&issuer, start(false)).await;
    for (ordered, name) in ordered.iter().zip(["postgres", "mysql"]) {
        let done = ended(&second, ordered).await;
        assert_eq!(done["state"], "succeeded", "{done:#}");
        assert_eq!(second.get(&issuer.token(name), "/Patient").await.status, 200);
    }
}
