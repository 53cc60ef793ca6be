//! The first day of an operator who has never seen the product: with the panel alone, signed in at a real
//! Keycloak, she adds a hospital, sees why it broke, mends it, makes a fleet and migrates it.

use std::time::Duration;

use crate::driver::{Browser, Driver};
use crate::keycloak::{Keycloak, ONE_AT_A_TIME, USER, panel, type_in};
use crate::pictures::looks;
use crate::support::{Gateway, TestIssuer, sqlite_hospital};

/// Hospitals that are made here and migrated.
const FLEET: usize = 50;
/// Making and migrating all of them, on a busy machine.
const WORK: Duration = Duration::from_mins(5);

async fn fill(browser: &Browser, fields: &[(&str, &str)]) {
    for (name, text) in fields {
        browser.set(&format!("[name={name}]"), text).await;
    }
}

async fn press(browser: &Browser, verb: &str) {
    browser.click(&format!("button[name=verb][value={verb}]")).await;
}

#[tokio::test]
async fn a_hospital_is_added_broken_understood_and_mended_and_a_fleet_migrated() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let keycloak = Keycloak::open().await;
    let (issuer, gateway) = panel(&keycloak).await;
    sqlite_hospital(&gateway.folder().join("sqlite/north.db"), "mark", 1..6).await;
    let driver = Driver::start();
    let browser = driver.open(1280, 900).await;
    browser.go(&format!("{}/panel/", gateway.admin)).await;
    browser.click("a.button").await;
    type_in(&browser, Some(USER)).await;

    added(&browser, &issuer, &gateway).await;
    broken_and_mended(&browser, &issuer, &gateway).await;
    fleet_made(&browser).await;
    fleet_migrated(&browser).await;
    assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());
    browser.close().await;
}

/// From the empty fleet to a patient on a clinician's screen.
async fn added(browser: &Browser, issuer: &TestIssuer, gateway: &Gateway) {
    browser.wait_for_text("No hospital is registered yet.").await;
    looks(browser, "fleet-empty").await;
    browser.click("#fleet a[href='/panel/add']").await;
    let hospital = [
        ("name", "north"),
        ("display_name", "North General"),
        ("claim", "north"),
        ("azp", "ward-app"),
        ("engine", "sqlite"),
        ("database", "nroth.db"),
    ];
    fill(browser, &hospital).await;
    press(browser, "add").await;
    browser.wait_for_text("Nothing was registered.").await;
    browser.wait_for_text("The file must be a regular file below").await;
    assert_eq!(browser.value("[name=database]").await, "nroth.db", "what was typed stays");
    assert_eq!(browser.value("[name=display_name]").await, "North General");
    assert_eq!(browser.value("[name=issuer]").await, issuer.hospitals(), "there is but one");
    looks(browser, "add-refused").await;
    fill(browser, &[("database", "north.db")]).await;
    press(browser, "add").await;
    // The page that comes next is the one that is needed next.
    browser.wait_for_text("Registered; its database answers.").await;
    press(browser, "draft").await;
    browser.wait_for_text("A draft of 1 table").await;
    press(browser, "store").await;
    browser.wait_for_text("Stored as a new version.").await;
    browser.click("button[aria-label='Publish version 1']").await;
    browser.wait_for_text("That version is in force.").await;
    let read = gateway.get(&issuer.token("north"), "/Patient").await;
    assert_eq!((read.status, read.resources().len()), (200, 5), "{read:?}");
}

/// Its database moves without a word. The panel says so, and what to do.
async fn broken_and_mended(browser: &Browser, issuer: &TestIssuer, gateway: &Gateway) {
    let files = gateway.folder().join("sqlite");
    browser.click("a[href='/panel/tenants/north']").await;
    std::fs::rename(files.join("north.db"), files.join("moved.db")).expect("rename");
    browser.click("form[action$='/drain'] button").await;
    browser.wait_for_text("The lane was retired").await;
    let token = issuer.token("north");
    for _ in 0..8 {
        assert!(gateway.get(&token, "/Patient").await.status >= 500);
    }
    browser.click("nav a[href='/panel/']").await;
    browser.wait_for_text("the database file cannot be opened").await;
    browser.click("#fleet a[href='/panel/tenants/north']").await;
    browser.wait_for_text("The breaker is open").await;
    browser.click("form[action$='/check'] button").await;
    browser.wait_for_text("The connection does not work.").await;
    browser.click("a[href$='/connection']").await;
    // She signed in a moment ago; later she would be asked once more who she is.
    fill(browser, &[("engine", "sqlite"), ("database", "moved.db")]).await;
    press(browser, "try").await;
    browser.wait_for_text("The connection works.").await;
    assert_eq!(browser.value("[name=database]").await, "moved.db");
    press(browser, "replace").await;
    browser.wait_for_text("is in force.").await;
    assert_eq!(gateway.get(&token, "/Patient").await.status, 200);
}

/// A server, a hospital on it, and many more like it that began with the release before.
async fn fleet_made(browser: &Browser) {
    browser.click("nav a[href='/panel/servers']").await;
    browser.wait_for_text("There are none yet.").await;
    fill(browser, &[("server_name", "folder"), ("kind", "folder")]).await;
    browser.click("form[action='/panel/servers'] button").await;
    browser.wait_for_text("hospitals can be made on it").await;
    // One list for all of them, with a slip in it first.
    browser.click("a[href='/panel/several']").await;
    let names: Vec<String> = (0..FLEET).map(|at| format!("ward-{at:02}, Ward {at}")).collect();
    let slip = [("list", "ward-00\nWard 1"), ("azp", "ward-app"), ("release", "1")];
    fill(browser, &slip).await;
    press(browser, "plan").await;
    browser.wait_for_text("Line 2:").await;
    looks(browser, "several-refused").await;
    fill(browser, &[("list", &names.join("\n"))]).await;
    press(browser, "plan").await;
    browser.wait_for_text(&format!("{FLEET} hospitals on folder")).await;
    looks(browser, "several").await;
    press(browser, "make").await;
    browser.wait_for_text("Make hospitals").await;
    browser.wait_long_for_text(&format!("{FLEET} of {FLEET} hospitals done, 0 failed"), WORK).await;
    browser.click("nav a[href='/panel/migrations']").await;
    browser.wait_long_for_text(&format!("{FLEET} hospitals are at release 1."), WORK).await;
}

/// A dry run, the start, and the end.
async fn fleet_migrated(browser: &Browser) {
    press(browser, "plan").await;
    browser.wait_for_text(&format!("{FLEET} hospitals to release 2")).await;
    assert!(browser.text().await.contains("First: ward-00."));
    press(browser, "start").await;
    browser.wait_for_text("Migrate schemas").await;
    browser.wait_long_for_text(&format!("{FLEET} of {FLEET} hospitals done, 0 failed"), WORK).await;
    browser.wait_for("#parts a").await;
    looks(browser, "migration-fleet").await;
    browser.click("nav a[href='/panel/migrations']").await;
    browser.wait_for_text(&format!("{FLEET} hospitals are at release 2.")).await;
    looks(browser, "schemas-fleet").await;
}
