//! An issuer's keys (RFC 7517), each pinned to its one algorithm.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::fault::AuthFault;
use super::jose;

/// A verification key and the only algorithm it is used with.
pub(super) struct Key {
    algorithm: &'static str,
    encoded: Vec<u8>,
    public: ParsedPublicKey,
}

impl Key {
    fn new(
        algorithm: &'static str,
        scheme: &'static dyn VerificationAlgorithm,
        encoded: Vec<u8>,
    ) -> Option<Self> {
        let public = ParsedPublicKey::new(scheme, &encoded).ok()?;
        Some(Self { algorithm, encoded, public })
    }

    /// Whether it is the same key, fetched another time.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.encoded == other.encoded
    }

    /// Whether `signature` over `input` is this key's, under the algorithm the token names.
    pub(super) fn verifies(&self, algorithm: &str, input: &[u8], signature: &[u8]) -> bool {
        algorithm == self.algorithm && self.public.verify_sig(input, signature).is_ok()
    }
}

pub(super) type Keys = HashMap<String, Arc<Key>>;

/// Reads a key set. Entries that cannot be used are dropped; two with the same `kid` are both dropped,
/// because nobody can say which is meant. A document that is no key set at all is an error.
pub(super) fn parse(bytes: &[u8]) -> Result<Keys, AuthFault> {
    let set = jose::object(bytes).map_err(|_| AuthFault::Unavailable("jwks_json"))?;
    let Some(Value::Array(entries)) = set.get("keys") else {
        return Err(AuthFault::Unavailable("jwks_shape"));
    };
    let mut seen: HashMap<String, Option<Arc<Key>>> = HashMap::new();
    for entry in entries.iter().filter_map(Value::as_object) {
        let Some(kid) = entry.get("kid").and_then(Value::as_str) else { continue };
        let key = usable(entry).map(Arc::new);
        seen.entry(kid.to_owned()).and_modify(|known| *known = None).or_insert(key);
    }
    Ok(seen.into_iter().filter_map(|(kid, key)| key.map(|key| (kid, key))).collect())
}

fn usable(entry: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    if private.iter().any(|name| entry.contains_key(*name)) {
        return None;
    }
    if entry.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    if let Some(operations) = entry.get("key_ops") {
        let verify = |op: &Value| op.as_str() == Some("verify");
        if !operations.as_array().is_some_and(|ops| ops.iter().any(verify)) {
            return None;
        }
    }
    let declared = match entry.get("alg") {
        None => None,
        Some(Value::String(alg)) => Some(alg.as_str()),
        Some(_) => return None,
    };
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    match (text("kty")?, text("crv")) {
        ("RSA", None) => {
            let (algorithm, scheme): (_, &'static dyn VerificationAlgorithm) = match declared {
                None | Some("RS256") => ("RS256", &RSA_PKCS1_2048_8192_SHA256),
                Some("PS256") => ("PS256", &RSA_PSS_2048_8192_SHA256),
                Some(_) => return None,
            };
            Key::new(algorithm, scheme, rsa(&bytes("n")?, &bytes("e")?)?)
        }
        ("EC", Some("P-256")) if matches!(declared, None | Some("ES256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            Key::new("ES256", &ECDSA_P256_SHA256_FIXED, point)
        }
        ("OKP", Some("Ed25519")) if matches!(declared, None | Some("EdDSA" | "Ed25519")) => {
            Key::new("EdDSA", &ED25519, bytes("x")?)
        }
        _ => None,
    }
}

/// An RSA public key as PKCS #1 `RSAPublicKey` DER (RFC 8017, A.1.1). At least 2048 bits, an odd exponent
/// of at least 65537.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let trim =
        |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().skip_while(|b| *b == 0).collect() };
    let (modulus, exponent) = (trim(modulus), trim(exponent));
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let value = exponent
        .iter()
        .try_fold(0u64, |sum, b| sum.checked_mul(256)?.checked_add(u64::from(*b)))?;
    if !(2048..=8192).contains(&bits) || value < 65537 || value % 2 == 0 {
        return None;
    }
    let body = [der(2, &unsigned(modulus)), der(2, &unsigned(exponent))].concat();
    Some(der(0x30, &body))
}

fn unsigned(mut magnitude: Vec<u8>) -> Vec<u8> {
    if magnitude.first().is_some_and(|first| *first >= 0x80) {
        magnitude.insert(0, 0);
    }
    magnitude
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(one) => out.extend_from_slice(&[0x81, one]),
        Err(_) => {
            // Keys are at most 8192 bits, so two bytes always do.
            let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            out.extend_from_slice(&[0x82, high, low]);
        }
    }
    out.extend_from_slice(content);
    out
}
