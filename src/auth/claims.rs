//! What a token's claims must say: RFC 9068 section 4 and RFC 8725, on Keycloak's shape of tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::directory::is_claim_value;
use super::json::{Json, Object, find};
use super::jws::{Bad, Typ};
use super::principal::{Roles, Token};
use super::{OperatorRank, OperatorRoles, Scopes, TokenProfile};
use crate::base::Timestamp;

/// The longest accepted `sub`, `azp`, `sid`, `jti` and `acr`, in bytes (OpenID Connect Core
/// section 2 allows 255 for `sub`).
const MAX_TEXT: usize = 255;

/// What one issuer's access tokens are held against.
pub(super) struct Rules {
    pub issuer: Arc<str>,
    pub audience: String,
    pub tenant_claim: String,
    pub roles_claim: String,
    pub profile: TokenProfile,
    /// The operators' roles, for their issuer.
    pub operator_roles: Option<OperatorRoles>,
    pub leeway: Duration,
    pub max_lifetime: Duration,
}

impl Rules {
    /// Everything about an access token's claims that does not change while it lives, and its times
    /// as of `now`.
    pub(super) fn judge(
        &self,
        claims: &Object<'_>,
        typ: Typ,
        now: Timestamp,
    ) -> Result<Token, Bad> {
        self.check_kind(claims, typ)?;
        if !contains_audience(claims, std::slice::from_ref(&self.audience))? {
            return Err("aud_is_not_ours");
        }
        if claims.contains_key("cnf") {
            return Err("bound_to_a_proof");
        }
        let times = self.times(claims, now)?;
        let azp = match self.profile {
            TokenProfile::Rfc9068 if !claims.contains_key("azp") => {
                text(claims, "client_id", "azp_missing", "azp_malformed")?
            }
            _ => text(claims, "azp", "azp_missing", "azp_malformed")?,
        };
        let jti = text(claims, "jti", "jti_missing", "jti_malformed")?;
        let subject = text(claims, "sub", "sub_missing_see_scope_basic", "sub_malformed")?;
        let scopes = match claims.get("scope") {
            None => Scopes::unrestricted(),
            Some(Json::Text(scope)) => Scopes::parse(scope),
            Some(_) => return Err("scope_malformed"),
        };
        let (roles, rank) = self.roles(claims);
        Ok(Token {
            issuer: self.issuer.clone(),
            subject: Box::from(subject),
            azp: Box::from(azp),
            sid: optional(claims, "sid", "sid_malformed")?.map(Box::from),
            acr: optional(claims, "acr", "acr_malformed")?.map(Box::from),
            claim_value: self.claim_value(claims)?,
            id: token_id(&self.issuer, jti),
            roles,
            rank,
            scopes,
            issued_at: times.issued_at,
            expires_at: times.expires_at,
            not_before: times.not_before,
        })
    }

    fn check_kind(&self, claims: &Object<'_>, typ: Typ) -> Result<(), Bad> {
        let claim = match claims.get("typ") {
            None => None,
            Some(Json::Text(claim)) => Some(claim.as_ref()),
            Some(_) => return Err("typ_malformed"),
        };
        match (self.profile, typ, claim) {
            (_, Typ::LogoutToken, _) | (TokenProfile::Rfc9068, Typ::Jwt, _) => {
                Err("header_typ_is_not_an_access_token")
            }
            (TokenProfile::Keycloak, _, Some("Bearer"))
            | (TokenProfile::Rfc9068, Typ::AccessToken, None | Some("Bearer")) => Ok(()),
            (_, _, None) => Err("typ_missing"),
            _ => Err("typ_is_not_bearer"),
        }
    }

