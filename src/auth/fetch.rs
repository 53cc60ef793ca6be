//! Fetching from an issuer: no redirects, small bodies, little time.

use std::time::Duration;

use openidconnect::IssuerUrl;
use openidconnect::core::CoreProviderMetadata;

use super::fault::AuthFault;
use super::jwks::{self, Keys};

const CONNECT: Duration = Duration::from_secs(2);
const TOTAL: Duration = Duration::from_secs(5);
const LARGEST: usize = 64 * 1024;

/// An HTTP client for issuers.
pub(super) fn client() -> Result<reqwest::Client, AuthFault> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .build()
        .map_err(|_| AuthFault::Issuer("no HTTP client"))
}

async fn get(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, AuthFault> {
    let away = AuthFault::Unavailable("issuer_unreachable");
    let mut response = client.get(url).send().await.map_err(|_| away)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(AuthFault::Unavailable("issuer_status"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| away)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(AuthFault::Unavailable("issuer_body_too_large"));
        }
    }
    Ok(body)
}

/// Where an issuer is reached: its own name, or the internal address that stands for it.
pub(super) fn reach(url: &str, issuer: &str, internal: Option<&str>) -> Option<String> {
    let rest = url.strip_prefix(issuer)?;
    (rest.is_empty() || rest.starts_with('/'))
        .then(|| format!("{}{rest}", internal.unwrap_or(issuer).trim_end_matches('/')))
}

/// Discovery (OpenID Connect Discovery 1.0, 4). Gives back the address of the key set. A document that
/// names another issuer, or keys elsewhere than below the issuer, is a contradiction.
pub(super) async fn discover(
    client: &reqwest::Client,
    issuer: &str,
    internal: Option<&str>,
) -> Result<String, AuthFault> {
    let contradiction = AuthFault::Issuer;
    let address = format!(
        "{}/.well-known/openid-configuration",
        internal.unwrap_or(issuer).trim_end_matches('/')
    );
    let body = get(client, &address).await?;
    let document: CoreProviderMetadata = serde_json::from_slice(&body)
        .map_err(|_| contradiction("its discovery document is not one"))?;
    let named = IssuerUrl::new(issuer.to_owned())
        .map_err(|_| contradiction("its URL is not an issuer's"))?;
    if document.issuer().as_str() != named.as_str() {
        return Err(contradiction("its discovery document names another issuer"));
    }
    let keys = document.jwks_uri().as_str();
    // Behind an internal address a Keycloak may name its keys by either.
    reach(keys, issuer, internal)
        .or_else(|| internal.and_then(|inside| reach(keys, inside, None)))
        .ok_or(contradiction("its keys are on another host than the issuer"))
}

/// Fetches and reads a key set.
pub(super) async fn keys(client: &reqwest::Client, address: &str) -> Result<Keys, AuthFault> {
    jwks::parse(&get(client, address).await?)
}
