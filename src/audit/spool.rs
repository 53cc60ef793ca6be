//! The spool: what was promised, flushed once for many, until its chains are flushed too.
//!
//! A spool file is a list of frames: the length of the payload (32 bits, big-endian), the first 8 bytes
//! of its SHA-256, the payload. A payload is tenant (16), segment (32 bits), offset (64 bits) and the
//! bytes that belong there. It says where, not only what, so filing it twice changes nothing.
//!
//! Zeros may follow the last frame: the file is grown ahead of what is written into it, because making
//! bytes durable in room that is already the file's costs about half of making them durable at its end,
//! where the file system has to write down the new length as well.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;

use super::disk::{self, Disk, Part};
use super::line::EventHash;
use super::segment;
use crate::base::TenantId;

const MAGIC: &[u8] = b"wardgate-spool v1\n";
const PAYLOAD_HEAD: usize = 16 + 4 + 8;
/// Longest payload: a header and an event.
const PAYLOAD_MAX: usize = 256 * 1024;
/// How much room is made ahead at a time: some five hundred events.
const ROOM: usize = 256 << 10;
/// How much a probe writes: as much as the largest event.
const PROBE: usize = 16 << 10;

/// Bytes and the place in a chain they belong to.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) tenant: TenantId,
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// The chain's last event and hash with these bytes.
    pub(super) n: u64,
    pub(super) hash: EventHash,
    /// The same before them, where a segment is sealed and the next begins.
    pub(super) sealed: Option<(u64, EventHash)>,
}

impl Chunk {
    /// Where the next bytes of the same chain belong, while its segment lasts.
    pub(super) fn end(&self) -> (TenantId, u32, u64) {
        (self.tenant, self.segment, self.offset + u64::try_from(self.bytes.len()).unwrap_or(0))
    }

    pub(super) fn push_frame(&self, frames: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(PAYLOAD_HEAD + self.bytes.len());
        payload.extend_from_slice(self.tenant.as_uuid().as_bytes());
        payload.extend_from_slice(&self.segment.to_be_bytes());
        payload.extend_from_slice(&self.offset.to_be_bytes());
        payload.extend_from_slice(&self.bytes);
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        frames.extend_from_slice(&len.to_be_bytes());
        frames.extend_from_slice(&check(&payload));
        frames.extend_from_slice(&payload);
    }
}

fn check(payload: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&digest(&SHA256, payload).as_ref()[..8]);
    short
}

/// A frame as read back.
pub(super) struct Frame<'a> {
    pub(super) tenant: TenantId,
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

/// The whole frames of a spool file, and how many bytes of a broken-off one follow the last of them.
pub(super) fn frames(file: &[u8]) -> (Vec<Frame<'_>>, usize) {
    let Some(mut rest) = file.strip_prefix(MAGIC) else {
        // A file whose making broke off has lost nothing.
        let broken_off = if MAGIC.starts_with(file) { 0 } else { file.len() };
        return (Vec::new(), broken_off);
    };
    let mut frames = Vec::new();
    while let Some((frame, after)) = frame(rest) {
        frames.push(frame);
        rest = after;
    }
    (frames, rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
}

fn frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    if !(PAYLOAD_HEAD..=PAYLOAD_MAX).contains(&len) {
        return None;
    }
    let (payload, after) = rest.split_at_checked(len)?;
    if check(payload) != *sum {
        return None;
    }
    let (tenant, rest) = payload.split_first_chunk::<16>()?;
    let (segment, rest) = rest.split_first_chunk::<4>()?;
    let (offset, bytes) = rest.split_first_chunk::<8>()?;
    let tenant = TenantId::from_uuid(Uuid::from_bytes(*tenant));
    let (segment, offset) = (u32::from_be_bytes(*segment), u64::from_be_bytes(*offset));
    Some((Frame { tenant, segment, offset, bytes }, after))
}

/// The folder of an instance's spool.
pub(super) fn folder(dir: &Path, instance: &str) -> PathBuf {
    dir.join("spool").join(instance)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.spool"))
}

