//! The gateway under test: the real program over its real settings, with token, tenant, admission,
//! breaker, mapping and the access log on disk.

use crate::baseline::CONNECTIONS;
use crate::contestant::Contestant;
use crate::harness::Database;
use crate::support::{Gateway, Options, TestIssuer};

const MAPPING: &str = r#"
mapping: 1
fhir: "4.0.1"
codes: {sex: {values: {"F": female, "M": male}, otherwise: unknown}}
resources:
  - type: Patient
    from: {table: patients}
    key: id
    id: "$id"
    map:
      active: "$active"
      identifier: [{use: usual, system: "urn:bench", value: "$mrn"}]
      name: [{use: official, family: "$family_name", given: ["$given_names | split(' ')"]}]
      telecom: [{system: phone, value: "$phone"}, {system: email, value: "$email"}]
      gender: "$sex | code(sex)"
      birthDate: "$birth_date"
      address: [{line: ["$street"], city: "$city"}]
"#;

/// Statements that make and fill the table.
pub fn patients(count: u32) -> String {
    format!(
        "CREATE TABLE patients (id bigint PRIMARY KEY, mrn text NOT NULL UNIQUE, family_name text NOT NULL, \
         given_names text NOT NULL, sex text NOT NULL, birth_date date NOT NULL, phone text, email text, \
         street text, city text, active boolean NOT NULL DEFAULT true); \
         INSERT INTO patients SELECT n, 'M-' || n, 'Family' || n, 'Given Middle' || n, \
         CASE WHEN n % 2 = 0 THEN 'F' ELSE 'M' END, date '1950-01-01' + (n % 25000)::int, '555-' || n, \
         'p' || n || '@example.org', n || ' Long Street', 'City' || n % 100 \
         FROM generate_series(1, {count}) n; ANALYZE patients"
    )
}

/// Starts the gateway with that database as its one hospital. Both end with their values.
pub async fn start(database: &Database) -> (Gateway, TestIssuer, Contestant) {
    let issuer = TestIssuer::for_tenants(&["bench"]).await;
    let port = database.server.port;
    let options = Options {
        egress: vec![format!("127.0.0.1/32:{port}")],
        // The limits are there and are asked; they are only never reached.
        settings: format!(
            "[pool]\nmax_connections = {CONNECTIONS}\n\
             [limits]\nrequests_per_second = 1000000\nconcurrent_requests = 1000\n"
        ),
        log_level: Some("warn"),
        ..Options::default()
    };
    let gateway = Gateway::start(&issuer, options).await;
    // The baselines go in plain text over loopback, so the gateway does.
    let Database { user, password, name, .. } = database;
    let url =
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}?tls=loopback-plaintext");
    gateway.register("bench", serde_json::json!({ "url": url })).await;
    gateway.publish("bench", MAPPING).await;
    let contestant = Contestant {
        name: "gateway",
        address: gateway.fhir["http://".len()..].trim_end_matches("/fhir").parse().unwrap(),
        path: "/fhir/Patient/",
        token: Some(issuer.token("bench")),
        pid: gateway.pid(),
    };
    (gateway, issuer, contestant)
}
