//! What changes between two mappings, in the words of whoever wrote them: by resource, element, code and
//! search parameter.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::{Document, Node};
use crate::fhir::capability::TypeCapability;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is about: `Patient 'pacientes'`, `code map 'sexo'`, `database`.
    pub about: String,
    /// The part, such as `map.name[0].family`; empty for the whole.
    pub part: String,
    /// `added`, `removed` or `changed`.
    pub kind: &'static str,
    /// How it was, as written; empty when it was not there.
    pub before: String,
    /// How it is; empty when it is not there any more.
    pub after: String,
}

/// What changes between two documents.
pub fn documents(before: &Document, after: &Document) -> Vec<Change> {
    let mut changes = Vec::new();
    for part in ["title", "description", "fhir"] {
        compare(
            &mut changes,
            "the document",
            part,
            before.root().get(part),
            after.root().get(part),
        );
    }
    compare(
        &mut changes,
        "database",
        "",
        before.root().get("database"),
        after.root().get("database"),
    );
    for (member, what) in [("codes", "code map"), ("sources", "source")] {
        let (before, after) = (named(before, member, what), named(after, member, what));
        pairs(&mut changes, &before, &after);
    }
    pairs(&mut changes, &entries(before), &entries(after));
    changes
}

type Named<'n> = Vec<(String, &'n Node)>;

/// The members of one part of the document, as `code map 'sexo'`.
fn named<'n>(document: &'n Document, member: &str, what: &str) -> Named<'n> {
    let members = document.root().get(member).map(Node::members).unwrap_or_default();
    members.iter().map(|(name, node)| (format!("{what} '{name}'"), node)).collect()
}

/// The entries of `resources`, by type and name; those without a name by their table.
fn entries(document: &Document) -> Named<'_> {
    let Some(Node::List(items)) = document.root().get("resources") else { return Vec::new() };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for item in items {
        let text =
            |name: &str| item.get(name).and_then(Node::text).map(std::borrow::Cow::into_owned);
        let from = item.get("from").and_then(|from| from.get("table")).and_then(Node::text);
        let table = from.map(std::borrow::Cow::into_owned).unwrap_or_default();
        let name = text("name").unwrap_or(table);
        let about = format!("{} '{name}'", text("type").unwrap_or_default());
        let number = seen.entry(about.clone()).or_default();
        *number += 1;
        let about = if *number > 1 { format!("{about} ({number})") } else { about };
        found.push((about, item));
    }
    found
}

fn pairs(changes: &mut Vec<Change>, before: &Named<'_>, after: &Named<'_>) {
    let find = |all: &Named<'_>, about: &str| all.iter().any(|(known, _)| known == about);
    for (about, node) in before {
        match after.iter().find(|(known, _)| known == about) {
            Some((_, now)) => compare(changes, about, "", Some(node), Some(now)),
            None => whole(changes, about, "removed", Some(node), None),
        }
    }
    for (about, node) in after.iter().filter(|(about, _)| !find(before, about)) {
        whole(changes, about, "added", None, Some(node));
    }
}

fn whole(
    changes: &mut Vec<Change>,
    about: &str,
    kind: &'static str,
    before: Option<&Node>,
    after: Option<&Node>,
) {
    let said = |node: Option<&Node>| node.map(summary).unwrap_or_default();
    let (before, after) = (said(before), said(after));
    changes.push(Change { about: about.to_owned(), part: String::new(), kind, before, after });
}

/// An entry in a few words; anything else as it is written.
fn summary(node: &Node) -> String {
    let table = node.get("from").and_then(|f| f.get("table")).and_then(Node::text);
    match (table, node.get("map")) {
        (Some(table), Some(map)) => {
            let names: Vec<&str> = map.members().iter().map(|(name, _)| name.as_str()).collect();
            format!("from '{table}' with {}", names.join(", "))
        }
        _ => written(node),
    }
}

fn written(node: &Node) -> String {
    let mut out = Vec::new();
    node.write(&mut out);
    let text = String::from_utf8(out).unwrap_or_default();
    let bare = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .filter(|t| !t.contains(['"', '\\']));
    bare.map_or(text.clone(), str::to_owned)
}

