//! What a server may say to the driver once it has been logged in to.
//!
//! The driver believes what a server says of its own answers. It makes room for as many columns as are
//! announced, and gathers a row of any length in memory before it shows it to anybody; and memory that is not
//! to be had ends the process, with every hospital in it. So the relay reads along ("Command Phase" in
//! MySQL's manual): what is longer or more than any answer to our own statements never reaches the driver.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::packet::framed;

/// A row, in bytes; as long as one physical packet, which is as long as the rows of one answer may be.
const ROW: usize = 0xff_ffff;
/// Any other packet: the longest definition of a column has about 5 kB.
const OTHER: usize = 16 * 1024;
/// Columns of an answer; both servers refuse more.
const COLUMNS: u64 = 4096;
/// The definitions of an answer's columns together, which the driver keeps with the statement.
const DEFINITIONS: usize = 1024 * 1024;
/// The bytes at a packet's begin that tell what it is: the longest is an OK up to its status.
const HEAD: usize = 21;

/// The number under which MySQL's own client reports a packet that is too long for it
/// (`CR_NET_PACKET_TOO_LARGE`); no server sends it.
const TOO_LONG: &[u8] = b"\xff\xe4\x07#HY000a row is too long";

/// Why the driver hears no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// A row is too long; the driver is told so.
    TooLong,
    /// Nothing that a server of good faith says.
    Hostile,
}

/// What the driver waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The answer to a statement to be prepared.
    Prepared,
    /// The first packet of the answer to anything else.
    Answer,
    /// Definitions of parameters or columns.
    Definitions {
        left: u64,
        then: Then,
    },
    /// What ends definitions, on servers from before MySQL 5.7.5 and MariaDB 10.2.
    Ended(Then),
    Rows,
}

/// What follows definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    Columns(u64),
    Rows,
}

/// A length-encoded number at the begin of `bytes`, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let more = match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        small => return Some((u64::from(small), rest)),
    };
    let (digits, rest) = rest.split_at_checked(more)?;
    Some((digits.iter().rev().fold(0, |sum, digit| sum << 8 | u64::from(*digit)), rest))
}

