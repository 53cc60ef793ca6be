//! The way in and out.

use crate::visitor::{Visitor, gateway};

fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
}

#[tokio::test]
async fn an_operator_signs_in_and_out() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    let outside = visitor.get("/panel/tenants/north").await;
    assert_eq!(outside.status, 303);
    assert_eq!(outside.header("location"), "/panel/welcome?to=%2Fpanel%2Ftenants%2Fnorth");
    assert_eq!(visitor.get("/panel/welcome").await.status, 200);
    assert_eq!(visitor.live("/panel/").await.status, 401);

    let to = "/panel/sign-in?to=%2Fpanel%2Ftenants%2Fnorth";
    let (asked, back) = visitor.at_issuer("operator", to).await;
    assert_eq!(parameter(&asked, "code_challenge_method"), "S256");
    assert_eq!(parameter(&asked, "response_type"), "code");
    for random in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(&asked, random).len(), 43, "{random}: {asked}");
    }
    assert!(!asked.contains(&visitor.session()) || visitor.session().is_empty());
    let opened = visitor.get(&back).await;
    assert_eq!((opened.status, opened.header("location")), (303, "/panel/tenants/north"));
    assert_eq!(visitor.session().len(), 43);
    let page = visitor.get("/panel/").await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains("operator"), "{}", page.body);
    assert!(!page.body.contains(&visitor.session()));
    assert_eq!(visitor.live("/panel/").await.status, 200);

    let (csrf, before) = (visitor.csrf().await, visitor.copy());
    let left = visitor.post("/panel/sign-out", &csrf, &[]).await;
    assert_eq!(left.status, 303);
    let end = left.header("location");
    assert!(end.contains("/realms/operators/protocol/openid-connect/logout?"), "{end}");
    assert!(
        !parameter(end, "id_token_hint").is_empty() && end.contains("post_logout_redirect_uri=")
    );
    assert!(visitor.session().is_empty());
    assert_eq!(before.get("/panel/").await.status, 303, "the old cookie opens nothing");
}

#[tokio::test]
async fn a_way_back_that_was_not_begun_here_opens_nothing() {
    let (_issuer, gateway) = gateway().await;
    let (visitor, other) = (Visitor::of(&gateway), Visitor::of(&gateway));
    // Another browser brings a code that is good: a victim is not signed in as an attacker.
    let (_, back) = visitor.at_issuer("operator", "/panel/sign-in").await;
    assert_eq!(other.get(&back).await.status, 400);
    let (_, others) = other.at_issuer("operator", "/panel/sign-in").await;
    assert_eq!(visitor.get(&others).await.status, 400, "another's state");
    assert_eq!(visitor.get(&back).await.status, 400, "a sign-in counts once, also a failed one");
    for path in
        ["/panel/callback", "/panel/callback?code=x&state=y", "/panel/callback?error=access_denied"]
    {
        assert_eq!(visitor.get(path).await.status, 400, "{path}");
    }
    let (_, back) = visitor.at_issuer("operator", "/panel/sign-in").await;
    assert_eq!(visitor.get(&back).await.status, 303);
    assert_eq!(visitor.get(&back).await.status, 400, "a code counts once");
    assert!(other.session().is_empty());
}

#[tokio::test]
async fn signing_in_again_gives_another_session_and_ends_the_old_one() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    assert_eq!(visitor.sign_in("operator").await.status, 303);
    let old = visitor.copy();
    let (asked, back) = visitor.at_issuer("operator", "/panel/confirm?to=%2Fpanel%2Fkeys").await;
    assert_eq!((parameter(&asked, "prompt"), parameter(&asked, "max_age")), ("login", "0"));
    let confirmed = visitor.get(&back).await;
    assert_eq!(confirmed.header("location"), "/panel/keys");
    assert_ne!(old.session(), visitor.session());
    assert_eq!(old.get("/panel/").await.status, 303);
    assert_eq!(visitor.get("/panel/keys").await.status, 200);
}

#[tokio::test]
async fn who_holds_no_role_gets_no_session() {
    let (_issuer, gateway) = gateway().await;
    let visitor = Visitor::of(&gateway);
    let refused = visitor.sign_in("stranger").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(visitor.session().is_empty());
}

#[tokio::test]
async fn a_target_elsewhere_is_not_gone_to() {
    let (_issuer, gateway) = gateway().await;
    for to in ["https:%2F%2Fevil.example", "%2F%2Fevil.example", "%2Fpanel%2F%5C%5Cevil.example"] {
        let visitor = Visitor::of(&gateway);
        let (_, back) = visitor.at_issuer("operator", &format!("/panel/sign-in?to={to}")).await;
        assert_eq!(visitor.get(&back).await.header("location"), "/panel/", "{to}");
    }
}
