//! Writing on real servers: one mapping, one list of orders, the same answers and the same rows on
//! PostgreSQL, MariaDB and SQLite; then updates side by side, tables that cannot roll back, own types.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, Row as _};
use wardgate::base::Engine;

use crate::harness::{Database, MariaDb, Postgres};
use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};

const TABLES: &str = "
CREATE TABLE people (id SERIAL_KEY, mrn VARCHAR(12) NOT NULL UNIQUE, family VARCHAR(40) NOT NULL, given VARCHAR(40),
  sex CHAR(2), born DATE, weight DECIMAL(5,2), seen STAMP, mood MOOD, place INT NOT NULL DEFAULT 1, rev INT NOT NULL DEFAULT 1,
  CONSTRAINT no_forbidden CHECK (family <> 'Forbidden'));
CREATE TABLE contact (code VARCHAR(36) NOT NULL PRIMARY KEY, person INT NOT NULL, kind CHAR(1) NOT NULL, value VARCHAR(40) NOT NULL,
  CONSTRAINT of_person FOREIGN KEY (person) REFERENCES people (id));
CREATE TABLE visit (id SERIAL_KEY, person INT NOT NULL, began STAMP NOT NULL,
  CONSTRAINT visit_person FOREIGN KEY (person) REFERENCES people (id));
INSERT INTO people (mrn, family, given, sex, born, weight, seen, mood, rev) VALUES
  ('M-1', 'Muñoz', 'Ana María', 'F', '1985-03-05', 70.50, '2020-01-02 03:04:05', 'good', 3), ('M-2', 'Paz', NULL, NULL, NULL, NULL, NULL, NULL, 1);
INSERT INTO contact VALUES ('a', 1, 'T', '555'), ('b', 1, 'E', 'x@y');
INSERT INTO visit (person, began) VALUES (1, '2020-01-02 03:04:05');";

const MAPPING: &str = r#"
mapping: 1
database: {timezone: Europe/Madrid}
codes:
  sex: {values: {"F": female, "M": male}, otherwise: unknown}
  kind: {values: {"T": phone, "E": email}}
resources:
  - type: Patient
    from: {table: people, filter: {place: "1"}}
    key: id
    id: "p-$id"
    version: "$rev"
    map:
      identifier: [{system: "urn:mrn", value: "$mrn"}]
      name: [{family: "$family", given: ["$given | split(' ')"]}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [value]}
          item: {system: "$kind | code(kind)", value: "$value"}
      gender: "$sex | code(sex)"
      birthDate: "$born"
      deceasedDateTime: "$seen"
      extension:
        - {url: "urn:weight", valueDecimal: "$weight"}
        - {url: "urn:mood", valueCode: "$mood"}
    write:
      create: {key: identity}
      update: {version_column: rev}
      delete: hard
      children: {contact: {mode: replace, key: uuid}}
  - type: Encounter
    from: {table: visit}
    key: id
    id: "v-$id"
    map:
      status: finished
      class: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: AMB}
      subject: "$person | ref(Patient)"
      period: {start: "$began"}
    write: {create: {key: auto_increment}, delete: hard}
"#;

struct World {
    gateway: Gateway,
    token: String,
    database: Option<Database>,
    _issuer: TestIssuer,
}

