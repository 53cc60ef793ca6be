//! Rules of FHIR's that span several elements, which mappings are seen to break: the definitions of the elements
//! do not tell them, and validators refuse the whole resource.

use serde_json::{Map, Value};

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Invariant {
    /// FHIR's name for it, such as `app-3`.
    pub key: &'static str,
    /// What it says.
    pub says: &'static str,
    /// What a mapping does about it.
    pub cure: &'static str,
}

type Resource = Map<String, Value>;

/// Whether a resource breaks a rule.
type Breaks = fn(&Resource) -> bool;

/// The type that a rule is about, or none; the rule, and what breaks it.
static RULES: [(&str, Invariant, Breaks); 11] = [
    (
        "Appointment",
        Invariant {
            key: "app-2",
            says: "start and end are both there, or neither",
            cure: "give the end, `\"$start, $minutes | later(minutes)\"` or `\"$start | datetime | later(30, minutes)\"`, or leave the rows without one out",
        },
        |r| has(r, "start") != has(r, "end"),
    ),
    (
        "Appointment",
        Invariant {
            key: "app-3",
            says: "only a proposed, cancelled or waitlisted appointment lacks start and end",
            cure: "give both, or leave the rows without them out",
        },
        |r| {
            let open = matches!(text(r, "status"), "proposed" | "cancelled" | "waitlist");
            !(open || has(r, "start") && has(r, "end"))
        },
    ),
    (
        "AllergyIntolerance",
        Invariant {
            key: "ait-1",
            says: "clinicalStatus is there unless verificationStatus is entered-in-error",
            cure: "give clinicalStatus, `{coding: [{system: \"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical\", code: active}]}`",
        },
        |r| !has(r, "clinicalStatus") && !coded(r, "verificationStatus", &["entered-in-error"]),
    ),
    (
        "AllergyIntolerance",
        Invariant {
            key: "ait-2",
            says: "clinicalStatus is not there where verificationStatus is entered-in-error",
            cure: "give clinicalStatus an `if`",
        },
        |r| has(r, "clinicalStatus") && coded(r, "verificationStatus", &["entered-in-error"]),
    ),
    (
        "Condition",
        Invariant {
            key: "con-4",
            says: "what has abated has the clinicalStatus inactive, resolved or remission",
            cure: "give clinicalStatus a `case` that asks the column of the abatement, with the system http://terminology.hl7.org/CodeSystem/condition-clinical",
        },
        |r| {
            let abated = r.keys().any(|name| name.starts_with("abatement"));
            abated && !coded(r, "clinicalStatus", &["inactive", "resolved", "remission"])
        },
    ),
    (
        "Condition",
        Invariant {
            key: "con-5",
            says: "clinicalStatus is not there where verificationStatus is entered-in-error",
            cure: "give clinicalStatus an `if`",
        },
        |r| has(r, "clinicalStatus") && coded(r, "verificationStatus", &["entered-in-error"]),
    ),
    (
        "Observation",
        Invariant {
            key: "obs-6",
            says: "dataAbsentReason is there only where no value is",
            cure: "give dataAbsentReason an `if`",
        },
        |r| has(r, "dataAbsentReason") && r.keys().any(|name| name.starts_with("value")),
    ),
    (
        "Organization",
        Invariant {
            key: "org-1",
            says: "there is a name or an identifier",
            cure: "give one, or leave the rows without them out",
        },
        |r| !has(r, "name") && !has(r, "identifier"),
    ),
    (
        "Patient",
        Invariant {
            key: "pat-1",
            says: "a contact has a name, a telecom, an address or an organization",
            cure: "give `contact` an `if` that asks the column of its name",
        },
        |r| {
            let told = |contact: &Value| {
                ["name", "telecom", "address", "organization"]
                    .iter()
                    .any(|member| contact.get(member).is_some())
            };
            r.get("contact").and_then(Value::as_array).is_some_and(|all| !all.iter().all(told))
        },
    ),
    (
        "",
        Invariant {
            key: "cpt-2",
            says: "a telecom with a value has a system (phone, email …)",
            cure: "give it, `{system: phone, value: …}`",
        },
        |r| {
            anywhere(r, &|name, object| {
                name == "telecom" && has(object, "value") && !has(object, "system")
            })
        },
    ),
    (
        "",
        Invariant {
            key: "qty-3",
            says: "a quantity with a code has the code's system",
            cure: "give it, `system: \"http://unitsofmeasure.org\"`, or the unit in words as `unit` alone",
        },
        |r| {
            anywhere(r, &|name, object| {
                let quantity = name.ends_with("Quantity") || matches!(name, "low" | "high");
                quantity && has(object, "code") && !has(object, "system")
            })
        },
    ),
];