fn pair(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Follows the conversation as the driver understands it.
struct Answers {
    due: Due,
    /// Whether definitions and rows end with a packet of the old form.
    old_ends: bool,
    /// The header of the packet that comes, as far as it is here.
    header: [u8; 4],
    headed: usize,
    length: usize,
    /// Its first bytes, and how many of its bytes are here.
    head: [u8; HEAD],
    seen: usize,
    /// Bytes of definitions since the last command.
    defined: usize,
}

impl Answers {
    const fn new(old_ends: bool) -> Self {
        Self {
            due: Due::Nothing,
            old_ends,
            header: [0; 4],
            headed: 0,
            length: 0,
            head: [0; HEAD],
            seen: 0,
            defined: 0,
        }
    }

    /// A command of the driver's. `None` where it does not wait for the answer to the one before: then the two
    /// of them no longer understand each other.
    fn command(&mut self, command: u8) -> Option<()> {
        const QUIT: u8 = 0x01;
        const PREPARE: u8 = 0x16;
        const CLOSE_STATEMENT: u8 = 0x19;
        if matches!(command, QUIT | CLOSE_STATEMENT) {
            return Some(());
        }
        if self.due != Due::Nothing {
            return None;
        }
        self.due = if command == PREPARE { Due::Prepared } else { Due::Answer };
        self.defined = 0;
        Some(())
    }

    /// How many bytes a header lacks that has begun.
    const fn missing(&self) -> usize {
        if self.headed == 0 { 0 } else { self.header.len() - self.headed }
    }

    /// How many of `bytes`, which follow what came before, the driver may hear; fewer than all of them where
    /// the rest is the begin of a header, or with the reason why there is no more to hear.
    fn pass(&mut self, bytes: &[u8]) -> (usize, Option<Over>) {
        let (mut at, mut passed) = (0, 0);
        while at < bytes.len() {
            let here = bytes.len() - at;
            if self.headed < self.header.len() {
                let taken = here.min(self.header.len() - self.headed);
                self.header[self.headed..self.headed + taken]
                    .copy_from_slice(&bytes[at..at + taken]);
                (self.headed, at) = (self.headed + taken, at + taken);
                if self.headed < self.header.len() {
                    break;
                }
                if let Err(over) = self.begin() {
                    return (passed, Some(over));
                }
            } else {
                let telling = self.length.min(HEAD);
                let taken = if self.seen < telling {
                    let taken = here.min(telling - self.seen);
                    self.head[self.seen..self.seen + taken].copy_from_slice(&bytes[at..at + taken]);
                    taken
                } else {
                    here.min(self.length - self.seen)
                };
                let told = self.seen < telling && self.seen + taken == telling;
                (self.seen, at) = (self.seen + taken, at + taken);
                if told && let Err(over) = self.judge() {
                    return (passed, Some(over));
                }
                if self.seen == self.length {
                    self.headed = 0;
                }
            }
            passed = at;
        }
        (passed, None)
    }

    /// The packet whose header is here.
    fn begin(&mut self) -> Result<(), Over> {
        let [a, b, c, _] = self.header;
        self.length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        self.seen = 0;
        match self.length {
            ROW.. if self.due == Due::Rows => Err(Over::TooLong),
            0 => Err(Over::Hostile),
            1..=OTHER => Ok(()),
            _ if self.due == Due::Rows => Ok(()),
            _ => Err(Over::Hostile),
        }
    }

    /// The packet whose first bytes are here.
    fn judge(&mut self) -> Result<(), Over> {
        let head = &self.head[..self.length.min(HEAD)];
        let ends = head[0] == 0xfe && self.length < 9;
        self.due = match self.due {
            // An error ends whatever was due. One that comes unasked says why the session ends.
            _ if head[0] == 0xff => Some(Due::Nothing),
            Due::Nothing => None,
            Due::Prepared => Self::prepared(head),
            Due::Answer if head[0] == 0 => self.status(head).map(|()| Due::Nothing),
            // 251 columns in one byte, as the driver reads it; it asks for a file of the gateway.
            Due::Answer if head[0] == 0xfb => None,
            Due::Answer => number(head)
                .filter(|(count, _)| (1..=COLUMNS).contains(count))
                .map(|(left, _)| Due::Definitions { left, then: Then::Rows }),
            Due::Definitions { left, then } => {
                // What is said of parameters is not kept.
                let kept = !matches!(then, Then::Columns(_));
                self.defined += if kept { self.length } else { 0 };
                match (left - 1, self.old_ends) {
                    _ if self.defined > DEFINITIONS => None,
                    (0, true) => Some(Due::Ended(then)),
                    (0, false) => Some(Self::after(then)),
                    (left, _) => Some(Due::Definitions { left, then }),
                }
            }
            Due::Ended(then) => ends.then(|| Self::after(then)),
            Due::Rows if ends => self.status(head).map(|()| Due::Nothing),
            Due::Rows => Some(Due::Rows),
        }
        .ok_or(Over::Hostile)?;
        Ok(())
    }

    fn prepared(head: &[u8]) -> Option<Due> {
        let (columns, parameters) = (pair(head, 5)?, pair(head, 7)?);
        let columns = Some(u64::from(columns)).filter(|columns| *columns <= COLUMNS)?;
        let then = if columns == 0 { Then::Nothing } else { Then::Columns(columns) };
        match u64::from(parameters) {
            _ if head[0] != 0 => None,
            0 => Some(Self::after(then)),
            left => Some(Due::Definitions { left, then }),
        }
    }

    const fn after(then: Then) -> Due {
        match then {
            Then::Nothing => Due::Nothing,
            Then::Columns(left) => Due::Definitions { left, then: Then::Nothing },
            Then::Rows => Due::Rows,
        }
    }

    /// Of an OK, or of what ends rows: that no further answer follows. No statement of ours has several, and
    /// the driver would count the columns of the next one.
    fn status(&self, head: &[u8]) -> Option<()> {
        const MORE_RESULTS: u16 = 8;
        let status = if head[0] == 0xfe && self.old_ends {
            pair(head, 3)?
        } else {
            let (_affected, rest) = number(head.get(1..)?)?;
            let (_inserted, rest) = number(rest)?;
            pair(rest, 0)?
        };
        (status & MORE_RESULTS == 0).then_some(())
    }
}

/// The commands in what the driver sends.
#[derive(Default)]
struct Commands {
    header: [u8; 4],
    headed: usize,
    left: usize,
}

impl Commands {
    /// Tells `each` command in `bytes`, which follow what came before.
    fn read(&mut self, bytes: &[u8], mut each: impl FnMut(u8) -> Option<()>) -> Option<()> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.headed < self.header.len() {
                self.header[self.headed] = byte;
                (self.headed, rest) = (self.headed + 1, after);
                let [a, b, c, _] = self.header;
                self.left = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            } else {
                // A statement that is longer than a packet goes on in a second one, with the next number.
                if self.headed == self.header.len() && self.header[3] == 0 {
                    each(byte)?;
                }
                self.headed = self.header.len() + 1;
                let taken = self.left.min(rest.len());
                (self.left, rest) = (self.left - taken, &rest[taken..]);
            }
            if self.headed >= self.header.len() && self.left == 0 {
                self.headed = 0;
            }
        }
        Some(())
    }
}

