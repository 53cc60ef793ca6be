//! What a browser's application on another origin may ask and see (Fetch standard, CORS protocol).

use reqwest::Method;

use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world;

const ORIGIN: &str = "https://app.example.org";

fn list(reply: &Reply, header: &str) -> Vec<String> {
    reply.header(header).split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
}

async fn preflight(gateway: &Gateway, path: &str, method: &str, headers: &str) -> Reply {
    let request = gateway
        .http
        .request(Method::OPTIONS, format!("{}{path}", gateway.fhir))
        .header("origin", ORIGIN)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    Reply::of(request).await.unwrap()
}

#[tokio::test]
async fn an_application_of_another_origin_may_ask_with_a_token() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    for (path, method, headers) in [
        ("/Patient/1001", "GET", "authorization,if-none-match"),
        ("/Patient/_search", "POST", "authorization,content-type,prefer"),
        ("/Patient", "POST", "authorization,content-type,if-none-exist"),
        ("/Patient/1001", "PUT", "authorization,content-type,if-match"),
        ("/Patient/1001", "DELETE", "authorization"),
    ] {
        let reply = preflight(&gateway, path, method, headers).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{reply:?}");
        assert_eq!(reply.header("access-control-allow-credentials"), "", "no cookies, ever");
        let methods = list(&reply, "access-control-allow-methods");
        assert!(methods.contains(&method.to_ascii_lowercase()), "{reply:?}");
        let allowed = list(&reply, "access-control-allow-headers");
        for asked in headers.split(',') {
            assert!(allowed.iter().any(|header| header == asked), "{asked}: {reply:?}");
        }
    }
    let refused = preflight(&gateway, "/Patient/1001", "TRACE", "authorization").await;
    let methods = list(&refused, "access-control-allow-methods");
    assert!(!methods.contains(&"trace".to_owned()), "{refused:?}");
}

#[tokio::test]
async fn it_may_see_why_it_was_refused_and_what_it_was_given() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let url = format!("{}/Patient/1001", gateway.fhir);
    let refused = Reply::of(gateway.http.get(&url).header("origin", ORIGIN)).await.unwrap();
    assert_eq!(refused.status, 401, "{refused:?}");
    let token = issuer.token("north");
    let given = gateway.http.get(&url).bearer_auth(&token).header("origin", ORIGIN);
    let given = Reply::of(given).await.unwrap();
    assert_eq!(given.status, 200, "{given:?}");
    for reply in [refused, given] {
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{reply:?}");
        let shown = list(&reply, "access-control-expose-headers");
        for header in [
            "www-authenticate",
            "retry-after",
            "etag",
            "location",
            "last-modified",
            "content-location",
            "x-request-id",
        ] {
            assert!(shown.iter().any(|name| name == header), "{header}: {reply:?}");
        }
    }
}