/// The rules that a resource breaks.
pub fn broken(resource: &Value) -> impl Iterator<Item = &'static Invariant> {
    let resource = resource.as_object();
    let ty = resource.map_or("", |r| text(r, "resourceType"));
    let breaks = move |(about, _, breaks): &&(&str, Invariant, Breaks)| {
        (about.is_empty() || *about == ty) && resource.is_some_and(breaks)
    };
    RULES.iter().filter(breaks).map(|(_, rule, _)| rule)
}

fn has(object: &Resource, name: &str) -> bool {
    object.contains_key(name)
}

fn text<'r>(object: &'r Resource, name: &str) -> &'r str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a concept has one of the codes.
fn coded(resource: &Resource, element: &str, codes: &[&str]) -> bool {
    let codings = resource.get(element).and_then(|concept| concept.get("coding"));
    let mut codings = codings.and_then(Value::as_array).into_iter().flatten();
    codings.any(|c| c.get("code").and_then(Value::as_str).is_some_and(|code| codes.contains(&code)))
}

/// Whether something holds of an object at any depth, or of one in a list there, and of its name.
fn anywhere(object: &Resource, holds: &dyn Fn(&str, &Resource) -> bool) -> bool {
    let one = |name: &str, value: &Value| {
        value.as_object().is_some_and(|inner| holds(name, inner) || anywhere(inner, holds))
    };
    object.iter().any(|(name, value)| match value {
        Value::Array(items) => items.iter().any(|item| one(name, item)),
        value => one(name, value),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(resource: &Value) -> Vec<&'static str> {
        broken(resource).map(|rule| rule.key).collect()
    }

    #[test]
    fn each_rule_is_broken_by_what_breaks_it_and_by_nothing_else() {
        let of = |ty: &str, mut rest: Value| {
            rest["resourceType"] = json!(ty);
            keys(&rest)
        };
        let (start, end) = ("2024-05-06T08:00:00Z", "2024-05-06T08:30:00Z");
        assert_eq!(
            of("Appointment", json!({"status": "booked", "start": start})),
            ["app-2", "app-3"]
        );
        assert_eq!(of("Appointment", json!({"status": "booked"})), ["app-3"]);
        assert!(of("Appointment", json!({"status": "cancelled"})).is_empty());
        assert!(
            of("Appointment", json!({"status": "booked", "start": start, "end": end})).is_empty()
        );
        let status = |code: &str| json!({"coding": [{"code": code}]});
        assert_eq!(of("AllergyIntolerance", json!({})), ["ait-1"]);
        let wrong = json!({"clinicalStatus": status("active"), "verificationStatus": status("entered-in-error")});
        assert_eq!(of("AllergyIntolerance", wrong.clone()), ["ait-2"]);
        assert_eq!(of("Condition", wrong), ["con-5"]);
        let abated = |code| json!({"clinicalStatus": status(code), "abatementDateTime": "2024"});
        assert_eq!(of("Condition", abated("active")), ["con-4"]);
        assert!(of("Condition", abated("resolved")).is_empty());
        assert_eq!(
            of("Observation", json!({"valueString": "x", "dataAbsentReason": {}})),
            ["obs-6"]
        );
        assert_eq!(of("Organization", json!({"telecom": [{"value": "5"}]})), ["org-1", "cpt-2"]);
        assert_eq!(of("Patient", json!({"contact": [{"relationship": []}]})), ["pat-1"]);
        let quantity = json!({"component": [{"valueQuantity": {"value": 1, "code": "kg"}}]});
        assert_eq!(of("Observation", quantity), ["qty-3"]);
        let range = json!({"referenceRange": [{"low": {"value": 1, "unit": "kg"}}], "valueQuantity": {"code": "kg", "system": "u"}});
        assert!(of("Observation", range).is_empty());
    }
}
