use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::fhir::json;

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    /// A number in its JSON form.
    Number(String),
    Text(String),
}

/// Deepest nesting of a document.
const MAX_DEPTH: usize = 64;

/// Reads a text; the message of a failure names a place, never quotes more than the parser does.
pub fn parse(text: &str) -> Result<Node, String> {
    let node: Node = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())?
    } else {
        let mut options = serde_saphyr::Options::default();
        options.strict_booleans = true;
        options.with_snippet = false;
        options.reject_unsupported_tags = true;
        options.alias_limits.max_total_replayed_events = 0;
        serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())?
    };
    if node.depth() > MAX_DEPTH {
        Err("the document is nested too deeply".to_owned())
    } else {
        Ok(node)
    }
}

impl Node {
    /// A member of a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(n, _)| n == name).map(|(_, node)| node)
    }

    /// The members of a map; none for anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            _ => &[],
        }
    }

    /// A scalar as text; `None` for null, lists and maps.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Scalar(Scalar::Text(text) | Scalar::Number(text)) => Some(Cow::Borrowed(text)),
            Self::Scalar(Scalar::Bool(truth)) => {
                Some(Cow::Borrowed(if *truth { "true" } else { "false" }))
            }
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(Scalar::Null))
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(Scalar::Null) => "nothing",
            Self::Scalar(Scalar::Bool(_)) => "true or false",
            Self::Scalar(Scalar::Number(_)) => "a number",
            Self::Scalar(Scalar::Text(_)) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a group of named parts",
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Scalar(_) => 0,
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(items) => 1 + items.iter().map(|(_, n)| n.depth()).max().unwrap_or(0),
        }
    }

    /// Appends the canonical JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(Scalar::Null) => out.extend_from_slice(b"null"),
            Self::Scalar(Scalar::Bool(true)) => out.extend_from_slice(b"true"),
            Self::Scalar(Scalar::Bool(false)) => out.extend_from_slice(b"false"),
            Self::Scalar(Scalar::Number(number)) => out.extend_from_slice(number.as_bytes()),
            Self::Scalar(Scalar::Text(text)) => json::write_string(out, text),
            Self::List(items) => {
                out.push(b'[');
                for item in items {
                    json::separate(out);
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Map(members) => {
                out.push(b'{');
                for (name, node) in members {
                    json::key(out, name);
                    node.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null, a list or a group of named parts")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        if !value.is_finite() {
            return Err(E::custom("a number must be finite"));
        }
        Ok(Node::Scalar(Scalar::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Text(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Scalar::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        Node::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut map: Vec<(String, Node)> = Vec::new();
        while let Some(name) = members.next_key::<Node>()? {
            let Node::Scalar(Scalar::Text(name)) = name else {
                return Err(A::Error::custom("a key must be a text: put it in quotes"));
            };
            if map.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a key is given twice"));
            }
            map.push((name, members.next_value()?));
        }
        Ok(Node::Map(map))
    }
}
