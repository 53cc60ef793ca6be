//! Writing over HTTP: what is stored, what is refused and by which element, who may, and that nothing is
//! stored by halves.

mod bundles;
mod conditions;
mod drifted;
mod offered;
mod refused;
mod shapes;
mod validated;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};

const TABLES: &str = "
CREATE TABLE people (id INTEGER PRIMARY KEY, mrn VARCHAR(12) NOT NULL UNIQUE, family TEXT NOT NULL, given TEXT,
  sex TEXT, born TEXT, active INTEGER NOT NULL DEFAULT 1, doctor TEXT, note TEXT DEFAULT 'local', dead TEXT NOT NULL DEFAULT '0',
  rev INTEGER NOT NULL DEFAULT 1, changed TEXT, CHECK (family <> 'Forbidden'));
CREATE TABLE contact (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people (id), kind TEXT NOT NULL,
  value TEXT NOT NULL, place INTEGER, source TEXT DEFAULT 'desk');
CREATE TABLE measure (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people (id), code TEXT NOT NULL,
  value DECIMAL(6,2), unit TEXT, at TEXT NOT NULL);
INSERT INTO people VALUES (1, 'M-1', 'Soto', 'Ana  María', 'F', '05/03/1985', 1, 'Dr. Rey', 'local', '0', 3, '2026-01-01T10:00:00Z'),
  (2, 'M-2', 'Paz', NULL, 'x', NULL, 0, NULL, NULL, '0', 1, NULL), (3, 'M-3', 'Gone', NULL, NULL, NULL, 1, NULL, NULL, '1', 1, NULL);
INSERT INTO contact VALUES (10, 1, 'T', '555', 1, 'card'), (11, 1, 'E', 'a@b', 2, 'card'), (12, 1, '?', '', NULL, 'card');
INSERT INTO measure VALUES (100, 1, 'HR', 72.5, '/min', '01/02/2026 08:30');";

const MAPPING: &str = r#"
mapping: 1
database: {timezone: America/Santiago}
codes:
  sex: {values: {"F": female, "M": male, "X": other}, otherwise: unknown}
  kind: {values: {"T": phone, "E": email}}
  code: {values: {"HR": {code: "8867-4", display: Heart rate}, "BT": "8310-5"}}
resources:
  - name: person
    type: Patient
    from: {table: people, filter: {dead: "0"}}
    key: id
    id: "$id"
    version: "$rev"
    last_updated: "$changed | datetime('yyyy-MM-ddTHH:mm:ssZ')"
    map:
      active: "$active | bool('1', '0')"
      identifier: [{use: official, system: "urn:mrn", value: "$mrn"}]
      name: [{use: official, family: "$family", given: ["$given | split(' ')"]}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [place]}
          item: {system: "$kind | code(kind)", value: "$value", rank: "$place | int"}
      gender: "$sex | code(sex)"
      birthDate: "$born | date('dd/MM/yyyy')"
      generalPractitioner: [{display: "$doctor"}]
    write:
      create: {key: auto_increment}
      update: {version_column: rev, touch: changed}
      delete: {soft: {dead: "1"}}
      children: {contact: replace}
      read_only: [generalPractitioner]
  - name: measure
    type: Observation
    from: {table: measure}
    key: id
    id: "m-$id"
    map:
      status: final
      category: [{coding: [{system: "http://terminology.hl7.org/CodeSystem/observation-category", code: vital-signs}]}]
      code: {coding: [{system: "http://loinc.org", code: "$code | code(code)", display: "$code | display(code)"}]}
      subject: "$person | ref(Patient)"
      effectiveDateTime: "$at | datetime('dd/MM/yyyy HH:mm')"
      valueQuantity: {value: "$value", unit: "$unit"}
    write:
      create: {key: auto_increment}
      update: {}
      delete: hard
"#;

struct World {
    issuer: TestIssuer,
    gateway: Gateway,
}

impl World {
    async fn start() -> Self {
        Self::with(TABLES, MAPPING).await
    }

