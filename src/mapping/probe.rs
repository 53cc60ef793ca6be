//! Searches that stand for all searches by one parameter, so that a database can be asked what they would
//! cost before anybody waits for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Compiled;
use super::compiled::PlannedSource;
use super::lens::Step;
use super::plan::{Alike, Count, Expr, Join, JoinOn, Predicate, Relation, Select, TextMatch};
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

/// The tables of a statement, by the names the statement gives them: `t0` is the base table, `t1` the first
/// join, `s1_0` the base table of a condition inside, `s2_0` that of one inside of that.
#[derive(Debug)]
pub struct Named<'p> {
    from: &'p Relation,
    joins: &'p [Join],
    filter: &'p Predicate,
}

impl<'p> From<&'p Count> for Named<'p> {
    fn from(count: &'p Count) -> Self {
        Self { from: &count.from, joins: &count.joins, filter: &count.filter }
    }
}

impl<'p> From<&'p Select> for Named<'p> {
    fn from(select: &'p Select) -> Self {
        Self { from: &select.from, joins: &select.joins, filter: &select.filter }
    }
}

impl Named<'_> {
    /// The table behind such a name. Conditions side by side use one name for several tables: then any of
    /// them may be meant, and all are told.
    pub fn behind(&self, alias: &str) -> Option<String> {
        let (depth, number) = if let Some(number) = alias.strip_prefix('t') {
            (0, number)
        } else {
            let (depth, number) = alias.strip_prefix('s')?.split_once('_')?;
            (depth.parse().ok()?, number)
        };
        let mut seen = Seen { depth, number: number.parse().ok()?, tables: BTreeSet::new() };
        seen.select((self.from, self.joins, self.filter), 0);
        let tables: Vec<&str> = seen.tables.into_iter().collect();
        (!tables.is_empty()).then(|| tables.join(" or "))
    }
}

/// A column whose folded beginning a search looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoldedColumn {
    /// The table's schema, where it is written.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Whether blanks at its ends do not count.
    pub trimmed: bool,
}

/// The columns that a search looks at without regard to case and accents, from their beginning on.
pub fn folded(count: &Count) -> BTreeSet<FoldedColumn> {
    let mut found = BTreeSet::new();
    beginnings((&count.from, &count.joins), &count.filter, &mut found);
    found
}

fn beginnings(
    (from, joins): (&Relation, &[Join]),
    filter: &Predicate,
    found: &mut BTreeSet<FoldedColumn>,
) {
    match filter {
        Predicate::All(parts) | Predicate::Any(parts) => {
            for part in parts {
                beginnings((from, joins), part, found);
            }
        }
        Predicate::Not(part) => beginnings((from, joins), part, found),
        Predicate::InSelect { select, .. } => {
            beginnings((&select.from, &select.joins), &select.filter, found);
        }
        Predicate::Among { rows, .. } => {
            beginnings((&rows.from, &rows.joins), &rows.filter, found);
        }
        Predicate::Text { left, how: TextMatch::StartsWith, alike: Alike::Folded, .. } => {
            let (column, trimmed) = match left {
                Expr::Column(column) => (column, false),
                Expr::Trimmed(inner) => match &**inner {
                    Expr::Column(column) => (column, true),
                    _ => return,
                },
                _ => return,
            };
            let relation = match column.relation {
                0 => Some(from),
                number => joins.get(number - 1).map(|join| &join.relation),
            };
            let Some(Relation::Table { schema, name }) = relation else { return };
            let (schema, table, column) = (schema.clone(), name.clone(), column.name.clone());
            found.insert(FoldedColumn { schema, table, column, trimmed });
        }
        _ => {}
    }
}

/// What goes by one name.
struct Seen<'p> {
    depth: usize,
    number: usize,
    tables: BTreeSet<&'p str>,
}

impl<'p> Seen<'p> {
    fn table(&mut self, relation: &'p Relation, (depth, number): (usize, usize)) {
        if (depth, number) == (self.depth, self.number) {
            self.tables.insert(relation.name());
        }
        if let Relation::Distinct { of, filter, .. } = relation {
            self.select((of, &[], filter), depth + 1);
        }
    }

    fn select(
        &mut self,
        (from, joins, filter): (&'p Relation, &'p [Join], &'p Predicate),
        depth: usize,
    ) {
        self.table(from, (depth, 0));
        for (number, join) in joins.iter().enumerate() {
            self.table(&join.relation, (depth, number + 1));
            if join.on.iter().any(|on| matches!(on, JoinOn::First { .. })) {
                self.table(&join.relation, (depth + 1, 0));
            }
        }
        self.condition(filter, depth);
    }

    fn condition(&mut self, predicate: &'p Predicate, depth: usize) {
        match predicate {
            Predicate::All(parts) | Predicate::Any(parts) => {
                for part in parts {
                    self.condition(part, depth);
                }
            }
            Predicate::Not(part) => self.condition(part, depth),
            Predicate::InSelect { select, .. } => {
                self.select((&select.from, &select.joins, &select.filter), depth + 1);
            }
            Predicate::Among { rows, .. } => {
                self.select((&rows.from, &rows.joins, &rows.filter), depth + 1);
            }
            Predicate::First { from, filter, .. } => self.select((from, &[], filter), depth + 1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::support::compiled;

    #[test]
    fn tables_of_conditions_inside_have_their_own_names() {
        let compiled = compiled();
        let counts = |ty: &str, query: &str| {
            let query = SearchQuery::parse(&format!("{query}&_summary=count")).unwrap();
            let page = PageRequest { count: 1, after: None, base: "" };
            compiled.plan_search(ty, &query, &page).unwrap().counts.unwrap()
        };
        for (ty, query, alias, table) in [
            ("Patient", "phone=555", "t0", Some("pacientes")),
            ("Patient", "phone=555", "s1_0", Some("contactos")),
            ("Patient", "phone=555", "s2_0", None),
            ("Patient", "phone=555", "t1", None),
            ("Patient", "phone=555", "contactos", None),
            ("Observation", "patient.phone=555", "s1_0", Some("pacientes")),
            ("Observation", "patient.phone=555", "s2_0", Some("contactos")),
            (
                "Patient",
                "phone=555&_has:Observation:patient:code=8867-4",
                "s1_0",
                Some("contactos or mediciones"),
            ),
        ] {
            let counts = counts(ty, query);
            let named = Named::from(&counts[0]).behind(alias);
            assert_eq!(named.as_deref(), table, "{ty}?{query} {alias}");
        }
    }
}