/// The spool files in a folder, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let names = segment::names(folder)?;
    let numbers = names.iter().filter_map(|name| name.strip_suffix(".spool")?.parse().ok());
    let mut files: Vec<(u64, PathBuf)> = numbers.map(|n| (n, path(folder, n))).collect();
    files.sort_unstable();
    Ok(files)
}

/// The file being written, and those that wait to be settled.
pub(super) struct Spool {
    disk: Disk,
    folder: PathBuf,
    number: u64,
    file: File,
    /// What is durable of it.
    len: u64,
    /// How long the file is: what follows `len` is zeros, or the remains of a write that failed.
    room: u64,
    /// Whether the last write failed and its remains may still be there.
    suspect: bool,
    waiting: VecDeque<(u64, u64)>,
}

impl Spool {
    pub(super) fn create(disk: Disk, folder: &Path, number: u64) -> io::Result<Self> {
        let file = new_file(&disk, folder, number)?;
        let (folder, len, waiting) = (folder.to_owned(), file_head(), VecDeque::new());
        Ok(Self { disk, folder, number, file, len, room: len, suspect: false, waiting })
    }

    /// Makes `frames` durable, all or none. After a failure nothing of them may come back later, when
    /// other events have taken their numbers: until the file is cut back nothing more is accepted.
    pub(super) fn commit(&mut self, frames: &[u8]) -> io::Result<()> {
        self.cut_back()?;
        self.suspect = true;
        let end = self.len + u64::try_from(frames.len()).unwrap_or(0);
        if end > self.room {
            self.make_room(end)?;
        }
        self.disk.write_at(Part::Spool, &self.file, frames, self.len)?;
        self.disk.flush(&self.file)?;
        self.suspect = false;
        self.len = end;
        Ok(())
    }

    /// Writes and flushes what stands behind the last frame anyway: zeros, where an event would go.
    pub(super) fn probe(&mut self) -> io::Result<()> {
        self.cut_back()?;
        self.suspect = true;
        let zeros = [0; PROBE];
        let end = self.len + u64::try_from(PROBE).unwrap_or(0);
        if end > self.room {
            self.make_room(end)?;
        }
        self.disk.write_at(Part::Spool, &self.file, &zeros, self.len)?;
        self.disk.flush(&self.file)?;
        self.suspect = false;
        Ok(())
    }

    fn cut_back(&mut self) -> io::Result<()> {
        if self.suspect {
            self.file.set_len(self.len)?;
            self.disk.flush(&self.file)?;
            (self.suspect, self.room) = (false, self.len);
        }
        Ok(())
    }

    /// Grows the file beyond `end`. A disk without that much room may still have enough for the events.
    fn make_room(&mut self, end: u64) -> io::Result<()> {
        let zeros = vec![0; ROOM];
        match self.disk.reserve(&self.file, &zeros, end) {
            Ok(()) => self.room = end + u64::try_from(ROOM).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.file.set_len(self.len)?;
                self.room = end;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Goes on in a new file; gives back the number of the one that can be settled now.
    pub(super) fn rotate(&mut self) -> io::Result<u64> {
        let file = new_file(&self.disk, &self.folder, self.number + 1)?;
        let full = self.number;
        self.waiting.push_back((full, self.len));
        (self.file, self.number) = (file, full + 1);
        (self.len, self.room) = (file_head(), file_head());
        Ok(full)
    }

    /// Bytes that are not yet flushed to their chains, when all up to `settled` is.
    pub(super) fn unsettled(&mut self, settled: u64) -> u64 {
        while self.waiting.front().is_some_and(|(number, _)| *number <= settled) {
            self.waiting.pop_front();
        }
        self.waiting.iter().map(|(_, len)| len).sum::<u64>() + self.len
    }
}

fn file_head() -> u64 {
    u64::try_from(MAGIC.len()).unwrap_or(0)
}

fn new_file(disk: &Disk, folder: &Path, number: u64) -> io::Result<File> {
    let file = disk::open(&path(folder, number))?;
    // A number is used again only when making its file failed before.
    file.set_len(0)?;
    disk.write_at(Part::Spool, &file, MAGIC, 0)?;
    disk.flush(&file)?;
    disk.flush_folder(folder)?;
    Ok(file)
}
