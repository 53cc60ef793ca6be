//! What is refused, and in which words.

use serde_json::json;

use crate::support::issuer::clinician;
use crate::support::{OPERATOR, Options, Reply, TestIssuer};
use crate::world;

/// An OperationOutcome with that status and nothing of a patient's in it.
fn outcome(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.header("content-type").starts_with("application/fhir+json"), "{reply:?}");
    let body = reply.json();
    assert_eq!(body["resourceType"], "OperationOutcome", "{reply:?}");
    assert_eq!(body["issue"][0]["severity"], "error", "{reply:?}");
    assert_eq!(body["issue"][0]["code"], code, "{reply:?}");
    assert!(!reply.body.contains("mark-"), "{reply:?}");
}

#[tokio::test]
async fn absent_is_404_and_malformed_is_400() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    for path in ["/Patient/999999", "/Patient/not-a-number", "/Nonsense/1", "/Observation/1"] {
        outcome(&gateway.get(&token, path).await, 404, "not-found");
    }
    for path in [
        "/Patient?nonsense=1",
        "/Patient?family:nonsense=a",
        "/Patient?birthdate=yesterday",
        "/Patient?_count=-1",
        "/Patient?_count=many",
    ] {
        let reply = gateway.get(&token, path).await;
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome", "{path}");
    }
    let post = gateway.http.post(format!("{}/Patient/1001", gateway.fhir)).bearer_auth(&token);
    assert_eq!(Reply::of(post.body("{}")).await.unwrap().status, 405);
    let xml = gateway.http.get(format!("{}/Patient/1001", gateway.fhir)).bearer_auth(&token);
    let xml = Reply::of(xml.header("accept", "application/fhir+xml")).await.unwrap();
    assert_eq!(xml.status, 406, "{xml:?}");
}

#[tokio::test]
async fn bad_tokens_are_401_with_a_challenge() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let url = format!("{}/Patient/1001", gateway.fhir);
    let none = Reply::of(gateway.http.get(&url)).await.unwrap();
    outcome(&none, 401, "login");
    assert!(none.header("www-authenticate").starts_with("Bearer"), "{none:?}");

    let good = issuer.token("north");
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("a token has three parts") };
    let other = issuer.token("north");
    let foreign_signature = other.rsplit('.').next().unwrap();
    let operators = issuer.token(OPERATOR);
    for bad in [
        "garbage",
        "a.b.c",
        &format!("{header}.{claims}."),
        &format!("{header}.{claims}"),
        &format!("{header}.{claims}.{foreign_signature}"),
        &format!("{header}.{}.{signature}", claims.replacen('a', "b", 1)),
        &operators,
    ] {
        let reply = gateway.get(bad, "/Patient/1001").await;
        outcome(&reply, 401, "login");
        assert!(reply.header("www-authenticate").contains("invalid_token"), "{reply:?}");
        assert!(!reply.body.contains(bad), "the token stands in the answer");
    }
    assert_eq!(gateway.get(&good, "/Patient/1001").await.status, 200);
}

/// What the table of bad tokens asks for, as it goes out: status and challenge to the letter.
#[tokio::test]
async fn each_kind_of_refusal_has_its_own_challenge() {
    let users = vec![
        clinician("north", "north", &["fhir-read"]),
        clinician("writer", "north", &["fhir-write"]),
        clinician("stranger", "nowhere", &["fhir-read"]),
    ];
    let issuer = TestIssuer::start(users).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let (good, writer) = (issuer.token("north"), issuer.token("writer"));
    let stranger = issuer.token("stranger");
    let bare = Some("Bearer");
    let malformed = Some(r#"Bearer error="invalid_request""#);
    let invalid = Some(r#"Bearer error="invalid_token""#);
    for (what, headers, query, status, challenge) in [
        ("none", vec![], "", 401, bare),
        ("basic", vec!["Basic dXNlcjpwYXNz".to_owned()], "", 401, bare),
        ("lower case", vec![format!("bearer {good}")], "", 200, None),
        ("empty", vec!["Bearer".to_owned()], "", 400, malformed),
        ("two spaces", vec![format!("Bearer  {good}")], "", 400, malformed),
        (
            "two headers",
            vec![format!("Bearer {good}"), format!("Bearer {good}")],
            "",
            400,
            malformed,
        ),
        ("in the query too", vec![format!("Bearer {good}")], "?access_token=x", 400, malformed),
        ("in the query", vec![], "?access_token=x", 400, malformed),
        ("not a token", vec!["Bearer a.b.c".to_owned()], "", 401, invalid),
        ("too long", vec![format!("Bearer {}", "a".repeat(16 * 1024 + 1))], "", 400, malformed),
        ("DPoP", vec![format!("DPoP {good}")], "", 401, invalid),
        ("nobody's", vec![format!("Bearer {stranger}")], "", 403, None),
        (
            "without the right",
            vec![format!("Bearer {writer}")],
            "",
            403,
            Some(r#"Bearer error="insufficient_scope", scope="fhir-read""#),
        ),
    ] {
        let mut request = gateway.http.get(format!("{}/Patient/1001{query}", gateway.fhir));
        for value in headers {
            request = request.header("authorization", value);
        }
        let reply = Reply::of(request).await.unwrap();
        let told = (reply.status, Some(reply.header("www-authenticate")).filter(|t| !t.is_empty()));
        assert_eq!(told, (status, challenge), "{what}: {reply:?}");
    }
    let huge = gateway.http.get(format!("{}/Patient/1001", gateway.fhir));
    let huge = Reply::of(huge.bearer_auth("a".repeat(1 << 20))).await;
    assert!(huge.is_none_or(|reply| matches!(reply.status, 400 | 431)), "a header of a megabyte");
    assert_eq!(gateway.get(&good, "/Patient/1001").await.status, 200);
}

#[tokio::test]
async fn every_403_says_the_same() {
    let users = vec![
        clinician("north", "north", &["fhir-read"]),
        clinician("clerk", "north", &["billing"]),
        clinician("writer", "north", &["fhir-write"]),
        clinician("stranger", "nowhere", &["fhir-read"]),
        clinician("draft", "draft", &["fhir-read"]),
        clinician("south", "south", &["fhir-read"]),
    ];
    let issuer = TestIssuer::start(users).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    gateway.register("draft", json!(null)).await;
    gateway.suspend("south").await;
    let mut bodies = Vec::new();
    for user in ["clerk", "writer", "stranger", "draft", "south"] {
        for path in ["/Patient/1001", "/Patient/2001", "/Patient", "/Nonsense/1"] {
            let reply = gateway.get(&issuer.token(user), path).await;
            outcome(&reply, 403, "forbidden");
            bodies.push(reply.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 200);
}

#[tokio::test]
async fn the_control_plane_takes_operators_only() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    for path in ["tenants", "tenants/north", "tenants/north/connection", "keys", "events"] {
        let url = format!("{}/admin/v1/{path}", gateway.admin);
        for token in [None, Some(issuer.token("north")), Some("garbage".to_owned())] {
            let mut request = gateway.http.get(&url);
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let reply = Reply::of(request).await.unwrap();
            assert!(matches!(reply.status, 401 | 403), "{path}: {reply:?}");
            assert!(
                reply.header("content-type").starts_with("application/problem+json"),
                "{reply:?}"
            );
        }
    }
    assert_eq!(gateway.view("tenants").await["tenants"].as_array().unwrap().len(), 1);
}