    async fn with(tables: &str, mapping: &str) -> Self {
        let users = vec![
            clinician("both", "north", &["fhir-read", "fhir-write"]),
            clinician("reader", "north", &["fhir-read"]),
            clinician("writer", "north", &["fhir-write"]),
            clinician("chief", "north", &["fhir-admin"]),
        ];
        let issuer = TestIssuer::start(users).await;
        let gateway = Gateway::start(&issuer, Options::default()).await;
        let world = Self { issuer, gateway };
        world.sql(tables).await;
        world.gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
        world.gateway.publish("north", mapping).await;
        world
    }

    async fn connection(&self) -> sqlx::SqliteConnection {
        let file = self.gateway.folder().join("sqlite/north.db");
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        options.connect().await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(sql).execute(&mut self.connection().await).await.unwrap();
    }

    /// Every row of a table, cells as text.
    async fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("SELECT * FROM {table} ORDER BY 1");
        let rows = sqlx::query(&sql).fetch_all(&mut self.connection().await).await.unwrap();
        let cell = |row: &sqlx::sqlite::SqliteRow, at: usize| {
            let text: Option<String> = row.try_get_unchecked(at).unwrap();
            text.unwrap_or_else(|| "-".to_owned())
        };
        rows.iter()
            .map(|row| (0..row.len()).map(|at| cell(row, at)).collect::<Vec<_>>().join("|"))
            .collect()
    }

    async fn ask(
        &self,
        user: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let url = format!("{}{path}", self.gateway.fhir);
        let mut request =
            self.gateway.http.request(method, url).bearer_auth(self.issuer.token(user));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if *body != Value::Null {
            request = request.body(body.to_string());
        }
        Reply::of(request).await.expect("an answer")
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.ask("both", method, path, &[], body).await
    }

    async fn read(&self, path: &str) -> Value {
        let reply = self.gateway.get(&self.issuer.token("both"), path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// The expressions of an outcome with their codes.
fn issues(reply: &Reply) -> Vec<(String, String)> {
    let outcome = reply.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{reply:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let issues = outcome["issue"].as_array().unwrap().iter();
    issues.map(|issue| (text(&issue["expression"][0]), text(&issue["code"]))).collect()
}

fn paths(reply: &Reply) -> Vec<String> {
    issues(reply).into_iter().map(|(path, _)| path).collect()
}

fn patient(mrn: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "active": true, "identifier": [{"system": "urn:mrn", "value": mrn}], "name": [{"family": family}]})
}

#[tokio::test]
async fn a_new_resource_is_a_row_and_comes_back_as_it_was_sent() {
    let world = World::start().await;
    let body = json!({
        "resourceType": "Patient", "id": "ignored", "meta": {"versionId": "77", "lastUpdated": "2020-01-01T00:00:00Z"},
        "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
        "active": true, "identifier": [{"system": "urn:mrn", "value": "M-9"}],
        "name": [{"family": "Núñez", "given": ["Eva", "Luz"]}],
        "telecom": [{"system": "email", "value": "e@x", "rank": 2}, {"system": "phone", "value": "1", "rank": 1}],
        "gender": "other", "birthDate": "2001-12-31"
    });
    let made = world.send(Method::POST, "/Patient", &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.header("location"), "http://gateway.test/fhir/Patient/4/_history/1");
    assert_eq!(
        (made.header("etag"), made.header("content-type")),
        ("W/\"1\"", "application/fhir+json; charset=utf-8")
    );
    assert!(!made.header("last-modified").is_empty());
    let shown = made.json();
    assert_eq!(shown["id"], "4");
    assert_eq!(
        shown["name"][0],
        json!({"use": "official", "family": "Núñez", "given": ["Eva", "Luz"]})
    );
    assert_eq!(shown["telecom"][0]["value"], "1");
    assert_eq!(world.read("/Patient/4").await, shown);
    let rows = world.rows("people").await;
    assert!(rows[3].starts_with("4|M-9|Núñez|Eva Luz|X|31/12/2001|1|-|local|0|1|20"), "{rows:?}");
    assert_eq!(world.rows("contact").await[3..], ["13|4|E|e@x|2|desk", "14|4|T|1|1|desk"]);
    // What was served is taken back unchanged, and changes nothing.
    let before = (world.rows("people").await, world.rows("contact").await);
    for id in ["1", "2", "4"] {
        let served = world.read(&format!("/Patient/{id}")).await;
        let again = world.send(Method::PUT, &format!("/Patient/{id}"), &served).await;
        assert_eq!((again.status, again.json()), (200, served), "{id}");
    }
    assert_eq!((world.rows("people").await, world.rows("contact").await), before);
}

#[tokio::test]
async fn a_change_touches_what_it_changes_and_nothing_else() {
    let world = World::start().await;
    let mut body = world.read("/Patient/1").await;
    body["name"][0]["family"] = json!("Soto Vega");
    body["telecom"] = json!([{"system": "email", "value": "a@b", "rank": 2}, {"system": "phone", "value": "556", "rank": 1}]);
    body.as_object_mut().unwrap().remove("birthDate");
    let changed =
        world.ask("both", Method::PUT, "/Patient/1", &[("if-match", "W/\"3\"")], &body).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "W/\"4\""), "{changed:?}");
    let row = world.rows("people").await[0].clone();
    assert!(row.starts_with("1|M-1|Soto Vega|Ana  María|F|-|1|Dr. Rey|local|0|4|20"), "{row}");
    // A row nobody sees stays, one that stands stays as it is.
    assert_eq!(
        world.rows("contact").await,
        ["11|1|E|a@b|2|card", "12|1|?||-|card", "13|1|T|556|1|desk"]
    );
    let stale = world.ask("both", Method::PUT, "/Patient/1", &[("if-match", "3")], &body).await;
    assert_eq!((stale.status, issues(&stale)[0].1.as_str()), (412, "conflict"), "{stale:?}");
    let minimal =
        world.ask("both", Method::PUT, "/Patient/1", &[("prefer", "return=minimal")], &body).await;
    assert_eq!(
        (minimal.status, minimal.body.as_str(), minimal.header("etag")),
        (200, "", "W/\"4\"")
    );
    let told = world
        .ask("both", Method::PUT, "/Patient/1", &[("prefer", "return=OperationOutcome")], &body)
        .await;
    assert_eq!(told.json()["resourceType"], "OperationOutcome");
}

