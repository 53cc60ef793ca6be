//! Token parameters: `code`, `system|code`, `|code`, `system|`.

use crate::fhir::params::ParamPath;
use crate::mapping::lens::predicate::{all, any, not};
use crate::mapping::plan::Predicate;
use crate::mapping::tree::{Object, Tree, conditions};

use super::walk::{At, Walk};
use super::{Found, Refusal, Unable, bars};

/// A wanted token.
struct Token {
    /// `None` for any system, an empty text for none at all.
    system: Option<String>,
    /// `None` for any code of the system.
    code: Option<String>,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    match modifier {
        None | Some("not") => {}
        Some("of-type") => return of_type(walk, path, value),
        Some(_) => return Err(Refusal::Modifier),
    }
    let token = match bars(value).as_slice() {
        [code] => Token { system: None, code: Some(code.clone()) },
        [system, code] => Token {
            system: Some(system.clone()),
            code: Some(code.clone()).filter(|code| !code.is_empty()),
        },
        _ => return Err(Refusal::Value("code, system|code, |code or system|")),
    };
    if token.code.is_none() && token.system.as_deref() == Some("") {
        return Err(Refusal::Value("code, system|code, |code or system|"));
    }
    Ok(walk.run(path, &|at| find(walk, at, &token))?)
}

/// `identifier:of-type=system|code|value`: an identifier of that type.
fn of_type(walk: &Walk<'_>, path: &ParamPath, value: &str) -> Result<Predicate, Refusal> {
    let parts = bars(value);
    let [system, code, wanted] = parts.as_slice() else {
        return Err(Refusal::Value("system|code|value"));
    };
    if parts.iter().any(String::is_empty) {
        return Err(Refusal::Value("system|code|value"));
    }
    let token = Token { system: Some(system.clone()), code: Some(code.clone()) };
    let found = walk.run(path, &|at| {
        let (Tree::Object(object), "Identifier") = (at.tree, at.ty) else { return Err(Unable) };
        let (Some(kind), Some(own)) = (object.member("type"), object.member("value")) else {
            return Ok(Predicate::Never);
        };
        let Tree::Object(concept) = &kind.value else { return Err(Unable) };
        let Some(coding) = concept.member("coding") else { return Ok(Predicate::Never) };
        Ok(all([
            conditions(&concept.when, walk.reading),
            codings(walk, &coding.value, &token)?,
            walk.equals(&own.value, wanted)?,
            walk.beside(object, &own.value)?,
        ]))
    });
    found.map_err(|Unable| Refusal::Modifier)
}

fn find(walk: &Walk<'_>, at: At<'_>, token: &Token) -> Found {
    match (at.tree, at.ty) {
        (Tree::Object(object), "CodeableConcept") => match object.member("coding") {
            Some(member) => codings(walk, &member.value, token),
            None => Ok(Predicate::Never),
        },
        (Tree::Object(object), "Coding") => pair(walk, object, "system", "code", token),
        (Tree::Object(object), "Identifier" | "ContactPoint") => {
            pair(walk, object, "system", "value", token)
        }
        (Tree::Object(_), _) => Err(Unable),
        _ => bare(walk, at, token),
    }
}

fn codings(walk: &Walk<'_>, tree: &Tree, token: &Token) -> Found {
    match tree {
        Tree::Object(object) => {
            let when = conditions(&object.when, walk.reading);
            Ok(all([when, pair(walk, object, "system", "code", token)?]))
        }
        Tree::List(items) => {
            let found = items.iter().map(|item| codings(walk, item, token));
            Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
        }
        Tree::Case(branches) => walk.branches(branches, |tree| codings(walk, tree, token)),
        Tree::Each(each) => {
            let inner = codings(walk, &each.item, token)?;
            walk.rows(each, inner)
        }
        Tree::Leaf(_) | Tree::Const(_) => Err(Unable),
    }
}

/// A code, boolean or text of its own. The system of a code is that of the value set the element is
/// bound to, which is no part of the data; a boolean or a text has none.
fn bare(walk: &Walk<'_>, at: At<'_>, token: &Token) -> Found {
    match (token.system.as_deref(), at.system) {
        (None | Some(""), _) => {}
        (Some(wanted), Some(system)) if wanted == system => {}
        // A code whose value set has codes of several systems may be of any.
        (Some(_), None) if at.ty == "code" => return Err(Unable),
        (Some(_), _) => return Ok(Predicate::Never),
    }
    plain(walk, at.tree, token)
}

fn plain(walk: &Walk<'_>, tree: &Tree, token: &Token) -> Found {
    match &token.code {
        Some(code) => walk.equals(tree, code),
        None => walk.present(tree),
    }
}

fn pair(walk: &Walk<'_>, object: &Object, system: &str, value: &str, token: &Token) -> Found {
    let system = object.member(system).map(|m| &m.value);
    let Some(value) = object.member(value).map(|m| &m.value) else {
        return Ok(Predicate::Never);
    };
    let system = match (token.system.as_deref(), system) {
        (None, _) | (Some(""), None) => Predicate::Always,
        (Some(""), Some(tree)) => not(walk.present(tree)?),
        (Some(_), None) => Predicate::Never,
        (Some(wanted), Some(tree)) => walk.equals(tree, wanted)?,
    };
    Ok(all([system, plain(walk, value, token)?, walk.beside(object, value)?]))
}
