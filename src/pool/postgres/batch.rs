//! Statements sent together, and statements of several round trips that see one moment.

use std::ops::ControlFlow;

use super::outgoing::{self, Parameter};
use super::statements::Place;
use super::{Cells, Ended, PostgresSession, Query, TOGETHER, TOGETHER_MOST};

/// What the server is told after statements sent together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// That this is all: the transaction ends, unless it stands in a block.
    Sync,
    /// That it should answer, and that more of the same transaction comes.
    Flush,
}

impl PostgresSession {
    /// From now on statements outside of any transaction block that are sent together see one moment and change
    /// nothing, because the session's default is so.
    pub(in crate::pool) const fn sees_one_moment(&mut self) {
        self.one_moment = true;
    }

    /// Whether [`PostgresSession::snapshot`] may be used.
    pub(crate) const fn has_snapshots(&self) -> bool {
        self.one_moment && !self.pooled
    }

    /// Runs one statement with its parameters and shows `each` of its rows, all cells as text. The
    /// statement is prepared once and kept.
    pub async fn select(
        &mut self,
        sql: &str,
        parameters: &[Parameter<'_>],
        mut each: impl FnMut(Cells<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Ended, sqlx::Error> {
        self.batch(&[Query { sql, parameters }], |_, cells| each(cells)).await
    }

    /// Runs statements one after the other, and shows `each` of their rows with the number of its statement.
    /// They are sent together and answered together, so they cost one round trip; many long ones cost a few.
    /// The first that fails ends it: the server passes over what was sent after it.
    pub async fn batch(
        &mut self,
        queries: &[Query<'_>],
        mut each: impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Ended, sqlx::Error> {
        self.end().await?;
        self.in_turn(queries, (Then::Sync, Then::Sync), &mut each).await
    }

    /// As [`batch`](Self::batch), in a transaction that began with the first call and goes on until one that
    /// is the `last`, or until [`end`](Self::end): all of it sees the moment of its first statement. No
    /// statement begins it and none ends it: the server keeps what comes before a Sync in one transaction
    /// ("Pipelining" in its manual, 55.2.4). After a failure it has to be ended.
    pub async fn snapshot(
        &mut self,
        queries: &[Query<'_>],
        last: bool,
        mut each: impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Ended, sqlx::Error> {
        self.settle().await?;
        if queries.is_empty() && last {
            self.end().await?;
        }
        let then = if last { Then::Sync } else { Then::Flush };
        self.in_turn(queries, (Then::Flush, then), &mut each).await
    }

    /// Reads what an earlier reply left, and ends the transaction of a [`snapshot`](Self::snapshot).
    pub async fn end(&mut self) -> Result<(), sqlx::Error> {
        self.settle().await?;
        if !self.open {
            return Ok(());
        }
        self.output.clear();
        outgoing::sync(&mut self.output);
        self.pauses = None;
        self.send().await?;
        self.reply(&mut |_, _| ControlFlow::Continue(())).await.map(drop)
    }

    /// Runs statements in as many round trips as they need; `then` is what follows on each, and on the last.
    async fn in_turn(
        &mut self,
        queries: &[Query<'_>],
        (then, at_last): (Then, Then),
        each: &mut (impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Ended, sqlx::Error> {
        let mut first = 0;
        while let Some(left) = queries.get(first..).filter(|left| !left.is_empty()) {
            let mut room = TOGETHER;
            let fits = |query: &&Query<'_>| {
                let more = room.checked_sub(outgoing::size(query));
                room = more.unwrap_or(0);
                more.is_some()
            };
            let count = left.iter().take(TOGETHER_MOST).take_while(fits).count().max(1);
            let then = if count == left.len() { at_last } else { then };
            let mut shown = |number, cells: Cells<'_>| each(first + number, cells);
            if self.some(&left[..count], then, &mut shown).await? == Ended::CutShort {
                return Ok(Ended::CutShort);
            }
            first += count;
        }
        Ok(Ended::Complete)
    }

    /// Runs statements in one round trip.
    async fn some(
        &mut self,
        queries: &[Query<'_>],
        then: Then,
        each: &mut (impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Ended, sqlx::Error> {
        self.output.clear();
        self.statements.begin();
        // What closes old ones goes before all that may fail, and so is never passed over.
        let mut places = Vec::with_capacity(queries.len());
        for query in queries {
            let types = query.parameters.iter().map(Parameter::oid);
            places.push(self.place(query.sql, types));
        }
        self.statements.close_stale(&mut self.output);
        let alphabet = self.alphabet.as_deref();
        for (Query { sql, parameters }, place) in queries.iter().zip(&places) {
            if place.new {
                outgoing::parse(&mut self.output, place.number, sql, parameters, alphabet)?;
            }
            outgoing::bind(&mut self.output, place.number, parameters, alphabet)?;
            outgoing::execute(&mut self.output);
        }
        match then {
            Then::Sync => outgoing::sync(&mut self.output),
            Then::Flush => outgoing::flush(&mut self.output),
        }
        self.pauses = (then == Then::Flush).then_some(queries.len());
        self.open |= then == Then::Flush;
        self.send().await?;
        self.statements.sent();
        let outcome = self.answer(queries.len(), each).await;
        if let (Err(error), Some(place)) = (&outcome, places.get(self.done)) {
            self.statements.failed(*place, error);
        }
        outcome
    }

    /// Where a statement is, or is put.
    pub(super) fn place(&mut self, sql: &str, types: impl Iterator<Item = u32> + Clone) -> Place {
        if self.pooled { Place::UNNAMED } else { self.statements.place(sql, types) }
    }
}
