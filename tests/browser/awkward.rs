//! Pages with what is awkward to show: very long names, names written from right to left, a hospital with
//! everything wrong, an operation that failed, a form whose session has ended.

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::driver::{Browser, Driver};
use crate::pictures::looks;
use crate::tending::{enter_at, north};
use crate::walk::signed_in;

const RIGHT_TO_LEFT: &str = "مستشفى الشمال";
/// Turns round what follows it, wherever it is written bare.
const OVERRIDE: char = '\u{202e}';

async fn registered(demo: &Demo, name: &str, display: &str, database: &str) {
    let operator = demo.token("operator").await;
    let identity = json!({ "issuer": format!("{}/realms/hospitals", demo.url("issuer")),
        "claim_value": name, "azp": ["ward-app"] });
    let tenant = json!({ "name": name, "display_name": display, "identities": [identity],
        "connection": { "url": format!("sqlite:{database}") } });
    assert_eq!(demo.order(&operator, "tenants", tenant).await, 201, "{name}");
}

async fn at(browser: &Browser, demo: &Demo, path: &str) {
    browser.go(&format!("{}{path}", demo.url("panel"))).await;
}

#[tokio::test]
async fn names_of_any_length_and_direction_keep_the_pages_in_shape() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let (slug, operator) = ("ward-of-".repeat(7) + "seven", demo.token("operator").await);
    let long = "Universitätsklinikum".repeat(10);
    registered(&demo, &slug, &long, "north.db").await;
    registered(&demo, "shamal", &format!("{RIGHT_TO_LEFT} {OVERRIDE}North"), "lakes.db").await;
    let reason = format!("{OVERRIDE}{}", "because".repeat(8));
    assert_eq!(demo.suspend(&operator, "shamal", &reason).await, 200);
    let browser = signed_in(&demo, &driver, "operator").await;
    at(&browser, &demo, "?order=name").await;
    browser.wait_for_text(RIGHT_TO_LEFT).await;
    // What follows a name is written as ever.
    let order = "return [...document.querySelectorAll('.fleet tbody th a')].every(a => a.firstChild.nodeName === 'BDI')";
    assert_eq!(
        browser.run(order).await,
        json!(true),
        "a name is not set apart from what is around it"
    );
    looks(&browser, "awkward-fleet").await;
    for path in [
        format!("tenants/{slug}"),
        "tenants/shamal".to_owned(),
        format!("tenants/{slug}/mappings"),
        format!("tenants/{slug}/life"),
        "events".to_owned(),
    ] {
        at(&browser, &demo, &path).await;
        browser.wait_for("h1").await;
        looks(&browser, &format!("awkward-{}", path.replace('/', "-"))).await;
    }
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn everything_wrong_at_once_is_told_apart() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let operator = demo.token("operator").await;
    registered(&demo, "twin", "Served from the same file", "sur.db").await;
    // A hospital made here whose database goes away before it is migrated.
    assert_eq!(demo.order(&operator, "servers", json!({ "name": "folder" })).await, 201);
    let identity = json!({ "issuer": format!("{}/realms/hospitals", demo.url("issuer")),
        "claim_value": "made", "azp": ["ward-app"] });
    let made =
        json!({ "name": "made", "server": "folder", "release": 1, "identities": [identity] });
    assert_eq!(demo.order(&operator, "tenants/provision", made).await, 202);
    let browser = signed_in(&demo, &driver, "operator").await;
    at(&browser, &demo, "operations?tenant=made").await;
    // The filter above the list names every state, too.
    browser.wait_for("#operations .chip.well").await;
    let hospitals = demo.folder().join("hospitals");
    for entry in std::fs::read_dir(&hospitals).expect("the folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("wg_") || name == "sur.db" {
            std::fs::rename(&path, hospitals.join(format!("gone-{name}"))).expect("rename");
        }
    }
    demo.order(&operator, "tenants/sur/pool/drain", json!({})).await;
    let reader = demo.token("reader.sur").await;
    for _ in 0..12 {
        demo.read(&reader, "/Patient").await;
    }

    at(&browser, &demo, "tenants/sur").await;
    browser.wait_for_text("The breaker is open: the database file cannot be opened.").await;
    // What is wrong, what to do, and what else should be looked at.
    browser.wait_for_text("See that it is a regular file below the gateway's folder").await;
    browser.wait_for_text("Served from the very database of twin").await;
    looks(&browser, "awkward-ill").await;
    enter_at(&browser, "section[aria-label='Shared database'] a").await;
    browser.wait_for_text("Served from the very database of sur").await;
    at(&browser, &demo, "tenants/sur").await;
    browser.click("form[action$='/check'] button").await;
    browser.wait_for_text("The connection does not work.").await;
    looks(&browser, "awkward-check").await;

    assert_eq!(demo.order(&operator, "migrations", json!({ "tenants": ["made"] })).await, 202);
    at(&browser, &demo, "operations?tenant=made&state=failed").await;
    browser.wait_for("#operations .chip.down").await;
    looks(&browser, "awkward-operations").await;
    browser.click("#operations tbody a").await;
    browser.wait_for_text("Migrate a schema").await;
    browser.wait_for_text("failed").await;
    looks(&browser, "awkward-operation").await;
    at(&browser, &demo, "migrations").await;
    looks(&browser, "awkward-schemas").await;
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_form_that_came_too_late_is_looked_at_and_sent_by_keyboard() {
    let (_issuer, gateway) = north(false).await;
    let driver = Driver::start();
    let ada = crate::tending::signed_in(&driver, &gateway, "operator").await;
    ada.go(&format!("{}/panel/tenants/north", gateway.admin)).await;
    let limit = "form[action$='/limits'] input[name=page_size]";
    ada.tab_to(limit).await;
    ada.type_keys("7").await;
    ada.post_from_elsewhere("/panel/sign-out").await;
    ada.press("\u{e007}", 1).await;
    ada.wait_for_text("Your session has ended. Nothing was changed.").await;
    assert_eq!(ada.value("input[name=page_size]").await, "7", "what was typed is there");
    ada.wait_for_text("It was on its way to tenants/north/limits.").await;
    looks(&ada, "late-not-sent").await;
    // Sent once more before she has signed in: the same again.
    enter_at(&ada, "form.card button").await;
    ada.wait_for_text("Your session has ended. Nothing was changed.").await;

    let (typed, other) = (ada.window().await, ada.new_window().await);
    ada.switch(&other).await;
    ada.go(&format!("{}/panel/", gateway.admin)).await;
    enter_at(&ada, "a.button").await;
    ada.wait_for("a[href^='auth/operator']").await;
    enter_at(&ada, "a[href^='auth/operator']").await;
    ada.wait_for_text("Fleet").await;
    ada.switch(&typed).await;
    enter_at(&ada, "form.card button").await;
    ada.wait_for_text("Look at it, and send it if you still mean it.").await;
    assert_eq!(ada.value("input[name=page_size]").await, "7");
    looks(&ada, "late-earlier").await;
    enter_at(&ada, "form.card button").await;
    ada.wait_for_text("The limits are in force.").await;
    let shown: Value = gateway.view("tenants/north").await;
    assert_eq!(shown["limits"]["page_size"], 7);
    assert_eq!(ada.complaints(&gateway.admin).await, Vec::<String>::new());
    ada.close().await;
}
