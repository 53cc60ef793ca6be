//! The same over a lease: what the rest of the gateway calls.

use std::sync::Arc;

use crate::base::{Deadline, TenantId};
use crate::mapping::DeclaredSource;
use crate::mapping::catalog::Catalog;
use crate::mapping::plan::{Count, KeyedRead, SourcePlan, Value};
use crate::mapping::rows::Rows;
use crate::pool::dial::TenantConnection;
use crate::pool::verdict::{DbError, Family};
use crate::pool::{DatabaseFault, Lease, PoolFault};
use crate::telemetry::names;

use super::rule::outdated;
use super::run::{
    FetchedPage, MAX_TEXT, TenantConn, fetch_counts_on, fetch_keys_on, fetch_page_on, fetch_row_on,
};
use super::{Flavour, StoreFault, WriteFault, catalog_on, introspect_on};

impl From<PoolFault> for StoreFault {
    fn from(fault: PoolFault) -> Self {
        match fault {
            PoolFault::Database(DatabaseFault(error)) if error.is_too_long() => {
                Self::TooLarge { limit: MAX_TEXT }
            }
            fault => Self::Database(Box::new(fault)),
        }
    }
}

impl<'a> From<&'a mut TenantConnection> for TenantConn<'a> {
    fn from(connection: &'a mut TenantConnection) -> Self {
        match connection {
            TenantConnection::Postgres(connection) => Self::Postgres(connection),
            TenantConnection::MySql(connection) => Self::MySql(connection),
            TenantConnection::Sqlite(connection) => Self::Sqlite(connection),
        }
    }
}

/// A read compares columns with values of their own type, which was checked before. What the server cannot
/// convert is therefore a cell, in a view of the hospital's say: the mapping does not fit, and the caller
/// cannot mend it. But for a letter that the database's encoding lacks: cells were asked for by themselves before
/// this is said, so it stands in a value.
fn of_a_cell(fault: PoolFault, flavour: Flavour) -> StoreFault {
    match fault {
        PoolFault::Database(DatabaseFault(DbError { code, .. }))
            if code == "22P05" && matches!(flavour, Flavour::PostgresIn(_)) =>
        {
            WriteFault::Letters.into()
        }
        PoolFault::Database(DatabaseFault(DbError { family: Family::CallerValue, code })) => {
            PoolFault::Database(DatabaseFault(DbError { family: Family::Mapping, code })).into()
        }
        other => other.into(),
    }
}

/// Counts the rows that were fetched, and cells whose bytes are no text: nobody after this knows them from
/// cells that are empty.
fn counted(
    lease: &Lease,
    fetched: Result<FetchedPage, StoreFault>,
) -> Result<FetchedPage, StoreFault> {
    if let (Some(measured), Ok(fetched)) = (lease.measured(), &fetched) {
        measured.rows(fetched.rows());
    }
    note_lost(lease.tenant(), &fetched);
    fetched
}

/// Tells the operators how many cells were left out because their bytes are no text.
fn note_lost(tenant: TenantId, fetched: &Result<FetchedPage, StoreFault>) {
    let Ok(FetchedPage { undecodable: lost @ 1.., .. }) = fetched else { return };
    metrics::counter!(names::BAD_CELLS, "tenant" => tenant.to_string()).increment(*lost);
    tracing::debug!(target: "wardgate::store", %tenant, lost, "cells hold bytes that are no text");
}

/// Reads, and reads once more where somebody altered a table since the statements were prepared.
macro_rules! again {
    ($read:expr) => {
        match $read.await {
            Err(error) if outdated(&error) => $read.await,
            outcome => outcome,
        }
    };
}

/// Fetches one page of a source and the one-to-many rows that hang off it, as of one moment.
///
/// # Errors
/// [`StoreFault::Write`] for a plan that cannot be written, [`StoreFault::TooLarge`] beyond
/// [`MAX_TEXT`], [`StoreFault::Database`] for whatever the lane says.
pub async fn fetch_page(
    lease: &mut Lease,
    plan: &Arc<SourcePlan>,
    deadline: Deadline,
) -> Result<FetchedPage, StoreFault> {
    let flavour = Flavour::of_server(lease.facts());
    let plan = Arc::clone(plan);
    let fetched = lease
        .run(deadline, move |connection| {
            Box::pin(async move {
                let conn = &mut connection.into();
                again!(fetch_page_on(conn, &plan, flavour, MAX_TEXT))
            })
        })
        .await;
    counted(lease, fetched.map_err(|fault| of_a_cell(fault, flavour))?)
}

/// Fetches the row of a key and the one-to-many rows that hang off it, as of one moment.
///
/// # Errors
/// As [`fetch_page`].
pub async fn fetch_row(
    lease: &mut Lease,
    read: &Arc<KeyedRead>,
    key: Vec<Value>,
    deadline: Deadline,
) -> Result<FetchedPage, StoreFault> {
    let flavour = Flavour::of_server(lease.facts());
    let read = Arc::clone(read);
    let fetched = lease
        .run(deadline, move |connection| {
            Box::pin(async move {
                let conn = &mut connection.into();
                again!(fetch_row_on(conn, &read, &key, flavour, MAX_TEXT))
            })
        })
        .await;
    counted(lease, fetched.map_err(|fault| of_a_cell(fault, flavour))?)
}

/// Fetches the rows of many keys, each a row of `keys`, and the one-to-many rows that hang off them.
///
/// # Errors
/// As [`fetch_page`].
pub async fn fetch_keys(
    lease: &mut Lease,
    read: &Arc<KeyedRead>,
    keys: Rows,
    deadline: Deadline,
) -> Result<FetchedPage, StoreFault> {
    let flavour = Flavour::of_server(lease.facts());
    let read = Arc::clone(read);
    let fetched = lease
        .run(deadline, move |connection| {
            Box::pin(async move {
                let conn = &mut connection.into();
                again!(fetch_keys_on(conn, &read, &keys, flavour, MAX_TEXT))
            })
        })
        .await;
    counted(lease, fetched.map_err(|fault| of_a_cell(fault, flavour))?)
}

/// How many rows the counts come to, added up.
///
/// # Errors
/// As [`fetch_page`].
pub async fn fetch_counts(
    lease: &mut Lease,
    counts: Vec<Count>,
    deadline: Deadline,
) -> Result<u64, StoreFault> {
    let flavour = Flavour::of_server(lease.facts());
    lease
        .run(deadline, move |connection| {
            Box::pin(async move {
                let conn = &mut connection.into();
                again!(fetch_counts_on(conn, &counts, flavour))
            })
        })
        .await
        .map_err(|fault| of_a_cell(fault, flavour))?
}

/// Reads the catalogue of the lease's database, and what a document's sources give there.
///
/// # Errors
/// As [`introspect`].
pub async fn catalog(
    lease: &mut Lease,
    sources: Vec<DeclaredSource>,
    deadline: Deadline,
) -> Result<Catalog, StoreFault> {
    lease
        .run(deadline, move |connection| {
            Box::pin(async move { catalog_on(&mut connection.into(), &sources).await })
        })
        .await?
}

/// Reads the catalogue of the lease's database.
///
/// # Errors
/// [`StoreFault::TooManyTables`], [`StoreFault::Catalogue`], or [`StoreFault::Database`].
pub async fn introspect(lease: &mut Lease, deadline: Deadline) -> Result<Catalog, StoreFault> {
    lease
        .run(deadline, |connection| {
            Box::pin(async move { introspect_on(&mut connection.into()).await })
        })
        .await?
}
