//! Writing a mapping over the wire: draft, check, preview, diff, drift; and who may see what of it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::issuer::clinician;
use crate::support::{Gateway, OPERATOR, Options, Reply, TestIssuer, mapping};
use crate::world;

async fn start() -> (TestIssuer, Gateway) {
    start_with(Options::default()).await
}

async fn start_with(options: Options) -> (TestIssuer, Gateway) {
    let users = vec![
        clinician("reader", "north", &["fhir-read"]),
        clinician("chief", "north", &["fhir-admin"]),
        clinician("both", "north", &["fhir-admin", "fhir-read"]),
    ];
    let issuer = TestIssuer::start(users).await;
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    (issuer, gateway)
}

async fn own(gateway: &Gateway, token: &str, path: &str, body: &str) -> Reply {
    let base = gateway.fhir.trim_end_matches("/fhir");
    let request = gateway.http.post(format!("{base}/tenant/v1/mappings/{path}"));
    let request = request.bearer_auth(token).header("content-type", "application/yaml");
    Reply::of(request.body(body.to_owned())).await.expect("an answer")
}

async fn operate(gateway: &Gateway, token: &str, path: &str, body: &str) -> Reply {
    let url = format!("{}/admin/v1/tenants/north/mappings/{path}", gateway.admin);
    let request =
        gateway.http.post(url).bearer_auth(token).header("content-type", "application/yaml");
    Reply::of(request.body(body.to_owned())).await.expect("an answer")
}

async fn alter(gateway: &Gateway, sql: &str) {
    let file = gateway.folder().join("sqlite/north.db");
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_draft_passes_its_own_check_and_names_no_patient() {
    let (issuer, gateway) = start().await;
    let operator = issuer.token(OPERATOR);
    let draft = operate(&gateway, &operator, "draft", "").await;
    assert_eq!(draft.status, 200, "{draft:?}");
    let text = draft.json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("type: Patient") && text.contains("family: \"$family_name\""), "{text}");
    // Every row's family name is the hospital's mark, so it is frequent; the numbers are not.
    assert!(!text.contains("mrn-mark-north-1001"), "{text}");
    let report = operate(&gateway, &operator, "check", &text).await;
    assert_eq!(report.status, 200, "{report:?}");
    let trial = &report.json()["trial"];
    assert_eq!(trial["sources"][0]["rows"], 5, "{trial}");
    assert_eq!(trial["sources"][0]["written"], 5, "{trial}");
    assert!(trial["searches"].as_array().is_some_and(|s| !s.is_empty()), "{trial}");
    // Numbers only: no cell of any row is in what operators are told.
    assert!(!report.body.contains("mark-north"), "{}", report.body);
    let own = own(&gateway, &issuer.token("chief"), "draft", "").await;
    assert_eq!((own.status, own.json()["text"].as_str()), (200, Some(text.as_str())));
}

/// How many previews a page of the access log holds.
fn looks(log: &Value) -> usize {
    let events = log["events"].as_array().expect("a page of the log");
    events.iter().filter(|e| e["action"] == "mapping.preview").count()
}

