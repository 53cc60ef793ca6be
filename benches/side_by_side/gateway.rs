//! The gateway under test: the real program over its real settings, with token, tenant, admission,
//! breaker, mapping and the access log on disk.

use crate::baseline::CONNECTIONS;
use crate::contestant::Contestant;
use crate::harness::Database;
use crate::shared::one_table::MAPPING;
use crate::support::{Gateway, Options, TestIssuer};

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
