//! Taking a compact JWS apart, strictly (RFC 7515, 7.1; RFC 8725).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fault::AuthFault;

/// Longest `kid` taken.
const KID_LONGEST: usize = 256;

/// A token taken apart. Nothing in it is trusted before its signature is verified.
pub(super) struct Unverified<'t> {
    pub(super) algorithm: String,
    pub(super) kid: String,
    pub(super) claims: Map<String, Value>,
    /// What was signed.
    pub(super) input: &'t [u8],
    pub(super) signature: Vec<u8>,
}

/// Takes `token` apart. Whatever is not a plain signed token of three parts is refused by reason.
pub(super) fn parse(token: &str) -> Result<Unverified<'_>, AuthFault> {
    let invalid = AuthFault::InvalidToken;
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(invalid("segments"));
    };
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(invalid("empty_segment"));
    }
    let input = token.as_bytes().get(..header.len() + 1 + payload.len()).unwrap_or_default();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid("base64"));
    let header = object(&decode(header)?)?;
    let claims = object(&decode(payload)?)?;
    let signature = decode(signature)?;
    let (algorithm, kid) = check_header(&header)?;
    Ok(Unverified { algorithm, kid, claims, input, signature })
}

fn check_header(header: &Map<String, Value>) -> Result<(String, String), AuthFault> {
    let invalid = AuthFault::InvalidToken;
    // A token that brings its own key, or asks for behaviour we do not have, is an attack or a mistake.
    for refused in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "enc", "zip"] {
        if header.contains_key(refused) {
            return Err(invalid("header_parameter"));
        }
    }
    let kind = match header.get("typ") {
        None => "JWT",
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(invalid("header_typ")),
    };
    if !kind.eq_ignore_ascii_case("jwt") && !kind.eq_ignore_ascii_case("at+jwt") {
        return Err(invalid("header_typ"));
    }
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = text("alg").ok_or(invalid("alg"))?;
    let kid =
        text("kid").filter(|k| !k.is_empty() && k.len() <= KID_LONGEST).ok_or(invalid("kid"))?;
    Ok((algorithm.to_owned(), kid.to_owned()))
}

/// A JSON object without duplicate names at any level.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, AuthFault> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(Value::Object(map))) => Ok(map),
        _ => Err(AuthFault::InvalidToken("json")),
    }
}

/// A JSON value whose objects have no duplicate names; serde_json's own takes the last one silently.
/// Depth is bounded by serde_json (128).
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        Number::from_f64(v).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate name"));
            }
        }
        Ok(Value::Object(map))
    }
}
