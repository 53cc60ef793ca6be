//! Searching by looking at every resource, written from the specification alone.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde_json::Value as Json;
use wardgate::fhir::query::unescape;
use wardgate::store::fold;

type Test = Box<dyn Fn(&Json) -> bool>;

/// A value as a query string has it.
pub fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("memory");
        }
        out
    })
}

/// What a query means; `None` where the type has no such parameter.
pub fn test(ty: &str, name: &str, modifier: &str, value: &str, zone: &TimeZone) -> Option<Test> {
    let (kind, paths) = parameter(ty, name)?;
    let value = value.to_owned();
    let zone = zone.clone();
    if modifier == "missing" {
        let wanted = value == "true";
        return Some(Box::new(move |r| at(r, name_of(&paths)).is_empty() == wanted));
    }
    let modifier = modifier.to_owned();
    let negated = modifier == "not";
    let (name, each) = (name.to_owned(), value.split(',').map(str::to_owned).collect::<Vec<_>>());
    Some(match kind {
        "string" if matches!(modifier.as_str(), "" | "exact" | "contains") => Box::new(move |r| {
            strings(&at(r, name_of(&paths))).iter().any(|own| {
                each.iter().map(|value| unescape(value)).any(|value| match modifier.as_str() {
                    "exact" => *own == value,
                    "contains" => fold(own).contains(&fold(&value)),
                    _ => fold(own).starts_with(&fold(&value)),
                })
            })
        }),
        "token" if negated || modifier.is_empty() => Box::new(move |r| {
            let own = at(r, name_of(&paths));
            let hit = if name == "deceased" {
                let dead = own.iter().any(|v| **v != Json::Bool(false));
                each.iter().any(|value| {
                    (value == "true") == dead && matches!(value.as_str(), "true" | "false")
                })
            } else {
                own.iter().any(|own| each.iter().any(|value| token(own, value, &name)))
            };
            hit != negated
        }),
        "date" if modifier.is_empty() => Box::new(move |r| {
            let own = at(r, name_of(&paths));
            own.iter().any(|own| each.iter().any(|value| date(own, value, &zone)))
        }),
        "id" if modifier.is_empty() => {
            Box::new(move |r| each.iter().any(|value| r["id"] == value.as_str()))
        }
        "canonical" if modifier.is_empty() => Box::new(move |r| {
            at(r, name_of(&paths)).iter().filter_map(|own| own.as_str()).any(|own| {
                let version =
                    |url: &String| !url.contains('|') && own.starts_with(&format!("{url}|"));
                each.iter().any(|url| own == url || version(url))
            })
        }),
        "reference" if matches!(modifier.as_str(), "" | "Patient") => Box::new(move |r| {
            let own = at(r, name_of(&paths));
            own.iter().filter_map(|own| own["reference"].as_str()).any(|own| {
                each.iter().any(|value| {
                    let wanted = value.strip_prefix("http://x/fhir/").unwrap_or(value);
                    let wanted = wanted.split("/_history/").next().unwrap();
                    let of_type = modifier.is_empty() || own.starts_with(&format!("{modifier}/"));
                    let (ty, id) = own.split_once('/').unwrap();
                    let of_type = of_type && (name != "patient" || ty == "Patient");
                    of_type && (own == wanted || id == wanted)
                })
            })
        }),
        "quantity" if modifier.is_empty() => {
            let meets = move |own: &&Json| each.iter().any(|value| quantity(own, value));
            Box::new(move |r| at(r, name_of(&paths)).iter().any(&meets))
        }
        "number" if modifier.is_empty() => {
            let meets = move |own: &Json| own.as_f64().is_some_and(|own| number(own, &value));
            Box::new(move |r| at(r, name_of(&paths)).into_iter().any(&meets))
        }
        _ => return None,
    })
}

