//! Reference parameters: `123`, `Patient/123` and whole URLs under the gateway's own base.

use crate::fhir::params::ParamPath;
use crate::fhir::query::unescape;
use crate::mapping::lens::predicate::{all, any, column_in};
use crate::mapping::lens::{Gather, Lens, Step};
use crate::mapping::plan::Predicate;
use crate::mapping::tree::Tree;

use super::walk::Walk;
use super::{Found, Refusal, Unable};

struct Wanted<'v> {
    ty: Option<&'v str>,
    id: &'v str,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
    base: &str,
) -> Result<Predicate, Refusal> {
    // A modifier that begins with a capital names the type: `subject:Patient=1`.
    let of_type = match modifier {
        None => None,
        Some(ty) if ty.starts_with(|c: char| c.is_ascii_uppercase()) => Some(ty),
        Some(_) => return Err(Refusal::Modifier),
    };
    let text = unescape(value);
    let Some(mut wanted) = parse(&text, base) else { return Ok(Predicate::Never) };
    match (of_type, path.target) {
        (Some(ty), Some(target)) if ty != target => return Ok(Predicate::Never),
        (ty, target) => {
            let limited = ty.or(target);
            if let (Some(limited), Some(given)) = (limited, wanted.ty)
                && limited != given
            {
                return Ok(Predicate::Never);
            }
            wanted.ty = wanted.ty.or(limited);
        }
    }
    Ok(walk.run(path, &|at| match at.tree {
        Tree::Object(object) => match object.member("reference").map(|m| &m.value) {
            None => Ok(Predicate::Never),
            Some(Tree::Leaf(leaf)) => points_to(&leaf.lens, &wanted),
            Some(Tree::Const(constant)) => {
                let fits = parse(&constant.text, base).is_some_and(|own| {
                    own.id == wanted.id && (wanted.ty.is_none() || own.ty == wanted.ty)
                });
                if fits {
                    walk.beside(object, &object.member("reference").ok_or(Unable)?.value)
                } else {
                    Ok(Predicate::Never)
                }
            }
            Some(_) => Err(Unable),
        },
        _ => Err(Unable),
    })?)
}

/// `None` for a reference to somewhere else, which nothing here points to.
fn parse<'v>(text: &'v str, base: &str) -> Option<Wanted<'v>> {
    let local = match text.strip_prefix(base).filter(|_| !base.is_empty()) {
        Some(rest) => rest.strip_prefix('/')?,
        None if text.contains("://") || text.starts_with("urn:") => return None,
        None => text,
    };
    let local = local.split_once("/_history/").map_or(local, |(before, _)| before);
    match local.split_once('/') {
        None => Some(Wanted { ty: None, id: local }),
        Some((ty, id)) if !id.contains('/') => Some(Wanted { ty: Some(ty), id }),
        Some(_) => None,
    }
}

fn points_to(lens: &Lens, wanted: &Wanted<'_>) -> Found {
    let Some(Step::Reference(target)) = lens.steps.last() else { return Err(Unable) };
    if wanted.ty.is_some_and(|ty| ty != target.resource_type) {
        return Ok(Predicate::Never);
    }
    let keys = target.id.read(wanted.id);
    let before = lens.steps.len() - 1;
    if !matches!(lens.gather, Gather::Parts(_))
        && lens.one_of(before, &["1".to_owned()], false).is_none()
    {
        return Err(Unable);
    }
    let found = keys.iter().map(|key| {
        if lens.slots().iter().any(|slot| !slot.nothing.is_empty()) {
            return Err(Unable);
        }
        if let Gather::Parts(slots) = &lens.gather {
            let parts = slots.iter().zip(key);
            return Ok(all(parts
                .map(|(slot, value)| column_in(&slot.column, std::slice::from_ref(&value.text)))));
        }
        let [value] = key.as_slice() else { return Err(Unable) };
        lens.one_of(before, std::slice::from_ref(&value.text), false).ok_or(Unable)
    });
    Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
}
