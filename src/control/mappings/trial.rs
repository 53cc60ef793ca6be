//! Trying a mapping on some rows: what became of each element in numbers, what each statement and each
//! search is expected to cost. No value and no resource is given out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::leading::Known;
use super::live::{Live, Ran};
use crate::fhir::invariants::Invariant;
use crate::mapping::Compiled;
use crate::mapping::catalog::{Catalog, Table};
use crate::mapping::misfit;
use crate::mapping::plan::{Child, Count, Relation};
use crate::mapping::probe::{FoldedColumn, Named, folded};
use crate::mapping::tally::Tally;
use crate::store::run::{FetchedPage, MAX_TEXT};
use crate::store::{
    Estimate, Flavour, explain_child_on, explain_count_on, explain_page_on, folded_index_sql,
};

/// Rows of each source that are tried.
pub(super) const TRIED: u32 = 200;

/// Tables with fewer rows are read whole whatever indexes there are.
const SMALL: u64 = 10_000;

/// What came of trying a mapping.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct TrialView {
    /// Each source, in the order of the document's types.
    pub sources: Vec<SourceTrial>,
    /// Search parameters, those that read the same tables from end to end together.
    pub searches: Vec<SearchTrial>,
    /// Whether time ran out before everything was tried.
    pub cut_short: bool,
}

/// One source on some rows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceTrial {
    /// The FHIR type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The base table.
    pub table: String,
    /// How its ids are made, such as `pulse-$id`; empty where it could not be tried.
    pub id: String,
    /// Rows tried.
    pub rows: usize,
    /// Of these, rows whose resource can be written.
    pub written: usize,
    /// Milliseconds all its statements took.
    pub millis: u64,
    /// Rows left out, by the path of the element they lack.
    pub left_out: Vec<PathCount>,
    /// Rules of FHIR's that resources break, for which validators refuse them.
    pub broken: Vec<BrokenRule>,
    /// Each element that comes from columns.
    pub elements: Vec<ElementTrial>,
    /// Each statement of a page.
    pub statements: Vec<StatementTrial>,
    /// Why it could not be tried.
    pub failed: Option<String>,
}

/// How often something happened to an element.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PathCount {
    /// Its path.
    pub path: String,
    /// How often.
    pub count: u32,
}

/// A rule of FHIR's and how many resources break it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BrokenRule {
    /// FHIR's name for it, such as `app-3`.
    pub rule: String,
    /// What it says.
    pub says: String,
    /// What a mapping does about it.
    pub cure: String,
    /// How many of the resources written break it.
    pub count: usize,
}

/// What became of one element.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ElementTrial {
    /// Its path, such as `Patient.birthDate`.
    pub path: String,
    /// The columns it is made of.
    pub columns: Vec<String>,
    /// Rows that gave a value.
    pub filled: usize,
    /// Rows that gave nothing.
    pub empty: usize,
    /// Rows whose cells do not fit.
    pub bad: usize,
    /// Of the rows that gave a value, those with a day that programs write where there is none.
    pub no_date: usize,
    /// Of the rows that gave a reference, those where it leads to nothing that is served.
    pub lost: usize,
    /// Keys among them that stand for none in many systems, such as `0`.
    pub lost_words: Vec<String>,
}

/// What a mapping may say of an element where most of its cells do not fit: a few are what old databases have, most of
/// them are a word that the mapping lacks.
pub fn misfit_cure(path: &str, bad: usize, of: usize) -> Option<String> {
    misfit::cure(path).filter(|_| bad * 2 >= of)
}

/// What a statement is expected to do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StatementTrial {
    /// `page`, or the one-to-many table.
    pub what: String,
    /// Tables it reads from end to end, each with the rows its database says it has.
    pub scans: Vec<String>,
    /// Rows the database expects to look at, where it says so.
    pub rows: Option<u64>,
}

/// Search parameters that cost the same.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SearchTrial {
    /// The FHIR type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The parameters.
    pub parameters: Vec<String>,
    /// Tables that are read from end to end; none: an index serves.
    pub scans: Vec<String>,
    /// The most rows the database expects to look at for one of them, where it says so.
    pub rows: Option<u64>,
    /// Indexes of folded texts that would serve them (PostgreSQL), of tables that are not small.
    pub indexes: Vec<FoldedIndex>,
}

/// An index that would serve searches by the beginning of a text, whatever its case and accents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct FoldedIndex {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The statement that makes it.
    pub statement: String,
}

impl Live {
    /// Tries a mapping on at most [`TRIED`] rows of each source.
    pub(super) async fn trial(&mut self, compiled: &Compiled, catalog: &Catalog) -> TrialView {
        let (mut view, mut known) = (TrialView::default(), Known::default());
        for (ty, planned) in compiled.first_pages(TRIED) {
            let table = name(&planned.plan.page.from);
            let mut source = SourceTrial::of(ty, table);
            let began = Instant::now();
            let plan = (*planned.plan).clone();
            match self.rows(plan, MAX_TEXT).await {
                Ran::Done(fetched) => {
                    source.millis = millis(began.elapsed());
                    let mut tally = planned.tally(&fetched.page, &fetched.children);
                    let refers: Vec<Vec<String>> =
                        tally.elements.iter_mut().map(|e| std::mem::take(&mut e.refers)).collect();
                    source.count(tally);
                    let whole = self.leading(compiled, &mut known, &refers, &mut source).await;
                    view.cut_short |= !whole;
                    let page = self.statements(
                        &planned.plan.page,
                        &planned.plan.children,
                        &fetched,
                        catalog,
                    );
                    source.statements = page.await;
                }
                Ran::Refused => {
                    let why = "the database refused or cut off the statement of its rows";
                    source.failed = Some(why.to_owned());
                }
                Ran::Late => {
                    source.failed = Some("there was no time left to try it".to_owned());
                    view.cut_short = true;
                }
            }
            view.sources.push(source);
        }
        self.searches(compiled, catalog, &mut view).await;
        view
    }

