//! Leaves: constants, columns through transforms, and the short forms of a few types.

use crate::fhir::elements::TypeDef;
use crate::fhir::{json, primitive};
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::Out;
use crate::mapping::syntax::{self, LeafText};
use crate::mapping::tree::{Const, Leaf, Tree};

use super::scope::Scope;
use super::template::Place;
use super::{Builder, Compiler};

/// What a leaf is to become.
pub(super) struct Wanted<'e> {
    pub ty: &'static str,
    /// The codes of a required binding.
    pub codes: Option<&'e [&'static str]>,
    /// The types a reference may point to; empty for any.
    pub targets: &'e [&'static str],
    pub path: &'e str,
}

impl<'c> Compiler<'c> {
    /// Compiles a leaf of a primitive type.
    pub(super) fn leaf_of(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        let Place { element, ty, targets, at, path } = place;
        let elements = self.elements;
        let codes = element.binding.and_then(|set| elements.value_set(set));
        let wanted = Wanted { ty, codes: codes.map(|s| s.codes.as_slice()), targets, path };
        let text = match node {
            Node::Scalar(Scalar::Text(text)) => text,
            Node::Scalar(_) => {
                let text = node.text()?;
                return self.constant(
                    &wanted,
                    &text,
                    matches!(node, Node::Scalar(Scalar::Bool(_))),
                    at,
                );
            }
            _ => {
                let message = format!("{path} is a single {ty}; here stands {}.", node.kind());
                let hint = "Write a column (`$name`) or a constant.";
                self.problems.error(at, "shape", message, hint);
                return None;
            }
        };
        match syntax::leaf(text) {
            Err(message) => {
                let hint = "A leaf is `$column | transform('argument')`; a constant that begins with $ is written $$.";
                self.problems.error(at, "leaf", format!("The leaf is broken: {message}."), hint);
                None
            }
            Ok(LeafText::Constant(constant)) => {
                let tree = self.constant(&wanted, &constant, false, at)?;
                if !text.starts_with('$') {
                    self.doubt(b, scope, &wanted, &constant, at);
                }
                Some(tree)
            }
            Ok(LeafText::Pipe(pipe)) => {
                let lens = self.lens(scope, &pipe, &wanted, at)?;
                Some(Tree::Leaf(Leaf { lens, path: b.path(path) }))
            }
        }
    }

    /// A constant, checked to be a value of its type.
    fn constant(&mut self, wanted: &Wanted<'_>, text: &str, truth: bool, at: &str) -> Option<Tree> {
        let Wanted { ty, codes, path, .. } = wanted;
        if let Some(codes) = codes
            && !codes.contains(&text)
        {
            let message = format!("'{text}' is no code {path} may have.");
            let hint = format!("It may be: {}.", codes.join(", "));
            self.problems.error(at, "code-not-allowed", message, hint);
            return None;
        }
        let out = Self::plain_out(ty);
        let good = match &out {
            Some(Out::Boolean) => truth || matches!(text, "true" | "false"),
            Some(Out::DateTime | Out::Instant) => {
                let full = primitive::DateInterval::parse(text);
                full.is_some_and(|d| {
                    (d.precision <= primitive::Precision::Day) != text.contains('T')
                }) && (!text.contains('T')
                    || text.ends_with('Z')
                    || text.rfind(['+', '-']) > Some(10))
                    && (out != Some(Out::Instant) || text.contains('T'))
            }
            Some(out) => out.fits(text),
            None => false,
        };
        if !good {
            let message = format!("'{text}' is no {ty}, and {path} is one.");
            let hint = if out.is_none() {
                format!("The type {ty} is not served yet.")
            } else {
                // `$case.part` without more is what the case says, which often is a column's name.
                let named = text.starts_with(|c: char| c.is_alphabetic());
                let named = named && text.chars().all(|c| c.is_alphanumeric() || c == '_');
                let case = " Of a case, `$case.part | first` is the column that the part names.";
                let case = if named { case } else { "" };
                format!("Write a {ty} as FHIR does, or a column: `$name`.{case}")
            };
            self.problems.error(at, "type", message, hint);
            return None;
        }
        let mut json = Vec::new();
        if out.is_some_and(|out| out.bare()) {
            json.extend_from_slice(text.as_bytes());
        } else {
            json::write_string(&mut json, text);
        }
        Some(Tree::Const(Const { json: json.into_boxed_slice(), text: text.to_owned() }))
    }

    /// How a value of a primitive type is checked; `None` for types not served.
    pub(super) fn plain_out(ty: &str) -> Option<Out> {
        Some(match ty {
            "string" | "markdown" => Out::Text,
            "base64Binary" => Out::Base64,
            "code" => Out::Code(None),
            "id" => Out::Id,
            "uri" | "url" | "canonical" | "oid" | "uuid" => Out::Uri,
            "boolean" => Out::Boolean,
            "decimal" => Out::Decimal,
            "integer" => Out::Integer { min: i64::from(i32::MIN), max: i64::from(i32::MAX) },
            "positiveInt" => Out::Integer { min: 1, max: i64::from(i32::MAX) },
            "unsignedInt" => Out::Integer { min: 0, max: i64::from(i32::MAX) },
            "date" => Out::Date,
            "dateTime" => Out::DateTime,
            "instant" => Out::Instant,
            "time" => Out::Time,
            _ => return None,
        })
    }

    /// The short forms: one leaf where a whole object could stand.
    pub(super) fn short(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        ty: &'c TypeDef,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        let Place { targets, at, path, .. } = place;
        let text = node.text().unwrap_or_default();
        let whole = match ty.name {
            "Reference" => Some(one("reference", &text)),
            "Coding" => self.coding(&text),
            "CodeableConcept" => self
                .coding(&text)
                .map(|coding| Node::Map(vec![("coding".to_owned(), Node::List(vec![coding]))])),
            _ => None,
        };
        let Some(whole) = whole else {
            let message = format!("{path} is of the type {}, which has parts.", ty.name);
            let hint = match ty.name {
                "Coding" | "CodeableConcept" => {
                    "Write `$column | code(map)`, or {text: $column} for a text alone.".to_owned()
                }
                _ => format!("Write its parts: {}.", ty.member_names().join(", ")),
            };
            self.problems.error(at, "shape", message, hint);
            return None;
        };
        self.object(b, scope, ty, &whole, (at, path), targets).map(Tree::Object)
    }

    /// `$column | … | code(map)` as system, code and display.
    fn coding(&self, text: &str) -> Option<Node> {
        let Ok(LeafText::Pipe(pipe)) = syntax::leaf(text) else { return None };
        let last = pipe.calls.last().filter(|call| call.name == "code")?;
        let name = last.args.first()?;
        let map = self.codes.get(name)?;
        let (before, _) = text.rsplit_once('|')?;
        let mut members = Vec::new();
        let member = |name: &str, text: String| (name.to_owned(), Node::Scalar(Scalar::Text(text)));
        if let Some(system) = map.only_system() {
            members.push(member("system", system.to_owned()));
        } else if map.all().any(|coded| coded.system.is_some()) {
            members.push(member("system", format!("{before}| system({name})")));
        }
        members.push(member("code", text.to_owned()));
        if map.all().any(|coded| coded.display.is_some()) {
            members.push(member("display", format!("{before}| display({name})")));
        }
        Some(Node::Map(members))
    }
}

fn one(name: &str, text: &str) -> Node {
    Node::Map(vec![(name.to_owned(), Node::Scalar(Scalar::Text(text.to_owned())))])
}