#[tokio::test]
async fn a_resource_goes_and_going_again_is_no_fault() {
    let world = World::start().await;
    let gone = world
        .ask("both", Method::DELETE, "/Patient/2", &[("if-match", "W/\"9\"")], &Value::Null)
        .await;
    assert_eq!(gone.status, 412, "{gone:?}");
    for _ in 0..2 {
        let gone = world.send(Method::DELETE, "/Patient/2", &Value::Null).await;
        assert_eq!((gone.status, gone.body.as_str()), (204, ""), "{gone:?}");
    }
    assert!(
        world.rows("people").await[1].contains("|1|2|20"),
        "marked, counted up, touched: {:?}",
        world.rows("people").await
    );
    let gone = world.gateway.get(&world.issuer.token("both"), "/Patient/2").await;
    assert_eq!(gone.status, 404);
    let gone = world.send(Method::DELETE, "/Observation/m-100", &Value::Null).await;
    assert_eq!((gone.status, world.rows("measure").await.len()), (204, 0), "{gone:?}");
}

#[tokio::test]
async fn patches_and_conditions() {
    let world = World::start().await;
    let kind = [("content-type", "application/json-patch+json")];
    let patch = json!([{"op": "test", "path": "/gender", "value": "female"}, {"op": "replace", "path": "/gender", "value": "male"}]);
    let patched = world.ask("both", Method::PATCH, "/Patient/1", &kind, &patch).await;
    assert_eq!(
        (patched.status, patched.json()["gender"].as_str()),
        (200, Some("male")),
        "{patched:?}"
    );
    let again = world.ask("both", Method::PATCH, "/Patient/1", &kind, &patch).await;
    assert_eq!((again.status, again.json()["issue"][0]["code"].as_str()), (409, Some("conflict")));
    let nowhere = json!([{"op": "remove", "path": "/photo/0"}]);
    let nowhere = world.ask("both", Method::PATCH, "/Patient/1", &kind, &nowhere).await;
    assert_eq!(nowhere.status, 409, "{nowhere:?}");
    let partial = world.send(Method::PATCH, "/Patient/1", &json!({"gender": "female"})).await;
    assert_eq!(
        (partial.status, partial.header("accept-patch")),
        (415, "application/json-patch+json"),
        "{partial:?}"
    );

    let unless =
        |value: &str| [("if-none-exist".to_owned(), format!("identifier=urn:mrn|{value}"))];
    let create = async |user: &str, mrn: &str| {
        let unless = unless(mrn);
        let headers: Vec<(&str, &str)> =
            unless.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        world.ask(user, Method::POST, "/Patient", &headers, &patient(mrn, "Neu")).await
    };
    assert_eq!(create("both", "M-7").await.status, 201);
    let known = create("both", "M-7").await;
    assert_eq!((known.status, known.json()["id"].as_str()), (200, Some("4")), "{known:?}");
    assert_eq!(create("writer", "M-7").await.status, 403, "what is there is for readers to know");
    let several = [("if-none-exist", "gender=unknown,male")];
    let several =
        world.ask("both", Method::POST, "/Patient", &several, &patient("M-8", "Neu")).await;
    assert_eq!(several.status, 412, "{several:?}");
    let update = world.send(Method::PUT, "/Patient?identifier=M-7", &patient("M-7", "Alt")).await;
    assert_eq!(
        (update.status, update.json()["name"][0]["family"].as_str()),
        (200, Some("Alt")),
        "{update:?}"
    );
    let made = world.send(Method::PUT, "/Patient?identifier=M-8", &patient("M-8", "Acht")).await;
    assert_eq!(made.status, 201, "{made:?}");
    let many = world.send(Method::DELETE, "/Patient?active=true", &Value::Null).await;
    assert_eq!(many.status, 412, "{many:?}");
    let one = world.send(Method::DELETE, "/Patient?identifier=M-8", &Value::Null).await;
    assert_eq!(one.status, 204, "{one:?}");
    let typo = world.send(Method::DELETE, "/Patient?identifer=M-7", &Value::Null).await;
    assert_eq!(typo.status, 400, "{typo:?}");
}

