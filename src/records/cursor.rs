//! Page cursors: where the next page begins, authenticated and bound to tenant, mapping version and query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::FhirRead;
use crate::mapping::Position;
use crate::tenant::Session;

/// What a cursor is bound to besides its tenant, whose key signs it.
pub(super) struct Binding<'a> {
    /// The mapping's version.
    pub(super) mapping: u64,
    /// Resource type and search parameters, in the order given.
    pub(super) query: &'a str,
}

impl Binding<'_> {
    fn message(&self, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(payload.len() + self.query.len() + 24);
        message.extend_from_slice(&self.mapping.to_be_bytes());
        message.extend_from_slice(&(self.query.len() as u64).to_be_bytes());
        message.extend_from_slice(self.query.as_bytes());
        message.extend_from_slice(payload);
        message
    }

    /// The cursor for a position.
    pub(super) fn write(&self, session: &Session<FhirRead>, position: &Position) -> String {
        let text = position.key.as_deref().map_or_else(String::new, |key| format!("={key}"));
        let payload = format!("{}{text}", position.source);
        let tag = session.sign_cursor(&self.message(payload.as_bytes()));
        URL_SAFE_NO_PAD.encode([tag.as_slice(), payload.as_bytes()].concat())
    }

    /// The position a cursor names, if it was written for this binding.
    pub(super) fn read(&self, session: &Session<FhirRead>, cursor: &str) -> Option<Position> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, payload) = bytes.split_at_checked(32)?;
        if !session.verify_cursor(&self.message(payload), tag) {
            return None;
        }
        let text = std::str::from_utf8(payload).ok()?;
        let (source, key) = match text.split_once('=') {
            Some((source, key)) => (source, Some(key.to_owned())),
            None => (text, None),
        };
        Some(Position { source: source.parse().ok()?, key })
    }
}
