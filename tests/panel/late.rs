//! What was typed when the session has ended meanwhile, or is another one.

use crate::support::mapping;
use crate::visitor::{Visitor, gateway, hidden};

const PATH: &str = "/panel/tenants/north/mappings";

#[tokio::test]
async fn what_was_typed_outlives_its_session() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let (csrf, before) = (visitor.csrf().await, gateway.view("tenants/north").await);
    let text = mapping("\"2\" & <3>");
    let fields = [("generation", "4"), ("verb", "check"), ("text", text.as_str())];
    let shown = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shown = shown.replace('"', "&quot;");
    // As after a quarter of an hour, or a gateway that began anew: the browser's cookie opens nothing.
    let late = Visitor::of(&gateway);
    let kept = late.post(PATH, &csrf, &fields).await;
    assert_eq!(kept.status, 403, "{kept:?}");
    assert!(kept.body.contains("Your session has ended. Nothing was changed."), "{}", kept.body);
    assert!(kept.body.contains(&shown), "{}", kept.body);
    assert!(!kept.body.contains(&csrf), "a token of another session");

    // Sent on from there by who has signed in anew: shown to her, and done when she says so.
    late.sign_in("operator").await;
    let again = late.post(PATH, "", &fields).await;
    assert_eq!(again.status, 403, "{again:?}");
    assert!(again.body.contains("Nothing was changed yet") && again.body.contains(&shown));
    assert_eq!(hidden(&again.body, "verb").as_deref(), Some("check"));
    let csrf = hidden(&again.body, "csrf").expect("a token of this session");
    assert_eq!(gateway.view("tenants/north").await, before);
    let sent = late.post(PATH, &csrf, &fields).await;
    assert!(sent.status == 200 || sent.status == 422, "{sent:?}");
    assert!(sent.body.contains(&shown), "{}", sent.body);
    late.post("/panel/sign-out", &csrf, &[]).await;

    // Without anything typed there is nothing to keep; and nobody's page elsewhere is given a form.
    let button = late.post(PATH, &csrf, &[("generation", "4"), ("verb", "draft")]).await;
    assert_eq!(button.status, 303, "{button:?}");
    let own = late.base.clone();
    for headers in [
        vec![],
        vec![("origin", "https://evil.example")],
        vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        let foreign = late.raw(PATH, &headers, &fields).await;
        assert_eq!(foreign.status, 303, "{headers:?}: {foreign:?}");
        let foreign = visitor.raw(PATH, &headers, &fields).await;
        assert_eq!(foreign.status, 403, "{headers:?}: {foreign:?}");
        assert!(!foreign.body.contains(&shown), "{headers:?}");
    }
}

#[tokio::test]
async fn a_password_is_never_sent_back() {
    let (_issuer, gateway) = gateway().await;
    let fields = [
        ("generation", "4"),
        ("engine", "postgres"),
        ("host", "db.north.example"),
        ("user", "reader"),
        ("password", "canary-secret"),
        ("verb", "replace"),
    ];
    let (late, path) = (Visitor::of(&gateway), "/panel/tenants/north/connection");
    let kept = late.post(path, "x", &fields).await;
    late.sign_in("operator").await;
    let again = late.post(path, "x", &fields).await;
    for page in [&kept, &again] {
        assert_eq!(page.status, 403, "{page:?}");
        assert!(page.body.contains("value=\"db.north.example\""), "{}", page.body);
        assert!(page.body.contains("type=\"password\" name=\"password\""), "{}", page.body);
        assert!(!page.body.contains("canary"), "{}", page.body);
    }
    let viewer = Visitor::of(&gateway);
    viewer.sign_in("viewer").await;
    let refused = viewer.post(path, "x", &fields).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!refused.body.contains("db.north.example"), "who may send nothing is given no form");
}
