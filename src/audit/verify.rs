use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::checkpoint::{ChainName, Checkpoint, Checkpoints, Kind};
use super::line::{self, EventHash, Header, Parsed};
use super::segment::{self, Lines, Read};
use super::{AuditFault, AuditPlace, config};
use crate::base::{TenantId, Timestamp};
use crate::keyring::VerifyingKey;

/// What verifying one chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// The gateway instance that wrote it.
    pub instance: String,
    /// Events that verify, before the first tampering if there is one.
    pub events: u64,
    /// The first and the last of them.
    pub numbers: Option<(u64, u64)>,
    /// When they were.
    pub times: Option<(Timestamp, Timestamp)>,
    /// The last event a signed checkpoint vouches for, with the checkpoint's time. What follows it
    /// could be cut off without a trace.
    pub vouched: Option<(u64, Timestamp)>,
    /// Up to which event retention deleted, if it did.
    pub retained_after: Option<u64>,
    /// Whether the file ends in mid-line: an event is being written, or a crash broke one off. The
    /// gateway cuts it when it next writes the chain.
    pub unfinished: bool,
    /// The first place at which the chain does not verify.
    pub tamper: Option<Tamper>,
}

/// The first place at which a chain does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tamper {
    /// The segment.
    pub segment: u32,
    /// The number of the event that should be there and is not, or not as it was written.
    pub n: u64,
    /// What is there instead.
    pub kind: TamperKind,
}

/// How a chain does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TamperKind {
    /// The event's bytes or its hash were changed.
    Changed,
    /// No event can be read from the line.
    Unreadable,
    /// The line is another tenant's event.
    Foreign,
    /// Here comes a later event: this one and those between were taken out, or moved.
    Missing {
        /// The number that is there.
        found: u64,
    },
    /// Here comes an earlier event again, or one was put in.
    Repeated {
        /// The number that is there.
        found: u64,
    },
    /// The segment's header is not the one that belongs here.
    Header,
    /// The whole segment is gone, or was deleted without a signed word of retention.
    SegmentGone,
    /// The chain ends before an event that a signed checkpoint vouches for.
    Truncated,
    /// Every hash fits, and not to a signed checkpoint: some event after `after` and up to this one was
    /// changed, and the chain computed anew from there.
    Rewritten {
        /// The last event vouched for before.
        after: u64,
    },
    /// A line of the checkpoint file is no checkpoint signed for this chain with this key. `n` is the
    /// line's number.
    Checkpoint,
}

impl fmt::Display for Tamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, n, kind } = self;
        match kind {
            TamperKind::Changed => write!(f, "segment {segment}, event {n}: changed"),
            TamperKind::Unreadable => write!(f, "segment {segment}, event {n}: unreadable"),
            TamperKind::Foreign => write!(f, "segment {segment}, event {n}: another tenant's"),
            TamperKind::Missing { found } => {
                write!(f, "segment {segment}, event {n}: missing, {found} stands there")
            }
            TamperKind::Repeated { found } => {
                write!(f, "segment {segment}, event {n}: {found} stands there again")
            }
            TamperKind::Header => write!(f, "segment {segment}, before event {n}: header changed"),
            TamperKind::SegmentGone => write!(f, "segment {segment} from event {n} on: gone"),
            TamperKind::Truncated => {
                write!(
                    f,
                    "segment {segment}, event {n}: cut off, though a checkpoint vouches for it"
                )
            }
            TamperKind::Rewritten { after } => write!(
                f,
                "segment {segment}, events {} to {n}: written anew, against a checkpoint",
                after + 1
            ),
            TamperKind::Checkpoint => write!(f, "checkpoint file, line {n}: not signed"),
        }
    }
}

/// Verifies a tenant's chains, one of each instance that wrote events of hers, against the checkpoints
/// signed with `key`. Reads whole files: for a blocking thread. The gateway may be writing meanwhile.
pub fn verify(
    place: &AuditPlace,
    tenant: TenantId,
    key: &VerifyingKey,
) -> Result<Vec<ChainReport>, AuditFault> {
    let mut reports = Vec::new();
    for instance in instances(place, tenant)? {
        reports.push(verify_chain(place, ChainName { tenant, instance: &instance }, key)?);
    }
    Ok(reports)
}

