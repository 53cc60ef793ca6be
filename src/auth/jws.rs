//! The compact serialisation of RFC 7515, strictly: three segments, base64url without padding and
//! without stray bits, and a header from a short list.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Json, Object};
use super::keys::Alg;

/// Why a token is no good, as a code.
pub(super) type Bad = &'static str;

/// The longest accepted `kid`, in bytes.
const MAX_KID: usize = 256;

/// Header members that point at keys, encrypt, compress or change what is signed. None has a place in
/// an issuer's token; refusing is louder than ignoring.
const REFUSED_MEMBERS: [&str; 10] =
    ["jwk", "jku", "x5u", "x5c", "crit", "b64", "enc", "zip", "epk", "cty"];

/// A token taken apart, nothing judged yet.
pub(super) struct Jws<'t> {
    /// What the signature is over: the first two segments as they came.
    pub signed: &'t [u8],
    pub signature: Vec<u8>,
    header: Vec<u8>,
    payload: Vec<u8>,
}

/// What a token says about itself before it is believed.
pub(super) struct Header<'a> {
    pub alg: Alg,
    pub kid: Cow<'a, str>,
    pub typ: Typ,
}

/// The media type in a header's `typ`, compared without case (RFC 7515 section 4.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typ {
    Jwt,
    AccessToken,
    LogoutToken,
}

impl<'t> Jws<'t> {
    pub(super) fn split(token: &'t str) -> Result<Self, Bad> {
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err("not_three_segments");
        };
        let decode = |segment: &str| match segment {
            "" => Err("empty_segment"),
            segment => URL_SAFE_NO_PAD.decode(segment).map_err(|_| "not_base64url"),
        };
        Ok(Self {
            signed: &token.as_bytes()[..header.len() + 1 + payload.len()],
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    pub(super) fn header(&self) -> Result<Header<'_>, Bad> {
        let mut header = Json::object(&self.header).ok_or("header_not_strict_json")?;
        if REFUSED_MEMBERS.iter().any(|name| header.contains_key(*name)) {
            return Err("header_member_refused");
        }
        let alg = header.get("alg").and_then(Json::text).and_then(Alg::named);
        let alg = alg.ok_or("alg_refused")?;
        let typ = match header.get("typ").map(Json::text) {
            Some(Some(typ)) => Typ::named(typ).ok_or("header_typ_refused")?,
            Some(None) => return Err("header_typ_refused"),
            None => return Err("header_typ_missing"),
        };
        let kid = match header.remove("kid") {
            Some(Json::Text(kid)) if !kid.is_empty() && kid.len() <= MAX_KID => kid,
            Some(_) => return Err("kid_malformed"),
            None => return Err("kid_missing"),
        };
        Ok(Header { alg, kid, typ })
    }

    pub(super) fn claims(&self) -> Result<Object<'_>, Bad> {
        Json::object(&self.payload).ok_or("payload_not_strict_json")
    }
}

impl Typ {
    fn named(text: &str) -> Option<Self> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        if is("JWT") {
            Some(Self::Jwt)
        } else if is("at+jwt") || is("application/at+jwt") {
            Some(Self::AccessToken)
        } else if is("logout+jwt") || is("application/logout+jwt") {
            Some(Self::LogoutToken)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn header_of(json: &str) -> Result<(), Bad> {
        let token = format!("{}.{}.{}", encode(json.as_bytes()), encode(b"{}"), encode(b"s"));
        let jws = Jws::split(&token)?;
        jws.header().map(|_| ())
    }

    #[test]
    fn a_header_is_from_a_short_list() {
        assert_eq!(header_of(r#"{"alg":"RS256","typ":"JWT","kid":"k"}"#), Ok(()));
        assert_eq!(header_of(r#"{"alg":"EdDSA","typ":"at+JWT","kid":"k","x5t":"y"}"#), Ok(()));
        for (json, why) in [
            (r#"{"alg":"none","typ":"JWT","kid":"k"}"#, "alg_refused"),
            (r#"{"alg":"HS256","typ":"JWT","kid":"k"}"#, "alg_refused"),
            (r#"{"alg":"rs256","typ":"JWT","kid":"k"}"#, "alg_refused"),
            (r#"{"alg":["RS256"],"typ":"JWT","kid":"k"}"#, "alg_refused"),
            (r#"{"typ":"JWT","kid":"k"}"#, "alg_refused"),
            (r#"{"alg":"RS256","kid":"k"}"#, "header_typ_missing"),
            (r#"{"alg":"RS256","typ":"dpop+jwt","kid":"k"}"#, "header_typ_refused"),
            (r#"{"alg":"RS256","typ":1,"kid":"k"}"#, "header_typ_refused"),
            (r#"{"alg":"RS256","typ":"JWT"}"#, "kid_missing"),
            (r#"{"alg":"RS256","typ":"JWT","kid":""}"#, "kid_malformed"),
            (r#"{"alg":"RS256","typ":"JWT","kid":7}"#, "kid_malformed"),
            (r#"{"alg":"RS256","typ":"JWT","kid":"k","crit":[]}"#, "header_member_refused"),
            (r#"{"alg":"RS256","typ":"JWT","kid":"k","b64":true}"#, "header_member_refused"),
            (r#"{"alg":"RS256","alg":"none","typ":"JWT","kid":"k"}"#, "header_not_strict_json"),
        ] {
            assert_eq!(header_of(json), Err(why), "{json}");
        }
        let long = format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{}"}}"#, "k".repeat(257));
        assert_eq!(header_of(&long), Err("kid_malformed"));
    }

    #[test]
    fn three_segments_of_strict_base64url() {
        let why = |token: &str| Jws::split(token).err();
        assert_eq!(why("e30.e30.QQ"), None);
        for token in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", "......"] {
            assert_eq!(why(token), Some("not_three_segments"), "{token}");
        }
        for token in [".e30.QQ", "e30..QQ", "e30.e30."] {
            assert_eq!(why(token), Some("empty_segment"), "{token}");
        }
        for token in
            ["e30=.e30.QQ", "e30.e30.QQ==", "e3 0.e30.QQ", "e30.e30.QR", "e30.e30.+/", "e30.e31.Q"]
        {
            assert_eq!(why(token), Some("not_base64url"), "{token}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in r"[A-Za-z0-9_.=+/ -]{0,200}") {
            if let Ok(jws) = Jws::split(&text) {
                let _ = (jws.header().is_ok(), jws.claims().is_ok());
            }
        }

        #[test]
        fn there_is_one_spelling_of_every_token(
            bytes in proptest::collection::vec(any::<u8>(), 1..40),
            other in r"[A-Za-z0-9_-]{1,54}",
        ) {
            let text = encode(&bytes);
            if let Ok(jws) = Jws::split(&format!("e30.e30.{other}"))
                && jws.signature == bytes
            {
                prop_assert_eq!(other, text);
            }
        }
    }
}