fn name_of<'p>(paths: &'p [&'static str]) -> &'p [&'static str] {
    paths
}

#[expect(clippy::match_same_arms, reason = "a table, in the order of the types")]
pub fn parameter(ty: &str, name: &str) -> Option<(&'static str, Vec<&'static str>)> {
    Some(match (ty, name) {
        ("Patient", "family") => ("string", vec!["name.family"]),
        ("Patient", "given") => ("string", vec!["name.given"]),
        ("Patient" | "Person", "name") => ("string", vec!["name"]),
        ("Patient", "address-city") => ("string", vec!["address.city"]),
        ("Patient", "address-country") => ("string", vec!["address.country"]),
        ("Patient", "address-state") => ("string", vec!["address.state"]),
        ("Patient", "address-use") => ("token", vec!["address.use"]),
        ("Patient", "gender") => ("token", vec!["gender"]),
        ("Patient", "active") => ("token", vec!["active"]),
        ("Patient", "identifier") => ("token", vec!["identifier"]),
        ("Patient", "telecom") => ("token", vec!["telecom"]),
        ("Patient", "phone") => ("token", vec!["telecom[phone]"]),
        ("Patient", "email") => ("token", vec!["telecom[email]"]),
        ("Patient" | "Person", "birthdate") => ("date", vec!["birthDate"]),
        ("Patient", "death-date") => ("date", vec!["deceasedDateTime"]),
        ("Patient", "deceased") => ("token", vec!["deceasedBoolean", "deceasedDateTime"]),
        ("Patient", "link") => ("reference", vec!["link.other"]),
        ("Patient", "organization") => ("reference", vec!["managingOrganization"]),
        ("Patient", "general-practitioner") => ("reference", vec!["generalPractitioner"]),
        ("Organization" | "Location", "name") => ("string", vec!["name"]),
        ("Organization" | "Location" | "CareTeam" | "Encounter" | "Person", "identifier") => {
            ("token", vec!["identifier"])
        }
        // Known to R4 and filled by nothing here: `:not` and `:missing` hold of them.
        ("Organization", "active") => ("token", vec!["active"]),
        ("Organization" | "Location", "address-use") => ("token", vec!["address.use"]),
        ("Organization" | "Location", "address-city") => ("string", vec!["address.city"]),
        ("Location", "status") => ("token", vec!["status"]),
        ("Location", "organization") => ("reference", vec!["managingOrganization"]),
        ("Encounter", "status") => ("token", vec!["status"]),
        ("Encounter", "location") => ("reference", vec!["location.location"]),
        ("Encounter", "subject" | "patient") => ("reference", vec!["subject"]),
        ("CareTeam", "participant") => ("reference", vec!["participant.member"]),
        ("QuestionnaireResponse", "questionnaire") => ("canonical", vec!["questionnaire"]),
        ("Observation", "encounter") => ("reference", vec!["encounter"]),
        ("Observation", "component-code") => ("token", vec!["component.code"]),
        ("Observation", "component-value-quantity") => {
            ("quantity", vec!["component.valueQuantity"])
        }
        ("Observation", "_lastUpdated") => ("date", vec!["meta.lastUpdated"]),
        ("Observation", "status") => ("token", vec!["status"]),
        ("Observation", "code") => ("token", vec!["code"]),
        ("Observation", "subject" | "patient") => ("reference", vec!["subject"]),
        ("Observation", "date") => ("date", vec!["effectiveDateTime"]),
        ("Observation", "value-quantity") => ("quantity", vec!["valueQuantity"]),
        ("Observation", "value-string") => ("string", vec!["valueString"]),
        ("Immunization", "date") => ("date", vec!["occurrenceDateTime"]),
        ("Immunization", "lot-number") => ("string", vec!["lotNumber"]),
        ("Immunization", "patient") => ("reference", vec!["patient"]),
        ("Procedure", "date") => ("date", vec!["performedPeriod"]),
        ("Procedure", "identifier") => ("token", vec!["identifier"]),
        ("Procedure" | "RiskAssessment", "subject" | "patient") => ("reference", vec!["subject"]),
        ("ImagingStudy", "started") => ("date", vec!["started"]),
        ("RiskAssessment", "date") => ("date", vec!["occurrenceDateTime"]),
        ("RiskAssessment", "probability") => ("number", vec!["prediction.probabilityDecimal"]),
        ("Practitioner", "active") => ("token", vec!["active"]),
        ("Flag", "subject" | "patient") => ("reference", vec!["subject"]),
        ("Flag", "encounter") => ("reference", vec!["encounter"]),
        ("Condition", "identifier") => ("token", vec!["identifier"]),
        ("Condition", "severity") => ("token", vec!["severity"]),
        ("Condition" | "ChargeItem" | "DiagnosticReport", "code") => ("token", vec!["code"]),
        ("Condition", "subject" | "patient") => ("reference", vec!["subject"]),
        ("Condition", "asserter") => ("reference", vec!["asserter"]),
        ("Condition", "onset-date") => ("date", vec!["onsetDateTime"]),
        ("Condition", "recorded-date") => ("date", vec!["recordedDate"]),
        ("Condition", "abatement-string") => ("string", vec!["abatementString"]),
        ("ChargeItem", "subject" | "patient") => ("reference", vec!["subject"]),
        ("ChargeItem", "occurrence") => ("date", vec!["occurrenceDateTime"]),
        ("ChargeItem", "quantity") => ("quantity", vec!["quantity"]),
        ("DiagnosticReport" | "Specimen", "identifier") => ("token", vec!["identifier"]),
        ("DiagnosticReport", "conclusion") => ("token", vec!["conclusionCode"]),
        ("DiagnosticReport", "subject" | "patient") => ("reference", vec!["subject"]),
        ("Specimen", "subject" | "patient") => ("reference", vec!["subject"]),
        (_, "_id") => ("id", vec!["id"]),
        _ => return None,
    })
}

/// Everything at some paths, lists taken apart.
pub fn at<'j>(resource: &'j Json, paths: &[&str]) -> Vec<&'j Json> {
    let mut all = Vec::new();
    for path in paths {
        let (path, system) = match path.split_once('[') {
            Some((path, system)) => (path, Some(system.trim_end_matches(']'))),
            None => (*path, None),
        };
        let mut found = vec![resource];
        for step in path.split('.') {
            let next = found.into_iter().filter_map(|v| v.get(step));
            found = next
                .flat_map(|v| v.as_array().map_or_else(|| vec![v], |list| list.iter().collect()))
                .collect();
        }
        all.extend(found.into_iter().filter(|v| system.is_none_or(|s| v["system"] == s)));
    }
    all
}