    async fn statements(
        &mut self,
        page: &crate::mapping::plan::Select,
        children: &Arc<[Child]>,
        fetched: &FetchedPage,
        catalog: &Catalog,
    ) -> Vec<StatementTrial> {
        let flavour = self.flavour();
        let mut statements = Vec::new();
        if let Ran::Done(estimate) =
            self.run(async |c| explain_page_on(c, page, flavour).await).await
        {
            let scans = scanned(&estimate, &Named::from(page), catalog);
            let what = "page".to_owned();
            statements.push(StatementTrial { what, scans, rows: estimate.rows });
        }
        for child in children.iter() {
            let ran =
                self.run(async |c| explain_child_on(c, child, &fetched.page, flavour).await).await;
            let Ran::Done(Some(estimate)) = ran else { continue };
            let scans = scanned(&estimate, &Named::from(&child.select), catalog);
            let what = name(&child.select.from);
            statements.push(StatementTrial { what, scans, rows: estimate.rows });
        }
        statements
    }

    async fn searches(&mut self, compiled: &Compiled, catalog: &Catalog, view: &mut TrialView) {
        // By type and the tables that are read whole.
        type Groups = BTreeMap<(String, Vec<String>), SearchTrial>;
        let flavour = self.flavour();
        let mut groups = Groups::new();
        for probe in compiled.search_probes() {
            let (mut scans, mut rows, mut known) = (Vec::new(), None::<u64>, false);
            let mut indexes = BTreeSet::new();
            for count in &probe.counts {
                match self.run(async |c| explain_count_on(c, count, flavour).await).await {
                    Ran::Done(estimate) => {
                        known = true;
                        scans.extend(scanned(&estimate, &Named::from(count), catalog));
                        rows = rows.max(estimate.rows);
                        if flavour == Flavour::Postgres {
                            indexes.extend(missing_indexes(&estimate, count, catalog));
                        }
                    }
                    Ran::Refused => {}
                    Ran::Late => {
                        view.cut_short = true;
                        break;
                    }
                }
            }
            if known {
                scans.sort();
                scans.dedup();
                let group = groups.entry((probe.resource_type.clone(), scans.clone()));
                let group = group.or_insert_with(|| SearchTrial {
                    resource_type: probe.resource_type,
                    parameters: Vec::new(),
                    scans,
                    rows: None,
                    indexes: Vec::new(),
                });
                group.parameters.push(probe.parameter.to_owned());
                group.rows = group.rows.max(rows);
                group.indexes.extend(indexes);
                group.indexes.sort();
                group.indexes.dedup();
            }
        }
        view.searches = groups.into_values().collect();
    }
}

/// The indexes of folded texts that a search would use: of columns of tables that it reads whole and that
/// are large enough for the database to use one.
fn missing_indexes<'c>(
    estimate: &'c Estimate,
    count: &Count,
    catalog: &'c Catalog,
) -> impl Iterator<Item = FoldedIndex> + 'c {
    let missing = move |column: &FoldedColumn| {
        let own = |table: &&Table| {
            table.name == column.table && (column.schema.is_none() || table.schema == column.schema)
        };
        let table = catalog.tables.iter().find(own);
        let large = table.and_then(|t| t.estimated_rows).is_some_and(|rows| rows >= SMALL);
        large && estimate.scans.contains(&column.table)
    };
    folded(count).into_iter().filter(missing).filter_map(|column| {
        let statement = folded_index_sql(&column)?;
        Some(FoldedIndex { table: column.table, column: column.column, statement })
    })
}

impl SourceTrial {
    fn of(resource_type: String, table: String) -> Self {
        Self {
            resource_type,
            table,
            id: String::new(),
            rows: 0,
            written: 0,
            millis: 0,
            left_out: Vec::new(),
            broken: Vec::new(),
            elements: Vec::new(),
            statements: Vec::new(),
            failed: None,
        }
    }

    fn count(&mut self, tally: Tally) {
        self.id = tally.id;
        self.rows = tally.rows;
        self.written = tally.written;
        let left_out = tally.left_out.into_iter();
        self.left_out = left_out.map(|(path, count)| PathCount { path, count }).collect();
        let told = |(rule, count): (&Invariant, usize)| BrokenRule {
            rule: rule.key.to_owned(),
            says: rule.says.to_owned(),
            cure: rule.cure.to_owned(),
            count,
        };
        self.broken = tally.broken.into_iter().map(told).collect();
        let elements = tally.elements.into_iter();
        self.elements = elements
            .map(|e| ElementTrial {
                path: e.path,
                columns: e.columns,
                filled: e.filled,
                empty: e.empty,
                bad: e.bad,
                no_date: e.no_date,
                lost: 0,
                lost_words: Vec::new(),
            })
            .collect();
    }
}

/// The tables that are read from end to end, with the rows each is said to have.
fn scanned(estimate: &Estimate, tables: &Named<'_>, catalog: &Catalog) -> Vec<String> {
    let table = |alias: &String| {
        let name = tables.behind(alias).unwrap_or_else(|| alias.clone());
        let rows = catalog.tables.iter().find(|t| t.name == name).and_then(|t| t.estimated_rows);
        rows.map_or(name.clone(), |rows| format!("{name} (about {rows} rows)"))
    };
    let mut scans: Vec<String> = estimate.scans.iter().map(table).collect();
    scans.sort();
    scans.dedup();
    scans
}

fn name(relation: &Relation) -> String {
    relation.name().to_owned()
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
