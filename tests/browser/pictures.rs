//! Pictures of the main pages, and what must hold for each of them: nothing scrolls sideways, nothing is
//! refused by the page's own policy, axe finds nothing serious.

use std::path::PathBuf;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

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

/// Hospitals whose databases are made here.
const CLINICS: [(&str, &str); 14] = [
    ("aspen", "Aspen Day Clinic"),
    ("birch-lane", "Birch Lane Practice"),
    ("brook", "Brook Street Surgery"),
    ("cedar", "Cedar Court"),
    ("elm-grove", "Elm Grove Clinic"),
    ("fjord", "Fjordklinikken"),
    ("heath", "Heath Road Practice"),
    ("linden-park", "Linden Park Hospital"),
    ("meadow", "Meadow View"),
    ("oak-hill", "Oak Hill Infirmary"),
    ("orchard", "Orchard Clinic"),
    ("rowan", "Rowan House"),
    ("san-blas", "Clínica San Blas"),
    ("willow", "Willow Bank"),
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

/// What must hold of the page that is shown, in each look: nothing scrolls sideways, axe finds nothing serious.
pub async fn looks(browser: &Browser, name: &str) {
    for (look, scheme, width, height) in
        [("phone", "light", 390, 844), ("dark", "dark", 1440, 900), ("light", "light", 1440, 900)]
    {
        browser.size(width, height).await;
        browser.scheme(scheme).await;
        // Not against `innerWidth`, which grows with the page on a phone.
        let wide = browser.run("return document.documentElement.scrollWidth").await.as_u64();
        assert!(wide <= Some(width.into()), "{name} {look} is {wide:?} wide");
        save(browser, &format!("{name}-{look}"), true).await;
        let found = browser.axe().await;
        assert!(found.is_empty(), "{name} {look}: {found:#?}");
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

/// Hospitals made here, and the migration of all of them: one has been altered by hand, and fails.
async fn migrated(demo: &Demo) -> String {
    let operator = demo.token("operator").await;
    assert_eq!(demo.order(&operator, "servers", json!({ "name": "clinics" })).await, 201);
    let issuer = format!("{}/realms/hospitals", demo.url("issuer"));
    let listed = |(name, display): (&str, &str)| {
        let identity = json!({ "issuer": issuer, "claim_value": name, "azp": ["ward-app"] });
        json!({ "name": name, "display_name": display, "identities": [identity] })
    };
    let list = json!({ "server": "clinics", "release": 1, "tenants": CLINICS.map(listed) });
    assert_eq!(demo.order(&operator, "provisions", list).await, 202);
    demo.ended(&operator).await;
    let id = demo.view(&operator, "tenants/linden-park").await["id"].clone();
    let short = id.as_str().expect("an id").replace('-', "");
    let file = demo.folder().join("hospitals").join(format!("wg_{}.db", &short[..24]));
    let options = SqliteConnectOptions::new().filename(file);
    let mut database = options.connect().await.expect("the hospital's file");
    let sql = "ALTER TABLE observations ADD COLUMN range_low NUMERIC";
    sqlx::raw_sql(sql).execute(&mut database).await.expect("alter it");
    database.close().await.expect("close it");
    assert_eq!(demo.order(&operator, "migrations", json!({})).await, 202);
    demo.ended(&operator).await
}

#[tokio::test]
async fn a_migration_in_which_one_hospital_fails_says_which_and_why() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let operation = migrated(&demo).await;
    let browser = driver.open(1440, 900).await;
    browser.go(demo.url("panel")).await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/operator']").await;
    browser.wait_for_text("Fleet").await;
    let panel = demo.url("panel").to_owned();
    for (name, path, said) in [
        ("migration", &*format!("operations/{operation}"), "13 of 14 hospitals done, 1 failed"),
        ("schemas", "migrations", "release 2"),
        ("servers", "servers", "clinics"),
        ("operations", "operations", "Migrate schemas"),
    ] {
        browser.go(&format!("{panel}{path}")).await;
        browser.wait_for_text(said).await;
        looks(&browser, name).await;
    }
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
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
        ("fleet", ""),
        ("tenant", "tenants/sur"),
        ("mapping", "tenants/north/mappings"),
        ("connection", "tenants/north/connection"),
        ("add", "add"),
        ("life", "tenants/north/life"),
        ("servers-none", "servers"),
        ("schemas-none", "migrations"),
        ("operations-none", "operations"),
        ("keys", "keys"),
        ("events", "events"),
    ] {
        browser.go(&format!("{panel}{path}")).await;
        if name == "mapping" {
            browser.click("button[value=check]").await;
            browser.wait_for_text("Nothing is wrong with it.").await;
        }
        looks(&browser, name).await;
    }
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}
