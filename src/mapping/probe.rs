//! Searches that stand for all searches by one parameter, so that a database can be asked what they would
//! cost before anybody waits for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Compiled;
use super::compiled::PlannedSource;
use super::lens::Step;
use super::plan::{Count, Predicate, Relation, Select};
use super::search::PageRequest;
use super::tree::{Source, Tree};
use crate::fhir::SearchQuery;
use crate::fhir::params::ParamKind;

/// A search by one parameter.
#[derive(Debug, Clone)]
pub struct SearchProbe {
    /// The resource type.
    pub resource_type: String,
    /// The parameter.
    pub parameter: &'static str,
    /// Its condition on each source that can hold matches.
    pub counts: Vec<Count>,
}

/// Most searches that are tried of one mapping.
const MOST: usize = 400;

impl Compiled {
    /// The first page of every source, of at most `rows` rows, each with its type.
    pub fn first_pages(&self, rows: u32) -> Vec<(String, PlannedSource)> {
        let mut pages = Vec::new();
        for ty in self.resource_types() {
            let page = PageRequest { count: rows.saturating_sub(1), after: None, base: "" };
            let plan = self.plan_search(ty, &SearchQuery::default(), &page);
            let sources = plan.map(|plan| plan.sources).unwrap_or_default();
            pages.extend(sources.into_iter().map(|source| (ty.to_owned(), source)));
        }
        pages
    }

    /// One search for each parameter served, with a value of its kind that something may match.
    pub fn search_probes(&self) -> Vec<SearchProbe> {
        let mut probes = Vec::new();
        for capability in self.capability() {
            let ty = capability.resource_type.as_str();
            let sources: Vec<_> = self.of_type(ty).map(|(_, source)| source).collect();
            let words: BTreeSet<String> = sources.iter().flat_map(|s| words(s)).collect();
            for served in &capability.search_params {
                let named = sources.iter().flat_map(|s| &s.params).find(|p| p.name == served.name);
                let Some(param) = named.filter(|p| p.name != "_id") else { continue };
                if let Some(counts) = self.counts(ty, param.name, param.kind, &words) {
                    let resource_type = ty.to_owned();
                    probes.push(SearchProbe { resource_type, parameter: param.name, counts });
                }
                if probes.len() >= MOST {
                    return probes;
                }
            }
        }
        probes
    }

    fn counts(
        &self,
        ty: &str,
        name: &str,
        kind: ParamKind,
        words: &BTreeSet<String>,
    ) -> Option<Vec<Count>> {
        let usual: &[&str] = match kind {
            ParamKind::Token => &["a", "1", "true"],
            ParamKind::String => &["a"],
            ParamKind::Date => &["2020-01-01", "2020"],
            ParamKind::Reference => &["1", "Patient/1", "00000000-0000-0000-0000-000000000001"],
            ParamKind::Number | ParamKind::Quantity => &["1"],
            ParamKind::Uri => &["urn:a"],
            ParamKind::Composite => &["a$1", "a$a", "1$2020"],
        };
        // Another's reference names the type by itself; a code of the mapping's own finds its column.
        let coded = words.iter().filter(|_| matches!(kind, ParamKind::Token | ParamKind::Uri));
        let values = usual.iter().map(|v| (*v).to_owned()).chain(coded.map(|w| escape(w)));
        let mut best: Option<Vec<Count>> = None;
        for value in values.take(64) {
            let asked = format!("{name}={value}&_summary=count");
            let Ok(query) = SearchQuery::parse(&asked) else { continue };
            let page = PageRequest { count: 1, after: None, base: "" };
            let Ok(plan) = self.plan_search(ty, &query, &page) else { continue };
            let counts: Vec<Count> = plan.counts.unwrap_or_default();
            let counts: Vec<Count> =
                counts.into_iter().filter(|c| c.filter != Predicate::Never).collect();
            if counts.len() > best.as_ref().map_or(0, Vec::len) {
                best = Some(counts);
            }
        }
        best
    }
}

fn escape(word: &str) -> String {
    let mut out = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The codes a source's template knows: of its code maps, and those that stand in it as they are.
fn words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut trees: Vec<&Tree> = source.root.members.iter().map(|m| &m.value).collect();
    while let Some(tree) = trees.pop() {
        match tree {
            Tree::Object(object) => trees.extend(object.members.iter().map(|m| &m.value)),
            Tree::List(items) => trees.extend(items),
            Tree::Each(each) => trees.push(&each.item),
            Tree::Case(branches) => trees.extend(branches.iter().filter_map(|b| b.tree.as_ref())),
            Tree::Const(constant) => found.push(constant.text.clone()),
            Tree::Leaf(leaf) => {
                for step in &leaf.lens.steps {
                    if let Step::Code(map, field) = step {
                        found.extend(
                            map.all().filter_map(|c| c.field(*field)).take(3).map(str::to_owned),
                        );
                    }
                }
            }
        }
    }
    found.retain(|word| !word.is_empty() && word.len() <= 64);
    found
}

/// What the engine's names for a statement's tables mean: `t0` is the base table, `t1` the first join,
/// `s1_0` the base table of a condition inside.
pub fn table_behind(alias: &str, count: &Count) -> Option<String> {
    let name = |relation: &Relation| relation.name().to_owned();
    if let Some(number) = alias.strip_prefix('t').and_then(|n| n.parse::<usize>().ok()) {
        return match number {
            0 => Some(name(&count.from)),
            n => count.joins.get(n - 1).map(|join| name(&join.relation)),
        };
    }
    let (_, number) = alias.strip_prefix('s')?.split_once('_')?;
    let number: usize = number.parse().ok()?;
    let mut selects = Vec::new();
    inner(&count.filter, &mut selects);
    selects.iter().find_map(|select| match number {
        0 => Some(name(&select.from)),
        n => select.joins.get(n - 1).map(|join| name(&join.relation)),
    })
}

fn inner<'p>(predicate: &'p Predicate, found: &mut Vec<&'p Select>) {
    match predicate {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|p| inner(p, found)),
        Predicate::Not(part) => inner(part, found),
        Predicate::InSelect { select, .. } => {
            found.push(select);
            inner(&select.filter, found);
        }
        _ => {}
    }
}
