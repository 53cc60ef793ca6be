//! The R4 search parameters, read from a compact text (`r4/params.txt`) whose head says its form.

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
    /// Several values at once.
    Composite,
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
            Self::Composite => "composite",
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
    /// The types its references may point to; empty where anything goes or it looks at none.
    pub targets: Vec<&'static str>,
}

/// A parameter of several values that must hold of the same thing (R4 section 3.1.1.4.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositeDef {
    /// Its name in a query.
    pub name: &'static str,
    /// Where its components begin: the steps below the resource, none for the resource itself.
    pub roots: Vec<Vec<ParamStep>>,
    /// What each value is compared with, in order; their paths begin at a root.
    pub components: Vec<ParamDef>,
}

/// A published parameter that no path can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexpressed {
    /// Its name in a query.
    pub name: &'static str,
    /// Its type: one of [`ParamKind::as_str`], `composite` or `special`.
    pub kind: &'static str,
    /// Why, in words that end a sentence.
    pub reason: &'static str,
}

/// One alternative of a parameter's expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamPath {
    /// The steps below the resource.
    pub steps: Vec<ParamStep>,
    /// The type a reference must point to.
    pub target: Option<&'static str>,
    /// Whether the value compared is not what is found but whether anything is, other than `false`:
    /// `deceased=true` holds of a date of death too, and `deceased=false` of a patient without either.
    pub exists: bool,
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

/// The parameters of one resource type, those of every resource among them. Composite parameters are
/// [`r4_composites`].
pub fn r4_params(resource_type: &str) -> Vec<ParamDef> {
    lines(resource_type)
        .filter_map(|(name, rest)| {
            let (kind, rest) = rest.split_once(' ')?;
            Some(param(name, ParamKind::parse(kind)?, rest))
        })
        .collect()
}

/// The composite parameters of one resource type.
pub fn r4_composites(resource_type: &str) -> Vec<CompositeDef> {
    lines(resource_type)
        .filter_map(|(name, rest)| {
            let mut parts = rest.strip_prefix("composite ")?.split(" $ ");
            let roots = parts.next()?.split(" | ");
            let roots = roots.map(|root| if root == "." { Vec::new() } else { steps(root) });
            let components = parts.filter_map(|part| {
                let (name, rest) = part.split_once(' ')?;
                let (kind, rest) = rest.split_once(' ')?;
                Some(param(name, ParamKind::parse(kind)?, rest))
            });
            Some(CompositeDef { name, roots: roots.collect(), components: components.collect() })
        })
        .collect()
}

/// The published parameters of one resource type that are neither of the two.
pub fn r4_unexpressed(resource_type: &str) -> Vec<Unexpressed> {
    let lines = R4.lines().filter_map(|line| of_type(line.strip_prefix("! ")?, resource_type));
    lines
        .filter_map(|(name, rest)| {
            let (kind, reason) = rest.split_once(' ')?;
            Some(Unexpressed { name, kind, reason })
        })
        .collect()
}

/// Name and rest of each line of a type.
fn lines(resource_type: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    R4.lines().filter_map(move |line| of_type(line, resource_type))
}

fn of_type(line: &'static str, resource_type: &str) -> Option<(&'static str, &'static str)> {
    let (ty, rest) = line.split_once(' ')?;
    if ty == "*" || ty == resource_type { rest.split_once(' ') } else { None }
}

fn param(name: &'static str, kind: ParamKind, text: &'static str) -> ParamDef {
    let (targets, paths) = match text.strip_prefix('>').and_then(|t| t.split_once(' ')) {
        Some((targets, paths)) => (targets.split(',').collect(), paths),
        None => (Vec::new(), text),
    };
    ParamDef { name, kind, paths: paths.split(" | ").map(path).collect(), targets }
}

fn path(text: &'static str) -> ParamPath {
    let (text, exists) = match text.strip_suffix('?') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (text, target) = match text.split_once("->") {
        Some((text, target)) => (text, Some(target)),
        None => (text, None),
    };
    ParamPath { steps: steps(text), target, exists }
}

fn steps(text: &'static str) -> Vec<ParamStep> {
    text.split('.').map(step).collect()
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
mod tests;
