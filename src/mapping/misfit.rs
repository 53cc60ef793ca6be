//! What to write where the cells of a column do not fit their element.

use crate::fhir::elements::{ElementDef, Elements};

/// The element a path such as `Patient.name.given` leads to, and the type it has there.
fn element<'e>(elements: &'e Elements, path: &str) -> Option<(&'e ElementDef, &'static str)> {
    let mut steps = path.split('.');
    let mut ty = elements.resource(steps.next()?)?;
    let mut found = None;
    for step in steps {
        let member = ty.member(step)?;
        found = Some((member.element, member.ty));
        match elements.get(member.ty) {
            Some(inner) => ty = inner,
            None => break,
        }
    }
    found
}

/// What a mapping may say of a column of which hardly a cell fits, by what its element is; nothing where that is not
/// known.
pub fn cure(path: &str) -> Option<String> {
    let elements = Elements::shared();
    let (element, ty) = element(elements, path)?;
    if let Some(set) = element.binding.and_then(|set| elements.value_set(set)) {
        let codes = set.codes.join(", ");
        return Some(format!("a code map makes codes of them, `| code(map)`; they may be {codes}"));
    }
    let cure = match ty {
        "date" => "say how they are written, `| date('dd/MM/yyyy')`",
        "dateTime" | "instant" => "say how they are written, `| datetime('dd/MM/yyyy HH:mm')`",
        "boolean" => "say what stands for yes and for no, `| bool('S', 'N')`",
        "decimal" => {
            "numbers with a comma are `| decimal(',')`; `| capture('([0-9.]+)') | decimal` takes one out of a text"
        }
        "integer" | "positiveInt" | "unsignedInt" => {
            "`| capture('([0-9]+)') | int` takes a number out of a text"
        }
        "time" => "a time of day is `08:30:00`",
        "uri" | "url" | "canonical" => {
            "a URI has no blanks; `| prefix('urn:…:')` makes one of a code"
        }
        _ => return None,
    };
    Some(cure.to_owned())
}

#[cfg(test)]
mod tests {
    use super::cure;

    #[test]
    fn what_to_write_follows_from_the_element() {
        for (path, wanted) in [
            ("Patient.gender", "male, female, other, unknown"),
            ("Patient.birthDate", "date('dd/MM/yyyy')"),
            ("Patient.contact.period.start", "datetime("),
            ("Patient.active", "bool("),
            ("Observation.valueQuantity.value", "decimal(',')"),
        ] {
            assert!(
                cure(path).is_some_and(|cure| cure.contains(wanted)),
                "{path}: {:?}",
                cure(path)
            );
        }
        for path in ["Patient.name.family", "Patient.nothing", "Nothing.at", "Patient", ""] {
            assert_eq!(cure(path), None, "{path}");
        }
    }
}
