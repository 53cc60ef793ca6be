//! The R4 search parameters of the types in the element table (`r4/params.txt`).

/// The R4 table's text.
const R4: &str = include_str!("r4/params.txt");

/// A search parameter's type (R4 section 3.1.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// Codes, identifiers, booleans.
    Token,
    /// Text.
    String,
    /// Dates and times.
    Date,
    /// References.
    Reference,
    /// Numbers with a unit.
    Quantity,
    /// Numbers.
    Number,
    /// URIs.
    Uri,
}

impl ParamKind {
    /// The code of value set `search-param-type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::String => "string",
            Self::Date => "date",
            Self::Reference => "reference",
            Self::Quantity => "quantity",
            Self::Number => "number",
            Self::Uri => "uri",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "token" => Self::Token,
            "string" => Self::String,
            "date" => Self::Date,
            "reference" => Self::Reference,
            "quantity" => Self::Quantity,
            "number" => Self::Number,
            "uri" => Self::Uri,
            _ => return None,
        })
    }
}

/// One search parameter of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamDef {
    /// Its name in a query.
    pub name: &'static str,
    /// Its type.
    pub kind: ParamKind,
    /// Where it looks.
    pub paths: Vec<ParamPath>,
}

/// One alternative of a parameter's expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamPath {
    /// The steps below the resource.
    pub steps: Vec<ParamStep>,
    /// The type a reference must point to.
    pub target: Option<&'static str>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamStep {
    /// The element, without `[x]`.
    pub element: &'static str,
    /// The one type wanted of a choice.
    pub ty: Option<&'static str>,
    /// Only items whose member is that constant.
    pub only: Option<(&'static str, &'static str)>,
}

/// The parameters of one resource type, those of every resource among them.
pub fn r4_params(resource_type: &str) -> Vec<ParamDef> {
    R4.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (ty, rest) = line.trim().split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            let (kind, paths) = rest.split_once(' ')?;
            if ty != "*" && ty != resource_type {
                return None;
            }
            let paths = paths.split(" | ").map(path).collect();
            Some(ParamDef { name, kind: ParamKind::parse(kind)?, paths })
        })
        .collect()
}

fn path(text: &'static str) -> ParamPath {
    let (steps, target) = match text.split_once("->") {
        Some((steps, target)) => (steps, Some(target)),
        None => (text, None),
    };
    ParamPath { steps: steps.split('.').map(step).collect(), target }
}

fn step(text: &'static str) -> ParamStep {
    let (head, only) = match text.split_once('(') {
        Some((head, rest)) => (head, rest.trim_end_matches(')').split_once('=')),
        None => (text, None),
    };
    let (element, ty) = match head.split_once(':') {
        Some((element, ty)) => (element, Some(ty)),
        None => (head, None),
    };
    ParamStep { element, ty, only }
}

#[cfg(test)]
mod tests {
    use super::super::elements::{Elements, TypeDef};
    use super::*;

    fn resolve<'t>(table: &'t Elements, ty: &'t TypeDef, steps: &[ParamStep]) -> bool {
        let Some((first, rest)) = steps.split_first() else { return true };
        if first.element == "id" {
            return rest.is_empty();
        }
        let Some(element) = ty.elements.iter().find(|e| e.name == first.element) else {
            return false;
        };
        let types = element.types.iter().filter(|t| first.ty.is_none_or(|want| want == **t));
        let mut found = false;
        for name in types {
            found |=
                rest.is_empty() || table.get(name).is_some_and(|next| resolve(table, next, rest));
        }
        found
    }

    #[test]
    fn every_expression_leads_to_an_element() {
        let table = Elements::r4();
        for name in table.resource_types() {
            let ty = table.resource(name).unwrap();
            let params = r4_params(name);
            assert!(params.len() > 6);
            for param in params {
                for path in &param.paths {
                    assert!(resolve(&table, ty, &path.steps), "{name} {}", param.name);
                }
            }
        }
    }

    #[test]
    fn the_forms_of_an_expression() {
        let find = |ty, name| r4_params(ty).into_iter().find(|p| p.name == name).unwrap();
        let phone = find("Patient", "phone");
        assert_eq!(phone.paths[0].steps[0].only, Some(("system", "phone")));
        let patient = find("Observation", "patient");
        assert_eq!(patient.paths[0].target, Some("Patient"));
        let combo = find("Observation", "combo-value-quantity");
        assert_eq!(combo.paths.len(), 2);
        assert_eq!(combo.paths[1].steps[1].ty, Some("Quantity"));
    }
}
