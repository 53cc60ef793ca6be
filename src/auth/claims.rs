//! The rules a verified token's claims must meet.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::AuthFault;
use super::principal::Identity;
use super::scope::Scopes;
use crate::base::Timestamp;

/// What is expected of an issuer's tokens.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    /// `None` for operators, whose tokens name no tenant. Empty binds by issuer alone.
    pub(super) tenant_claim: Option<&'a str>,
    pub(super) roles_claim: &'a str,
    pub(super) now: Timestamp,
    pub(super) leeway: Duration,
    pub(super) longest_life: Duration,
}

/// Longest tenant claim value.
const CLAIM_LONGEST: usize = 512;

/// Checks every rule and takes what is needed.
pub(super) fn check(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Identity, AuthFault> {
    let invalid = AuthFault::InvalidToken;
    let text = |name: &str, why| match claims.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(invalid(why)),
    };
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(invalid("iss"));
    }
    if claims.get("typ").and_then(Value::as_str) != Some("Bearer") {
        return Err(invalid("typ"));
    }
    // A token bound to a key that is not shown here is somebody else's (RFC 8705, RFC 9449).
    if claims.contains_key("cnf") {
        return Err(invalid("cnf"));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(one)) => one == expected.audience,
        Some(Value::Array(all)) => {
            all.iter().all(Value::is_string)
                && all.iter().any(|a| a.as_str() == Some(expected.audience))
        }
        _ => false,
    };
    if !for_us {
        return Err(invalid("aud"));
    }
    let (issued_at, expires_at) = times(claims, expected)?;
    let scopes = match claims.get("scope") {
        None => Scopes::Unrestricted,
        Some(Value::String(scope)) => {
            Scopes::parse(scope).map_err(|_| AuthFault::Forbidden("patient_scope"))?
        }
        Some(_) => return Err(invalid("scope")),
    };
    Ok(Identity {
        issuer: expected.issuer.to_owned(),
        subject: text("sub", "sub")?,
        azp: text("azp", "azp")?,
        session: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
        token_id: text("jti", "jti")?,
        claim_value: claim_value(claims, expected.tenant_claim)?,
        roles: roles(claims, expected.roles_claim),
        scopes,
        issued_at,
        expires_at,
    })
}

fn times(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<(Timestamp, Timestamp), AuthFault> {
    let invalid = AuthFault::InvalidToken;
    // Whole seconds only: what is no integer is no time (CVE-2026-25537 took it for absent).
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().filter(|t| *t >= 0).map(|t| Some(Timestamp::from_secs(t))).ok_or(())
        }
    };
    let required = |name, why| time(name).ok().flatten().ok_or(invalid(why));
    let (now, leeway) = (expected.now, expected.leeway);
    let expires_at = required("exp", "exp")?;
    let issued_at = required("iat", "iat")?;
    if expires_at.plus(leeway) <= now {
        return Err(invalid("expired"));
    }
    if issued_at > now.plus(leeway) {
        return Err(invalid("iat_future"));
    }
    if expires_at.since(issued_at) > expected.longest_life {
        return Err(invalid("life_too_long"));
    }
    match time("nbf") {
        Err(()) => Err(invalid("nbf")),
        Ok(Some(not_before)) if not_before > now.plus(leeway) => Err(invalid("nbf")),
        Ok(_) => Ok((issued_at, expires_at)),
    }
}

/// A claim by its whole name first (names may hold dots and colons), then as a path.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_object()?.get(part))
}

fn claim_value(claims: &Map<String, Value>, path: Option<&str>) -> Result<String, AuthFault> {
    let invalid = AuthFault::InvalidToken("tenant_claim");
    match path {
        None | Some("") => Ok(String::new()),
        Some(path) => match find(claims, path) {
            // The value is a key for an exact look-up; the limits only keep nonsense out of the registry.
            Some(Value::String(value))
                if !value.is_empty()
                    && value.len() <= CLAIM_LONGEST
                    && value.trim() == value
                    && !value.chars().any(char::is_control) =>
            {
                Ok(value.clone())
            }
            _ => Err(invalid),
        },
    }
}

/// Roles from the one configured claim; anything that is not a list of texts gives none.
fn roles(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    match find(claims, path) {
        Some(Value::Array(roles)) if roles.iter().all(Value::is_string) => {
            roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
