//! Bulk Data Access (HL7 FHIR Bulk Data Access implementation guide, 2.0): what the order of an export
//! says, and the manifest that answers it.

use serde_json::{Value, json};

use super::query::{Handling, pair, parameters, unescape};
use super::{Json, QueryFault};

/// The media type of what is exported: one resource a line.
pub const NDJSON: &str = "application/fhir+ndjson";

/// The parameters of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BulkQuery {
    /// `_type`: the types wanted, each once; empty for all.
    pub types: Vec<String>,
    /// `_since`: only what was updated at or after this instant.
    pub since: Option<String>,
    /// `_typeFilter`: a type and a search of it; of those of one type, any may hold.
    pub filters: Vec<(String, String)>,
    /// `patient`: references to the patients wanted, as they were written; empty for all.
    pub patients: Vec<String>,
    /// `_elements`: names of elements, each of one type or of all.
    pub elements: Vec<(Option<String>, String)>,
    /// Parameters left out because the caller asked for lenient handling.
    pub ignored: Vec<String>,
}

impl BulkQuery {
    /// Reads an order's query string. What is not served is refused by name, or left out and noted.
    pub fn parse(query: &str, handling: Handling) -> Result<Self, QueryFault> {
        let mut order = Self::default();
        for (name, value) in parameters(query)? {
            match name.as_str() {
                "_type" => {
                    for ty in value.split(',').filter(|ty| !ty.is_empty()) {
                        if !order.types.iter().any(|known| known == ty) {
                            order.types.push(ty.to_owned());
                        }
                    }
                    // None at all would mean every one.
                    if order.types.is_empty() {
                        let expected = "types such as Patient,Observation";
                        return Err(QueryFault::BadValue { parameter: name, expected });
                    }
                }
                "_since" if order.since.is_some() => return Err(repeated(name)),
                "_since" => {
                    // The plus sign of an offset is a blank where nobody encoded it.
                    let value = value.replace(' ', "+");
                    if value.parse::<jiff::Timestamp>().is_err() {
                        let expected = "an instant such as 2024-05-06T00:00:00Z";
                        return Err(QueryFault::BadValue { parameter: name, expected });
                    }
                    order.since = Some(value);
                }
                "_typeFilter" => order.filter(&value)?,
                "_elements" => order.elements(&value)?,
                "patient" => order.patients(&value)?,
                "_outputFormat" => ndjson(name, &value)?,
                "_format" | "_pretty" => {}
                // What narrows an export is not left out for anybody: more would be given than was asked.
                _ if handling == Handling::Lenient && !narrows(&name) => order.ignored.push(name),
                _ => return Err(QueryFault::Unsupported { parameter: name }),
            }
        }
        Ok(order)
    }

    fn elements(&mut self, value: &str) -> Result<(), QueryFault> {
        let expected = "elements such as id or Patient.birthDate";
        let bad = || QueryFault::BadValue { parameter: "_elements".to_owned(), expected };
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            self.elements.push(element(name).ok_or_else(bad)?);
        }
        if self.elements.is_empty() { Err(bad()) } else { Ok(()) }
    }

    fn patients(&mut self, value: &str) -> Result<(), QueryFault> {
        let all = value.split(',').map(str::trim).filter(|one| !one.is_empty());
        self.patients.extend(all.map(str::to_owned));
        if self.patients.is_empty() {
            // None at all would mean every one.
            let expected = "references such as Patient/1";
            return Err(QueryFault::BadValue { parameter: "patient".to_owned(), expected });
        }
        Ok(())
    }

    fn filter(&mut self, value: &str) -> Result<(), QueryFault> {
        for filter in super::query::split(value, ',') {
            let filter = unescape(filter);
            let Some((ty, search)) = filter.split_once('?') else {
                let expected = "a type and a search, such as Observation?code=8867-4";
                let parameter = "_typeFilter".to_owned();
                return Err(QueryFault::BadValue { parameter, expected });
            };
            self.filters.push((ty.to_owned(), search.to_owned()));
        }
        Ok(())
    }
}