#[tokio::test]
async fn writing_is_not_reading() {
    let world = World::start().await;
    let made = world.ask("writer", Method::POST, "/Patient", &[], &patient("M-5", "Neu")).await;
    assert_eq!((made.status, made.body.as_str()), (201, ""), "{made:?}");
    assert!(!made.header("location").is_empty());
    let body = json!([{"op": "test", "path": "/gender", "value": "female"}]);
    let kind = [("content-type", "application/json-patch+json")];
    assert_eq!(world.ask("writer", Method::PATCH, "/Patient/1", &kind, &body).await.status, 403);
    for (method, path) in
        [(Method::POST, "/Patient"), (Method::PUT, "/Patient/1"), (Method::DELETE, "/Patient/1")]
    {
        let refused = world.ask("reader", method, path, &[], &patient("M-6", "Neu")).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    let capability = world.read("/metadata").await;
    let of = |ty: &str| {
        let all = capability["rest"][0]["resource"].as_array().unwrap();
        all.iter().find(|r| r["type"] == ty).unwrap().clone()
    };
    let codes: Vec<String> = of("Patient")["interaction"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["read", "search-type", "vread", "create", "update", "patch", "delete"]);
    assert_eq!(of("Patient")["conditionalCreate"], true);
    assert_eq!(capability["patchFormat"], json!(["application/json-patch+json"]));
}
