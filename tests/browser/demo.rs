//! The demo as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A running demo on a folder of its own.
pub struct Demo {
    process: Child,
    ready: Value,
    folder: TempDir,
    http: reqwest::Client,
}

impl Demo {
    /// Starts one.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate"))
            .args(["demo", "--json", "--fhir-port", "0", "--admin-port", "0", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the demo");
        let out = process.stdout.take().expect("its standard output");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let ready = serde_json::from_str(&line).expect("JSON");
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { process, ready, folder, http }
    }

    /// The address of one of its parts.
    pub fn url(&self, part: &str) -> &str {
        self.ready[part].as_str().expect("an address")
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// An access token of one of its users.
    pub async fn token(&self, user: &str) -> String {
        let realm = if user == "operator" { "operators" } else { "hospitals" };
        let url = format!("{}/realms/{realm}/protocol/openid-connect/token", self.url("issuer"));
        let form = format!("grant_type=password&client_id=ward-app&username={user}&password=demo");
        let request =
            self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer =
            request.body(form).send().await.expect("the issuer").text().await.expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// Reads below the FHIR base; gives back the status.
    pub async fn read(&self, token: &str, path: &str) -> u16 {
        let url = format!("{}{path}", self.url("fhir"));
        self.http.get(url).bearer_auth(token).send().await.expect("an answer").status().as_u16()
    }

    async fn admin(
        &self,
        token: &str,
        method: reqwest::Method,
        path: &str,
        body: String,
        yaml: bool,
    ) -> (u16, String) {
        let url = format!("{}/admin/v1/{path}", self.url("admin"));
        let kind = if yaml { "application/yaml" } else { "application/json" };
        let request =
            self.http.request(method, url).bearer_auth(token).header("content-type", kind);
        let request = request.header("if-match", "\"4\"").body(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// What the admin API shows at that address.
    pub async fn view(&self, token: &str, path: &str) -> Value {
        let (status, text) =
            self.admin(token, reqwest::Method::GET, path, String::new(), false).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Waits until the newest operation of several hospitals has ended; gives its id.
    pub async fn ended(&self, token: &str) -> String {
        for _ in 0..1200 {
            let page = self.view(token, "operations?limit=200").await;
            let all = page["operations"].as_array().expect("operations");
            let fleet = all
                .iter()
                .find(|one| one["kind"].as_str().is_some_and(|k| k.starts_with("fleet.")));
            if let Some(one) = fleet.filter(|one| !one["ended_at"].is_null()) {
                return one["id"].as_str().expect("an id").to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it does not end");
    }

    /// Puts North's mapping in force for a hospital that was just registered.
    pub async fn publish_as_north(&self, token: &str, tenant: &str) {
        let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
        let (_, text) =
            self.admin(token, get, "tenants/north/mappings/1", String::new(), false).await;
        let path = format!("tenants/{tenant}/mappings");
        let (status, said) = self.admin(token, post.clone(), &path, text, true).await;
        assert_eq!(status, 201, "{said}");
        let path = format!("{path}/1/publish");
        let (status, said) = self.admin(token, post, &path, "{}".to_owned(), false).await;
        assert_eq!(status, 200, "{said}");
    }

    /// Suspends a hospital as it was set up; gives back the status.
    pub async fn suspend(&self, token: &str, tenant: &str, reason: &str) -> u16 {
        let url = format!("{}/admin/v1/tenants/{tenant}", self.url("admin"));
        let shown = self.http.get(url).bearer_auth(token).send().await.expect("an answer");
        let tag = shown.headers()["etag"].to_str().expect("a text").to_owned();
        let url = format!("{}/admin/v1/tenants/{tenant}/suspend", self.url("admin"));
        let request = self.http.post(url).bearer_auth(token).header("if-match", tag);
        let request = request.header("content-type", "application/json");
        let body = serde_json::json!({ "reason": reason }).to_string();
        request.body(body).send().await.expect("an answer").status().as_u16()
    }

    /// An order to the admin API; gives back the status.
    pub async fn order(&self, token: &str, path: &str, body: Value) -> u16 {
        let url = format!("{}/admin/v1/{path}", self.url("admin"));
        let request =
            self.http.post(url).bearer_auth(token).header("content-type", "application/json");
        request.body(body.to_string()).send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
