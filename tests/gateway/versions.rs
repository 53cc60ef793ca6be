//! Versions, what a search may be asked to leave out, and totals.

use serde_json::json;

use crate::support::{Gateway, Options, Reply, TestIssuer};

const MAPPING: &str = r#"mapping: 1
database: {timezone: UTC}
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    last_updated: "$changed"
    map:
      meta: {profile: ["http://example.org/StructureDefinition/person"]}
      active: "$active | bool('1', '0')"
      name: [{family: "$family", given: ["$given"]}]
      address: [{city: "$city"}]
"#;

async fn hospital(issuer: &TestIssuer) -> Gateway {
    use sqlx::ConnectOptions as _;
    let gateway = Gateway::start(issuer, Options::default()).await;
    let file = gateway.folder().join("sqlite/north.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let sql = "CREATE TABLE people (id INTEGER PRIMARY KEY, rev INTEGER, changed DATETIME, active BOOLEAN,
                 family TEXT, given TEXT, city TEXT);
               INSERT INTO people VALUES (1, 3, '2026-02-01 08:30:00', 1, 'Soto', 'Ana', 'Lima'),
                 (2, NULL, NULL, 'alert(1)', 'Paz', NULL, NULL), (3, 9, '2026-02-02 00:00:00', 0, 'Rey', 'Luz', NULL);";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    gateway.publish("north", MAPPING).await;
    gateway
}

#[tokio::test]
async fn a_version_is_shown_compared_and_read_again() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = hospital(&issuer).await;
    let token = issuer.token("north");
    let read = gateway.get(&token, "/Patient/1").await;
    assert_eq!((read.status, read.header("etag")), (200, "W/\"3\""), "{read:?}");
    assert_eq!(read.header("last-modified"), "Sun, 01 Feb 2026 08:30:00 GMT");
    assert_eq!(read.json()["meta"]["versionId"], "3");
    assert_eq!(read.json()["meta"]["lastUpdated"], "2026-02-01T08:30:00+00:00");

    let with = |tag: &'static str| {
        let url = format!("{}/Patient/1", gateway.fhir);
        let request = gateway.http.get(url).bearer_auth(&token).header("if-none-match", tag);
        async { Reply::of(request).await.unwrap() }
    };
    assert_eq!(with("W/\"3\"").await.status, 304);
    assert_eq!(with("W/\"2\"").await.status, 200);

    let old = gateway.get(&token, "/Patient/1/_history/2").await;
    assert_eq!((old.status, old.json()["issue"][0]["code"].as_str()), (404, Some("not-found")));
    let said = old.json()["issue"][0]["diagnostics"].to_string();
    assert!(said.contains("No history") || said.contains("no history"), "{said}");
    let now = gateway.get(&token, "/Patient/1/_history/3").await;
    assert_eq!((now.status, now.json()), (200, read.json()));
    assert_eq!(gateway.get(&token, "/Patient/9/_history/3").await.status, 404);
    // No version, no `ETag`; and neither takes the constant profile away.
    let bare = gateway.get(&token, "/Patient/2").await;
    assert_eq!((bare.status, bare.header("etag"), bare.header("last-modified")), (200, "", ""));
    let profile = json!({ "profile": ["http://example.org/StructureDefinition/person"] });
    assert_eq!(bare.json()["meta"], profile);
    // A boolean column with a word in it gives no boolean.
    assert!(bare.json().get("active").is_none());
    assert_eq!(gateway.get(&token, "/Patient/2/_history/3").await.status, 404);
    let metadata = gateway.get(&token, "/metadata").await.json();
    assert_eq!(metadata["rest"][0]["resource"][0]["versioning"], "versioned");
}

