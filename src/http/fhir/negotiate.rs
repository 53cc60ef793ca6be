//! Which form of answer the caller takes (FHIR R4, 3.1.0.1.9): JSON, and nothing else.

use axum::http::{HeaderMap, StatusCode, header};

use super::error::FhirError;

/// Refuses a caller who takes no JSON. `_format` outweighs `Accept`.
pub(super) fn json(headers: &HeaderMap, query: &str) -> Result<(), FhirError> {
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
