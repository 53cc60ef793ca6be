//! What is planted in a hospital's database under the names that the gateway uses: tables, types, functions
//! and operators that a search path finds first. The rows shown, found and changed stay those of the tables
//! that the mapping was checked against.

use reqwest::Method;
use serde_json::json;
use wardgate::base::Engine;

use crate::harness::{Database, MariaDb, Postgres};
use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE ward (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE people (id SERIAL_KEY, mrn VARCHAR(12) NOT NULL, family VARCHAR(40) NOT NULL, given VARCHAR(40),
  born DATE, ward INT NOT NULL DEFAULT 1, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, kind CHAR(1) NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, kind));
INSERT INTO ward VALUES (1, 'true ward');
INSERT INTO people (mrn, family, given, born) VALUES ('M-1', 'True', 'Ana', '1985-03-05'), ('M-2', 'Trueman', 'Bo', '1990-01-01');
INSERT INTO contact VALUES (1, 'T', '555'), (2, 'T', '556');";

const MAPPING: &str = r#"
mapping: 1
database: {trim: false}          # columns stand bare beside what they are compared with
sources:
  listed:
    sql: "SELECT id, family FROM people"
    key: id
resources:
  - type: Patient
    from: {table: people}
    join: {w: {table: ward, match: {id: ward}}}
    key: id
    id: "$id"
    version: "$rev"
    map:
      identifier: [{system: "urn:mrn", value: "$mrn"}]
      name: [{family: "$family", given: ["$given"]}]
      birthDate: "$born"
      telecom:
        - each: {table: contact, match: {person: id}, order: [kind]}
          item: {system: phone, value: "$value"}
      contact: [{organization: {display: "$w.name"}}]
    write: {create: {key: identity}, update: {version_column: rev}, delete: hard, read_only: [contact.organization.display]}
  - type: Group
    from: {source: listed}
    key: id
    id: "$id"
    map: {type: person, actual: true, name: "$family"}
"#;

/// Searches, each with the ids that it finds.
const SEARCHES: [(&str, &[&str]); 9] = [
    ("Patient?family=True", &["1", "2"]),
    ("Patient?family:exact=True", &["1"]),
    ("Patient?family:contains=rue", &["1", "2"]),
    ("Patient?name=nobody,tr", &["1", "2"]),
    ("Patient?identifier=urn:mrn|M-2", &["2"]),
    ("Patient?identifier=M-1,M-2", &["1", "2"]),
    ("Patient?birthdate=lt1987-01-01", &["1"]),
    ("Patient?phone=556", &["2"]),
    ("Patient?_id=1,2", &["1", "2"]),
];

/// One connection for reading and for writing, so that what is planted in a session is where it is read.
async fn bed(database: Option<Database>) -> Bed {
    let bed = Bed::open(database, TABLES).await;
    let one = json!({ "limits": { "max_connections": 1 } });
    bed.gateway.change(Method::PATCH, "north", "", one).await;
    bed.gateway.publish("north", MAPPING).await;
    bed
}

/// Everything that can be asked gives the true rows, twice: statements are prepared and used again.
async fn is_true(bed: &Bed, what: &str) {
    for _ in 0..2 {
        for (id, family) in [("1", "True"), ("2", "Trueman")] {
            let patient = bed.read(&format!("/Patient/{id}")).await;
            assert_eq!(patient["name"][0]["family"], family, "{what}: {patient}");
            assert_eq!(patient["contact"][0]["organization"]["display"], "true ward", "{what}");
            assert!(patient["telecom"][0]["value"].as_str().unwrap().starts_with("55"), "{what}");
            let group = bed.read(&format!("/Group/{id}")).await;
            assert_eq!(group["name"], family, "{what}: {group}");
        }
        for (search, ids) in SEARCHES {
            let found = bed.read(&format!("/{search}&_sort=_id&_total=accurate")).await;
            let entries = found["entry"].as_array().cloned().unwrap_or_default();
            let seen: Vec<&str> =
                entries.iter().map(|e| e["resource"]["id"].as_str().unwrap()).collect();
            assert_eq!(seen, ids, "{what}: {search}");
            assert_eq!(found["total"], ids.len(), "{what}: {search}");
        }
    }
}

