//! What is shown beside the matches: what they refer to, read off the resources as they are shown, and
//! what refers to them, searched for as anybody would.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::fhir::SearchQuery;
use crate::fhir::compartment::Compartment;
use crate::fhir::params::{ParamDef, ParamKind, ParamPath, ParamStep, r4_params};
use crate::fhir::query::{Handling, Include};
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, PlannedSource, key_order};
use crate::mapping::lens::predicate::all;
use crate::mapping::lens::{Reading, Step};
use crate::mapping::plan::{KeyedRead, Predicate};
use crate::mapping::render::Page;
use crate::mapping::rows::Rows;
use crate::mapping::tree::{Source, Tree};

use super::chain::Ask;
use super::plan::shown;
use super::reached::Reached;
use super::walk::Walk;
use super::{Refusal, Unable, fault};

/// The includes of a search.
#[derive(Debug, Clone, Default)]
pub struct Includes {
    forward: Vec<Forward>,
    reverse: Vec<(String, String)>,
    /// Everything that is in no patient's compartment.
    outside: bool,
}

#[derive(Debug, Clone)]
struct Forward {
    paths: Vec<ParamPath>,
    target: Option<String>,
}

/// A resource to be shown beside the matches: its type and id.
pub type Included = (String, String);

/// Rows of one source by their keys, and what turns them into resources.
#[derive(Debug, Clone)]
pub struct PlannedKeys {
    /// How rows of the source are read.
    pub read: Arc<KeyedRead>,
    /// The keys, each a row.
    pub keys: Rows,
    source: Arc<Source>,
    reading: Arc<Reading>,
}

impl PlannedKeys {
    /// What was fetched, ready to be written.
    pub fn page<'p>(&'p self, rows: &'p Rows, children: &'p [Rows]) -> Page<'p> {
        Page::new(&self.source, &self.reading, rows, children)
    }
}

impl Includes {
    /// All that resources refer to and that belongs to no patient's compartment: who treated her, where,
    /// with what.
    pub fn outside_of_patients() -> Self {
        Self { outside: true, ..Self::default() }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        !self.looks_at_matches() && self.reverse.is_empty()
    }

    /// Whether the matches have to be looked at for what they refer to.
    pub fn looks_at_matches(&self) -> bool {
        self.outside || !self.forward.is_empty()
    }

    /// The types that refer to the matches, and by which parameter, in the order asked for.
    pub fn reverse(&self) -> &[(String, String)] {
        &self.reverse
    }

    /// What a match, as FHIR JSON, refers to and should be shown.
    pub fn of(&self, resource: &Json, found: &mut BTreeSet<Included>) {
        if self.outside {
            let compartment = Compartment::patient();
            every_reference(resource, &mut |ty, id| {
                if ty != compartment.name() && compartment.params(ty).is_empty() {
                    found.insert((ty.to_owned(), id.to_owned()));
                }
            });
        }
        for Forward { paths, target } in &self.forward {
            for path in paths {
                let limits = [path.target, target.as_deref()];
                at(resource, &path.steps, &mut |reference| {
                    let text = reference.get("reference").and_then(Json::as_str);
                    let Some((ty, id)) = text.and_then(|text| text.split_once('/')) else { return };
                    if limits.iter().flatten().all(|limit| *limit == ty) {
                        found.insert((ty.to_owned(), id.to_owned()));
                    }
                });
            }
        }
    }
}

