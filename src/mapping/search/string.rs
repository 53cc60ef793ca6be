//! String and URI parameters.

use crate::fhir::params::ParamPath;
use crate::fhir::query::unescape;
use crate::mapping::lens::predicate::{all, any};
use crate::mapping::plan::{Alike, Predicate, TextMatch};
use crate::mapping::tree::{Tree, conditions};

use super::walk::Walk;
use super::{Found, Refusal, Unable};

/// The parts of a name and of an address that a search looks at.
const NAME: [&str; 5] = ["family", "given", "prefix", "suffix", "text"];
const ADDRESS: [&str; 7] = ["line", "city", "district", "state", "postalCode", "country", "text"];

struct Wanted {
    how: TextMatch,
    text: String,
    alike: Alike,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    let (how, alike) = match modifier {
        None => (TextMatch::StartsWith, Alike::Folded),
        Some("exact") => (TextMatch::Equals, Alike::Exact),
        Some("contains") => (TextMatch::Contains, Alike::Folded),
        Some(_) => return Err(Refusal::Modifier),
    };
    let text = unescape(value);
    let text = if alike == Alike::Folded { text.trim().to_owned() } else { text };
    if text.is_empty() {
        return Err(Refusal::Value("a text"));
    }
    let wanted = Wanted { how, text, alike };
    let found = walk.run(path, &|at| match (at.tree, at.ty) {
        (Tree::Object(object), ty @ ("HumanName" | "Address")) => {
            let parts: &[&str] = if ty == "HumanName" { &NAME } else { &ADDRESS };
            let members = object.members.iter().filter(|m| parts.contains(&m.name.as_str()));
            let found = members
                .map(|m| Ok(all([part(walk, &m.value, &wanted)?, walk.beside(object, &m.value)?])));
            Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
        }
        (Tree::Object(_), _) => Err(Unable),
        (tree, _) => part(walk, tree, &wanted),
    });
    match (found, modifier) {
        // Where the plain search works, it is the modifier that does not.
        (Err(Unable), Some(_)) if condition(walk, path, value, None).is_ok() => {
            Err(Refusal::Modifier)
        }
        (found, _) => Ok(found?),
    }
}

fn part(walk: &Walk<'_>, tree: &Tree, wanted: &Wanted) -> Found {
    match tree {
        Tree::Const(constant) => {
            let fits = crate::mapping::lens::matches(
                &constant.text,
                wanted.how,
                &wanted.text,
                wanted.alike,
            );
            Ok(if fits { Predicate::Always } else { Predicate::Never })
        }
        Tree::Leaf(leaf) => leaf.lens.matches(wanted.how, &wanted.text, wanted.alike).ok_or(Unable),
        Tree::List(items) => {
            let found = items.iter().map(|item| part(walk, item, wanted));
            Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
        }
        Tree::Case(branches) => walk.branches(branches, |tree| part(walk, tree, wanted)),
        Tree::Each(each) => {
            let inner = part(walk, &each.item, wanted)?;
            walk.rows(each, inner)
        }
        Tree::Object(object) => {
            let found = object
                .members
                .iter()
                .map(|m| Ok(all([part(walk, &m.value, wanted)?, walk.beside(object, &m.value)?])));
            let inner = any(found.collect::<Result<Vec<_>, Unable>>()?);
            Ok(all([conditions(&object.when, walk.reading), inner]))
        }
    }
}

/// A URI: the whole, letter by letter.
pub(super) fn uri(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    if modifier.is_some() {
        return Err(Refusal::Modifier);
    }
    let wanted = unescape(value);
    Ok(walk.run(path, &|at| match at.tree {
        Tree::Const(constant) if constant.text != wanted => Ok(Predicate::Never),
        Tree::Object(_) => Err(Unable),
        tree => walk.equals(tree, &wanted),
    })?)
}