/// An update goes to the true row, and to no other table.
async fn writes_truly(bed: &Bed, what: &str, given: &str) {
    let mut patient = bed.read("/Patient/1").await;
    patient["name"][0]["given"] = json!([given]);
    let reply = bed.send(Method::PUT, "/Patient/1", patient.to_string()).await;
    assert_eq!(reply.status, 200, "{what}: {reply:?}");
    let schema = if bed.engine() == Engine::Postgres { "public." } else { "" };
    // Without an operator: this connection has the same search path.
    let sql = format!("SELECT given FROM {schema}people ORDER BY id LIMIT 1");
    let stored = bed.rows(&sql).await;
    assert_eq!(stored, [given], "{what}");
}

async fn new_sessions(bed: &Bed) {
    bed.gateway.operate(Method::POST, "tenants/north/pool/drain", None, None).await;
}

/// Tables of the same names and columns that are found before the true ones.
const EARLIER: &str = "
CREATE SCHEMA early;
CREATE TABLE early.people AS SELECT id, mrn, 'False'::varchar(40) AS family, 'x'::varchar(40) AS given, born, ward, rev FROM public.people;
CREATE TABLE early.ward AS SELECT id, 'false ward'::varchar(40) AS name FROM public.ward;
CREATE TABLE early.contact AS SELECT person, kind, '666'::varchar(40) AS value FROM public.contact;";

#[tokio::test]
async fn a_table_in_a_schema_that_comes_earlier_on_the_search_path() {
    let bed = bed(Some(Postgres::database().await)).await;
    is_true(&bed, "nothing planted").await;
    bed.sql(EARLIER).await;
    // What the document calls by name is meant along the path; a named source says its schema to be sure.
    let sure = MAPPING.replace("FROM people\"", "FROM public.people\"");
    bed.gateway.publish("north", &sure).await;
    let role = &bed.database().user;
    bed.sql(&format!("ALTER ROLE {role} SET search_path = early, public")).await;
    new_sessions(&bed).await;
    is_true(&bed, "an earlier schema").await;
    writes_truly(&bed, "an earlier schema", "Cleo").await;
    is_true(&bed, "an earlier schema, after a write").await;
    bed.sql(&format!("ALTER ROLE {role} SET search_path = pg_temp, early, pg_catalog, public"))
        .await;
    new_sessions(&bed).await;
    is_true(&bed, "the catalogue named late").await;
}

