use std::borrow::Cow;
use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::catalog::{Catalog, Table};
use super::plan::{Expr, Predicate, Relation, SourcePlan};
use super::problem::MappingProblem;
use super::rows::{Row, Rows};
use super::search::{Asked, Refusal};
use super::source::Source;
use super::template::{self, BadCells, Filling};
use crate::base::{Fault, FaultKind};
use crate::fhir::capability::ResourceCapability;
use crate::fhir::query::{QueryParam, SearchQuery};
use crate::fhir::search_params::{self, ParamKind};

/// A compiled mapping.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub(super) zone: TimeZone,
    pub(super) sources: Vec<Source>,
    /// Pointers of the document's leaves, for counting bad cells.
    pub(super) paths: Vec<String>,
    pub(super) warnings: Vec<MappingProblem>,
}

/// What one source contributes to an answer.
#[derive(Debug)]
pub struct PlannedSource<'m> {
    /// What to fetch.
    pub plan: SourcePlan,
    source: &'m Source,
    number: usize,
    compiled: &'m Compiled,
}

/// Where a page ended: in which source, after which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Number of the source among those of its type.
    pub source: usize,
    /// The key of the last row shown, as text; nothing at a source's beginning.
    pub key: Option<String>,
}

/// A rendered row.
#[derive(Debug, PartialEq, Eq)]
pub enum Rendered {
    /// Written.
    Written,
    /// Left out: an element FHIR demands could not be given, or its key is no FHIR id.
    LeftOut,
}

/// A query the mapping cannot serve. Names parameters, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanFault(pub Cow<'static, str>);

impl Fault for PlanFault {
    fn kind(&self) -> FaultKind {
        FaultKind::Invalid
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.0.clone()
    }
}

impl Compiled {
    /// What was noticed and does not prevent the mapping from working.
    pub fn warnings(&self) -> &[MappingProblem] {
        &self.warnings
    }

    /// Whether resources of a type can be given.
    pub fn maps(&self, resource: &str) -> bool {
        self.sources.iter().any(|s| s.resource == resource)
    }

    /// The tables of the catalogue that the mapping uses: what is kept beside it.
    pub fn used_catalog(&self, catalog: &Catalog) -> Catalog {
        let relations: Vec<&Relation> = self
            .sources
            .iter()
            .flat_map(|s| {
                let joins = s.joins.iter().map(|j| &j.relation);
                std::iter::once(&s.relation)
                    .chain(joins)
                    .chain(s.children.iter().map(|c| &c.relation))
            })
            .collect();
        let used = |table: &Table| {
            let named = super::lookup::relation(catalog, table);
            relations.iter().any(|relation| **relation == named)
        };
        let tables = catalog.tables.iter().filter(|t| used(t)).cloned().collect();
        Catalog { tables, ..catalog.clone() }
    }

    /// Whether a type has a search parameter of that name.
    pub fn knows(&self, resource: &str, param: &QueryParam) -> bool {
        self.maps(resource) && resolve(resource, param).is_some()
    }

    /// What can be done, for the CapabilityStatement.
    pub fn capability(&self) -> Vec<ResourceCapability> {
        let mut types: Vec<&str> = self.sources.iter().map(|s| s.resource.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        types
            .into_iter()
            .map(|ty| {
                let mut search = vec![("_id".to_owned(), "token")];
                for param in search_params::of(ty) {
                    if self.served(ty, param) {
                        search.push((param.name.to_owned(), param.kind.as_str()));
                    }
                }
                ResourceCapability { resource: ty.to_owned(), search, versioned: false }
            })
            .collect()
    }

    /// Whether every source of the type can answer a parameter; asked with a harmless value.
    fn served(&self, ty: &str, param: &search_params::SearchParam) -> bool {
        let sample = match param.kind {
            ParamKind::Date => "2000-01-01",
            _ => "x",
        };
        let query = QueryParam {
            name: param.name.to_owned(),
            modifier: None,
            values: vec![sample.to_owned()],
        };
        self.of_type(ty).any(|(_, source)| {
            let asked = Asked { source, zone: &self.zone, base: "" };
            asked.predicate(param, &query).is_ok()
        })
    }

    fn of_type<'m>(&'m self, ty: &str) -> impl Iterator<Item = (usize, &'m Source)> {
        let ty = ty.to_owned();
        self.sources.iter().filter(move |s| s.resource == ty).enumerate()
    }

    /// The plans that find one resource: one for each source whose ids look like this. None: there is no
    /// such resource, without asking the database.
    pub fn plan_read(&self, resource: &str, id: &str) -> Vec<PlannedSource<'_>> {
        self.of_type(resource)
            .filter_map(|(number, source)| {
                let key = source.key_of(id)?;
                let wanted =
                    Predicate::In { left: Expr::Column(source.key.clone()), values: vec![key] };
                Some(PlannedSource {
                    plan: source.plan(wanted, None, 1),
                    source,
                    number,
                    compiled: self,
                })
            })
            .collect()
    }

    /// The plans of a page, to be fetched in order until there are `limit` rows. A source nothing can
    /// match in is left out.
    pub fn plan_search(
        &self,
        resource: &str,
        query: &SearchQuery,
        lenient: bool,
        base: &str,
        from: &Position,
        limit: u32,
    ) -> Result<Vec<PlannedSource<'_>>, PlanFault> {
        if let Some(name) = query.unsupported.first().filter(|_| !lenient) {
            return Err(PlanFault(format!("The parameter {name} is not supported.").into()));
        }
        let mut wanted = Vec::new();
        for param in &query.params {
            match resolve(resource, param) {
                Some(known) => wanted.push((param, known)),
                None if lenient => {}
                None => {
                    let message = format!("{resource} has no search parameter {}.", named(param));
                    return Err(PlanFault(message.into()));
                }
            }
        }
        let mut plans = Vec::new();
        let mut refusal = None;
        for (number, source) in self.of_type(resource).skip_while(|(n, _)| *n < from.source) {
            let asked = Asked { source, zone: &self.zone, base };
            match condition(&asked, &wanted) {
                Ok(predicate) => {
                    let after = from.key.as_deref().filter(|_| number == from.source);
                    let after = after.and_then(|key| super::values::parse(source.key.ty, key));
                    let plan = source.plan(predicate, after, limit);
                    plans.push(PlannedSource { plan, source, number, compiled: self });
                }
                Err(fault) => refusal = Some(fault),
            }
        }
        // A source that cannot answer a parameter another one can has nothing that matches it.
        match refusal {
            Some(fault) if plans.is_empty() => Err(fault),
            _ => Ok(plans),
        }
    }

    /// The document's place with that number, for counting bad cells.
    pub fn path(&self, number: usize) -> Option<&str> {
        self.paths.get(number).map(String::as_str)
    }
}

