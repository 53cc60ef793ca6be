use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use uuid::Uuid;

use super::{AuthFault, Interaction, Principal, Scopes};
use crate::base::{Generation, TenantId};

mod sealed {
    use super::{Interaction, Scopes};

    pub trait Sealed {
        fn covers(interaction: Interaction) -> bool;
        fn left_by(scopes: &Scopes) -> bool;
    }
}

/// A right within one tenant. The list is closed.
pub trait Right: sealed::Sealed + Send + Sync + 'static {
    /// The word used in logs and audit events.
    const NAME: &'static str;
    /// The role that gives the right, matched exactly.
    const ROLE: &'static str;
}

/// Reading and searching resources. Not implied by [`FhirWrite`].
#[derive(Debug, Clone, Copy)]
pub enum FhirRead {}

/// Creating, updating and deleting resources. Does not imply [`FhirRead`].
#[derive(Debug, Clone, Copy)]
pub enum FhirWrite {}

/// Managing one's own tenant's mapping and reading its access log. Implies neither of the others.
#[derive(Debug, Clone, Copy)]
pub enum FhirAdmin {}

impl sealed::Sealed for FhirRead {
    fn covers(interaction: Interaction) -> bool {
        matches!(interaction, Interaction::Read | Interaction::Search)
    }

    fn left_by(scopes: &Scopes) -> bool {
        scopes.any_read()
    }
}

impl Right for FhirRead {
    const NAME: &'static str = "read";
    const ROLE: &'static str = "fhir-read";
}

impl sealed::Sealed for FhirWrite {
    fn covers(interaction: Interaction) -> bool {
        matches!(interaction, Interaction::Create | Interaction::Update | Interaction::Delete)
    }

    fn left_by(scopes: &Scopes) -> bool {
        scopes.any_write()
    }
}

impl Right for FhirWrite {
    const NAME: &'static str = "write";
    const ROLE: &'static str = "fhir-write";
}

impl sealed::Sealed for FhirAdmin {
    fn covers(_: Interaction) -> bool {
        false
    }

    // Resource scopes have no word for administration: a token narrowed by them has lost it.
    fn left_by(scopes: &Scopes) -> bool {
        scopes.everything()
    }
}

impl Right for FhirAdmin {
    const NAME: &'static str = "admin";
    const ROLE: &'static str = "fhir-admin";
}

/// What the right is wanted for, as far as it is known when the permit is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<'a> {
    /// Not one type of resource: a capability statement, a batch, administration. Each resource is
    /// then checked by itself with [`Permit::allows`].
    Any,
    /// One interaction with one type of resource.
    Resource {
        /// The FHIR name, as `Patient`.
        resource_type: &'a str,
        /// What is done to it.
        interaction: Interaction,
    },
}

/// Proof that a principal holds right `R` in one tenant.
///
/// Only [`Authority::permit`](super::Authority::permit) makes one:
///
/// ```
/// use wardgate::auth::{FhirRead, Permit};
/// fn tenant_of(permit: &Permit<FhirRead>) -> wardgate::base::TenantId {
///     permit.tenant()
/// }
/// ```
///
/// ```compile_fail,E0451
/// use wardgate::auth::{FhirRead, Permit, Principal};
/// fn forged(principal: Principal) -> Permit<FhirRead> {
///     Permit { principal, right: std::marker::PhantomData }
/// }
/// ```
///
/// A permit for one right is no permit for another, in either direction:
///
/// ```
/// use wardgate::auth::{FhirRead, Permit};
/// fn read(_: &Permit<FhirRead>) {}
/// fn reader(permit: &Permit<FhirRead>) {
///     read(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirRead, FhirWrite, Permit};
/// fn write(_: &Permit<FhirWrite>) {}
/// fn reader(permit: &Permit<FhirRead>) {
///     write(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirRead, FhirWrite, Permit};
/// fn read(_: &Permit<FhirRead>) {}
/// fn writer(permit: &Permit<FhirWrite>) {
///     read(permit);
/// }
/// ```
///
/// Rights cannot be invented:
///
/// ```compile_fail,E0277
/// enum Everything {}
/// impl wardgate::auth::Right for Everything {
///     const NAME: &'static str = "everything";
///     const ROLE: &'static str = "user";
/// }
/// ```
pub struct Permit<R: Right> {
    principal: Principal,
    right: PhantomData<fn() -> R>,
}

