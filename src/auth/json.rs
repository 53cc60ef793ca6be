//! JSON as strictly as a token deserves: UTF-8, one value and nothing after it, no object key twice at
//! any level, bounded depth, and integers kept apart from other numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deeper nesting is refused; Keycloak's tokens nest four deep.
const MAX_DEPTH: u8 = 16;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool,
    /// A number written without fraction and exponent that fits.
    Integer(i64),
    /// Any other number.
    Number,
    Text(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// A JSON object; no key is in it twice.
pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

impl<'a> Json<'a> {
    /// Parses one value that is an object; `None` for everything else.
    pub(super) fn object(bytes: &'a [u8]) -> Option<Object<'a>> {
        let mut from = serde_json::Deserializer::from_slice(bytes);
        let value = Value { depth: MAX_DEPTH }.deserialize(&mut from).ok()?;
        from.end().ok()?;
        match value {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text, when it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Finds a claim: by its whole name, else as a path with dots, the longest leading name first. So
/// `realm_access.roles`, `resource_access.my.client.roles` and `https://example.org/tenant` are all found.
pub(super) fn find<'o, 'a>(object: &'o Object<'a>, path: &str) -> Option<&'o Json<'a>> {
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| match object.get(&path[..dot]) {
        Some(Json::Object(inner)) => find(inner, &path[dot + 1..]),
        _ => None,
    })
}

struct Value {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Value {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Number, Json::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = from.next_element_seed(self.inner()?)? {
            array.push(value);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json<'de>, A::Error> {
        let mut object = Object::new();
        while let Some(key) = from.next_key_seed(Key)? {
            let value = from.next_value_seed(self.inner()?)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Json::Object(object))
    }
}

/// An object key, borrowed where it holds no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_strict_object_passes() {
        assert!(Json::object(br#"{"a":1,"b":{"a":[{"a":null}]}}"#).is_some());
        for bad in [
            &b""[..],
            b"null",
            b"[]",
            b"{",
            b"{}{}",
            b"{} x",
            b"\xef\xbb\xbf{}",
            br#"{"a":1,"a":1}"#,
            br#"{"a":1,"\u0061":1}"#,
            br#"{"x":{"a":1,"a":2}}"#,
            br#"{"x":[{"a":1,"a":2}]}"#,
            b"{\"a\":\"\xff\"}",
            br#"{"a":"\ud800"}"#,
            br#"{"a":01}"#,
            br#"{"a":NaN}"#,
            b"{'a':1}",
            br#"{"a":1,}"#,
            b"{\"a\":\"\n\"}",
        ] {
            assert!(Json::object(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::object(nested(15).as_bytes()).is_some());
        assert!(Json::object(nested(17).as_bytes()).is_none());
        assert!(Json::object(nested(10_000).as_bytes()).is_none());
        let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert!(Json::object(objects.as_bytes()).is_none());
    }

    #[test]
    fn integers_are_kept_apart() {
        let object = Json::object(
            br#"{"i":-5,"f":1.0,"e":1e3,"big":18446744073709551615,"huge":1e400000000}"#,
        );
        assert_eq!(object, None, "an overflowing number is no JSON number here");
        let object = Json::object(br#"{"i":-5,"f":1.0,"e":1e3,"big":18446744073709551615}"#);
        let object = object.unwrap();
        assert_eq!(object["i"], Json::Integer(-5));
        for other in ["f", "e", "big"] {
            assert_eq!(object[other], Json::Number, "{other}");
        }
    }

    #[test]
    fn claims_are_found_by_name_first_then_by_path() {
        let object = Json::object(
            br#"{"a":{"b":"path","b.c":{"d":"dotted"}},"a.b":"name","urn:x:y.z":"colon",
                 "text":"t"}"#,
        )
        .unwrap();
        let at = |path| find(&object, path).and_then(Json::text);
        assert_eq!(at("a.b"), Some("name"));
        assert_eq!(at("a.b.c.d"), Some("dotted"));
        assert_eq!(at("urn:x:y.z"), Some("colon"));
        for missing in ["a.c", "text.t", "", ".", "a.", ".a", "A.b"] {
            assert_eq!(at(missing), None, "{missing}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Json::object(&bytes);
        }

        #[test]
        fn what_passes_is_what_serde_reads(text in r#"\{("[a-c]":(1|"x"|\[\]|\{"[ab]":1(,"[ab]":2)?\}),?){0,3}\}"#) {
            let strict = Json::object(text.as_bytes());
            let lax = serde_json::from_str::<serde_json::Value>(&text);
            if let Some(strict) = &strict {
                let lax = lax.unwrap();
                prop_assert_eq!(strict.len(), lax.as_object().unwrap().len());
                prop_assert_eq!(text.matches("\"a\"").count() <= 1 + text.matches('{').count(), true);
            }
        }
    }
}
