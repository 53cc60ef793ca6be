//! The R4 element table: what each type's elements are called, how often they may occur, what they
//! hold. Read from a compact text (`r4/elements.txt`) whose head says its form.

use std::collections::HashMap;

/// The R4 table's text.
const R4: &str = include_str!("r4/elements.txt");

/// Every type known, with its elements.
#[derive(Debug)]
pub struct Elements {
    types: HashMap<&'static str, TypeDef>,
    value_sets: HashMap<&'static str, ValueSet>,
}

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// A resource.
    Resource,
    /// A data type with elements of its own.
    Complex,
    /// An element with elements of its own inside a resource.
    Backbone,
}

/// One type.
#[derive(Debug)]
pub struct TypeDef {
    /// Its name, such as `Patient` or `HumanName`; `Patient.contact` for a backbone.
    pub name: &'static str,
    /// What it is.
    pub kind: TypeKind,
    /// Its elements in the specification's order.
    pub elements: Vec<ElementDef>,
}

/// One element.
#[derive(Debug)]
pub struct ElementDef {
    /// Its name, without `[x]`.
    pub name: &'static str,
    /// Whether it is a choice of types (`value[x]`).
    pub choice: bool,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it repeats, and so is an array in JSON.
    pub many: bool,
    /// The types it may have.
    pub types: Vec<&'static str>,
    /// The value set its codes must come from.
    pub binding: Option<&'static str>,
    /// The types a reference may point to; empty where anything goes or it is none.
    pub targets: Vec<&'static str>,
}

/// The codes of a required binding.
#[derive(Debug)]
pub struct ValueSet {
    /// The code system, where there is one.
    pub system: Option<&'static str>,
    /// Its codes.
    pub codes: Vec<&'static str>,
}

/// An element as a JSON member names it.
#[derive(Debug, Clone, Copy)]
pub struct Member<'t> {
    /// The element.
    pub element: &'t ElementDef,
    /// The one type it has under this name.
    pub ty: &'static str,
}

impl Elements {
    /// The table of R4. Parsing it takes well under a millisecond; callers that compile often keep one.
    pub fn r4() -> Self {
        Self::parse(R4)
    }

    fn parse(text: &'static str) -> Self {
        let mut table = Self { types: HashMap::new(), value_sets: HashMap::new() };
        let mut current: Option<TypeDef> = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&'static str> = line.split_ascii_whitespace().collect();
            if let Some(name) = line.strip_prefix('=').and_then(|l| l.split(' ').next()) {
                let system = words.get(1).copied().filter(|s| *s != "-");
                let codes = words.get(2..).unwrap_or_default().to_vec();
                table.value_sets.insert(name, ValueSet { system, codes });
            } else if let [name, kind] = words[..] {
                let kind = match kind {
                    "resource" => TypeKind::Resource,
                    "complex" => TypeKind::Complex,
                    _ => TypeKind::Backbone,
                };
                let next = TypeDef { name, kind, elements: Vec::new() };
                if let Some(done) = current.replace(next) {
                    table.types.insert(done.name, done);
                }
            } else if let (Some(element), Some(ty)) = (element(&words), current.as_mut()) {
                ty.elements.push(element);
            }
        }
        if let Some(done) = current {
            table.types.insert(done.name, done);
        }
        table
    }

    /// A type by name.
    pub fn get(&self, name: &str) -> Option<&TypeDef> {
        self.types.get(name)
    }

    /// A resource type by name.
    pub fn resource(&self, name: &str) -> Option<&TypeDef> {
        self.get(name).filter(|t| t.kind == TypeKind::Resource)
    }

    /// Names of all resource types known, sorted.
    pub fn resource_types(&self) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.types.values().filter(|t| t.kind == TypeKind::Resource).map(|t| t.name).collect();
        names.sort_unstable();
        names
    }

    /// A value set by name.
    pub fn value_set(&self, name: &str) -> Option<&ValueSet> {
        self.value_sets.get(name)
    }
}

impl TypeDef {
    /// The element a JSON member names: `gender`, or `valueQuantity` for a choice.
    pub fn member(&self, json_name: &str) -> Option<Member<'_>> {
        self.elements.iter().find_map(|element| {
            if !element.choice {
                let ty = element.types.first()?;
                return (element.name == json_name).then_some(Member { element, ty });
            }
            let suffix = json_name.strip_prefix(element.name)?;
            let ty = element.types.iter().find(|ty| capitalised_is(ty, suffix))?;
            Some(Member { element, ty })
        })
    }

    /// The names JSON members of this type can have.
    pub fn member_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for element in &self.elements {
            if element.choice {
                names.extend(element.types.iter().map(|ty| choice_name(element.name, ty)));
            } else {
                names.push(element.name.to_owned());
            }
        }
        names
    }
}

/// `value` and `Quantity` to `valueQuantity`.
pub fn choice_name(element: &str, ty: &str) -> String {
    let mut letters = ty.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    element.chars().chain(first).chain(letters).collect()
}

fn capitalised_is(ty: &str, suffix: &str) -> bool {
    ty.len() == suffix.len()
        && ty.get(1..) == suffix.get(1..)
        && suffix.starts_with(|c: char| c.is_ascii_uppercase())
        && ty.get(..1).is_some_and(|c| suffix.starts_with(c.to_ascii_uppercase().as_str()))
}

fn element(words: &[&'static str]) -> Option<ElementDef> {
    let [name, min, max, types, rest @ ..] = words else { return None };
    let bare = name.strip_suffix("[x]");
    let targets = rest.iter().find_map(|w| w.strip_prefix('>'));
    Some(ElementDef {
        name: bare.unwrap_or(name),
        choice: bare.is_some(),
        required: *min != "0",
        many: *max == "*",
        types: types.split('|').collect(),
        binding: rest.iter().find_map(|w| w.strip_prefix('@')),
        targets: targets.filter(|t| *t != "*").map(|t| t.split(',').collect()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_by_json_name() {
        let r4 = Elements::r4();
        let patient = r4.resource("Patient").unwrap();
        let gender = patient.member("gender").unwrap();
        assert_eq!((gender.ty, gender.element.binding), ("code", Some("administrative-gender")));
        assert_eq!(patient.member("deceasedDateTime").unwrap().ty, "dateTime");
        assert!(patient.member("deceased").is_none());
        assert!(patient.member("deceaseddateTime").is_none());
        assert!(patient.member("sex").is_none());
        let observation = r4.resource("Observation").unwrap();
        assert_eq!(observation.member("valueQuantity").unwrap().ty, "Quantity");
        assert!(observation.member("code").unwrap().element.required);
        assert_eq!(observation.member("subject").unwrap().element.targets[0], "Patient");
    }

    #[test]
    fn every_name_in_the_table_leads_somewhere() {
        let r4 = Elements::r4();
        assert!(r4.types.len() > 20);
        for ty in r4.types.values() {
            for element in &ty.elements {
                assert_eq!(element.choice, element.types.len() > 1, "{} {}", ty.name, element.name);
                for name in &element.types {
                    let primitive = name.starts_with(|c: char| c.is_ascii_lowercase());
                    assert!(primitive || r4.get(name).is_some(), "{} {name}", ty.name);
                }
                if let Some(set) = element.binding {
                    assert!(r4.value_set(set).is_some_and(|s| !s.codes.is_empty()), "{set}");
                }
            }
        }
    }
}
