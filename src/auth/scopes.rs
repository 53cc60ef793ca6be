/// What a request does to resources, in the letters of SMART App Launch 2.2 scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interaction {
    /// `read`, `vread` and the history of one resource: `r`.
    Read,
    /// `search-type`, `search-system` and the history of a type: `s`.
    Search,
    /// `create`: `c`.
    Create,
    /// `update` and `patch`: `u`.
    Update,
    /// `delete`: `d`.
    Delete,
}

impl Interaction {
    const fn bit(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Read => 2,
            Self::Update => 4,
            Self::Delete => 8,
            Self::Search => 16,
        }
    }

    /// The letter of SMART v2 scopes.
    pub const fn letter(self) -> char {
        match self {
            Self::Create => 'c',
            Self::Read => 'r',
            Self::Update => 'u',
            Self::Delete => 'd',
            Self::Search => 's',
        }
    }
}

/// The records of the one patient an application is launched for: it narrows, for that is not enforced here.
const LAUNCH_PATIENT: &str = "launch/patient";

const ALL: u8 = 31;
const READ: u8 = 2 | 16;
const WRITE: u8 = 1 | 4 | 8;

/// What a token's SMART resource scopes leave of its roles' rights.
///
/// Version 1 (`user/Patient.read`) and version 2 (`user/Patient.rs`) are understood, with `user/` and
/// `system/`. A token without any resource scope is not narrowed. `patient/` scopes grant nothing here,
/// because access by compartment is not enforced; so a token with only those is left with nothing. A
/// scope that looks like a resource scope and is not one, or that carries search parameters
/// (`?category=…`), narrows the token and grants nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Option<Vec<Grant>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    /// `None` is `*`.
    resource_type: Option<Box<str>>,
    interactions: u8,
}

impl Scopes {
    /// The scopes of a token's `scope` claim (RFC 8693 section 4.2: separated by spaces).
    pub(super) fn parse(claim: &str) -> Self {
        let mut grants: Option<Vec<Grant>> = None;
        for scope in claim.split(' ') {
            if scope == LAUNCH_PATIENT {
                grants.get_or_insert_default();
            }
            let Some((context, rest)) = scope.split_once('/') else { continue };
            if !matches!(context, "patient" | "user" | "system") {
                continue;
            }
            let grants = grants.get_or_insert_default();
            if context == "patient" {
                continue;
            }
            if let Some(grant) = Grant::parse(rest)
                && !grants.contains(&grant)
            {
                grants.push(grant);
            }
        }
        Self(grants)
    }

    /// Scopes that narrow nothing.
    pub(super) const fn unrestricted() -> Self {
        Self(None)
    }

    /// Whether the scopes leave that interaction with that type of resource. `resource_type` is the
    /// FHIR name, as `Patient`.
    pub fn allows(&self, resource_type: &str, interaction: Interaction) -> bool {
        self.0.as_ref().is_none_or(|grants| {
            grants.iter().any(|grant| {
                grant.interactions & interaction.bit() != 0
                    && grant.resource_type.as_deref().is_none_or(|ty| ty == resource_type)
            })
        })
    }

    /// Whether the token carries resource scopes at all.
    pub const fn is_restricted(&self) -> bool {
        self.0.is_some()
    }

    /// Whether anything that reads is left.
    pub(super) fn any_read(&self) -> bool {
        self.any(READ)
    }

    /// Whether anything that writes is left.
    pub(super) fn any_write(&self) -> bool {
        self.any(WRITE)
    }

    /// Whether nothing is taken away: no resource scopes, or every interaction with every type.
    pub(super) fn everything(&self) -> bool {
        self.0.as_ref().is_none_or(|grants| {
            grants
                .iter()
                .filter(|grant| grant.resource_type.is_none())
                .fold(0, |all, grant| all | grant.interactions)
                == ALL
        })
    }

    fn any(&self, of: u8) -> bool {
        self.0.as_ref().is_none_or(|grants| grants.iter().any(|g| g.interactions & of != 0))
    }
}

impl Grant {
    fn parse(text: &str) -> Option<Self> {
        let (resource_type, interactions) = text.split_once('.')?;
        let interactions = match interactions {
            "read" => READ,
            "write" => WRITE,
            "*" => ALL,
            letters => parse_letters(letters)?,
        };
        let resource_type = match resource_type {
            "*" => None,
            name if is_type_name(name) => Some(Box::from(name)),
            _ => return None,
        };
        Some(Self { resource_type, interactions })
    }
}

/// A non-empty part of `cruds` in that order.
fn parse_letters(letters: &str) -> Option<u8> {
    let mut rest = "cruds".chars();
    let mut bits = 0;
    for letter in letters.chars() {
        // `find` moves on, so a letter out of order or twice is not found again.
        rest.find(|l| *l == letter)?;
        bits |= match letter {
            'c' => 1,
            'r' => 2,
            'u' => 4,
            'd' => 8,
            _ => 16,
        };
    }
    (bits != 0).then_some(bits)
}

fn is_type_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::Interaction::{Create, Delete, Read, Search, Update};
    use super::*;

    fn allowed(claim: &str, ty: &str) -> String {
        let scopes = Scopes::parse(claim);
        [Create, Read, Update, Delete, Search]
            .into_iter()
            .filter(|i| scopes.allows(ty, *i))
            .map(Interaction::letter)
            .collect()
    }

    #[test]
    fn both_versions_mean_the_same() {
        for (claim, patient, other) in [
            ("", "cruds", "cruds"),
            ("openid profile", "cruds", "cruds"),
            ("user/Patient.read", "rs", ""),
            ("user/Patient.rs", "rs", ""),
            ("system/Patient.write", "cud", ""),
            ("user/*.read", "rs", "rs"),
            ("user/*.*", "cruds", "cruds"),
            ("system/*.cruds", "cruds", "cruds"),
            ("user/Patient.r user/Observation.s", "r", "s"),
            ("openid user/Patient.c", "c", ""),
        ] {
            assert_eq!(allowed(claim, "Patient"), patient, "{claim}");
            assert_eq!(allowed(claim, "Observation"), other, "{claim}");
        }
    }

    #[test]
    fn what_is_not_understood_narrows_and_grants_nothing() {
        for claim in [
            "patient/Patient.read",
            "patient/*.*",
            "launch/patient",
            "openid launch/patient",
            "user/Patient.sr",
            "user/Patient.rr",
            "user/Patient.",
            "user/Patient",
            "user/",
            "user/patient.read",
            "user/Patient.Read",
            "user/Patient.rs?category=laboratory",
            "user/Pat*.read",
        ] {
            assert_eq!(allowed(claim, "Patient"), "", "{claim}");
            assert!(Scopes::parse(claim).is_restricted(), "{claim}");
            assert!(!Scopes::parse(claim).any_read(), "{claim}");
        }
    }

    #[test]
    fn patient_scopes_do_not_take_from_user_scopes() {
        assert_eq!(allowed("patient/*.* user/Patient.r", "Patient"), "r");
        assert_eq!(allowed("launch/patient user/Patient.r", "Patient"), "r");
    }

    #[test]
    fn everything_needs_the_whole_wildcard() {
        assert!(Scopes::parse("openid").everything());
        assert!(Scopes::parse("user/*.*").everything());
        assert!(Scopes::parse("user/*.read user/*.write").everything());
        assert!(!Scopes::parse("user/*.read").everything());
        assert!(!Scopes::parse("user/Patient.*").everything());
        assert!(!Scopes::parse("patient/*.*").everything());
    }
}
