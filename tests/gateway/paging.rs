//! Lists of the admin API page by page: everything once, in the order of the whole, and an end.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Gateway, Options, TestIssuer};

/// All pages from there on; `after` is how the next one is asked for.
async fn pages(gateway: &Gateway, address: &str, list: &str, after: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut next) = (Vec::new(), String::new());
    loop {
        let page = gateway.view(&format!("{address}{next}")).await;
        pages.push(page[list].as_array().unwrap().clone());
        assert!(pages.len() < 50, "{address} has no end");
        next = match &page["next"] {
            Value::Null => return pages,
            Value::String(next) => format!("&{after}={next}"),
            next => format!("&{after}={next}"),
        };
    }
}

#[tokio::test]
async fn every_list_gives_everything_once_and_ends() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let post = async |path: &str, body: Value| {
        let body = Some(("application/json", body.to_string()));
        let reply = gateway.operate(Method::POST, path, None, body).await;
        assert!((200..300).contains(&reply.status), "{reply:?}");
    };
    post("servers", json!({ "name": "folder" })).await;
    let names: Vec<String> = (0..7).map(|n| format!("ward-{n}")).collect();
    for name in &names {
        let identity =
            json!({ "issuer": issuer.hospitals(), "claim_value": name, "azp": ["ward-app"] });
        post("tenants", json!({ "name": name, "identities": [identity] })).await;
        let made = format!("made-{name}");
        let identity =
            json!({ "issuer": issuer.hospitals(), "claim_value": made, "azp": ["ward-app"] });
        let order = json!({ "name": made, "identities": [identity], "server": "folder" });
        post("tenants/provision", order).await;
    }
    // Nothing is added while it is read.
    let begun = std::time::Instant::now();
    while gateway.view("operations?state=succeeded&limit=50").await["operations"]
        .as_array()
        .unwrap()
        .len()
        < 7
    {
        assert!(begun.elapsed().as_secs() < 120, "{}", gateway.view("operations").await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    for (address, list, after, size, all) in [
        ("tenants?", "tenants", "cursor", 3, 14),
        ("tenants?name=ward-", "tenants", "cursor", 7, 7),
        ("operations?", "operations", "cursor", 2, 7),
        ("operations?kind=tenant.provision", "operations", "cursor", 7, 7),
        ("events?", "events", "before", 10, 0),
    ] {
        let whole = pages(&gateway, &format!("{address}&limit=200"), list, after).await;
        let whole = whole.concat();
        assert!(all == 0 && whole.len() > 30 || whole.len() == all, "{address}: {whole:#?}");
        let cut = pages(&gateway, &format!("{address}&limit={size}"), list, after).await;
        let (last, full) = cut.split_last().unwrap();
        assert!(full.iter().all(|page| page.len() == size) && last.len() <= size, "{address}");
        assert_eq!(cut.concat(), whole, "{address}");
    }
    for bad in ["tenants?cursor=%00", "operations?cursor=nonsense", "events?before=x"] {
        let reply = gateway.operate(Method::GET, bad, None, None).await;
        assert_eq!(reply.status, 400, "{bad}: {reply:?}");
    }
}
