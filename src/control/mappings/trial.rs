//! Trying a mapping on some rows: what became of each element in numbers, what each statement and each
//! search is expected to cost. No value and no resource is given out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::live::{Live, Ran};
use crate::mapping::Compiled;
use crate::mapping::catalog::Catalog;
use crate::mapping::plan::{Child, Relation};
use crate::mapping::probe::table_behind;
use crate::mapping::tally::Tally;
use crate::store::run::{FetchedPage, MAX_TEXT};
use crate::store::{Estimate, explain_child_on, explain_count_on, explain_page_on};

/// Rows of each source that are tried.
pub(super) const TRIED: u32 = 200;

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
    /// Rows tried.
    pub rows: usize,
    /// Of these, rows whose resource can be written.
    pub written: usize,
    /// Milliseconds all its statements took.
    pub millis: u64,
    /// Rows left out, by the path of the element they lack.
    pub left_out: Vec<PathCount>,
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
}

impl Live {
    /// Tries a mapping on at most [`TRIED`] rows of each source.
    pub(super) async fn trial(&mut self, compiled: &Compiled, catalog: &Catalog) -> TrialView {
        let mut view = TrialView::default();
        for (ty, planned) in compiled.first_pages(TRIED) {
            let table = name(&planned.plan.page.from);
            let mut source = SourceTrial::of(ty, table);
            let began = Instant::now();
            let plan = (*planned.plan).clone();
            match self.rows(plan, MAX_TEXT).await {
                Ran::Done(fetched) => {
                    source.millis = millis(began.elapsed());
                    source.count(planned.tally(&fetched.page, &fetched.children));
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
            let behind = |alias: &str| {
                let number = alias.strip_prefix('t').and_then(|n| n.parse::<usize>().ok());
                match number {
                    Some(0) => Some(name(&page.from)),
                    Some(n) => page.joins.get(n - 1).map(|join| name(&join.relation)),
                    None => None,
                }
            };
            statements.push(statement("page".to_owned(), &estimate, &behind, catalog));
        }
        for child in children.iter() {
            let ran =
                self.run(async |c| explain_child_on(c, child, &fetched.page, flavour).await).await;
            let Ran::Done(Some(estimate)) = ran else { continue };
            let table = name(&child.select.from);
            let behind = |alias: &str| {
                let number = alias.strip_prefix('t').and_then(|n| n.parse::<usize>().ok());
                match number {
                    Some(0) => Some(name(&child.select.from)),
                    Some(n) => child.select.joins.get(n - 1).map(|join| name(&join.relation)),
                    None => None,
                }
            };
            statements.push(statement(table.clone(), &estimate, &behind, catalog));
        }
        statements
    }

    async fn searches(&mut self, compiled: &Compiled, catalog: &Catalog, view: &mut TrialView) {
        // (type, scanned tables) -> parameters, and the most rows of any.
        type Groups = BTreeMap<(String, Vec<String>), (Vec<String>, Option<u64>)>;
        let flavour = self.flavour();
        let mut groups = Groups::new();
        for probe in compiled.search_probes() {
            let (mut scans, mut rows, mut known) = (Vec::new(), None::<u64>, false);
            for count in &probe.counts {
                match self.run(async |c| explain_count_on(c, count, flavour).await).await {
                    Ran::Done(estimate) => {
                        known = true;
                        scans.extend(scanned(
                            &estimate,
                            &|alias| table_behind(alias, count),
                            catalog,
                        ));
                        rows = rows.max(estimate.rows);
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
                let group = groups.entry((probe.resource_type, scans)).or_default();
                group.0.push(probe.parameter.to_owned());
                group.1 = group.1.max(rows);
            }
        }
        let groups = groups.into_iter().map(|((resource_type, scans), (parameters, rows))| {
            SearchTrial { resource_type, parameters, scans, rows }
        });
        view.searches = groups.collect();
    }
}

impl SourceTrial {
    fn of(resource_type: String, table: String) -> Self {
        Self {
            resource_type,
            table,
            rows: 0,
            written: 0,
            millis: 0,
            left_out: Vec::new(),
            elements: Vec::new(),
            statements: Vec::new(),
            failed: None,
        }
    }

    fn count(&mut self, tally: Tally) {
        self.rows = tally.rows;
        self.written = tally.written;
        let left_out = tally.left_out.into_iter();
        self.left_out = left_out.map(|(path, count)| PathCount { path, count }).collect();
        let elements = tally.elements.into_iter();
        self.elements = elements
            .map(|e| ElementTrial {
                path: e.path,
                columns: e.columns,
                filled: e.filled,
                empty: e.empty,
                bad: e.bad,
            })
            .collect();
    }
}

fn statement(
    what: String,
    estimate: &Estimate,
    behind: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> StatementTrial {
    StatementTrial { what, scans: scanned(estimate, behind, catalog), rows: estimate.rows }
}

/// The tables that are read from end to end, with the rows each is said to have.
fn scanned(
    estimate: &Estimate,
    behind: &dyn Fn(&str) -> Option<String>,
    catalog: &Catalog,
) -> Vec<String> {
    let table = |alias: &String| {
        let name = behind(alias).unwrap_or_else(|| alias.clone());
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