impl<R: Right> Permit<R> {
    /// Role ∩ scopes for what is wanted.
    pub(super) fn grant(principal: &Principal, shape: Shape<'_>) -> Result<Self, AuthFault> {
        if !principal.roles().has(R::ROLE) {
            return Err(AuthFault::InsufficientScope {
                reason: "role_missing",
                scope: Cow::Borrowed(R::ROLE),
            });
        }
        let allowed = match shape {
            Shape::Any => R::left_by(principal.scopes()),
            Shape::Resource { resource_type, interaction } => {
                R::covers(interaction) && principal.scopes().allows(resource_type, interaction)
            }
        };
        if !allowed {
            let scope = match shape {
                Shape::Any => Cow::Borrowed(R::ROLE),
                Shape::Resource { resource_type, interaction } => {
                    Cow::Owned(format!("user/{resource_type}.{}", interaction.letter()))
                }
            };
            return Err(AuthFault::InsufficientScope { reason: "scope_too_narrow", scope });
        }
        Ok(Self { principal: principal.clone(), right: PhantomData })
    }

    /// The tenant the right holds in, and nowhere else.
    pub const fn tenant(&self) -> TenantId {
        self.principal.tenant()
    }

    /// Whose right it is.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The tenant's configuration generation the binding was read under.
    pub const fn generation(&self) -> Generation {
        self.principal.generation()
    }

    /// What the token's scopes leave of the right.
    pub fn scopes(&self) -> &Scopes {
        self.principal.scopes()
    }

    /// Whether the right covers that interaction and the scopes leave it for that type of resource.
    /// Asked again for every type a request reaches beyond its own, as by `_include`.
    pub fn allows(&self, resource_type: &str, interaction: Interaction) -> bool {
        R::covers(interaction) && self.scopes().allows(resource_type, interaction)
    }
}

impl<R: Right> Clone for Permit<R> {
    fn clone(&self) -> Self {
        Self { principal: self.principal.clone(), right: PhantomData }
    }
}

impl<R: Right> fmt::Debug for Permit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit<{}>({:?})", R::NAME, self.principal)
    }
}

#[cfg(test)]
impl<R: Right> Permit<R> {
    /// A permit for unit tests of the rooms above, from [`Principal::for_tests`].
    pub(crate) fn for_tests(tenant: TenantId) -> Self {
        Self { principal: Principal::for_tests(tenant, &[R::ROLE], ""), right: PhantomData }
    }
}

/// Where an operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorSource {
    /// A token of the operators' issuer, over the control plane.
    Token,
    /// The command line on the gateway's own machine.
    Console,
}

/// Proof that someone operates the platform. It opens no patient's data in any tenant.
///
/// ```
/// use wardgate::auth::OperatorPermit;
/// fn suspend(_: &OperatorPermit) {}
/// fn operator(permit: &OperatorPermit) {
///     suspend(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirRead, OperatorPermit, Permit};
/// fn read(_: &Permit<FhirRead>) {}
/// fn operator(permit: &OperatorPermit) {
///     read(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirAdmin, OperatorPermit, Permit};
/// fn suspend(_: &OperatorPermit) {}
/// fn hospital_admin(permit: &Permit<FhirAdmin>) {
///     suspend(permit);
/// }
/// ```
///
/// ```compile_fail,E0451
/// use wardgate::auth::{OperatorPermit, OperatorSource};
/// fn forged() -> OperatorPermit {
///     OperatorPermit {
///         subject: Box::from("x"),
///         issuer: None,
///         sid: None,
///         token_id: None,
///         source: OperatorSource::Token,
///     }
/// }
/// ```
#[derive(Clone)]
pub struct OperatorPermit {
    subject: Box<str>,
    issuer: Option<std::sync::Arc<str>>,
    sid: Option<Box<str>>,
    token_id: Option<Box<str>>,
    source: OperatorSource,
}

impl OperatorPermit {
    pub(super) fn from_token(token: &super::principal::Token) -> Self {
        Self {
            subject: token.subject.clone(),
            issuer: Some(token.issuer.clone()),
            sid: token.sid.clone(),
            token_id: Some(token.token_id.clone()),
            source: OperatorSource::Token,
        }
    }

    /// The person at the command line on the gateway's own machine, who already holds its files and
    /// keys. `os_user` is the operating system's name of the user.
    pub fn console(os_user: &str) -> Self {
        Self {
            subject: Box::from(os_user),
            issuer: None,
            sid: None,
            token_id: None,
            source: OperatorSource::Console,
        }
    }

    /// The issuer's id of the operator, or the user name at the console.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The operators' issuer; none at the console.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The issuer's session, where there is one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Names the token in logs and audit events; none at the console.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Where the operator stands.
    pub const fn source(&self) -> OperatorSource {
        self.source
    }
}

impl fmt::Debug for OperatorPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorPermit({:?})", self.source)
    }
}