    fn times(&self, claims: &Object<'_>, now: Timestamp) -> Result<Times, Bad> {
        let exp = time(claims, "exp", "exp_malformed")?.ok_or("exp_missing")?;
        let iat = time(claims, "iat", "iat_malformed")?.ok_or("iat_missing")?;
        let not_before = time(claims, "nbf", "nbf_malformed")?.map(Timestamp::from_secs);
        let lifetime = exp.checked_sub(iat).and_then(|l| u64::try_from(l).ok());
        if lifetime.is_none_or(|lifetime| lifetime > self.max_lifetime.as_secs()) {
            return Err("lifetime_too_long_or_negative");
        }
        let times = Times {
            issued_at: Timestamp::from_secs(iat),
            expires_at: Timestamp::from_secs(exp),
            not_before,
        };
        if times.issued_at > now.plus(self.leeway) {
            return Err("iat_in_the_future");
        }
        check_window(times.expires_at, times.not_before, now, self.leeway)?;
        Ok(times)
    }

    fn claim_value(&self, claims: &Object<'_>) -> Result<Box<str>, Bad> {
        if self.tenant_claim.is_empty() {
            return Ok(Box::default());
        }
        match find(claims, &self.tenant_claim) {
            Some(Json::Text(value)) if is_claim_value(value) => Ok(Box::from(value.as_ref())),
            Some(_) => Err("tenant_claim_malformed"),
            None => Err("tenant_claim_missing_see_its_mapper"),
        }
    }

    /// Only from an array of texts at the one configured place; anything else is no role at all.
    fn roles(&self, claims: &Object<'_>) -> (Roles, Option<OperatorRank>) {
        let mut roles = Roles::default();
        let mut rank = None;
        if let Some(Json::Array(names)) = find(claims, &self.roles_claim) {
            for name in names.iter().filter_map(Json::text) {
                match &self.operator_roles {
                    Some(named) => rank = rank.max(named.rank(name)),
                    None => roles.add(name),
                }
            }
        }
        (roles, rank)
    }
}

struct Times {
    issued_at: Timestamp,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
}

/// Whether `now` lies between a token's times, give or take the leeway.
pub(super) fn check_window(
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    now: Timestamp,
    leeway: Duration,
) -> Result<(), Bad> {
    if now >= expires_at.plus(leeway) {
        return Err("expired");
    }
    if not_before.is_some_and(|not_before| not_before > now.plus(leeway)) {
        return Err("not_yet_valid");
    }
    Ok(())
}

/// Whether `aud`, a text or an array of texts, names one of `ours` exactly.
pub(super) fn contains_audience(claims: &Object<'_>, ours: &[String]) -> Result<bool, Bad> {
    let is_ours = |text: &str| ours.iter().any(|our| our == text);
    match claims.get("aud") {
        Some(Json::Text(audience)) => Ok(is_ours(audience)),
        Some(Json::Array(audiences)) => {
            let mut found = false;
            for audience in audiences {
                found |= is_ours(audience.text().ok_or("aud_malformed")?);
            }
            Ok(found)
        }
        Some(_) => Err("aud_malformed"),
        None => Err("aud_missing_see_audience_mapper"),
    }
}

/// A NumericDate that is a JSON integer of seconds, not negative.
pub(super) fn time(claims: &Object<'_>, name: &str, malformed: Bad) -> Result<Option<i64>, Bad> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Integer(secs)) if *secs >= 0 => Ok(Some(*secs)),
        Some(_) => Err(malformed),
    }
}

/// A text of 1 to 255 bytes that must be there.
pub(super) fn text<'o>(
    claims: &'o Object<'_>,
    name: &str,
    missing: Bad,
    malformed: Bad,
) -> Result<&'o str, Bad> {
    optional(claims, name, malformed)?.ok_or(missing)
}

/// A text of 1 to 255 bytes without control characters, if it is there.
pub(super) fn optional<'o>(
    claims: &'o Object<'_>,
    name: &str,
    malformed: Bad,
) -> Result<Option<&'o str>, Bad> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Text(text))
            if (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control) =>
        {
            Ok(Some(text))
        }
        Some(_) => Err(malformed),
    }
}

fn token_id(issuer: &str, jti: &str) -> Box<str> {
    let hash = digest(&SHA256, &[issuer.as_bytes(), &[0], jti.as_bytes()].concat());
    hex(&hash.as_ref()[..16])
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> Box<str> {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
