//! What was typed when somebody has to show once more who she is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use wardgate::base::{Clock as _, ManualClock, SystemClock, Timestamp};

use crate::support::{Options, TestIssuer};
use crate::visitor::{Visitor, gateway_of, hidden};

/// The address of the first link to confirm with, as the page has it.
fn confirm(page: &str) -> String {
    let (_, rest) =
        page.split_once("href=\"/panel/confirm?to=").unwrap_or_else(|| panic!("{page}"));
    format!("/panel/confirm?to={}", rest.split('"').next().unwrap())
}

/// Shows once more who she is; gives where she is sent back to.
async fn shows_who_she_is(visitor: &Visitor, user: &str, page: &str) -> String {
    let (_, back) = visitor.at_issuer(user, &confirm(page)).await;
    let done = visitor.get(&back).await;
    assert_eq!(done.status, 303, "{done:?}");
    done.header("location").to_owned()
}

/// What destroys, reveals or approves is done by nobody who showed who she is ten minutes ago.
#[tokio::test]
async fn nothing_is_done_on_an_old_sign_in() {
    let before = Timestamp::from_secs(SystemClock.now().as_secs() - 600);
    let issuer = TestIssuer::of(Vec::new(), Arc::new(ManualClock::at(before))).await;
    let gateway = gateway_of(&issuer, Options { two_persons: true, ..Options::default() }).await;
    gateway
        .operate(
            Method::POST,
            "servers",
            None,
            Some(("application/json", json!({ "name": "folder" }).to_string())),
        )
        .await;
    let (ada, ben) = (Visitor::of(&gateway), Visitor::of(&gateway));
    ada.sign_in("operator").await;
    ben.sign_in("approver").await;
    let generation = ada.generation("north").await;
    // Asked for over the API, so that there is something to approve.
    let asked =
        gateway.operate(Method::DELETE, "tenants/north", generation.parse().ok(), None).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let approval = format!("/panel/approvals/{}", asked.json()["id"].as_str().unwrap());
    let events = gateway.view("events").await;
    let generation = ada.generation("north").await;
    let at = ("generation", generation.as_str());
    let url = ("url", "postgres://root:canary-secret@127.0.0.1:1/postgres");
    for (visitor, path, fields) in [
        (&ada, "/panel/servers", &[("server_name", "second"), ("kind", "folder")][..]),
        (&ada, "/panel/servers/connection", &[("account_of", "folder"), url]),
        (
            &ada,
            "/panel/tenants/north/connection",
            &[at, ("engine", "sqlite"), ("database", "south.db"), ("verb", "replace")],
        ),
        (&ada, "/panel/tenants/north/life", &[at, ("verb", "rotate")]),
        (
            &ada,
            "/panel/tenants/south/life",
            &[("generation", "5"), ("verb", "offboard"), ("confirm", "south")],
        ),
        (&ada, "/panel/keys", &[]),
        (&ben, approval.as_str(), &[("verb", "approve")]),
    ] {
        let refused = visitor.post(path, &visitor.csrf().await, fields).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
        assert!(refused.body.contains("Confirm it is you"), "{path}: {}", refused.body);
        assert!(!refused.body.contains("canary"), "{path}");
    }
    assert_eq!(gateway.view("events").await, events);
}

#[tokio::test]
async fn everything_typed_comes_back_but_passwords() {
    // Whoever signs in there did so ten minutes ago, until the clock is moved.
    let before = Timestamp::from_secs(SystemClock.now().as_secs() - 600);
    let clock = Arc::new(ManualClock::at(before));
    let issuer = TestIssuer::of(Vec::new(), clock.clone()).await;
    let gateway = gateway_of(&issuer, Options::default()).await;
    let ada = Visitor::of(&gateway);
    ada.sign_in("operator").await;
    let csrf = ada.csrf().await;
    let generation = ada.generation("north").await;

    let server = [
        ("server_name", "old \"main\" <server>"),
        ("kind", "folder"),
        ("url", "postgres://root:canary-secret@10.0.0.1/postgres"),
        ("ca_pem", "-----BEGIN\r\ncanary-pem"),
    ];
    let asked = ada.post("/panel/servers", &csrf, &server).await;
    assert_eq!(asked.status, 403, "{asked:?}");
    assert!(!asked.body.contains("canary") && asked.body.contains("Nothing was changed."));
    let place = [
        ("generation", generation.as_str()),
        ("engine", "mysql"),
        ("host", "db.north.example"),
        ("port", "3307"),
        ("database", "records"),
        ("user", "reader"),
        ("password", "canary-secret"),
        ("verb", "replace"),
    ];
    let place_asked = ada.post("/panel/tenants/north/connection", &csrf, &place).await;
    assert_eq!(place_asked.status, 403, "{place_asked:?}");
    let end = [("generation", generation.as_str()), ("confirm", "nor"), ("verb", "offboard")];
    let end_asked = ada.post("/panel/tenants/north/life", &csrf, &end).await;
    assert_eq!(end_asked.status, 403, "{end_asked:?}");

    // Somebody changes the hospital while she is away.
    gateway.change(Method::POST, "north", "invalidate", json!({})).await;
    clock.advance(Duration::from_mins(10));
    let back = shows_who_she_is(&ada, "operator", &asked.body).await;
    assert!(back.starts_with("/panel/servers?kept="), "{back}");
    let page = ada.get(&back).await;
    assert!(page.body.contains("value=\"old &quot;main&quot; &lt;server&gt;\""), "{}", page.body);
    assert!(page.body.contains("<option value=\"folder\" selected>"), "{}", page.body);
    assert!(page.body.contains("canary-pem</textarea>"), "{}", page.body);
    assert!(!page.body.contains("canary-secret"), "a secret is on the page");
    assert!(page.body.contains("What you typed is here again"), "{}", page.body);

    let page = ada.get(&shows_who_she_is(&ada, "operator", &place_asked.body).await).await.body;
    for value in ["db.north.example", "3307", "records", "reader"] {
        assert!(page.contains(&format!("value=\"{value}\"")), "{value}: {page}");
    }
    assert!(page.contains("<option value=\"mysql\" selected>") && !page.contains("canary"));
    // It is the form it was: that somebody was faster is told.
    assert_eq!(hidden(&page, "generation"), Some(generation.clone()));
    let csrf = hidden(&page, "csrf").unwrap();
    let reachable = [
        ("generation", generation.as_str()),
        ("engine", "sqlite"),
        ("database", "north.db"),
        ("verb", "replace"),
    ];
    let sent = ada.post("/panel/tenants/north/connection", &csrf, &reachable).await;
    assert_eq!(sent.status, 412, "{sent:?}");
    assert!(sent.body.contains("Somebody else changed this hospital"), "{}", sent.body);

    let page = ada.get(&shows_who_she_is(&ada, "operator", &end_asked.body).await).await.body;
    assert!(page.contains("name=\"confirm\" value=\"nor\""), "{page}");

    // It is hers alone, and not for ever under any name.
    let ben = Visitor::of(&gateway);
    ben.sign_in("approver").await;
    for (visitor, address) in [(&ben, back.as_str()), (&ada, "/panel/servers?kept=x")] {
        let page = visitor.get(address).await;
        assert!(page.status == 200 && !page.body.contains("old &quot;main"), "{}", page.body);
        assert!(!page.body.contains("What you typed"), "{}", page.body);
    }
}
