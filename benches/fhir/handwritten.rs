//! What people write by hand: an axum handler, a tuned `PgPool`, a query for the page and one for each child
//! table, typed structs, `serde_json`. No token, no tenant, no limits, no access log; the same resources from
//! the same rows. (Not one query with joins: that multiplies rows, and was slower.)

use std::collections::HashMap;
use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgSslMode};

use crate::gateway::CONNECTIONS;
use crate::harness::Database;
use crate::server::Server;

/// Serves on a free port until killed; `options` is the database as JSON.
pub async fn serve(options: &str) {
    let o: Value = serde_json::from_str(options).unwrap();
    let text = |name: &str| o[name].as_str().unwrap().to_owned();
    let connect = PgConnectOptions::new_without_pgpass()
        .host(&text("host"))
        .port(o["port"].as_u64().unwrap() as u16)
        .username(&text("user"))
        .password(&text("password"))
        .database(&text("database"))
        .ssl_mode(PgSslMode::Disable);
    let pool = PgPoolOptions::new()
        .test_before_acquire(false)
        .max_connections(CONNECTIONS)
        .min_connections(CONNECTIONS)
        .connect_with(connect)
        .await
        .unwrap();
    let router = Router::new()
        .route("/Patient", get(patients))
        .route("/Observation", get(observations))
        .with_state(pool);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<T> {
    resource_type: &'static str,
    r#type: &'static str,
    link: Vec<Link>,
    entry: Vec<Entry<T>>,
}

#[derive(Serialize)]
struct Link {
    relation: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<T> {
    full_url: String,
    resource: T,
    search: Mode,
}

#[derive(Serialize)]
struct Mode {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Patient {
    resource_type: &'static str,
    id: String,
    active: bool,
    identifier: Vec<Identifier>,
    name: [Name; 1],
    telecom: Vec<Contact>,
    gender: &'static str,
    birth_date: String,
    address: Vec<Address>,
}

#[derive(Serialize)]
struct Identifier {
    system: String,
    value: String,
}

#[derive(Serialize)]
struct Name {
    r#use: &'static str,
    family: String,
    given: Vec<String>,
}

#[derive(Serialize)]
struct Contact {
    system: &'static str,
    value: String,
    rank: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    r#use: &'static str,
    line: [String; 1],
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
}

const BASE: &str = "http://127.0.0.1:8080/fhir";
const COLUMNS: &str = "p.id, p.family_name, p.given_names, p.sex, p.birth_date::text, p.active";

fn bundle<T>(kind: &str, resources: Vec<(i64, T)>, limit: usize) -> Bundle<T> {
    let mut link = vec![Link { relation: "self", url: format!("{BASE}/{kind}?_count={limit}") }];
    if let Some((last, _)) = resources.get(limit - 1) {
        link.push(Link {
            relation: "next",
            url: format!("{BASE}/{kind}?_count={limit}&after={last}"),
        });
    }
    let entry = resources.into_iter().take(limit).map(|(id, resource)| Entry {
        full_url: format!("{BASE}/{kind}/{id}"),
        resource,
        search: Mode { mode: "match" },
    });
    Bundle { resource_type: "Bundle", r#type: "searchset", link, entry: entry.collect() }
}

fn failed(_: sqlx::Error) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

type Asked = Query<HashMap<String, String>>;

async fn patients(
    State(pool): State<PgPool>,
    Query(asked): Asked,
) -> Result<Json<Bundle<Patient>>, StatusCode> {
    let text = |name: &str| asked.get(name).map(String::as_str);
    let mut connection = pool.acquire().await.map_err(failed)?;
    let order = "ORDER BY p.id LIMIT 51";
    // What the gateway always does, and people seldom: the page and what belongs to it as of one moment.
    let snapshot = asked.contains_key("snapshot");
    if snapshot {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        sqlx::query(begin).execute(&mut *connection).await.map_err(failed)?;
    }
    let rows = if let Some(prefix) = text("family") {
        let sql = format!("SELECT {COLUMNS} FROM patients p WHERE lower(p.family_name) LIKE $1 {order}");
        sqlx::query(&sql).bind(format!("{}%", prefix.to_lowercase())).fetch_all(&mut *connection).await
    } else if let Some(name) = text("exact") {
        let sql = format!("SELECT {COLUMNS} FROM patients p WHERE p.family_name = $1 {order}");
        sqlx::query(&sql).bind(name).fetch_all(&mut *connection).await
    } else if let Some(value) = text("identifier") {
        let sql = format!(
            "SELECT {COLUMNS} FROM patients p WHERE p.id IN (SELECT i.patient_id FROM identifiers i \
             WHERE i.system = 'urn:mrn' AND i.value = $1) {order}"
        );
        sqlx::query(&sql).bind(value).fetch_all(&mut *connection).await
    } else {
        let after: i64 = text("after").and_then(|a| a.parse().ok()).unwrap_or(0);
        let sql = format!("SELECT {COLUMNS} FROM patients p WHERE p.id > $1 {order}");
        sqlx::query(&sql).bind(after).fetch_all(&mut *connection).await
    }
    .map_err(failed)?;
    let ids: Vec<i64> = rows.iter().take(50).map(|row| row.get(0)).collect();
    let mut children = Vec::new();
    for sql in [
        "SELECT patient_id, system, value FROM identifiers WHERE patient_id = ANY($1) ORDER BY patient_id, id",
        "SELECT patient_id, kind, value, place FROM contacts WHERE patient_id = ANY($1) ORDER BY patient_id, id",
        "SELECT patient_id, line, city, code FROM addresses WHERE patient_id = ANY($1) ORDER BY patient_id, id",
    ] {
        children
            .push(sqlx::query(sql).bind(&ids).fetch_all(&mut *connection).await.map_err(failed)?);
    }
    if snapshot {
        sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(failed)?;
    }
    drop(connection);
    let mut identifiers =
        grouped(&children[0], |row| Identifier { system: row.get(1), value: row.get(2) });
    let mut contacts = grouped(&children[1], |row| Contact {
        system: if row.get::<&str, _>(1) == "T" { "phone" } else { "email" },
        value: row.get(2),
        rank: row.get(3),
    });
    let mut addresses = grouped(&children[2], |row| Address {
        r#use: "home",
        line: [row.get(1)],
        city: row.get(2),
        postal_code: row.get(3),
    });
    let patient = |row: &PgRow| {
        let id: i64 = row.get(0);
        let given = row.get::<&str, _>(2).split(' ').map(str::to_owned).collect();
        let patient = Patient {
            resource_type: "Patient",
            id: id.to_string(),
            active: row.get(5),
            identifier: identifiers.remove(&id).unwrap_or_default(),
            name: [Name { r#use: "official", family: row.get(1), given }],
            telecom: contacts.remove(&id).unwrap_or_default(),
            gender: match row.get::<&str, _>(3) {
                "F" => "female",
                "M" => "male",
                _ => "unknown",
            },
            birth_date: row.get(4),
            address: addresses.remove(&id).unwrap_or_default(),
        };
        (id, patient)
    };
    let patients = rows.iter().map(patient).collect();
    Ok(Json(bundle("Patient", patients, 50)))
}

fn grouped<T>(rows: &[PgRow], make: impl Fn(&PgRow) -> T) -> HashMap<i64, Vec<T>> {
    let mut groups: HashMap<i64, Vec<T>> = HashMap::with_capacity(51);
    for row in rows {
        groups.entry(row.get(0)).or_default().push(make(row));
    }
    groups
}

async fn observations(
    State(pool): State<PgPool>,
    Query(asked): Asked,
) -> Result<Json<Bundle<Value>>, StatusCode> {
    let text = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let sql = "SELECT id, patient_id, loinc, label, result::text, unit, status, \
               to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM observations \
               WHERE loinc = $1 AND taken_at >= $2::timestamptz ORDER BY id LIMIT 51";
    let date = format!("{}T00:00:00Z", text("date"));
    let rows =
        sqlx::query(sql).bind(text("code")).bind(date).fetch_all(&pool).await.map_err(failed)?;
    let observation = |row: &PgRow| {
        let id: i64 = row.get(0);
        // As it stands in the column: FHIR's decimals keep their zeros.
        let value: Box<serde_json::value::RawValue> =
            serde_json::value::RawValue::from_string(row.get(4)).unwrap();
        let resource = json!({
            "resourceType": "Observation", "id": id.to_string(), "status": row.get::<&str, _>(6),
            "code": { "coding": [{ "system": "http://loinc.org", "code": row.get::<&str, _>(2), "display": row.get::<&str, _>(3) }] },
            "subject": { "reference": format!("Patient/{}", row.get::<i64, _>(1)) },
            "effectiveDateTime": row.get::<&str, _>(7),
            "valueQuantity": { "value": value, "unit": row.get::<&str, _>(5) },
        });
        (id, resource)
    };
    Ok(Json(bundle("Observation", rows.iter().map(observation).collect(), 50)))
}

/// The server: this very program as a process of its own, ended with this value.
pub struct HandWritten {
    process: Child,
}

impl HandWritten {
    /// Starts it and says where it is.
    pub fn start(database: &Database) -> (Self, Server) {
        let Database { server, user, password, name, .. } = database;
        let options = json!({
            "host": server.host, "port": server.port, "user": user, "password": password, "database": name,
        });
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["handwritten", &options.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let server = Server {
            name: "by hand",
            address: line.trim().parse().unwrap(),
            token: None,
            pid: process.id(),
        };
        (Self { process }, server)
    }
}

impl Drop for HandWritten {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
