//! Where a chain stands, found out from its files once and kept from then on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::line::{EventHash, Header, LINE_MAX, Parsed};
use super::segment::{self, Lines, Read};
use super::{AuditFault, disk};
use crate::base::{TenantId, Timestamp};

/// The end of a chain: what the next event follows, and where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// The last event's number; 0 before the first.
    pub(super) n: u64,
    pub(super) hash: EventHash,
    /// The segment that is being written, from 1.
    pub(super) segment: u32,
    /// Its length; 0 when its header is still to be written.
    pub(super) offset: u64,
    /// When its first event was.
    pub(super) begun: Option<Timestamp>,
}

/// A chain's end as found, and how many bytes of a broken-off write were cut from it.
pub(super) struct Loaded {
    pub(super) head: Head,
    pub(super) cut: u64,
}

impl Head {
    /// The end of a chain nobody is writing. A write that was broken off in mid-line is cut off.
    pub(super) fn load(dir: &Path, tenant: TenantId, instance: &str) -> Result<Loaded, AuditFault> {
        let folder = segment::chain_folder(dir, tenant, instance);
        let fault = AuditFault::io(&folder);
        let mut numbers = segment::segments(&folder).map_err(&fault)?;
        let Some(last) = numbers.pop() else {
            let hash = EventHash::genesis(tenant, instance);
            let head = Self { n: 0, hash, segment: 1, offset: 0, begun: None };
            return Ok(Loaded { head, cut: 0 });
        };
        let path = segment::segment_path(&folder, last);
        let end = End::of(&path).map_err(&fault)?;
        let cut = end.len - end.whole;
        let damaged = || AuditFault::ChainDamaged(tenant);
        // A crash breaks off one line, with the header before it at most.
        if cut > u64::try_from(LINE_MAX).unwrap_or(u64::MAX) {
            return Err(damaged());
        }
        let (n, hash) = match &end.last {
            Some(line) if end.begins_file => Header::parse(line).ok_or_else(damaged)?,
            Some(line) => {
                let event = Parsed::parse(line).ok_or_else(damaged)?;
                (event.facts.n, event.hash)
            }
            // A header that was broken off: the chain ends where the segment before does.
            None => match numbers.pop() {
                None => (0, EventHash::genesis(tenant, instance)),
                Some(before) => {
                    let end = End::of(&segment::segment_path(&folder, before)).map_err(&fault)?;
                    let event = end.last.as_deref().and_then(Parsed::parse).ok_or_else(damaged)?;
                    (event.facts.n, event.hash)
                }
            },
        };
        if cut > 0 {
            let file = disk::open(&path).map_err(&fault)?;
            file.set_len(end.whole).and_then(|()| file.sync_data()).map_err(&fault)?;
        }
        let begun = first_event_time(&path).map_err(&fault)?;
        let head = Self { n, hash, segment: last, offset: end.whole, begun };
        Ok(Loaded { head, cut })
    }
}

/// When the first event of a segment was, if it has one.
pub(super) fn first_event_time(path: &Path) -> io::Result<Option<Timestamp>> {
    let mut lines = Lines::open(path)?;
    lines.next()?;
    Ok(match lines.next()? {
        Read::Whole(line) => Parsed::parse(&line).map(|event| event.facts.at),
        _ => None,
    })
}

/// The end of a file.
struct End {
    len: u64,
    /// Its length up to and with the last newline.
    whole: u64,
    /// The last whole line.
    last: Option<Vec<u8>>,
    /// Whether that line is also the first.
    begins_file: bool,
}

impl End {
    fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        // Room for a line and for a second one that was broken off.
        let window = len.min(2 * u64::try_from(LINE_MAX).unwrap_or(u64::MAX));
        let from = len - window;
        let mut bytes = vec![0; usize::try_from(window).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, from)?;
        let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Self { len, whole: 0, last: None, begins_file: true });
        };
        let begin = bytes[..newline].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole = from + u64::try_from(newline).unwrap_or(0) + 1;
        let last = Some(bytes[begin..newline].to_vec());
        Ok(Self { len, whole, last, begins_file: from == 0 && begin == 0 })
    }
}