impl World {
    /// On a server's database, or on a SQLite file without one.
    async fn start(database: Option<Database>) -> Self {
        let issuer =
            TestIssuer::start(vec![clinician("both", "north", &["fhir-read", "fhir-write"])]).await;
        let egress = database.iter().map(|d| format!("127.0.0.1/32:{}", d.server.port)).collect();
        let gateway = Gateway::start(&issuer, Options { egress, ..Options::default() }).await;
        let token = issuer.token("both");
        let world = Self { gateway, token, database, _issuer: issuer };
        let (key, stamp, mood, before) = match world.engine() {
            Engine::Postgres => (
                "SERIAL PRIMARY KEY",
                "TIMESTAMP",
                "mood",
                "CREATE TYPE mood AS ENUM ('good', 'bad');",
            ),
            Engine::MySql => {
                ("INT AUTO_INCREMENT PRIMARY KEY", "DATETIME", "ENUM('good', 'bad')", "")
            }
            Engine::Sqlite => (
                "INTEGER PRIMARY KEY",
                "DATETIME",
                "VARCHAR(4) CHECK (mood IN ('good', 'bad'))",
                "",
            ),
        };
        let tables =
            TABLES.replace("SERIAL_KEY", key).replace("STAMP", stamp).replace("MOOD", mood);
        world.sql(&format!("{before}{tables}")).await;
        let connection = match &world.database {
            Some(database) => database.connection(database.server.port),
            None => json!({ "url": "sqlite:north.db" }),
        };
        world.gateway.register("north", connection).await;
        world.gateway.publish("north", MAPPING).await;
        world
    }

    async fn all() -> Vec<Self> {
        vec![
            Self::start(Some(Postgres::database().await)).await,
            Self::start(Some(MariaDb::database().await)).await,
            Self::start(None).await,
        ]
    }

    fn engine(&self) -> Engine {
        self.database.as_ref().map_or(Engine::Sqlite, |database| database.engine)
    }

    async fn sqlite(&self) -> sqlx::SqliteConnection {
        let file = self.gateway.folder().join("sqlite/north.db");
        let url = format!("sqlite:{}?mode=rwc", file.display());
        sqlx::SqliteConnection::connect(&url).await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        match &self.database {
            Some(database) => database.execute(sql).await,
            None => drop(self.sqlite().await.execute(sqlx::raw_sql(sql)).await.unwrap()),
        }
    }

