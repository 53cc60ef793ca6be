//! Signed statements of where a chain stood.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::line::{self, EventHash};
use super::segment::{Lines, Read};
use super::{AuditPlace, disk};
use crate::base::{TenantId, Timestamp};
use crate::keyring::{SigningKey, VerifyingKey};

/// What a signature is over, before the statement: it can be taken for nothing else.
const DOMAIN: &[u8] = b"wardgate audit checkpoint v1\0";
const SIGNATURE_FIELD: &str = ",\"sig\":\"";
/// 64 bytes in base64url.
const SIGNATURE_LEN: usize = 86;

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The chain had this event with this hash.
    Head,
    /// Segments before `segment` were deleted by retention; the chain goes on after this event.
    Retained,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Retained => "retained",
        }
    }
}

/// A statement about one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) kind: Kind,
    /// For `Retained` the first segment kept; 0 otherwise.
    pub(super) segment: u32,
    pub(super) n: u64,
    pub(super) hash: EventHash,
    pub(super) at: Timestamp,
}

/// Which chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainName<'a> {
    pub(super) tenant: TenantId,
    pub(super) instance: &'a str,
}

impl ChainName<'_> {
    /// The file of this chain's checkpoints.
    pub(super) fn checkpoints(self, place: &AuditPlace) -> PathBuf {
        place.checkpoint_dir.join(self.tenant.to_string()).join(format!("{}.log", self.instance))
    }
}

#[derive(Deserialize)]
struct Statement {
    tenant: String,
    instance: String,
    kind: Kind,
    segment: u32,
    n: u64,
    h: String,
    #[serde(deserialize_with = "line::time")]
    at: Timestamp,
}

impl Checkpoint {
    fn statement(&self, chain: ChainName<'_>) -> String {
        let Self { kind, segment, n, hash, at } = self;
        let (tenant, instance, kind) = (chain.tenant, chain.instance, kind.as_str());
        format!(
            "{{\"wardgate-checkpoint\":1,\"tenant\":\"{tenant}\",\"instance\":\"{instance}\",\
             \"kind\":\"{kind}\",\"segment\":{segment},\"n\":{n},\"h\":\"{hash}\",\"at\":\"{at}\"}}"
        )
    }

    /// The signed line, newline included.
    pub(super) fn to_line(self, chain: ChainName<'_>, key: &SigningKey) -> String {
        let mut line = self.statement(chain);
        let signature = key.sign(&[DOMAIN, line.as_bytes()].concat());
        line.pop();
        line.push_str(SIGNATURE_FIELD);
        URL_SAFE_NO_PAD.encode_string(signature, &mut line);
        line.push_str("\"}\n");
        line
    }

    /// A line, without its newline, if `key` signed it for this chain.
    pub(super) fn parse(line: &[u8], chain: ChainName<'_>, key: &VerifyingKey) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.strip_suffix("\"}")?;
        let (body, signature) = line.split_at_checked(line.len().checked_sub(SIGNATURE_LEN)?)?;
        let statement = format!("{}}}", body.strip_suffix(SIGNATURE_FIELD)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !key.verify(&[DOMAIN, statement.as_bytes()].concat(), &signature) {
            return None;
        }
        let said: Statement = serde_json::from_str(&statement).ok()?;
        if said.tenant != chain.tenant.to_string() || said.instance != chain.instance {
            return None;
        }
        Some(Self {
            kind: said.kind,
            segment: said.segment,
            n: said.n,
            hash: EventHash::parse(said.h.as_bytes())?,
            at: said.at,
        })
    }

    /// Appends to a chain's checkpoints, durably.
    pub(super) fn write(
        self,
        place: &AuditPlace,
        chain: ChainName<'_>,
        key: &SigningKey,
    ) -> io::Result<()> {
        let path = chain.checkpoints(place);
        let folder = path.parent().unwrap_or(Path::new("."));
        disk::make_folder(folder)?;
        let (new, file) = (!path.exists(), disk::open(&path)?);
        // Retention writes beside the gateway that writes the chain. Closing the file unlocks it.
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        let end = whole_len(&file)?;
        file.set_len(end)?;
        file.write_all_at(self.to_line(chain, key).as_bytes(), end)?;
        file.sync_data()?;
        if new { File::open(folder)?.sync_data() } else { Ok(()) }
    }
}

/// The length up to the last newline: a crash may have broken off the last write.
fn whole_len(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(4096);
    let mut tail = vec![0; usize::try_from(len - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut tail, from)?;
    let newline = tail.iter().rposition(|byte| *byte == b'\n');
    let whole = newline.and_then(|at| u64::try_from(at + 1).ok());
    Ok(whole.map_or(if from == 0 { 0 } else { len }, |at| from + at))
}

/// A chain's checkpoints as read.
#[derive(Default)]
pub(super) struct Checkpoints {
    pub(super) good: Vec<Checkpoint>,
    /// The first line (from 1) that is no checkpoint of this chain signed with this key.
    pub(super) bad_line: Option<u64>,
}

impl Checkpoints {
    pub(super) fn read(path: &Path, chain: ChainName<'_>, key: &VerifyingKey) -> io::Result<Self> {
        let mut all = Self::default();
        let mut lines = match Lines::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            lines => lines?,
        };
        for number in 1.. {
            match lines.next()? {
                Read::Whole(line) => match Checkpoint::parse(&line, chain, key) {
                    Some(checkpoint) => all.good.push(checkpoint),
                    None => drop(all.bad_line.get_or_insert(number)),
                },
                Read::TooLong => {
                    all.bad_line.get_or_insert(number);
                    break;
                }
                Read::Torn(_) | Read::End => break,
            }
        }
        Ok(all)
    }

    /// The signed word of retention that counts, if there is one.
    pub(super) fn retained(&self) -> Option<Checkpoint> {
        let words = self.good.iter().filter(|checkpoint| checkpoint.kind == Kind::Retained);
        words.max_by_key(|word| word.segment).copied()
    }
}
