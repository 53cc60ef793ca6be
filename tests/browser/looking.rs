//! Looking at resources on the mapping page: the hospitals' realm of a real Keycloak.

use serde_json::json;

use crate::demo::Demo;
use crate::driver::{Browser, Driver};
use crate::keycloak::{Keycloak, ONE_AT_A_TIME, type_in};
use crate::pictures::looks;
use crate::support::{Gateway, Options, TestIssuer, mapping, sqlite_hospital};

/// In every row of the hospital, and nowhere else.
const MARK: &str = "mrn-mark-west-1001";

/// A gateway that knows the hospitals' realm as well, with the hospital `west` of it.
async fn gateway(keycloak: &Keycloak) -> (TestIssuer, Gateway) {
    let hospitals = keycloak.of("hospitals");
    hospitals.let_in(&["admin.west"]).await;
    let (client, secret) = hospitals.client("wardgate-preview").await;
    let issuer = format!("{}/realms/hospitals", keycloak.base);
    let settings = format!(
        "[[issuers]]\nurl = \"{issuer}\"\naudience = \"wardgate-api\"\n\
         preview_client_id = \"wardgate-preview\"\npreview_client_secret = \"{secret}\""
    );
    let operators = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { panel: true, settings, ..Options::default() };
    let gateway = Gateway::start(&operators, options).await;
    hospitals.lead_back(client, &format!("{}/panel/look", gateway.admin)).await;
    let file = gateway.folder().join("sqlite/west.db");
    sqlite_hospital(&file, "mark-west", 1001..1006).await;
    gateway.register("west", json!({ "url": "sqlite:west.db" })).await;
    let identity =
        json!({ "issuer": issuer, "claim_value": "hospital-west", "azp": ["wardgate-preview"] });
    let body = json!({ "identities": [identity] });
    gateway.change(reqwest::Method::PATCH, "west", "", body).await;
    gateway.publish("west", &mapping("1")).await;
    (operators, gateway)
}

/// Asks for resources, and goes to the hospital's sign-in.
async fn leaves(browser: &Browser) {
    browser.click(".look button[value=look]").await;
    browser.wait_for_text("You go to").await;
    browser.click("a.button").await;
    browser.wait_for("#kc-login").await;
}

async fn has_text(browser: &Browser) {
    assert!(browser.value("#text").await.contains("urn:mapping:edited"), "the text is gone");
}

#[tokio::test]
async fn resources_are_shown_to_who_signs_in_at_the_hospital() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let keycloak = Keycloak::open().await;
    let (_operators, gateway) = gateway(&keycloak).await;
    let driver = Driver::start();
    let browser = driver.open(1280, 900).await;
    browser.go(&format!("{}/panel/tenants/west/mappings", gateway.admin)).await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/operator']").await;
    browser.wait_for_text("Look at resources").await;
    looks(&browser, "mapping-before-a-look").await;
    browser.set("#text", &mapping("edited")).await;

    leaves(&browser).await;
    type_in(&browser, Some("admin.west")).await;
    browser.wait_for_text(MARK).await;
    browser.wait_for_text("Signed in at the hospital as admin.west").await;
    browser.wait_for_text("urn:mapping:edited").await;
    has_text(&browser).await;
    looks(&browser, "mapping-look").await;
    assert!(!browser.address().await.contains("code="), "a code is in the address");

    // Corrected and looked at again, by keyboard and without the issuer.
    browser.set("#text", &mapping("edited-again")).await;
    browser.tab_to(".look button[value=look]").await;
    browser.press("\u{e007}", 1).await;
    browser.wait_for_text("urn:mapping:edited-again").await;
    // The return key in one of its lines looks as well.
    browser.set(".look [name=ids]", "Patient/1003").await;
    browser.focus(".look [name=ids]").await;
    browser.press("\u{e007}", 1).await;
    browser.wait_for_text("mrn-mark-west-1003").await;
    assert!(!browser.text().await.contains(MARK));
    browser.click("button[value=forget]").await;
    browser.wait_for_text("The sign-in at the hospital is forgotten.").await;
    assert!(!browser.text().await.contains(MARK));
    // Keycloak asks again although it knows her.
    leaves(&browser).await;
    assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());
    browser.close().await;
}

/// Looks at North's resources in the demo.
async fn looks_at_north(browser: &Browser, panel: &str) {
    browser.go(&format!("{panel}tenants/north/mappings")).await;
    browser.click(".look button[value=look]").await;
    browser.wait_for_text("You go to").await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/admin.north']").await;
    browser.wait_for("#resources details").await;
}

#[tokio::test]
async fn resources_leave_the_screen_with_the_session_and_with_the_page() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let panel = demo.url("panel").to_owned();
    let browser = driver.open(1280, 900).await;
    browser.go(&panel).await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/operator']").await;
    browser.wait_for_text("Fleet").await;

    // What a browser keeps of a page to go back to is what the page was when it was left.
    looks_at_north(&browser, &panel).await;
    browser.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))").await;
    browser.wait_for_text("The resources were taken off this page").await;
    browser.wait_until("!document.querySelector('#resources details')").await;
    browser.click("button[value=forget]").await;
    browser.wait_for_text("The sign-in at the hospital is forgotten.").await;

    // She signs out in another window.
    looks_at_north(&browser, &panel).await;
    let (first, other) = (browser.window().await, browser.new_window().await);
    browser.switch(&other).await;
    browser.go(&panel).await;
    browser.click("form.who button").await;
    browser.wait_for_text("Sign in").await;
    browser.switch(&first).await;
    browser.wait_for_text("The resources were taken off this page").await;
    browser.wait_until("!document.querySelector('#resources details')").await;
    assert_eq!(browser.complaints(&panel).await, Vec::<String>::new());
    browser.close().await;
}