/// The texts a string parameter looks at.
fn strings(values: &[&Json]) -> Vec<String> {
    let mut texts = Vec::new();
    for value in values {
        match value {
            Json::String(text) => texts.push(text.clone()),
            Json::Object(parts) => {
                for part in ["family", "given", "prefix", "suffix", "text"] {
                    let part = parts.get(part).into_iter();
                    texts.extend(strings(
                        &part
                            .flat_map(|v| {
                                v.as_array().map_or_else(|| vec![v], |l| l.iter().collect())
                            })
                            .collect::<Vec<_>>(),
                    ));
                }
            }
            _ => {}
        }
    }
    texts
}

pub fn token(own: &Json, wanted: &str, name: &str) -> bool {
    let (system, code) = match wanted.split_once('|') {
        None => (None, wanted),
        Some((system, code)) => (Some(system), code),
    };
    if let Json::String(text) = own {
        let bound = match name {
            "gender" => "http://hl7.org/fhir/administrative-gender",
            "status" => "http://hl7.org/fhir/observation-status",
            _ => "http://hl7.org/fhir/address-use",
        };
        let fits = system.is_none_or(|s| s.is_empty() || s == bound);
        return fits && (code.is_empty() || text == code);
    }
    if let Json::Bool(truth) = own {
        return system.is_none_or(str::is_empty) && truth.to_string() == code;
    }
    if let Some(codings) = own.get("coding") {
        return codings.as_array().unwrap().iter().any(|c| token(c, wanted, name));
    }
    let own_code = own.get("code").or(own.get("value")).and_then(Json::as_str);
    let code_fits = own_code.is_some_and(|own| code.is_empty() || own == code);
    let system_fits = match system {
        None => true,
        Some("") => own.get("system").is_none(),
        Some(system) => own["system"] == system,
    };
    code_fits && system_fits
}

/// Seconds from 1970 to a local time. One that no clock can tell is as far off as the zone's last offset.
fn seconds(local: DateTime, offset: Option<Offset>, zone: &TimeZone) -> i64 {
    let since = |utc: DateTime| utc.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    if let Some(offset) = offset {
        return since(local).as_secs() - i64::from(offset.seconds());
    }
    if let Ok(at) = zone.to_ambiguous_timestamp(local).compatible() {
        return at.as_second();
    }
    since(local).as_secs() - i64::from(zone.to_offset(jiff::Timestamp::MAX).seconds())
}

