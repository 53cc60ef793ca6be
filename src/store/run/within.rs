use super::{FetchedPage, Outcome, TenantConn, snapshot};
use crate::mapping::plan::{KeyedRead, SourcePlan, Value};
use crate::store::prepared::{self, Ready};
use crate::store::{Flavour, page_sql};

/// As [`fetch_page_on`](super::fetch_page_on), in a transaction that is under way.
pub(in crate::store) async fn fetch_page_within(
    conn: &mut TenantConn<'_>,
    plan: &SourcePlan,
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    match page_sql(&plan.page, flavour) {
        Ok(page) => snapshot(conn, &plan.children, &Ready::Own(page), flavour, limit).await,
        Err(fault) => Ok(Err(fault.into())),
    }
}

/// As [`fetch_row_on`](super::fetch_row_on), in a transaction that is under way.
pub(in crate::store) async fn fetch_row_within(
    conn: &mut TenantConn<'_>,
    read: &KeyedRead,
    key: &[Value],
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    match prepared::read(read, key, flavour) {
        Ok(page) => snapshot(conn, &read.children, &page, flavour, limit).await,
        Err(fault) => Ok(Err(fault.into())),
    }
}