fn named(param: &QueryParam) -> String {
    // A name is shown only when it looks like one; anything else is not ours to repeat.
    let plain = |text: &str| {
        text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if plain(&param.name) { format!("\"{}\"", param.name) } else { "of that name".to_owned() }
}

/// What a query parameter means.
#[derive(Clone, Copy)]
enum Known {
    /// `_id`, which every type has.
    Id,
    /// One of the type's own.
    Param(&'static search_params::SearchParam),
}

fn resolve(resource: &str, param: &QueryParam) -> Option<Known> {
    if param.name == "_id" {
        return Some(Known::Id);
    }
    search_params::of(resource).iter().find(|p| p.name == param.name).map(Known::Param)
}

type Wanted<'q> = (&'q QueryParam, Known);

fn condition(asked: &Asked<'_>, wanted: &[Wanted<'_>]) -> Result<Predicate, PlanFault> {
    let mut all = Vec::new();
    for (query, known) in wanted {
        if query.values.is_empty() {
            return Err(PlanFault(format!("The parameter {} has no value.", named(query)).into()));
        }
        match known {
            Known::Id => {
                let keys = query.values.iter().filter_map(|id| asked.source.key_of(id)).collect();
                all.push(Predicate::In {
                    left: Expr::Column(asked.source.key.clone()),
                    values: keys,
                });
            }
            Known::Param(param) => all.push(asked.predicate(param, query).map_err(|refusal| {
                PlanFault(
                    match refusal {
                        Refusal::NotMapped => {
                            format!("The parameter {} cannot be searched here.", named(query))
                        }
                        Refusal::Modifier => {
                            format!("The parameter {} does not take that modifier.", named(query))
                        }
                        Refusal::Value => {
                            format!("The parameter {} has a malformed value.", named(query))
                        }
                    }
                    .into(),
                )
            })?),
        }
    }
    Ok(Predicate::All(all))
}

impl PlannedSource<'_> {
    /// The number of its source among those of its type, for the cursor.
    pub const fn number(&self) -> usize {
        self.number
    }

    /// The id of a row, if it can have one.
    pub fn id(&self, row: &Row<'_>) -> Option<String> {
        self.source.id(row)
    }

    /// The key of a row as text, for the cursor.
    pub fn key(&self, row: &Row<'_>) -> Option<String> {
        row.get(0).map(str::to_owned)
    }

    /// Groups the one-to-many rows by the base rows they belong to.
    pub fn group<'r>(&self, children: &'r [Rows]) -> Grouped<'r> {
        let tables = self.source.children.iter().zip(children).map(|(table, rows)| {
            let own: Vec<usize> = (0..table.own.len()).collect();
            let mut by_key: ByKey<'r> = HashMap::new();
            for row in rows.iter() {
                let key: Option<Vec<&str>> = own.iter().map(|slot| row.get(*slot)).collect();
                if let Some(key) = key {
                    by_key.entry(key).or_default().push(row);
                }
            }
            (table.parent.clone(), by_key)
        });
        Grouped(tables.collect())
    }

    /// Writes a row's resource, and the pointers of leaves whose cells could not be rendered.
    pub fn render(
        &self,
        row: Row<'_>,
        grouped: &Grouped<'_>,
        out: &mut Vec<u8>,
        bad: &mut Vec<usize>,
    ) -> Rendered {
        let Some(id) = self.id(&row) else { return Rendered::LeftOut };
        let children: Vec<Vec<Row<'_>>> = grouped
            .0
            .iter()
            .map(|(parent, by_key)| {
                let key: Option<Vec<&str>> = parent.iter().map(|slot| row.get(*slot)).collect();
                key.and_then(|key| by_key.get(&key)).cloned().unwrap_or_default()
            })
            .collect();
        let begun = out.len();
        out.extend_from_slice(b"{\"resourceType\":\"");
        out.extend_from_slice(self.source.resource.as_bytes());
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(id.as_bytes());
        out.push(b'"');
        let mut cells: BadCells = Vec::new();
        let filling = Filling { row, children: &children, zone: &self.compiled.zone };
        let complete =
            template::members(&self.source.root, &self.source.required, &filling, out, &mut cells);
        bad.append(&mut cells);
        out.push(b'}');
        if complete {
            Rendered::Written
        } else {
            out.truncate(begun);
            Rendered::LeftOut
        }
    }
}

/// One-to-many rows by the key of the row they belong to.
pub struct Grouped<'r>(Vec<(Vec<usize>, ByKey<'r>)>);

type ByKey<'r> = HashMap<Vec<&'r str>, Vec<Row<'r>>>;
