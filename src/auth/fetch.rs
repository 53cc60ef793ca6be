//! Talking to an issuer: discovery, key set, realm. Only to the issuer's own host or the configured
//! internal one, without redirects and proxies, with small bodies and short times.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use openidconnect::{DiscoveryError, HttpRequest, HttpResponse, IssuerUrl, JsonWebKeySetUrl};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use super::json::Json;
use super::keys::KeySet;
use super::{AuthFault, IssuerConfig};
use crate::base::Timestamp;

/// The largest accepted answer, in bytes.
const MAX_BODY: usize = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A code and a refresh token count once: what is given for them is waited for as long as whoever asks may wait.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(20);

/// Reaches one issuer.
pub(super) struct Fetcher {
    issuer: IssuerUrl,
    long_digests: bool,
    reach: Arc<Reach>,
}

/// Where the issuer is, and the client to reach it with.
struct Reach {
    name: Url,
    internal: Option<Url>,
    client: Client,
}

/// The shape `openidconnect` accepts a closure's answer in.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFault>> + Send>>;

/// The body of the newest answer.
type LastBody = Arc<Mutex<Vec<u8>>>;

/// Why a fetch gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchFault {
    /// The issuer is away or answers nonsense. A code.
    Away(&'static str),
    /// The issuer says things that contradict the settings.
    Contradiction(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HttpFault {
    #[error("the address is not on the issuer's host")]
    Foreign,
    #[error("the answer is too large")]
    TooLarge,
    #[error("the issuer does not answer")]
    Transport,
}

impl Fetcher {
    pub(super) fn new(config: &IssuerConfig) -> Result<Self, AuthFault> {
        let wrong = |what| AuthFault::Configuration { issuer: config.url.clone(), what };
        let parse = |text: &str| Url::parse(text).map_err(|_| wrong("not a URL"));
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(1);
        if let Some(pem) = &config.ca_pem {
            let roots = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|_| wrong("ca_pem holds no PEM certificates"))?;
            client = client.tls_certs_merge(roots);
        }
        Ok(Self {
            issuer: IssuerUrl::new(config.url.clone()).map_err(|_| wrong("not a URL"))?,
            long_digests: config.long_digests,
            reach: Arc::new(Reach {
                name: parse(&config.url)?,
                internal: config.internal_url.as_deref().map(parse).transpose()?,
                client: client.build().map_err(|_| wrong("no TLS client can be made"))?,
            }),
        })
    }

    /// The discovery document and the key set it names.
    pub(super) async fn discover(&self) -> Result<(JsonWebKeySetUrl, KeySet), FetchFault> {
        let last_body = LastBody::default();
        let http = self.http(&last_body);
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &http)
            .await
            .map_err(|fault| discovery_fault(&fault))?;
        if metadata.issuer().as_str() != self.issuer.as_str() {
            return Err(FetchFault::Contradiction("discovery names another issuer"));
        }
        let keys = self.key_set(&last_body)?;
        Ok((metadata.jwks_uri().clone(), keys))
    }

    /// The key set again.
    pub(super) async fn keys(&self, uri: &JsonWebKeySetUrl) -> Result<KeySet, FetchFault> {
        let last_body = LastBody::default();
        let http = self.http(&last_body);
        CoreJsonWebKeySet::fetch_async(uri, &http)
            .await
            .map_err(|fault| discovery_fault(&fault))?;
        self.key_set(&last_body)
    }

    /// The same way to the issuer, for signing operators in.
    pub(super) fn for_sign_in(&self) -> impl Fn(HttpRequest) -> Answer + Send + Sync + use<> {
        let reach = self.reach.clone();
        move |request| {
            let reach = reach.clone();
            Box::pin(async move { reach.send(request, SIGN_IN_TIMEOUT).await })
        }
    }

    /// Keycloak's realm-wide not-before (`tokens-not-before` of the realm's public JSON), where there
    /// is one. Zero stands for none.
    pub(super) async fn realm_not_before(&self) -> Option<Timestamp> {
        let request = http::Request::get(self.issuer.as_str())
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new())
            .ok()?;
        let answer = self.reach.send(request, TOTAL_TIMEOUT).await.ok()?;
        if answer.status() != http::StatusCode::OK {
            return None;
        }
        let realm = Json::object(answer.body())?;
        match realm.get("tokens-not-before") {
            Some(Json::Integer(secs)) if *secs >= 0 => Some(Timestamp::from_secs(*secs)),
            _ => None,
        }
    }

    /// The typed set `openidconnect` gives leaves out private members and key operations and skips
    /// what it does not know, so the entries are judged from the text itself.
    fn key_set(&self, last_body: &LastBody) -> Result<KeySet, FetchFault> {
        let body = last_body.lock().unwrap_or_else(PoisonError::into_inner);
        KeySet::parse(&body, self.long_digests).map_err(FetchFault::Away)
    }

    fn http(&self, last_body: &LastBody) -> impl Fn(HttpRequest) -> Answer + Send + Sync + use<> {
        let (reach, last_body) = (self.reach.clone(), last_body.clone());
        move |request| {
            let (reach, last_body) = (reach.clone(), last_body.clone());
            Box::pin(async move {
                let answer = reach.send(request, TOTAL_TIMEOUT).await?;
                last_body.lock().unwrap_or_else(PoisonError::into_inner).clone_from(answer.body());
                Ok(answer)
            })
        }
    }
}

