//! What people write by hand: an axum handler, a `PgPool`, one query, `serde_json`.

use std::process::{Command, Stdio};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::Contestant;
use crate::gateway::{Database, read_line};

/// Serves on a free port until killed; `options` is the database as JSON.
pub async fn serve(options: &str, kind: &str) {
    let o: Value = serde_json::from_str(options).unwrap();
    let text = |name: &str| o[name].as_str().unwrap().to_owned();
    let connect = PgConnectOptions::new_without_pgpass()
        .host(&text("host"))
        .port(o["port"].as_u64().unwrap() as u16)
        .username(&text("user"))
        .password(&text("password"))
        .database(&text("database"))
        .ssl_mode(sqlx::postgres::PgSslMode::Disable);
    let pool = PgPoolOptions::new().test_before_acquire(kind == "default");
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
    let row = sqlx::query(sql)
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

/// Starts this very program as a baseline server.
pub fn start(name: &'static str, database: &Database, kind: &str) -> Contestant {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["baseline", &database.options(), kind])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let address = read_line(&mut process).parse().unwrap();
    Contestant { name, address, path: "/Patient/", token: None, process }
}
