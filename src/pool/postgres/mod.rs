//! A PostgreSQL session, spoken to in the server's own protocol ("Frontend/Backend Protocol" in its
//! manual, version 3.0).
//!
//! The login is the gateway's own (`dial::postgres`), because a driver's trusts the server too far. A
//! driver cannot be handed a session that is already logged in except through a relay, and that costs
//! every statement two more wake-ups and four more system calls than the statement itself. What is left
//! of the protocol after the login is small, so it is here. Every value comes and goes as the server's
//! own text or in a format of fixed meaning, every length is bounded, and the server's words are dropped.

mod alphabet;
mod batch;
mod outgoing;
mod reply;
mod statements;

use std::ops::ControlFlow;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::task_tracker::TaskTrackerToken;

pub use self::outgoing::Parameter;
pub use self::reply::{Cells, ServerError};

use self::alphabet::Alphabet;
use self::reply::Message;
use self::statements::Statements;
use super::dial::wire::Wire;

/// Prepared statements a session keeps. Each also lives in the server's memory.
const STATEMENTS: usize = 32;
/// Most of a small answer that is kept, in bytes: the text of its cells, and what each takes beside it.
const SMALL: usize = 4 * 1024 * 1024;
/// Room made for reading at a time, in bytes.
const READ: usize = 8 * 1024;
/// Most bytes of statements sent before the answer to the first is read. They fit into any system's send
/// buffer: sending never waits for a server that waits for its answers to be read.
const TOGETHER: usize = 16 * 1024;
/// Most statements sent together: making room for one must not close another of them.
const TOGETHER_MOST: usize = STATEMENTS / 2;

/// A statement and what is bound to it.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The text, with a placeholder for each value.
    pub sql: &'a str,
    /// The values.
    pub parameters: &'a [Parameter<'a>],
}

/// How a statement's rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All of them were seen.
    Complete,
    /// Whoever took them wanted no more, or one was longer than any answer may be.
    CutShort,
}

/// A session after its login.
pub struct PostgresSession {
    wire: Wire,
    input: BytesMut,
    output: Vec<u8>,
    statements: Statements,
    /// Where the session stands between statements: `I`dle, in a `T`ransaction, in an aborted one (`E`).
    status: u8,
    /// Bytes of a message that is too long to be kept.
    skip: usize,
    /// A reply was not read to its end.
    unread: bool,
    /// How many statements the server said it is done with since the last was sent.
    done: usize,
    /// How many rows the last statement changed, as the server said.
    changed: u64,
    /// After how many statements the server pauses without a word of being ready, where it was asked to.
    pauses: Option<usize>,
    /// Whether statements outside of any transaction block that are sent together see one moment.
    one_moment: bool,
    /// A transaction that no statement began may be open: it lasts until the server says that it is ready.
    open: bool,
    /// What the rows of a statement look like, where that was asked.
    fields: Option<Vec<(String, u32)>>,
    /// The process that serves it, as the login told.
    process: i32,
    /// Somebody between hands every transaction to whichever session of his is free.
    pooled: bool,
    /// What the server's bytes mean, where they are not UTF-8.
    alphabet: Option<Box<Alphabet>>,
    _alive: TaskTrackerToken,
}

impl PostgresSession {
    /// Over a wire on which the login has ended; `early` is what was read beyond it. `alive` is held as
    /// long as the session lasts.
    pub(in crate::pool) fn new(wire: Wire, early: &[u8], alive: TaskTrackerToken) -> Self {
        Self {
            wire,
            input: BytesMut::from(early),
            output: Vec::with_capacity(1024),
            statements: Statements::new(STATEMENTS),
            status: b'I',
            skip: 0,
            unread: false,
            done: 0,
            changed: 0,
            pauses: None,
            one_moment: false,
            open: false,
            fields: None,
            process: 0,
            pooled: false,
            alphabet: None,
            _alive: alive,
        }
    }

    /// The same, served by the process that the login told.
    pub(in crate::pool) const fn of_process(mut self, process: i32) -> Self {
        self.process = process;
        self
    }

    /// How many rows the last statement changed, those of tables that inherit from its own with them.
    pub const fn changed(&self) -> u64 {
        self.changed
    }

    /// The process that serves the session, as the login told.
    pub(in crate::pool) const fn process(&self) -> i32 {
        self.process
    }