impl Reach {
    async fn send(&self, request: HttpRequest, limit: Duration) -> Result<HttpResponse, HttpFault> {
        let asked = Url::parse(&request.uri().to_string()).map_err(|_| HttpFault::Foreign)?;
        let url = self.place(asked).ok_or(HttpFault::Foreign)?;
        let mut answer = self
            .client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .body(request.into_body())
            .timeout(limit)
            .send()
            .await
            .map_err(|_| HttpFault::Transport)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| HttpFault::Transport)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpFault::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }

    /// Where to connect for an address the issuer gave; `None` when it is on somebody else's host.
    fn place(&self, asked: Url) -> Option<Url> {
        if let Some(internal) = &self.internal
            && internal.origin() == asked.origin()
        {
            return Some(asked);
        }
        if asked.origin() != self.name.origin() {
            return None;
        }
        let Some(internal) = &self.internal else { return Some(asked) };
        let mut placed = internal.clone();
        let base = self.name.path().trim_end_matches('/');
        match asked.path().strip_prefix(base) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                let path = format!("{}{rest}", internal.path().trim_end_matches('/'));
                placed.set_path(&path);
            }
            // Beside the issuer's own path: the same path on the internal host.
            _ => placed.set_path(asked.path()),
        }
        placed.set_query(asked.query());
        Some(placed)
    }
}

fn discovery_fault(fault: &DiscoveryError<HttpFault>) -> FetchFault {
    match fault {
        DiscoveryError::Validation(_) => {
            FetchFault::Contradiction("discovery names another issuer")
        }
        DiscoveryError::Request(HttpFault::Foreign) => {
            FetchFault::Contradiction("jwks_uri is on another host")
        }
        DiscoveryError::Request(HttpFault::TooLarge) => FetchFault::Away("answer_too_large"),
        DiscoveryError::Request(HttpFault::Transport) => FetchFault::Away("issuer_unreachable"),
        DiscoveryError::Response(..) => FetchFault::Away("unexpected_status_or_content_type"),
        _ => FetchFault::Away("answer_not_understood"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(name: &str, internal: Option<&str>, asked: &str) -> Option<String> {
        let config = IssuerConfig {
            internal_url: internal.map(str::to_owned),
            ..IssuerConfig::keycloak(name, "a")
        };
        let fetcher = Fetcher::new(&config).unwrap();
        fetcher.reach.place(Url::parse(asked).unwrap()).map(String::from)
    }

    #[test]
    fn only_the_issuers_host_is_reached() {
        let name = "https://sso.example.org/realms/a";
        let same = "https://sso.example.org/realms/a/certs";
        assert_eq!(placed(name, None, same).as_deref(), Some(same));
        for foreign in [
            "http://sso.example.org/realms/a/certs",
            "https://sso.example.org:8443/realms/a/certs",
            "https://sso.example.org.evil.example/certs",
            "https://sso.example.org@evil.example/certs",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ] {
            assert_eq!(placed(name, None, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_internal_url_stands_in_for_the_name() {
        let name = "https://sso.example.org/auth/realms/a";
        let internal = Some("http://keycloak:8080/realms/a");
        let at = |asked: &str| placed(name, internal, asked);
        assert_eq!(
            at("https://sso.example.org/auth/realms/a/certs?x=1").as_deref(),
            Some("http://keycloak:8080/realms/a/certs?x=1")
        );
        assert_eq!(at(name).as_deref(), Some("http://keycloak:8080/realms/a"));
        assert_eq!(
            at("https://sso.example.org/auth/realms/ab/certs").as_deref(),
            Some("http://keycloak:8080/auth/realms/ab/certs")
        );
        assert_eq!(at("http://keycloak:8080/other").as_deref(), Some("http://keycloak:8080/other"));
        assert_eq!(at("http://keycloak:9000/other"), None);
    }
}
