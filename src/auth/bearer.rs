//! The bearer token of a request (RFC 6750, 2.1).

use http::{HeaderMap, header};

use super::fault::AuthFault;

/// Longest token taken, in bytes. Keycloak's with 300 roles has 7.7 kB.
const LONGEST: usize = 16 * 1024;

/// The one token of a request. A token elsewhere than in the header is refused, because it ends up in logs
/// and histories.
pub(super) fn token(headers: &HeaderMap, in_query: bool) -> Result<&str, AuthFault> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Err(if in_query {
            AuthFault::Malformed("token_in_query")
        } else {
            AuthFault::Missing
        });
    };
    if all.next().is_some() {
        return Err(AuthFault::Malformed("two_headers"));
    }
    if in_query {
        return Err(AuthFault::Malformed("token_in_query"));
    }
    let text = value.to_str().map_err(|_| AuthFault::Malformed("not_ascii"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthFault::Missing);
    }
    // b64token of RFC 6750, 2.1; anything else, spaces included, is not one token.
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if rest.is_empty() || !rest.bytes().all(good) {
        return Err(AuthFault::Malformed("not_one_token"));
    }
    if rest.len() > LONGEST {
        return Err(AuthFault::Malformed("too_long"));
    }
    Ok(rest)
}
