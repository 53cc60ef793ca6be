//! Resources on the mapping page: who sees them, who does not, and what is written down of it.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use wardgate::base::SystemClock;

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};
use crate::visitor::{Visitor, gateway_of, gateway_with};

const LOOK: &str = "/panel/tenants/north/look";
/// In every row of North, and nowhere else.
const MARK: &str = "mrn-mark-north";

async fn start() -> (TestIssuer, Gateway) {
    let both = ["fhir-admin", "fhir-read"];
    let users = vec![
        clinician("north", "north", &["fhir-read"]),
        clinician("both.north", "north", &both),
        clinician("reader.north", "north", &["fhir-read", "fhir-write"]),
        clinician("chief.north", "north", &["fhir-admin", "fhir-write"]),
        clinician("both.south", "south", &both),
        clinician("both.nowhere", "nowhere", &both),
    ];
    let issuer = TestIssuer::of(users, Arc::new(SystemClock)).await;
    let gateway = gateway_of(&issuer, Options::default()).await;
    (issuer, gateway)
}

/// The text in the editor, that nobody stored.
fn text() -> String {
    mapping("edited-and-stored-nowhere")
}

/// Asks for resources with that text.
async fn asks(visitor: &Visitor, text: &str) -> Reply {
    let csrf = visitor.csrf().await;
    let fields = [("verb", "look"), ("text", text), ("rows", "2"), ("type", ""), ("ids", "")];
    visitor.post(LOOK, &csrf, &fields).await
}

/// Where the page before the hospital's sign-in leads.
fn way_there(page: &Reply) -> String {
    let (_, rest) =
        page.body.split_once("<a class=\"button\" href=\"").unwrap_or_else(|| panic!("{page:?}"));
    rest.split('"').next().expect("an address").replace("&amp;", "&")
}

/// Is that user at the hospital's issuer; gives the way back.
async fn is_there(visitor: &Visitor, user: &str, page: &Reply) -> String {
    visitor.chosen(user, &way_there(page)).await
}

/// Asks, signs in as that user, and comes back.
async fn comes_back(visitor: &Visitor, user: &str) -> Reply {
    let leaving = asks(visitor, &text()).await;
    assert_eq!(leaving.status, 200, "{leaving:?}");
    let back = is_there(visitor, user, &leaving).await;
    visitor.get(&back).await
}

/// Comes back and goes where she is led.
async fn looks(visitor: &Visitor, user: &str) -> Reply {
    let back = comes_back(visitor, user).await;
    assert_eq!(back.status, 303, "{back:?}");
    let target = back.header("location").split('#').next().expect("an address");
    visitor.get(target).await
}

/// Whether the page has the text that was being edited.
fn has_text(page: &Reply) -> bool {
    page.body.contains("edited-and-stored-nowhere")
}

/// Every byte of the access logs as they are on disk this moment.
fn on_disk(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry").path();
        if entry.is_dir() {
            text.push_str(&on_disk(&entry));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(entry).expect("a file")));
        }
    }
    text
}

fn times(text: &str, of: &str) -> usize {
    text.matches(of).count()
}

