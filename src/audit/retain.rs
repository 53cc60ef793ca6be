use std::fs::{self, File};

use super::checkpoint::{ChainName, Checkpoint, Checkpoints, Kind};
use super::line::{EventHash, Header, Parsed};
use super::segment::{self, Lines, Read};
use super::{AuditFault, AuditPlace, verify};
use crate::base::{TenantId, Timestamp};
use crate::keyring::Keyring;

/// What retention deleted of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The instance that wrote it.
    pub instance: String,
    /// Segments deleted.
    pub deleted: Vec<u32>,
    /// The last event deleted, by this call or an earlier one.
    pub up_to: u64,
}

impl AuditPlace {
    /// Deletes a tenant's sealed segments whose every event is older than `before`. Only whole ones
    /// and only from the beginning; never the segment that is being written. What the rest of the chain
    /// follows is signed first, so that deletion by retention can be told from tampering. Safe to
    /// repeat after a crash. Blocking. Time is `now`; six years is what 45 CFR 164.316(b)(2) asks for.
    pub fn retain(
        &self,
        tenant: TenantId,
        before: Timestamp,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<Vec<Retained>, AuditFault> {
        let mut all = Vec::new();
        for instance in verify::instances(self, tenant)? {
            let chain = ChainName { tenant, instance: &instance };
            all.extend(retain_chain(self, chain, before, keyring, now)?);
        }
        Ok(all)
    }
}

fn retain_chain(
    place: &AuditPlace,
    chain: ChainName<'_>,
    before: Timestamp,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Option<Retained>, AuditFault> {
    let folder = segment::chain_folder(&place.dir, chain.tenant, chain.instance);
    let fault = AuditFault::io(&folder);
    let numbers = segment::segments(&folder).map_err(&fault)?;
    let path = chain.checkpoints(place);
    let key = keyring.checkpoint_key();
    let checkpoints = Checkpoints::read(&path, chain, &key.verifying_key());
    let said = checkpoints.map_err(AuditFault::io(&path))?.retained();
    // The first segment to keep: not before one that an earlier call promised to keep.
    let mut keep = said.map_or(1, |word| word.segment);
    let mut follows = said.map(|word| (word.n, word.hash));
    for (sealed, next) in numbers.iter().zip(numbers.iter().skip(1)) {
        if *sealed < keep {
            continue;
        }
        let last = newest(&segment::segment_path(&folder, *sealed)).map_err(&fault)?;
        if *sealed != keep || *next != keep + 1 || last.is_none_or(|last| last >= before) {
            break;
        }
        let header = header(&segment::segment_path(&folder, *next)).map_err(&fault)?;
        let Some(header) = header else { break };
        (keep, follows) = (*next, Some(header));
    }
    let Some((n, hash)) = follows else { return Ok(None) };
    if said.is_none_or(|word| word.segment < keep) {
        let word = Checkpoint { kind: Kind::Retained, segment: keep, n, hash, at: now };
        word.write(place, chain, &key).map_err(AuditFault::io(&path))?;
    }
    let deleted: Vec<u32> = numbers.into_iter().filter(|number| *number < keep).collect();
    for number in &deleted {
        fs::remove_file(segment::segment_path(&folder, *number)).map_err(&fault)?;
    }
    File::open(&folder).and_then(|folder| folder.sync_data()).map_err(&fault)?;
    Ok(Some(Retained { instance: chain.instance.to_owned(), deleted, up_to: n }))
}

/// The newest event's time in a segment; clocks may step back, so every event counts.
fn newest(path: &std::path::Path) -> std::io::Result<Option<Timestamp>> {
    let (mut lines, mut newest) = (Lines::open(path)?, None);
    loop {
        match lines.next()? {
            Read::Whole(line) => {
                let at = Parsed::parse(&line).map(|event| event.facts.at);
                newest = newest.max(at);
            }
            Read::TooLong => return Ok(None),
            Read::Torn(_) | Read::End => return Ok(newest),
        }
    }
}

fn header(path: &std::path::Path) -> std::io::Result<Option<(u64, EventHash)>> {
    Ok(match Lines::open(path)?.next()? {
        Read::Whole(line) => Header::parse(&line),
        _ => None,
    })
}
