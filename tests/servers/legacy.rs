//! One document over one schema of old habits, on three engines: the same bytes, and what the file
//! `tests/fixtures/legacy/expected.ndjson` says; the same matches as statements find.
//!
//! With `WARDGATE_RENDERED` what was rendered is also written to that folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use wardgate::base::{ConnectionRecord, Engine, SqliteRecord};

use crate::fixtures::load::ask;
use crate::fixtures::{Hospital, searches};
use crate::harness::{MariaDb, Postgres, optional_from_env};

/// One of the schema's own files.
fn part(name: &str) -> &'static str {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy");
    std::fs::read_to_string(folder.join(name)).expect("a file of the fixture").leak()
}

/// Types, resources of each, and cells that do not fit.
const ROWS: &[(&str, usize)] = &[
    ("Patient", 3),
    ("Practitioner", 1),
    ("Encounter", 6),
    ("MedicationRequest", 2),
    ("Observation", 11),
    ("Condition", 2),
    ("Device", 2),
    ("AllergyIntolerance", 2),
    ("Immunization", 3),
    ("RiskAssessment", 3),
];
const BAD: &[(&str, u32)] = &[("Encounter.period.end", 1), ("Immunization.expirationDate", 1)];

/// The schema as an engine takes it.
fn schema(engine: Engine) -> String {
    let (bytes, json, moment) = match engine {
        Engine::Postgres => ("bytea", "jsonb", "timestamp"),
        Engine::MySql => ("binary(16)", "json", "datetime"),
        Engine::Sqlite => ("blob", "text", "datetime"),
    };
    let mut text = part("schema.sql").replace("{bytes}", bytes).replace("{json}", json);
    text = text.replace("{moment}", moment);
    if engine == Engine::MySql {
        text = text.replace("\"order\"", "`order`").replace("\"select\"", "`select`");
    }
    let (before, rest) = text.split_once("{hex ").expect("bytes");
    let (hex, after) = rest.split_once('}').expect("an end");
    let value = match engine {
        Engine::Postgres => format!("'\\x{hex}'"),
        _ => format!("x'{hex}'"),
    };
    format!("{before}{value}{after}")
}

async fn render(
    engine: Engine,
    record: ConnectionRecord,
    home: tempfile::TempDir,
    wanted: &[Vec<String>],
) -> BTreeMap<String, String> {
    let mut hospital = Hospital::open(engine, record, home, part("mapping.yaml")).await;
    let name = format!("legacy-{}", engine.as_str());
    let all = hospital.everything(&name, ROWS, BAD).await;
    hospital.ask(&searches(part("searches.txt")), wanted).await;
    hospital.close().await;
    all
}

#[tokio::test]
async fn one_document_gives_the_same_bytes_on_three_engines() {
    let home = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}?mode=rwc", home.path().join("legacy.db").display());
    let mut sqlite = SqliteConnection::connect(&file).await.unwrap();
    sqlx::raw_sql(&schema(Engine::Sqlite)).execute(&mut sqlite).await.unwrap();
    let asked = searches(part("searches.txt"));
    let mut wanted = Vec::new();
    for asked in &asked {
        let rows = sqlite.fetch_all(sqlx::raw_sql(&asked.sql)).await.expect(&asked.sql);
        let text = |row: &sqlx::sqlite::SqliteRow| row.get_unchecked::<String, _>(0);
        wanted.push(rows.iter().map(text).collect::<Vec<_>>());
    }
    sqlite.close().await.unwrap();
    let record = ConnectionRecord::Sqlite(SqliteRecord { file: "legacy.db".into() });
    let first = render(Engine::Sqlite, record, home, &wanted).await;
    let mut lines = String::new();
    for text in first.values() {
        let _ = writeln!(lines, "{text}");
    }
    if let Some(folder) = optional_from_env("WARDGATE_RENDERED") {
        std::fs::write(std::path::Path::new(&folder).join("legacy.ndjson"), &lines).unwrap();
    }
    assert_eq!(lines, part("expected.ndjson"));
    for database in [Postgres::database().await, MariaDb::database().await] {
        database.execute(&schema(database.engine)).await;
        let statements: Vec<&str> = asked.iter().map(|asked| asked.sql.as_str()).collect();
        let own = ask(&database, &statements).await;
        let home = tempfile::tempdir().unwrap();
        let other = render(database.engine, database.record(), home, &own).await;
        assert_eq!(first, other, "{}", database.engine.as_str());
    }
}
