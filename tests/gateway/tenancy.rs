//! A token decides which hospital is meant; nothing else in a request can.

use crate::support::{Options, Reply, TestIssuer};
use crate::world;

const NAMES: [&str; 2] = ["north", "south"];

#[tokio::test]
async fn nothing_but_the_token_names_a_tenant() {
    let issuer = TestIssuer::for_tenants(&NAMES).await;
    let gateway = world::hospitals(&issuer, &NAMES, Options::default()).await;
    let south_id = gateway.view("tenants/south").await["id"].as_str().unwrap().to_owned();
    let token = issuer.token("north");
    let search = format!("{}/Patient", gateway.fhir);
    // Positive control: south's rows are there for south.
    let own = gateway.get(&issuer.token("south"), "/Patient/2001").await;
    assert_eq!(own.json()["name"][0]["family"], "mark-south");

    let names = [
        "x-tenant",
        "x-tenant-id",
        "tenant",
        "client_id",
        "x-client-id",
        "x-hospital",
        "x-forwarded-host",
        "x-original-url",
        "forwarded",
        "host",
        "cookie",
        "x-wardgate-tenant",
    ];
    for name in names {
        for value in ["south", &south_id, "host=south", "client_id=south", "/t/south/fhir"] {
            let request = gateway.http.get(&search).bearer_auth(&token).header(name, value);
            let reply = Reply::of(request).await.expect("an answer");
            only_north(&reply, &format!("{name}: {value}"));
        }
    }
    for name in ["tenant", "tenant_id", "client_id", "_tenant", "hospital", "azp", "iss"] {
        for value in ["south", &south_id] {
            let reply = gateway.get(&token, &format!("/Patient?{name}={value}")).await;
            only_north(&reply, &format!("?{name}={value}"));
        }
    }
    let host = gateway.fhir.strip_suffix("/fhir").unwrap();
    for path in [
        "/south/fhir/Patient",
        "/t/south/fhir/Patient",
        "/fhir/south/Patient",
        "/fhir/t/south/Patient",
        "/fhir/../south/fhir/Patient",
        "/fhir/Patient/..%2f..%2fsouth",
        "//south/fhir/Patient",
        "/fhir/Patient/2001",
        "/fhir/Patient/2001%00",
        "/fhir/Patient/%32001",
    ] {
        let request = gateway.http.get(format!("{host}{path}")).bearer_auth(&token);
        let reply = Reply::of(request).await.expect("an answer");
        only_north(&reply, path);
        assert!(matches!(reply.status, 400 | 404 | 405), "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn two_tokens_are_one_too_many() {
    let issuer = TestIssuer::for_tenants(&NAMES).await;
    let gateway = world::hospitals(&issuer, &NAMES, Options::default()).await;
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    let url = format!("{}/Patient", gateway.fhir);
    let twice = gateway.http.get(&url).bearer_auth(&north).bearer_auth(&south);
    let header = Reply::of(twice).await.unwrap();
    assert!(matches!(header.status, 400 | 401), "{header:?}");
    let query = gateway.get(&north, &format!("/Patient?access_token={south}")).await;
    assert_eq!(query.status, 400, "{query:?}");
    // Where what is unknown is passed over, the name in any spelling is not.
    let encoded = gateway.http.get(format!("{url}?acce%73s_token={south}")).bearer_auth(&north);
    let encoded = Reply::of(encoded.header("prefer", "handling=lenient")).await.unwrap();
    assert_eq!(encoded.status, 400, "{encoded:?}");
    let form = gateway.http.post(format!("{url}/_search")).bearer_auth(&north);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let token = Reply::of(form.body(format!("access_token={south}"))).await.unwrap();
    assert_eq!(token.status, 400, "{token:?}");
    let form = gateway.http.post(format!("{url}/_search")).bearer_auth(&north);
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let text = Reply::of(form.body(vec![b'n', b'=', 0xff])).await.unwrap();
    assert_eq!(text.status, 400, "not UTF-8, and not too large: {text:?}");
    for reply in [header, query, encoded, token, text] {
        assert!(!reply.body.contains("mark-"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_page_link_works_for_its_own_tenant_only() {
    let issuer = TestIssuer::for_tenants(&NAMES).await;
    let gateway = world::hospitals(&issuer, &NAMES, Options::default()).await;
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    let next = gateway.get(&south, "/Patient?_count=2").await.next().expect("a next page");
    assert_eq!(gateway.get(&south, &next).await.status, 200);
    let foreign = gateway.get(&north, &next).await;
    assert_eq!(foreign.status, 400, "{foreign:?}");
    assert!(!foreign.body.contains("mark-"), "{foreign:?}");
}

fn only_north(reply: &Reply, what: &str) {
    assert!(!reply.body.contains("mark-south"), "{what}: {reply:?}");
    assert!(reply.status < 500, "{what}: {reply:?}");
    if reply.status == 200 && reply.body.contains("\"entry\"") {
        assert!(reply.body.contains("mark-north"), "{what}: {reply:?}");
    }
}
