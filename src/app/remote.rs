//! Asking a running gateway, from the command line.

use std::time::Duration;

use reqwest::redirect::Policy;

use crate::base::SecretText;

/// An access token; never shown.
pub type Token = SecretText;

/// The largest answer taken, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// Why a gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteFault {
    /// The address cannot be used.
    #[error("the gateway's address is not usable")]
    Address,
    /// A token is not sent over plain HTTP to another machine.
    #[error("a token is sent over https only, or to this machine")]
    Plain,
    /// No answer.
    #[error("the gateway does not answer")]
    Away,
    /// More than is taken.
    #[error("the gateway's answer is too large")]
    TooLarge,
}

/// Sends a text with a token; gives back the status and the body. Follows no redirect, for it would carry
/// the token elsewhere.
pub async fn post_text(
    url: &str,
    token: &Token,
    text: String,
) -> Result<(u16, String), RemoteFault> {
    let parsed = reqwest::Url::parse(url).map_err(|_| RemoteFault::Address)?;
    let here = matches!(parsed.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if parsed.scheme() != "https" && !here {
        return Err(RemoteFault::Plain);
    }
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(3))
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|_| RemoteFault::Away)?;
    let sent =
        client.post(parsed).bearer_auth(token.expose()).header("content-type", "application/yaml");
    let mut response = sent.body(text).send().await.map_err(|_| RemoteFault::Away)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| RemoteFault::Away)? {
        if body.len() + chunk.len() > MOST {
            return Err(RemoteFault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
