//! Flags: what is switched off is answered as something that is not served, is missing from the
//! CapabilityStatement of whom it is not offered to, and comes and goes without a restart.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::exporting::place;

impl World {
    async fn switch(&self, flags: Value) {
        self.gateway.change(Method::PATCH, "north", "", json!({ "flags": flags })).await;
    }

    async fn asked(&self, user: &str, path: &str) -> Reply {
        let url = format!("{}{path}", self.gateway.fhir);
        let request = self.gateway.http.get(url).bearer_auth(self.issuer.token(user));
        Reply::of(request.header("prefer", "respond-async")).await.unwrap()
    }

    async fn said_of(&self, user: &str, ty: &str) -> (Value, Value) {
        let statement = self.asked(user, "/metadata").await.json()["rest"][0].clone();
        let resources = statement["resource"].as_array().unwrap().clone();
        (resources.into_iter().find(|r| r["type"] == ty).unwrap(), statement)
    }
}

fn not_supported(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    let outcome = reply.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    assert_eq!(outcome["issue"][0]["code"], "not-supported", "{outcome}");
}

fn codes(resource: &Value) -> BTreeSet<String> {
    let all = resource["interaction"].as_array().unwrap().iter();
    all.map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_switched_off_is_not_served_and_not_promised() {
    let world = World::start().await;
    let patient = || {
        json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "M-9"}],
        "name": [{"family": "Neu"}]})
    };
    let post = async |what: &str, body: Value, headers: &[(&str, &str)]| {
        let url = format!("{}{what}", world.gateway.fhir);
        let mut request = world.gateway.http.post(url).bearer_auth(world.issuer.token("both"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.header("content-type", "application/fhir+json").body(body.to_string());
        Reply::of(request).await.unwrap()
    };
    let (told, whole) = world.said_of("both", "Patient").await;
    assert!(codes(&told).contains("create") && told["conditionalCreate"] == true);
    let operations: Vec<_> =
        told["operation"].as_array().unwrap().iter().map(|o| &o["name"]).collect();
    assert_eq!(operations, ["everything", "export", "validate"]);
    assert_eq!(codes(&whole), BTreeSet::from(["batch".to_owned(), "transaction".to_owned()]));
    assert!(world.said_of("both", "Observation").await.0["searchInclude"].is_array());
    let chained = "/Observation?subject.family=Soto";
    let has = "/Patient?_has:Observation:subject:code=8867-4";
    let included = "/Observation?_include=Observation:subject";
    for path in ["/Patient/1/$everything", chained, has, included] {
        assert_eq!(world.asked("both", path).await.status, 200, "{path}");
    }
    let order = world.asked("both", "/$export").await;
    let place = place(&order);

    world
        .switch(json!({"fhir.write": "off", "fhir.export": "off", "fhir.everything": "off",
            "fhir.include": "off", "search.chain": "0%"}))
        .await;
    not_supported(&post("/Patient", patient(), &[]).await, 405);
    not_supported(&post("/Patient/$validate", patient(), &[]).await, 405);
    let entry = json!({"resource": patient(), "request": {"method": "POST", "url": "Patient"}});
    let bundle = |kind: &str, entries: Value| json!({"resourceType": "Bundle", "type": kind, "entry": entries});
    not_supported(&post("/", bundle("transaction", json!([entry])), &[]).await, 405);
    let read = json!({"request": {"method": "GET", "url": "Patient/1"}});
    let batch = post("/", bundle("batch", json!([entry, read])), &[]).await.json();
    assert_eq!(batch["entry"][0]["response"]["status"], "405 Method Not Allowed", "{batch}");
    assert_eq!(batch["entry"][1]["response"]["status"], "200 OK", "{batch}");
    for path in ["/$export", "/Patient/$export", &place, &format!("{place}/Patient.ndjson")] {
        not_supported(&world.asked("both", path).await, 404);
    }
    not_supported(&world.asked("both", "/Patient/1/$everything").await, 404);
    for path in [chained, has, included, "/Patient?_revinclude=Observation:subject"] {
        not_supported(&world.asked("both", path).await, 400);
    }
    let lenient = world.gateway.http.get(format!("{}{included}", world.gateway.fhir));
    let lenient =
        lenient.bearer_auth(world.issuer.token("both")).header("prefer", "handling=lenient");
    let found = Reply::of(lenient).await.unwrap();
    assert!(!found.json()["link"][0]["url"].as_str().unwrap().contains("_include"), "{found:?}");
    assert_eq!(found.resources().iter().filter(|r| r["resourceType"] == "Patient").count(), 0);

    let (told, whole) = world.said_of("both", "Patient").await;
    assert_eq!(codes(&told), ["read", "search-type", "vread"].map(str::to_owned).into());
    assert!(told["operation"].is_null() && told["conditionalCreate"].is_null(), "{told}");
    assert!(whole["operation"].is_null(), "{whole}");
    assert_eq!(codes(&whole), BTreeSet::from(["batch".to_owned()]));
    assert!(world.said_of("both", "Observation").await.0["searchInclude"].is_null());
    assert_eq!(world.asked("both", "/Patient/1").await.status, 200);

    // A chain is a chain also where it decides whether something is written.
    world.switch(json!({"search.chain": "off"})).await;
    let unless = [("if-none-exist", "general-practitioner.name=x")];
    not_supported(&post("/Patient", patient(), &unless).await, 400);
    let filter = "/$export?_type=Observation&_typeFilter=Observation%3Fsubject.family%3DSoto";
    not_supported(&world.asked("both", filter).await, 400);
    assert_eq!(post("/Patient", patient(), &[]).await.status, 201);
    world.switch(json!({})).await;
    assert_eq!(world.asked("both", chained).await.status, 200);
    let events = world.gateway.view("events").await;
    let switched =
        events["events"].as_array().unwrap().iter().filter(|e| e["action"] == "flags.set");
    assert_eq!(switched.count(), 3);
}

#[tokio::test]
async fn a_share_of_the_users_gets_it_and_keeps_it() {
    // Who is given a share is by chance: of so many not even a quarter is nobody.
    let users: Vec<String> = (0..64).map(|n| format!("user-{n}")).collect();
    let issuer =
        TestIssuer::start(users.iter().map(|u| clinician(u, "north", &["fhir-read"])).collect())
            .await;
    let settings = "[limits]\nrequests_per_second = 100000\n".to_owned();
    let options = Options { settings, ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    let world = World { issuer, gateway };
    world.sql(TABLES).await;
    world.gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    world.gateway.publish("north", MAPPING).await;
    let mut before = BTreeSet::new();
    for share in ["off", "25%", "60%", "on"] {
        world.switch(json!({ "fhir.everything": share })).await;
        let mut given = BTreeSet::new();
        for user in &users {
            let reply = world.asked(user, "/Patient/1/$everything").await;
            assert!(reply.status == 200 || reply.status == 404, "{reply:?}");
            let (told, _) = world.said_of(user, "Patient").await;
            let promised = told["operation"].to_string().contains("everything");
            assert_eq!(promised, reply.status == 200, "{user} is told the truth at {share}");
            if promised {
                given.insert(user.clone());
            }
        }
        assert!(before.is_subset(&given), "{share}: {before:?} {given:?}");
        match share {
            "off" => assert!(given.is_empty()),
            "on" => assert_eq!(given.len(), users.len()),
            _ => assert!((1..users.len()).contains(&given.len()), "{share}: {given:?}"),
        }
        before = given;
    }
    let generation = world.gateway.view("tenants/north").await["generation"].as_u64();
    for bad in
        [json!({"fhir.write": "maybe"}), json!({"fhir.read": "off"}), json!({"fhir.write": 3})]
    {
        let body = Some(("application/json", json!({ "flags": bad }).to_string()));
        let reply = world.gateway.operate(Method::PATCH, "tenants/north", generation, body).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
}
