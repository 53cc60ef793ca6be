//! A page and its one-to-many rows from PostgreSQL in two round trips: the snapshot is opened together
//! with the page's statement, and all that hangs off the page comes together with the end of the snapshot.

use std::ops::ControlFlow;

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{Child, KeyedRead, Value};
use crate::mapping::rows::Rows;
use crate::pool::postgres::{Cells, Ended, Parameter, PostgresSession, Query};
use crate::store::cells::{Cell, text_cell};
use crate::store::prepared::{self, Ready};
use crate::store::value::canonical;
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
            Bind::Ints(numbers) => Parameter::Ints(numbers),
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

/// Runs statements together in a snapshot, which begins with the `first` such call and ends with the `last`.
/// `limit` bounds the rows of all of them.
async fn run(
    session: &mut PostgresSession,
    statements: &[Ready],
    (begins, ends): (bool, bool),
    (flavour, limit): (Flavour, usize),
) -> Outcome<Vec<Fetched>> {
    let own_block = !session.has_snapshots();
    let first = (own_block && begins).then(|| Query { sql: begin(flavour), parameters: &[] });
    let last = (own_block && ends).then_some(END);
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
    let ended = if own_block {
        session.batch(&queries, each).await?
    } else {
        session.snapshot(&queries, ends, each).await?
    };
    match ended {
        Ended::Complete => Ok(taken.into_iter().map(Taken::done).collect()),
        Ended::CutShort => Ok(Err(StoreFault::TooLarge { limit })),
    }
}

/// As [`fetch`](super::fetch), for a page with one-to-many rows. What hangs off a row of which the key is
/// known comes together with it.
pub(super) async fn fetch(
    session: &mut PostgresSession,
    page: Ready,
    children: (&[Child], Option<&Rows>),
    (flavour, limit): (Flavour, usize),
) -> Outcome<FetchedPage> {
    if children.0.is_empty() {
        let fetched = super::select_postgres(session, page.parts(), limit).await?;
        return Ok(fetched.map(FetchedPage::alone));
    }
    let outcome = snapshot(session, page, children, (flavour, limit)).await;
    if let Ok(Ok(_)) = outcome {
        return outcome;
    }
    // Whatever ended it came before the snapshot's own end.
    let ended =
        if session.has_snapshots() { session.end().await } else { session.command(END.sql).await };
    match (ended, outcome) {
        (Ok(()), outcome) => outcome,
        // It broke off beneath the protocol, which says more than what followed from it.
        (Err(_), Err(first)) if !matches!(first, sqlx::Error::Database(_)) => Err(first),
        // Whoever has the connection next would read inside this snapshot. This error closes it.
        (Err(_), _) => Err(sqlx::Error::BeginFailed),
    }
}

/// What of a row's cells is known before it is read: those of its key, where the database takes no two
/// texts for the same key.
pub(super) fn known(read: &KeyedRead, key: &[Value]) -> Option<Rows> {
    let exact = |ty| matches!(ty, SqlType::Integer { .. } | SqlType::Uuid);
    let mut row = Rows::new(read.select.columns.len());
    for column in read.select.columns.iter() {
        let place = read.key.iter().position(|own| own == column && exact(own.ty));
        let value = place.and_then(|place| key.get(place));
        let text = value.filter(|v| canonical(column.ty, &v.text)).map(|v| v.text.as_str());
        row.push(text).ok()?;
    }
    Some(row)
}

/// The statements under way, each with its place among the children.
#[derive(Default)]
struct Asked {
    places: Vec<usize>,
    statements: Vec<Ready>,
}

/// One-to-many rows on their way.
struct Children<'c> {
    all: &'c [Child],
    flavour: Flavour,
    there: Vec<Option<Rows>>,
}

impl Children<'_> {
    /// The statements of those whose parents are there and that are not there themselves. Without a page
    /// they are those that hang off what is known of it.
    fn next(&mut self, page: Option<&Rows>, known: Option<&Rows>) -> Result<Asked, WriteFault> {
        let mut asked = Asked::default();
        for (place, child) in self.all.iter().enumerate() {
            let parents = match (child.of, page) {
                _ if self.there.get(place).is_some_and(Option::is_some) => continue,
                (None, Some(page)) => Some(page),
                (None, None) => known.filter(|known| {
                    let row = known.row(0);
                    child.parent.iter().all(|at| row.is_some_and(|row| row.get(*at).is_some()))
                }),
                (Some(of), _) if of >= place => return Err(WriteFault::Plan),
                (Some(of), _) => self.there.get(of).and_then(Option::as_ref),
            };
            let Some(parents) = parents else { continue };
            match prepared::child(child, parents, self.flavour)? {
                Some(statement) => {
                    asked.places.push(place);
                    asked.statements.push(statement);
                }
                None => self.there[place] = Some(none(child)),
            }
        }
        Ok(asked)
    }

    /// Whether none is left beside those that are asked for.
    fn are_all(&self, asked: &Asked) -> bool {
        let mut places = 0..self.all.len();
        places.all(|place| self.there[place].is_some() || asked.places.contains(&place))
    }
}

fn none(child: &Child) -> Rows {
    Rows::new(child.select.columns.len())
}

async fn snapshot(
    session: &mut PostgresSession,
    page: Ready,
    (all, known): (&[Child], Option<&Rows>),
    (flavour, limit): (Flavour, usize),
) -> Outcome<FetchedPage> {
    let mut children = Children { all, flavour, there: all.iter().map(|_| None).collect() };
    let mut asked = match children.next(None, known) {
        Ok(asked) => asked,
        Err(fault) => return Ok(Err(fault.into())),
    };
    asked.statements.insert(0, page);
    let mut page = None;
    let (mut left, mut undecodable) = (limit, 0);
    loop {
        let (begins, ended) = (page.is_none(), children.are_all(&asked));
        let fetched = run(session, &asked.statements, (begins, ended), (flavour, left)).await?;
        let mut fetched = match fetched {
            Ok(fetched) => fetched.into_iter(),
            Err(_) => return Ok(Err(StoreFault::TooLarge { limit })),
        };
        let mut take = |fetched: Fetched| {
            left = left.saturating_sub(super::size(&fetched.rows));
            undecodable += fetched.undecodable;
            fetched.rows
        };
        if page.is_none() {
            page = fetched.next().map(&mut take);
        }
        for (place, fetched) in asked.places.into_iter().zip(fetched) {
            children.there[place] = Some(take(fetched));
        }
        if ended {
            break;
        }
        asked = loop {
            match children.next(page.as_ref(), None) {
                // Those without rows of their own may be what others wait for.
                Ok(asked) if asked.statements.is_empty() && !children.are_all(&asked) => {}
                Ok(asked) => break asked,
                Err(fault) => return Ok(Err(fault.into())),
            }
        };
    }
    let Some(page) = page else { return Ok(Err(WriteFault::Plan.into())) };
    let there = all.iter().zip(children.there).map(|(child, rows)| match rows {
        // What hangs off a row that is not there is nobody's.
        Some(rows) if !page.is_empty() => rows,
        _ => none(child),
    });
    let children = there.collect();
    Ok(Ok(FetchedPage { page, children, undecodable }))
}
