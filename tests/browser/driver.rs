//! A browser driven over WebDriver (W3C), as much of it as these tests need.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

/// How long to wait for something to appear.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running chromedriver.
pub struct Driver {
    process: Child,
    base: String,
    http: reqwest::Client,
}

/// One browser window with a profile of its own.
pub struct Browser {
    base: String,
    http: reqwest::Client,
}

async fn parsed(answer: reqwest::Response) -> Value {
    let text = answer.text().await.expect("an answer of chromedriver");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// What the one who runs the tests says.
#[expect(clippy::disallowed_methods, reason = "how `tests/run` tells tests where things are")]
pub fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

fn program(variable: &str, usual: &str) -> String {
    given(variable).unwrap_or_else(|| usual.to_owned())
}

impl Driver {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let mut process = Command::new(program("WARDGATE_TEST_CHROMEDRIVER", "chromedriver"))
            .args(["--port=0", "--log-level=WARNING"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start chromedriver; run tests/run");
        let out = process.stdout.take().expect("its standard output");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, rest) = line.split_once("started successfully on port ")?;
            Some(rest.trim_end_matches('.').to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        let base = format!("http://127.0.0.1:{}", port.expect("chromedriver's port"));
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { process, base, http }
    }

    /// Opens a window of that size.
    pub async fn open(&self, width: u32, height: u32) -> Browser {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en",
        ];
        let binary = program("WARDGATE_TEST_CHROMIUM", "/usr/bin/chromium");
        let options = json!({ "args": arguments, "binary": binary });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" } } } });
        let url = format!("{}/session", self.base);
        let answer = self.http.post(url).body(wanted.to_string()).send().await.expect("a browser");
        let answer: Value = parsed(answer).await;
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let base = format!("{}/session/{id}", self.base);
        let browser = Browser { base, http: self.http.clone() };
        // Half a minute is usual, which a script that sends fifty forms may need on a busy machine.
        let patience = json!({ "script": 300_000 });
        browser.post("/timeouts", patience).await.expect("patience");
        browser.size(width, height).await;
        browser
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Browser {
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("chromedriver answers");
        let good = answer.status().is_success();
        let value = parsed(answer).await;
        if good { Ok(value["value"].clone()) } else { Err(value["value"].clone()) }
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Value> {
        self.ask(reqwest::Method::POST, path, Some(body)).await
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await.expect("go there");
    }

    /// Where it is.
    pub async fn address(&self) -> String {
        let found = self.ask(reqwest::Method::GET, "/url", None).await.expect("an address");
        found.as_str().expect("a text").to_owned()
    }

    async fn script(&self, script: &str) -> Result<Value, Value> {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Runs a script in the page and gives back what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.script(script).await.unwrap_or_else(|fault| panic!("{script}: {fault}"))
    }

    /// What the page says; nothing between two pages.
    pub async fn text(&self) -> String {
        let said = self.script("return document.body.innerText").await.unwrap_or_default();
        said.as_str().unwrap_or_default().to_owned()
    }

    async fn element(&self, css: &str) -> Option<String> {
        let body = json!({ "using": "css selector", "value": css });
        let found = self.post("/element", body).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Waits until it is there.
    pub async fn wait_for(&self, css: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.element(css).await {
                return found;
            }
            let (address, text) = (self.address().await, self.text().await);
            assert!(
                Instant::now() < until,
                "no {css} at {address}:
{text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page says that.
    pub async fn wait_for_text(&self, wanted: &str) {
        self.wait_long_for_text(wanted, PATIENCE).await;
    }

    /// The same where there is much to do first.
    pub async fn wait_long_for_text(&self, wanted: &str, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return;
            }
            assert!(Instant::now() < until, "no \"{wanted}\" at {}:\n{text}", self.address().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until that holds in the page.
    pub async fn wait_until(&self, condition: &str) {
        let until = Instant::now() + PATIENCE;
        let script = format!("return Boolean({condition})");
        while self.script(&script).await.unwrap_or_default() != true {
            assert!(Instant::now() < until, "never {condition}:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Clicks what is there, or will be shortly.
    pub async fn click(&self, css: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let element = self.wait_for(css).await;
            // The page scrolls smoothly, and the driver does not wait for the end of that.
            let there = "scrollIntoView({ block: 'center', behavior: 'instant' })";
            self.run(&format!("document.querySelector({css:?})?.{there}")).await;
            let clicked = self.post(&format!("/element/{element}/click"), json!({})).await;
            let Err(fault) = clicked else { return };
            // A page that refreshes itself may have another element there by now; nothing was clicked then.
            let missed = ["stale element reference", "element click intercepted"];
            let missed = missed.iter().any(|error| fault["error"] == *error);
            assert!(missed && Instant::now() < until, "click {css}: {fault}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sets a field to that text, whatever stood there.
    pub async fn set(&self, css: &str, text: &str) {
        self.wait_for(css).await;
        let script = format!(
            "const field = document.querySelector({css:?}); field.value = {text:?};
             field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        );
        self.run(&script).await;
    }

    /// What a field holds.
    pub async fn value(&self, css: &str) -> String {
        self.wait_for(css).await;
        let held = self.run(&format!("return document.querySelector({css:?}).value")).await;
        held.as_str().unwrap_or_default().to_owned()
    }

    /// Types into a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.wait_for(css).await;
        let typed = self.post(&format!("/element/{element}/value"), json!({ "text": text })).await;
        typed.unwrap_or_else(|fault| panic!("type into {css}: {fault}"));
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", body).await.unwrap_or_else(|f| panic!("{command}: {f}"))
    }

    /// The page's size.
    pub async fn size(&self, width: u32, height: u32) {
        let parameters = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    /// `light` or `dark`, as the person's settings would have it.
    pub async fn scheme(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// A picture of the page as PNG; of all of it when `whole`.
    pub async fn picture(&self, whole: bool) -> Vec<u8> {
        let parameters = json!({ "format": "png", "captureBeyondViewport": whole });
        let taken = self.devtools("Page.captureScreenshot", parameters).await;
        let text = taken["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
    }

    /// What axe finds serious or critical on the page: rule, what is wrong, where.
    pub async fn axe(&self) -> Vec<String> {
        let file = given("WARDGATE_TEST_AXE").expect("where axe-core is; run tests/run browser");
        let axe = std::fs::read_to_string(file).expect("read axe-core");
        let tags = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']";
        let script = format!(
            "{axe}; return axe.run(document, {{ runOnly: {tags} }}).then(done => done.violations
             .filter(found => found.impact === 'serious' || found.impact === 'critical')
             .flatMap(found => found.nodes.map(node =>
               found.id + ': ' + node.failureSummary + ' ' + node.html)))"
        );
        let found = self.run(&script).await;
        let found = found.as_array().cloned().unwrap_or_default();
        found.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether the page's own scripts run.
    pub async fn scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    /// Presses keys, wherever the focus is.
    pub async fn press(&self, key: &str, times: usize) {
        let one =
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let all: Vec<_> = one.iter().cycle().take(2 * times).collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": all }] });
        self.post("/actions", body).await.expect("press keys");
    }

    /// Goes on from stop to stop as the Tab key does until it is there; every stop on the way must be seen.
    pub async fn tab_to(&self, css: &str) {
        let mut seen = Vec::new();
        for _ in 0..80 {
            self.press("\u{e004}", 1).await;
            let at = self
                .run(&format!(
                    "const at = document.activeElement, style = getComputedStyle(at);
                     return [at.matches({css:?}), style.outlineStyle !== 'none' && style.outlineWidth !== '0px',
                             at.outerHTML.slice(0, 120)]"
                ))
                .await;
            seen.push(at[2].clone());
            assert!(
                at[1] == true || at[2].as_str().is_some_and(|at| at.starts_with("<body")),
                "no outline: {at}"
            );
            if at[0] == true {
                return;
            }
        }
        panic!("Tab never comes to {css}: {seen:#?}");
    }

    /// Types letters, wherever the focus is.
    pub async fn type_keys(&self, text: &str) {
        for letter in text.chars() {
            self.press(&letter.to_string(), 1).await;
        }
    }

    /// What pages below that address complained about on their console, refusals of their own policy
    /// included.
    pub async fn complaints(&self, base: &str) -> Vec<String> {
        let body = json!({ "type": "browser" });
        let entries = self.post("/se/log", body).await.expect("the console");
        let entries = entries.as_array().cloned().unwrap_or_default();
        let texts = entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default());
        // A page that refuses a form answers with the status that says so.
        let refusal = |text: &str| {
            let file = [".css ", ".js ", ".svg "].iter().any(|ending| text.contains(ending));
            text.contains("responded with a status of 4") && !file
        };
        texts.filter(|text| text.starts_with(base) && !refusal(text)).map(str::to_owned).collect()
    }

    /// Puts the focus there.
    pub async fn focus(&self, css: &str) {
        self.wait_for(css).await;
        self.run(&format!("document.querySelector({css:?}).focus()")).await;
    }

    /// Sends a form in the background, as another window of the same person would.
    pub async fn post_from_elsewhere(&self, path: &str) {
        let script = format!(
            "return fetch({path:?}, {{ method: 'POST', redirect: 'manual', headers:
             {{ 'content-type': 'application/x-www-form-urlencoded' }},
             body: 'csrf=' + document.querySelector('input[name=csrf]').value }}).then(() => 1)"
        );
        self.run(&script).await;
    }

    /// Cookies as the browser holds them.
    pub async fn cookies(&self) -> Vec<Value> {
        let found = self.ask(reqwest::Method::GET, "/cookie", None).await.expect("cookies");
        found.as_array().cloned().unwrap_or_default()
    }

    /// The window that is looked at.
    pub async fn window(&self) -> String {
        let found = self.ask(reqwest::Method::GET, "/window", None).await.expect("a window");
        found.as_str().expect("a text").to_owned()
    }

    /// Opens another window of the same person.
    pub async fn new_window(&self) -> String {
        let made = self.post("/window/new", json!({ "type": "tab" })).await.expect("a window");
        made["handle"].as_str().expect("a text").to_owned()
    }

    /// Looks at that window.
    pub async fn switch(&self, window: &str) {
        self.post("/window", json!({ "handle": window })).await.expect("that window");
    }

    /// Closes the window.
    pub async fn close(self) {
        let _gone = self.ask(reqwest::Method::DELETE, "", None).await;
    }
}
