//! How a token is presented: RFC 6750 section 2.1, and nothing else.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::AuthFault;

/// Longer tokens are refused, in bytes. The listener's header limit has to leave room for it.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// The bearer token of a request.
pub(super) fn token(headers: &HeaderMap, query_has_token: bool) -> Result<&str, AuthFault> {
    if query_has_token {
        return Err(AuthFault::InvalidRequest("token_in_query"));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(AuthFault::NoToken("no_authorization"));
    };
    if values.next().is_some() {
        return Err(AuthFault::InvalidRequest("several_authorizations"));
    }
    let Some(text) = std::str::from_utf8(value.as_bytes())
        .ok()
        .filter(|text| text.bytes().all(|b| matches!(b, b' '..=b'~')))
    else {
        return Err(AuthFault::InvalidRequest("not_printable_ascii"));
    };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("dpop") {
        return Err(AuthFault::InvalidToken("dpop_unsupported"));
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthFault::NoToken("other_scheme"));
    }
    if token.is_empty() || token.starts_with(' ') {
        return Err(AuthFault::InvalidRequest("empty_token"));
    }
    if token.len() > MAX_TOKEN {
        return Err(AuthFault::InvalidRequest("token_too_long"));
    }
    Ok(token)
}
