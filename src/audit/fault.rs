use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::{Fault, FaultKind, TenantId};

/// Why an event is not durable, or a log cannot be read. Whoever gets one answers no data.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditFault {
    /// The disk refused: full, read-only, broken. Goes away when the disk does better.
    #[error("access log {path}: {problem}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's words.
        problem: String,
    },
    /// Chains cannot be written at the moment; what was answered is safe in the spool.
    #[error("the access log is behind: its chains cannot be written at the moment")]
    Behind,
    /// More is waiting in the spool than the configured bound.
    #[error("the access log's spool is full")]
    SpoolFull,
    /// It took longer than `append_timeout`. The event may still become durable.
    #[error("the access log did not take the event in time")]
    Slow,
    /// The log was closed.
    #[error("the access log is closed")]
    Closed,
    /// Another process has this instance's log open.
    #[error(
        "another process writes the access log of this instance in {0}: give every gateway an \
         instance name of its own"
    )]
    InUse(PathBuf),
    /// The instance's name is of another form.
    #[error("an access log's instance is 1 to 63 of a-z, 0-9 and -")]
    InvalidInstance,
    /// The end of a tenant's chain is not a whole event, and not one that a crash cut short either.
    #[error(
        "the access log of tenant {0} ends in something that is no event: run `wardgate audit \
         verify`, keep the folder as evidence and move it away"
    )]
    ChainDamaged(TenantId),
    /// A spool file holds something that no crash leaves behind.
    #[error("access log spool {0} is damaged: keep it as evidence and move it away")]
    SpoolDamaged(PathBuf),
}

impl AuditFault {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), problem: error.to_string() }
    }
}

impl Fault for AuditFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Io { .. } | Self::Behind | Self::SpoolFull | Self::Slow | Self::Closed => {
                FaultKind::Unavailable
            }
            Self::InUse(_) => FaultKind::Conflict,
            Self::InvalidInstance => FaultKind::Invalid,
            Self::ChainDamaged(_) | Self::SpoolDamaged(_) => FaultKind::Integrity,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.kind() {
            FaultKind::Unavailable => {
                "Access cannot be recorded at the moment, so it is not given."
            }
            _ => "Access cannot be recorded, so it is not given.",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        (self.kind() == FaultKind::Unavailable).then_some(5)
    }
}
