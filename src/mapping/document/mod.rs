//! The document as its author wrote it: a tree with its order kept, from YAML or JSON.

mod node;

pub(super) use node::{Node, Scalar};

use super::MappingProblem;
use super::problem::Problems;

/// Longest document, in bytes.
const MAX_DOCUMENT: usize = 2 * 1024 * 1024;

/// A mapping document: well-formed, of a version this gateway reads, not yet compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    root: Node,
}

impl Document {
    /// Reads YAML 1.2 or JSON (which is YAML; a text that begins with `{` is read as JSON alone).
    /// Keys must be texts, no key may be given twice, and anchors and tags are refused.
    pub fn parse(text: &str) -> Result<Self, Vec<MappingProblem>> {
        let mut problems = Problems::default();
        if text.len() > MAX_DOCUMENT {
            problems.error("", "too-long", "The document is longer than 2 MiB.", "Split it.");
            return Err(problems.into_vec());
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = match node::parse(text) {
            Ok(root) => root,
            Err(message) => {
                let hint = cure(&message);
                problems.error("", "syntax", message, hint);
                return Err(problems.into_vec());
            }
        };
        if !matches!(root, Node::Map(_)) {
            let hint = "Begin with `mapping: 1` and `fhir: \"4.0.1\"`.";
            problems.error("", "shape", "A mapping document is a list of named parts.", hint);
            return Err(problems.into_vec());
        }
        let version = root.get("mapping").and_then(Node::text);
        if version.as_deref() != Some("1") {
            let message = "The document must say which version of the language it is written in.";
            problems.error("/mapping", "version", message, "Write `mapping: 1`.");
        }
        let fhir = root.get("fhir").and_then(Node::text);
        if root.get("fhir").is_some() && fhir.as_deref() != Some("4.0.1") {
            let message = "Another FHIR release than the one that is served.";
            problems.error("/fhir", "version", message, "Write `fhir: \"4.0.1\"`.");
        }
        if problems.failed() { Err(problems.into_vec()) } else { Ok(Self { root }) }
    }

    /// The canonical form: JSON without blanks, members in the order they were written. Parsing it
    /// gives an equal document.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.root.write(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

/// What to do about a text that cannot be read, by what its reader said.
fn cure(said: &str) -> &'static str {
    let has = |word: &str| said.contains(word);
    if has(" tab") {
        "Indent with blanks; a tab is none."
    } else if has("duplicate") || has("twice") {
        "Each name stands once in its group: bring the two together, or take one away."
    } else if has("quoted") || has("unterminated") || has("EOF") || has("end of") {
        "Close the quote or bracket that was opened before; a text with `'` in it stands in \"…\"."
    } else if has("indentation") || has("not allowed in this context") || has("block") {
        "Parts of one group begin in the same column, the items of a list with `- `; a text with `: ` or `#` in it stands in quotes."
    } else if has("anchor") || has("alias") || has("tag") {
        "Write the part out: anchors, aliases and tags are not read. A text that begins with &, * or ! stands in quotes."
    } else if has("comma") || has("expected value") || has("expected `") {
        "In JSON a comma stands between two parts and behind none, and every name in double quotes."
    } else {
        "Quote keys and texts that look like numbers or true/false: \"1\", \"N\"."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "mapping: 1\nfhir: \"4.0.1\"\n";

    #[test]
    fn yaml_and_its_json_are_the_same_document() {
        let yaml = format!(
            "{HEAD}codes:\n  s: {{values: {{\"M\": male, \"N\": no, \"1\": \"on\"}}}}\nresources: [a, 1, true, null, 1.50, \"x\\ny\"]\n"
        );
        let doc = Document::parse(&yaml).unwrap();
        let json = doc.to_json();
        assert_eq!(
            json,
            r#"{"mapping":1,"fhir":"4.0.1","codes":{"s":{"values":{"M":"male","N":"no","1":"on"}}},"resources":["a",1,true,null,1.5,"x\ny"]}"#
        );
        assert_eq!(Document::parse(&json).unwrap().to_json(), json);
    }

    #[test]
    fn keys_are_texts_and_come_once() {
        for bad in ["codes: {1: a}", "codes: {true: a}", "codes: {a: 1, a: 2}", "codes: {~: a}"] {
            let problems = Document::parse(&format!("{HEAD}{bad}")).unwrap_err();
            assert_eq!(problems[0].code, "syntax", "{bad}");
        }
        assert!(Document::parse(r#"{"mapping":1,"fhir":"4.0.1","a":1,"a":2}"#).is_err());
    }

    #[test]
    fn the_version_must_be_there() {
        let problems = Document::parse("resources: []").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(Document::parse("mapping: 1\nfhir: \"5.0.0\"").is_err());
        assert!(Document::parse("").is_err() && Document::parse("[1]").is_err());
        assert!(Document::parse("{").is_err() && Document::parse("a: &x 1\nb: *x").is_err());
    }
}
