//! A page and its one-to-many rows from PostgreSQL in two round trips: the snapshot is opened together
//! with the page's statement, and all that hangs off the page comes together with the end of the snapshot.

use std::ops::ControlFlow;

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::Child;
use crate::mapping::rows::Rows;
use crate::pool::postgres::{Cells, Ended, Parameter, PostgresSession, Query};
use crate::store::cells::{Cell, text_cell};
use crate::store::prepared::{self, Ready};
use crate::store::{Bind, Flavour, StoreFault, WriteFault};

use super::{Fetched, FetchedPage, Outcome, Taken, begin, unbindable};

const END: Query<'static> = Query { sql: "ROLLBACK", parameters: &[] };

/// What is bound, in the session's terms.
pub(super) fn parameters(binds: &[Bind]) -> Result<Vec<Parameter<'_>>, sqlx::Error> {
    let parameter = |bind| {
        Ok(match bind {
            &Bind::Int(number) => Parameter::Int(number),
            &Bind::Float(number) => Parameter::Float(number),
            Bind::Text(text) => Parameter::Text(text),
            Bind::Bytes(bytes) => Parameter::Bytes(bytes),
            Bind::Texts(texts) => Parameter::Texts(texts),
            Bind::Untyped(text) => Parameter::Untyped(text),
            Bind::UInt(_) => return Err(unbindable("bound for another engine".into())),
        })
    };
    binds.iter().map(parameter).collect()
}

impl Taken {
    /// Takes the cells of a row as the server gave them.
    pub(super) fn take_row(
        &mut self,
        shape: &[SqlType],
        mut cells: Cells<'_>,
        scratch: &mut String,
    ) -> ControlFlow<()> {
        for ty in shape {
            let cell = match cells.next() {
                Some(Some(bytes)) => text_cell(*ty, bytes, scratch),
                Some(None) => Cell::Null,
                None => Cell::Bad,
            };
            if !self.take(&cell) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// Runs statements together, a snapshot's beginning before and its end after them where that is wanted.
/// `limit` bounds the rows of all of them.
async fn run(
    session: &mut PostgresSession,
    statements: &[Ready],
    (first, last): (Option<Query<'_>>, Option<Query<'_>>),
    limit: usize,
) -> Outcome<Vec<Fetched>> {
    let parts: Vec<_> = statements.iter().map(Ready::parts).collect();
    let bound: Vec<_> =
        parts.iter().map(|(_, binds, _)| parameters(binds)).collect::<Result<_, _>>()?;
    let own = parts.iter().zip(&bound).map(|((sql, ..), parameters)| Query { sql, parameters });
    let queries: Vec<Query<'_>> = first.into_iter().chain(own).chain(last).collect();
    let before = usize::from(first.is_some());
    let mut taken: Vec<Taken> =
        parts.iter().map(|(_, _, shape)| Taken::new(shape, limit)).collect();
    let (mut scratch, mut used) = (String::new(), 0);
    let each = |number: usize, cells: Cells<'_>| {
        let Some(at) = number.checked_sub(before) else { return ControlFlow::Continue(()) };
        let (Some(own), Some((_, _, shape))) = (taken.get_mut(at), parts.get(at)) else {
            return ControlFlow::Continue(());
        };
        let was = own.used;
        let flow = own.take_row(shape, cells, &mut scratch);
        used += own.used - was;
        if used > limit { ControlFlow::Break(()) } else { flow }
    };
    match session.batch(&queries, each).await? {
        Ended::Complete => Ok(taken.into_iter().map(Taken::done).collect()),
        Ended::CutShort => Ok(Err(StoreFault::TooLarge { limit })),
    }
}

/// As [`fetch`](super::fetch), for a page with one-to-many rows.
pub(super) async fn fetch(
    session: &mut PostgresSession,
    page: Ready,
    children: &[Child],
    limit: usize,
) -> Outcome<FetchedPage> {
    let outcome = snapshot(session, page, children, limit).await;
    if let Ok(Ok(_)) = outcome {
        return outcome;
    }
    // Whatever ended it came before the snapshot's own end.
    match (session.command(END.sql).await, outcome) {
        (Ok(()), outcome) => outcome,
        // It broke off beneath the protocol, which says more than what followed from it.
        (Err(_), Err(first)) if !matches!(first, sqlx::Error::Database(_)) => Err(first),
        // Whoever has the connection next would read inside this snapshot. This error closes it.
        (Err(_), _) => Err(sqlx::Error::BeginFailed),
    }
}

async fn snapshot(
    session: &mut PostgresSession,
    page: Ready,
    children: &[Child],
    limit: usize,
) -> Outcome<FetchedPage> {
    let begin = Query { sql: begin(Flavour::Postgres), parameters: &[] };
    let mut fetched = match run(session, &[page], (Some(begin), None), limit).await? {
        Ok(fetched) => fetched,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(Fetched { rows: page, mut undecodable }) = fetched.pop() else {
        return Ok(Err(WriteFault::Plan.into()));
    };
    let mut left = limit.saturating_sub(super::size(&page));
    let mut there: Vec<Option<Rows>> = children.iter().map(|_| None).collect();
    let mut ended = false;
    while !ended {
        // Those whose parents are there; the others wait for them.
        let (mut places, mut statements) = (Vec::new(), Vec::new());
        for (place, child) in children.iter().enumerate() {
            let parents = match child.of {
                _ if there.get(place).is_some_and(Option::is_some) => continue,
                None => &page,
                Some(of) if of >= place => return Ok(Err(WriteFault::Plan.into())),
                Some(of) => match there.get(of) {
                    Some(Some(rows)) => rows,
                    _ => continue,
                },
            };
            match prepared::child(child, parents, Flavour::Postgres) {
                Ok(Some(statement)) => {
                    places.push(place);
                    statements.push(statement);
                }
                Ok(None) => there[place] = Some(Rows::new(child.select.columns.len())),
                Err(fault) => return Ok(Err(fault.into())),
            }
        }
        let coming = |place: usize| places.contains(&place);
        ended = (0..children.len()).all(|place| there[place].is_some() || coming(place));
        if statements.is_empty() && !ended {
            // Those without rows of their own may be what others wait for.
            continue;
        }
        let end = ended.then_some(END);
        match run(session, &statements, (None, end), left).await? {
            Ok(fetched) => {
                for (place, fetched) in places.into_iter().zip(fetched) {
                    left = left.saturating_sub(super::size(&fetched.rows));
                    undecodable += fetched.undecodable;
                    there[place] = Some(fetched.rows);
                }
            }
            Err(_) => return Ok(Err(StoreFault::TooLarge { limit })),
        }
    }
    let children = there.into_iter().flatten().collect();
    Ok(Ok(FetchedPage { page, children, undecodable }))
}
