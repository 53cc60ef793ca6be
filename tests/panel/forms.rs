//! Who may send forms, from where, and what they do.

use reqwest::Method;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::{Options, mapping, sqlite_hospital};
use crate::visitor::{Visitor, gateway, gateway_with};

const ROUTES: &str = include_str!("../../docs/ROUTES.md");

/// Every form of the panel but signing out.
const FORMS: [&str; 24] = [
    "/panel/add",
    "/panel/tenants/north/suspend",
    "/panel/tenants/north/resume",
    "/panel/tenants/north/refuse-tokens",
    "/panel/tenants/north/invalidate",
    "/panel/tenants/north/drain",
    "/panel/tenants/north/reset-breaker",
    "/panel/tenants/north/check",
    "/panel/tenants/north/limits",
    "/panel/tenants/north/flags",
    "/panel/tenants/north/connection",
    "/panel/tenants/north/mappings",
    "/panel/tenants/north/mappings/rollback",
    "/panel/tenants/north/mappings/1/publish",
    "/panel/keys",
    "/panel/approvals/123e4567-e89b-42d3-a456-426614174000",
    "/panel/tenants/north/life",
    "/panel/servers",
    "/panel/servers/connection",
    LOOK,
    "/panel/provision",
    "/panel/several",
    "/panel/migrations",
    "/panel/operations/123e4567-e89b-42d3-a456-426614174000/cancel",
];

/// Changes nothing, and is open to who only looks: what it shows takes rights of the hospital.
const LOOK: &str = "/panel/tenants/north/look";

/// Whether an address is one of a route's.
fn fits(route: &str, address: &str) -> bool {
    let (route, address) =
        (route.split('/').collect::<Vec<_>>(), address.split('/').collect::<Vec<_>>());
    let same = |(part, text): (&&str, &&str)| part.starts_with('{') || part == text;
    route.len() == address.len() && route.iter().zip(&address).all(same)
}

