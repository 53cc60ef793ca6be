//! A tenant's database as maintenance sees it: its catalogue, the first rows of tables for a draft, what a
//! mapping makes of some rows in numbers. Nothing here gives a resource out.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout_at;

use super::super::{Control, ControlFault, Orders};
use crate::base::Deadline;
use crate::mapping::DeclaredSource;
use crate::mapping::catalog::Catalog;
use crate::mapping::draft::{Ask, Sampled};
use crate::mapping::plan::SourcePlan;
use crate::pool::dial::Opened;
use crate::pool::verdict::classify;
use crate::registry::Tenant;
use crate::store::run::{FetchedPage, TenantConn, fetch_page_on};
use crate::store::{self, Flavour, StoreFault};
use crate::tenant::seal_place;

/// Text of one table's rows that a draft looks at.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;
/// What is kept back of a caller's time for everything after looking at rows.
const KEPT_BACK: Duration = Duration::from_secs(3);

/// One connection for one order; closed when it is dropped.
pub(super) struct Live {
    opened: Opened,
    due: Deadline,
    /// No further statement may begin after this.
    pub(super) until: Deadline,
    /// A statement was cut off: what is on the wire is nobody's answer.
    spent: bool,
}

/// What came of one statement.
pub(super) enum Ran<T> {
    Done(T),
    /// The database, or the plan, said no.
    Refused,
    /// There is no time left for it.
    Late,
}

impl Control {
    /// Connects to a tenant's database for maintenance.
    pub(super) async fn live(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
    ) -> Result<Live, ControlFault> {
        let Some(connection) = self.0.registry.connection(tenant.id).await? else {
            return Err(ControlFault::Conflict("the tenant has no connection yet"));
        };
        let place = seal_place(tenant.id, connection.record_id, connection.revision);
        let record = self.0.keyring.open(&place, &connection.sealed).await?;
        let due = caller.due();
        let opened = self.dial(due, &record).await?;
        if connection.identity.is_some_and(|expected| expected != opened.identity) {
            return Err(ControlFault::WrongServer);
        }
        opened.canceller.begin(due);
        let left = due.at().saturating_duration_since(tokio::time::Instant::now());
        let until = Deadline::after(left.saturating_sub(KEPT_BACK));
        Ok(Live { opened, due, until, spent: false })
    }
}

impl Live {
    /// The dialect statements are written in.
    pub(super) fn flavour(&self) -> Flavour {
        Flavour::of_server(&self.opened.facts)
    }

    /// The live schema, and what these sources give there.
    pub(super) async fn catalog(
        &mut self,
        sources: &[DeclaredSource],
    ) -> Result<Catalog, ControlFault> {
        let mut connection: TenantConn<'_> = (&mut self.opened.connection).into();
        match timeout_at(self.due.at(), store::catalog_on(&mut connection, sources)).await {
            Ok(Ok(catalog)) => Ok(catalog?),
            Ok(Err(_)) | Err(_) => Err(StoreFault::Catalogue.into()),
        }
    }

    /// The rows a draft wants to look at; tables that cannot be read in time are left out.
    pub(super) async fn samples(&mut self, asks: Vec<Ask>) -> BTreeMap<usize, Sampled> {
        let mut samples = BTreeMap::new();
        for ask in asks {
            let Ask { table, columns, mut select } = ask;
            let mut ran = self.rows(plan(&select), SAMPLE_BYTES).await;
            if matches!(ran, Ran::Refused) {
                // Long texts may have filled what is read; fewer rows say nearly as much.
                select.limit = Some(50);
                ran = self.rows(plan(&select), SAMPLE_BYTES).await;
            }
            match ran {
                Ran::Done(rows) => drop(samples.insert(table, Sampled::new(columns, rows.page))),
                Ran::Refused => {}
                Ran::Late => break,
            }
        }
        samples
    }

    /// Runs a plan.
    pub(super) async fn rows(&mut self, plan: SourcePlan, limit: usize) -> Ran<FetchedPage> {
        let flavour = self.flavour();
        self.run(async |conn| fetch_page_on(conn, &plan, flavour, limit).await).await
    }

    /// Runs statements unless time is up.
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut TenantConn<'_>) -> store::run::Outcome<T>,
    ) -> Ran<T> {
        if self.spent || self.until.passed() {
            return Ran::Late;
        }
        let mut connection: TenantConn<'_> = (&mut self.opened.connection).into();
        match timeout_at(self.until.at(), work(&mut connection)).await {
            Ok(Ok(Ok(done))) => Ran::Done(done),
            Ok(Ok(Err(_))) => Ran::Refused,
            // The server said no and waits for the next statement.
            Ok(Err(error)) if classify(&error).leaves_connection_usable() => Ran::Refused,
            Ok(Err(_)) | Err(_) => {
                self.spent = true;
                Ran::Late
            }
        }
    }
}

fn plan(select: &crate::mapping::plan::Select) -> SourcePlan {
    SourcePlan { page: select.clone(), children: std::sync::Arc::default() }
}