    /// The rows a statement gives, each one text.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let texts =
            |rows: Vec<Option<String>>| rows.into_iter().map(Option::unwrap_or_default).collect();
        match &self.database {
            Some(d) if d.engine == Engine::Postgres => {
                let rows = sqlx::query(sql).fetch_all(&mut d.postgres().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
            Some(d) => {
                let rows = sqlx::query(sql).fetch_all(&mut d.mariadb().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
            None => {
                let rows = sqlx::query(sql).fetch_all(&mut self.sqlite().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
        }
    }

    /// Everything in the tables, but for what the gateway drew by lot.
    async fn everything(&self) -> Vec<String> {
        let join = |parts: &[&str]| {
            let text = |part: &&str| match self.engine() {
                Engine::MySql => format!("COALESCE(CAST({part} AS CHAR), '-')"),
                _ => format!("COALESCE(CAST({part} AS TEXT), '-')"),
            };
            let parts: Vec<String> = parts.iter().map(text).collect();
            match self.engine() {
                Engine::MySql => format!("CONCAT_WS('|', {})", parts.join(", ")),
                _ => parts.join(" || '|' || "),
            }
        };
        let people =
            join(&["id", "mrn", "family", "given", "sex", "born", "seen", "mood", "place", "rev"]);
        let weight = match self.engine() {
            Engine::MySql => "COALESCE(CAST(weight * 100 AS SIGNED), 0)",
            _ => "COALESCE(CAST(weight * 100 AS INT), 0)",
        };
        let mut all = self.rows(&format!("SELECT {people} FROM people ORDER BY id")).await;
        all.extend(self.rows(&format!("SELECT {} FROM people ORDER BY id", join(&[weight]))).await);
        all.extend(
            self.rows(&format!(
                "SELECT {} FROM contact ORDER BY person, value",
                join(&["person", "kind", "value"])
            ))
            .await,
        );
        all.extend(
            self.rows(&format!("SELECT {} FROM visit ORDER BY id", join(&["person", "began"])))
                .await,
        );
        all
    }

    async fn ask(&self, method: Method, path: &str, if_match: Option<&str>, body: &Value) -> Reply {
        let url = format!("{}{path}", self.gateway.fhir);
        let mut request = self.gateway.http.request(method, url).bearer_auth(&self.token);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        if *body != Value::Null {
            request =
                request.header("content-type", "application/fhir+json").body(body.to_string());
        }
        Reply::of(request).await.expect("an answer")
    }
}

fn patient(mrn: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": mrn}], "name": [{"family": family}]})
}

/// Orders, each answered with its status and the elements named.
fn orders() -> Vec<(Method, &'static str, Value)> {
    let full = json!({
        "resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "M-3"}],
        "name": [{"family": "Ñandú 😀", "given": ["Eva", "Luz"]}], "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "e"}],
        "gender": "male", "birthDate": "2001-12-31", "deceasedDateTime": "2020-07-01T10:00:00Z",
        "extension": [{"url": "urn:weight", "valueDecimal": 61.5}, {"url": "urn:mood", "valueCode": "bad"}]
    });
    let with = |name: &str, value: Value| {
        let mut body = full.clone();
        body[name] = value;
        body["identifier"][0]["value"] = json!("M-4");
        body
    };
    let weight = |number: f64| json!([{"url": "urn:weight", "valueDecimal": number}]);
    vec![
        (Method::POST, "/Patient", full.clone()),
        (Method::POST, "/Patient", full.clone()),
        (Method::POST, "/Patient", patient("M-1234567890123", "Lang")),
        (Method::POST, "/Patient", patient("M-4", "Forbidden")),
        (Method::POST, "/Patient", with("extension", weight(1.234))),
        (Method::POST, "/Patient", with("extension", weight(12345.0))),
        (
            Method::POST,
            "/Patient",
            with("extension", json!([{"url": "urn:mood", "valueCode": "odd"}])),
        ),
        (Method::POST, "/Patient", with("birthDate", json!("2001-12"))),
        (Method::POST, "/Patient", with("deceasedDateTime", json!("2020-07"))),
        (Method::DELETE, "/Patient/p-1", Value::Null),
        (
            Method::POST,
            "/Encounter",
            json!({"resourceType": "Encounter", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/p-2"}, "period": {"start": "2021-03-28T09:00:00+02:00"}}),
        ),
        (
            Method::POST,
            "/Encounter",
            json!({"resourceType": "Encounter", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/p-99"}, "period": {"start": "2021-03-28T09:00:00Z"}}),
        ),
        (Method::DELETE, "/Encounter/v-1", Value::Null),
        (Method::DELETE, "/Patient/p-1", Value::Null),
        (Method::DELETE, "/Patient/p-1", Value::Null),
        (Method::PUT, "/Patient/p-1", patient("M-1", "Neu")),
    ]
}

#[tokio::test]
async fn the_same_orders_come_to_the_same_on_every_engine() {
    let statuses = [201, 409, 422, 422, 422, 422, 422, 422, 422, 409, 201, 409, 204, 204, 204, 405];
    let mut known: Option<(Vec<String>, Vec<String>)> = None;
    for world in World::all().await {
        let mut answers = Vec::new();
        for ((method, path, body), status) in orders().into_iter().zip(statuses) {
            let before = world.everything().await;
            let reply = world.ask(method.clone(), path, None, &body).await;
            assert_eq!(
                reply.status,
                status,
                "{:?} {method} {path} {body}: {reply:?}",
                world.engine()
            );
            if reply.status >= 400 {
                assert_eq!(
                    world.everything().await,
                    before,
                    "{:?} {method} {path} {body}",
                    world.engine()
                );
                let issue = reply.json()["issue"][0].clone();
                // SQLite does not say which reference is meant, nor which check.
                let enumeration = body.to_string().contains("\"odd\"");
                // SQLite has no enumerations; a check stands there instead.
                answers.push(if enumeration {
                    "odd".to_owned()
                } else {
                    issue["code"].to_string()
                });
            } else {
                answers.push(reply.body.replace(".50", ".5"));
            }
        }
        let now = (answers, world.everything().await);
        match &known {
            None => known = Some(now),
            Some(known) => assert_eq!(now, *known, "{:?}", world.engine()),
        }
        assert_eq!(world.gateway.view("tenants/north/breaker").await["state"], "closed");
    }
    let (_, rows) = known.unwrap();
    assert!(rows[1].starts_with("3|M-3|Ñandú 😀|Eva Luz|M"), "{rows:?}");
}

#[tokio::test]
async fn what_is_served_is_taken_back_and_changes_no_row() {
    for world in World::all().await {
        let before = world.everything().await;
        for id in ["p-1", "p-2"] {
            let served = world.gateway.get(&world.token, &format!("/Patient/{id}")).await;
            let again =
                world.ask(Method::PUT, &format!("/Patient/{id}"), None, &served.json()).await;
            assert_eq!((again.status, again.json()), (200, served.json()), "{:?}", world.engine());
        }
        assert_eq!(world.everything().await, before, "{:?}", world.engine());
    }
}

#[tokio::test]
async fn updates_side_by_side_lose_nothing() {
    for world in World::all().await {
        let (engine, world) = (world.engine(), Arc::new(world));
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..4 {
            let world = Arc::clone(&world);
            tasks.spawn(async move {
                let mut won = 0;
                while won < 5 {
                    let read = world.gateway.get(&world.token, "/Patient/p-2").await;
                    let (tag, mut body) = (read.header("etag").to_owned(), read.json());
                    let given = body["name"][0]["given"].as_array().cloned().unwrap_or_default();
                    let given: Vec<Value> =
                        given.into_iter().chain([json!(format!("{worker}"))]).collect();
                    body["name"][0]["given"] = json!(given);
                    let put = world.ask(Method::PUT, "/Patient/p-2", Some(&tag), &body).await;
                    match put.status {
                        200 => won += 1,
                        409 | 412 | 429 | 503 => {}
                        _ => panic!("{put:?}"),
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let read = world.gateway.get(&world.token, "/Patient/p-2").await.json();
        assert_eq!(read["name"][0]["given"].as_array().unwrap().len(), 20, "{engine:?}: {read}");
        assert_eq!(read["meta"]["versionId"], "21", "{engine:?}");
    }
}

#[tokio::test]
async fn creates_on_one_condition_make_one_resource() {
    for world in World::all().await {
        let (engine, world) = (world.engine(), Arc::new(world));
        // Without the index that would forbid it.
        if engine == Engine::Postgres {
            world.sql("ALTER TABLE people DROP CONSTRAINT people_mrn_key").await;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let world = Arc::clone(&world);
            tasks.spawn(async move {
                let url = format!("{}/Patient", world.gateway.fhir);
                let request = world.gateway.http.post(url).bearer_auth(&world.token);
                let request = request.header("if-none-exist", "identifier=urn:mrn|M-9");
                let request = request.header("content-type", "application/fhir+json");
                let reply =
                    Reply::of(request.body(patient("M-9", "Neun").to_string())).await.unwrap();
                assert!([200, 201, 409, 503].contains(&reply.status), "{reply:?}");
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(
            world.rows("SELECT family FROM people WHERE mrn = 'M-9'").await.len(),
            1,
            "{engine:?}"
        );
    }
}

#[tokio::test]
async fn a_table_that_cannot_roll_back_is_not_written() {
    let world = World::start(Some(MariaDb::database().await)).await;
    world
        .sql("ALTER TABLE visit DROP FOREIGN KEY visit_person; ALTER TABLE visit ENGINE = MyISAM;")
        .await;
    let before = world.everything().await;
    let body = orders().remove(10).2;
    let refused = world.ask(Method::POST, "/Encounter", None, &body).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    assert_eq!(world.everything().await, before);
}