/// Every reference below a value.
fn every_reference(value: &Json, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Json::Object(members) => {
            for (name, inner) in members {
                match inner.as_str().and_then(|text| text.split_once('/')) {
                    Some((ty, id)) if name == "reference" => each(ty, id),
                    _ => every_reference(inner, each),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| every_reference(item, each)),
        _ => {}
    }
}

/// Everything at a path, lists taken apart.
fn at(value: &Json, steps: &[ParamStep], each: &mut dyn FnMut(&Json)) {
    let Some((step, rest)) = steps.split_first() else { return each(value) };
    let Json::Object(members) = value else { return };
    for (name, inner) in members {
        let fits = match (name.strip_prefix(step.element), step.ty) {
            (Some(""), _) => true,
            // A choice stands under the name of its type.
            (Some(ty), wanted) => ty.eq_ignore_ascii_case(wanted.unwrap_or("Reference")),
            (None, _) => false,
        };
        if !fits {
            continue;
        }
        let items = match inner {
            Json::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let only = |item: &&Json| step.only.is_none_or(|(name, text)| item[name] == text);
        items.iter().filter(only).for_each(|item| at(item, rest, each));
    }
}

impl Compiled {
    /// The includes of a query; what cannot be served is refused by name, or left out where the caller
    /// asked for that.
    pub(super) fn includes(
        &self,
        ty: &str,
        query: &mut SearchQuery,
    ) -> Result<Includes, PlanFault> {
        let mut includes = Includes::default();
        let lenient = query.handling == Handling::Lenient;
        let forward = std::mem::take(&mut query.include);
        for one in forward {
            match self.forward(ty, &one) {
                Ok(found) => {
                    includes.forward.push(found);
                    query.include.push(one);
                }
                Err(_) if lenient => query.ignored.push(shown(&format!("_include={one}"))),
                Err(fault) => return Err(fault),
            }
        }
        let reverse = std::mem::take(&mut query.revinclude);
        for one in reverse {
            match self.reverses(ty, &one) {
                Ok(pairs) => {
                    let new = pairs.into_iter().filter(|pair| !includes.reverse.contains(pair));
                    let new: Vec<_> = new.collect();
                    includes.reverse.extend(new);
                    query.revinclude.push(one);
                }
                Err(_) if lenient => query.ignored.push(shown(&format!("_revinclude={one}"))),
                Err(fault) => return Err(fault),
            }
        }
        Ok(includes)
    }

    fn forward(&self, ty: &str, one: &Include) -> Result<Forward, PlanFault> {
        let unsupported =
            || PlanFault::Unsupported { parameter: shown(&format!("_include={one}")) };
        // What is not searched for is not among the matches, and only those are looked at.
        if one.source != ty {
            return Err(unsupported());
        }
        let mut paths: Vec<ParamPath> = Vec::new();
        for (_, source) in self.of_type(ty) {
            let wanted = source.params.iter().filter(|p| {
                p.kind == ParamKind::Reference && (one.param == "*" || p.name == one.param)
            });
            let wanted = wanted.filter(|p| !self.by_url(source, p));
            let leads = |p: &&ParamDef| p.targets.is_empty() || named(p.targets.as_slice(), one);
            for path in wanted.filter(leads).flat_map(|p| &p.paths) {
                if !paths.contains(path) {
                    paths.push(path.clone());
                }
            }
        }
        if paths.is_empty() && one.param != "*" {
            return Err(unsupported());
        }
        Ok(Forward { paths, target: one.target.clone() })
    }

    /// What is to be looked for: of `*`, every parameter of the type that can be named.
    fn reverses(&self, ty: &str, one: &Include) -> Result<Vec<(String, String)>, PlanFault> {
        if one.param != "*" {
            let pair = (one.source.clone(), one.param.clone());
            return Ok(if self.reverse(ty, one)? { vec![pair] } else { Vec::new() });
        }
        if r4_params(&one.source).iter().all(|p| p.kind != ParamKind::Reference) {
            let parameter = shown(&format!("_revinclude={one}"));
            return Err(PlanFault::Unsupported { parameter });
        }
        if one.target.as_deref().is_some_and(|target| target != ty) {
            return Ok(Vec::new());
        }
        let (_, all) = self.includable(ty);
        let pairs = all.iter().filter_map(|name| name.split_once(':'));
        let own = pairs.filter(|(source, _)| *source == one.source);
        Ok(own.map(|(source, param)| (source.to_owned(), param.to_owned())).collect())
    }

    /// Whether something is to be looked for. A type that is not mapped has no resources, and a source
    /// that does not fill the element has none that refer to anything.
    fn reverse(&self, ty: &str, one: &Include) -> Result<bool, PlanFault> {
        let unsupported =
            || PlanFault::Unsupported { parameter: shown(&format!("_revinclude={one}")) };
        let param = r4_params(&one.source).into_iter().find(|p| p.name == one.param);
        let param = param.filter(|p| p.kind == ParamKind::Reference);
        let param = param.filter(|p| p.targets.is_empty() || named(&p.targets, one));
        let param = param.ok_or_else(unsupported)?;
        if one.target.as_deref().is_some_and(|target| target != ty) {
            // It asks for what refers to another type, and the matches are of this one.
            return Ok(false);
        }
        if !param.targets.is_empty() && !param.targets.contains(&ty) {
            return Err(unsupported());
        }
        if !self.maps(&one.source) {
            return Ok(false);
        }
        let known = self.of_type(&one.source).all(|(_, s)| self.fills(s, &one.param).is_some());
        if !known || !self.serves(&one.source, &one.param) {
            return Err(unsupported());
        }
        if self.of_type(&one.source).any(|(_, s)| self.by_url(s, &param)) {
            return Err(unsupported());
        }
        Ok(self.of_type(&one.source).any(|(_, s)| self.fills(s, &one.param) == Some(true)))
    }

    /// Whether what a parameter looks at names resources by the URLs they are known by, which is no way to
    /// find them.
    fn by_url(&self, source: &Source, param: &ParamDef) -> bool {
        let walk = Walk::new(source, &self.reading, false);
        param.paths.iter().any(|path| walk.is_canonical(path))
    }

    /// The rows that refer to some resources, source by source: at most so many of each.
    pub fn plan_referring(
        &self,
        (ty, param): (&str, &str),
        matches: &[String],
        limit: u32,
    ) -> Result<Vec<PlannedSource>, PlanFault> {
        if let Some(now) = self.at_this_moment() {
            return now.plan_referring((ty, param), matches, limit);
        }
        let mut planned = Vec::new();
        for (number, source) in self.of_type(ty) {
            let ask = Ask::plain(param, matches);
            let found = match self.on(source, &ask, &Reached::default()) {
                Ok(Predicate::Never) | Err(Refusal::NotMapped) => continue,
                Ok(found) => found,
                Err(refusal) => return Err(fault(param, None, refusal)),
            };
            let filter = all([source.filter.clone(), found]);
            let order = key_order(source, false);
            planned.push(self.planned(number, source, filter, order, None, limit));
        }
        Ok(planned)
    }

    /// The rows that may hold some resources of one type, source by source.
    pub fn plan_keys<'i>(
        &self,
        ty: &str,
        ids: impl Iterator<Item = &'i str> + Clone,
    ) -> Vec<PlannedKeys> {
        if let Some(now) = self.at_this_moment() {
            return now.plan_keys(ty, ids);
        }
        let mut planned = Vec::new();
        for (_, source) in self.of_type(ty) {
            let mut keys = Rows::new(source.key.len());
            for value in ids.clone().flat_map(|id| source.id.read(id)).flatten() {
                // An id has 64 characters at most.
                let _no_more_than_fits = keys.push(Some(&value.text));
            }
            if !keys.is_empty() {
                planned.push(PlannedKeys {
                    read: Arc::clone(&source.read),
                    keys,
                    source: Arc::clone(source),
                    reading: Arc::clone(&self.reading),
                });
            }
        }
        planned
    }

    /// What `_include` and `_revinclude` can name for a type, for its CapabilityStatement.
    pub(in crate::mapping) fn includable(&self, ty: &str) -> (Vec<String>, Vec<String>) {
        let (mut include, mut revinclude) = (BTreeSet::new(), BTreeSet::new());
        for source in self.sources.iter() {
            for param in source.params.iter().filter(|p| p.kind == ParamKind::Reference) {
                let name = || format!("{}:{}", source.resource_type, param.name);
                if self.fills(source, param.name) != Some(true) || self.by_url(source, param) {
                    continue;
                }
                if source.resource_type == ty {
                    include.insert(name());
                }
                let targets = param.targets.is_empty() || param.targets.contains(&ty);
                if targets
                    && self.points(source, param.name, ty)
                    && self.serves(&source.resource_type, param.name)
                {
                    revinclude.insert(name());
                }
            }
        }
        (include.into_iter().collect(), revinclude.into_iter().collect())
    }

    /// Whether a parameter of a source may lead to a type.
    fn points(&self, source: &Source, name: &str, ty: &str) -> bool {
        let walk = Walk::new(source, &self.reading, false);
        let paths = source.params.iter().filter(|p| p.name == name).flat_map(|p| &p.paths);
        paths.filter(|path| path.target.is_none_or(|target| target == ty)).any(|path| {
            let found = Cell::new(false);
            let looked = walk.run(path, &|at| {
                let Tree::Object(object) = at.tree else { return Err(Unable) };
                match object.member("reference").map(|m| &m.value) {
                    Some(Tree::Leaf(leaf)) => {
                        if let Some(Step::Reference(target)) = leaf.lens.steps.last() {
                            found.set(found.get() || target.resource_type == ty);
                        }
                    }
                    Some(Tree::Const(constant)) => {
                        let own = constant.text.split_once('/').is_some_and(|(own, _)| own == ty);
                        found.set(found.get() || own);
                    }
                    _ => {}
                }
                Ok(Predicate::Never)
            });
            looked.is_ok() && found.get()
        })
    }
}

/// Whether the target an include names, if it does, is one of these.
fn named(targets: &[&str], one: &Include) -> bool {
    one.target.as_deref().is_none_or(|target| targets.contains(&target))
}
