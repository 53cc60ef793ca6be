//! Keys an issuer publishes (RFC 7517), each good for exactly one algorithm, parsed once.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Json, Object};

/// A signature algorithm (RFC 7518, RFC 8037). Symmetric ones and `none` do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Alg {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Alg {
    /// The algorithm of that exact name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Whether it counts only where the issuer's settings say so.
    const fn long_digest(self) -> bool {
        matches!(self, Self::Rs384 | Self::Rs512 | Self::Ps384 | Self::Ps512 | Self::Es384)
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

/// A public key ready to verify, pinned to its algorithm.
pub(super) struct VerifyKey {
    alg: Alg,
    key: ParsedPublicKey,
}

impl VerifyKey {
    /// The one algorithm the key is good for.
    pub(super) const fn alg(&self) -> Alg {
        self.alg
    }

    /// Whether the signature over exactly these bytes is the key's.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(signed, signature).is_ok()
    }

    /// One entry of a key set; `Err` says why it does not count.
    pub(super) fn from_jwk(jwk: &Object<'_>, long_digests: bool) -> Result<Self, &'static str> {
        const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err("private members");
        }
        match jwk.get("use").map(Json::text) {
            None | Some(Some("sig")) => {}
            Some(_) => return Err("not for signatures"),
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Json::Array(ops)) if ops.iter().any(|op| op.text() == Some("verify")) => {}
            Some(_) => return Err("not for verifying"),
        }
        let text = |name: &str| jwk.get(name).and_then(Json::text);
        let natural = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Alg::Rs256,
            (Some("EC"), Some("P-256")) => Alg::Es256,
            (Some("EC"), Some("P-384")) => Alg::Es384,
            (Some("OKP"), Some("Ed25519")) => Alg::EdDsa,
            _ => return Err("kind of key not used here"),
        };
        let alg = match jwk.get("alg").map(Json::text) {
            None => natural,
            Some(Some(name)) => Alg::named(name).ok_or("algorithm not used here")?,
            Some(None) => return Err("algorithm malformed"),
        };
        // An RSA key may be pinned to any RSA algorithm; a curve has exactly one.
        if alg != natural && !(natural == Alg::Rs256 && alg.rsa().is_some()) {
            return Err("algorithm does not fit the key");
        }
        if alg.long_digest() && !long_digests {
            return Err("algorithm not switched on");
        }
        let bytes = |name: &str| {
            let text = text(name).ok_or("key material missing")?;
            URL_SAFE_NO_PAD.decode(text).map_err(|_| "key material not base64url")
        };
        let key = match alg {
            Alg::Es256 => curve_key(&ECDSA_P256_SHA256_FIXED, &bytes("x")?, &bytes("y")?, 32)?,
            Alg::Es384 => curve_key(&ECDSA_P384_SHA384_FIXED, &bytes("x")?, &bytes("y")?, 48)?,
            Alg::EdDsa => match bytes("x")? {
                x if x.len() == 32 => parse(&ED25519, &x)?,
                _ => return Err("point of the wrong length"),
            },
            rsa => rsa_key(rsa.rsa().ok_or("algorithm not used here")?, bytes("n")?, bytes("e")?)?,
        };
        Ok(Self { alg, key })
    }
}

fn parse(
    alg: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, &'static str> {
    ParsedPublicKey::new(alg, bytes).map_err(|_| "key material refused")
}

/// Parsing checks that the point is on the curve.
fn curve_key(
    alg: &'static dyn VerificationAlgorithm,
    x: &[u8],
    y: &[u8],
    length: usize,
) -> Result<ParsedPublicKey, &'static str> {
    if x.len() != length || y.len() != length {
        return Err("point of the wrong length");
    }
    parse(alg, &[&[4], x, y].concat())
}

fn rsa_key(
    alg: &'static RsaParameters,
    n: Vec<u8>,
    e: Vec<u8>,
) -> Result<ParsedPublicKey, &'static str> {
    let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
    if n.first() == Some(&0) || !(2048..=8192).contains(&bits) {
        return Err("modulus of a length not used here");
    }
    if n.last().is_none_or(|low| low % 2 == 0) {
        return Err("even modulus");
    }
    if e.first().is_none_or(|top| *top == 0) || e.len() > 4 {
        return Err("exponent malformed");
    }
    let value = e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    if value < 65_537 || value % 2 == 0 {
        return Err("exponent even or under 65537");
    }
    RsaPublicKeyComponents { n, e }.to_parsed_public_key(alg).map_err(|_| "key material refused")
}

/// An issuer's keys by `kid`.
pub(super) struct KeySet {
    keys: HashMap<Box<str>, std::sync::Arc<VerifyKey>>,
    fingerprint: [u8; 32],
}

impl KeySet {
    /// A key set document. Entries that do not count are left out, and so is every `kid` that is there
    /// twice; a document that is no key set at all is an error.
    pub(super) fn parse(body: &[u8], long_digests: bool) -> Result<Self, &'static str> {
        let document = Json::object(body).ok_or("jwks_not_strict_json")?;
        let Some(Json::Array(entries)) = document.get("keys") else {
            return Err("jwks_without_keys");
        };
        let mut found: HashMap<Box<str>, Option<VerifyKey>> = HashMap::new();
        for entry in entries {
            let Json::Object(jwk) = entry else { continue };
            let Some(kid) = jwk.get("kid").and_then(Json::text).filter(|kid| !kid.is_empty())
            else {
                continue;
            };
            match VerifyKey::from_jwk(jwk, long_digests) {
                // The same kid again: neither counts, even if one of them is no key for us.
                _ if found.contains_key(kid) => {
                    found.insert(Box::from(kid), None);
                }
                Ok(key) => {
                    found.insert(Box::from(kid), Some(key));
                }
                Err(why) => {
                    tracing::debug!(why, "a published key does not count");
                    found.insert(Box::from(kid), None);
                }
            }
        }
        let keys: HashMap<_, _> = found
            .into_iter()
            .filter_map(|(kid, key)| key.map(|key| (kid, std::sync::Arc::new(key))))
            .collect();
        Ok(Self { fingerprint: fingerprint(&keys), keys })
    }

    /// The key of that exact `kid`.
    pub(super) fn get(&self, kid: &str) -> Option<&std::sync::Arc<VerifyKey>> {
        self.keys.get(kid)
    }

    /// How many keys count.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether both sets hold the same keys under the same names.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

fn fingerprint(keys: &HashMap<Box<str>, std::sync::Arc<VerifyKey>>) -> [u8; 32] {
    let mut sorted: Vec<_> = keys.iter().collect();
    sorted.sort_unstable_by_key(|(kid, _)| *kid);
    let mut hash = Context::new(&SHA256);
    for (kid, key) in sorted {
        for part in [kid.as_bytes(), &[key.alg as u8], key.key.as_ref()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

#[cfg(test)]
mod tests;
