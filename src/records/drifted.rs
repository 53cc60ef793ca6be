//! A database that no longer has what the mapping needs: which part of the mapping it is.

use tokio::time::timeout_at;

use super::fault::RecordsFault;
use crate::auth::Right;
use crate::base::{Fault as _, FaultKind};
use crate::pool::Lease;
use crate::store::{self, StoreFault};
use crate::tenant::{ActiveMapping, Session};

impl<R: Right> Session<R> {
    /// An outcome with the reason of a refused statement found out, for which its lease is given back.
    pub(super) async fn explained<T>(
        &self,
        mapping: &ActiveMapping,
        lease: &mut Option<Lease>,
        outcome: Result<T, RecordsFault>,
    ) -> Result<T, RecordsFault> {
        match outcome {
            Err(RecordsFault::Store(fault)) => {
                *lease = None;
                Err(self.refused(mapping, fault).await)
            }
            other => other,
        }
    }

    /// What a change failed of, with the reason of a refused statement found out. Its lease is given back
    /// already.
    pub(super) async fn told(&self, fault: RecordsFault) -> RecordsFault {
        match (fault, self.mapping()) {
            (RecordsFault::Store(fault), Ok(mapping)) => self.refused(&mapping, fault).await,
            (fault, _) => fault,
        }
    }

    /// Finds out what a refused statement lacked, and has the operators told. The database answered, so its
    /// breaker hears nothing of it. What was found counts for a while: a broken mapping's requests must not
    /// each read the whole catalogue.
    pub(super) async fn refused(&self, mapping: &ActiveMapping, fault: StoreFault) -> RecordsFault {
        if !matches!(fault, StoreFault::Database(_)) || fault.kind() != FaultKind::Mapping {
            return fault.into();
        }
        self.suspect();
        let find = async {
            let mut lease = self.lease().await.ok()?;
            let live = store::introspect(&mut lease, self.deadline()).await.ok()?;
            let drift = mapping.compiled.drift(None, &live).into_iter().filter(|d| d.breaks);
            Some(drift.flat_map(|d| d.paths).collect::<Vec<_>>())
        };
        let found = timeout_at(self.deadline().at(), mapping.lost.get_or_find(find)).await;
        match found.ok().flatten() {
            Some(paths) if !paths.is_empty() => {
                RecordsFault::Drifted(paths.iter().take(8).cloned().collect())
            }
            _ => fault.into(),
        }
    }
}
