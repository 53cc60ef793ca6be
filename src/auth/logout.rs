//! OpenID Connect Back-Channel Logout 1.0: what a logout request and its token must look like.

use super::LogoutFault;
use super::bearer::MAX_TOKEN;
use super::claims::{check_window, contains_audience, optional, text, time};
use super::issuer::Issuer;
use super::json::{Json, Object};
use super::jws::Bad;
use crate::base::Timestamp;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The one logout token of an `application/x-www-form-urlencoded` body.
pub(super) fn token_of(form_body: &[u8]) -> Result<&str, LogoutFault> {
    let refused = LogoutFault::Refused;
    if form_body.len() > MAX_TOKEN + 1024 {
        return Err(refused("body_too_long"));
    }
    let body = std::str::from_utf8(form_body).map_err(|_| refused("body_not_text"))?;
    let mut tokens = body.split('&').filter_map(|pair| pair.strip_prefix("logout_token="));
    // A compact token needs no percent-encoding, so it stands in the body as it is.
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token),
        (None, _) => Err(refused("no_logout_token")),
        (Some(_), Some(_)) => Err(refused("several_logout_tokens")),
    }
}

/// What a logout token asks for.
pub(super) struct Logout<'a> {
    pub jti: &'a str,
    pub sid: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Section 2.4 and 2.6 of the specification.
pub(super) fn judge<'o>(
    claims: &'o Object<'_>,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Logout<'o>, Bad> {
    let rules = &issuer.rules;
    let ours = contains_audience(claims, std::slice::from_ref(&rules.audience))?
        || contains_audience(claims, &issuer.config.logout_audiences)?;
    if !ours {
        return Err("aud_is_not_ours");
    }
    if claims.contains_key("nonce") {
        return Err("nonce_in_logout_token");
    }
    match claims.get("typ").map(Json::text) {
        None | Some(Some("Logout")) => {}
        Some(_) => return Err("typ_is_not_logout"),
    }
    match claims.get("events") {
        Some(Json::Object(events)) if matches!(events.get(EVENT), Some(Json::Object(_))) => {}
        _ => return Err("events_without_logout"),
    }
    let exp = time(claims, "exp", "exp_malformed")?.ok_or("exp_missing")?;
    let iat = time(claims, "iat", "iat_malformed")?.ok_or("iat_missing")?;
    let lifetime = exp.checked_sub(iat).and_then(|lifetime| u64::try_from(lifetime).ok());
    if lifetime.is_none_or(|lifetime| lifetime > rules.max_lifetime.as_secs()) {
        return Err("lifetime_too_long_or_negative");
    }
    let (issued_at, expires_at) = (Timestamp::from_secs(iat), Timestamp::from_secs(exp));
    if issued_at > now.plus(rules.leeway) {
        return Err("iat_in_the_future");
    }
    check_window(expires_at, None, now, rules.leeway)?;
    let sid = optional(claims, "sid", "sid_malformed")?;
    let subject = optional(claims, "sub", "sub_malformed")?;
    if sid.is_none() && subject.is_none() {
        return Err("sid_and_sub_missing");
    }
    let jti = text(claims, "jti", "jti_missing", "jti_malformed")?;
    Ok(Logout { jti, sid, subject, issued_at, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_holds_exactly_one_token() {
        assert_eq!(token_of(b"logout_token=a.b.c"), Ok("a.b.c"));
        assert_eq!(token_of(b"x=y&logout_token=a.b.c&z="), Ok("a.b.c"));
        for (body, why) in [
            (&b""[..], "no_logout_token"),
            (b"xlogout_token=a", "no_logout_token"),
            (b"logout_token=a&logout_token=a", "several_logout_tokens"),
            (b"logout_token=\xff", "body_not_text"),
            (&vec![b'a'; 20_000], "body_too_long"),
        ] {
            assert_eq!(token_of(body), Err(LogoutFault::Refused(why)));
        }
    }
}
