//! What every page carries, and what none may.

use serde_json::json;

use crate::visitor::{Visitor, gateway};

const PAGES: [&str; 17] = [
    "/panel/add",
    "/panel/",
    "/panel/?text=nor&level=well&state=active&engine=sqlite&order=slowest&page=9",
    "/panel/tenants/north",
    "/panel/tenants/guarded",
    "/panel/tenants/guarded/connection",
    "/panel/tenants/north/mappings",
    "/panel/tenants/north/life",
    "/panel/operations",
    "/panel/servers",
    "/panel/several",
    "/panel/approvals",
    "/panel/migrations",
    "/panel/keys",
    "/panel/events",
    "/panel/welcome",
    "/panel/nothing-here",
];

#[tokio::test]
async fn every_page_is_guarded_and_none_holds_a_secret() {
    let (issuer, gateway) = gateway().await;
    let password = "canary-Pa55word";
    let url = format!("postgres://reader:{password}@db.guarded.example:5432/emr");
    gateway.register("guarded", json!({ "url": url, "check": false })).await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;
    let mut seen = Vec::new();
    for path in PAGES {
        seen.push((path, visitor.get(path).await));
    }
    let fields = [
        ("generation", "1"),
        ("engine", "postgres"),
        ("host", "db.elsewhere.example"),
        ("database", "emr"),
        ("user", "reader"),
        ("password", password),
    ];
    seen.push((
        "a failed try",
        visitor.post("/panel/tenants/guarded/connection", &csrf, &fields).await,
    ));
    seen.push(("a check", visitor.post("/panel/tenants/guarded/check", &csrf, &[]).await));
    for (path, page) in &seen {
        let status = if *path == "/panel/nothing-here" { 404 } else { page.status };
        assert_eq!(page.status, status, "{path}");
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self' http://127.0.0.1:",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        let body = page.body.to_lowercase();
        for inline in [
            " style=",
            "<style",
            " onclick=",
            " onload=",
            "javascript:",
            "src=\"http",
            "href=\"http",
        ] {
            assert!(!body.contains(inline), "{path} holds {inline}");
        }
        assert_eq!(body.matches("<script").count(), 1, "{path}");
        for secret in [password, issuer.panel_secret(), &visitor.session(), "eyJ"] {
            assert!(!page.body.contains(secret), "{path} holds {secret}");
        }
    }
    let log = gateway.log().await;
    for secret in [password, issuer.panel_secret(), &visitor.session(), csrf.as_str()] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

#[tokio::test]
async fn a_hospitals_page_shows_what_it_used_and_what_takes_time() {
    let (issuer, gateway) = gateway().await;
    let token = issuer.token("north");
    for _ in 0..3 {
        assert_eq!(gateway.get(&token, "/Patient?family=canary-name").await.status, 200);
    }
    gateway.view("tenants/north/usage").await;
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let page = visitor.get("/panel/tenants/north").await.body;
    let part = |id: &str| {
        let begun =
            page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {page}"));
        let rest = &page[begun..];
        rest[..rest.find("</section>").expect("its end")].to_owned()
    };
    let used = part("usage");
    assert!(used.contains("<td class=\"num\">3</td>"), "{used}");
    let queries = part("queries");
    assert!(queries.contains("<code>Patient search family</code>"), "{queries}");
    assert!(!page.contains("canary"), "a value is on the page");
    assert!(part("queries").contains("in the last"), "{queries}");
}

#[tokio::test]
async fn the_fleet_is_searched_filtered_and_paged() {
    let (_issuer, gateway) = gateway().await;
    for number in 0..60 {
        let identity = json!({ "issuer": "http://127.0.0.1:1/realms/hospitals", "claim_value": format!("many-{number:02}"), "azp": ["ward-app"] });
        let body = json!({ "name": format!("many-{number:02}"), "display_name": format!("Many <{number}>"), "identities": [identity] });
        let body = Some(("application/json", body.to_string()));
        let reply = gateway.operate(reqwest::Method::POST, "tenants", None, body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    let visitor = Visitor::of(&gateway);
    visitor.sign_in("operator").await;
    let lines = async |query: &str| {
        let page = visitor.get(&format!("/panel/{query}")).await.body;
        assert!(!page.contains("<0>"));
        page.matches("<th scope=\"row\">").count()
    };
    assert_eq!(lines("").await, 50);
    assert_eq!(lines("?page=2").await, 12);
    assert_eq!(lines("?text=MANY%20%3C4").await, 11);
    assert_eq!(lines("?text=north").await, 1);
    assert_eq!(lines("?level=well").await, 2);
    assert_eq!(lines("?level=off&page=2").await, 10);
    assert_eq!(lines("?state=active").await, 2);
    assert_eq!(lines("?engine=postgres").await, 0);
    let by_name = visitor.get("/panel/?order=name").await.body;
    assert!(by_name.find("many-01") < by_name.find("many-02"));
    let sickest = visitor.get("/panel/").await.body;
    assert!(sickest.find("tenants/north") < sickest.find("tenants/many-00"));
}
