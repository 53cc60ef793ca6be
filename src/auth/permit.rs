use std::marker::PhantomData;

use super::fault::AuthFault;
use super::principal::Principal;
use super::scope::Interaction;
use crate::base::TenantId;

mod sealed {
    pub trait Sealed {}
}

/// A right a clinician can hold in her tenant. Closed: the three below.
pub trait Right: sealed::Sealed + Send + Sync + 'static {
    /// The role that gives it, exactly as in the token.
    const ROLE: &'static str;
}

/// Reading and searching.
#[derive(Debug, Clone, Copy)]
pub enum FhirRead {}
/// Writing. Does not imply reading.
#[derive(Debug, Clone, Copy)]
pub enum FhirWrite {}
/// Managing the own hospital's mapping and reading its access log.
#[derive(Debug, Clone, Copy)]
pub enum FhirAdmin {}

impl sealed::Sealed for FhirRead {}
impl sealed::Sealed for FhirWrite {}
impl sealed::Sealed for FhirAdmin {}

impl Right for FhirRead {
    const ROLE: &'static str = "fhir-read";
}
impl Right for FhirWrite {
    const ROLE: &'static str = "fhir-write";
}
impl Right for FhirAdmin {
    const ROLE: &'static str = "fhir-admin";
}

/// Proof that a principal holds right `R` in one tenant.
///
/// One right is not another:
///
/// ```compile_fail
/// use wardgate::auth::{FhirRead, FhirWrite, Permit};
/// fn write(_: Permit<FhirWrite>) {}
/// fn with(read: Permit<FhirRead>) { write(read) }
/// ```
///
/// ```
/// use wardgate::auth::{FhirWrite, Permit};
/// fn write(_: Permit<FhirWrite>) {}
/// fn with(right: Permit<FhirWrite>) { write(right) }
/// ```
///
/// It cannot be made outside this room, from nothing or from a principal:
///
/// ```compile_fail
/// use wardgate::auth::{FhirRead, Permit, Principal};
/// fn forge(principal: Principal) -> Permit<FhirRead> {
///     Permit { principal, right: std::marker::PhantomData }
/// }
/// ```
///
/// ```
/// use wardgate::auth::{FhirRead, Permit, Principal};
/// fn of(permit: &Permit<FhirRead>) -> &Principal { permit.principal() }
/// ```
///
/// An operator's permit is no clinician's:
///
/// ```compile_fail
/// use wardgate::auth::{FhirRead, OperatorPermit, Permit};
/// fn read(_: Permit<FhirRead>) {}
/// fn with(operator: OperatorPermit) { read(operator) }
/// ```
#[derive(Debug)]
pub struct Permit<R> {
    principal: Principal,
    right: PhantomData<fn() -> R>,
}

impl<R: Right> Permit<R> {
    pub(super) fn grant(principal: &Principal) -> Result<Self, AuthFault> {
        if !principal.roles().iter().any(|role| role == R::ROLE) {
            return Err(AuthFault::InsufficientScope(R::ROLE));
        }
        Ok(Self { principal: principal.clone(), right: PhantomData })
    }

    /// The tenant it holds in.
    pub const fn tenant(&self) -> TenantId {
        self.principal.tenant()
    }

    /// Who holds it.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the token's scopes leave room for this as well.
    pub fn allows(&self, resource: &str, interaction: Interaction) -> bool {
        self.principal.scopes().allow(resource, interaction)
    }
}

/// Proof that somebody may use the control plane. Says nothing about any patient's data.
#[derive(Debug, Clone)]
pub struct OperatorPermit {
    subject: String,
    console: bool,
}

impl OperatorPermit {
    pub(super) const fn granted(subject: String) -> Self {
        Self { subject, console: false }
    }

    /// For the command line on the gateway's own machine: whoever can read its keys and registry needs no
    /// token. `user` is the system account, for the operators' log.
    pub const fn console(user: String) -> Self {
        Self { subject: user, console: true }
    }

    /// Who.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it was given at the command line.
    pub const fn is_console(&self) -> bool {
        self.console
    }
}
