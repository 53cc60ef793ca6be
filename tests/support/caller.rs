//! Callers of the two listeners.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::gateway::Gateway;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text.
    pub body: String,
}

impl Reply {
    /// Sends a request; `None` when no answer came.
    pub async fn of(request: reqwest::RequestBuilder) -> Option<Self> {
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(Self { status, headers, body: answer.text().await.ok()? })
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A header as text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The resources of a searchset.
    pub fn resources(&self) -> Vec<Value> {
        let bundle = self.json();
        assert_eq!(bundle["resourceType"], "Bundle", "{}", self.body);
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|mut entry| entry["resource"].take()).collect()
    }

    /// Where the next page is, below the FHIR base.
    pub fn next(&self) -> Option<String> {
        let bundle = self.json();
        let link = bundle["link"].as_array()?.iter().find(|link| link["relation"] == "next")?;
        let url = link["url"].as_str()?;
        Some(url.strip_prefix("http://gateway.test/fhir").expect("a link of ours").to_owned())
    }
}

impl Gateway {
    /// `GET` below the FHIR base, with a token.
    pub async fn get(&self, token: &str, path: &str) -> Reply {
        let request = self.http.get(format!("{}{path}", self.fhir)).bearer_auth(token);
        Reply::of(request).await.expect("an answer of the data plane")
    }

    /// A request to the control plane as operator.
    pub async fn operate(
        &self,
        method: Method,
        path: &str,
        generation: Option<u64>,
        body: Option<(&str, String)>,
    ) -> Reply {
        let url = format!("{}/admin/v1/{path}", self.admin);
        let mut request = self.http.request(method, url).bearer_auth(&self.operator);
        if let Some(generation) = generation {
            request = request.header("if-match", format!("\"{generation}\""));
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        Reply::of(request).await.expect("an answer of the control plane")
    }

    /// What the control plane shows at this path.
    pub async fn view(&self, path: &str) -> Value {
        let reply = self.operate(Method::GET, path, None, None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// A change of a tenant with its present generation; gives back the tenant as it is then.
    pub async fn change(&self, method: Method, tenant: &str, what: &str, body: Value) -> Value {
        let generation = self.view(&format!("tenants/{tenant}")).await["generation"].as_u64();
        let body = Some(("application/json", body.to_string()));
        let path = format!("tenants/{tenant}/{what}");
        let path = path.trim_end_matches('/');
        let reply = self.operate(method, path, generation, body).await;
        assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }

    /// Registers a tenant whose claim value is its name; users of the client `ward-app` reach it.
    pub async fn register(&self, name: &str, connection: Value) -> Value {
        let identity =
            json!({ "issuer": self.hospitals, "claim_value": name, "azp": self.clients });
        let body = json!({ "name": name, "identities": [identity], "connection": connection });
        let body = Some(("application/json", body.to_string()));
        let reply = self.operate(Method::POST, "tenants", None, body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }

    /// Stores a mapping and puts it in force.
    pub async fn publish(&self, tenant: &str, text: &str) -> Value {
        let body = Some(("application/yaml", text.to_owned()));
        let path = format!("tenants/{tenant}/mappings");
        let stored = self.operate(Method::POST, &path, None, body).await;
        assert_eq!(stored.status, 201, "{stored:?}");
        let version = stored.json()["version"].as_u64().expect("a version");
        let publish = format!("mappings/{version}/publish");
        self.change(Method::POST, tenant, &publish, json!({})).await
    }

    /// Stops serving a tenant.
    pub async fn suspend(&self, tenant: &str) {
        self.change(Method::POST, tenant, "suspend", json!({ "reason": "test" })).await;
    }

    /// Serves it again.
    pub async fn resume(&self, tenant: &str) {
        self.change(Method::POST, tenant, "resume", json!({})).await;
    }
}
