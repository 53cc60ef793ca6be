//! What is tried: one request, or an export with its files, for each row of the page.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;
use crate::support::Reply;

const BASE: &str = "http://gateway.test/fhir";

/// A row of the page, as it is tried.
pub struct Interaction {
    pub name: &'static str,
    pub doing: Doing,
}

/// How.
pub enum Doing {
    /// A request as it is.
    Ask(Method, &'static str, &'static [(&'static str, &'static str)], Value),
    /// An entry of a bundle of that type: method, address, body.
    Entry(&'static str, &'static str, &'static str, Value),
    /// An export, and all its files.
    Export(&'static str),
    /// An export ordered with every right, and its files with another token of the same user.
    Fetch(&'static str),
}

/// The next row that nobody has used; there are 5,000.
static NEXT: AtomicU32 = AtomicU32::new(20);

/// A text with a fresh row's number in it.
fn fill(text: &str, n: u32) -> String {
    text.replace("{n}", &n.to_string())
}

impl Doing {
    /// Tries it. The answer's status is that of what was tried, whatever it came in.
    pub async fn run(&self, world: &World, token: &str) -> Reply {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Ask(method, path, headers, body) => {
                let headers: Vec<(&str, String)> =
                    headers.iter().map(|(name, value)| (*name, fill(value, n))).collect();
                let body = filled(body, n);
                world.send(token, method.clone(), &fill(path, n), &headers, &body).await
            }
            Self::Entry(kind, method, url, body) => {
                let mut entry = json!({"request": {"method": method, "url": fill(url, n)}});
                if !body.is_null() {
                    entry["resource"] = filled(body, n);
                }
                let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [entry]});
                let mut reply = world.send(token, Method::POST, "/", &[], &bundle).await;
                if reply.status == 200 {
                    let status = reply.json()["entry"][0]["response"]["status"].clone();
                    reply.status = status.as_str().unwrap()[..3].parse().unwrap();
                }
                reply
            }
            Self::Export(path) => {
                let ordered = order(world, token, path).await;
                if ordered.status == 202 { files(world, token, &ordered).await } else { ordered }
            }
            Self::Fetch(path) => {
                let whole = world.token(&super::BOTH, "user/*.cruds");
                let ordered = order(world, &whole, path).await;
                assert_eq!(ordered.status, 202, "{path}: {ordered:?}");
                files(world, token, &ordered).await
            }
        }
    }
}

fn filled(body: &Value, n: u32) -> Value {
    serde_json::from_str(&fill(&body.to_string(), n)).unwrap()
}

async fn order(world: &World, token: &str, path: &str) -> Reply {
    let later = [("prefer", "respond-async".to_owned())];
    world.send(token, Method::GET, path, &later, &Value::Null).await
}

/// Manifest and files one after the other, or the first refusal.
async fn files(world: &World, token: &str, ordered: &Reply) -> Reply {
    let get = async |url: &str| {
        let path = url.strip_prefix(BASE).unwrap().to_owned();
        world.send(token, Method::GET, &path, &[], &Value::Null).await
    };
    let mut all = get(ordered.header("content-location")).await;
    if all.status != 200 {
        return all;
    }
    for file in all.json()["output"].as_array().unwrap() {
        let reply = get(file["url"].as_str().unwrap()).await;
        if reply.status != 200 {
            return reply;
        }
        all.body.push_str(&reply.body);
    }
    all
}

fn patient() -> Value {
    let identifier = json!([{"system": "urn:mrn", "value": "M-{n}"}]);
    json!({"resourceType": "Patient", "identifier": identifier, "name": [{"family": "new"}]})
}

fn with_id() -> Value {
    let mut patient = patient();
    patient["id"] = json!("{n}");
    patient
}

fn observation(subject: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final",
        "identifier": [{"system": "urn:obs", "value": "O-{n}"}],
        "code": {"text": "new", "coding": [{"system": "urn:lab", "code": "glu"}]},
        "subject": {"reference": subject}, "effectiveDateTime": "2026-05-07",
    })
}

const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];
const PATCH: &[(&str, &str)] = &[("content-type", "application/json-patch+json")];
const UNLESS: &[(&str, &str)] = &[("if-none-exist", "identifier=urn:mrn|none-{n}")];
const UNLESS_CHAIN: &[(&str, &str)] =
    &[("if-none-exist", "identifier=urn:obs|none-{n}&subject:Patient.family=canarypatient{n}")];

/// All that is tried, in the page's order.
pub fn interactions() -> Vec<Interaction> {
    let one = |(name, doing)| Interaction { name, doing };
    reads().into_iter().chain(exports()).chain(writes()).chain(bundles()).map(one).collect()
}

