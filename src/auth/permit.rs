use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

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
