//! The fleet page with a thousand hospitals: it stays small, is searched and turned by keyboard, and follows
//! what happens without drawing anew what did not change.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::demo::Demo;
use crate::driver::{Browser, Driver};

const HOSPITALS: usize = 1000;
const ENTER: &str = "\u{e007}";
/// What a page of fifty lines may weigh, whatever the fleet's size.
const BYTES: u64 = 120_000;
const NODES: u64 = 3_000;

async fn fleet_of_a_thousand(demo: &Demo) {
    let operator = demo.token("operator").await;
    let issuer = format!("{}/realms/hospitals", demo.url("issuer"));
    let orders = (0..HOSPITALS).map(|number| {
        let (name, operator) = (format!("park-{number:04}"), operator.clone());
        let identity = json!({ "issuer": issuer, "claim_value": name, "azp": ["ward-app"] });
        let connection = json!({ "url": "sqlite:north.db" });
        let tenant = json!({ "name": name, "display_name": format!("Hospital {number}"),
            "identities": [identity], "connection": connection });
        async move { assert_eq!(demo.order(&operator, "tenants", tenant).await, 201) }
    });
    stream::iter(orders).buffer_unordered(4).collect::<()>().await;
}

async fn number(browser: &Browser, script: &str) -> u64 {
    browser.run(&format!("return {script}")).await.as_u64().expect("a number")
}

/// Bytes that were sent for the page, nodes it has, and its lines.
async fn weight(browser: &Browser) -> (u64, u64, u64) {
    let bytes = "performance.getEntriesByType('navigation')[0].decodedBodySize";
    let nodes = "document.querySelectorAll('*').length";
    let lines = "document.querySelectorAll('#fleet tbody tr').length";
    (number(browser, bytes).await, number(browser, nodes).await, number(browser, lines).await)
}

#[tokio::test]
async fn a_thousand_hospitals_fit_on_a_page_that_stays_small() {
    let (demo, driver) = (Demo::start(), Driver::start());
    let begun = Instant::now();
    fleet_of_a_thousand(&demo).await;
    println!("{HOSPITALS} hospitals registered in {} s", begun.elapsed().as_secs());
    let browser = driver.open(1280, 900).await;
    browser.go(demo.url("panel")).await;
    browser.click("a.button").await;
    browser.click("a[href^='auth/operator']").await;
    browser.wait_for_text("Page 1 of 21").await;
    let (bytes, nodes, lines) = weight(&browser).await;
    let took = "Math.round(performance.getEntriesByType('navigation')[0].responseEnd)";
    println!(
        "{bytes} bytes, {nodes} nodes, {} ms until all was there",
        number(&browser, took).await
    );
    assert!(bytes < BYTES && nodes < NODES, "{bytes} bytes, {nodes} nodes");
    assert_eq!(lines, 50);

    // Sorted, turned and searched by keyboard.
    browser.set("select[name=order]", "name").await;
    browser.tab_to("form.search button").await;
    browser.press(ENTER, 1).await;
    browser.wait_for("a[href='/panel/tenants/lakes']").await;
    browser.tab_to("a[rel=next]").await;
    browser.press(ENTER, 1).await;
    browser.wait_for_text("Page 2 of 21").await;
    browser.tab_to("input[name=text]").await;
    browser.type_keys("park-0977").await;
    browser.press(ENTER, 1).await;
    browser.wait_for("a[href='/panel/tenants/park-0977']").await;
    assert_eq!(weight(&browser).await.2, 1);
    browser.go(&format!("{}?text=park-09&order=name&page=2", demo.url("panel"))).await;
    browser.wait_for_text("Page 2 of 2").await;
    assert_eq!(weight(&browser).await.2, 50);

    // One hospital is asked: its line changes, and no other.
    browser.go(&format!("{}?order=name", demo.url("panel"))).await;
    follow(&demo, &browser).await;
    browser.close().await;
}

/// Asks North something and waits until its line says so; no other line is touched.
async fn follow(demo: &Demo, browser: &Browser) {
    let watch = "window.touched = new Set();
        new MutationObserver(all => all.forEach(one => {
            const at = one.target.nodeType === 1 ? one.target : one.target.parentElement;
            window.touched.add(at?.closest('tr')?.id ?? at?.id ?? at?.nodeName ?? 'gone');
        })).observe(document.getElementById('fleet'),
            { subtree: true, childList: true, attributes: true, characterData: true });
        return document.querySelector('#t-north .spark').getAttribute('aria-label')";
    let before = browser.run(watch).await;
    let reader = demo.token("reader.north").await;
    assert_eq!(demo.read(&reader, "/Patient").await, 200);
    let now = "document.querySelector('#t-north .spark').getAttribute('aria-label')";
    browser.wait_until(&format!("{now} !== {before}")).await;
    let touched = browser.run("return [...window.touched]").await;
    assert_eq!(touched, json!(["t-north"]), "other lines were drawn anew");
}
