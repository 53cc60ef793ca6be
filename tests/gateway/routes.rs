//! Every route with every kind of token, against the table of `docs/ROUTES.md`.

use std::path::Path;

use reqwest::Method;
use wardgate::http::route::{CALLERS, routes, table};

use crate::support::issuer::clinician;
use crate::support::{Gateway, OPERATOR, Options, Reply, TestIssuer, mapping};
use crate::world;

const PAGE: &str = include_str!("../../docs/ROUTES.md");

#[test]
fn the_page_holds_the_table_as_it_is() {
    let table = table();
    assert!(PAGE.ends_with(&table), "docs/ROUTES.md must end with this table:\n\n{table}");
    assert!(routes().len() > 30, "{}", routes().len());
}

/// Whoever registers a route elsewhere registers one without a row.
#[test]
fn routes_are_registered_in_one_place() {
    // What is served to tests alone is served to nobody.
    fn tests(file: &Path) -> bool {
        file.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("_tests"))
    }
    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                look(&entry, found);
            } else if !entry.ends_with("http/route.rs") && !tests(&entry) {
                let text = std::fs::read_to_string(&entry).unwrap();
                if text.contains(".route(") || text.contains("route_service(") {
                    found.push(entry.display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"), &mut found);
    assert!(found.is_empty(), "{found:?} name routes past the table");
}

/// The rows of the page's table.
fn rows() -> Vec<Vec<&'static str>> {
    let heads = ["| fhir |", "| admin |", "| panel |"];
    PAGE.lines()
        .filter(|line| heads.iter().any(|head| line.starts_with(head)))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn fits(answer: &str, reply: &Reply) -> bool {
    match answer.parse::<u16>() {
        Ok(status) => reply.status == status,
        Err(_) if answer == "sign-in" => {
            reply.status == 303 && reply.header("location").starts_with("/panel/welcome")
        }
        // Let in: what is asked may be malformed, but it is asked.
        Err(_) if reply.status == 404 => {
            // That all types are searched at once is told to those who may search one.
            answer == "in" && reply.body.contains("One type is searched at a time")
        }
        Err(_) => answer == "in" && ![401, 403, 405].contains(&reply.status),
    }
}

#[tokio::test]
async fn every_caller_gets_what_the_table_says() {
    let user = |role: &str| clinician(role, "north", &[role]);
    let users = vec![user("fhir-read"), user("fhir-write"), user("fhir-admin")];
    let issuer = TestIssuer::start(users).await;
    let strangers = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { two_persons: true, panel: true, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let write = "    write: {create: {key: auto_increment}, update: {touch: mrn}, delete: hard}\n";
    let writable = mapping("1").replace("version: \"$id\"", "version: \"$mrn\"") + write;
    gateway.publish("north", &writable).await;
    let tokens: Vec<Option<String>> = CALLERS
        .iter()
        .map(|caller| match *caller {
            "none" => None,
            "viewer" => Some(issuer.token("viewer")),
            "operator" => Some(issuer.token(OPERATOR)),
            "other issuer" => Some(strangers.token("north")),
            role => Some(issuer.token(role)),
        })
        .collect();
    let order = async |path: &str, body: serde_json::Value| {
        let body = Some(("application/json", body.to_string()));
        gateway.operate(Method::POST, path, None, body).await.json()
    };
    order("servers", serde_json::json!({"name": "folder"})).await;
    let identity =
        serde_json::json!({"issuer": "https://a.test", "claim_value": "made", "azp": ["app"]});
    let made = serde_json::json!({"name": "made", "server": "folder", "identities": [identity]});
    let ordered = order("tenants/provision", made).await;
    let operation = ordered["id"].as_str().unwrap();
    let asked = gateway.change(Method::DELETE, "north", "", serde_json::json!({})).await;
    let rows = rows();
    assert_eq!(rows.len(), routes().len());
    let reader = tokens[1].clone().expect("a reader's token");
    // A redirect is an answer, and not followed.
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = plain.build().expect("an HTTP client");
    for row in rows {
        let [listener, method, path, answers @ ..] = &row[..] else { panic!("{row:?}") };
        let base = match *listener {
            "fhir" => gateway.fhir.trim_end_matches("/fhir"),
            _ => &gateway.admin,
        };
        let known = match path.trim_matches('`') {
            path if path.starts_with("/admin/v1/tenants/") => "north",
            path if path.starts_with("/admin/v1/servers/") => "folder",
            path if path.starts_with("/admin/v1/operations/") => operation,
            path if path.starts_with("/admin/v1/approvals/") => asked["id"].as_str().unwrap(),
            // What is deleted is not read afterwards.
            _ if *method == "DELETE" => "1002",
            _ => "1001",
        };
        // An order that was deleted is not read afterwards either; the same request within one second gives
        // the same order, so the one to be deleted is of another.
        let kind = if *method == "DELETE" { "Patient/$export" } else { "$export" };
        let order = if path.contains("{order}") {
            export(&gateway, &reader, kind).await
        } else {
            String::new()
        };
        let path = path
            .trim_matches('`')
            .replace("{resource}", "Patient")
            .replace("{id}", known)
            .replace("_history/{version}", "_history/mrn-mark-north-1001")
            .replace("{version}", "1")
            .replace("{order}", &order)
            .replace("{file}", "Patient.ndjson");
        for ((caller, token), answer) in CALLERS.iter().zip(&tokens).zip(answers) {
            let method: Method = method.parse().unwrap();
            let mut request = http.request(method.clone(), format!("{base}{path}"));
            if method != Method::GET {
                request = request.header("content-type", "application/x-www-form-urlencoded");
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let reply = Reply::of(request).await.expect("an answer");
            let fits = fits(answer, &reply);
            assert!(fits, "{method} {path} as {caller}: {answer} expected, {reply:?}");
        }
    }
}

/// Orders an export.
async fn export(gateway: &Gateway, token: &str, kind: &str) -> String {
    let request = gateway.http.get(format!("{}/{kind}", gateway.fhir)).bearer_auth(token);
    let ordered = Reply::of(request.header("prefer", "respond-async")).await.expect("an answer");
    let place = ordered.header("content-location");
    place.rsplit('/').next().expect("an order").to_owned()
}