#[tokio::test]
async fn names_that_fhir_keeps_for_itself_say_what_is_not_there() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = hospital(&issuer).await;
    let token = issuer.token("north");
    for (path, said) in [
        ("/Patient/1/_history", "No history is kept"),
        ("/Patient/_history", "No history is kept"),
        ("/_history", "No history is kept"),
        ("/Observation/1/_history", "No history is kept"),
        ("/Patient/$everything", "This operation is not served"),
        ("/Patient/1/$meta", "This operation is not served"),
        ("/Observation/1/$meta", "This operation is not served"),
        ("/$meta", "This operation is not served"),
        ("/_search?name=a", "One type is searched at a time"),
        ("?_type=Patient&name=a", "One type is searched at a time"),
        ("/?_type=Patient", "One type is searched at a time"),
    ] {
        let reply = gateway.get(&token, path).await;
        let issue = &reply.json()["issue"][0];
        assert_eq!((reply.status, issue["code"].as_str()), (404, Some("not-supported")), "{path}");
        assert!(issue["diagnostics"].as_str().unwrap().starts_with(said), "{path}: {reply:?}");
    }
    // A form to all types is no matter of rights either.
    let form = gateway.http.post(format!("{}/_search", gateway.fhir)).bearer_auth(&token);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let form = Reply::of(form.body("_type=Patient")).await.unwrap();
    assert_eq!(
        (form.status, &*form.json()["issue"][0]["code"].to_string()),
        (404, "\"not-supported\"")
    );
    let nobody = Reply::of(gateway.http.post(format!("{}/_search", gateway.fhir))).await.unwrap();
    assert_eq!(nobody.status, 401, "{nobody:?}");
    let nothing = gateway.get(&token, "/Patient/1/2/3").await;
    assert_eq!(nothing.json()["issue"][0]["code"], "not-found", "{nothing:?}");
    let metadata = gateway.get(&token, "/metadata").await.json();
    assert_eq!(metadata["rest"][0]["resource"][0]["readHistory"], false);
}

#[tokio::test]
async fn answers_are_named_as_they_were_asked_for() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = hospital(&issuer).await;
    let token = issuer.token("north");
    let fhir = "application/fhir+json; charset=utf-8";
    for (accept, named) in [
        ("*/*", fhir),
        ("application/fhir+json", fhir),
        ("application/json, text/plain, */*", fhir),
        ("application/json", "application/json; charset=utf-8"),
        ("text/json", "text/json; charset=utf-8"),
    ] {
        for path in ["/Patient/1", "/Patient", "/Patient/77", "/metadata"] {
            let url = format!("{}{path}", gateway.fhir);
            let request = gateway.http.get(url).bearer_auth(&token).header("accept", accept);
            let reply = Reply::of(request).await.unwrap();
            assert_eq!(reply.header("content-type"), named, "{accept} {path}");
        }
    }
}

#[tokio::test]
async fn totals_are_given_when_asked_for() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = hospital(&issuer).await;
    let token = issuer.token("north");
    for path in ["/Patient?_count=0", "/Patient?_summary=count", "/Patient?_summary=count&_count=1"]
    {
        let found = gateway.get(&token, path).await;
        assert_eq!((found.status, found.json()["total"].as_u64()), (200, Some(3)), "{path}");
        assert!(found.json().get("entry").is_none() && found.next().is_none(), "{path}");
    }
    for (total, wanted) in [("accurate", Some(3)), ("estimate", Some(3)), ("none", None)] {
        let found = gateway.get(&token, &format!("/Patient?_count=2&_total={total}")).await;
        assert_eq!(found.json()["total"].as_u64(), wanted, "{found:?}");
        assert_eq!(found.resources().len(), 2);
    }
    let none = gateway.get(&token, "/Patient?_id=x1&_total=accurate").await;
    assert_eq!((none.status, none.json()["total"].as_u64()), (200, Some(0)), "{none:?}");
    assert_eq!(gateway.get(&token, "/Patient?_total=roughly").await.status, 400);
}

