//! A hospital whose rows say of which type they are, and an issuer whose tokens carry any scope.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};
use wardgate::base::{Clock as _, SystemClock};

use crate::idp::{Idp, SigningKey, keycloak_claims};
use crate::support::{Gateway, Options, Reply, TestIssuer};

/// The types the hospital has; a resource of each says `canary` and its type's name.
pub const TYPES: [&str; 5] = ["Encounter", "Group", "Observation", "Patient", "Practitioner"];

const TABLES: &str = "
CREATE TABLE person (id INTEGER PRIMARY KEY, mrn TEXT NOT NULL, family TEXT, rev INTEGER NOT NULL DEFAULT 1);
CREATE TABLE stay (id INTEGER PRIMARY KEY, person INTEGER, kind TEXT);
CREATE TABLE doctor (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE lab (id INTEGER PRIMARY KEY, number TEXT, person INTEGER, stay INTEGER, doctor INTEGER, kind TEXT, taken TEXT);
CREATE TABLE ward (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE member (id INTEGER PRIMARY KEY, ward INTEGER, person INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
  INSERT INTO person SELECT i, 'M-' || i, 'canarypatient' || i, 1 FROM n;
INSERT INTO stay SELECT id, id, 'canaryencounter' FROM person;
INSERT INTO doctor VALUES (1, 'canarypractitioner');
INSERT INTO lab SELECT id, 'O-' || id, id, id, 1, 'canaryobservation', '2026-05-06' FROM person;
INSERT INTO ward VALUES (1, 'canarygroup');
INSERT INTO member SELECT id, 1, id FROM person WHERE id < 9;
";

const MAPPING: &str = r#"
mapping: 1
resources:
  - name: person
    type: Patient
    from: {table: person}
    key: id
    id: "$id"
    version: "$rev"
    map: {identifier: [{system: "urn:mrn", value: "$mrn"}], name: [{family: "$family"}]}
    write: {create: {key: auto_increment}, update: {version_column: rev}, delete: hard}
  - name: stay
    type: Encounter
    from: {table: stay}
    key: id
    id: "$id"
    map: {status: finished, class: {code: IMP}, type: [{text: "$kind"}], subject: "$person | ref(Patient)"}
  - {name: doctor, type: Practitioner, from: {table: doctor}, key: id, id: "$id", map: {name: [{family: "$name"}]}}
  - name: lab
    type: Observation
    from: {table: lab}
    key: id
    id: "$id"
    map:
      identifier: [{system: "urn:obs", value: "$number"}]
      status: final
      code: {text: "$kind", coding: [{system: "urn:lab", code: glu}]}
      subject: "$person | ref(Patient)"
      encounter: "$stay | ref(Encounter)"
      performer: ["$doctor | ref(Practitioner)"]
      effectiveDateTime: "$taken | date('yyyy-MM-dd')"
    write: {create: {key: auto_increment}, update: {}, delete: hard}
  - name: ward
    type: Group
    from: {table: ward}
    key: id
    id: "$id"
    map:
      type: person
      actual: true
      name: "$name"
      member:
        - each: {table: member, match: {ward: id}, order: [id]}
          item: {entity: "$person | ref(Patient)"}
"#;

pub struct World {
    pub gateway: Gateway,
    key: SigningKey,
    issuer: String,
    _issuers: (TestIssuer, Idp),
}

impl World {
    pub async fn start() -> Self {
        let key = SigningKey::generate("scopes", "RS256");
        let idp = Idp::start().await;
        let issuer = idp.realm("a", std::slice::from_ref(&key));
        let limits = "[limits]\nrequests_per_second = 10000\n";
        let settings =
            format!("[[issuers]]\nurl = \"{issuer}\"\naudience = \"wardgate-api\"\n{limits}");
        let operators = TestIssuer::for_tenants(&["north"]).await;
        let log_level = Some("info");
        let options = Options { settings, log_level, ..Options::default() };
        let gateway = Gateway::start(&operators, options).await;
        let world = Self { gateway, key, issuer: issuer.clone(), _issuers: (operators, idp) };
        sqlx::raw_sql(TABLES).execute(&mut world.database().await).await.unwrap();
        world.gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
        world.gateway.publish("north", MAPPING).await;
        let identity = json!({ "issuer": issuer, "claim_value": "hospital-a", "azp": ["emr-app", "other-app"] });
        let generation = world.gateway.view("tenants/north").await["generation"].as_u64();
        let body = Some(("application/json", json!({ "identities": [identity] }).to_string()));
        let bound = world.gateway.operate(Method::PATCH, "tenants/north", generation, body).await;
        assert_eq!(bound.status, 200, "{bound:?}");
        world
    }

    async fn database(&self) -> SqliteConnection {
        let file = self.gateway.folder().join("sqlite/north.db");
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        options.connect().await.unwrap()
    }

    /// Everything that can be written, as text.
    pub async fn dump(&self) -> Vec<String> {
        let mut connection = self.database().await;
        let sql = "SELECT 'P' || id || mrn || coalesce(family, '') || rev FROM person UNION ALL
            SELECT 'O' || id || coalesce(number, '') || coalesce(person, '') FROM lab ORDER BY 1";
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// A token of one and the same user, with these roles and this `scope`.
    pub fn token(&self, roles: &[&str], scope: &str) -> String {
        self.token_with(roles, scope, |_| {})
    }

    /// The same with its claims changed.
    pub fn token_with(
        &self,
        roles: &[&str],
        scope: &str,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let mut claims = keycloak_claims(&self.issuer, SystemClock.now().as_secs());
        claims["scope"] = json!(scope);
        claims["realm_access"] = json!({ "roles": roles });
        change(&mut claims);
        self.key.token(&self.key.header(), &claims)
    }

    pub fn patient(n: u32, family: &str) -> Value {
        json!({
            "resourceType": "Patient", "id": n.to_string(),
            "identifier": [{"system": "urn:mrn", "value": format!("M-{n}")}],
            "name": [{"family": family}],
        })
    }

    pub async fn send(
        &self,
        token: &str,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &Value,
    ) -> Reply {
        let url = format!("{}{path}", self.gateway.fhir);
        let mut request = self.gateway.http.request(method, url).bearer_auth(token);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if !body.is_null() {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            request = request.body(text);
        }
        Reply::of(request).await.expect("an answer")
    }
}
