//! Searches that look beyond one type: chains, includes, compartments, merged orders.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::{Gateway, Options, Reply, TestIssuer};

const TABLES: &str = "
CREATE TABLE doctor (code TEXT PRIMARY KEY, name TEXT);
INSERT INTO doctor VALUES ('D1', 'Rey'), ('D2', 'Paz');
CREATE TABLE person (id INTEGER PRIMARY KEY, family TEXT, doctor TEXT, gone INTEGER);
INSERT INTO person VALUES (1, 'Soto', 'D1', 0), (2, 'Muñoz', 'D2', 0), (3, 'Gone', 'D1', 1), (4, 'Alone', NULL, 0);
CREATE TABLE stay (ward TEXT NOT NULL, number INTEGER NOT NULL, person INTEGER, began TEXT, PRIMARY KEY (ward, number));
INSERT INTO stay VALUES ('A', 1, 1, '2024-01-02'), ('A', 2, 2, '2024-02-03'), ('B', 1, 1, '2024-03-04');
CREATE TABLE lab (id INTEGER PRIMARY KEY, person INTEGER, code TEXT, amount REAL, taken TEXT, ward TEXT, stay INTEGER);
INSERT INTO lab VALUES (1, 1, 'GLU', 5.5, '20240102', 'A', 1), (2, 1, 'HGB', 13.2, '20240304', 'B', 1),
  (3, 2, 'GLU', 7.25, '20240203', 'A', 2), (4, 3, 'GLU', 9.0, '20240101', NULL, NULL), (5, 77, 'HGB', 1.0, NULL, 'A', 9);
CREATE TABLE vital (id INTEGER PRIMARY KEY, person INTEGER, pulse INTEGER, seen DATETIME);
INSERT INTO vital VALUES (1, 1, 70, '2024-01-15 08:00:00'), (2, 2, 80, '2024-06-01 08:00:00'), (3, 4, 90, NULL);
";

const MAPPING: &str = r#"
mapping: 1
resources:
  - {name: doctor, type: Practitioner, from: {table: doctor}, key: code, id: "$code", map: {name: [{family: "$name"}]}}
  - name: person
    type: Patient
    from: {table: person, filter: {gone: "0"}}
    key: id
    id: "$id"
    map: {name: [{family: "$family"}], generalPractitioner: ["$doctor | ref(Practitioner)"]}
  - name: stay
    type: Encounter
    from: {table: stay}
    key: [ward, number]
    id: "$ward-$number"
    map: {status: finished, class: {code: IMP}, subject: "$person | ref(Patient)", period: {start: "$began"}}
  - name: lab
    type: Observation
    from: {table: lab}
    key: id
    id: "lab-$id"
    map:
      status: final
      code: {coding: [{system: "urn:lab", code: "$code"}]}
      subject: "$person | ref(Patient)"
      encounter: "$ward, $stay | ref(Encounter)"
      effectiveDateTime: "$taken | date('yyyyMMdd')"
      valueQuantity: {value: "$amount", unit: mmol}
  - name: vital
    type: Observation
    from: {table: vital}
    key: id
    id: "vit-$id"
    map:
      status: final
      code: {coding: [{system: "urn:vital", code: pulse}]}
      subject: "$person | ref(Patient)"
      effectiveDateTime: "$seen"
      valueQuantity: {value: "$pulse", unit: "/min"}
"#;

async fn start() -> (Gateway, String) {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let file = gateway.folder().join("sqlite/north.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(TABLES).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    gateway.publish("north", MAPPING).await;
    let token = issuer.token("north");
    (gateway, token)
}

/// What a bundle shows, by its mode.
fn shown(reply: &Reply) -> BTreeMap<String, Vec<String>> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in reply.json()["entry"].as_array().into_iter().flatten() {
        let (ty, id) = (&entry["resource"]["resourceType"], &entry["resource"]["id"]);
        let name = match id.as_str() {
            Some(id) => format!("{}/{id}", ty.as_str().unwrap()),
            None => entry["resource"]["issue"][0]["diagnostics"].as_str().unwrap().to_owned(),
        };
        let mode = entry["search"]["mode"].as_str().unwrap().to_owned();
        found.entry(mode).or_default().push(name);
    }
    found
}

