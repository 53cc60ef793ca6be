//! Filing: from the spool, or from memory, into the chains.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, Part};
use super::{AuditFault, segment, spool};
use crate::base::TenantId;

/// More than one batch leaves torn behind.
const TORN_MAX: usize = 32 << 20;

type Key = (TenantId, u32);

/// The chains' files of one instance, a bounded number of them open.
pub(super) struct Book {
    disk: Disk,
    dir: PathBuf,
    instance: String,
    open: HashMap<Key, (File, u64)>,
    open_max: usize,
    uses: u64,
    /// Written since they were last flushed.
    dirty: HashSet<Key>,
    /// Folders in which files were opened since they were last flushed.
    grown: HashSet<PathBuf>,
}

impl Book {
    pub(super) fn new(disk: Disk, dir: &Path, instance: &str, open_max: usize) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            instance: instance.to_owned(),
            open: HashMap::new(),
            open_max: open_max.max(1),
            uses: 0,
            dirty: HashSet::new(),
            grown: HashSet::new(),
        }
    }

    /// Writes where it belongs; not yet durable.
    pub(super) fn write(
        &mut self,
        tenant: TenantId,
        segment: u32,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let key = (tenant, segment);
        self.dirty.insert(key);
        self.hold(key)?;
        let Some((file, _)) = self.open.get(&key) else { return Ok(()) };
        self.disk.write_at(Part::Chains, file, bytes, offset)
    }

    /// Makes everything written durable.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        for key in self.dirty.iter().copied().collect::<Vec<_>>() {
            self.hold(key)?;
            if let Some((file, _)) = self.open.get(&key) {
                self.disk.flush(file)?;
            }
            self.dirty.remove(&key);
        }
        for folder in self.grown.iter().cloned().collect::<Vec<_>>() {
            self.disk.flush_folder(&folder)?;
            self.grown.remove(&folder);
        }
        Ok(())
    }

    /// Closes every file; after a failure a file is opened anew rather than trusted.
    pub(super) fn close_files(&mut self) {
        self.open.clear();
    }

    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.open.len()
    }

    fn hold(&mut self, key: Key) -> io::Result<()> {
        self.uses += 1;
        if let Some((_, used)) = self.open.get_mut(&key) {
            *used = self.uses;
            return Ok(());
        }
        if self.open.len() >= self.open_max {
            let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key);
            oldest.map(|oldest| self.open.remove(&oldest));
        }
        let folder = segment::chain_folder(&self.dir, key.0, &self.instance);
        let path = segment::segment_path(&folder, key.1);
        disk::make_folder(&folder)?;
        // Also for a file that is there already: a crash may have come before its name was durable.
        self.grown.insert(folder);
        self.open.insert(key, (disk::open(&path)?, self.uses));
        Ok(())
    }
}

/// What a replay found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    /// The highest number of a spool file.
    pub(super) highest: u64,
    /// Events filed.
    pub(super) events: u64,
    /// Bytes at the end that a crash broke off: never promised to anybody.
    pub(super) torn: u64,
}

/// Files everything in a spool folder and flushes it. The spool files stay.
///
/// `closed` says that nobody writes the spool: then only its last file may end in a broken-off batch.
pub(super) fn replay(book: &mut Book, folder: &Path, closed: bool) -> Result<Replayed, AuditFault> {
    let files = spool::files(folder).map_err(AuditFault::io(folder))?;
    let mut replayed = Replayed::default();
    for (at, (number, path)) in files.iter().enumerate() {
        let bytes = fs::read(path).map_err(AuditFault::io(path))?;
        let (frames, torn) = spool::frames(&bytes);
        // A disk that is full when a file is full leaves the next one without events behind.
        let last = || -> io::Result<bool> {
            let later = files[at + 1..].iter().map(|(_, path)| fs::read(path));
            let empty = |file: io::Result<Vec<u8>>| Ok(spool::frames(&file?).0.is_empty());
            later.map(empty).try_fold(true, |all, one: io::Result<bool>| Ok(all && one?))
        };
        if closed && torn > 0 && (torn > TORN_MAX || !last().map_err(AuditFault::io(path))?) {
            return Err(AuditFault::SpoolDamaged(path.clone()));
        }
        for frame in frames {
            book.write(frame.tenant, frame.segment, frame.offset, frame.bytes)
                .map_err(AuditFault::io(path))?;
            replayed.events += 1;
        }
        replayed.highest = *number;
        replayed.torn += u64::try_from(torn).unwrap_or(u64::MAX);
    }
    book.flush().map_err(AuditFault::io(folder))?;
    Ok(replayed)
}

/// Deletes the spool files up to a number, whose chains are flushed.
pub(super) fn discard(folder: &Path, up_to: u64) -> Result<(), AuditFault> {
    let files = spool::files(folder).map_err(AuditFault::io(folder))?;
    for (_, path) in files.iter().filter(|(number, _)| *number <= up_to) {
        fs::remove_file(path).map_err(AuditFault::io(path))?;
    }
    File::open(folder).and_then(|folder| folder.sync_data()).map_err(AuditFault::io(folder))
}
