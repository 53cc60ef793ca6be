//! Pictures of the main pages, and what must hold for each of them: nothing scrolls sideways, nothing is
//! refused by the page's own policy, axe finds nothing serious.

use std::path::PathBuf;

use serde_json::json;

use crate::demo::Demo;
use crate::driver::{Browser, Driver, given};

/// Hospitals beside the demo's three, so that the fleet looks like one.
const MORE: [(&str, &str); 9] = [
    ("eastgate", "Eastgate Infirmary"),
    ("harbour", "Harbour Children's Hospital"),
    ("hill-road", "Hill Road Clinic"),
    ("kastanien", "Klinikum Kastanienallee"),
    ("mercy", "Mercy General"),
    ("nordlys", "Nordlys sykehus"),
    ("old-mill", "Old Mill Rehabilitation"),
    ("riverside", "Riverside University Hospital"),
    ("sta-clara", "Hospital Santa Clara"),
];

/// Where pictures go: `WARDGATE_SCREENSHOTS`, or nowhere.
fn folder() -> Option<PathBuf> {
    given("WARDGATE_SCREENSHOTS").map(PathBuf::from)
}

async fn save(browser: &Browser, name: &str, whole: bool) {
    let picture = browser.picture(whole).await;
    assert!(picture.starts_with(b"\x89PNG"), "{name}");
    if let Some(folder) = folder() {
        std::fs::create_dir_all(&folder).expect("make a folder");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("write a picture");
    }
}

/// A fleet with something to see in it.
async fn busy(demo: &Demo) {
    let operator = demo.token("operator").await;
    for (name, display) in MORE {
        let identity = json!({ "issuer": format!("{}/realms/hospitals", demo.url("issuer")),
            "claim_value": name, "azp": ["ward-app"] });
        let mut tenant = json!({ "name": name, "display_name": display, "identities": [identity] });
        if name != "old-mill" {
            tenant["connection"] = json!({ "url": "sqlite:north.db" });
        }
        assert_eq!(demo.order(&operator, "tenants", tenant).await, 201, "{name}");
        if !["old-mill", "mercy"].contains(&name) {
            demo.publish_as_north(&operator, name).await;
        }
    }
    for hospital in ["north", "sur", "lakes"] {
        let reader = demo.token(&format!("reader.{hospital}")).await;
        for _ in 0..40 {
            assert_eq!(demo.read(&reader, "/Patient").await, 200);
        }
    }
    // One hospital's database goes away.
    std::fs::rename(demo.folder().join("hospitals/sur.db"), demo.folder().join("hospitals/gone"))
        .expect("rename");
    demo.order(&operator, "tenants/sur/pool/drain", json!({})).await;
    let reader = demo.token("reader.sur").await;
    for _ in 0..12 {
        demo.read(&reader, "/Patient").await;
    }
}

#[tokio::test]
async fn the_main_pages_look_as_they_should() {
    let (demo, driver) = (Demo::start(), Driver::start());
    busy(&demo).await;
    let browser = driver.open(1440, 900).await;
    browser.go(demo.url("panel")).await;
    save(&browser, "sign-in", false).await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/operator']").await;
    browser.wait_for_text("Fleet").await;
    let panel = demo.url("panel").to_owned();
    for (name, path) in [
        ("fleet", String::new()),
        ("tenant", "tenants/sur".to_owned()),
        ("mapping", "tenants/north/mappings".to_owned()),
        ("connection", "tenants/north/connection".to_owned()),
        ("keys", "keys".to_owned()),
        ("events", "events".to_owned()),
    ] {
        for (look, scheme, width, height) in [
            ("light", "light", 1440, 900),
            ("dark", "dark", 1440, 900),
            ("phone", "light", 390, 844),
        ] {
            browser.size(width, height).await;
            browser.scheme(scheme).await;
            browser.go(&format!("{panel}{path}")).await;
            let sideways = "return document.documentElement.scrollWidth - innerWidth";
            let over = browser.run(sideways).await.as_i64();
            assert!(over <= Some(0), "{name} {look} scrolls sideways by {over:?}");
            save(&browser, &format!("{name}-{look}"), true).await;
            let found = browser.axe().await;
            assert!(found.is_empty(), "{name} {look}: {found:#?}");
        }
    }
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}