/// Every instance with a chain of the tenant, or with checkpoints of one.
pub(super) fn instances(place: &AuditPlace, tenant: TenantId) -> Result<Vec<String>, AuditFault> {
    let of_chains = segment::tenant_folder(&place.dir, tenant);
    let of_checkpoints = place.checkpoint_dir.join(tenant.to_string());
    let mut names = segment::names(&of_chains).map_err(AuditFault::io(&of_chains))?;
    let files = segment::names(&of_checkpoints).map_err(AuditFault::io(&of_checkpoints))?;
    names.extend(files.iter().filter_map(|name| name.strip_suffix(".log")).map(str::to_owned));
    names.retain(|name| config::is_instance(name));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn verify_chain(
    place: &AuditPlace,
    chain: ChainName<'_>,
    key: &VerifyingKey,
) -> Result<ChainReport, AuditFault> {
    // Checkpoints first: a chain that grows meanwhile has what they vouch for.
    let path = chain.checkpoints(place);
    let checkpoints = Checkpoints::read(&path, chain, key).map_err(AuditFault::io(&path))?;
    let mut walk = Walk::begin(chain, &checkpoints);
    let folder = segment::chain_folder(&place.dir, chain.tenant, chain.instance);
    let numbers = segment::segments(&folder).map_err(AuditFault::io(&folder))?;
    let kept: Vec<u32> = numbers.into_iter().filter(|number| *number >= walk.segment).collect();
    for (at, number) in kept.iter().enumerate() {
        let path = segment::segment_path(&folder, *number);
        walk.read_segment(*number, at + 1 == kept.len(), &path).map_err(AuditFault::io(&path))?;
        if walk.report.tamper.is_some() {
            return Ok(walk.report);
        }
    }
    walk.finish(&checkpoints);
    Ok(walk.report)
}

struct Walk<'a> {
    chain: ChainName<'a>,
    /// The next segment to read.
    segment: u32,
    /// The last event read.
    n: u64,
    hash: EventHash,
    /// Checkpoints not yet met.
    ahead: BTreeMap<u64, Checkpoint>,
    vouched_n: u64,
    report: ChainReport,
}

impl<'a> Walk<'a> {
    fn begin(chain: ChainName<'a>, checkpoints: &Checkpoints) -> Self {
        let retained = checkpoints.retained();
        let genesis = EventHash::genesis(chain.tenant, chain.instance);
        let (segment, n, hash) =
            retained.map_or((1, 0, genesis), |word| (word.segment, word.n, word.hash));
        let heads = checkpoints.good.iter().filter(|point| point.kind == Kind::Head && point.n > n);
        let report = ChainReport {
            instance: chain.instance.to_owned(),
            events: 0,
            numbers: None,
            times: None,
            vouched: None,
            retained_after: retained.map(|word| word.n),
            unfinished: false,
            tamper: None,
        };
        let ahead = heads.map(|point| (point.n, *point)).collect();
        Self { chain, segment, n, hash, ahead, vouched_n: n, report }
    }

    fn tamper(&mut self, n: u64, kind: TamperKind) {
        self.report.tamper = Some(Tamper { segment: self.segment, n, kind });
    }

    fn read_segment(&mut self, number: u32, last: bool, path: &Path) -> std::io::Result<()> {
        if number != self.segment {
            self.tamper(self.n + 1, TamperKind::SegmentGone);
            return Ok(());
        }
        let mut lines = Lines::open(path)?;
        let ChainName { tenant, instance } = self.chain;
        let expected = line::header(tenant, instance, number, self.n, self.hash);
        match lines.next()? {
            Read::Whole(line) if line == expected.trim_end().as_bytes() => {}
            Read::Torn(_) | Read::End if last => {
                self.report.unfinished = true;
                return Ok(());
            }
            Read::Whole(line) => {
                // A header that follows a later event: what stood before it was taken out.
                let later = Header::parse(&line).filter(|(after, _)| *after > self.n);
                let found = later.map(|(after, _)| TamperKind::Missing { found: after + 1 });
                self.tamper(self.n + 1, found.unwrap_or(TamperKind::Header));
                return Ok(());
            }
            _ => {
                self.tamper(self.n + 1, TamperKind::Header);
                return Ok(());
            }
        }
        while self.report.tamper.is_none() {
            match lines.next()? {
                Read::Whole(line) => self.read_event(&line),
                Read::Torn(_) if last => {
                    self.report.unfinished = true;
                    break;
                }
                Read::Torn(_) | Read::TooLong => self.tamper(self.n + 1, TamperKind::Unreadable),
                Read::End => break,
            }
        }
        // Where a tampering was found the segment stays the one it was found in.
        if self.report.tamper.is_none() && !last {
            self.segment += 1;
        }
        Ok(())
    }

    fn read_event(&mut self, line: &[u8]) {
        let n = self.n + 1;
        let Some(event) = Parsed::parse(line) else {
            return self.tamper(n, TamperKind::Unreadable);
        };
        let found = event.facts.n;
        if event.facts.tenant != *self.chain.tenant.as_uuid() {
            return self.tamper(n, TamperKind::Foreign);
        }
        if found > n {
            return self.tamper(n, TamperKind::Missing { found });
        }
        if found < n {
            return self.tamper(n, TamperKind::Repeated { found });
        }
        let hash = self.hash.then(&event.canonical);
        if hash != event.hash {
            return self.tamper(n, TamperKind::Changed);
        }
        if let Some(checkpoint) = self.ahead.remove(&n) {
            if checkpoint.hash != hash {
                return self.tamper(n, TamperKind::Rewritten { after: self.vouched_n });
            }
            self.vouched_n = n;
            self.report.vouched = Some((n, checkpoint.at));
        }
        (self.n, self.hash) = (n, hash);
        let at = event.facts.at;
        self.report.events += 1;
        self.report.numbers = Some((self.report.numbers.map_or(n, |(first, _)| first), n));
        self.report.times = Some((self.report.times.map_or(at, |(first, _)| first), at));
    }

    fn finish(&mut self, checkpoints: &Checkpoints) {
        if !self.ahead.is_empty() {
            self.tamper(self.n + 1, TamperKind::Truncated);
        } else if let Some(line) = checkpoints.bad_line {
            self.tamper(line, TamperKind::Checkpoint);
        }
    }
}