type Named = (&'static str, Doing);

fn reads() -> Vec<Named> {
    let get = |path| Doing::Ask(Method::GET, path, &[], Value::Null);
    vec![
        ("read", get("/Patient/{n}")),
        ("version read", get("/Patient/19/_history/1")),
        ("search", get("/Patient?identifier=urn:mrn%7CM-19")),
        (
            "search by form",
            Doing::Ask(Method::POST, "/Patient/_search", FORM, json!("identifier=M-19")),
        ),
        ("count", get("/Patient?_summary=count")),
        ("total", get("/Patient?_total=accurate&_count=1")),
        ("sort", get("/Observation?_sort=-date&_count=1")),
        ("chain", get("/Observation?subject:Patient.family=canarypatient19")),
        ("chain, counted", get("/Observation?patient.family=canarypatient1&_summary=count")),
        ("chain of two steps", get("/Observation?encounter.patient.family=canarypatient19")),
        (
            "chain, then reverse",
            get("/Observation?subject:Patient._has:Encounter:patient:_id=19&_summary=count"),
        ),
        ("reverse chain", get("/Patient?_has:Observation:patient:identifier=O-19")),
        (
            "reverse chain, counted",
            get("/Patient?_has:Observation:patient:identifier=O-19&_summary=count"),
        ),
        (
            "reverse chain in a reverse chain",
            get("/Patient?_has:Encounter:patient:_has:Observation:encounter:identifier=O-19"),
        ),
        (
            "reverse chain, then forward",
            get("/Patient?_has:Observation:patient:encounter.patient.family=canarypatient19"),
        ),
        ("compartment", get("/Patient/19/Observation")),
        ("compartment, chain", get("/Patient/19/Observation?encounter.status=finished")),
        ("include", get("/Observation?identifier=O-19&_include=Observation:subject")),
        ("include of all", get("/Observation?identifier=O-19&_include=Observation:*")),
        ("reverse include", get("/Patient?identifier=M-19&_revinclude=Observation:subject")),
        ("everything", get("/Patient/19/$everything")),
    ]
}

fn exports() -> Vec<Named> {
    let chained = "/$export?_type=Observation&_typeFilter=\
                   Observation%3Fsubject%3APatient.family%3Dcanarypatient19";
    let twice = "/$export?_type=Observation&_typeFilter=\
                 Observation%3Fencounter.patient.family%3Dcanarypatient19";
    vec![
        ("export of all", Doing::Export("/$export")),
        ("export of a type", Doing::Export("/$export?_type=Observation")),
        ("export, chain in a filter", Doing::Export(chained)),
        ("export, chain of two steps in a filter", Doing::Export(twice)),
        ("export of patients", Doing::Export("/Patient/$export?_type=Observation")),
        (
            "export of patients who are named",
            Doing::Export("/Patient/$export?_type=Observation&patient=Patient/19"),
        ),
        ("export of a group", Doing::Export("/Group/1/$export?_type=Observation")),
        ("download", Doing::Fetch("/$export?_type=Observation")),
        ("download, chain in the order", Doing::Fetch(chained)),
        ("download, of a group", Doing::Fetch("/Group/1/$export?_type=Observation")),
    ]
}

fn writes() -> Vec<Named> {
    let op = json!([{"op": "replace", "path": "/name/0/family", "value": "patched"}]);
    let own = "/Patient?identifier=urn:mrn%7CM-{n}";
    let chained = "/Observation?identifier=urn:obs%7CO-{n}&subject:Patient.family=canarypatient";
    let twice = "/Observation?identifier=urn:obs%7CO-{n}&encounter.patient.family=canarypatient{n}";
    let ask = Doing::Ask;
    vec![
        ("create", ask(Method::POST, "/Patient", &[], patient())),
        ("create unless there", ask(Method::POST, "/Patient", UNLESS, patient())),
        (
            "create unless there, chain",
            ask(Method::POST, "/Observation", UNLESS_CHAIN, observation("Patient/{n}")),
        ),
        ("update", ask(Method::PUT, "/Patient/{n}", &[], with_id())),
        ("update by search", ask(Method::PUT, own, &[], patient())),
        ("update by search, chain", ask(Method::PUT, chained, &[], observation("Patient/{n}"))),
        ("patch", ask(Method::PATCH, "/Patient/{n}", PATCH, op.clone())),
        ("patch by search", ask(Method::PATCH, own, PATCH, op)),
        ("delete", ask(Method::DELETE, "/Patient/{n}", &[], Value::Null)),
        ("delete by search", ask(Method::DELETE, own, &[], Value::Null)),
        ("delete by search, chain", ask(Method::DELETE, chained, &[], Value::Null)),
        ("delete by search, chain of two steps", ask(Method::DELETE, twice, &[], Value::Null)),
    ]
}

fn bundles() -> Vec<Named> {
    let entry = Doing::Entry;
    let none = Value::Null;
    let chain = "Observation?subject:Patient.family=canarypatient19";
    vec![
        ("batch: read", entry("batch", "GET", "Patient/19", none.clone())),
        ("batch: search", entry("batch", "GET", "Patient?identifier=M-19", none.clone())),
        ("batch: chain", entry("batch", "GET", chain, none.clone())),
        (
            "batch: chain of two steps",
            entry(
                "batch",
                "GET",
                "Observation?encounter.patient.family=canarypatient19",
                none.clone(),
            ),
        ),
        ("batch: create", entry("batch", "POST", "Patient", patient())),
        ("batch: update", entry("batch", "PUT", "Patient/{n}", with_id())),
        ("batch: delete", entry("batch", "DELETE", "Patient/{n}", none.clone())),
        (
            "transaction: create",
            entry("transaction", "POST", "Observation", observation("Patient/{n}")),
        ),
        (
            "transaction: reference by search",
            entry(
                "transaction",
                "POST",
                "Observation",
                observation("Patient?identifier=urn:mrn|M-19"),
            ),
        ),
        (
            "transaction: reference by search, reverse chain",
            entry(
                "transaction",
                "POST",
                "Observation",
                observation("Patient?identifier=urn:mrn|M-19&_has:Encounter:patient:_id=19"),
            ),
        ),
        ("transaction: update", entry("transaction", "PUT", "Patient/{n}", with_id())),
        ("transaction: delete", entry("transaction", "DELETE", "Patient/{n}", none)),
    ]
}
