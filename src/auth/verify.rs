//! The steps of judging a token that need no more than the token and its issuer.

use std::sync::Arc;

use super::AuthFault;
use super::issuer::Issuer;
use super::json::{Json, Object};
use super::jws::{Header, Jws};
use crate::base::Deadline;

/// The issuer a token names, before anything of it is believed.
pub(super) fn issuer_of(
    claims: &Object<'_>,
    find: impl FnOnce(&str) -> Option<Arc<Issuer>>,
) -> Result<Arc<Issuer>, AuthFault> {
    let name = match claims.get("iss") {
        Some(Json::Text(name)) => name,
        Some(_) => return Err(AuthFault::InvalidToken("iss_malformed")),
        None => return Err(AuthFault::InvalidToken("iss_missing")),
    };
    find(name).ok_or(AuthFault::InvalidToken("iss_unknown"))
}

/// The token's signature under the one key it names, by that key's algorithm. Gives the epoch of
/// the key set.
pub(super) async fn check_signature(
    jws: &Jws<'_>,
    header: &Header<'_>,
    issuer: &Issuer,
    deadline: Deadline,
) -> Result<u64, AuthFault> {
    let found = issuer.key(&header.kid, deadline).await?;
    if found.key.alg() != header.alg {
        return Err(AuthFault::InvalidToken("alg_is_not_the_keys"));
    }
    if !found.key.verifies(jws.signed, &jws.signature) {
        return Err(AuthFault::InvalidToken("signature_wrong"));
    }
    Ok(found.epoch)
}

/// Whether the sign-in was strong enough: one of the wanted `acr` values, where any are wanted.
pub(super) fn step_up(wanted: &[String], acr: Option<&str>) -> Result<(), AuthFault> {
    if wanted.is_empty() || acr.is_some_and(|acr| wanted.iter().any(|w| w == acr)) {
        return Ok(());
    }
    Err(AuthFault::StepUp { acr_values: wanted.join(" ") })
}
