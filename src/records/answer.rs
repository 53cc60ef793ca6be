use bytes::Bytes;

use crate::audit::{AccessEvent, Action, Actor, ActorKind, Outcome, Receipt, Target};
use crate::auth::{Principal, Right};
use crate::tenant::{Session, TenantFault};

/// Bytes that may leave: the access they came from is on disk.
#[derive(Debug)]
pub struct Answer {
    body: Bytes,
    version: Option<String>,
    last_modified: Option<String>,
}

impl Answer {
    /// FHIR JSON.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The resource's version, for `ETag`; bundles have none.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// When the resource was last updated, where its mapping says so, as an HTTP date (RFC 9110, 5.6.7).
    pub fn last_modified(&self) -> Option<&str> {
        self.last_modified.as_deref()
    }
}

/// Rendered and not yet written down; cannot leave this room.
pub(super) struct Unreleased {
    pub(super) body: Vec<u8>,
    pub(super) version: Option<String>,
    pub(super) last_modified: Option<String>,
}

impl Unreleased {
    /// Needs the receipt only to show that there is one.
    pub(super) fn release<R: Right>(self, session: &Session<R>, _written: &Receipt) -> Answer {
        Answer {
            body: session.counted(self.body),
            version: self.version,
            last_modified: self.last_modified.as_deref().and_then(http_date),
        }
    }
}

/// A FHIR instant as HTTP spells it.
pub(super) fn http_date(instant: &str) -> Option<String> {
    let at: jiff::Timestamp = instant.parse().ok()?;
    Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// What is accessed, for the log.
pub(super) struct Access<'a> {
    pub(super) action: Action,
    pub(super) resource_type: &'a str,
    pub(super) target: Target,
}

/// Writes a successful access down and releases what it found.
pub(super) async fn release<R: Right>(
    session: &Session<R>,
    access: Access<'_>,
    found: Unreleased,
) -> Result<Answer, TenantFault> {
    let receipt = session.record(event(session, access, Outcome::Success, 200)).await?;
    Ok(found.release(session, &receipt))
}

/// Writes an access down that gave nothing.
pub(super) async fn write_down<R: Right>(
    session: &Session<R>,
    access: Access<'_>,
    outcome: Outcome,
    status: u16,
) -> Result<(), TenantFault> {
    session.record(event(session, access, outcome, status)).await.map(drop)
}

pub(super) fn event<R: Right>(
    session: &Session<R>,
    access: Access<'_>,
    outcome: Outcome,
    status: u16,
) -> AccessEvent {
    AccessEvent {
        tenant: session.permit().tenant(),
        request: session.request(),
        actor: actor(session.permit().principal()),
        action: access.action,
        resource_type: Some(type_word(access.resource_type).to_owned().into()),
        target: access.target,
        outcome,
        status,
        generation: session.config().generation,
        purpose: Some("TREAT".to_owned()),
    }
}

/// A resource's type as the access log has it. Where an address has another text in its place, it is the
/// caller's own and may say anything.
pub(super) fn type_word(text: &str) -> &str {
    let named = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if named { text } else { "other" }
}

pub(super) fn actor(principal: &Principal) -> Actor {
    Actor {
        kind: ActorKind::User,
        issuer: Some(principal.issuer().to_owned()),
        subject: principal.subject().to_owned(),
        azp: Some(principal.azp().to_owned()),
        sid: principal.sid().map(str::to_owned),
        token_id_hash: Some(principal.token_id().to_owned()),
        roles: principal.roles().names().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_types_are_written_down_as_types() {
        for name in ["Patient", "MedicinalProductUndesirableEffect", "Unknown"] {
            assert_eq!(type_word(name), name);
        }
        for other in
            ["", "patient", "Doe, Jane 1950-01-02", "Patient1", "Pati\u{e9}nt", &"A".repeat(65)]
        {
            assert_eq!(type_word(other), "other");
        }
    }
}