#[test]
fn no_form_is_forgotten_here() {
    let forms = ROUTES.lines().filter_map(|line| line.strip_prefix("| panel | POST | `"));
    let forms = forms.map(|line| line.split('`').next().unwrap());
    // The issuer sends the one, and everybody may send the other.
    let others = ["/panel/backchannel-logout", "/panel/sign-out"];
    let forms: Vec<_> = forms.filter(|form| !others.contains(form)).collect();
    assert!(forms.len() > 10, "{forms:?}");
    for form in forms {
        assert!(FORMS.iter().any(|address| fits(form, address)), "{form}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let (_issuer, gateway) = gateway().await;
    let (visitor, other) = (Visitor::of(&gateway), Visitor::of(&gateway));
    visitor.sign_in("operator").await;
    other.sign_in("operator").await;
    let (csrf, others) = (visitor.csrf().await, other.csrf().await);
    assert_ne!(csrf, others);
    let before = gateway.view("tenants/north").await;
    let events = gateway.view("events").await;
    let own = visitor.base.clone();
    for path in FORMS {
        for (headers, token) in [
            (vec![("origin", own.as_str())], ""),
            (vec![("origin", own.as_str())], others.as_str()),
            (vec![("origin", "https://evil.example")], csrf.as_str()),
            (vec![("origin", "null")], csrf.as_str()),
            (vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")], csrf.as_str()),
            (vec![], csrf.as_str()),
        ] {
            let fields = [("csrf", token), ("generation", "4"), ("reason", "x"), ("verb", "store")];
            let refused = visitor.raw(path, &headers, &fields).await;
            assert_eq!(refused.status, 403, "{path} {headers:?}");
        }
    }
    assert_eq!(gateway.view("tenants/north").await, before);
    assert_eq!(gateway.view("events").await, events);
    let refused = visitor
        .raw("/panel/sign-out", &[("origin", "https://evil.example")], &[("csrf", &csrf)])
        .await;
    assert_eq!(refused.status, 403);
    assert_eq!(visitor.get("/panel/").await.status, 200, "still signed in");
}

#[tokio::test]
async fn who_only_looks_changes_nothing_here_and_over_the_api() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("viewer").await;
    let csrf = visitor.csrf().await;
    let before = gateway.view("tenants/north").await;
    for path in FORMS.iter().filter(|path| **path != LOOK) {
        let refused = visitor.post(path, &csrf, &[("generation", "4"), ("reason", "x")]).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    let page = visitor.get("/panel/tenants/north").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.body.matches("method=\"post\"").count(), 1, "signing out is the only form");
    let token = issuer.token("viewer");
    let api = format!("{}/admin/v1/tenants", gateway.admin);
    let ask = |method, path: &str| {
        gateway.http.request(method, format!("{api}{path}")).bearer_auth(&token)
    };
    assert_eq!(ask(Method::GET, "/north").send().await.unwrap().status(), 200);
    for (method, path) in [
        (Method::POST, "/north/invalidate"),
        (Method::POST, "/north/pool/drain"),
        (Method::PUT, "/north/connection"),
        (Method::PATCH, "/north"),
        (Method::POST, "/north/check"),
    ] {
        let refused = ask(method, path).header("if-match", "\"4\"").send().await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
    }
    assert_eq!(gateway.view("tenants/north").await, before);
}

#[tokio::test]
async fn orders_count_at_once() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let (csrf, north) = (visitor.csrf().await, issuer.token("north"));
    let act = async |verb: &str, fields: &[(&str, &str)]| {
        let generation = visitor.generation("north").await;
        let mut all = vec![("generation", generation.as_str())];
        all.extend_from_slice(fields);
        let done = visitor.post(&format!("/panel/tenants/north/{verb}"), &csrf, &all).await;
        assert_eq!(done.status, 303, "{verb}: {done:?}");
        assert_eq!(visitor.get(done.header("location")).await.status, 200);
    };
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200);
    act("suspend", &[("reason", "<b>unpaid</b>")]).await;
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 403);
    let page = visitor.get("/panel/tenants/north").await.body;
    assert!(page.contains("&lt;b&gt;unpaid&lt;/b&gt;") && !page.contains("<b>unpaid"), "{page}");
    act("resume", &[]).await;
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200);
    act("invalidate", &[]).await;
    act("drain", &[]).await;
    act("reset-breaker", &[]).await;
    act("limits", &[("page_size", "3"), ("requests_per_second", "")]).await;
    assert_eq!(gateway.get(&north, "/Patient").await.resources().len(), 3);
    let page = visitor.get("/panel/tenants/north").await.body;
    assert!(page.contains(r#"name="page_size" value="3""#), "{page}");
    assert!(page.contains(r#"name="fhir.everything" value="100""#), "{page}");
    let all =
        ["fhir.write", "fhir.export", "fhir.include", "search.chain"].map(|flag| (flag, "100"));
    act("flags", &[&all[..], &[("fhir.everything", "0")]].concat()).await;
    assert_eq!(gateway.get(&north, "/Patient/1001/$everything").await.status, 404);
    let page = visitor.get("/panel/tenants/north").await.body;
    assert!(page.contains(r#"name="fhir.everything" value="0""#), "{page}");
    let generation = visitor.generation("north").await;
    let half = [("generation", generation.as_str()), ("fhir.everything", "101")];
    let refused = visitor.post("/panel/tenants/north/flags", &csrf, &half).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains(r#"name="fhir.everything" value="101""#), "what was typed stays");
    let events = gateway.view("events?limit=7").await;
    let actions: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    let expected = [
        "flags.set",
        "limits.set",
        "breaker.reset",
        "lane.drain",
        "tenant.invalidate",
        "tenant.state",
        "tenant.state",
    ];
    assert_eq!(actions, expected);
    let fleet = visitor.get("/panel/").await.body;
    assert!(fleet.contains("4 requests and 0 errors in the last 15 minutes"), "{fleet}");
}

#[tokio::test]
async fn an_end_waits_for_another_person_who_approves_it_here() {
    let (_issuer, gateway) =
        gateway_with(Options { two_persons: true, ..Options::default() }).await;
    let (ada, ben) = (Visitor::of(&gateway), Visitor::of(&gateway));
    ada.sign_in("operator").await;
    ben.sign_in("approver").await;
    let (csrf, generation) = (ada.csrf().await, ada.generation("north").await);
    let fields = [("generation", generation.as_str()), ("verb", "offboard"), ("confirm", "north")];
    let asked = ada.post("/panel/tenants/north/life", &csrf, &fields).await;
    assert_eq!((asked.status, asked.header("location")), (303, "/panel/approvals?done=asked"));
    let seen = ada.get("/panel/approvals?done=asked").await.body;
    assert!(seen.contains("Offboard north.") && seen.contains("Take back"), "{seen}");
    assert!(seen.contains("(in 23 h)") && seen.contains("operator (you)"), "{seen}");
    assert!(!seen.contains(r#"value="approve""#), "{seen}");
    assert_eq!(gateway.view("tenants/north").await["state"], "active");
    let id = gateway.view("approvals").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/panel/approvals/{id}");
    assert_eq!(ada.post(&path, &csrf, &[("verb", "approve")]).await.status, 403);
    // Whoever comes in for something else sees that she is asked.
    let counted = |page: &str| {
        let (_, rest) = page.split_once("id=\"waiting\"").expect("its place in the navigation");
        rest.split("</a>").next().unwrap().contains("1<span class=\"unseen\"> waiting")
    };
    assert!(counted(&ben.get("/panel/").await.body));
    let seen = ben.get("/panel/approvals").await.body;
    assert!(seen.contains(r#"value="approve""#) && seen.contains("Asked by <span"), "{seen}");
    let approved = ben.post(&path, &ben.csrf().await, &[("verb", "approve")]).await;
    assert_eq!(approved.status, 303, "{approved:?}");
    assert!(approved.header("location").starts_with("/panel/operations/"), "{approved:?}");
    let seen = ben.get("/panel/approvals").await.body;
    assert!(seen.contains("Nothing waits") && seen.contains("approved: offboard north"), "{seen}");
    assert!(!counted(&seen), "{seen}");
}

#[tokio::test]
async fn a_stale_page_says_who_was_faster() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let (csrf, seen) = (visitor.csrf().await, visitor.generation("north").await);
    gateway.change(Method::POST, "north", "suspend", json!({ "reason": "first" })).await;
    let fields = [("generation", seen.as_str()), ("page_size", "3")];
    let stale = visitor.post("/panel/tenants/north/limits", &csrf, &fields).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    assert!(stale.body.contains("Somebody else changed this hospital"), "{}", stale.body);
    assert!(
        stale.body.contains("state changed") && stale.body.contains("operator (you)"),
        "{}",
        stale.body
    );
    assert!(stale.body.contains("first") && stale.body.contains("value=\"3\""), "{}", stale.body);
    // Said wherever a form was made from an older state, and over the API.
    let fields = [
        ("generation", seen.as_str()),
        ("engine", "sqlite"),
        ("database", "south.db"),
        ("verb", "replace"),
    ];
    for (path, fields) in [
        ("connection", &fields[..]),
        ("mappings/1/publish", &fields[..1]),
        ("life", &[fields[0], ("verb", "offboard"), ("confirm", "north")][..]),
    ] {
        let stale = visitor.post(&format!("/panel/tenants/north/{path}"), &csrf, fields).await;
        assert_eq!(stale.status, 412, "{path}: {stale:?}");
        assert!(stale.body.contains("state changed"), "{path}: {}", stale.body);
    }
    let body = Some(("application/json", json!({ "display_name": "x" }).to_string()));
    let stale = gateway.operate(Method::PATCH, "tenants/north", seen.parse().ok(), body).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    assert_eq!(stale.json()["changes"][0]["action"], "tenant.state", "{stale:?}");
    let unknown = visitor
        .post("/panel/tenants/nowhere/suspend", &csrf, &[("generation", "1"), ("reason", "x")])
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_mapping_is_checked_stored_and_published() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;
    let path = "/panel/tenants/north/mappings";
    let bad = mapping("2").replace("$family_name", "$no_such_column");
    let found = visitor.post(path, &csrf, &[("verb", "store"), ("text", &bad)]).await;
    assert_eq!(found.status, 422);
    assert!(
        found.body.contains("$no_such_column\"") || found.body.contains("no_such_column"),
        "{}",
        found.body
    );
    assert!(found.body.contains("<code>/resources/0/map/name/0/family"), "{}", found.body);
    let good = mapping("2").replace('\n', "\r\n");
    let checked = visitor.post(path, &csrf, &[("verb", "check"), ("text", &good)]).await;
    assert_eq!(checked.status, 200);
    let stored = visitor.post(path, &csrf, &[("verb", "store"), ("text", &good)]).await;
    assert_eq!(stored.header("location"), format!("{path}?from=2&done=stored#main"), "{stored:?}");
    let generation = visitor.generation("north").await;
    let publish = format!("{path}/2/publish");
    let done = visitor.post(&publish, &csrf, &[("generation", &generation)]).await;
    assert_eq!(done.status, 303, "{done:?}");
    let system = async || {
        let read = gateway.get(&issuer.token("north"), "/Patient/1001").await;
        read.json()["identifier"][0]["system"].as_str().unwrap().to_owned()
    };
    assert_eq!(system().await, "urn:mapping:2");
    let generation = visitor.generation("north").await;
    let back =
        visitor.post(&format!("{path}/rollback"), &csrf, &[("generation", &generation)]).await;
    assert_eq!(back.status, 303, "{back:?}");
    assert_eq!(system().await, "urn:mapping:1");
    // A version that fits no more is not put in force again, whichever way; and the page says what of it.
    let generation = visitor.generation("north").await;
    assert_eq!(visitor.post(&publish, &csrf, &[("generation", &generation)]).await.status, 303);
    let file = SqliteConnectOptions::new().filename(gateway.folder().join("sqlite/north.db"));
    let mut hospital = file.connect().await.unwrap();
    let moved = "ALTER TABLE patients RENAME COLUMN given_names TO first_names";
    sqlx::raw_sql(moved).execute(&mut hospital).await.unwrap();
    hospital.close().await.unwrap();
    for verb in ["rollback", "1/publish"] {
        let generation = visitor.generation("north").await;
        let refused =
            visitor.post(&format!("{path}/{verb}"), &csrf, &[("generation", &generation)]).await;
        assert_eq!(refused.status, 400, "{verb}: {refused:?}");
        assert!(refused.body.contains("<code>/resources/0/map/name/0/given"), "{}", refused.body);
        assert!(!refused.body.contains("are taken as UTC"), "no warning is why");
    }
}

#[tokio::test]
async fn a_connection_is_tried_before_it_is_sealed() {
    let (issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let (csrf, path) = (visitor.csrf().await, "/panel/tenants/north/connection");
    let generation = visitor.generation("north").await;
    let fields = |file, verb| {
        [
            ("generation", generation.as_str()),
            ("engine", "sqlite"),
            ("database", file),
            ("verb", verb),
        ]
    };
    let failed = visitor.post(path, &csrf, &fields("absent.db", "replace")).await;
    assert_eq!(failed.status, 422, "{failed:?}");
    assert!(
        failed.body.contains("Nothing was changed") && failed.body.contains(" ms</td>"),
        "{}",
        failed.body
    );
    assert!(failed.body.contains("value=\"absent.db\""), "what was typed stays");
    let tried = visitor.post(path, &csrf, &fields("south.db", "try")).await;
    assert_eq!(tried.status, 200, "{tried:?}");
    assert!(tried.body.contains("The connection works."));
    assert!(tried.body.contains("other hospitals: south."), "{}", tried.body);
    assert_eq!(visitor.generation("north").await, generation, "trying changes nothing");
    let page = async || visitor.get("/panel/tenants/north").await.body;
    let told = "Served from the very database of <a href=\"/panel/tenants/south\">south</a>";
    assert!(!page().await.contains("Served from the very database"));
    let done = visitor.post(path, &csrf, &fields("south.db", "replace")).await;
    assert_eq!(done.status, 303, "{done:?}");
    assert!(page().await.contains(told), "{}", page().await);
    let read = gateway.get(&issuer.token("north"), "/Patient/2001").await;
    assert_eq!(read.json()["name"][0]["family"], "mark-south", "{read:?}");

    let generation = visitor.generation("north").await;
    let fields = |file, verb| {
        [
            ("generation", generation.as_str()),
            ("engine", "sqlite"),
            ("database", file),
            ("verb", verb),
        ]
    };
    let file = gateway.folder().join("sqlite/spare.db");
    sqlite_hospital(&file, "mark-spare", 2001..2006).await;
    let tried = visitor.post(path, &csrf, &fields("spare.db", "try")).await;
    assert!(!tried.body.contains("other hospitals"), "{}", tried.body);
    let done = visitor.post(path, &csrf, &fields("spare.db", "replace")).await;
    assert_eq!(done.status, 303, "{done:?}");
    assert!(!page().await.contains("Served from the very database"));
    let read = gateway.get(&issuer.token("north"), "/Patient/2001").await;
    assert_eq!(read.json()["name"][0]["family"], "mark-spare", "{read:?}");
}