#[tokio::test]
async fn elements_and_summaries_leave_out_and_say_so() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = hospital(&issuer).await;
    let token = issuer.token("north");
    let members = |resource: &serde_json::Value| {
        let names = resource.as_object().unwrap().keys().cloned();
        names.collect::<std::collections::BTreeSet<String>>()
    };
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    for (asked, wanted) in [
        ("_elements=name", set(&["resourceType", "id", "meta", "name"])),
        ("_summary=text", set(&["resourceType", "id", "meta"])),
        ("_summary=data", set(&["resourceType", "id", "meta", "active", "name", "address"])),
        ("_summary=true", set(&["resourceType", "id", "meta", "active", "name", "address"])),
    ] {
        for path in [format!("/Patient/1?{asked}"), format!("/Patient?_id=1&{asked}")] {
            let reply = gateway.get(&token, &path).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let whole = reply.json();
            let bundle = whole["resourceType"] == "Bundle";
            let resource = if bundle { whole["entry"][0]["resource"].clone() } else { whole };
            assert_eq!(members(&resource), wanted, "{path}");
            assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED", "{path}");
            assert_eq!(resource["meta"]["versionId"], "3", "{path}");
        }
    }
    // Of a choice with or without its type; a name that no patient can have is refused or left out.
    for path in ["/Patient?_elements=deceased,deceasedBoolean", "/Patient/1?_elements=contact"] {
        assert_eq!(gateway.get(&token, path).await.status, 200, "{path}");
    }
    for path in [
        "/Patient?_elements=name,nmae",
        "/Patient/1?_elements=nmae",
        "/Patient?_elements=name.family",
    ] {
        let reply = gateway.get(&token, path).await;
        assert_eq!(
            (reply.status, reply.json()["issue"][0]["code"].as_str()),
            (400, Some("not-supported")),
            "{path}"
        );
        assert!(reply.body.contains("_elements=n"), "{reply:?}");
    }
    // Of one resource there is nothing to count, and the whole of it would be no answer.
    let counted = gateway.get(&token, "/Patient/1?_summary=count").await;
    assert_eq!(counted.status, 400, "{counted:?}");
    assert!(counted.body.contains("_summary=count, of a single resource"), "{counted:?}");
    let url = format!("{}/Patient?_elements=name,nmae&_id=1", gateway.fhir);
    let lenient = gateway.http.get(url).bearer_auth(&token).header("prefer", "handling=lenient");
    let lenient = Reply::of(lenient).await.unwrap();
    assert_eq!(members(&lenient.resources()[0]), set(&["resourceType", "id", "meta", "name"]));
    assert!(lenient.body.contains("_elements=nmae"), "{lenient:?}");
    let own = lenient.json()["link"][0]["url"].to_string();
    assert!(own.contains("_elements=name&"), "{own}");
    let whole = gateway.get(&token, "/Patient?_summary=false").await;
    assert!(whole.resources()[0]["meta"].get("tag").is_none());
    for refused in ["_elements=name&_summary=data", "_summary=some", "_include=Patient:shoe"] {
        let reply = gateway.get(&token, &format!("/Patient?{refused}")).await;
        assert_eq!(reply.status, 400, "{refused}");
    }
    let sorted = gateway.get(&token, "/Patient?_sort=-family&_count=2").await;
    let families: Vec<_> =
        sorted.resources().iter().map(|r| r["name"][0]["family"].clone()).collect();
    assert_eq!(families, ["Soto", "Rey"]);
    let next = gateway.get(&token, &sorted.next().unwrap()).await;
    assert_eq!(next.resources()[0]["name"][0]["family"], "Paz");
    let refused = gateway.get(&token, "/Patient?_sort=organization").await;
    assert_eq!(refused.json()["issue"][0]["code"], "not-supported", "{refused:?}");
}

#[tokio::test]
async fn a_row_without_a_key_is_no_resource_and_stops_no_page() {
    use sqlx::ConnectOptions as _;
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let file = gateway.folder().join("sqlite/north.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    // SQLite lets a text key be NULL, whatever a primary key is elsewhere.
    let sql = "CREATE TABLE people (id TEXT PRIMARY KEY, family TEXT);
               INSERT INTO people VALUES (NULL, 'Soto'), ('a', 'Paz'), ('b', 'Rey');";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    let mapping = "mapping: 1\nresources: [{type: Patient, from: {table: people}, key: id, id: \"$id\", map: {name: [{family: $family}]}}]";
    gateway.publish("north", mapping).await;
    let token = issuer.token("north");
    let families = |page: &Reply| -> Vec<String> {
        let all = page.resources();
        all.iter().map(|r| r["name"][0]["family"].as_str().unwrap().to_owned()).collect()
    };
    let first = gateway.get(&token, "/Patient?_count=1").await;
    let second = gateway.get(&token, &first.next().unwrap()).await;
    assert_eq!((families(&first), families(&second)), (vec!["Paz".into()], vec!["Rey".into()]));
    assert_eq!(second.next(), None);
    assert_eq!(families(&gateway.get(&token, "/Patient").await), ["Paz", "Rey"]);
    let total = gateway.get(&token, "/Patient?family=rey&_total=accurate").await;
    assert_eq!(total.json()["total"], 1);
}
