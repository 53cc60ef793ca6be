use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Shared;
use super::config::{ActiveMapping, MappingState, TenantConfig};
use super::fault::TenantFault;
use crate::audit::{AccessEvent, AuditLog, Expected, Receipt};
use crate::auth::{FhirWrite, Permit, Right};
use crate::base::{Deadline, Flag, Timestamp};
use crate::keyring::{MacKey, Purpose};
use crate::pool::{Admission, Lease};

/// A permit joined with its tenant's open resources: the only way to a patient's data. What it gives
/// belongs to the permit's tenant, because there is nothing else in it.
pub struct Session<R: Right> {
    permit: Permit<R>,
    config: Arc<TenantConfig>,
    /// Which history of the registry the configuration is of.
    history: u64,
    shared: Arc<Shared>,
    request: Uuid,
    deadline: Deadline,
    /// Held until the request is answered.
    admission: Admission,
    _expected: Expected,
}

/// What a session is opened with.
pub(super) struct Opened {
    pub(super) config: Arc<TenantConfig>,
    pub(super) history: u64,
    pub(super) admission: Admission,
}

impl<R: Right> Session<R> {
    pub(super) fn new(
        permit: Permit<R>,
        opened: Opened,
        shared: Arc<Shared>,
        request: Uuid,
        deadline: Deadline,
    ) -> Self {
        let Opened { config, history, admission } = opened;
        let expected = shared.audit.expect();
        Self { permit, config, history, shared, request, deadline, admission, _expected: expected }
    }

    /// The permit it was opened with.
    pub const fn permit(&self) -> &Permit<R> {
        &self.permit
    }

    /// The tenant's configuration.
    pub fn config(&self) -> &TenantConfig {
        &self.config
    }

    /// Whether the tenant offers that to this user.
    pub fn offers(&self, flag: Flag) -> bool {
        let (principal, tenant) = (self.permit.principal(), self.config.id);
        self.config.flags.offers(flag, tenant, principal.issuer(), principal.subject())
    }

    /// Whether the tenant offers that to this user still, by what is announced of it by now: an answer that is
    /// sent page by page may take longer than an offer stands.
    pub async fn still_offers(&self, flag: Flag) -> Result<bool, TenantFault> {
        if self.stands() {
            return Ok(self.offers(flag));
        }
        let now = self.shared.present(self.config.id).await?;
        let principal = self.permit.principal();
        Ok(now.flags.offers(flag, now.id, principal.issuer(), principal.subject()))
    }

    /// When the answer is due.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The request's id.
    pub const fn request(&self) -> Uuid {
        self.request
    }

    /// The mapping in force.
    pub fn mapping(&self) -> Result<Arc<ActiveMapping>, TenantFault> {
        match &self.config.mapping {
            MappingState::Active(mapping) => Ok(Arc::clone(mapping)),
            MappingState::None => Err(TenantFault::Incomplete("mapping")),
            MappingState::Broken => Err(TenantFault::BrokenMapping),
        }
    }

    /// Gives the work that follows a time limit of its own: an answer that is sent page by page may
    /// take longer than any of its pages.
    pub const fn renew(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Whether no other request of the tenant is being answered.
    pub fn is_alone(&self) -> bool {
        self.admission.is_alone()
    }

    /// Which history of the registry the configuration is of.
    pub const fn history(&self) -> u64 {
        self.history
    }

    /// Whether nothing was announced of the tenant since the session was opened.
    pub fn stands(&self) -> bool {
        self.shared.stands(&self.config, self.history)
    }

    /// What another room keeps for the tenant under this configuration, made now if it is not there yet.
    pub fn beside<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.config.beside.get_or(make)
    }

    /// Borrows a connection to the tenant's database. A session opened before a suspension, or before
    /// the connection was replaced, gets none.
    pub async fn lease(&self) -> Result<Lease, TenantFault> {
        self.lent(false).await
    }

    async fn lent(&self, writes: bool) -> Result<Lease, TenantFault> {
        let lease = self.shared.lease(&self.config, self.history, writes, self.deadline).await?;
        Ok(match self.shared.traces.of(self.request) {
            Some(trace) => lease.traced(trace),
            None => lease,
        })
    }

    /// An answer to be given out, counted among the tenant's that are not taken yet.
    pub fn counted(&self, body: Vec<u8>) -> Bytes {
        self.shared.pools.counted(self.config.id, body)
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.shared.pools.now()
    }

    /// Has the tenant's schema compared with its mapping's soon.
    pub fn suspect(&self) {
        self.shared.suspect(self.config.id);
    }

    /// Writes the access down; durable when it returns.
    pub async fn record(&self, event: AccessEvent) -> Result<Receipt, TenantFault> {
        Ok(self.audit().append(event).await?)
    }

    /// The access log.
    pub fn audit(&self) -> &AuditLog {
        &self.shared.audit
    }

    /// Signs a page cursor with the tenant's own key.
    pub fn sign_cursor(&self, message: &[u8]) -> [u8; 32] {
        self.cursor_key().sign(message)
    }

    /// Whether a page cursor was signed by [`sign_cursor`](Self::sign_cursor) for this tenant.
    pub fn verify_cursor(&self, message: &[u8], tag: &[u8]) -> bool {
        self.cursor_key().verify(message, tag)
    }

    /// Signs an order of an export with the tenant's own key.
    pub fn sign_export(&self, message: &[u8]) -> [u8; 32] {
        self.shared.keyring.derive(Purpose::ExportOrder, self.config.id).sign(message)
    }

    /// Whether an order was signed by [`sign_export`](Self::sign_export) for this tenant.
    pub fn verify_export(&self, message: &[u8], tag: &[u8]) -> bool {
        self.shared.keyring.derive(Purpose::ExportOrder, self.config.id).verify(message, tag)
    }

    /// From now on the tenant's order of an export that is known by `mark` is as if it had never been given:
    /// here at once, on other gateways within seconds, also after a restart.
    pub async fn cancel_order(
        &self,
        mark: [u8; 32],
        ends_at: Timestamp,
    ) -> Result<(), TenantFault> {
        self.shared.cancel_order(self.config.id, mark, ends_at).await
    }

    /// Whether that order was cancelled. Fails until the registry was read once.
    pub fn is_cancelled(&self, mark: &[u8; 32]) -> Result<bool, TenantFault> {
        self.shared.cancelled.contains(self.config.id, mark).ok_or(TenantFault::Unavailable)
    }

    fn cursor_key(&self) -> MacKey {
        self.shared.keyring.derive(Purpose::PageCursor, self.config.id)
    }
}

impl Session<FhirWrite> {
    /// Borrows a connection to the tenant's database to write with, as [`Session::lease`] does to read.
    pub async fn lease_writer(&self) -> Result<Lease, TenantFault> {
        self.lent(true).await
    }
}