#[tokio::test]
async fn only_who_reads_and_manages_sees_resources_of_a_draft() {
    let (issuer, gateway) = start().await;
    let text = mapping("9");
    for user in ["reader", "chief"] {
        let refused = own(&gateway, &issuer.token(user), "preview", &text).await;
        assert_eq!(refused.status, 403, "{user}: {refused:?}");
    }
    let operator = own(&gateway, &issuer.token(OPERATOR), "preview", &text).await;
    assert_eq!(operator.status, 401, "{operator:?}");
    let nowhere = operate(&gateway, &issuer.token(OPERATOR), "preview", &text).await;
    assert!(matches!(nowhere.status, 404 | 405), "{nowhere:?}");

    let both = issuer.token("both");
    let seen = own(&gateway, &both, "preview?rows=2", &text).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    let shown = seen.json();
    assert_eq!(
        (&shown["tenant"], &shown["ok"]),
        (&Value::from("north"), &Value::from(true)),
        "{shown}"
    );
    let resources = shown["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 2, "{shown}");
    assert_eq!(resources[0]["resource"]["identifier"][0]["system"], "urn:mapping:9", "{shown}");
    let one = own(&gateway, &both, "preview?ids=Patient/1003,Patient/77", &text).await.json();
    assert_eq!(one["resources"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(one["resources"][0]["resource"]["id"], "1003", "{one}");
    // What is in force is as it was, and the look is in the hospital's own log.
    let read = gateway.get(&issuer.token("reader"), "/Patient/1001").await.json();
    assert_eq!(read["identifier"][0]["system"], "urn:mapping:1");
    let base = gateway.fhir.trim_end_matches("/fhir");
    let mut log = Value::Null;
    // What is durable is filed in the hospital's log a moment later.
    for _ in 0..100 {
        let asked = gateway.http.get(format!("{base}/tenant/v1/access-log")).bearer_auth(&both);
        log = Reply::of(asked).await.unwrap().json();
        if looks(&log) == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(looks(&log), 2, "{log}");
    let faulty = own(&gateway, &both, "preview", &text.replace("$mrn", "$nrm")).await.json();
    assert_eq!(
        (&faulty["ok"], faulty["resources"].as_array().map(Vec::len)),
        (&Value::from(false), Some(0))
    );
    assert!(!gateway.log().await.contains("mark-north"), "a value is in the log");
}

#[tokio::test]
async fn what_changes_is_told_in_words() {
    let (issuer, gateway) = start().await;
    let operator = issuer.token(OPERATOR);
    let without = mapping("1")
        .replace("      identifier:\n        - {system: \"urn:mapping:1\", value: \"$mrn\"}\n", "");
    assert_ne!(without, mapping("1"));
    let diff = operate(&gateway, &operator, "diff", &without).await.json();
    assert_eq!(diff["changes"][0]["about"], "Patient 'patient'", "{diff}");
    assert_eq!(diff["changes"][0]["part"], "map.identifier", "{diff}");
    assert_eq!(diff["promises"][0], "Patient cannot be searched by identifier any more", "{diff}");
    let same = operate(&gateway, &operator, "diff?from=1&to=1", "").await.json();
    assert_eq!(
        (same["changes"].as_array().map(Vec::len), same["promises"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
    let none = operate(&gateway, &operator, "diff?from=9&to=1", "").await;
    assert_eq!(none.status, 400, "{none:?}");
}

#[tokio::test]
async fn a_column_that_vanished_is_named_told_and_trips_nothing() {
    let settings = "[mapping]\ndrift_check = \"2s\"\n".to_owned();
    let (issuer, gateway) = start_with(Options { settings, ..Options::default() }).await;
    let (operator, reader) = (issuer.token(OPERATOR), issuer.token("reader"));
    assert_eq!(gateway.get(&reader, "/Patient/1001").await.status, 200);
    let well = operate(&gateway, &operator, "drift", "").await.json();
    assert_eq!(well["changes"].as_array().map(Vec::len), Some(0), "{well}");
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn TO mrn_2").await;
    for _ in 0..12 {
        let failed = gateway.get(&reader, "/Patient/1001").await;
        assert_eq!(failed.status, 500, "{failed:?}");
        let said = failed.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
        assert!(said.contains("Patient.identifier.value"), "{said}");
        assert!(!said.contains("mrn"), "columns are the hospital's business: {said}");
    }
    let searched = gateway.get(&reader, "/Patient?_total=accurate").await;
    assert_eq!(searched.status, 500, "{searched:?}");
    let breaker = gateway.view("tenants/north/breaker").await;
    assert_eq!(
        (&breaker["state"], &breaker["opened_total"]),
        (&Value::from("closed"), &Value::from(0))
    );
    // The gateway finds out by itself: nobody asks for a check.
    let mut seen = Value::Null;
    for _ in 0..100 {
        seen = gateway.view("tenants/north").await["mapping"]["drift"].clone();
        if seen["changes"][0]["column"] == "mrn" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(
        (&seen["changes"][0]["column"], &seen["changes"][0]["breaks"]),
        (&Value::from("mrn"), &Value::from(true)),
        "{seen}"
    );
    let events = gateway.view("events").await;
    let alarm =
        events["events"].as_array().unwrap().iter().find(|e| e["action"] == "mapping.drift");
    assert!(alarm.is_some_and(|e| e["detail"].to_string().contains("patients.mrn")), "{events}");
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn_2 TO mrn").await;
    let over = operate(&gateway, &operator, "drift", "").await.json();
    assert_eq!(over["changes"].as_array().map(Vec::len), Some(0), "{over}");
    assert_eq!(gateway.get(&reader, "/Patient/1001").await.status, 200);
}

#[tokio::test]
async fn publishing_asks_the_schema_as_it_is_now() {
    let (issuer, gateway) = start().await;
    let operator = issuer.token(OPERATOR);
    let body = Some(("application/yaml", mapping("2")));
    let stored = gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn TO mrn_2").await;
    let tag = gateway.view("tenants/north").await["generation"].to_string();
    let url = format!("{}/admin/v1/tenants/north/mappings/2/publish", gateway.admin);
    let publish =
        gateway.http.post(url).bearer_auth(&operator).header("if-match", format!("\"{tag}\""));
    let refused = Reply::of(publish).await.unwrap();
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("no column 'mrn'"), "{refused:?}");
    assert_eq!(gateway.view("tenants/north").await["mapping"]["active"], 1);
}

#[tokio::test]
async fn a_version_that_no_longer_fits_is_not_rolled_back_to() {
    let (issuer, gateway) = start().await;
    alter(
        &gateway,
        "ALTER TABLE patients ADD COLUMN surname TEXT; UPDATE patients SET surname = 'Moved'",
    )
    .await;
    gateway.publish("north", &mapping("2").replace("$family_name", "$surname")).await;
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN family_name TO old_name").await;

    let before = gateway.view("tenants/north").await;
    let back = async |generation: &Value| {
        gateway
            .operate(Method::POST, "tenants/north/mappings/rollback", generation.as_u64(), None)
            .await
    };
    let refused = back(&before["generation"]).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let published = gateway
        .operate(
            Method::POST,
            "tenants/north/mappings/1/publish",
            before["generation"].as_u64(),
            None,
        )
        .await;
    let said = |reply: &Reply| (reply.status, reply.json()["problems"].clone());
    assert_eq!(said(&refused), said(&published));
    let problems = refused.json()["problems"].clone();
    let faults = problems.as_array().unwrap().iter().filter(|found| found["severity"] == "error");
    let faults: Vec<_> = faults.map(|found| found["pointer"].as_str().unwrap()).collect();
    assert_eq!(faults, ["/resources/0/map/name/0/family"]);
    assert_eq!(gateway.view("tenants/north").await, before);
    let read = async || gateway.get(&issuer.token("both"), "/Patient/1001").await;
    assert_eq!(read().await.json()["name"][0]["family"], "Moved");

    let typed = crate::commands::run(&gateway, &["mapping", "rollback", "north"], "");
    let told = String::from_utf8(typed.stdout).unwrap();
    assert!(!typed.status.success() && told.contains("/resources/0/map/name/0/family"), "{told}");

    // A database that cannot be asked holds nobody up.
    let (file, away) = (gateway.folder().join("sqlite/north.db"), gateway.folder().join("away.db"));
    std::fs::rename(&file, &away).unwrap();
    let unasked = back(&before["generation"]).await;
    assert_eq!(
        (unasked.status, &unasked.json()["mapping"]["active"]),
        (200, &json!(1)),
        "{unasked:?}"
    );
}
