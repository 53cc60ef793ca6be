//! What an operator looks after from day to day: what a hospital used, what takes its database's time, its
//! features and limits; and an order that needs a second person. By keyboard, in every look.

use std::time::Duration;

use crate::driver::{Browser, Driver};
use crate::pictures::looks;
use crate::support::{Gateway, Options, TestIssuer, mapping, sqlite_hospital};

const ENTER: &str = "\u{e007}";
/// What was used is added up once a minute.
const ADDED_UP: Duration = Duration::from_mins(3);

/// A gateway with a panel and the hospital North.
pub async fn north(two_persons: bool) -> (TestIssuer, Gateway) {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { panel: true, two_persons, ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    sqlite_hospital(&gateway.folder().join("sqlite/north.db"), "mark", 1..6).await;
    gateway.register("north", serde_json::json!({ "url": "sqlite:north.db" })).await;
    gateway.publish("north", &mapping("1")).await;
    (issuer, gateway)
}

/// Signed in to its panel, in a window of her own.
pub async fn signed_in(driver: &Driver, gateway: &Gateway, user: &str) -> Browser {
    let browser = driver.open(1280, 900).await;
    browser.go(&format!("{}/panel/", gateway.admin)).await;
    browser.click("a.button").await;
    browser.click(&format!("a[href^='auth/{user}']")).await;
    browser.wait_for_text("Fleet").await;
    browser
}

/// Goes there by Tab and presses Enter.
pub async fn enter_at(browser: &Browser, css: &str) {
    browser.tab_to(css).await;
    browser.press(ENTER, 1).await;
}

#[tokio::test]
async fn what_was_used_and_asked_is_seen_and_features_are_switched() {
    let (issuer, gateway) = north(false).await;
    let token = issuer.token("north");
    for path in ["/Patient", "/Patient?family=a", "/Patient/1"] {
        assert_eq!(gateway.get(&token, path).await.status, 200, "{path}");
    }
    let driver = Driver::start();
    let browser = signed_in(&driver, &gateway, "operator").await;
    enter_at(&browser, "a[href='/panel/tenants/north']").await;
    browser.wait_for_text("Patient search family").await;

    // A feature for a quarter of the users, and a limit: typed where Tab leads to, sent with Enter.
    let feature = "form[action$='/flags'] input[type=number]";
    browser.tab_to(feature).await;
    browser.type_keys("25").await;
    browser.press(ENTER, 1).await;
    browser.wait_for_text("The features are switched.").await;
    assert_eq!(browser.value(feature).await, "25");
    looks(&browser, "features").await;
    let limit = "form[action$='/limits'] input[name=page_size]";
    browser.tab_to(limit).await;
    browser.type_keys("7").await;
    browser.press(ENTER, 1).await;
    browser.wait_for_text("The limits are in force.").await;
    assert_eq!(browser.value(limit).await, "7");
    // One that makes no sense is refused, and is there to be corrected.
    browser.tab_to(limit).await;
    browser.type_keys("999999").await;
    browser.press(ENTER, 1).await;
    browser.wait_for("[role=alert]").await;
    assert_eq!(browser.value(limit).await, "999999");
    looks(&browser, "limits-refused").await;

    // What was used comes by itself; tables that may be wider than a phone are scrolled by keyboard.
    browser.go(&format!("{}/panel/tenants/north", gateway.admin)).await;
    browser.tab_to("#queries [role=region]").await;
    browser.wait_long_for_text("Database", ADDED_UP).await;
    browser.wait_for("#usage tbody th").await;
    browser.tab_to("#usage [role=region]").await;
    looks(&browser, "usage").await;
    assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_hospital_ends_when_a_second_person_agrees() {
    let (_issuer, gateway) = north(true).await;
    let driver = Driver::start();
    let ada = signed_in(&driver, &gateway, "operator").await;
    let approvals = format!("{}/panel/approvals", gateway.admin);
    ada.go(&approvals).await;
    ada.wait_for_text("Nothing waits.").await;
    looks(&ada, "approvals-none").await;

    let order = async || {
        ada.go(&format!("{}/panel/tenants/north/life", gateway.admin)).await;
        ada.tab_to("input[name=confirm]").await;
        ada.type_keys("north").await;
        enter_at(&ada, "button[value=offboard]").await;
        ada.wait_for_text("A second person is asked. Nothing was changed yet.").await;
    };
    order().await;
    looks(&ada, "approvals-asked").await;
    assert!(!ada.text().await.contains("Approve"), "she ordered it herself");
    enter_at(&ada, "button[value=refuse]").await;
    ada.wait_for_text("Refused. Nothing was changed.").await;
    order().await;

    let ben = signed_in(&driver, &gateway, "approver").await;
    enter_at(&ben, "nav a[href='/panel/operations']").await;
    enter_at(&ben, "a[href='/panel/approvals']").await;
    ben.wait_for_text("Offboard north.").await;
    looks(&ben, "approvals").await;
    enter_at(&ben, "button[value=approve]").await;
    ben.wait_for_text("Offboard a hospital").await;
    ben.wait_for_text("succeeded").await;
    looks(&ben, "operation-offboard").await;
    ada.go(&approvals).await;
    ada.wait_for_text("approved: offboard north").await;
    looks(&ada, "approvals-decided").await;
    for browser in [ada, ben] {
        assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());
        browser.close().await;
    }
}
