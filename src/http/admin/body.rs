//! JSON bodies, and what is said of one that does not fit.

use std::collections::HashSet;
use std::error::Error;
use std::sync::OnceLock;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::http::problem::Problem;

/// Where a form that was not met stands in full.
const SEE: &str = "see /admin/v1/openapi.json";
/// How serde begins what it says when the reason ends with what was expected.
const EXPECTING: [&str; 5] =
    ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant ", "unknown field "];

/// A JSON body whose refusal is a problem like any other.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let rejection = match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => return Ok(Self(value)),
            Err(rejection) => rejection,
        };
        let (status, kind, detail) = match &rejection {
            JsonRejection::BytesRejection(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is too large or could not be read.".to_owned(),
            ),
            JsonRejection::MissingJsonContentType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send the body as application/json.".to_owned(),
            ),
            other => (StatusCode::BAD_REQUEST, "invalid", unfit(other)),
        };
        Err(Problem::new(status, kind, detail))
    }
}

/// What is wrong with a body, in the names of this API alone: the parser's own message may quote the
/// body, which may hold a password, also in the place of a name.
fn unfit(rejection: &(dyn Error + 'static)) -> String {
    let mut cause = Some(rejection);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<serde_path_to_error::Error<serde_json::Error>>() {
            return located(fault.path(), fault.inner());
        }
        if let Some(fault) = error.downcast_ref::<serde_json::Error>() {
            return broken(fault);
        }
        cause = error.source();
    }
    format!("The body is not of the form this address takes; {SEE}.")
}

fn located(path: &Path, fault: &serde_json::Error) -> String {
    if fault.classify() != Category::Data {
        return broken(fault);
    }
    let message = fault.to_string();
    // An unknown name stands in the path as well; where it stood is told, what it was is not.
    let unknown = message.starts_with("unknown field ");
    let place = place(path, unknown);
    let at = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
    format!("The body does not fit{at}: {}; {SEE}.", reason(&message))
}

fn broken(fault: &serde_json::Error) -> String {
    format!("The body is no JSON: line {}, column {}.", fault.line(), fault.column())
}

/// The names on the way to what does not fit, as far as they are names of this API.
fn place(path: &Path, parent: bool) -> String {
    let mut place = String::new();
    let segments: Vec<&Segment> = path.iter().collect();
    let end = segments.len() - usize::from(parent && !segments.is_empty());
    for segment in &segments[..end] {
        match segment {
            Segment::Seq { index } => place.extend(["[", &index.to_string(), "]"]),
            Segment::Map { key } | Segment::Enum { variant: key } if names().contains(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(key);
            }
            _ => break,
        }
    }
    place
}

/// Why it does not fit: what the types of this API say, never what the body holds.
fn reason(message: &str) -> String {
    let quoted = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
    if let Some(rest) = message.strip_prefix("missing field `") {
        return format!("`{}` is missing", quoted(rest));
    }
    if let Some(rest) = message.strip_prefix("duplicate field `") {
        return format!("`{}` is there twice", quoted(rest));
    }
    let standard = EXPECTING.iter().any(|begin| message.starts_with(begin));
    let expected = message
        .rsplit_once(", expected ")
        .filter(|_| standard)
        .map(|(_, expected)| expected.split(" at line ").next().unwrap_or_default());
    match (expected, message.starts_with("unknown field ")) {
        (Some(expected), true) => {
            format!("it has a name that is not known there, expected {expected}")
        }
        (Some(expected), false) => format!("expected {expected}"),
        (None, true) => "it has a name, and none is known there".to_owned(),
        (None, false) => "a value that is not taken there".to_owned(),
    }
}

/// Every name of a property in the description of this API.
fn names() -> &'static HashSet<String> {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = HashSet::new();
        collect(&serde_json::to_value(super::api().1).unwrap_or_default(), &mut names);
        names
    })
}

fn collect(value: &Value, names: &mut HashSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if let ("properties", Value::Object(properties)) = (name.as_str(), value) {
                    names.extend(properties.keys().cloned());
                }
                collect(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::located;
    use crate::control::NewTenant;

    fn said(body: &str) -> String {
        let mut parser = serde_json::Deserializer::from_str(body);
        match serde_path_to_error::deserialize::<_, NewTenant>(&mut parser) {
            Ok(_) => panic!("{body} fits"),
            Err(fault) => located(fault.path(), fault.inner()),
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_place() {
        assert_eq!(
            said(r#"{"name":"west"}"#),
            "The body does not fit: `identities` is missing; see /admin/v1/openapi.json."
        );
        let wrong = json!({"name": "west", "identities": [{"issuer": 5}]}).to_string();
        assert_eq!(
            said(&wrong),
            "The body does not fit at `identities[0].issuer`: expected a string; see \
             /admin/v1/openapi.json."
        );
        assert_eq!(said(r#"{"name":"west","#), "The body is no JSON: line 1, column 15.");
    }

    #[test]
    fn nothing_of_the_body_is_said() {
        let bodies = [
            r#"{"name":"west","hunter2":1}"#,
            r#"{"hunter2":{"hunter2":1}}"#,
            r#"{"name":{"hunter2":", expected hunter2"}}"#,
            r#"{"name":"west","identities":"hunter2, expected hunter2"}"#,
            r#"{"name":"west","identities":[{"issuer":"x","hunter2":"y"}]}"#,
            r#"{"name":"west","identities":[{"hunter2 at line 1":"y"}]}"#,
        ];
        for body in bodies {
            let said = said(body);
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