/// Every page's matches, and what stands beside them.
async fn walk(gateway: &Gateway, token: &str, path: &str) -> (Vec<String>, Vec<String>, usize) {
    let (mut path, mut matches, mut beside, mut pages) = (path.to_owned(), vec![], vec![], 0);
    loop {
        let page = gateway.get(token, &path).await;
        let mut one = shown(&page);
        matches.extend(one.remove("match").unwrap_or_default());
        beside.extend(one.remove("include").unwrap_or_default());
        assert!(one.is_empty(), "{one:?}");
        pages += 1;
        match page.next() {
            Some(next) => path = next,
            None => return (matches, beside, pages),
        }
    }
}

#[tokio::test]
async fn chains_and_reverse_chains_find_what_they_say() {
    let (gateway, token) = start().await;
    for (query, wanted) in [
        ("Observation?subject:Patient.family=mu", "lab-3 vit-2"),
        ("Observation?patient.family=soto&code=GLU", "lab-1"),
        // The patient is filtered away, so the reference leads nowhere.
        ("Observation?patient.family=gone", ""),
        ("Observation?encounter.date=sa2024-01", "lab-2 lab-3"),
        ("Observation?subject.general-practitioner=D2", "lab-3 vit-2"),
        ("Patient?_has:Observation:patient:code=HGB", "1"),
        ("Patient?_has:Observation:subject:value-quantity=gt60", "1 2 4"),
        ("Patient?_has:Encounter:patient:_id=A-2,B-1", "1 2"),
        ("Encounter?_has:Observation:encounter:code=urn:lab%7CGLU", "A-1 A-2"),
        ("Practitioner?_has:Patient:general-practitioner:family=soto", "D1"),
        ("Observation?encounter.patient.family=mu", "lab-3"),
        ("Observation?subject:Patient.general-practitioner:Practitioner.name=paz", "lab-3 vit-2"),
        ("Patient?_has:Encounter:patient:_has:Observation:encounter:code=HGB", "1"),
        ("Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:code=HGB", "D1"),
        ("Encounter?patient._has:Observation:patient:code=HGB", "A-1 B-1"),
        ("Patient?_has:Observation:patient:encounter.patient.family=mu", "2"),
        ("Observation?code-value-quantity=urn:lab%7CGLU$gt6", "lab-3 lab-4"),
        ("Observation?code-value-quantity=GLU$5.5,pulse$80", "lab-1 vit-2"),
        ("Patient/1/Observation", "lab-1 lab-2 vit-1"),
        ("Patient/1/Observation?code=pulse", "vit-1"),
        ("Patient/3/Observation", "lab-4"),
        ("Patient/1/Encounter?date=lt2024-02", "A-1"),
    ] {
        let reply = gateway.get(&token, &format!("/{query}")).await;
        let mut found = shown(&reply).remove("match").unwrap_or_default();
        for name in &mut found {
            *name = name.split_once('/').unwrap().1.to_owned();
        }
        found.sort_unstable();
        assert_eq!(found.join(" "), wanted, "{query}");
        let total = if query.contains('?') { '&' } else { '?' };
        let counted = gateway.get(&token, &format!("/{query}{total}_summary=count")).await.json();
        assert_eq!(counted["total"], found.len(), "{query}");
    }
    for (query, named) in [
        ("Observation?subject:Patient.general-practitioner.shoe=x", "general-practitioner.shoe"),
        ("Observation?encounter.patient.encounter.status=x", "encounter.patient.encounter"),
        ("Patient?_has:Encounter:patient:_has:Observation:encounter", "_has:Encounter:patient"),
        (
            "Encounter?patient._has:Encounter:patient:patient._has:Encounter:patient:patient.gender=x",
            "at most 4 references",
        ),
        ("Observation?subject:Patient.shoe=1", "subject:Patient.shoe"),
        ("Observation?code.text=1", "code.text"),
        ("Observation?subject:Group.name=1", "subject:Group.name"),
        ("Patient?_has:Observation:shoe:code=1", "_has:Observation:shoe:code"),
        ("Patient?_has:Observation:patient=1", "_has"),
        ("Patient?_has:Observation:patient:_has:Encounter:patient:_id=1", "_has"),
        ("Observation?subject:Patient.=1", "subject:Patient."),
        ("Patient?_include:iterate=Patient:general-practitioner", "_include:iterate"),
        ("Patient?_include=Patient:shoe", "Patient:shoe"),
        ("Patient?_include=Observation:subject", "Observation:subject"),
        ("Patient?_revinclude=*", "_revinclude"),
        ("Patient?_revinclude=Observation:shoe", "Observation:shoe"),
        ("Observation?code-value-quantity=GLU", "code-value-quantity"),
        ("Observation?code:in=x", ":in"),
        ("Observation?_include=Observation:subject&_summary=text", "_summary=text"),
        ("Patient/1/Practitioner", "compartment"),
        ("Patient/1/$everything?_since=2024-01-01", "_since"),
        ("Patient/1/$everything?_type=Practitioner", "_type=Practitioner"),
        ("Patient/1/$everything?start=yesterday", "start"),
    ] {
        let reply = gateway.get(&token, &format!("/{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        let said = reply.json()["issue"][0]["diagnostics"].to_string();
        assert!(said.contains(named), "{query}: {said}");
    }
}

#[tokio::test]
async fn what_belongs_to_the_matches_stands_beside_them_once() {
    let (gateway, token) = start().await;
    let all = gateway
        .get(&token, "/Patient?_id=1&_revinclude=Observation:*&_revinclude=Encounter:*")
        .await;
    let wanted = [
        "Observation/lab-1",
        "Observation/lab-2",
        "Observation/vit-1",
        "Encounter/A-1",
        "Encounter/B-1",
    ];
    assert_eq!(shown(&all)["include"], wanted, "{all:?}");
    let unknown = gateway.get(&token, "/Patient?_revinclude=Shoe:*").await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    let path =
        "/Observation?_include=Observation:subject&_include=Observation:encounter&_total=accurate";
    let reply = gateway.get(&token, path).await;
    let found = shown(&reply);
    assert_eq!(found["match"].len(), 8);
    assert_eq!(reply.json()["total"], 8);
    let wanted =
        ["Encounter/A-1", "Encounter/A-2", "Encounter/B-1", "Patient/1", "Patient/2", "Patient/4"];
    assert_eq!(
        found["include"], wanted,
        "neither the filtered patient nor those that are not there"
    );
    let post =
        gateway.http.post(format!("{}/Observation/_search", gateway.fhir)).bearer_auth(&token);
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let post = Reply::of(post.body(path.split_once('?').unwrap().1.to_owned())).await.unwrap();
    assert_eq!(post.body, reply.body);
    // `_elements` and `_summary` leave the references' elements out, not what they lead to.
    let few = gateway.get(&token, &format!("{path}&_elements=status")).await;
    assert_eq!(shown(&few), found);
    let patient = &few.json()["entry"][11]["resource"];
    assert!(patient["name"].is_null() && patient["meta"]["tag"].is_array(), "{patient}");
    let one = gateway.get(&token, "/Observation?_include=Observation:subject:Group").await;
    assert!(!shown(&one).contains_key("include"));
    let reverse = gateway.get(&token, "/Patient?_id=1,4&_revinclude=Observation:patient&_revinclude=Encounter:subject&_revinclude=Provenance:target").await;
    let found = shown(&reverse);
    assert_eq!(found["match"], ["Patient/1", "Patient/4"]);
    let labs = ["Observation/lab-1", "Observation/lab-2", "Observation/vit-1", "Observation/vit-3"];
    let wanted = [labs.as_slice(), &["Encounter/A-1", "Encounter/B-1"]].concat();
    assert_eq!(found["include"], wanted);
    // Pages count matches alone.
    let (matches, beside, pages) =
        walk(&gateway, &token, "/Patient?_count=1&_revinclude=Encounter:patient").await;
    assert_eq!((matches.len(), pages), (3, 3));
    assert_eq!(beside, ["Encounter/A-1", "Encounter/B-1", "Encounter/A-2"]);
    let none = gateway.get(&token, "/Observation?_count=0&_include=Observation:*").await;
    assert_eq!((none.json()["total"].clone(), none.resources().len()), (json!(8), 0));
}

#[tokio::test]
async fn what_is_left_out_as_asked_is_named_whole() {
    let (gateway, token) = start().await;
    let query = "code=GLU&subject:Patient.shoe=1&_include=Observation:shoe&_sort=shoe&famly=x";
    let request = gateway.http.get(format!("{}/Observation?{query}", gateway.fhir));
    // Two lines of one header are one list.
    let request = request.bearer_auth(&token).header("prefer", "respond-async");
    let reply = Reply::of(request.header("prefer", "handling=lenient")).await.unwrap();
    let mut found = shown(&reply);
    assert_eq!(found["match"].len(), 3);
    let said = found.remove("outcome").unwrap().remove(0);
    for name in ["subject:Patient.shoe", "_include=Observation:shoe", "_sort=shoe", "famly"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    let own = reply.json()["link"][0]["url"].as_str().unwrap().to_owned();
    assert!(own.ends_with("/Observation?code=GLU&_count=50"), "{own}");
}

#[tokio::test]
async fn two_tables_come_in_one_order_page_by_page() {
    let (gateway, token) = start().await;
    let ascending = ["lab-4", "lab-1", "vit-1", "lab-3", "lab-2", "vit-2", "lab-5", "vit-3"];
    let whole: Vec<String> = ascending.iter().map(|id| format!("Observation/{id}")).collect();
    for count in [1, 2, 3, 7, 8, 50] {
        let path = format!("/Observation?_sort=date&_count={count}");
        let (found, _, pages) = walk(&gateway, &token, &path).await;
        assert_eq!(found, whole, "in pages of {count}");
        assert_eq!(pages, 8_usize.div_ceil(count), "in pages of {count}");
        let (mut found, _, _) = walk(&gateway, &token, &path.replace("=date", "=-date")).await;
        // What has no date comes last either way.
        assert_eq!(found.split_off(6), whole[6..], "in pages of {count}");
        found.reverse();
        assert_eq!(found, whole[..6], "in pages of {count}");
    }
    let (found, _, _) = walk(&gateway, &token, "/Observation?_sort=-value-quantity&_count=2").await;
    assert_eq!(found[0], "Observation/vit-3");
    assert_eq!(found[7], "Observation/lab-5");
    let (found, _, _) = walk(&gateway, &token, "/Observation?_sort=_id&_count=3").await;
    assert_eq!(found.len(), 8);
    let refused = gateway.get(&token, "/Observation?_sort=-_id").await;
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[tokio::test]
async fn everything_of_a_patient_is_hers_and_what_it_refers_to() {
    let (gateway, token) = start().await;
    let (found, beside, pages) = walk(&gateway, &token, "/Patient/1/$everything?_count=2").await;
    let wanted = [
        "Patient/1",
        "Encounter/A-1",
        "Encounter/B-1",
        "Observation/lab-1",
        "Observation/lab-2",
        "Observation/vit-1",
    ];
    assert_eq!((found, pages), (wanted.map(str::to_owned).to_vec(), 3));
    assert_eq!(beside, ["Practitioner/D1"]);
    let (found, beside, _) = walk(&gateway, &token, "/Patient/1/$everything?_type=Encounter").await;
    assert_eq!((found.len(), beside.len()), (2, 0));
    // Dates of care: an encounter without an end lasts, and what has no date of its own is always given.
    for (dates, wanted) in [
        (
            "start=2024-02-01",
            vec!["Patient/1", "Encounter/A-1", "Encounter/B-1", "Observation/lab-2"],
        ),
        (
            "end=2024-01-31",
            vec!["Patient/1", "Encounter/A-1", "Observation/lab-1", "Observation/vit-1"],
        ),
        ("start=2024-01-03&end=2024-02", vec!["Patient/1", "Encounter/A-1", "Observation/vit-1"]),
        ("start=2024-01-15&end=2024-01-15&_type=Observation", vec!["Observation/vit-1"]),
    ] {
        let path = format!("/Patient/1/$everything?{dates}&_count=2");
        assert_eq!(walk(&gateway, &token, &path).await.0, wanted, "{dates}");
    }
    let (undated, ..) = walk(&gateway, &token, "/Patient/4/$everything?start=2030&end=2031").await;
    assert_eq!(undated, ["Patient/4", "Observation/vit-3"], "nothing is known of when that was");
    // As most libraries call an operation: by POST, with its parameters in a body.
    let post = async |body: &str| {
        let url = format!("{}/Patient/1/$everything", gateway.fhir);
        let request = gateway.http.post(url).bearer_auth(&token);
        let request = request.header("content-type", "application/fhir+json").body(body.to_owned());
        Reply::of(request).await.unwrap()
    };
    for (body, found) in [
        ("", 6),
        (r#"{"resourceType":"Parameters"}"#, 6),
        (
            r#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Encounter"}]}"#,
            2,
        ),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":2}]}"#, 2),
        (
            r#"{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2024-02-01"}]}"#,
            4,
        ),
    ] {
        let reply = post(body).await;
        assert_eq!((reply.status, shown(&reply)["match"].len()), (200, found), "{body}: {reply:?}");
        let next = gateway.get(&token, &reply.next().unwrap_or("/Patient/1".to_owned())).await;
        assert_eq!(next.status, 200, "{next:?}");
    }
    for body in [
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"start","valueBoolean":true}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueInteger":1}]}"#,
    ] {
        let reply = post(body).await;
        assert_eq!(reply.status, 400, "{body}: {reply:?}");
    }
    for id in ["3", "77", "x%2Fy"] {
        let none = gateway.get(&token, &format!("/Patient/{id}/$everything")).await;
        assert_eq!(none.status, 404, "{none:?}");
    }
}

#[tokio::test]
async fn what_lies_beside_a_resource_is_told_beforehand() {
    let (gateway, token) = start().await;
    let statement = gateway.get(&token, "/metadata").await.json();
    let of = |ty: &str| -> Value {
        let all = statement["rest"][0]["resource"].as_array().unwrap();
        all.iter().find(|r| r["type"] == ty).unwrap().clone()
    };
    assert_eq!(of("Patient")["operation"][0]["name"], "everything");
    assert_eq!(of("Patient")["searchInclude"], json!(["Patient:general-practitioner"]));
    let wanted =
        ["Encounter:patient", "Encounter:subject", "Observation:patient", "Observation:subject"];
    assert_eq!(of("Patient")["searchRevInclude"], json!(wanted));
    let composite = of("Observation");
    let composite = composite["searchParam"].as_array().unwrap().iter();
    assert!(
        composite.clone().any(|p| p["name"] == "code-value-quantity" && p["type"] == "composite")
    );
}

/// `ap` measures from the day on which a search began, which its cursor says.
#[tokio::test]
async fn a_date_is_about_another_as_far_off_as_it_is_long_ago() {
    let (gateway, token) = start().await;
    // Whenever it is asked: the year itself is always meant, and what is a century off never.
    let all = ["lab-1", "lab-2", "lab-3", "lab-4", "vit-1", "vit-2"];
    let (found, _, pages) = walk(&gateway, &token, "/Observation?date=ap2024&_count=2").await;
    let ids: Vec<&str> = found.iter().map(|id| id.rsplit('/').next().unwrap()).collect();
    assert_eq!((ids, pages), (all.to_vec(), 3));
    let none = gateway.get(&token, "/Observation?date=ap1924-02").await;
    assert!(none.resources().is_empty(), "{none:?}");
    // The day stands in the cursor.
    let first = gateway.get(&token, "/Observation?date=ap2024&_count=2").await;
    let cursor = first.next().unwrap();
    let cursor = cursor.split_once("_cursor=").unwrap().1.split('&').next().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, cursor);
    let payload = String::from_utf8(bytes.unwrap().split_off(32)).unwrap();
    assert!(payload.starts_with("[\"20"), "{payload}");
}