    /// From now on nothing is left on the server from one statement to the next: it may reach another of a
    /// pooler's sessions, where a statement of the same name can be somebody else's.
    pub(in crate::pool) const fn keep_nothing(&mut self) {
        self.pooled = true;
    }

    /// Whether somebody between hands every transaction to whichever session of his is free.
    pub(crate) const fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Asks for texts of a database as it keeps them, where its `encoding` has bytes that mean nothing. Not
    /// for one that somebody between may hand to others.
    pub(in crate::pool) async fn speak(&mut self, encoding: &str) -> Result<(), sqlx::Error> {
        let Some(alphabet) = Alphabet::of(encoding).filter(|_| !self.pooled) else { return Ok(()) };
        let own = &alphabet.encoding;
        self.command(&format!("SELECT pg_catalog.set_config('client_encoding', '{own}', false)"))
            .await?;
        self.alphabet = Some(Box::new(alphabet));
        Ok(())
    }

    /// The encoding that the server was asked to speak.
    pub(in crate::pool) fn encoding(&self) -> &str {
        self.alphabet.as_ref().map_or("UTF8", |alphabet| &alphabet.encoding)
    }

    /// Prepares one statement without parameters and gives the names and type ids of what its rows
    /// would hold; nothing is run. A statement without rows has none.
    pub async fn describe(&mut self, sql: &str) -> Result<Vec<(String, u32)>, sqlx::Error> {
        self.end().await?;
        self.output.clear();
        self.statements.begin();
        let place = self.place(sql, std::iter::empty());
        self.statements.close_stale(&mut self.output);
        if place.new {
            outgoing::parse(&mut self.output, place.number, sql, &[], self.alphabet.as_deref())?;
        }
        outgoing::describe_and_sync(&mut self.output, place.number)?;
        self.send().await?;
        self.fields = Some(Vec::new());
        let outcome = self.reply(&mut |_, _| ControlFlow::Continue(())).await;
        let fields = self.fields.take().unwrap_or_default();
        if let Err(error) = &outcome {
            self.statements.failed(place, error);
        }
        outcome.map(|_| fields)
    }