/// First and last second, both within it.
pub fn interval(text: &str, zone: &TimeZone) -> (i64, i64) {
    let (text, offset) = match text.split_once('T') {
        None => (text, None),
        Some((_, clock)) => match clock.find(['Z', '+', '-']) {
            None => (text, None),
            Some(at) => {
                let (local, offset) = text.split_at(text.len() - clock.len() + at);
                let of = |digits: &str| digits.parse::<i32>().unwrap();
                let sign = if offset.starts_with('-') { -60 } else { 60 };
                let minutes =
                    offset.get(1..6).map_or(0, |clock| of(&clock[..2]) * 60 + of(&clock[3..]));
                (local, Some(Offset::from_seconds(sign * minutes).unwrap()))
            }
        },
    };
    let low = "0001-01-01T00:00:00";
    let high = "9999-12-31T23:59:59";
    let first = format!("{text}{}", low.get(text.len()..).unwrap_or_default());
    let mut last = format!("{text}{}", high.get(text.len()..).unwrap_or_default());
    if text.len() == 7 {
        let first: jiff::civil::Date = format!("{text}-01").parse().unwrap();
        last = format!("{text}-{:02}T23:59:59", first.days_in_month());
    }
    let at = |text: &str| seconds(text.parse().unwrap(), offset, zone);
    // Nothing comes after the last day that a calendar has, wherever it is, but what has no end.
    let closing = last == high && text.len() <= 10;
    // Where a day's last hour comes twice, the day ends with the second of them.
    let later = |text: &str| {
        let local: DateTime = text.parse().unwrap();
        zone.to_ambiguous_timestamp(local)
            .later()
            .map_or_else(|_| at(text), jiff::Timestamp::as_second)
    };
    let end = if offset.is_none() && text.len() <= 10 { later(&last) } else { at(&last) };
    (at(&first), if closing { i64::MAX - 1 } else { end })
}

/// A date, or a period, whose missing ends are infinitely far away.
fn date(own: &Json, wanted: &str, zone: &TimeZone) -> bool {
    let prefix = wanted.get(..2).filter(|p| p.bytes().all(|b| b.is_ascii_lowercase()));
    let (low, high) = interval(prefix.map_or(wanted, |_| &wanted[2..]), zone);
    let (from, to) = match own.as_str() {
        Some(text) => interval(text, zone),
        None => (
            own["start"].as_str().map_or(i64::MIN, |text| interval(text, zone).0),
            own["end"].as_str().map_or(i64::MAX, |text| interval(text, zone).1),
        ),
    };
    let inside = from >= low && to <= high;
    match prefix.unwrap_or("eq") {
        "eq" => inside,
        "ne" => !inside,
        "gt" => to > high,
        "ge" => to > high || inside,
        "lt" => from < low,
        "le" => from < low || inside,
        "sa" => from > high,
        "eb" => to < low,
        "ap" => {
            // A tenth of the time to the day on which it is asked, to either side.
            let (begins, ends) = interval(&super::TODAY.to_string(), &TimeZone::UTC);
            let gap = (begins - high - 1).max(low - ends - 1).max(0);
            from <= high.saturating_add(gap / 10) && to >= low - gap / 10
        }
        other => panic!("{other}"),
    }
}

pub fn quantity(own: &Json, wanted: &str) -> bool {
    let parts: Vec<&str> = wanted.split('|').collect();
    let Some(own_number) = own["value"].as_f64() else { return false };
    number(own_number, parts[0])
        && match parts.as_slice() {
            [_, "", code] => own["code"] == *code || own["unit"] == *code,
            [_, system, code] => own["system"] == *system && own["code"] == *code,
            _ => true,
        }
}

fn number(own_number: f64, wanted: &str) -> bool {
    let prefix = wanted.get(..2).filter(|p| p.bytes().all(|b| b.is_ascii_lowercase()));
    let digits = prefix.map_or(wanted, |_| &wanted[2..]);
    let number: f64 = digits.parse().unwrap();
    let places = digits.split_once('.').map_or(0, |(_, f)| f.len());
    let half = 0.5 / 10_f64.powi(i32::try_from(places).unwrap());
    let near = |half: f64| own_number >= number - half && own_number < number + half;
    match prefix.unwrap_or("eq") {
        "eq" => near(half),
        "ne" => !near(half),
        "lt" => own_number < number,
        "gt" => own_number > number,
        "ge" => own_number >= number,
        "le" => own_number <= number,
        "ap" => near(number.abs() / 10.0),
        other => panic!("{other}"),
    }
}