fn compare(
    changes: &mut Vec<Change>,
    about: &str,
    part: &str,
    before: Option<&Node>,
    after: Option<&Node>,
) {
    let step =
        |name: &str| if part.is_empty() { name.to_owned() } else { format!("{part}.{name}") };
    match (before, after) {
        (None, None) => {}
        (Some(a), Some(b)) if a == b => {}
        (Some(a @ Node::Map(_)), Some(b @ Node::Map(_))) => {
            for (name, node) in a.members() {
                compare(changes, about, &step(name), Some(node), b.get(name));
            }
            for (name, node) in b.members().iter().filter(|(name, _)| a.get(name).is_none()) {
                compare(changes, about, &step(name), None, Some(node));
            }
        }
        (Some(Node::List(a)), Some(Node::List(b))) => {
            for number in 0..a.len().max(b.len()) {
                let part = format!("{part}[{number}]");
                compare(changes, about, &part, a.get(number), b.get(number));
            }
        }
        (before, after) => {
            let kind = match (before, after) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            let said = |node: Option<&Node>| node.map(written).unwrap_or_default();
            let (about, part) = (about.to_owned(), part.to_owned());
            changes.push(Change { about, part, kind, before: said(before), after: said(after) });
        }
    }
}

/// What changes of what is promised: types, interactions, search parameters.
pub fn capabilities(before: &[TypeCapability], after: &[TypeCapability]) -> Vec<String> {
    let mut lines = Vec::new();
    let find = |all: &'_ [TypeCapability], ty: &str| all.iter().position(|c| c.resource_type == ty);
    let list = |c: &TypeCapability| {
        let names: Vec<&str> = c.search_params.iter().map(|p| p.name.as_str()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    for old in before {
        let ty = &old.resource_type;
        let Some(new) = find(after, ty).and_then(|n| after.get(n)) else {
            lines.push(format!("{ty} is not served any more"));
            continue;
        };
        let missing = |a: &TypeCapability, b: &TypeCapability| {
            let names = a
                .search_params
                .iter()
                .filter(|p| !b.search_params.iter().any(|q| q.name == p.name));
            names.map(|p| p.name.clone()).collect::<Vec<_>>().join(", ")
        };
        let (lost, gained) = (missing(old, new), missing(new, old));
        if !lost.is_empty() {
            lines.push(format!("{ty} cannot be searched by {lost} any more"));
        }
        if !gained.is_empty() {
            lines.push(format!("{ty} can be searched by {gained}"));
        }
        let gone = old.interactions.iter().filter(|i| !new.interactions.contains(i));
        lines.extend(gone.map(|i| format!("{ty} does not answer to {i} any more")));
        let come = new.interactions.iter().filter(|i| !old.interactions.contains(i));
        lines.extend(come.map(|i| format!("{ty} answers to {i}")));
    }
    for new in after.iter().filter(|c| find(before, &c.resource_type).is_none()) {
        lines.push(format!("{} is served, searched by {}", new.resource_type, list(new)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::compile;
    use crate::mapping::tests::support::{DOCUMENT, catalog};

    fn parsed(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    #[test]
    fn changes_are_told_by_element() {
        let after = DOCUMENT.replace("dd/MM/yyyy')", "yyyyMMdd')");
        assert_ne!(after, DOCUMENT);
        let changes = documents(&parsed(DOCUMENT), &parsed(&after));
        let birth = changes.iter().find(|c| c.part == "map.birthDate").expect("the birth date");
        assert!(birth.about.starts_with("Patient '"), "{birth:?}");
        assert_eq!((birth.kind, birth.after.as_str()), ("changed", "$nac | date('yyyyMMdd')"));
        assert!(documents(&parsed(DOCUMENT), &parsed(DOCUMENT)).is_empty());
    }

    #[test]
    fn entries_and_code_maps_come_and_go() {
        let head = "mapping: 1\n";
        let one = parsed(&format!(
            "{head}codes: {{a: {{values: {{x: y}}}}}}\nresources:\n  - {{type: Patient, from: {{table: t}}, map: {{active: true}}}}"
        ));
        let two = parsed(&format!(
            "{head}resources:\n  - {{type: Patient, from: {{table: u}}, map: {{gender: male}}}}"
        ));
        let said: Vec<String> =
            documents(&one, &two).iter().map(|c| format!("{} {}", c.kind, c.about)).collect();
        assert_eq!(said, ["removed code map 'a'", "removed Patient 't'", "added Patient 'u'"]);
    }

    #[test]
    fn what_is_promised_is_compared() {
        let capability = |text: &str| compile(&parsed(text), &catalog()).unwrap().capability();
        let before = capability(DOCUMENT);
        let without: String = DOCUMENT
            .lines()
            .filter(|l| !l.trim_start().starts_with("birthDate:"))
            .fold(String::new(), |t, l| t + l + "\n");
        let lines = capabilities(&before, &capability(&without));
        assert_eq!(lines, ["Patient cannot be searched by birthdate any more"]);
    }
}
