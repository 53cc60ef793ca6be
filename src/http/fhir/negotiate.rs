//! What a request says beside its address, and which form of answer the caller takes (FHIR R4,
//! 3.1.0.1.9): JSON, and nothing else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::error::FhirError;
use crate::fhir::query::parameters;

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
    /// Whether the caller already has this version, or any (`*`). Clients send the tag with and without
    /// quotes (RFC 9110, 13.1.2 wants them).
    pub(super) fn has(&self, version: &str) -> bool {
        let seen = self.if_none_match.as_ref().and_then(|value| value.to_str().ok());
        seen.is_some_and(|seen| among(seen, version))
    }
}

/// Whether a version is among some tags.
pub(super) fn among(tags: &str, version: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"') == version;
    tags.trim() == "*" || tags.split(',').any(bare)
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
    if let Some(served) = format(query) {
        return if served { Ok(()) } else { Err(not_acceptable()) };
    }
    let ranges = accepted(headers);
    let taken = |kind: &&str| {
        let of_kind =
            ranges.iter().filter_map(|range| Some((range.closeness(kind)?, range.weight)));
        of_kind.max_by_key(|(closeness, _)| *closeness).is_some_and(|(_, weight)| weight > 0.0)
    };
    if ranges.is_empty() || SERVED.iter().any(taken) { Ok(()) } else { Err(not_acceptable()) }
}

/// What the caller takes, in all of its `Accept` lines.
fn accepted(headers: &HeaderMap) -> Vec<Range<'_>> {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(range).collect()
}

fn not_acceptable() -> FhirError {
    let message = "Only JSON of FHIR 4.0 is served: ask for application/fhir+json.";
    FhirError::new(StatusCode::NOT_ACCEPTABLE, "not-supported", message)
}

/// The media types of JSON of FHIR, as clients name it.
const SERVED: [&str; 3] = ["application/fhir+json", "application/json", "text/json"];

/// Whether a media type names no other version of FHIR than the one that is served.
pub(super) fn of_r4(kind: &str) -> bool {
    range(kind).is_none_or(|range| range.of_r4)
}

/// The media type of an answer that is FHIR's JSON: that of FHIR, unless the caller would rather have one of
/// the general ones, which then SHOULD be named (FHIR R4, 3.1.0.1.10).
pub(super) fn general(headers: &HeaderMap) -> Option<HeaderValue> {
    // Hardly anybody names one, and this is asked of every request.
    let named = |line: &HeaderValue| line.as_bytes().windows(5).any(|part| part == b"/json");
    if !headers.get_all(header::ACCEPT).iter().any(named) {
        return None;
    }
    let ranges = accepted(headers);
    let weight = |kind: &str| {
        let of_kind = ranges.iter().filter_map(|r| Some((r.closeness(kind)?, r.weight)));
        of_kind.max_by_key(|(closeness, _)| *closeness).map_or(0.0, |(_, weight)| weight)
    };
    let [own, general, text] = SERVED.map(weight);
    if own >= general && own >= text {
        None
    } else if general >= text {
        Some(HeaderValue::from_static("application/json; charset=utf-8"))
    } else {
        Some(HeaderValue::from_static("text/json; charset=utf-8"))
    }
}

/// Refuses the `_format` of a form's body, if it has one that is not served.
pub(super) fn form(body: &str) -> Result<(), FhirError> {
    if format(body) == Some(false) { Err(not_acceptable()) } else { Ok(()) }
}

/// Whether what a query's `_format` asks for is served; none where it asks for nothing.
fn format(query: &str) -> Option<bool> {
    if !query.contains("_format") {
        return None;
    }
    // What does not decode is refused by whoever reads all of it.
    let all = parameters(query).unwrap_or_default();
    let asked = all.iter().find(|(name, value)| name == "_format" && !value.trim().is_empty());
    asked.map(|(_, value)| {
        // The plus sign of a media type is a blank where nobody encoded it.
        let value = value.trim().replace("fhir json", "fhir+json");
        let kind = range(&value).filter(|range| range.of_r4);
        kind.is_some_and(|range| {
            range.kind.eq_ignore_ascii_case("json")
                || SERVED.iter().any(|served| served.eq_ignore_ascii_case(range.kind))
        })
    })
}

/// One media range (RFC 9110, 12.5.1).
struct Range<'r> {
    kind: &'r str,
    /// What it weighs; it is refused where that is nothing.
    weight: f32,
    /// It names no other version of FHIR (FHIR R4, 3.1.0.1.11).
    of_r4: bool,
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| !kind.is_empty())?;
    let mut range = Range { kind, weight: 1.0, of_r4: true };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim() {
            "q" | "Q" => range.weight = value.parse().unwrap_or(1.0),
            name if name.eq_ignore_ascii_case("fhirVersion") => {
                range.of_r4 = value == "4.0" || value.starts_with("4.0.");
            }
            _ => {}
        }
    }
    Some(range)
}

