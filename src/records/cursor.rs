//! Page cursors: where the next page begins, authenticated and bound to tenant, mapping version and query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::auth::FhirRead;
use crate::mapping::Position;
use crate::tenant::Session;

/// A source, and behind which row of it.
type Place = (usize, Option<Vec<Option<String>>>);

/// What is written in a cursor.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Payload {
    Places(Vec<Place>),
    Since(String, Vec<Place>),
}

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

    /// The cursor for a position; `None` for one that cannot be written down. With the day that the search
    /// began on, where that counts.
    pub(super) fn write(
        &self,
        session: &Session<FhirRead>,
        position: &Position,
        day: Option<Date>,
    ) -> Option<String> {
        let places: Vec<_> = std::iter::once(position)
            .chain(&position.also)
            .map(|place| (place.source, place.after.clone()))
            .collect();
        let payload = match day {
            None => Payload::Places(places),
            Some(day) => Payload::Since(day.to_string(), places),
        };
        let payload = serde_json::to_vec(&payload).ok()?;
        let tag = session.sign_cursor(&self.message(&payload));
        Some(URL_SAFE_NO_PAD.encode([tag.as_slice(), &payload].concat()))
    }

    /// The position a cursor names, if it was written for this binding, and the day that the search began on,
    /// where that counts.
    pub(super) fn read(
        &self,
        session: &Session<FhirRead>,
        cursor: &str,
    ) -> Option<(Position, Option<Date>)> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, payload) = bytes.split_at_checked(32)?;
        if !session.verify_cursor(&self.message(payload), tag) {
            return None;
        }
        let (day, places) = match serde_json::from_slice(payload).ok()? {
            Payload::Places(places) => (None, places),
            Payload::Since(day, places) => (Some(day.parse().ok()?), places),
        };
        let place = |(source, after)| Position { source, after, also: Vec::new() };
        let mut places = places.into_iter().map(place);
        let first = places.next()?;
        Some((Position { also: places.collect(), ..first }, day))
    }
}
