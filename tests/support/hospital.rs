//! Hospitals whose every row carries a mark.

use std::fmt::Write as _;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// Statements that make a `patients` table (any engine) with these ids, each row bearing the mark.
pub fn patients_sql(mark: &str, ids: impl IntoIterator<Item = u64>) -> String {
    let mut sql = String::from(
        "CREATE TABLE patients (id INTEGER NOT NULL PRIMARY KEY, mrn VARCHAR(80) NOT NULL,
         family_name VARCHAR(80) NOT NULL, given_names VARCHAR(80) NOT NULL);\n",
    );
    for id in ids {
        writeln!(sql, "INSERT INTO patients VALUES ({id}, 'mrn-{mark}-{id}', '{mark}', 'Sample');")
            .expect("write to memory");
    }
    sql
}

/// A SQLite file with such a table; replaced if it is there.
pub async fn sqlite_hospital(file: &Path, mark: &str, ids: impl IntoIterator<Item = u64>) {
    let _was_not_there = std::fs::remove_file(file).is_err();
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.expect("make a hospital's file");
    let sql = patients_sql(mark, ids);
    sqlx::raw_sql(&sql).execute(&mut connection).await.expect("fill a hospital's file");
    connection.close().await.expect("close a hospital's file");
}

/// A mapping of that table; `version` stands in every resource as the identifier's system.
pub fn mapping(version: &str) -> String {
    format!(
        r#"mapping: 1
resources:
  - name: patient
    type: Patient
    from: {{table: patients}}
    key: [id]
    id: "$id"
    version: "$id"
    map:
      identifier:
        - {{system: "urn:mapping:{version}", value: "$mrn"}}
      name:
        - {{family: "$family_name", given: ["$given_names"]}}
"#
    )
}