/// Functions and operators that fit the operands better than the built-in ones, and types of built-in names.
const BETTER: &str = "
CREATE SCHEMA trap;
CREATE FUNCTION trap.no(varchar, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION trap.no(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION trap.no(int, bigint) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION trap.no(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE FUNCTION trap.no(date, date) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR trap.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = trap.no);
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.no);
CREATE OPERATOR trap.= (LEFTARG = int, RIGHTARG = bigint, FUNCTION = trap.no);
CREATE OPERATOR trap.= (LEFTARG = int, RIGHTARG = int, FUNCTION = trap.no);
CREATE OPERATOR trap.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.no);
CREATE OPERATOR trap.~~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = trap.no);
CREATE OPERATOR trap.< (LEFTARG = date, RIGHTARG = date, FUNCTION = trap.no);
CREATE OPERATOR trap.>= (LEFTARG = date, RIGHTARG = date, FUNCTION = trap.no);
CREATE FUNCTION trap.btrim(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''''::text';
CREATE FUNCTION trap.translate(text, text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''''::text';
CREATE FUNCTION trap.concat_ws(text, text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''''::text';
CREATE FUNCTION trap.like_escape(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''''::text';
CREATE FUNCTION trap.unnest(text[]) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS 'SELECT ''''::text';
CREATE FUNCTION trap.count() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 7::bigint';
CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''evil''::text';
CREATE DOMAIN trap.text AS pg_catalog.text CHECK (value = 'nothing');
CREATE DOMAIN trap.int8 AS pg_catalog.int8 CHECK (value < 0);
CREATE DOMAIN trap.date AS pg_catalog.date CHECK (value < '1900-01-01');
CREATE COLLATION trap.\"C\" (provider = icu, locale = 'und-u-ks-level1', deterministic = false);";

#[tokio::test]
async fn functions_operators_and_types_that_fit_better() {
    let bed = bed(Some(Postgres::database().await)).await;
    bed.sql(BETTER).await;
    let role = &bed.database().user;
    for path in
        ["public, trap", "trap, public", "trap, pg_catalog, public", "\"$user\", trap, public"]
    {
        bed.sql(&format!("ALTER ROLE {role} SET search_path = {path}")).await;
        new_sessions(&bed).await;
        is_true(&bed, path).await;
        writes_truly(&bed, path, "Dee").await;
        let report = bed.gateway.operate(Method::POST, "tenants/north/check", None, None).await;
        assert_eq!(report.status, 200, "{path}: {report:?}");
        // Elsewhere a table without a schema is none of those on the path behind the first.
        if path.starts_with("public") {
            bed.gateway.publish("north", MAPPING).await;
        }
    }
}

/// A trigger of the hospital's leaves temporary tables, and with them types, in the session that it ran in.
const TRIGGER: &str = "
CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  CREATE TEMP TABLE IF NOT EXISTS people AS SELECT id, mrn, 'False'::varchar(40) AS family, 'x'::varchar(40) AS given, born, ward, rev FROM public.people;
  CREATE TEMP TABLE IF NOT EXISTS ward AS SELECT id, 'false ward'::varchar(40) AS name FROM public.ward;
  CREATE TEMP TABLE IF NOT EXISTS contact AS SELECT person, kind, '666'::varchar(40) AS value FROM public.contact;
  CREATE TEMP TABLE IF NOT EXISTS text (x int);
  CREATE TEMP TABLE IF NOT EXISTS int8 (x int);
  CREATE TEMP TABLE IF NOT EXISTS pg_database AS SELECT 'elsewhere'::name AS datname, 1::oid AS oid;
  CREATE TEMP TABLE IF NOT EXISTS pg_class (x int);
  RETURN NEW; END $$;
CREATE TRIGGER leave AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION leave();";

#[tokio::test]
async fn temporary_tables_left_in_the_gateways_own_session() {
    let bed = bed(Some(Postgres::database().await)).await;
    bed.sql(TRIGGER).await;
    for given in ["Eve", "Flo"] {
        writes_truly(&bed, "temporary tables", given).await;
        is_true(&bed, "temporary tables").await;
    }
    let report = bed.gateway.operate(Method::POST, "tenants/north/check", None, None).await;
    assert_eq!(report.status, 200, "{report:?}");
}

#[tokio::test]
async fn two_databases_whose_names_differ_in_case_alone() {
    let database = MariaDb::database().await;
    let mut admin = MariaDb::admin().await;
    let (name, twin) = (database.name.clone(), database.name.to_uppercase());
    for sql in [
        format!("CREATE DATABASE {twin}"),
        format!(
            "CREATE TABLE {twin}.people (id INT PRIMARY KEY, mrn VARCHAR(12), family VARCHAR(40), given VARCHAR(40), born DATE, ward INT, rev INT)"
        ),
        format!("CREATE TABLE {twin}.ward (id INT PRIMARY KEY, name VARCHAR(40))"),
        format!(
            "CREATE TABLE {twin}.contact (person INT, kind CHAR(1), value VARCHAR(40), PRIMARY KEY (person, kind))"
        ),
        format!("INSERT INTO {twin}.people VALUES (1, 'M-1', 'False', 'x', NULL, 1, 1)"),
        format!("GRANT ALL PRIVILEGES ON {twin}.* TO {name}@'%'"),
    ] {
        sqlx::raw_sql(&sql).execute(&mut admin).await.unwrap();
    }
    let bed = bed(Some(database)).await;
    is_true(&bed, "a twin of the database").await;
    writes_truly(&bed, "a twin of the database", "Gil").await;
    sqlx::raw_sql(&format!("DROP DATABASE {twin}")).execute(&mut admin).await.unwrap();
}

#[tokio::test]
async fn a_file_is_read_as_its_main_database() {
    let bed = bed(None).await;
    is_true(&bed, "a file").await;
    writes_truly(&bed, "a file", "Hal").await;
}