/// A server as the driver is to hear it.
pub(super) struct Bounded<S> {
    server: S,
    commands: Commands,
    answers: Answers,
    /// What the driver hears next.
    queued: Vec<u8>,
    over: bool,
}

impl<S> Bounded<S> {
    /// `server`, which ends definitions and rows with packets of the old form if `old_ends`.
    pub(super) fn new(server: S, old_ends: bool) -> Self {
        let (commands, answers) = (Commands::default(), Answers::new(old_ends));
        Self { server, commands, answers, queued: Vec::new(), over: false }
    }
}

impl<S: AsyncRead + Unpin> Bounded<S> {
    /// Reads what comes next and leaves of it what the driver may hear: so many bytes. `None` at the end.
    fn hear(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<usize>>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.server).poll_read(cx, into))?;
        if into.filled().len() == before {
            return Poll::Ready(Ok(None));
        }
        let (passed, over) = self.answers.pass(&into.filled()[before..]);
        into.set_filled(before + passed);
        self.over = over.is_some();
        if over == Some(Over::TooLong) {
            self.queued = framed(TOO_LONG, 1).to_vec();
        }
        Poll::Ready(Ok(Some(passed)))
    }
}

fn broken() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.queued.is_empty() {
                let told = this.queued.len().min(buf.remaining());
                buf.put_slice(&this.queued[..told]);
                this.queued.drain(..told);
                return Poll::Ready(Ok(()));
            }
            if this.over {
                return Poll::Ready(Err(broken()));
            }
            // Of a header the driver hears nothing before it is whole: what it begins may be too long.
            let missing = this.answers.missing();
            let mut few = [0; 4];
            let heard = if missing == 0 {
                ready!(this.hear(cx, buf))?
            } else {
                let heard = ready!(this.hear(cx, &mut ReadBuf::new(&mut few[..missing])))?;
                if heard == Some(missing) {
                    this.queued = this.answers.header.to_vec();
                }
                heard.map(|_| 0)
            };
            if heard != Some(0) {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.server).poll_write(cx, buf))?;
        let answers = &mut this.answers;
        let read = this.commands.read(&buf[..written], |command| answers.command(command));
        Poll::Ready(read.map(|()| written).ok_or_else(broken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().server).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().server).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
