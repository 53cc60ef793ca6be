//! The resource-shaped template, compiled, and how a row is written through it.
//!
//! Folding (FHIR R4, 2.6.2: no empty values): a NULL leaf is absent; an object or array in which no leaf
//! gave anything is absent as a whole, its constants included. The writer notes where it stood, writes on,
//! and goes back when nothing came.

use jiff::tz::TimeZone;

use super::leaf::{Kind, Leaf};
use super::rows::Row;

/// A node of the template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// An object; each key with its colon, already written as JSON.
    Object(Vec<(String, Node)>),
    /// An array of items, each present or not.
    Array(Vec<Node>),
    /// One item for each row of a one-to-many table.
    Each(usize, Box<Node>),
    /// A value from columns.
    Leaf(Leaf),
    /// A constant, already written as JSON.
    Constant(String),
}

/// Rows a template is filled from.
pub(super) struct Filling<'r> {
    /// The row itself.
    pub(super) row: Row<'r>,
    /// For each one-to-many table, the rows that belong to it.
    pub(super) children: &'r [Vec<Row<'r>>],
    /// The tenant's zone.
    pub(super) zone: &'r TimeZone,
}

/// Counts cells that could not be rendered, by place in the document.
pub(super) type BadCells = Vec<usize>;

/// Writes an object's members after others that stand already. `false` if one of `required` is missing.
pub(super) fn members(
    root: &Node,
    required: &[String],
    filling: &Filling<'_>,
    out: &mut Vec<u8>,
    bad: &mut BadCells,
) -> bool {
    let Node::Object(members) = root else { return false };
    let mut complete = true;
    for (key, node) in members {
        let before = out.len();
        out.push(b',');
        out.extend_from_slice(key.as_bytes());
        if value(node, filling, out, bad) == Written::Nothing {
            out.truncate(before);
            complete &= !required.contains(key);
        }
    }
    complete
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Constant,
    Value,
}

fn value(node: &Node, filling: &Filling<'_>, out: &mut Vec<u8>, bad: &mut BadCells) -> Written {
    match node {
        Node::Constant(json) => {
            out.extend_from_slice(json.as_bytes());
            Written::Constant
        }
        Node::Leaf(leaf) => {
            if let Ok(values) = leaf.values(|slot| filling.row.get(slot), filling.zone) {
                match values.into_iter().next() {
                    Some(text) => {
                        scalar(leaf.kind, &text, out);
                        Written::Value
                    }
                    None => Written::Nothing,
                }
            } else {
                bad.push(leaf.path);
                Written::Nothing
            }
        }
        Node::Object(members) => folded(node, object(members, filling, out, bad)),
        Node::Array(items) => folded(node, array(items, filling, out, bad)),
        Node::Each(..) => Written::Nothing,
    }
}

/// Where columns are named and none gave anything, the constants beside them say nothing.
fn folded(node: &Node, written: Written) -> Written {
    if written == Written::Constant && is_filled(node) { Written::Nothing } else { written }
}

fn object(
    members: &[(String, Node)],
    filling: &Filling<'_>,
    out: &mut Vec<u8>,
    bad: &mut BadCells,
) -> Written {
    let mut list = List::begin(out, b'{');
    for (key, node) in members {
        list.add(out, |out| {
            out.extend_from_slice(key.as_bytes());
            value(node, filling, out, bad)
        });
    }
    list.end(out, b'}')
}

fn array(items: &[Node], filling: &Filling<'_>, out: &mut Vec<u8>, bad: &mut BadCells) -> Written {
    let mut list = List::begin(out, b'[');
    for item in items {
        match item {
            Node::Each(child, inner) => {
                for row in filling.children.get(*child).into_iter().flatten() {
                    let inside = Filling { row: *row, children: &[], zone: filling.zone };
                    list.add(out, |out| value(inner, &inside, out, bad));
                }
            }
            Node::Leaf(leaf) if leaf.splits() => {
                match leaf.values(|slot| filling.row.get(slot), filling.zone) {
                    Err(_) => bad.push(leaf.path),
                    Ok(texts) => {
                        for text in texts {
                            list.add(out, |out| {
                                scalar(leaf.kind, &text, out);
                                Written::Value
                            });
                        }
                    }
                }
            }
            node => list.add(out, |out| value(node, filling, out, bad)),
        }
    }
    list.end(out, b']')
}

/// Members or items under construction: puts the commas, and takes back what gave nothing.
struct List {
    empty: bool,
    written: Written,
}

impl List {
    fn begin(out: &mut Vec<u8>, open: u8) -> Self {
        out.push(open);
        Self { empty: true, written: Written::Nothing }
    }

    fn add(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Written) {
        let before = out.len();
        if !self.empty {
            out.push(b',');
        }
        match write(out) {
            Written::Nothing => out.truncate(before),
            written => {
                self.empty = false;
                if self.written != Written::Value {
                    self.written = written;
                }
            }
        }
    }

    fn end(self, out: &mut Vec<u8>, close: u8) -> Written {
        out.push(close);
        self.written
    }
}

/// Whether any column is named in it.
fn is_filled(node: &Node) -> bool {
    match node {
        Node::Constant(_) => false,
        Node::Leaf(_) | Node::Each(..) => true,
        Node::Array(items) => items.iter().any(is_filled),
        Node::Object(members) => members.iter().any(|(_, node)| is_filled(node)),
    }
}

fn scalar(kind: Kind, text: &str, out: &mut Vec<u8>) {
    match kind {
        Kind::Number | Kind::Boolean => out.extend_from_slice(text.as_bytes()),
        Kind::Text => string(text, out),
    }
}

/// A JSON string. Control characters other than tab, CR and LF are not allowed in FHIR strings (R4,
/// 2.24.0.1) and are left out.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for letter in text.chars() {
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            other if other.is_control() => {}
            other => {
                let mut buffer = [0; 4];
                out.extend_from_slice(other.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    out.push(b'"');
}
