//! A mapping in force: what it serves, and the plans of reads and searches.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Clock, SystemClock};
use crate::fhir::capability::{Conditional, SearchParamCapability, TypeCapability};
use crate::fhir::params::ParamKind;

use super::MappingProblem;
use super::catalog::{Catalog, Table};
use super::lens::predicate::{all, any, one_of};
use super::lens::{Lens, Reading};
use super::plan::{
    ColumnRef, Expr, KeyedRead, Order, Predicate, Relation, Select, SourcePlan, Value,
};
use super::render::Page;
use super::rows::Rows;
use super::search::Position;
use super::tree::{Source, Tree};

/// A compiled mapping. Cheap to clone.
#[derive(Clone)]
pub struct Compiled {
    pub(super) sources: Arc<[Arc<Source>]>,
    pub(super) reading: Arc<Reading>,
    warnings: Arc<[MappingProblem]>,
    /// Where the present time comes from, if anything depends on it.
    clock: Option<Arc<dyn Clock>>,
}

/// A plan of one source together with what turns its rows into resources.
#[derive(Debug, Clone)]
pub struct PlannedSource {
    /// What to fetch.
    pub plan: Arc<SourcePlan>,
    /// Which of the type's sources it is; its place in a cursor.
    pub number: usize,
    pub(super) source: Arc<Source>,
    pub(super) reading: Arc<Reading>,
    /// What its rows are sorted by, where sources are put together row by row.
    pub(super) sort: Vec<(Lens, bool)>,
    /// Where it began.
    pub(super) begun: Option<Vec<Option<String>>>,
}

/// A row that may hold the resource asked for: its key, and what turns it into the resource.
#[derive(Debug, Clone)]
pub struct PlannedRead {
    /// How rows of the source are read.
    pub read: Arc<KeyedRead>,
    /// The key, one value for each of its columns.
    pub key: Vec<Value>,
    source: Arc<Source>,
    reading: Arc<Reading>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Compiled {
    pub(super) fn new(
        sources: Vec<Source>,
        reading: &Arc<Reading>,
        warnings: Vec<MappingProblem>,
    ) -> Self {
        let timed = sources.iter().any(|source| source.timed);
        let clock = timed.then(|| Arc::new(SystemClock) as Arc<dyn Clock>);
        let sources = sources.into_iter().map(Arc::new).collect();
        Self { sources, reading: Arc::clone(reading), warnings: warnings.into(), clock }
    }

    /// How cells are read in a request that comes now: one moment from its plan to its last byte.
    fn reading_now(&self) -> Arc<Reading> {
        let Some(clock) = &self.clock else { return Arc::clone(&self.reading) };
        let now = jiff::Timestamp::from_millisecond(clock.now().as_millis()).unwrap_or_default();
        Arc::new(Reading { now, ..Reading::clone(&self.reading) })
    }

    /// The mapping as it is at this moment, where that makes a difference.
    pub(super) fn at_this_moment(&self) -> Option<Self> {
        self.clock.is_some().then(|| Self {
            reading: self.reading_now(),
            clock: None,
            ..self.clone()
        })
    }

    /// What was noticed and did not stop the mapping.
    pub fn warnings(&self) -> &[MappingProblem] {
        &self.warnings
    }

    /// Whether resources of a type can be given.
    pub fn maps(&self, ty: &str) -> bool {
        self.sources.iter().any(|s| s.resource_type == ty)
    }

    /// The resource types served, sorted.
    pub fn resource_types(&self) -> Vec<&str> {
        let types: BTreeSet<&str> = self.sources.iter().map(|s| s.resource_type.as_str()).collect();
        types.into_iter().collect()
    }

    /// Whether resources of a type show the version they are of.
    pub fn versioned(&self, ty: &str) -> bool {
        self.maps(ty) && self.of_type(ty).all(|(_, source)| source.version.is_some())
    }

    /// What a CapabilityStatement says: only what every source of a type can answer.
    pub fn capability(&self) -> Vec<TypeCapability> {
        let types = self.resource_types().into_iter();
        types
            .map(|ty| {
                let mut search_params: Vec<SearchParamCapability> = Vec::new();
                for (_, source) in self.of_type(ty) {
                    let composites = source.composites.iter();
                    let composites = composites.map(|c| (c.name, ParamKind::Composite));
                    let all = source.params.iter().map(|p| (p.name, p.kind)).chain(composites);
                    for (name, kind) in all.filter(|(name, _)| source.served.contains(name)) {
                        let known = search_params.iter().any(|known| known.name == name);
                        if !known && self.serves(ty, name) {
                            search_params
                                .push(SearchParamCapability { name: name.to_owned(), kind });
                        }
                    }
                }
                search_params.sort_by(|a, b| a.name.cmp(&b.name));
                let versioned = self.versioned(ty);
                let (includes, revincludes) = self.includable(ty);
                let mut interactions = vec!["read", "search-type"];
                interactions.extend(versioned.then_some("vread"));
                let powers = self.powers(ty);
                interactions.extend(powers.create.then_some("create"));
                interactions
                    .extend(powers.update.then_some(["update", "patch"]).into_iter().flatten());
                interactions.extend(powers.delete.then_some("delete"));
                TypeCapability {
                    resource_type: ty.to_owned(),
                    interactions,
                    profiles: self.profiles(ty),
                    search_params,
                    includes,
                    revincludes,
                    everything: ty == "Patient",
                    versioning: match (versioned, powers.update) {
                        (true, true) => "versioned-update",
                        (true, false) => "versioned",
                        (false, _) => "no-version",
                    },
                    conditional: Conditional {
                        create: powers.create,
                        update: powers.create && powers.update,
                        delete: powers.delete,
                    },
                }
            })
            .collect()
    }

    /// The profiles that stand as constants in the `meta` of a type's sources.
    fn profiles(&self, ty: &str) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (_, source) in self.of_type(ty) {
            let Some(Tree::Object(meta)) = source.root.member("meta").map(|m| &m.value) else {
                continue;
            };
            let Some(Tree::List(items)) = meta.member("profile").map(|m| &m.value) else {
                continue;
            };
            found.extend(items.iter().filter_map(|item| match item {
                Tree::Const(profile) => Some(profile.text.clone()),
                _ => None,
            }));
        }
        found.into_iter().collect()
    }

