use std::path::PathBuf;
use std::time::Duration;

use super::AuditFault;

/// Where a gateway keeps its access log, and how.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Chains and spool. One gateway or several with different `instance`s.
    pub dir: PathBuf,
    /// Checkpoints; `dir/checkpoints` without it. Another file system, or a folder that something
    /// else copies away, is better: checkpoints show what was cut off the chains beside them.
    pub checkpoint_dir: Option<PathBuf>,
    /// This gateway's lasting name among those that share `dir`: 1 to 63 of `a-z`, `0-9`, `-`.
    pub instance: String,
    /// Events that may wait to be made durable. Default 4096; further ones wait outside.
    pub queue: usize,
    /// How long an event may take in all before its request is refused. Default 5 s.
    pub append_timeout: Duration,
    /// Size at which a chain's segment is sealed and the next begun, in bytes. Default 16 MiB.
    pub segment_bytes: u64,
    /// Age at which it is, counted from its first event. Default 30 days.
    pub segment_age: Duration,
    /// Size at which a spool file is settled: its chains are flushed and it is deleted. Default 8 MiB.
    pub spool_bytes: u64,
    /// Unsettled spool in all, in bytes, beyond which events are refused. Default 64 MiB.
    pub spool_bytes_max: u64,
    /// Events of one chain between two of its checkpoints, at most. Default 4096.
    pub checkpoint_events: u64,
    /// Time between two checkpoints of a chain that grows. Default 60 s.
    pub checkpoint_every: Duration,
    /// Chain files held open at once. Default 256.
    pub open_files: usize,
}

impl AuditConfig {
    /// The defaults.
    pub fn new(dir: PathBuf, instance: String) -> Self {
        Self {
            dir,
            checkpoint_dir: None,
            instance,
            queue: 4096,
            append_timeout: Duration::from_secs(5),
            segment_bytes: 16 << 20,
            segment_age: Duration::from_hours(30 * 24),
            spool_bytes: 8 << 20,
            spool_bytes_max: 64 << 20,
            checkpoint_events: 4096,
            checkpoint_every: Duration::from_mins(1),
            open_files: 256,
        }
    }

    /// The folders, for reading.
    pub fn place(&self) -> AuditPlace {
        let checkpoints = self.checkpoint_dir.clone();
        AuditPlace {
            dir: self.dir.clone(),
            checkpoint_dir: checkpoints.unwrap_or_else(|| self.dir.join("checkpoints")),
        }
    }

    /// Refuses a name that is none.
    pub fn check(&self) -> Result<(), AuditFault> {
        if is_instance(&self.instance) { Ok(()) } else { Err(AuditFault::InvalidInstance) }
    }
}

/// The two folders of an access log: all that verifying and exporting need.
#[derive(Debug, Clone)]
pub struct AuditPlace {
    /// Chains: `dir/TENANT/INSTANCE/NNNNNN.log`.
    pub dir: PathBuf,
    /// Checkpoints: `checkpoint_dir/TENANT/INSTANCE.log`.
    pub checkpoint_dir: PathBuf,
}

/// Whether a file name is an instance's.
pub(super) fn is_instance(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(good)
}
