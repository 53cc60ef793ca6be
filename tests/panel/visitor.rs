//! Somebody with a browser that keeps cookies and follows nothing by itself.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{COOKIE, SET_COOKIE};

use crate::support::{Gateway, Options, Reply, TestIssuer, mapping, sqlite_hospital};

/// A visitor of one gateway's panel.
pub struct Visitor {
    pub base: String,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A gateway with a panel and the hospitals `north` and `south`.
pub async fn gateway() -> (TestIssuer, Gateway) {
    gateway_with(Options::default()).await
}

/// The same with other settings.
pub async fn gateway_with(options: Options) -> (TestIssuer, Gateway) {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = gateway_of(&issuer, options).await;
    (issuer, gateway)
}

/// The same with that issuer.
pub async fn gateway_of(issuer: &TestIssuer, options: Options) -> Gateway {
    let gateway = Gateway::start(issuer, Options { panel: true, ..options }).await;
    for (at, name) in ["north", "south"].iter().enumerate() {
        let first = 1000 * (at as u64 + 1) + 1;
        let file = gateway.folder().join(format!("sqlite/{name}.db"));
        sqlite_hospital(&file, &format!("mark-{name}"), first..first + 5).await;
        gateway.register(name, serde_json::json!({ "url": format!("sqlite:{name}.db") })).await;
        gateway.publish(name, &mapping("1")).await;
    }
    gateway
}

/// Percent-encodes a form's value.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

impl Visitor {
    pub fn of(gateway: &Gateway) -> Self {
        let http =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("an HTTP client");
        Self { base: gateway.admin.clone(), http, cookies: Mutex::default() }
    }

    /// The same person's cookies in another window.
    pub fn copy(&self) -> Self {
        let cookies = Mutex::new(self.cookies.lock().unwrap().clone());
        Self { base: self.base.clone(), http: self.http.clone(), cookies }
    }

    /// The session's cookie, empty without one.
    pub fn session(&self) -> String {
        self.cookies.lock().unwrap().get("wardgate-loopback").cloned().unwrap_or_default()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let pairs: Vec<_> = self
            .cookies
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let reply = Reply::of(request.header(COOKIE, pairs.join("; "))).await.expect("an answer");
        for line in reply.headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("a text");
            assert!(
                line.contains("; HttpOnly; SameSite=Lax") && line.contains("; Path=/;"),
                "{line}"
            );
            let (name, value) = line.split(';').next().unwrap().split_once('=').expect("a pair");
            let mut cookies = self.cookies.lock().unwrap();
            if line.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Opens a page.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// What a page's script asks.
    pub async fn live(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.base)).header("x-wardgate-live", "1"))
            .await
    }

    /// Sends a form with these headers and exactly these fields.
    pub async fn raw(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Reply {
        let body: Vec<_> = fields.iter().map(|(n, v)| format!("{n}={}", encoded(v))).collect();
        let mut request = self.http.post(format!("{}{path}", self.base));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.join("&"))).await
    }

    /// Sends a form as a browser does from a page of the panel.
    pub async fn post(&self, path: &str, csrf: &str, fields: &[(&str, &str)]) -> Reply {
        let origin = self.base.clone();
        let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        let mut all = vec![("csrf", csrf)];
        all.extend_from_slice(fields);
        self.raw(path, &headers, &all).await
    }

    /// The token in a page's forms.
    pub async fn csrf(&self) -> String {
        let page = self.get("/panel/").await;
        hidden(&page.body, "csrf").unwrap_or_else(|| panic!("no form: {}", page.body))
    }

    /// The generation a tenant's page was made from.
    pub async fn generation(&self, tenant: &str) -> String {
        let page = self.get(&format!("/panel/tenants/{tenant}")).await;
        hidden(&page.body, "generation").unwrap_or_else(|| panic!("no form: {}", page.body))
    }

    /// Goes to the issuer, is that user there, and comes back; gives the way back.
    pub async fn at_issuer(&self, user: &str, begin: &str) -> (String, String) {
        let leaving = self.get(begin).await;
        assert_eq!(leaving.status, 303, "{leaving:?}");
        let asked = leaving.header("location").to_owned();
        let back = self.chosen(user, &asked).await;
        (asked, back)
    }

    /// Is that user at the issuer, which was asked for at that address; gives the way back.
    pub async fn chosen(&self, user: &str, asked: &str) -> String {
        let chosen = asked.replacen("/auth?", &format!("/auth/{user}?"), 1);
        let there = Reply::of(self.http.get(&chosen)).await.expect("the issuer");
        assert_eq!(there.status, 303, "{there:?}");
        there.header("location").strip_prefix(&self.base).expect("back to us").to_owned()
    }

    /// Signs in; gives the answer to coming back.
    pub async fn sign_in(&self, user: &str) -> Reply {
        let (_, back) = self.at_issuer(user, "/panel/sign-in").await;
        self.get(&back).await
    }
}

/// The value of a hidden field.
pub fn hidden(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    Some(rest.split('"').next()?.to_owned())
}
