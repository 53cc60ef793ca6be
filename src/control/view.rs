//! What operators see of a tenant: never a password, a host or a sealed text.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::flags::FlagsView;
use super::mappings::{DriftView, TrialView};
use crate::mapping::{TypeSearches, Unserved};
use crate::registry::StoredLimits;

/// A tenant as the admin API and the command line show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TenantView {
    /// Immutable identity.
    pub id: Uuid,
    /// Slug; unique.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// `draft`, `active`, `suspended`, `offboarding` or `offboarded`; `damaged` where the row that says
    /// so does not read.
    pub state: String,
    /// Why, when it is suspended.
    pub reason: Option<String>,
    /// Which part of its stored configuration does not read, so that it is not served; `binding` where
    /// one was written without the keys, and leads no token anywhere.
    pub damaged: Option<String>,
    /// `attached` or `provisioned`.
    pub ownership: String,
    /// `database`, `schema` or `shared`.
    pub placement: String,
    /// How tokens find it.
    pub identities: Vec<IdentityView>,
    /// Tokens issued before this are refused (RFC 3339); left out where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_since: Option<String>,
    /// Configuration generation; also the `ETag`.
    pub generation: u64,
    /// Its connection, when one is registered.
    pub connection: Option<ConnectionView>,
    /// Other hospitals whose connection leads to the very same database, by slug; left out of lists. Unless roles
    /// and schemas of their own keep them apart there, one hospital's users are given the other's records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same_database: Vec<String>,
    /// Its mapping.
    pub mapping: MappingPointer,
    /// Its own limits, where they differ from the gateway's.
    pub limits: StoredLimits,
    /// What its users are offered: each flag with `on`, `off` or a share of the users such as `25%`.
    pub flags: FlagsView,
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityView {
    /// Issuer, exactly as in `iss`.
    pub issuer: String,
    /// Value of the tenant claim; left out where the issuer alone decides, which is then bound to exactly
    /// one tenant.
    #[serde(default)]
    pub claim_value: Option<String>,
    /// OAuth clients whose tokens count.
    pub azp: Vec<String>,
}

/// A connection without its secrets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectionView {
    /// `postgres`, `mysql` or `sqlite`.
    pub engine: String,
    /// `verify_full`, `loopback_plaintext`, `exception` or `none` (a file).
    pub tls: String,
    /// The server's identity as recorded at registration.
    pub server_identity: Option<String>,
    /// When the record was sealed (RFC 3339).
    pub sealed_at: String,
    /// Connection revision.
    pub revision: u64,
    /// The data key it is sealed under.
    pub dek: Uuid,
    /// The key-encryption key that wraps it.
    pub kek: Option<String>,
}

/// Which mapping version is active.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct MappingPointer {
    /// Version number.
    pub active: Option<u32>,
    /// How the hospital's database compared with it when it was looked at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftView>,
}

/// One step of connecting, for `check`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckStep {
    /// What was tried.
    pub step: String,
    /// Milliseconds it took.
    pub millis: u64,
    /// `ok`, or a safe word for what failed.
    pub outcome: String,
}

/// The report of `check`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckReport {
    /// Whether every step went well.
    pub ok: bool,
    /// The steps in order; the last is the one that failed, if one did.
    pub steps: Vec<CheckStep>,
    /// The class of the failure: one of a closed list of words, as in the metrics.
    pub class: Option<String>,
    /// Server version, when it was reached.
    pub version: Option<String>,
    /// Whether the link was encrypted.
    pub tls: Option<bool>,
    /// Whether the server is the registered one; nothing when none is registered.
    pub same_server: Option<bool>,
    /// What to do about a failure.
    pub hint: Option<String>,
    /// What was found out about the database, without writing anything.
    pub findings: Vec<CheckFinding>,
}

/// Something found out about a database.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CheckFinding {
    /// `version`, `characters`, `time zone`, `rights`, `other databases`, `other hospitals` or `mapping`.
    pub what: String,
    /// What was found.
    pub found: String,
    /// Why it should be looked at.
    pub warning: Option<String>,
}

/// A mapping version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MappingView {
    /// Version number, from 1.
    pub version: u32,
    /// Whether it is the active one.
    pub active: bool,
    /// Who stored it.
    pub created_by: String,
    /// When (RFC 3339).
    pub created_at: String,
}

/// One fault or warning of a mapping.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MappingProblemView {
    /// RFC 6901 pointer into the document.
    pub pointer: String,
    /// `error` or `warning`.
    pub severity: String,
    /// A stable word for the kind of fault.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// What checking a mapping found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MappingReport {
    /// Whether it may become active.
    pub ok: bool,
    /// The version it was stored as, when it was stored.
    pub version: Option<u32>,
    /// Everything found, in document order.
    pub problems: Vec<MappingProblemView>,
    /// What came of trying it on some rows, in numbers; nothing when it has faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialView>,
    /// Which searches each resource type serves, and why not the others; empty for a mapping with faults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub searches: Vec<TypeSearchesView>,
}

impl MappingReport {
    /// Of a version that does not fit.
    pub fn faulty(problems: Vec<MappingProblemView>) -> Self {
        Self { ok: false, version: None, problems, trial: None, searches: Vec::new() }
    }

    /// The same with what can be searched.
    pub(super) fn searched(mut self, searches: Vec<TypeSearches>) -> Self {
        let unserved = |group: Unserved| UnservedView {
            reason: group.reason.to_owned(),
            parameters: group.params,
        };
        let of_type = |of: TypeSearches| TypeSearchesView {
            resource_type: of.resource_type,
            served: of.served,
            unserved: of.unserved.into_iter().map(unserved).collect(),
        };
        self.searches = searches.into_iter().map(of_type).collect();
        self
    }
}

/// The search parameters of one resource type.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TypeSearchesView {
    /// The resource type.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Those that are served.
    pub served: Vec<String>,
    /// The others, by reason.
    pub unserved: Vec<UnservedView>,
}

/// Search parameters that are not served for one reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UnservedView {
    /// The reason.
    pub reason: String,
    /// The parameters.
    pub parameters: Vec<String>,
}

/// One line of the operators' own log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventView {
    /// Increasing number.
    pub id: i64,
    /// When (RFC 3339).
    pub at: String,
    /// Who.
    pub actor: String,
    /// What, as a stable word.
    pub action: String,
    /// The tenant concerned.
    pub tenant: Option<Uuid>,
    /// Its generation after the change.
    pub generation: Option<u64>,
    /// More, without secrets.
    pub detail: serde_json::Value,
}