/// North's events of that kind, once there are that many.
async fn events(issuer: &TestIssuer, gateway: &Gateway, action: &str, many: usize) -> Vec<Value> {
    let url = format!("{}/tenant/v1/access-log", gateway.fhir.trim_end_matches("/fhir"));
    let token = issuer.token("both.north");
    for _ in 0..200 {
        let page = Reply::of(gateway.http.get(&url).bearer_auth(&token)).await.unwrap().json();
        let all = page["events"].as_array().expect("events");
        let found: Vec<_> = all.iter().filter(|e| e["action"] == action).cloned().collect();
        if found.len() >= many {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not {many} of {action}");
}

#[tokio::test]
async fn who_manages_and_reads_sees_resources_and_it_is_written_down() {
    let (issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let leaving = asks(&visitor, &text()).await;
    assert!(leaving.body.contains("fhir-admin") && leaving.body.contains(&issuer.hospitals()));
    let there = way_there(&leaving);
    for part in ["code_challenge_method=S256", "state=", "nonce=", "client_id=wardgate-preview"] {
        assert!(there.contains(part), "{there}");
    }
    let seen = looks(&visitor, "both.north").await;
    // On disk already when the page is there.
    let log = on_disk(&gateway.folder().join("audit"));
    assert!(log.contains("\"mapping.preview\"") && log.contains("\"mapping.preview_opened\""));
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.contains("mrn-mark-north-1001"), "{}", seen.body);
    assert!(seen.body.contains("urn:mapping:edited-and-stored-nowhere") && has_text(&seen));
    assert!(seen.body.contains("2 of 2 rows give a resource"), "{}", seen.body);
    assert!(seen.body.contains("both.north") && seen.body.contains("Forget this sign-in"));
    assert_eq!(seen.header("cache-control"), "no-store");
    let policy = seen.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!seen.body.contains("data-live-seconds"), "a page with patients is fetched again");

    // Again without the issuer, with another text; and what does not compile shows nothing.
    let again = asks(&visitor, &text().replace("$mrn", "$family_name")).await;
    assert_eq!((again.status, times(&again.body, "mrn-mark")), (200, 0), "{}", again.body);
    assert!(again.body.contains("mark-north"), "{}", again.body);
    let broken = asks(&visitor, &text().replace("$mrn", "$nrm")).await;
    assert!(broken.body.contains("does not compile") && !broken.body.contains("mark-north"));

    let looked = events(&issuer, &gateway, "mapping.preview", 3).await;
    let opened = events(&issuer, &gateway, "mapping.preview_opened", 3).await;
    for look in &looked {
        assert_eq!(
            (&look["who"]["kind"], &look["who"]["azp"]),
            (&json!("user"), &json!("wardgate-preview"))
        );
        let same = opened.iter().find(|event| event["request"] == look["request"]);
        assert_eq!(same.expect("who opened it")["who"]["kind"], "operator");
    }
    assert!(looked.iter().any(|look| look["count"] == 2), "{looked:?}");

    // Neither a row nor a token is in the log or on any page.
    for page in [&leaving, &seen, &again, &broken] {
        assert!(!page.body.contains("eyJ"), "{}", page.body);
    }
    let said = gateway.log().await;
    assert!(!said.contains("mark-north") && !said.contains("eyJ"), "the log says too much");

    let csrf = visitor.csrf().await;
    let fields = [("verb", "forget"), ("text", &*text())];
    let forgotten = visitor.post(LOOK, &csrf, &fields).await;
    assert!(has_text(&forgotten) && !forgotten.body.contains("Forget this sign-in"));
    let anew = asks(&visitor, &text()).await;
    assert!(way_there(&anew).contains("prompt=login"), "{anew:?}");
}

#[tokio::test]
async fn one_right_alone_shows_nothing_and_stands_in_the_log() {
    let (issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    for (user, lacks) in
        [("reader.north", "may not manage"), ("chief.north", "may not read this hospital")]
    {
        let refused = looks(&visitor, user).await;
        assert_eq!(refused.status, 403, "{user}: {refused:?}");
        assert!(refused.body.contains(lacks) && has_text(&refused), "{user}: {}", refused.body);
        assert!(!refused.body.contains(MARK), "{user}");
        // She is not held as signed in, and the issuer is to ask who it is.
        let anew = asks(&visitor, &text()).await;
        assert!(way_there(&anew).contains("prompt=login"), "{user}: {anew:?}");
    }
    let denied = events(&issuer, &gateway, "mapping.preview", 2).await;
    assert!(denied.iter().all(|event| event["outcome"] == "denied"), "{denied:?}");
    assert!(!on_disk(&gateway.folder().join("audit")).contains("preview_opened"));
}

#[tokio::test]
async fn a_token_of_another_hospital_opens_nothing_and_tells_nothing_of_it() {
    let (issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let mut pages = Vec::new();
    for user in ["both.south", "both.nowhere"] {
        let refused = comes_back(&visitor, user).await;
        assert_eq!(refused.status, 403, "{user}: {refused:?}");
        assert!(has_text(&refused) && !refused.body.contains("mark-"), "{}", refused.body);
        assert!(refused.body.contains("does not belong to this hospital"), "{}", refused.body);
        assert!(!refused.body.contains("south") && !refused.body.contains("nowhere\""));
        pages.push(refused.body.clone());
    }
    // The same for one that there is and one that there is not.
    assert_eq!(pages[0], pages[1]);
    // The hospital reads whose page it was and that it was refused, and not who came from where.
    let refused = events(&issuer, &gateway, "mapping.preview_opened", 2).await;
    for event in &refused {
        assert_eq!(
            (&event["outcome"], &event["status"]),
            (&json!("denied"), &json!(403)),
            "{event}"
        );
        assert_eq!(event["who"]["kind"], "operator", "{event}");
    }
    let audit = on_disk(&gateway.folder().join("audit"));
    assert!(!audit.contains("both.south") && !audit.contains("both.nowhere"), "{audit}");
    assert_eq!(times(&audit, "mapping.preview"), times(&audit, "mapping.preview_opened"));
    // What is held for one hospital shows nothing of another.
    looks(&visitor, "both.north").await;
    let csrf = visitor.csrf().await;
    let fields = [("verb", "look"), ("text", &*text()), ("rows", "2")];
    let south = visitor.post("/panel/tenants/south/look", &csrf, &fields).await;
    assert!(south.body.contains("Sign in at the hospital") && !south.body.contains("mark-"));
}

#[tokio::test]
async fn a_way_back_counts_once_and_for_the_session_it_began_in() {
    let (_issuer, gateway) = start().await;
    let (ada, ben) = (Visitor::of(&gateway), Visitor::of(&gateway));
    ada.sign_in("operator").await;
    ben.sign_in("operator").await;
    let unknown = |page: &Reply| {
        assert_eq!(page.status, 400, "{page:?}");
        assert!(page.body.contains("was not begun in your session"), "{}", page.body);
        assert!(!page.body.contains(MARK));
    };
    // Of another session, although it is the same person; and not for herself any more then.
    let stolen = is_there(&ada, "both.north", &asks(&ada, &text()).await).await;
    unknown(&ben.get(&stolen).await);
    unknown(&ada.get(&stolen).await);
    // Used.
    let back = is_there(&ada, "both.north", &asks(&ada, &text()).await).await;
    assert_eq!(ada.get(&back).await.status, 303);
    unknown(&ada.get(&back).await);
    // Made up, and without any.
    unknown(&ada.get("/panel/look?state=made-up&code=made-up").await);
    unknown(&ada.get("/panel/look").await);
    // Of nobody: she is sent to the sign-in, and the code goes nowhere with her.
    let out = Visitor::of(&gateway).get("/panel/look?state=a&code=b").await;
    assert_eq!((out.status, out.header("location")), (303, "/panel/welcome?to=%2Fpanel%2F"));
    // What is held is this session's.
    let other = asks(&ben, &text()).await;
    assert!(other.body.contains("Sign in at the hospital") && !other.body.contains(MARK));
}

#[tokio::test]
async fn the_issuer_that_was_asked_says_who_it_is_now() {
    let (_issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    // Also the first time: whoever sat here before may still be signed in there.
    let leaving = asks(&visitor, &text()).await;
    assert!(way_there(&leaving).contains("prompt=login"), "{leaving:?}");
    // What another issuer answered is not taken to this one (RFC 9207).
    let back = is_there(&visitor, "both.north", &leaving).await;
    let other = visitor.get(&format!("{back}&iss=https%3A%2F%2Felsewhere.example")).await;
    assert_eq!(other.status, 401, "{other:?}");
    assert!(has_text(&other) && !other.body.contains(MARK));
    let again = asks(&visitor, &text()).await;
    assert!(again.body.contains("Sign in at the hospital"), "{}", again.body);
}

#[tokio::test]
async fn who_does_not_sign_in_finds_her_text_again() {
    let (issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let state = |page: &Reply| {
        let there = way_there(page);
        let (_, rest) = there.split_once("state=").expect("a state");
        rest.split('&').next().expect("a state").to_owned()
    };
    let left = state(&asks(&visitor, &text()).await);
    let cancelled = visitor.get(&format!("/panel/look?state={left}&error=access_denied")).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert!(cancelled.body.contains("You did not sign in at the hospital"), "{}", cancelled.body);
    assert!(has_text(&cancelled) && !cancelled.body.contains(MARK));
    // An issuer that fails, and a code that another issuer gave.
    let left = state(&asks(&visitor, &text()).await);
    let failed = visitor.get(&format!("/panel/look?state={left}&error=server_error")).await;
    assert_eq!((failed.status, has_text(&failed)), (502, true), "{failed:?}");
    let second = TestIssuer::of(
        vec![clinician("both.north", "north", &["fhir-admin", "fhir-read"])],
        Arc::new(SystemClock),
    )
    .await;
    let there = way_there(&asks(&visitor, &text()).await);
    let elsewhere = there.replace(&issuer.hospitals(), &second.hospitals());
    let back = visitor.chosen("both.north", &elsewhere).await;
    let foreign = visitor.get(&back).await;
    assert_eq!((foreign.status, has_text(&foreign)), (401, true), "{foreign:?}");
    assert!(!foreign.body.contains(MARK) && !foreign.body.contains("Forget this sign-in"));
}

#[tokio::test]
async fn who_may_change_nothing_may_look_with_rights_of_the_hospital() {
    let (_issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("viewer").await;
    let seen = looks(&visitor, "both.north").await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.body.contains(MARK), "{}", seen.body);
    // A form of another page opens nothing.
    let headers = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let csrf = visitor.csrf().await;
    let fields = [("csrf", csrf.as_str()), ("verb", "look"), ("text", &*text())];
    let forged = visitor.raw(LOOK, &headers, &fields).await;
    assert!(forged.status == 403 && !forged.body.contains(MARK), "{forged:?}");
}

#[tokio::test]
async fn the_page_says_when_nobody_can_look() {
    let (_issuer, gateway) =
        gateway_with(Options { hospitals: Some(String::new()), ..Options::default() }).await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let page = visitor.get("/panel/tenants/north/mappings").await;
    assert!(page.body.contains("Looking at resources is not set up here"), "{}", page.body);
    assert!(!page.body.contains("Look at resources"), "{}", page.body);
    let refused = asks(&visitor, &text()).await;
    assert_eq!((refused.status, has_text(&refused)), (409, true), "{refused:?}");

    let (issuer, gateway) = start().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let identity =
        json!({ "issuer": issuer.hospitals(), "claim_value": "north", "azp": ["ward-app"] });
    let body = json!({ "identities": [identity] });
    gateway.change(reqwest::Method::PATCH, "north", "", body).await;
    let page = visitor.get("/panel/tenants/north/mappings").await;
    assert!(page.body.contains("lists the client"), "{}", page.body);
    assert_eq!(asks(&visitor, &text()).await.status, 409);

    // The hospital's page has the button; who only looks does not.
    let csrf = visitor.csrf().await;
    let form = async |verb: &str| {
        let generation = visitor.generation("north").await;
        let hospitals = issuer.hospitals();
        let fields = [("generation", generation.as_str()), ("issuer", &hospitals)];
        let done = visitor.post(&format!("/panel/tenants/north/{verb}"), &csrf, &fields).await;
        assert_eq!(done.status, 303, "{verb}: {done:?}");
        visitor.get(done.header("location")).await.body
    };
    assert!(visitor.get("/panel/tenants/north").await.body.contains("Admit wardgate-preview<"));
    assert!(form("admit-client").await.contains("Admit wardgate-preview no more"));
    assert_eq!(looks(&visitor, "both.north").await.status, 200);
    let azp = gateway.view("tenants/north").await["identities"][0]["azp"].clone();
    assert_eq!(azp, json!(["ward-app", "wardgate-preview"]));
    assert!(form("dismiss-client").await.contains("Admit wardgate-preview<"));
    // Who was signed in is judged anew.
    let after = asks(&visitor, &text()).await;
    assert!(after.status == 409 && !after.body.contains(MARK), "{after:?}");
    let viewer = Visitor::of(&gateway);
    viewer.sign_in("viewer").await;
    assert!(!viewer.get("/panel/tenants/north").await.body.contains("Admit wardgate-preview"));

    // A client that somebody else wrote into the registry is not sealed with the one that is admitted.
    let registry = gateway.folder().join("registry.db");
    let registry = SqliteConnectOptions::new().filename(registry).connect().await;
    let forged =
        r#"UPDATE bindings SET azp = '["ward-app","intruder"]' WHERE claim_value = 'north'"#;
    sqlx::raw_sql(forged).execute(&mut registry.unwrap()).await.unwrap();
    let (generation, hospitals) = (visitor.generation("north").await, issuer.hospitals());
    let fields = [("generation", generation.as_str()), ("issuer", &hospitals)];
    let refused = visitor.post("/panel/tenants/north/admit-client", &csrf, &fields).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("is damaged"), "{}", refused.body);
    assert_eq!(gateway.view("tenants/north").await["damaged"], "binding");
}