impl Range<'_> {
    /// How closely it names a media type; none where it does not.
    fn closeness(&self, kind: &str) -> Option<u8> {
        let group = kind.split_once('/').map_or("", |(group, _)| group);
        match self.kind.split_once('/') {
            _ if !self.of_r4 => None,
            _ if self.kind.eq_ignore_ascii_case(kind) => Some(3),
            Some((own, "*")) if own.eq_ignore_ascii_case(group) => Some(2),
            // Some old clients send the one without the other.
            Some(("*", "*")) => Some(1),
            None if self.kind == "*" => Some(1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &[&'static str], query: &str) -> bool {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(line));
        }
        json(&headers, query).is_ok()
    }

    #[test]
    fn whoever_takes_json_in_any_form_gets_it() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["*"],
            &["application/fhir+json, */*; q=0.1"],
            &["application/fhir+xml;q=1.0, application/fhir+json;q=0.1"],
            &["Application/FHIR+JSON; fhirVersion=4.0"],
            &["application/fhir+json;fhirVersion=\"4.0.1\""],
            &["text/html, application/*;q=0.2"],
            &["text/html", "application/json;q=0.001"],
            &["application/fhir+json;fhirVersion=5.0, application/fhir+json;fhirVersion=4.0;q=0.5"],
            &["application/xml;q=0, */*"],
            &["application/json;q=high"],
        ] {
            assert!(of(accept, ""), "{accept:?}");
        }
        for accept in [
            &["application/fhir+xml"][..],
            &["text/html, image/*"],
            &["application/fhir+json;fhirVersion=5.0"],
            &["application/fhir+json;q=0"],
            &["application/fhir+json; q=0.000, application/fhir+xml"],
            &["application/*;q=0, */*;q=0.0"],
            &["text/turtle", "text/plain"],
        ] {
            assert!(!of(accept, ""), "{accept:?}");
        }
    }

    #[test]
    fn whoever_would_rather_have_a_general_type_is_told_that_one() {
        for (accept, named) in [
            ("", None),
            ("*/*", None),
            ("application/*", None),
            ("application/json, text/plain, */*", None),
            ("application/fhir+json, application/json", None),
            ("application/json", Some("application/json; charset=utf-8")),
            ("application/json;charset=utf-8", Some("application/json; charset=utf-8")),
            (
                "application/json, application/fhir+json;q=0.9",
                Some("application/json; charset=utf-8"),
            ),
            ("application/json, */*;q=0.1", Some("application/json; charset=utf-8")),
            ("text/json", Some("text/json; charset=utf-8")),
            (
                "application/fhir+json;fhirVersion=5.0, application/json;q=0.1",
                Some("application/json; charset=utf-8"),
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, HeaderValue::from_static(accept));
            let found = general(&headers);
            assert_eq!(found.as_ref().and_then(|v| v.to_str().ok()), named, "{accept}");
        }
        assert!(of_r4("application/fhir+json") && of_r4("") && of_r4("a/b; fhirVersion=4.0"));
        assert!(!of_r4("application/fhir+json; fhirVersion=3.0"));
    }

    #[test]
    fn format_outweighs_accept() {
        let xml = &["application/fhir+xml"][..];
        for query in [
            "_format=json",
            "a=b&_format=application/fhir%2Bjson&c",
            "_format=application/fhir+json",
            "_format=application%2Ffhir%2Bjson%3B%20fhirVersion%3D4.0",
            "_format=text/json",
        ] {
            assert!(of(xml, query), "{query}");
            assert!(form(query).is_ok(), "{query}");
        }
        for query in [
            "_format=xml",
            "_format=application/fhir%2Bxml",
            "_format=html",
            "_format=%2A/%2A",
            "_format=application/fhir+json;fhirVersion=3.0",
        ] {
            assert!(!of(&["*/*"], query), "{query}");
            assert!(form(query).is_err(), "{query}");
        }
        for none in ["", "_format=", "x_format=xml"] {
            assert!(!of(xml, none) && of(&["*/*"], none) && form(none).is_ok(), "{none}");
        }
    }

    #[test]
    fn any_version_is_one_the_caller_has() {
        let has = |tags: Option<&'static str>| {
            let if_none_match = tags.map(HeaderValue::from_static);
            Asked { query: String::new(), lenient: false, later: false, if_none_match }.has("7")
        };
        for tags in ["*", "7", "\"7\"", "W/\"7\"", "W/\"6\", W/\"7\""] {
            assert!(has(Some(tags)), "{tags}");
        }
        for tags in ["", "W/\"8\"", "W/\"77\"", "W/\"*\""] {
            assert!(!has(Some(tags)), "{tags}");
        }
        assert!(!has(None));
    }

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
