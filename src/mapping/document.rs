use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::problem::{MappingProblem, Problems};

/// Largest document, in bytes.
const LARGEST: usize = 1024 * 1024;

/// A mapping document: a JSON object, written as YAML or JSON. What it means is found out by
/// [`compile`](super::compile()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document(pub(super) Map<String, Value>);

impl Document {
    /// Reads YAML 1.2 or JSON (which is YAML). Keys must be texts and may not repeat.
    pub fn parse(text: &str) -> Result<Self, Vec<MappingProblem>> {
        let mut problems = Problems::default();
        if text.len() > LARGEST {
            problems.error("", "too-large", "the document is larger than 1 MiB", "split it");
            return Err(problems.0);
        }
        match serde_saphyr::from_str::<Strict>(text) {
            Ok(Strict(Value::Object(map))) => Ok(Self(map)),
            Ok(_) => {
                let hint = "begin with `mapping: 1`";
                problems.error("", "not-an-object", "the document is not a set of keys", hint);
                Err(problems.0)
            }
            Err(error) => {
                let place = error
                    .location()
                    .map_or_else(String::new, |at| format!(" at line {}", at.line()));
                let message = format!("this is not readable as YAML or JSON{place}");
                let hint = "check the indentation, quote texts that hold `: ` or `#`, and write each \
                            key once and as a text";
                problems.error("", "syntax", message, hint);
                Err(problems.0)
            }
        }
    }

    /// The canonical form.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

/// A value whose maps have text keys, none of them twice.
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
        f.write_str("a value")
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

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Strict::deserialize(from).map(|s| s.0)
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
        while let Some((Strict(name), Strict(value))) = entries.next_entry()? {
            // YAML reads an unquoted 1, yes or null as something else than a text.
            let Value::String(name) = name else {
                return Err(de::Error::custom("a key that is not a text"));
            };
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("a key that stands twice"));
            }
        }
        Ok(Value::Object(map))
    }
}
