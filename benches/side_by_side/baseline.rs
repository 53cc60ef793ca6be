//! What people write by hand: an axum handler, a `PgPool`, one query, `serde_json`. No token, no tenant,
//! no limits, no access log; the same JSON from the same row.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

use crate::contestant::Contestant;
use crate::harness::Database;

/// Connections of the gateway's lane and of the tuned pool; `PgPool`'s default is 10.
pub const CONNECTIONS: u32 = 16;

/// Serves on a free port until killed; `options` is the database as JSON. `default` is a pool as it
/// comes: ten connections, and a ping before each use. Anything else is a pool as somebody makes it who
/// has read its documentation: no ping, as many connections as the gateway has, all opened beforehand.
pub async fn serve(options: &str, kind: &str) {
    let o: Value = serde_json::from_str(options).unwrap();
    let text = |name: &str| o[name].as_str().unwrap().to_owned();
    let connect = PgConnectOptions::new_without_pgpass()
        .host(&text("host"))
        .port(o["port"].as_u64().unwrap() as u16)
        .username(&text("user"))
        .password(&text("password"))
        .database(&text("database"))
        .ssl_mode(PgSslMode::Disable);
    let pool = match kind {
        "default" => PgPoolOptions::new(),
        _ => PgPoolOptions::new()
            .test_before_acquire(false)
            .max_connections(CONNECTIONS)
            .min_connections(CONNECTIONS),
    };
    let pool = pool.connect_with(connect).await.unwrap();
    let router = Router::new().route("/Patient/{id}", get(patient)).with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn patient(
    State(pool): State<PgPool>,
    Path(id): Path<i64>,
) -> Result<Json<Value>, StatusCode> {
    let sql = "SELECT id, mrn, family_name, given_names, sex, birth_date::text, phone, email, street, \
               city, active FROM patients WHERE id = $1";
    // Prepared once for each connection; that is the driver's default, written down.
    let row = sqlx::query(sql)
        .persistent(true)
        .bind(id)
        .fetch_optional(&pool)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?
        .ok_or(StatusCode::NOT_FOUND)?;
    let text = |at: usize| row.get::<Option<String>, _>(at);
    let given: Vec<String> = text(3).unwrap_or_default().split(' ').map(str::to_owned).collect();
    let gender = match text(4).as_deref() {
        Some("F") => "female",
        Some("M") => "male",
        _ => "unknown",
    };
    Ok(Json(json!({
        "resourceType": "Patient",
        "id": row.get::<i64, _>(0).to_string(),
        "active": row.get::<bool, _>(10),
        "identifier": [{ "use": "usual", "system": "urn:bench", "value": text(1) }],
        "name": [{ "use": "official", "family": text(2), "given": given }],
        "telecom": [{ "system": "phone", "value": text(6) }, { "system": "email", "value": text(7) }],
        "gender": gender,
        "birthDate": text(5),
        "address": [{ "line": [text(8)], "city": text(9) }],
    })))
}

/// A baseline server: this very program as a process of its own, ended with this value.
pub struct Baseline {
    process: Child,
}

impl Baseline {
    /// Starts one and says where it is.
    pub fn start(name: &'static str, database: &Database, kind: &str) -> (Self, Contestant) {
        let Database { server, user, password, name: named, .. } = database;
        let options = json!({
            "host": server.host, "port": server.port,
            "user": user, "password": password, "database": named,
        });
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["baseline", &options.to_string(), kind])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.as_mut().unwrap();
        std::io::BufReader::new(output).read_line(&mut line).unwrap();
        let contestant = Contestant {
            name,
            address: line.trim().parse().unwrap(),
            path: "/Patient/",
            token: None,
            pid: process.id(),
        };
        (Self { process }, contestant)
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
