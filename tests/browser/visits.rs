//! The pages where work is done: mappings, servers, making a hospital, schemas, operations. Each is visited
//! as it looks before, during and after, in every look.

use serde_json::json;

use crate::demo::Demo;
use crate::driver::{Browser, Driver};
use crate::pictures::looks;
use crate::walk::signed_in;

/// Turns to the page by its address.
async fn at(browser: &Browser, demo: &Demo, path: &str) {
    browser.go(&format!("{}{path}", demo.url("panel"))).await;
}

const ENTER: &str = "\u{e007}";
const EDITOR: &str = "textarea[name=text]";

async fn press(browser: &Browser, verb: &str) {
    browser.click(&format!("button[name=verb][value={verb}]")).await;
}

#[tokio::test]
async fn a_mapping_is_drafted_corrected_compared_published_and_rolled_back() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = signed_in(&demo, &driver, "operator").await;
    at(&browser, &demo, "tenants/north/mappings").await;
    let in_force = browser.value(EDITOR).await;
    assert!(in_force.contains("resources:"), "{in_force}");

    press(&browser, "draft").await;
    browser.wait_for_text("Nothing is stored: read it, correct it, and check it.").await;
    looks(&browser, "mapping-draft").await;

    let wrong = in_force.replacen("table: ", "table: no_such_", 1);
    browser.set(EDITOR, &wrong).await;
    press(&browser, "store").await;
    browser.wait_for_text("Nothing was stored.").await;
    assert_eq!(browser.value(EDITOR).await, wrong, "what was typed stays");
    looks(&browser, "mapping-faults").await;

    let better = in_force.replacen("resources:", "# read twice\nresources:", 1);
    browser.set(EDITOR, &better).await;
    press(&browser, "check").await;
    browser.wait_for_text("Nothing is wrong with it.").await;
    looks(&browser, "mapping-checked").await;

    press(&browser, "compare").await;
    browser.wait_for_text("From the mapping in force").await;
    looks(&browser, "mapping-compared").await;

    press(&browser, "store").await;
    browser.wait_for_text("Stored as a new version.").await;
    browser.click("button[aria-label='Publish version 2']").await;
    browser.wait_for_text("That version is in force.").await;
    looks(&browser, "mapping-published").await;
    let reader = demo.token("reader.north").await;
    assert_eq!(demo.read(&reader, "/Patient").await, 200);
    browser.click("form[action$='/rollback'] button").await;
    browser.wait_for_text("The version before is in force again.").await;
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_mapping_is_stored_and_published_by_keyboard_alone() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = driver.open(1280, 900).await;
    browser.go(demo.url("panel")).await;
    browser.tab_to("a.button").await;
    browser.press(ENTER, 1).await;
    browser.wait_for("a[href^='auth/operator']").await;
    browser.tab_to("a[href^='auth/operator']").await;
    browser.press(ENTER, 1).await;
    browser.wait_for_text("North General").await;
    browser.tab_to("input[name=text]").await;
    browser.type_keys("north").await;
    browser.press(ENTER, 1).await;
    browser.wait_for_text("1 hospital").await;
    for (stop, shown) in [
        ("a[href='/panel/tenants/north']", "What was done"),
        ("a[href$='/mappings']", "Versions"),
        ("button[value=draft]", "Nothing is stored: read it"),
        ("button[value=compare]", "From the mapping in force"),
        ("button[value=store]", "Stored as a new version."),
        ("button[aria-label='Publish version 2']", "That version is in force."),
        ("form[action$='/rollback'] button", "The version before is in force again."),
    ] {
        browser.tab_to(stop).await;
        browser.press(ENTER, 1).await;
        browser.wait_for_text(shown).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_server_is_registered_a_hospital_made_and_migrated() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = signed_in(&demo, &driver, "operator").await;
    at(&browser, &demo, "servers").await;
    browser.fill("input[name=server_name]", "folder").await;
    browser.set("select[name=kind]", "folder").await;
    browser.click("form[action='/panel/servers'] button").await;
    browser.wait_for_text("hospitals can be made on it").await;
    looks(&browser, "servers").await;

    let realm = format!("{}/realms/hospitals", demo.url("issuer"));
    for (field, text) in [
        ("name", "Not A Slug"),
        ("display_name", "East Clinic"),
        ("issuer", realm.as_str()),
        ("claim", "east"),
        ("azp", "ward-app"),
    ] {
        browser.set(&format!("input[name={field}]"), text).await;
    }
    browser.click("form[action='/panel/provision'] button").await;
    browser.wait_for_text("1 to 63 of a-z").await;
    assert_eq!(browser.value("input[name=display_name]").await, "East Clinic");
    browser.set("input[name=name]", "east").await;
    browser.click("form[action='/panel/provision'] button").await;
    // The page follows the work without being loaded anew.
    browser.wait_for_text("succeeded").await;
    looks(&browser, "operation").await;

    // One that was made before the newest release.
    let operator = demo.token("operator").await;
    let identity = json!({ "issuer": realm, "claim_value": "west", "azp": ["ward-app"] });
    let older =
        json!({ "name": "west", "server": "folder", "release": 1, "identities": [identity] });
    assert_eq!(demo.order(&operator, "tenants/provision", older).await, 202);
    at(&browser, &demo, "operations").await;
    browser.wait_for_text("west").await;
    at(&browser, &demo, "operations?tenant=west").await;
    browser.wait_for("#operations .chip.well").await;
    looks(&browser, "operations").await;

    at(&browser, &demo, "migrations").await;
    looks(&browser, "schemas").await;
    press(&browser, "plan").await;
    browser.wait_for_text("What would be done").await;
    looks(&browser, "schemas-dry-run").await;
    press(&browser, "start").await;
    browser.wait_for_text("1 of 1 hospital done").await;
    // The hospitals' own lines come later than the page.
    browser.wait_for("#parts a").await;
    looks(&browser, "migration").await;
    assert_eq!(browser.complaints(demo.url("panel")).await, Vec::<String>::new());
    browser.close().await;
}
