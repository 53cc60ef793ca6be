use std::borrow::Cow;

use crate::auth::AuthFault;
use crate::base::{Fault, FaultKind, Flag};
use crate::fhir::{Issue, QueryFault};
use crate::mapping::PlanFault;
use crate::pool::PoolFault;
use crate::store::StoreFault;
use crate::tenant::TenantFault;

/// Why records could not be given.
#[derive(Debug, thiserror::Error)]
pub enum RecordsFault {
    /// There is no such resource in this tenant; whether one exists elsewhere is not looked at.
    #[error("no such resource")]
    NotFound,
    /// The tenant maps no resources of that type.
    #[error("the type is not mapped")]
    NoSuchType,
    /// The cursor is not one this gateway gave for this query.
    #[error("the cursor is not ours")]
    Cursor,
    /// A type that was asked for cannot be given by the patient it belongs to.
    #[error("the type cannot be exported by patient")]
    NotByPatient(String),
    /// So many exports of the tenant are under way.
    #[error("too many exports are under way")]
    Exporting,
    /// The token's scopes leave no room for it.
    #[error("the scopes do not allow it")]
    Scope,
    /// A row was found and cannot be rendered.
    #[error("the row cannot be rendered: a required element is missing")]
    Unrenderable,
    /// A page ended at a row whose key cannot be found again, so that the next page would be lost.
    #[error("a page ended at a row whose key cannot be found again")]
    NoKey,
    /// A body is no JSON, or not strictly.
    #[error(transparent)]
    Body(#[from] crate::fhir::tree::Malformed),
    /// A body is no resource of FHIR R4.
    #[error("the body is no resource of FHIR R4")]
    Invalid(Vec<Issue>),
    /// A resource cannot be stored as it was sent.
    #[error("the resource cannot be stored as it was sent")]
    Refused(Vec<Issue>),
    /// What the caller was let in by holds no more.
    #[error("the caller is not let in any more ({})", .0.reason())]
    Ended(AuthFault),
    /// Something is there already, or still pointed to.
    #[error("the change collides with what is there")]
    Collides(Vec<Issue>),
    /// The mapping does not let such resources be written in that way.
    #[error("the mapping does not let it be written")]
    NotWritable(&'static str),
    /// The tenant does not offer it to this user.
    #[error("{} is switched off for this user", .0.as_str())]
    SwitchedOff(Flag),
    /// An update of what is not there; ids are the hospital's to give.
    #[error("an update of what is not there")]
    NothingToUpdate,
    /// `If-Match` names another version.
    #[error("the version is another one")]
    Stale,
    /// `If-None-Match` of a change names what is there.
    #[error("the resource is there, and was to be changed only if it is not")]
    There,
    /// A version that is not the present one.
    #[error("no such version")]
    NoSuchVersion,
    /// A search that stands for a reference finds nothing.
    #[error("a search that stands for a reference finds nothing")]
    NoneFound,
    /// A condition matches several resources.
    #[error("the condition matches several resources")]
    Several,
    /// The connection was lost while the change was made last.
    #[error("the connection was lost at COMMIT; whether the change was stored is unknown")]
    Unknown,
    /// The change is stored, and the access log did not take that it is.
    #[error("the access log did not take that a change was stored; it has that it was begun")]
    Unlogged,
    /// A task of ours ended without an answer.
    #[error("a write ended without an answer")]
    Internal,
    /// A fault of one entry of a transaction, counted from 0.
    #[error("entry {0}: {1}")]
    Entry(usize, Box<RecordsFault>),
    /// A request that contradicts itself.
    #[error("the request contradicts itself")]
    Request(&'static str),
    /// The database no longer has what these parts of the mapping are made of.
    #[error("the database no longer has what the mapping needs for {}", .0.join(", "))]
    Drifted(Vec<String>),
    /// The query cannot be understood.
    #[error(transparent)]
    Query(#[from] QueryFault),
    /// The query cannot be served by this mapping.
    #[error(transparent)]
    Plan(#[from] PlanFault),
    /// The tenant's resources are not at hand.
    #[error(transparent)]
    Tenant(#[from] TenantFault),
    /// Fetching failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The lane failed.
    #[error(transparent)]
    Pool(#[from] PoolFault),
}

impl RecordsFault {
    /// What is wrong with which element, where that is known.
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Invalid(issues) | Self::Refused(issues) | Self::Collides(issues) => issues,
            _ => &[],
        }
    }

    fn inner(&self) -> Option<&dyn Fault> {
        Some(match self {
            Self::Query(fault) => fault,
            Self::Plan(fault) => fault,
            Self::Tenant(fault) => fault,
            Self::Store(fault) => fault,
            Self::Pool(fault) => fault,
            Self::Entry(_, fault) => &**fault,
            Self::Ended(fault) => fault,
            _ => return None,
        })
    }
}

impl Fault for RecordsFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NotWritable(_) | Self::NothingToUpdate | Self::SwitchedOff(Flag::Write) => {
                FaultKind::NotAllowed
            }
            Self::NotFound | Self::NoSuchVersion | Self::NoSuchType | Self::SwitchedOff(_) => {
                FaultKind::NotFound
            }
            Self::NotByPatient(_) => FaultKind::Invalid,
            Self::Exporting => FaultKind::Throttled,
            Self::Scope => FaultKind::Forbidden,
            Self::Cursor | Self::Body(_) | Self::Invalid(_) | Self::Request(_) => {
                FaultKind::Invalid
            }
            Self::Refused(_) => FaultKind::Unprocessable,
            Self::Collides(_) => FaultKind::Conflict,
            Self::Stale | Self::There | Self::NoneFound | Self::Several => FaultKind::Stale,
            Self::Unknown | Self::Unlogged | Self::Internal => FaultKind::Internal,
            Self::Unrenderable | Self::NoKey | Self::Drifted(_) => FaultKind::Mapping,
            other => other.inner().map_or(FaultKind::Internal, Fault::kind),
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::NotFound => "There is no such resource.".into(),
            Self::NoSuchType => "Resources of that type are not served here.".into(),
            Self::Cursor => {
                "That page link is not valid for this query any more; search again.".into()
            }
            Self::NotByPatient(ty) => {
                format!("Resources of type '{ty}' cannot be exported by patient here.").into()
            }
            Self::Exporting => "Other exports of this hospital are under way; come again.".into(),
            Self::Scope => crate::tenant::FORBIDDEN_MESSAGE.into(),
            Self::Unrenderable => "The record lacks an element that FHIR demands.".into(),
            Self::Body(malformed) => malformed.to_string().into(),
            Self::Invalid(_) => "The body is no resource of FHIR R4.".into(),
            Self::Refused(_) => "The resource cannot be stored as it was sent.".into(),
            Self::Collides(_) => "The change collides with what is there.".into(),
            Self::NotWritable(what) => {
                format!("This organisation does not take {what} of this type.").into()
            }
            Self::SwitchedOff(flag) => {
                format!("This organisation does not offer you this ({}).", flag.as_str()).into()
            }
            Self::NothingToUpdate => {
                "There is no such resource, and ids are given by the organisation's database.".into()
            }
            Self::Stale => "The resource has another version by now; read it again.".into(),
            Self::There => {
                "The resource is there as If-None-Match has it; nothing was changed.".into()
            }
            Self::NoSuchVersion => {
                "There is no such version: no history is kept here, and of each resource only the present version can be read.".into()
            }
            Self::NoneFound => {
                "The search that stands for a reference finds nothing; nothing was done.".into()
            }
            Self::Several => "The condition matches several resources; nothing was done.".into(),
            Self::Unknown => {
                "The connection was lost while the change was being stored. Nobody knows whether it was; read before you try again.".into()
            }
            Self::Unlogged => {
                "The change was stored, and the gateway could not finish its records of it. Do not send it again; read what is there.".into()
            }
            Self::Internal => "the request cannot be answered".into(),
            Self::Request(what) => (*what).into(),
            Self::Entry(at, fault) => format!("Entry {at}: {}", fault.client_message()).into(),
            Self::NoKey => {
                "The records cannot be given page by page: one of them has no usable key.".into()
            }
            Self::Drifted(paths) => format!(
                "The organisation's database has changed: what {} is made of is not there any more. Its \
                 operators have been told.",
                paths.join(", ")
            )
            .into(),
            other => other.inner().map_or("".into(), Fault::client_message),
        }
    }

    fn unsupported(&self) -> bool {
        matches!(self, Self::NotByPatient(_) | Self::SwitchedOff(_))
            || self.inner().is_some_and(Fault::unsupported)
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Exporting => Some(60),
            other => other.inner().and_then(Fault::retry_after_secs),
        }
    }
}
