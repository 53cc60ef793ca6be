//! An operator's way through the panel, against the demo's issuer.

use serde_json::{Value, json};

use crate::demo::Demo;
use crate::driver::{Browser, Driver};

/// Signed in to the demo's panel.
pub async fn signed_in(demo: &Demo, driver: &Driver, user: &str) -> Browser {
    let browser = driver.open(1280, 900).await;
    browser.go(demo.url("panel")).await;
    browser.click("a.button").await;
    browser.click(&format!("a[href^='auth/{user}']")).await;
    browser.wait_for_text("North General").await;
    browser
}

#[tokio::test]
async fn a_page_follows_what_happens_and_keeps_the_focus() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = signed_in(&demo, &driver, "operator").await;
    let focus = "document.querySelector('a[href=\"/panel/tenants/sur\"]').focus(); window.kept = 1";
    browser.run(focus).await;
    let operator = demo.token("operator").await;
    assert_eq!(demo.suspend(&operator, "north", "ward is moving").await, 200);
    browser.wait_for_text("Suspended by an operator: ward is moving.").await;
    assert_eq!(browser.run("return window.kept").await, json!(1), "the page was not loaded anew");
    let focused = browser.run("return document.activeElement.getAttribute('href')").await;
    assert_eq!(focused, "/panel/tenants/sur");
    browser.post_from_elsewhere("/panel/sign-out").await;
    browser.wait_for_text("Your session has ended.").await;
    assert!(browser.text().await.contains("North General"), "what was seen stays");
    browser.close().await;
}

#[tokio::test]
async fn a_hospital_is_suspended_and_resumed_by_keyboard_without_scripts() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = signed_in(&demo, &driver, "operator").await;
    browser.scripts(false).await;
    let reader = demo.token("reader.north").await;
    browser.go(&format!("{}tenants/north", demo.url("panel"))).await;
    // The first key press offers the way past the navigation.
    browser.press("\u{e004}", 1).await;
    assert_eq!(browser.run("return document.activeElement.className").await, "skip");
    browser.focus("summary.danger").await;
    browser.press("\u{e007}", 1).await;
    browser.fill("input[name=reason]", "a test").await;
    browser.press("\u{e007}", 1).await;
    browser.wait_for_text("Its callers get 403").await;
    assert_eq!(demo.read(&reader, "/Patient").await, 403);
    browser.click("form[action$='/resume'] button").await;
    browser.wait_for_text("It is being served again.").await;
    assert_eq!(demo.read(&reader, "/Patient").await, 200);
    let complaints = browser.complaints(demo.url("panel")).await;
    assert!(complaints.is_empty(), "{complaints:?}");
    browser.close().await;
}

#[tokio::test]
async fn no_script_reads_the_session_and_a_viewer_finds_nothing_to_press() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let browser = signed_in(&demo, &driver, "viewer").await;
    assert_eq!(browser.run("return document.cookie").await, "");
    let cookies: Vec<Value> = browser.cookies().await;
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!((&cookies[0]["httpOnly"], &cookies[0]["sameSite"]), (&json!(true), &json!("Lax")));
    browser.go(&format!("{}tenants/north", demo.url("panel"))).await;
    let buttons = "return [...document.querySelectorAll('button')].map(b => b.innerText).join()";
    assert_eq!(browser.run(buttons).await, "Sign out");
    // The page's own policy keeps a planted script from running.
    let plant = "const s = document.createElement('script'); s.textContent = 'window.planted = 1';
        document.body.append(s); return window.planted ?? null";
    assert_eq!(browser.run(plant).await, Value::Null);
    browser.close().await;
}