/// The query an order's `Parameters` stand for (2.0, "Kick-off Request": the same names, each value in a
/// parameter of its own); `None` for a body that is none.
///
/// # Errors
/// [`QueryFault::BadValue`] of a parameter whose value is not written as a text. It must not count as
/// absent: an order without `_type` is one of everything.
pub fn query_of(body: &Json) -> Result<Option<String>, QueryFault> {
    if body.get("resourceType").and_then(Json::text) != Some("Parameters") {
        return Ok(None);
    }
    let Json::Object(members) = body else { return Ok(None) };
    let known = ["resourceType", "id", "meta", "parameter"];
    if members.iter().any(|(name, _)| !known.contains(&name.as_str())) {
        return Ok(None);
    }
    let items = match body.get("parameter") {
        None => &[][..],
        Some(Json::List(items)) => items.as_slice(),
        Some(_) => return Ok(None),
    };
    let kinds =
        ["valueString", "valueInstant", "valueCode", "valueUri", "valueDateTime", "valueDate"];
    let (mut query, mut patients) = (String::new(), Vec::new());
    for item in items {
        let Some(name) = item.get("name").and_then(Json::text) else { return Ok(None) };
        let Json::Object(members) = item else { return Ok(None) };
        let values = members.iter().filter(|(name, _)| name.starts_with("value")).count();
        let reference = || item.get("valueReference")?.get("reference").and_then(Json::text);
        let value = kinds.iter().find_map(|kind| item.get(kind).and_then(Json::text));
        let number = || match item.get("valueInteger") {
            Some(Json::Number(digits)) if name == "_count" => Some(digits.as_ref()),
            _ => None,
        };
        let value = value.or_else(reference).or_else(number);
        let value = match value.filter(|_| values == 1) {
            Some(value) if !value.trim().is_empty() => value,
            // Refused by its name, if it is not one that can be left out.
            _ if !narrows(name) => "",
            _ => {
                let expected = "a valueString that is not empty, of _since a valueInstant, of patient a valueReference";
                return Err(QueryFault::BadValue { parameter: name.to_owned(), expected });
            }
        };
        // Together they are one of the parameters a query may have.
        match name {
            "patient" => patients.push(value),
            _ => pair(&mut query, name, value),
        }
    }
    if !patients.is_empty() {
        pair(&mut query, "patient", &patients.join(","));
    }
    Ok(Some(query))
}

