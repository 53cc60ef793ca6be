use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::base::{Generation, TenantId};

/// Longest text in an event, in bytes; longer ones are cut and end in `…`.
const TEXT_MAX: usize = 256;
/// Most roles in an event.
const ROLES_MAX: usize = 32;

/// One access, or attempt at one, as a room tells it. Never what was found and never what was searched
/// for: a resource is named by its type and a keyed digest of its id, a search by its count.
#[derive(Debug, Clone)]
pub struct AccessEvent {
    /// Whose data; the nil UUID stands for the platform itself.
    pub tenant: TenantId,
    /// The request's id, also in the logs.
    pub request: Uuid,
    /// Who.
    pub actor: Actor,
    /// What kind of access.
    pub action: Action,
    /// FHIR resource type, such as `Patient`.
    pub resource_type: Option<Cow<'static, str>>,
    /// Which, or how many.
    pub target: Target,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status answered.
    pub status: u16,
    /// The tenant's configuration generation it was answered under.
    pub generation: Generation,
    /// Purpose of use, as a code of HL7 `v3-PurposeOfUse` such as `TREAT`, or a work order's purpose.
    pub purpose: Option<String>,
}

/// Who acted.
#[derive(Debug, Clone)]
pub struct Actor {
    /// On whose behalf.
    pub kind: ActorKind,
    /// The issuer that vouched for her.
    pub issuer: Option<String>,
    /// Token subject, operator's name, or part of the gateway.
    pub subject: String,
    /// The application (`azp`).
    pub azp: Option<String>,
    /// The session (`sid`).
    pub sid: Option<String>,
    /// Digest of the token's id; never the token or a part of it.
    pub token_id_hash: Option<String>,
    /// Roles that counted.
    pub roles: Vec<String>,
}

/// On whose behalf an actor acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A token of a tenant's user.
    User,
    /// An operator of the platform.
    Operator,
    /// The gateway itself, under a work order or for its own upkeep.
    Gateway,
}

/// What kind of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// FHIR read of one resource.
    Read,
    /// FHIR search.
    Search,
    /// FHIR history or vread.
    History,
    /// FHIR create.
    Create,
    /// FHIR update or patch.
    Update,
    /// FHIR delete.
    Delete,
    /// FHIR `$validate`: asked what would become of a change.
    Validate,
    /// Export of many resources.
    Export,
    /// Something an operator or a work order did, such as `tenant.suspend`.
    Operate(&'static str),
}

impl Action {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::History => "history",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Validate => "validate",
            Self::Export => "export",
            Self::Operate(what) => what,
        }
    }
}

/// Which resource, or how many.
#[derive(Clone)]
pub enum Target {
    /// None in particular.
    None,
    /// The one with this id. The log stores HMAC-SHA256 of `type/id` under the tenant's own key, cut
    /// to 128 bits: the same resource can be followed through a log, and not be named from it.
    One(String),
    /// So many.
    Count(u64),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::One(_) => f.write_str("One(***)"),
            Self::Count(count) => write!(f, "Count({count})"),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A change is about to be made last; what came of it stands in a later event of the same request, and
    /// where there is none, nobody knows.
    Begun,
    /// Answered.
    Success,
    /// Refused: not permitted.
    Denied,
    /// Not done for another reason of the caller's (not found, malformed).
    Rejected,
    /// Failed on our side or the hospital's.
    Failed,
}

/// An event as a chain holds it, without its hash. The order of the fields is part of the form.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) n: u64,
    pub(super) at: String,
    pub(super) tenant: TenantId,
    pub(super) request: Uuid,
    pub(super) who: Who<'a>,
    pub(super) action: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) resource_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    pub(super) outcome: Outcome,
    pub(super) status: u16,
    pub(super) generation: Generation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct Who<'a> {
    kind: ActorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Cow<'a, str>>,
    subject: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Cow<'a, str>>,
}

impl AccessEvent {
    /// The written form, `n` and the keyed digest of the id filled in.
    pub(super) fn written(&self, n: u64, at: String, id: Option<String>) -> Written<'_> {
        let actor = &self.actor;
        Written {
            n,
            at,
            tenant: self.tenant,
            request: self.request,
            who: Who {
                kind: actor.kind,
                issuer: actor.issuer.as_deref().map(cut),
                subject: cut(&actor.subject),
                azp: actor.azp.as_deref().map(cut),
                sid: actor.sid.as_deref().map(cut),
                token: actor.token_id_hash.as_deref().map(cut),
                roles: actor.roles.iter().take(ROLES_MAX).map(|role| cut(role)).collect(),
            },
            action: self.action.as_str(),
            resource_type: self.resource_type.as_deref().map(cut),
            id,
            count: match self.target {
                Target::Count(count) => Some(count),
                Target::None | Target::One(_) => None,
            },
            outcome: self.outcome,
            status: self.status,
            generation: self.generation,
            purpose: self.purpose.as_deref().map(cut),
        }
    }

    /// An event of the log about itself.
    pub(super) fn note(tenant: TenantId, what: &'static str, count: u64) -> Self {
        Self {
            tenant,
            request: Uuid::nil(),
            actor: Actor {
                kind: ActorKind::Gateway,
                issuer: None,
                subject: "audit".to_owned(),
                azp: None,
                sid: None,
                token_id_hash: None,
                roles: Vec::new(),
            },
            action: Action::Operate(what),
            resource_type: None,
            target: Target::Count(count),
            outcome: Outcome::Success,
            status: 0,
            generation: Generation::default(),
            purpose: None,
        }
    }
}

/// What callers send has no bound of its own; an event does.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_MAX {
        return Cow::Borrowed(text);
    }
    let ends = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= TEXT_MAX - 3);
    Cow::Owned(format!("{}…", &text[..ends.last().unwrap_or(0)]))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut(&"x".repeat(256)).len(), 256);
        for text in ["x".repeat(257), "ä".repeat(200), "長".repeat(5000)] {
            let short = cut(&text);
            assert!(short.len() <= TEXT_MAX && short.ends_with('…') && short.len() > 240);
        }
    }

    #[test]
    fn debug_does_not_show_an_id() {
        assert_eq!(format!("{:?}", Target::One("MRN-12345".to_owned())), "One(***)");
    }
}
