//! What a tenant offers this user, as its flags say: refused in the protocol's own form where it does not, and
//! left out of the CapabilityStatement.

use super::fault::RecordsFault;
use crate::auth::Right;
use crate::base::Flag;
use crate::fhir::capability::{Offered, TypeCapability};
use crate::fhir::query::Criterion;
use crate::fhir::{QueryFault, SearchQuery};
use crate::tenant::Session;

impl<R: Right> Session<R> {
    /// Refuses what is switched off for this user.
    pub(super) fn offered(&self, flag: Flag) -> Result<(), RecordsFault> {
        if self.offers(flag) { Ok(()) } else { Err(RecordsFault::SwitchedOff(flag)) }
    }

    /// Treats what is switched off for this user like any parameter that is not served.
    pub(super) fn narrow(&self, query: &mut SearchQuery) -> Result<(), QueryFault> {
        if !self.offers(Flag::Include) {
            let included =
                [("_include", &mut query.include), ("_revinclude", &mut query.revinclude)];
            let asked = included.map(|(name, all)| (!std::mem::take(all).is_empty(), name));
            for (_, name) in asked.into_iter().filter(|(asked, _)| *asked) {
                query.unsupported(name)?;
            }
        }
        if !self.offers(Flag::Chain) {
            let all = std::mem::take(&mut query.criteria);
            let (chained, kept) = all.into_iter().partition::<Vec<_>, _>(Criterion::reaches);
            query.criteria = kept;
            for criterion in chained {
                query.unsupported(&criterion.full_name())?;
            }
        }
        Ok(())
    }

    /// What is left of what the mapping serves.
    pub(super) fn left_of(&self, mut types: Vec<TypeCapability>) -> (Vec<TypeCapability>, Offered) {
        let writes = self.offers(Flag::Write);
        let (includes, everything) = (self.offers(Flag::Include), self.offers(Flag::Everything));
        for ty in &mut types {
            ty.everything &= everything;
            if !includes {
                ty.includes.clear();
                ty.revincludes.clear();
            }
            if !writes {
                ty.no_writing();
            }
        }
        (types, Offered { export: self.offers(Flag::Export), transaction: writes })
    }
}
