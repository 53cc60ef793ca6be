//! Several hospitals made from a list.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::visitor::{Visitor, gateway_of};

const PATH: &str = "/panel/several";

/// An operator at the form.
struct Desk {
    issuer: TestIssuer,
    gateway: Gateway,
    visitor: Visitor,
    csrf: String,
}

impl Desk {
    async fn of(names: &[&str]) -> Self {
        let issuer = TestIssuer::for_tenants(names).await;
        let gateway = gateway_of(&issuer, Options::default()).await;
        let visitor = Visitor::of(&gateway);
        visitor.sign_in("operator").await;
        let csrf = visitor.csrf().await;
        Self { issuer, gateway, visitor, csrf }
    }

    async fn with_folder(names: &[&str]) -> Self {
        let desk = Self::of(names).await;
        let folder = [("server_name", "folder"), ("kind", "folder")];
        let done = desk.visitor.post("/panel/servers", &desk.csrf, &folder).await;
        assert_eq!(done.status, 303, "{done:?}");
        desk
    }

    async fn send(&self, verb: &str, list: &str, more: &[(&str, &str)]) -> Reply {
        let realm = self.issuer.hospitals();
        let mut fields = vec![("verb", verb), ("list", list), ("server", "folder")];
        fields.extend_from_slice(&[("issuer", realm.as_str()), ("azp", "ward-app")]);
        fields.extend_from_slice(more);
        self.visitor.post(PATH, &self.csrf, &fields).await
    }

    async fn orders(&self) -> usize {
        self.gateway.view("operations").await["operations"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_used_is_corrected_where_it_stands() {
    let desk = Desk::of(&["ward-1"]).await;
    let page = desk.visitor.get(PATH).await.body;
    assert!(page.contains("Register a server first") && !page.contains("name=\"list\""), "{page}");

    let desk = Desk::with_folder(&["ward-1"]).await;
    let link = "href=\"/panel/several\"";
    assert!(desk.visitor.get("/panel/servers").await.body.contains(link));
    let bad = "ward-1\n\nnorth\nNot <a> slug\nward-1,again";
    let refused = desk.send("make", bad, &[]).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    for line in
        ["Line 3: a tenant named north exists already.", "Line 4: ", "Line 5: ward-1 stands"]
    {
        assert!(refused.body.contains(line), "{line}: {}", refused.body);
    }
    assert!(!refused.body.contains("Line 1:") && !refused.body.contains("Line 2:"));
    let typed = "Not &lt;a&gt; slug\nward-1,again</textarea>";
    assert!(refused.body.contains(typed), "{}", refused.body);
    let unread = desk.send("make", "ward-1,\"open", &[]).await;
    assert!(unread.status == 400 && unread.body.contains("Line 1: a double quote"), "{unread:?}");
    for (list, more) in
        [("", &[][..]), ("ward-1", &[("parallel", "x")]), ("ward-1", &[("release", "9")])]
    {
        assert_eq!(desk.send("make", list, more).await.status, 400, "{list} {more:?}");
    }
    let body = json!({ "server": "folder", "tenants": [{ "name": "north", "identities": [] }] });
    let body = Some(("application/json", body.to_string()));
    let problem = desk.gateway.operate(Method::POST, "provisions", None, body).await;
    assert_eq!(problem.status, 400, "{problem:?}");
    let problems = problem.json()["problems"].clone();
    let first = (&problems[0]["pointer"], &problems[0]["code"]);
    assert_eq!(first, (&json!("/tenants/0/name"), &json!("taken")));
    assert_eq!(problems[1]["pointer"], "/tenants/0/identities");
    assert_eq!(desk.orders().await, 0, "nothing of it was ordered");

    let viewer = Visitor::of(&desk.gateway);
    viewer.sign_in("viewer").await;
    let page = viewer.get(PATH).await;
    assert!(page.status == 200 && !page.body.contains("name=\"list\""), "{page:?}");
}

#[tokio::test]
async fn a_list_is_looked_over_and_made() {
    let desk = Desk::with_folder(&["ward-1", "ward-2", "w-three"]).await;
    // As it stands in a spreadsheet.
    let list = "name\tName for people\tclaim\nward-1\tNorth, \u{5d0}\t\nward-2\nward-3\t<b>Three</b>\tw-three";
    let seen = desk.send("plan", list, &[]).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    for said in ["3 hospitals on", "release 2", "&lt;b&gt;Three&lt;/b&gt;", "<code>w-three</code>"]
    {
        assert!(seen.body.contains(said), "{said}: {}", seen.body);
    }
    assert_eq!(desk.orders().await, 0, "looking over makes nothing");
    let ordered = desk.send("make", list, &[("release", "1")]).await;
    assert_eq!(ordered.status, 303, "{ordered:?}");
    let begun = Instant::now();
    let page = loop {
        let page = desk.visitor.get(ordered.header("location")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let done = ["3 of 3 hospitals done, 0 failed", "\">succeeded</span>"];
        // The page of one that has ended shows no order to cancel it.
        if done.iter().all(|said| page.body.contains(said)) && !page.body.contains("begin no more")
        {
            break page.body;
        }
        assert!(begun.elapsed() < Duration::from_mins(4), "{}", page.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(page.contains("Make hospitals") && page.contains("3 hospitals on folder"), "{page}");
    assert_eq!(page.matches("<a href=\"/panel/operations/").count(), 3, "{page}");
    assert_eq!(desk.orders().await, 1, "its parts stand with it");
    for name in ["ward-1", "w-three"] {
        let read = desk.gateway.get(&desk.issuer.token(name), "/Patient").await;
        assert_eq!(read.status, 200, "{name}: {read:?}");
    }
    assert_eq!(desk.gateway.view("tenants/ward-3").await["display_name"], "<b>Three</b>");
    let again = desk.send("make", list, &[]).await;
    let taken = "Line 4: a tenant named ward-3";
    assert!(again.status == 400 && again.body.contains(taken), "{again:?}");
}
