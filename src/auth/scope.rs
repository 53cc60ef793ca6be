//! SMART resource scopes (SMART App Launch 1 and 2.0, "Scopes for requesting clinical data").

/// What is asked of a resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    /// Read one by id.
    Read,
    /// Search.
    Search,
    /// Create.
    Create,
    /// Update.
    Update,
    /// Delete.
    Delete,
}

/// What a token's scopes leave of its roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// The token carries no resource scope: its roles count alone.
    Unrestricted,
    /// Only what these scopes name.
    Only(Vec<ResourceScope>),
}

/// One `user/` or `system/` scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceScope {
    /// `None` is `*`.
    resource: Option<String>,
    read: bool,
    search: bool,
    create: bool,
    update: bool,
    delete: bool,
}

/// The token is limited to one patient, which cannot be enforced yet, so it is refused as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatientOnly;

impl Scopes {
    /// Reads the `scope` claim. A scope that is not a resource scope (`openid`, `launch`) restricts
    /// nothing; a resource scope of a form we do not know grants nothing.
    pub(super) fn parse(claim: &str) -> Result<Self, PatientOnly> {
        let mut scopes = Vec::new();
        let (mut any, mut patient) = (false, false);
        for scope in claim.split(' ') {
            let Some((level, rest)) = scope.split_once('/') else { continue };
            match level {
                "user" | "system" => {
                    any = true;
                    scopes.extend(ResourceScope::parse(rest));
                }
                "patient" => patient = true,
                _ => {}
            }
        }
        match (any, patient) {
            (true, _) => Ok(Self::Only(scopes)),
            (false, true) => Err(PatientOnly),
            (false, false) => Ok(Self::Unrestricted),
        }
    }

    /// Whether the scopes leave room for this.
    pub fn allow(&self, resource: &str, interaction: Interaction) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::Only(scopes) => scopes.iter().any(|scope| {
                scope.resource.as_deref().is_none_or(|own| own == resource)
                    && match interaction {
                        Interaction::Read => scope.read,
                        Interaction::Search => scope.search,
                        Interaction::Create => scope.create,
                        Interaction::Update => scope.update,
                        Interaction::Delete => scope.delete,
                    }
            }),
        }
    }
}

impl ResourceScope {
    /// `Patient.read`, `*.write`, `Observation.rs`, `*.cruds`. A scope with a query (`?`) asks for less
    /// than the type and is not granted, rather than granted as more than was meant.
    fn parse(text: &str) -> Option<Self> {
        let (resource, rights) = text.split_once('.')?;
        let resource = match resource {
            "*" => None,
            name if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Some(name.to_owned())
            }
            _ => return None,
        };
        let mut scope = Self {
            resource,
            read: false,
            search: false,
            create: false,
            update: false,
            delete: false,
        };
        let (reads, writes) = match rights {
            "read" => (true, false),
            "write" => (false, true),
            "*" => (true, true),
            letters => {
                let mut rest = letters;
                for (letter, right) in [
                    ('c', &mut scope.create),
                    ('r', &mut scope.read),
                    ('u', &mut scope.update),
                    ('d', &mut scope.delete),
                    ('s', &mut scope.search),
                ] {
                    if let Some(after) = rest.strip_prefix(letter) {
                        (*right, rest) = (true, after);
                    }
                }
                return (rest.is_empty() && !letters.is_empty()).then_some(scope);
            }
        };
        (scope.read, scope.search) = (reads, reads);
        (scope.create, scope.update, scope.delete) = (writes, writes, writes);
        Some(scope)
    }
}
