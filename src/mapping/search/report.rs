//! Which searches a mapping serves, and why it does not serve the others.

use std::collections::BTreeSet;

use crate::fhir::params::{r4_composites, r4_params, r4_unexpressed};
use crate::mapping::compiled::Compiled;

/// The search parameters of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeSearches {
    /// The resource type.
    pub resource_type: String,
    /// Those that are served, sorted.
    pub served: Vec<String>,
    /// The others, by reason.
    pub unserved: Vec<Unserved>,
}

/// Search parameters that are not served for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The reason, as a sentence without a full stop.
    pub reason: &'static str,
    /// The parameters, sorted.
    pub params: Vec<String>,
}

const UNMAPPED: &str = "nothing is mapped there";
const INEXACT: &str = "what is mapped there cannot be turned around exactly";
const DISABLED: &str = "switched off under `search:`";
const WORDLESS: &str = "FHIR says in words only what it looks at";

impl Compiled {
    /// For each type, what can be searched for and what cannot.
    pub fn searches(&self) -> Vec<TypeSearches> {
        self.resource_types().into_iter().map(|ty| self.searches_of(ty)).collect()
    }

    fn searches_of(&self, ty: &str) -> TypeSearches {
        let mut groups =
            [UNMAPPED, INEXACT, DISABLED, WORDLESS].map(|reason| (reason, BTreeSet::new()));
        let mut served = BTreeSet::new();
        let params = r4_params(ty).into_iter().map(|p| p.name);
        for name in params.chain(r4_composites(ty).into_iter().map(|c| c.name)) {
            let fills: Vec<_> = self.of_type(ty).map(|(_, s)| self.fills(s, name)).collect();
            let reason = if fills.contains(&None) {
                DISABLED
            } else if !fills.contains(&Some(true)) {
                UNMAPPED
            } else if self.serves(ty, name) {
                served.insert(name.to_owned());
                continue;
            } else {
                INEXACT
            };
            if let Some((_, group)) = groups.iter_mut().find(|(known, _)| *known == reason) {
                group.insert(name.to_owned());
            }
        }
        if let Some((_, group)) = groups.last_mut() {
            group.extend(r4_unexpressed(ty).into_iter().map(|p| p.name.to_owned()));
        }
        let unserved = groups.into_iter().filter(|(_, group)| !group.is_empty());
        let unserved = unserved
            .map(|(reason, group)| Unserved { reason, params: group.into_iter().collect() });
        TypeSearches {
            resource_type: ty.to_owned(),
            served: served.into_iter().collect(),
            unserved: unserved.collect(),
        }
    }
}
