//! `cases:` — one wide row, several resources. Each case is a source of its own, made by putting the
//! case's parts where `$case.part` stands before anything else is read.

use crate::mapping::document::{Node, Scalar};

/// One resource entry as written, or one for each of its cases.
pub(super) fn expand(node: &Node) -> Result<Vec<Node>, &'static str> {
    let Some(cases) = node.get("cases") else { return Ok(vec![node.clone()]) };
    let Node::Map(cases) = cases else {
        return Err("`cases` is a group of named cases, each a group of named parts.");
    };
    let mut expanded = Vec::new();
    for (name, parts) in cases {
        if !matches!(parts, Node::Map(_)) {
            return Err("A case is a group of named parts.");
        }
        let members = node.members().iter().filter(|(key, _)| key != "cases");
        let mut members: Vec<(String, Node)> =
            members.map(|(key, value)| (key.clone(), put(value, name, parts))).collect();
        for (key, value) in &mut members {
            if key == "name"
                && let Node::Scalar(Scalar::Text(text)) = value
            {
                *text = format!("{text}-{name}");
            }
        }
        expanded.push(Node::Map(members));
    }
    Ok(expanded)
}

/// The `item` of a list entry once for each of its cases.
pub(super) fn items(node: &Node) -> Result<Vec<Node>, &'static str> {
    let Some(Node::Map(cases)) = node.get("cases") else {
        return Err("`cases` is a group of named cases, each a group of named parts.");
    };
    let item = node.get("item").ok_or("`cases` does not say what a case becomes.")?;
    let one = |(name, parts): &(String, Node)| match parts {
        Node::Map(_) => Ok(put(item, name, parts)),
        _ => Err("A case is a group of named parts."),
    };
    cases.iter().map(one).collect()
}

fn put(node: &Node, name: &str, parts: &Node) -> Node {
    match node {
        // Its `$case` is its own.
        Node::Map(_) if node.get("cases").is_some() => node.clone(),
        Node::Scalar(Scalar::Text(text)) => {
            if let Some(part) = text.strip_prefix("$case.").and_then(|part| parts.get(part)) {
                return part.clone();
            }
            Node::Scalar(Scalar::Text(put_text(text, name, parts)))
        }
        Node::Scalar(_) => node.clone(),
        Node::List(items) => Node::List(items.iter().map(|i| put(i, name, parts)).collect()),
        Node::Map(members) => Node::Map(
            members
                .iter()
                .map(|(key, value)| {
                    let key = match key.strip_prefix("$case.").and_then(|part| parts.get(part)) {
                        Some(part) => part.text().map_or(key.clone(), std::borrow::Cow::into_owned),
                        None => key.clone(),
                    };
                    (key, put(value, name, parts))
                })
                .collect(),
        ),
    }
}

/// In a leaf, `$case.part` with a text is the column of that name; `$case` alone, the case's name.
fn put_text(text: &str, name: &str, parts: &Node) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$case") {
        out.push_str(before);
        rest = after;
        if let Some(tail) = after.strip_prefix('.') {
            let end = tail.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(tail.len());
            let (part, behind) = tail.split_at_checked(end).unwrap_or((tail, ""));
            if let Some(value) = parts.get(part).and_then(Node::text) {
                out.push_str("${");
                out.push_str(&value);
                out.push('}');
                rest = behind;
                continue;
            }
        } else if !after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            out.push_str(name);
            continue;
        }
        out.push_str("$case");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Document;

    #[test]
    fn each_case_is_a_resource_of_its_own() {
        let text = "mapping: 1\nfhir: \"4.0.1\"\nname: v\nid: \"v-$id-$case\"\nfilter: {$case.column: {not: null}}\nmap: {code: $case.coding, value: \"$case.column | decimal\", unit: $case.unit}\ncases:\n  t: {column: temp, unit: Cel, coding: {code: \"8310-5\"}}\n  p: {column: pulse, unit: /min, coding: {code: \"8867-4\"}}\n";
        let doc = Document::parse(text).unwrap();
        let cases = expand(doc.root()).unwrap();
        assert_eq!(cases.len(), 2);
        let mut out = Vec::new();
        cases[0].write(&mut out);
        let json = String::from_utf8(out).unwrap();
        assert!(
            json.contains(r#""name":"v-t","id":"v-$id-t","filter":{"temp":{"not":null}}"#),
            "{json}"
        );
        assert!(
            json.contains(r#""code":{"code":"8310-5"},"value":"${temp} | decimal","unit":"Cel""#),
            "{json}"
        );
    }
}