/// An order by which the gateway acts on one tenant without a clinician's token: migrations, drift
/// checks, probes, moves. It gives maintenance access, which can never render a resource.
///
/// ```
/// use wardgate::auth::{OperatorPermit, WorkOrder};
/// let operator = OperatorPermit::console("root");
/// let tenant = wardgate::base::TenantId::random();
/// assert!(WorkOrder::issue(&operator, tenant, "nightly drift check").is_some());
/// assert!(WorkOrder::issue(&operator, tenant, " ").is_none());
/// ```
///
/// ```compile_fail,E0061
/// use wardgate::auth::WorkOrder;
/// let tenant = wardgate::base::TenantId::random();
/// WorkOrder::issue(tenant, "nobody ordered this");
/// ```
#[derive(Debug, Clone)]
pub struct WorkOrder {
    id: Uuid,
    tenant: TenantId,
    purpose: Box<str>,
    operator: OperatorPermit,
}

impl WorkOrder {
    /// An operator's order for one tenant. `None` unless the purpose is 1 to 500 characters that are
    /// not only white space and hold no control characters.
    pub fn issue(operator: &OperatorPermit, tenant: TenantId, purpose: &str) -> Option<Self> {
        let purpose = purpose.trim();
        if purpose.is_empty()
            || purpose.chars().count() > 500
            || purpose.chars().any(char::is_control)
        {
            return None;
        }
        Some(Self {
            id: Uuid::new_v4(),
            tenant,
            purpose: Box::from(purpose),
            operator: operator.clone(),
        })
    }

    /// Names the order in the registry and in audit events.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// The only tenant it is good for.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Why, in the operator's words.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Who ordered it.
    pub const fn operator(&self) -> &OperatorPermit {
        &self.operator
    }
}

#[cfg(test)]
mod tests {
    use super::Interaction::{Create, Read, Search};
    use super::*;

    fn granted<R: Right>(roles: &[&str], scope: &str, shape: Shape<'_>) -> bool {
        let principal = Principal::for_tests(TenantId::random(), roles, scope);
        Permit::<R>::grant(&principal, shape).is_ok()
    }

    fn patient(interaction: Interaction) -> Shape<'static> {
        Shape::Resource { resource_type: "Patient", interaction }
    }

    #[test]
    fn no_role_implies_another() {
        let one = |role| {
            [
                granted::<FhirRead>(&[role], "", Shape::Any),
                granted::<FhirWrite>(&[role], "", Shape::Any),
                granted::<FhirAdmin>(&[role], "", Shape::Any),
            ]
        };
        assert_eq!(one("fhir-read"), [true, false, false]);
        assert_eq!(one("fhir-write"), [false, true, false]);
        assert_eq!(one("fhir-admin"), [false, false, true]);
        assert_eq!(one("FHIR-READ"), [false, false, false]);
    }

    #[test]
    fn scopes_only_take_away() {
        assert!(granted::<FhirRead>(&["fhir-read"], "user/Patient.rs", patient(Read)));
        assert!(!granted::<FhirRead>(&["fhir-read"], "user/Patient.s", patient(Read)));
        assert!(granted::<FhirRead>(&["fhir-read"], "user/Patient.s", patient(Search)));
        assert!(!granted::<FhirRead>(&["fhir-read"], "user/Observation.rs", patient(Read)));
        assert!(!granted::<FhirRead>(&[], "user/*.*", patient(Read)));
        assert!(!granted::<FhirRead>(&["fhir-read"], "patient/*.*", Shape::Any));
        assert!(!granted::<FhirWrite>(&["fhir-write"], "user/*.read", Shape::Any));
        assert!(!granted::<FhirAdmin>(&["fhir-admin"], "user/*.read", Shape::Any));
    }

    #[test]
    fn a_right_covers_its_own_interactions_only() {
        assert!(!granted::<FhirRead>(&["fhir-read"], "", patient(Create)));
        assert!(!granted::<FhirWrite>(&["fhir-write"], "", patient(Read)));
        let read = Permit::<FhirRead>::for_tests(TenantId::random());
        assert!(read.allows("Patient", Read) && !read.allows("Patient", Create));
    }

    #[test]
    fn a_refusal_names_what_is_missing() {
        let principal = Principal::for_tests(TenantId::random(), &["fhir-read"], "user/A.r");
        let fault = Permit::<FhirRead>::grant(&principal, patient(Search)).unwrap_err();
        assert_eq!(
            fault.www_authenticate().unwrap(),
            r#"Bearer error="insufficient_scope", scope="user/Patient.s""#
        );
        let fault = Permit::<FhirWrite>::grant(&principal, Shape::Any).unwrap_err();
        assert_eq!(
            fault.www_authenticate().unwrap(),
            r#"Bearer error="insufficient_scope", scope="fhir-write""#
        );
    }
}
