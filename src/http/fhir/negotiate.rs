//! What a request says beside its address, and which form of answer the caller takes (FHIR R4,
//! 3.1.0.1.9): JSON, and nothing else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::error::FhirError;

/// What a handler needs of the request's head. It stands behind the caller in a handler's arguments, so
/// that nobody learns anything without a token.
pub(super) struct Asked {
    /// The query string, as sent; empty without one.
    pub(super) query: String,
    /// `Prefer: handling=lenient` (FHIR R4, 3.1.1.1).
    pub(super) lenient: bool,
    /// `Prefer: respond-async` (RFC 7240, 4.1).
    pub(super) later: bool,
    /// `If-None-Match`, as sent.
    pub(super) if_none_match: Option<HeaderValue>,
}

impl Asked {
    /// Whether the caller already has this version. Clients send the tag with and without quotes
    /// (RFC 9110, 13.1.2 wants them).
    pub(super) fn has(&self, version: &str) -> bool {
        let seen = self.if_none_match.as_ref().and_then(|value| value.to_str().ok());
        let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"') == version;
        seen.is_some_and(|seen| seen.split(',').any(bare))
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = FhirError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, FhirError> {
        let query = parts.uri.query().unwrap_or_default();
        json(&parts.headers, query)?;
        Ok(Self {
            query: query.to_owned(),
            lenient: preference(&parts.headers, "handling") == Some("lenient"),
            later: preference(&parts.headers, "respond-async").is_some(),
            if_none_match: parts.headers.get(header::IF_NONE_MATCH).cloned(),
        })
    }
}

/// The value of a preference, empty for one without: of all `Prefer` lines the first that has it counts
/// (RFC 7240, 2).
pub(super) fn preference<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split([',', ';'])).find_map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

/// Refuses a caller who takes no JSON. `_format` outweighs `Accept`.
fn json(headers: &HeaderMap, query: &str) -> Result<(), FhirError> {
    let not_acceptable = || {
        let message = "Only JSON is served: ask for application/fhir+json.";
        FhirError::new(StatusCode::NOT_ACCEPTABLE, "not-supported", message)
    };
    let format = query.split('&').find_map(|pair| pair.strip_prefix("_format="));
    if let Some(format) = format {
        let format =
            format.replace("%2F", "/").replace("%2f", "/").replace("%2B", "+").replace("%2b", "+");
        let known = [
            "json",
            "application/json",
            "application/fhir+json",
            "application/fhir json",
            "text/json",
        ];
        let bare = format.split(';').next().unwrap_or_default();
        return if known.contains(&bare) { Ok(()) } else { Err(not_acceptable()) };
    }
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return Ok(());
    }
    let takes = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let refused = parts.any(|p| p == "q=0" || p == "q=0.0");
        let kinds =
            ["application/fhir+json", "application/json", "application/*", "*/*", "text/json"];
        !refused && kinds.iter().any(|known| known.eq_ignore_ascii_case(kind))
    };
    let any = accepts.filter_map(|value| value.to_str().ok()).any(|v| v.split(',').any(takes));
    if any { Ok(()) } else { Err(not_acceptable()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_may_stand_in_one_line_or_in_several() {
        let of = |lines: &[&'static str], wanted: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("prefer", HeaderValue::from_static(line));
            }
            preference(&headers, wanted).map(str::to_owned)
        };
        let lenient = Some("lenient".to_owned());
        assert_eq!(of(&["handling=lenient, respond-async"], "handling"), lenient);
        assert_eq!(of(&["respond-async", "handling=lenient"], "handling"), lenient);
        assert_eq!(of(&["return=minimal; Handling=\"lenient\""], "handling"), lenient);
        assert_eq!(
            of(&["handling=lenient", "respond-async"], "respond-async"),
            Some(String::new())
        );
        assert_eq!(
            of(&["handling=strict", "handling=lenient"], "handling"),
            Some("strict".to_owned())
        );
        assert_eq!(of(&["respond-asynchronously"], "respond-async"), None);
        assert_eq!(of(&[], "return"), None);
    }
}
