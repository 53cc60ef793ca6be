//! The gateway under test: the real binary, over its real settings, with the access log on.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};
use tokio_util::sync::CancellationToken;
use wardgate::app::demo::issuer::{AUDIENCE, CLIENT, DemoUser, Issuer};
use wardgate::base::SystemClock;
use wardgate::http::listener::Listener;

use crate::Contestant;

/// A database made for this run.
pub struct Database {
    server: Value,
    name: String,
}

impl Database {
    /// Makes it, with so many patients.
    pub async fn create(patients: u32) -> Self {
        let server =
            std::env::var("WARDGATE_TEST_POSTGRES").expect("see the first lines of this bench");
        let server: Value = serde_json::from_str(&server).unwrap();
        let name = format!("wardgate_bench_{}", std::process::id());
        let database = Self { server, name };
        let mut admin = database.connect("postgres").await;
        let create = format!("CREATE DATABASE {}", database.name);
        admin.execute(sqlx::raw_sql(&create)).await.unwrap();
        let mut owner = database.connect(&database.name).await;
        let fill = format!(
            "CREATE TABLE patients (id bigint PRIMARY KEY, mrn text NOT NULL UNIQUE, family_name text NOT NULL, \
             given_names text NOT NULL, sex text NOT NULL, birth_date date NOT NULL, phone text, email text, \
             street text, city text, active boolean NOT NULL DEFAULT true); \
             INSERT INTO patients SELECT n, 'M-' || n, 'Family' || n, 'Given Middle' || n, \
             CASE WHEN n % 2 = 0 THEN 'F' ELSE 'M' END, date '1950-01-01' + (n % 25000)::int, '555-' || n, \
             'p' || n || '@example.org', n || ' Long Street', 'City' || n % 100 \
             FROM generate_series(1, {patients}) n; ANALYZE patients"
        );
        owner.execute(sqlx::raw_sql(&fill)).await.unwrap();
        database
    }

    /// As JSON, for a baseline process.
    pub fn options(&self) -> String {
        let mut options = self.server.clone();
        options["database"] = json!(self.name);
        options.to_string()
    }

    /// Drops it.
    pub async fn drop_it(self) {
        let mut admin = self.connect("postgres").await;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        admin.execute(sqlx::raw_sql(&drop)).await.unwrap();
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let text = |name: &str| self.server[name].as_str().unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .host(text("host"))
            .port(self.server["port"].as_u64().unwrap() as u16)
            .username(text("user"))
            .password(text("password"))
            .database(database)
            .ssl_mode(sqlx::postgres::PgSslMode::Disable);
        PgConnection::connect_with(&options).await.unwrap()
    }
}

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

/// A running gateway and what it needs around it.
pub struct Running {
    pub contestant: Contestant,
}

/// Starts the gateway with one hospital.
pub async fn start(database: &Database) -> Running {
    let dir = std::env::temp_dir().join(format!("wardgate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let base = format!("http://{}", listener.address().unwrap());
    let user = DemoUser {
        username: "reader".to_owned(),
        password: String::new(),
        tenant: Some("bench".to_owned()),
        roles: vec!["fhir-read".to_owned()],
    };
    let issuer = Issuer::new(base, vec![user], Arc::new(SystemClock)).unwrap();
    tokio::spawn(listener.serve(
        issuer.router(),
        CancellationToken::new(),
        std::time::Duration::ZERO,
    ));
    let port = free_port().await;
    let config = dir.join("wardgate.toml");
    let (here, realm) = (dir.display(), issuer.realm_url("hospitals"));
    let pg_port = database.server["port"].as_u64().unwrap();
    let settings = format!(
        "[fhir]\nlisten = \"127.0.0.1:{port}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [registry]\nurl = \"sqlite:{here}/registry.db\"\n[keys]\nkek_file = \"{here}/kek\"\nstore = \"sqlite:{here}/keys.db\"\n\
         [[issuers]]\nurl = \"{realm}\"\naudience = \"{AUDIENCE}\"\n[pool]\nmax_connections = 16\n\
         [limits]\nrequests_per_second = 1000000\nconcurrent_requests = 1000\n\
         [egress]\nallow = [\"127.0.0.1/32:{pg_port}\"]\n[audit]\ndir = \"{here}/audit\"\n[log]\nlevel = \"warn\"\n"
    );
    std::fs::write(&config, settings).unwrap();
    let text = |name: &str| database.server[name].as_str().unwrap();
    let url = format!(
        "postgres://{}:{}@127.0.0.1:{pg_port}/{}?tls=loopback-plaintext",
        text("user"),
        text("password"),
        database.name
    );
    std::fs::write(dir.join("url"), url).unwrap();
    std::fs::write(dir.join("mapping.yaml"), MAPPING).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    wardgate(&config, &["registry", "migrate"]);
    wardgate(&config, &["keys", "init"]);
    wardgate(
        &config,
        &[
            "tenant",
            "add",
            "bench",
            "--issuer",
            &realm,
            "--claim",
            "bench",
            "--azp",
            CLIENT,
            "--url-file",
            &path("url"),
        ],
    );
    wardgate(&config, &["mapping", "publish", "bench", &path("mapping.yaml")]);
    let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["--config", &config.display().to_string(), "serve"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(process.stderr.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().contains("serving FHIR") {}
    std::thread::spawn(move || lines.for_each(drop));
    let contestant = Contestant {
        name: "gateway",
        address: ([127, 0, 0, 1], port).into(),
        path: "/fhir/Patient/",
        token: issuer.access_token("reader"),
        process,
    };
    Running { contestant }
}

fn wardgate(config: &std::path::Path, arguments: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .args(["--config", &config.display().to_string()])
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "wardgate {arguments:?}");
}

async fn free_port() -> u16 {
    Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap().address().unwrap().port()
}

/// The first line a process prints.
pub fn read_line(process: &mut Child) -> String {
    let mut line = String::new();
    let output = process.stdout.as_mut().unwrap();
    std::io::BufReader::new(output).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
