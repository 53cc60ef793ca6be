//! Every write of this room, so that tests can fill the disk and break its flushes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Which part of the log a write belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Spool,
    Chains,
}

/// The disk as this room writes it.
#[derive(Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) sick: Option<Arc<Sick>>,
}

/// A disk with so many bytes left, or whose flushes fail.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Sick {
    pub(super) spool_left: AtomicU64,
    pub(super) chains_left: AtomicU64,
    pub(super) no_flush: AtomicBool,
    /// Writes to chains that found too little room.
    pub(super) chains_refused: AtomicU64,
}

impl Disk {
    /// How many of `wanted` bytes there is room for.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests bound the disk")]
    const fn room(&self, _part: Part, wanted: usize) -> usize {
        wanted
    }

    #[cfg(test)]
    fn room(&self, part: Part, wanted: usize) -> usize {
        if let Some(sick) = &self.sick {
            let left = if part == Part::Spool { &sick.spool_left } else { &sick.chains_left };
            let take = |have: u64| Some(have.saturating_sub(wanted as u64));
            let had = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
            let room = had.map_or(wanted, |had| usize::try_from(had).unwrap_or(wanted)).min(wanted);
            if part == Part::Chains && room < wanted {
                sick.chains_refused.fetch_add(1, Ordering::SeqCst);
            }
            return room;
        }
        wanted
    }

    /// Writes zeros at `offset` to make the file longer, if the disk has that much room.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests bound the disk"))]
    pub(super) fn reserve(&self, file: &File, zeros: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(sick) = &self.sick
            && sick.spool_left.load(Ordering::SeqCst) < zeros.len() as u64
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all_at(zeros, offset)
    }

    /// Writes at `offset`; what fits of it, and an error, when the disk is full.
    pub(super) fn write_at(
        &self,
        part: Part,
        file: &File,
        bytes: &[u8],
        offset: u64,
    ) -> io::Result<()> {
        let room = self.room(part, bytes.len());
        file.write_all_at(&bytes[..room], offset)?;
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Makes what was written to `file` durable.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests break flushes here"))]
    pub(super) fn flush(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        if self.sick.as_ref().is_some_and(|sick| sick.no_flush.load(Ordering::SeqCst)) {
            return Err(io::Error::other("the flush failed"));
        }
        file.sync_data()
    }

    /// Makes names made or taken away in `folder` durable.
    pub(super) fn flush_folder(&self, folder: &Path) -> io::Result<()> {
        self.flush(&File::open(folder)?)
    }
}

/// Opens for reading and writing, mode 0600 when new.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes a folder and those above it, mode 0700, durably.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => return File::open(above)?.sync_data(),
        }
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
