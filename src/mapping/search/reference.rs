//! Reference parameters: `123`, `Patient/123` and whole URLs under the gateway's own base.

use crate::fhir::params::ParamPath;
use crate::fhir::query::unescape;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::predicate::{all, any, column_in, one_of};
use crate::mapping::lens::{Gather, Lens, Slot, Step, typed};
use crate::mapping::plan::{Alike, Expr, Predicate, TextMatch, Value};
use crate::mapping::tree::Tree;

use super::walk::Walk;
use super::{Found, Refusal, Unable, reach};

struct Wanted<'v> {
    ty: Option<&'v str>,
    id: &'v str,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    values: &[String],
    modifier: Option<&str>,
    base: &str,
) -> Result<Predicate, Refusal> {
    if walk.is_canonical(path) {
        return canonical(walk, path, values, modifier);
    }
    let of_type = match modifier {
        None => None,
        Some(ty) if is_type(ty) => Some(ty),
        Some(_) => return Err(Refusal::Modifier),
    };
    let texts: Vec<String> = values.iter().map(|value| unescape(value)).collect();
    let wanted: Vec<Wanted<'_>> =
        texts.iter().filter_map(|text| wanted(text, of_type, path.target, base)).collect();
    if wanted.is_empty() {
        return Ok(Predicate::Never);
    }
    Ok(walk.run(path, &|at| match at.tree {
        Tree::Object(object) => match object.member("reference").map(|m| &m.value) {
            None => Ok(Predicate::Never),
            Some(Tree::Leaf(leaf)) => points_to(&leaf.lens, &wanted),
            Some(tree @ Tree::Const(constant)) => {
                let own = parse(&constant.text, base);
                let fits = |own: &Wanted<'_>| {
                    let same =
                        |w: &Wanted<'_>| w.id == own.id && (w.ty.is_none() || w.ty == own.ty);
                    wanted.iter().any(same)
                };
                if own.is_some_and(|own| fits(&own)) {
                    walk.beside(object, tree)
                } else {
                    Ok(Predicate::Never)
                }
            }
            Some(_) => Err(Unable),
        },
        _ => Err(Unable),
    })?)
}

/// A parameter over the URLs resources are known by (`canonical`): that URL, with the version that is asked for
/// or with any.
fn canonical(
    walk: &Walk<'_>,
    path: &ParamPath,
    values: &[String],
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    if modifier.is_some() {
        // No URL tells what it is of, nor which others are above or below it.
        return Err(Refusal::Modifier);
    }
    let wanted: Vec<String> = values.iter().map(|value| unescape(value)).collect();
    let is = |tree: &Tree, url: &str| -> Found {
        let versions = (!url.contains('|')).then(|| format!("{url}|"));
        match tree {
            Tree::Const(constant) => {
                let any = versions.is_some_and(|url| constant.text.starts_with(&url));
                Ok(if any || constant.text == url { Predicate::Always } else { Predicate::Never })
            }
            Tree::Leaf(leaf) => {
                let mut found = vec![walk.equals(tree, url)?];
                if let Some(url) = versions {
                    let how = TextMatch::StartsWith;
                    found.push(leaf.lens.matches(how, &url, Alike::Exact).ok_or(Unable)?);
                }
                Ok(any(found))
            }
            _ => Err(Unable),
        }
    };
    Ok(walk.run(path, &|at| {
        let found = wanted.iter().map(|url| is(at.tree, url));
        Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
    })?)
}

/// Whether a modifier names a type: it begins with a capital, as in `subject:Patient=1`.
pub(super) fn is_type(modifier: &str) -> bool {
    modifier.starts_with(|c: char| c.is_ascii_uppercase())
}

/// What a value asks for; `None` where nothing can be it.
fn wanted<'v>(
    text: &'v str,
    of_type: Option<&'v str>,
    target: Option<&'static str>,
    base: &str,
) -> Option<Wanted<'v>> {
    let mut wanted = parse(text, base)?;
    if let (Some(ty), Some(target)) = (of_type, target)
        && ty != target
    {
        return None;
    }
    let limited = of_type.or(target);
    if let (Some(limited), Some(given)) = (limited, wanted.ty)
        && limited != given
    {
        return None;
    }
    wanted.ty = wanted.ty.or(limited);
    Some(wanted)
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

fn points_to(lens: &Lens, wanted: &[Wanted<'_>]) -> Found {
    let Some(Step::Reference(target)) = lens.steps.last() else { return Err(Unable) };
    let of_type = |w: &&Wanted<'_>| w.ty.is_none_or(|ty| ty == target.resource_type);
    let keys: Vec<Vec<Value>> =
        wanted.iter().filter(of_type).flat_map(|w| target.id.read(w.id)).collect();
    if lens.slots().iter().any(|slot| !slot.nothing.is_empty()) {
        return Err(Unable);
    }
    let Gather::Parts(slots) = &lens.gather else {
        let before = lens.steps.len() - 1;
        // Asked even where no key fits, so that what is served does not depend on the value.
        lens.one_of(before, &["1".to_owned()], false).ok_or(Unable)?;
        let texts: Vec<String> =
            keys.iter().filter_map(|key| Some(key.first()?.text.clone())).collect();
        return lens.one_of(before, &texts, false).ok_or(Unable);
    };
    let exact = |slot: &Slot| matches!(slot.column.ty, SqlType::Integer { .. } | SqlType::Uuid);
    if keys.len() > 1 && slots.len() > 1 && slots.iter().all(exact) {
        let own = |key: &Vec<Value>| {
            let parts = slots.iter().zip(key);
            parts.map(|(slot, value)| typed::for_column(&slot.column, &value.text)).collect()
        };
        let keys: Vec<Vec<Value>> = keys.iter().filter_map(own).collect();
        let columns = slots.iter().map(|slot| slot.column.clone()).collect();
        let none = keys.is_empty();
        return Ok(if none { Predicate::Never } else { Predicate::Keys { columns, keys } });
    }
    Ok(any(keys.iter().map(|key| {
        let parts = slots.iter().zip(key);
        all(parts.map(|(slot, value)| part(lens, slot, &value.text)))
    })))
}

/// A part of a key of several columns is this text, as it is shown.
fn part(lens: &Lens, slot: &Slot, text: &str) -> Predicate {
    match reach::shown(&lens.reading, slot) {
        Expr::Column(column) => column_in(&column, &[text.to_owned()]),
        shown => one_of(shown, vec![Value { ty: SqlType::Text, text: text.to_owned() }]),
    }
}