/// The type, where one is named, and the element; `None` for what is neither.
fn element(name: &str) -> Option<(Option<String>, String)> {
    let (ty, element) = match name.split_once('.') {
        Some((ty, element)) => (Some(ty), element),
        None => (None, name),
    };
    let word = |text: &str, begins: fn(&char) -> bool| {
        text.chars().next().is_some_and(|first| begins(&first))
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let good = ty.is_none_or(|ty| word(ty, char::is_ascii_uppercase));
    (good && word(element, char::is_ascii_lowercase))
        .then(|| (ty.map(str::to_owned), element.to_owned()))
}

/// Whether a parameter means less than everything, for all that is known of it.
fn narrows(name: &str) -> bool {
    name.starts_with('_') || matches!(name, "patient" | "start" | "end")
}

fn repeated(parameter: String) -> QueryFault {
    QueryFault::Repeated { parameter }
}

fn ndjson(parameter: String, format: &str) -> Result<(), QueryFault> {
    match format {
        // The plus sign of a media type is a blank where nobody encoded it.
        NDJSON | "application/fhir ndjson" | "application/ndjson" | "ndjson" => Ok(()),
        _ => Err(QueryFault::BadValue { parameter, expected: NDJSON }),
    }
}

/// The manifest of a finished export (2.0, "Response - Complete Status").
pub fn manifest(transaction_time: &str, request: &str, files: &[(String, String)]) -> String {
    let output: Vec<Value> =
        files.iter().map(|(ty, url)| json!({ "type": ty, "url": url })).collect();
    json!({
        "transactionTime": transaction_time,
        "request": request,
        "requiresAccessToken": true,
        "output": output,
        "error": [],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_what_is_not_served_is_named() {
        let query = "_type=Patient,Observation&_type=Patient&_since=2024-05-06T00:00:00%2B02:00\
                     &_typeFilter=Observation%3Fcode%3D8867-4%5C%2C8310-5&_outputFormat=application%2Ffhir%2Bndjson";
        let order = BulkQuery::parse(query, Handling::Strict).unwrap();
        assert_eq!(order.types, ["Patient", "Observation"]);
        assert_eq!(order.since.as_deref(), Some("2024-05-06T00:00:00+02:00"));
        let filter = ("Observation".to_owned(), "code=8867-4,8310-5".to_owned());
        assert_eq!(order.filters, [filter]);
        for (query, named) in [
            ("_tpye=Patient", "_tpye"),
            ("_since=2024", "_since"),
            ("_since=yesterday", "_since"),
            ("_outputFormat=text/csv", "_outputFormat"),
            ("_typeFilter=Observation", "_typeFilter"),
            ("includeAssociatedData=x", "includeAssociatedData"),
            ("patient=,", "patient"),
            ("_elements=name.family", "_elements"),
            ("_elements=Patient.name.family", "_elements"),
        ] {
            let fault = BulkQuery::parse(query, Handling::Strict).unwrap_err();
            assert!(fault.to_string().contains(named), "{query}: {fault}");
        }
        let order =
            BulkQuery::parse("_elements=id,Patient.birthDate&x=1", Handling::Lenient).unwrap();
        let birth = (Some("Patient".to_owned()), "birthDate".to_owned());
        assert_eq!(order.elements, [(None, "id".to_owned()), birth]);
        assert_eq!(order.ignored, ["x"]);
        let either =
            "_typeFilter=A%3Fb%3D1%2CA%3Fb%3D2&patient=Patient/1&patient=Patient/2,Patient/3";
        let order = BulkQuery::parse(either, Handling::Strict).unwrap();
        let filter = |search: &str| ("A".to_owned(), search.to_owned());
        assert_eq!(order.filters, [filter("b=1"), filter("b=2")]);
        assert_eq!(order.patients, ["Patient/1", "Patient/2", "Patient/3"]);
        for query in ["patient=", "_until=2024", "_typefilter=x", "_type=,", "_elements=,"] {
            let fault = BulkQuery::parse(query, Handling::Lenient).unwrap_err();
            assert!(
                fault.to_string().contains(query.split('=').next().unwrap()),
                "{query}: {fault}"
            );
        }
    }

    #[test]
    fn a_body_that_is_not_quite_an_order_is_none_of_everything() {
        let query = |body: &str| query_of(&Json::parse(body.as_bytes()).unwrap());
        let of = |inner: &str| format!(r#"{{"resourceType": "Parameters", {inner}}}"#);
        let ty = r#"{"name": "_type", "valueString": "Patient"}"#;
        let good = of(&format!(r#""parameter": [{ty}]"#));
        assert_eq!(query(&good).unwrap().as_deref(), Some("_type=Patient"));
        assert_eq!(query(&of(&format!(r#""parameters": [{ty}]"#))).unwrap(), None);
        let two = r#"{"name": "_type", "valueString": "Patient", "valueCode": "Group"}"#;
        assert!(query(&of(&format!(r#""parameter": [{two}]"#))).is_err());
        let patient =
            |value: &str| of(&format!(r#""parameter": [{{"name": "patient", {value}}}]"#));
        let named = patient(r#""valueReference": {"reference": "Patient/1"}"#);
        assert_eq!(query(&named).unwrap().as_deref(), Some("patient=Patient%2F1"));
        for nobody in
            [r#""valueReference": {"display": "Ana"}"#, r#""valueReference": "Patient/1""#]
        {
            assert!(query(&patient(nobody)).is_err(), "{nobody}");
        }
    }

    #[test]
    fn the_manifest_has_what_the_guide_demands() {
        let files = [("Patient".to_owned(), "https://b/fhir/bulk/x/Patient".to_owned())];
        let json: Value =
            serde_json::from_str(&manifest("2024-05-06T00:00:00Z", "r", &files)).unwrap();
        assert_eq!(json["requiresAccessToken"], true);
        assert_eq!(json["output"][0]["type"], "Patient");
        assert_eq!(json["error"], json!([]));
    }
}
