//! What points from one resource of a transaction to another (FHIR R4, 3.1.0.11.2, and "Resolving references" of
//! Bundle): references, and elements that are addresses.

use crate::fhir::elements::{Elements, TypeDef};
use crate::fhir::{Json, primitive};

/// What is shown each text that may point somewhere; `true` with those of references.
pub(super) type Visit<'v> = dyn FnMut(&mut String, bool) + 'v;

/// Shows every text of a resource that may point to another. Canonical addresses do not, nor do texts that only look
/// like a pointer: an identifier's value stays what it is.
pub(super) fn of_resource(elements: &Elements, ty: &str, body: &mut Json, visit: &mut Visit<'_>) {
    if let Some(ty) = elements.resource(ty) {
        object(elements, ty, body, visit);
    }
}

fn object(elements: &Elements, ty: &TypeDef, value: &mut Json, visit: &mut Visit<'_>) {
    let Json::Object(members) = value else { return };
    for (name, value) in members {
        let Some(member) = ty.member(name) else { continue };
        let reference = ty.name == "Reference" && name == "reference";
        let points = reference || matches!(member.ty, "uri" | "url" | "oid" | "uuid");
        let items = match value {
            Json::List(items) => items.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for item in items {
            match item {
                Json::Text(text) if points => visit(text, reference),
                Json::Object(_) => {
                    if let Some(inner) = elements.get(member.ty) {
                        object(elements, inner, item, visit);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The same of a patch, of whose texts nobody knows yet where they will stand.
pub(super) fn of_patch(value: &mut Json, reference: bool, visit: &mut Visit<'_>) {
    match value {
        Json::Text(text) => visit(text, reference),
        Json::List(items) => items.iter_mut().for_each(|item| of_patch(item, false, visit)),
        Json::Object(members) => {
            let names_one = |path: &Json| path.text().is_some_and(|p| p.ends_with("/reference"));
            let told = members.iter().any(|(name, path)| name == "path" && names_one(path));
            for (name, value) in members {
                of_patch(value, name == "reference" || told && name == "value", visit);
            }
        }
        _ => {}
    }
}

/// Where relative references of an entry lead from: the root of its full URL, if that is one of a FHIR server.
pub(super) fn root<'u>(full_url: &'u str, ty: &str) -> Option<&'u str> {
    let (rest, id) = full_url.rsplit_once('/')?;
    let root = rest.strip_suffix(ty)?.strip_suffix('/')?;
    (root.contains("://") && primitive::is_id(id)).then_some(root)
}

/// A reference without the version it may name: versions of another server's are none of this one's.
pub(super) fn unversioned(text: &str) -> &str {
    text.split_once("/_history/").map_or(text, |(bare, _)| bare)
}

/// `Type/id`, below whatever the reader takes for the root.
pub(super) fn is_relative(text: &str) -> bool {
    let whole = text.split_once('/').filter(|(_, id)| primitive::is_id(id));
    whole.is_some_and(|(ty, _)| {
        ty.starts_with(|c: char| c.is_ascii_uppercase())
            && ty.bytes().all(|b| b.is_ascii_alphabetic())
    })
}

/// `Type?…`.
pub(super) fn is_search(text: &str) -> bool {
    text.split_once('?').is_some_and(|(ty, _)| {
        ty.starts_with(|c: char| c.is_ascii_uppercase())
            && ty.bytes().all(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_addresses_point_and_identifiers_do_not() {
        let body = r#"{"resourceType":"Patient","identifier":[{"system":"a","value":"b","assigner":{"reference":"c"}}],
            "link":[{"other":{"reference":"d","identifier":{"value":"e"}},"type":"refer"}],"odd":{"reference":"f"},
            "extension":[{"url":"g","valueUri":"h","valueString":"i"},{"url":"j","valueReference":{"reference":"k"}}],
            "photo":[{"url":"l","title":"m"}],"name":[{"family":"n"}],"meta":{"profile":["o"],"source":"p"}}"#;
        let (mut body, mut found) = (Json::parse(body.as_bytes()).unwrap(), Vec::new());
        of_resource(Elements::shared(), "Patient", &mut body, &mut |text, reference| {
            found.push(if reference { text.to_uppercase() } else { text.clone() });
        });
        assert_eq!(found.concat(), "aCDghjKlp");
    }

    #[test]
    fn what_a_patch_puts_in_the_place_of_a_reference_is_one() {
        let patch = r#"[{"op":"replace","path":"/subject/reference","value":"a"},{"op":"replace","path":"/x","value":"b"},
            {"op":"add","path":"/subject","value":{"reference":"c","display":"d"}}]"#;
        let (mut patch, mut found) = (Json::parse(patch.as_bytes()).unwrap(), Vec::new());
        of_patch(&mut patch, false, &mut |text, reference| {
            found.extend(reference.then(|| text.clone()));
        });
        assert_eq!(found, ["a", "c"]);
    }

    #[test]
    fn a_root_is_that_of_a_server() {
        let patient = |url| root(url, "Patient");
        assert_eq!(patient("https://a.example/fhir/Patient/7"), Some("https://a.example/fhir"));
        for none in
            ["urn:uuid:7", "Patient/7", "https://a.example/Group/7", "https://a/Patient/a_b", ""]
        {
            assert_eq!(patient(none), None, "{none}");
        }
    }
}