    /// Runs statements without parameters, as text, and forgets their rows.
    pub async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.simple(sql, &mut |_, _| ControlFlow::Continue(())).await.map(drop)
    }

    /// Runs a statement without parameters and gives its rows back. For small answers; a server that goes on
    /// and on has not given one.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
        let (mut rows, mut room) = (Vec::new(), Some(SMALL));
        let mut keep = |_, cells: Cells<'_>| {
            let size =
                |cell: Option<&[u8]>| size_of::<Option<String>>() + cell.map_or(0, <[u8]>::len);
            let whole = size_of::<Vec<()>>() + cells.clone().map(size).sum::<usize>();
            room = room.and_then(|room| room.checked_sub(whole));
            if room.is_none() {
                return ControlFlow::Break(());
            }
            let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
            rows.push(cells.map(|cell| cell.map(text)).collect());
            ControlFlow::Continue(())
        };
        match self.simple(sql, &mut keep).await? {
            Ended::Complete => Ok(rows),
            Ended::CutShort => Err(sqlx::Error::Protocol("an answer is too long".to_owned())),
        }
    }

    /// Whether the server still answers.
    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.end().await?;
        self.output.clear();
        outgoing::sync(&mut self.output);
        self.send().await?;
        self.reply(&mut |_, _| ControlFlow::Continue(())).await.map(drop)
    }

    /// Whether the next statement would not begin from a clean state. Bytes after the server's being
    /// ready are nearly always a farewell, or a reply to nothing, which the next caller must not get.
    pub fn is_unclean(&self) -> bool {
        self.status != b'I' || self.unread || self.open || !self.input.is_empty()
    }

    /// Whether the server has said nothing since, and not hung up. Asks the system: one call.
    pub fn is_quiet(&mut self) -> bool {
        self.wire.is_quiet()
    }

    /// Takes leave of the server.
    pub async fn close(mut self) -> Result<(), sqlx::Error> {
        self.output.clear();
        outgoing::terminate(&mut self.output);
        self.send().await?;
        Ok(self.wire.shutdown().await?)
    }

    async fn simple(
        &mut self,
        sql: &str,
        each: &mut (impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Ended, sqlx::Error> {
        self.end().await?;
        self.output.clear();
        outgoing::query(&mut self.output, sql, self.alphabet.as_deref())?;
        self.send().await?;
        self.answer(1, each).await
    }

    /// The reply to `count` statements. A server that is ready without having said that each of them is done
    /// has not answered them, and what is missing must not pass for what is not there.
    async fn answer(
        &mut self,
        count: usize,
        each: &mut (impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Ended, sqlx::Error> {
        self.done = 0;
        match self.reply(each).await? {
            Ended::Complete if self.done < count => {
                Err(sqlx::Error::Protocol("the server did not answer the statement".to_owned()))
            }
            ended => Ok(ended),
        }
    }

    async fn send(&mut self) -> Result<(), sqlx::Error> {
        self.unread = true;
        self.wire.write_all(&self.output).await?;
        Ok(self.wire.flush().await?)
    }

    /// Reads what an earlier reply left.
    async fn settle(&mut self) -> Result<(), sqlx::Error> {
        // Once may not be enough: every row that is too long breaks off the reading of a reply.
        while self.unread {
            match self.reply(&mut |_, _| ControlFlow::Continue(())).await {
                // Its end was of no interest to whoever left it. A server that hangs up after an error
                // has not said that it is ready, and will not.
                Err(sqlx::Error::Database(error)) if self.unread => {
                    return Err(sqlx::Error::Database(error));
                }
                Ok(_) | Err(sqlx::Error::Database(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads messages up to the server's being ready again, unless `each` breaks off before.
    async fn reply(
        &mut self,
        each: &mut (impl FnMut(usize, Cells<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Ended, sqlx::Error> {
        let mut failed = None;
        loop {
            let Some(head) = reply::head(&self.input[self.skip.min(self.input.len())..])? else {
                self.fill().await.map_err(|error| failed.take().map_or(error, database))?;
                continue;
            };
            if head.is_too_long() {
                self.skip += head.length;
                return Ok(Ended::CutShort);
            }
            self.input.advance(self.skip);
            self.skip = 0;
            let whole = self.input.get(..head.length);
            let Some(whole) = whole else {
                self.fill().await.map_err(|error| failed.take().map_or(error, database))?;
                continue;
            };
            let alphabet = self.alphabet.as_deref();
            let own = alphabet.filter(|_| head.kind == b'D');
            let own = own.and_then(|alphabet| alphabet.row(&whole[reply::HEAD..]));
            let body = own.as_deref().unwrap_or(&whole[reply::HEAD..]);
            let message = reply::read(head.kind, body, alphabet)?;
            let mut enough = false;
            match message {
                Message::Row(cells) => enough = each(self.done, cells).is_break(),
                Message::Error(error) => {
                    failed = failed.or(Some(error));
                    // What it says next it says when the transaction is ended.
                    self.unread = self.pauses.is_none();
                }
                Message::Ready(_) if self.pauses.is_some() => {
                    return Err(sqlx::Error::Protocol("the server is ready unasked".to_owned()));
                }
                Message::Ready(status) => {
                    (self.status, self.unread, self.open) = (status, false, false);
                }
                Message::Parsed => self.statements.parsed(),
                Message::Done(rows) => {
                    (self.done, self.changed) = (self.done + 1, rows);
                    self.unread = self.pauses.is_none_or(|count| self.done < count);
                }
                Message::Fields(body) if self.fields.is_some() => {
                    let malformed =
                        || sqlx::Error::Protocol("a description is malformed".to_owned());
                    self.fields = Some(reply::fields(body, alphabet).ok_or_else(malformed)?);
                }
                Message::Fields(_) | Message::Other => {}
            }
            self.input.advance(head.length);
            if enough {
                return Ok(Ended::CutShort);
            }
            if !self.unread {
                return failed.map_or(Ok(Ended::Complete), |error| Err(database(error)));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), sqlx::Error> {
        if self.skip > 0 {
            let passed = self.skip.min(self.input.len());
            self.input.advance(passed);
            self.skip -= passed;
        }
        self.input.reserve(READ);
        match self.wire.read_buf(&mut self.input).await? {
            0 => Err(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }
}

fn database(error: ServerError) -> sqlx::Error {
    sqlx::Error::Database(Box::new(error))
}

#[cfg(test)]
mod tests;
