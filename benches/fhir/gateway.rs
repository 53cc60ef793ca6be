//! The gateway under test: the real program with token, tenant, admission, breaker, mapping and the access
//! log on disk.

use crate::data::MAPPING;
use crate::frames::Proxy;
use crate::harness::Database;
use crate::server::Server;
use crate::shared::{Wire, get};
use crate::support::{Gateway, Options, TestIssuer};

/// Connections of each lane, and of the hand-written server's pool.
pub const CONNECTIONS: u32 = 16;

/// One gateway with a hospital for each database.
pub struct Hospitals {
    gateway: Gateway,
    issuer: TestIssuer,
}

impl Hospitals {
    /// Starts it; everything ends with the value.
    pub async fn start(hospitals: &[(&'static str, &Database)]) -> Self {
        let names: Vec<&str> = hospitals.iter().map(|(name, _)| *name).chain(["counted"]).collect();
        let issuer = TestIssuer::for_tenants(&names).await;
        let options = Options {
            egress: vec!["127.0.0.1/32:*".to_owned()],
            // The limits are there and are asked; they are only never reached.
            settings: format!(
                "[pool]\nmax_connections = {CONNECTIONS}\n\
                 [limits]\nrequests_per_second = 1000000\nconcurrent_requests = 1000\n"
            ),
            log_level: Some("warn"),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        let started = Self { gateway, issuer };
        for (name, database) in hospitals {
            started.add(name, database, database.server.port).await;
        }
        started
    }

    /// The hand-written server goes in plain text over loopback, so the gateway does.
    async fn add(&self, name: &str, database: &Database, port: u16) {
        let Database { user, password, name: named, .. } = database;
        let url =
            format!("postgres://{user}:{password}@127.0.0.1:{port}/{named}?tls=loopback-plaintext");
        self.gateway.register(name, serde_json::json!({ "url": url })).await;
        self.gateway.publish(name, MAPPING).await;
    }

    /// The program itself.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// One hospital as a server to be asked.
    pub fn server(&self, name: &str) -> Server {
        Server {
            name: "gateway",
            address: self.gateway.fhir["http://".len()..]
                .trim_end_matches("/fhir")
                .parse()
                .unwrap(),
            token: Some(self.issuer.token(name)),
            pid: self.gateway.pid(),
        }
    }

    /// How many statements the database sees for one warm page, counted on the wire.
    pub async fn statements_a_page(&self, _: &str, database: &Database) -> u64 {
        let proxy = Proxy::before(database.server.port).await;
        self.add("counted", database, proxy.port).await;
        let server = self.server("counted");
        let mut wire = Wire::open(server.address).await.unwrap();
        let request = get("/fhir/Patient?_count=50", server.token.as_deref());
        let mut before = 0;
        // The first prepares; a second connection might be opened for the next one, so the last counts.
        for _ in 0..5 {
            before = proxy.statements();
            assert_eq!(wire.send(&request).await.unwrap().status, 200);
        }
        proxy.statements() - before
    }
}