    /// Whether anything of it can be written back.
    pub fn writes(&self) -> bool {
        let powers = self.resource_types().into_iter().map(|ty| self.powers(ty));
        powers.into_iter().any(|powers| powers.create || powers.update || powers.delete)
    }

    /// The tables of the catalogue that the mapping uses: what is kept beside it.
    pub fn used_catalog(&self, catalog: &Catalog) -> Catalog {
        let mut relations = BTreeSet::new();
        for source in self.sources.iter() {
            let joined = source.joins.iter().map(|j| &j.relation);
            let children = source.children.iter().flat_map(|child| {
                child.joins.iter().map(|j| &j.relation).chain([&*child.relation])
            });
            for relation in joined.chain(children).chain([&*source.from]) {
                let relation = match relation {
                    Relation::Distinct { of, .. } => &**of,
                    relation => relation,
                };
                if let Relation::Table { schema, name } = relation {
                    relations.insert((schema.clone(), name.clone()));
                }
            }
        }
        let used = |table: &&Table| {
            relations.contains(&(catalog.written_schema(table), table.name.clone()))
        };
        let tables = catalog.tables.iter().filter(used).cloned().collect();
        Catalog { tables, ..catalog.clone() }
    }

    pub(super) fn of_type(&self, ty: &str) -> impl Iterator<Item = (usize, &Arc<Source>)> {
        self.sources.iter().filter(move |s| s.resource_type == ty).enumerate()
    }

    /// The rows that may hold one resource, nearly always one; each is asked until one has it. None: no
    /// row can have that id, which is known without asking the database.
    pub fn plan_read(&self, ty: &str, id: &str) -> Vec<PlannedRead> {
        let mut reads = Vec::new();
        let reading = self.reading_now();
        for (_, source) in self.of_type(ty) {
            reads.extend(source.id.read(id).into_iter().map(|key| PlannedRead {
                read: Arc::clone(&source.read),
                key,
                source: Arc::clone(source),
                reading: Arc::clone(&reading),
            }));
        }
        reads
    }

    /// Whether a search parameter can be asked for, of every source of the type.
    pub fn can_search(&self, ty: &str, name: &str) -> bool {
        self.maps(ty) && self.serves(ty, name)
    }

    /// The place right behind a resource, in a search that is not sorted.
    pub fn position_after(&self, ty: &str, id: &str) -> Option<Position> {
        self.of_type(ty).find_map(|(number, source)| {
            let key = source.id.read(id).into_iter().next()?;
            let after = key.into_iter().map(|value| Some(value.text)).collect();
            Some(Position { source: number, after: Some(after), also: Vec::new() })
        })
    }

    pub(super) fn planned(
        &self,
        number: usize,
        source: &Arc<Source>,
        filter: Predicate,
        order: Vec<Order>,
        after: Option<Vec<Option<Value>>>,
        limit: u32,
    ) -> PlannedSource {
        let unseen = order.iter().map(|key| &key.column).filter(|c| !source.columns.contains(c));
        let unseen: Vec<ColumnRef> = unseen.cloned().collect();
        let columns = if unseen.is_empty() {
            Arc::clone(&source.columns)
        } else {
            source.columns.iter().cloned().chain(unseen).collect()
        };
        let page = Select {
            from: Arc::clone(&source.from),
            joins: Arc::clone(&source.joins),
            columns,
            filter,
            order,
            after,
            limit: Some(limit),
        };
        PlannedSource {
            plan: Arc::new(SourcePlan { page, children: Arc::clone(&source.child_plans) }),
            number,
            source: Arc::clone(source),
            reading: Arc::clone(&self.reading),
            sort: Vec::new(),
            begun: None,
        }
    }
}

/// The rows whose key an id stands for.
pub(super) fn id_predicate(source: &Source, id: &str) -> Predicate {
    any(source.id.read(id).into_iter().map(|key| {
        all(source
            .key
            .iter()
            .zip(key)
            .map(|(slot, value)| one_of(Expr::Column(slot.column.clone()), vec![value])))
    }))
}

/// The order that makes every page's rows follow one another: by key.
pub(super) fn key_order(source: &Source, descending: bool) -> Vec<Order> {
    let columns = source.key.iter().map(|s| s.column.clone());
    columns.map(|column| Order { column, descending }).collect()
}

impl PlannedSource {
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The type its resources are of.
    pub fn resource_type(&self) -> &str {
        &self.source.resource_type
    }

    /// What was fetched, ready to be written. `children` are the rows of the plan's children, in
    /// their order.
    pub fn page<'p>(&'p self, rows: &'p Rows, children: &'p [Rows]) -> Page<'p> {
        Page::new(&self.source, &self.reading, rows, children)
    }
}

impl PlannedRead {
    /// What was fetched, ready to be written.
    pub fn page<'p>(&'p self, rows: &'p Rows, children: &'p [Rows]) -> Page<'p> {
        Page::new(&self.source, &self.reading, rows, children)
    }
}
