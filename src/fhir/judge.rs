//! Whether a resource that came in is one of FHIR R4: names, cardinalities, types, primitive values,
//! choices and required bindings, as the element table has them. What no table can say (invariants,
//! terminologies) is left to the hospital.

use super::elements::{ElementDef, Elements, Member, TypeDef};
use super::issue::{Issue, MAX_ISSUES};
use super::primitive;
use super::tree::Json;

/// Everything that is wrong with a resource of that type; nothing when it is one.
pub fn judge(elements: &Elements, resource: &Json, wanted: &str) -> Vec<Issue> {
    let mut judge = Judge { elements, issues: Vec::new() };
    let Some(ty) = elements.resource(wanted) else {
        judge.say("not-supported", wanted, "There is no such type of resource.");
        return judge.issues;
    };
    if !matches!(resource, Json::Object(_)) {
        judge.say("structure", wanted, "A resource is an object.");
        return judge.issues;
    }
    match resource.get("resourceType").and_then(Json::text) {
        Some(given) if given == wanted => {}
        Some(_) => judge.say("invalid", wanted, "resourceType is not the type of the address."),
        None => judge.say("required", wanted, "resourceType is missing."),
    }
    if let Some(id) = resource.get("id")
        && !id.text().is_some_and(primitive::is_id)
    {
        let path = format!("{wanted}.id");
        judge.say("value", &path, "An id is 1 to 64 of letters, digits, '-' and '.'.");
    }
    judge.object(ty, resource, wanted, &["resourceType", "id"], None);
    judge.issues
}

struct Judge<'e> {
    elements: &'e Elements,
    issues: Vec<Issue>,
}

impl<'e> Judge<'e> {
    fn say(
        &mut self,
        code: &'static str,
        path: &str,
        message: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(Issue::new(code, path, message));
        }
    }

    fn object(
        &mut self,
        ty: &'e TypeDef,
        value: &Json,
        path: &str,
        beside: &[&str],
        targets: Option<&ElementDef>,
    ) {
        let Json::Object(members) = value else {
            self.say("structure", path, format!("This is a {}, which is an object.", ty.name));
            return;
        };
        if members.is_empty() {
            self.say("structure", path, "An object may not be empty; leave it out.");
        }
        let mut choices: Vec<&str> = Vec::new();
        for (name, value) in members {
            if beside.contains(&name.as_str()) {
                continue;
            }
            let bare = name.strip_prefix('_').unwrap_or(name);
            let Some(member) = ty.member(bare) else {
                self.say("structure", &format!("{path}.{name}"), "There is no such element.");
                continue;
            };
            let at = format!("{path}.{bare}");
            if bare.len() < name.len() {
                let message = "Extensions of primitive values are not taken.";
                self.say("not-supported", &at, message);
                continue;
            }
            if member.element.choice {
                if choices.contains(&member.element.name) {
                    let at = format!("{path}.{}", member.element.name);
                    self.say("structure", &at, "Only one of its types may be there.");
                }
                choices.push(member.element.name);
            }
            self.element(&member, value, &at);
        }
        for element in ty.elements.iter().filter(|element| element.required) {
            let there =
                |name: &str| ty.member(name).is_some_and(|m| m.element.name == element.name);
            if !members.iter().any(|(name, _)| there(name)) {
                let at = format!("{path}.{}", element.name);
                self.say("required", &at, "The element must be there.");
            }
        }
        if ty.name == "Reference" {
            self.reference(value, path, targets);
        }
        if ty.name == "Extension" && value.get("extension").is_some() && !choices.is_empty() {
            self.say("structure", path, "An extension has a value or extensions, not both.");
        }
    }

    fn element(&mut self, member: &Member<'e>, value: &Json, path: &str) {
        let one = std::slice::from_ref(value);
        let items = match (member.element.many, value) {
            (true, Json::List(items)) if items.is_empty() => {
                self.say("structure", path, "An array may not be empty; leave it out.");
                return;
            }
            (true, Json::List(items)) => items.as_slice(),
            (true, _) => {
                self.say("structure", path, "The element repeats, so it is an array.");
                return;
            }
            (false, Json::List(_)) => {
                self.say(
                    "structure",
                    path,
                    "The element is there once at most, so it is no array.",
                );
                return;
            }
            (false, _) => one,
        };
        for (number, item) in items.iter().enumerate() {
            if member.element.many {
                self.one(member, item, &format!("{path}[{number}]"));
            } else {
                self.one(member, item, path);
            }
        }
    }

    fn one(&mut self, member: &Member<'e>, value: &Json, path: &str) {
        let ty = member.ty;
        if *value == Json::Null {
            self.say("structure", path, "null is no value; leave the element out.");
        } else if ty.starts_with(|c: char| c.is_ascii_lowercase()) {
            self.primitive(member, value, path);
        } else if ty == "Resource" {
            self.say(
                "not-supported",
                path,
                "Contained resources are not taken; send them by themselves.",
            );
        } else if let Some(def) = self.elements.get(ty) {
            self.object(def, value, path, &[], Some(member.element));
            if ty == "CodeableConcept" {
                self.bound(member.element, value, path);
            }
        }
    }

    fn primitive(&mut self, member: &Member<'e>, value: &Json, path: &str) {
        let ty = member.ty;
        let Some(wanted) = wrong(ty, value) else {
            let codes = member.element.binding.filter(|_| ty == "code");
            let codes = codes.and_then(|set| self.elements.value_set(set));
            if let (Some(set), Some(code)) = (codes, value.text())
                && !set.codes.contains(&code)
            {
                let few = set.codes.len() <= 40;
                let known =
                    if few { set.codes.join(", ") } else { "a code of its value set".to_owned() };
                self.say("code-invalid", path, format!("The code must be: {known}."));
            }
            return;
        };
        self.say("value", path, format!("This is no {ty}: {wanted}."));
    }

    /// A required binding of a concept: one of its codings is of the set.
    fn bound(&mut self, element: &ElementDef, value: &Json, path: &str) {
        let Some(set) = element.binding.and_then(|set| self.elements.value_set(set)) else {
            return;
        };
        let of_set = |coding: &Json| {
            let text = |name| coding.get(name).and_then(Json::text);
            text("code").is_some_and(|code| set.codes.contains(&code))
                && set.system.is_none_or(|system| text("system") == Some(system))
        };
        let codings = value.get("coding").map(Json::items).unwrap_or_default();
        if !codings.iter().any(of_set) {
            let message = "One of its codings must be of the value set FHIR demands here.";
            self.say("code-invalid", path, message);
        }
    }

    /// A literal reference points to a type that may stand there.
    fn reference(&mut self, value: &Json, path: &str, element: Option<&ElementDef>) {
        let Some(text) = value.get("reference").and_then(Json::text) else { return };
        let at = format!("{path}.reference");
        if text.starts_with('#') {
            self.say("not-supported", &at, "Contained resources are not taken.");
            return;
        }
        let targets = element.map(|e| e.targets.as_slice()).unwrap_or_default();
        let Some((ty, _)) = relative(text) else { return };
        if self.elements.resource(ty).is_none() {
            self.say("value", &at, "It names no type of resource.");
        } else if !targets.is_empty() && !targets.contains(&ty) {
            let message = format!("It may point to: {}.", targets.join(", "));
            self.say("value", &at, message);
        }
    }
}

/// Type and id of a relative reference, a version left aside.
pub fn relative(text: &str) -> Option<(&str, &str)> {
    let (ty, id) = text.split_once('/')?;
    let id = id.split_once("/_history/").map_or(id, |(id, _)| id);
    let named = ty.starts_with(|c: char| c.is_ascii_uppercase());
    (named && ty.bytes().all(|b| b.is_ascii_alphabetic()) && primitive::is_id(id))
        .then_some((ty, id))
}

/// What a primitive value should look like, when it does not (FHIR R4, 2.24.0.1).
fn wrong(ty: &str, value: &Json) -> Option<&'static str> {
    let good = match (ty, value) {
        ("boolean", Json::Bool(_)) => true,
        ("boolean", _) => return Some("true or false without quotes"),
        ("integer" | "positiveInt" | "unsignedInt", Json::Number(text)) => {
            let low = match ty {
                "positiveInt" => 1,
                "unsignedInt" => 0,
                _ => i64::from(i32::MIN),
            };
            let plain = !text.contains(['.', 'e', 'E']) && text != "-0";
            plain
                && primitive::integer(text)
                    .is_some_and(|n| (low..=i64::from(i32::MAX)).contains(&n))
        }
        ("decimal", Json::Number(text)) => primitive::plain_decimal(text).is_some(),
        ("decimal" | "integer" | "positiveInt" | "unsignedInt", _) => {
            return Some("a number without quotes");
        }
        (_, Json::Text(text)) => return wrong_text(ty, text),
        _ => return Some("a text in quotes"),
    };
    (!good).then_some("it is out of range or has too many digits")
}

fn wrong_text(ty: &str, text: &str) -> Option<&'static str> {
    let (good, wanted) = match ty {
        "code" => (primitive::is_code(text), "no blanks at its ends, no two together"),
        "id" => (primitive::is_id(text), "1 to 64 of letters, digits, '-' and '.'"),
        "uri" | "url" | "canonical" | "oid" | "uuid" => {
            (primitive::is_uri(text), "no blanks, not empty")
        }
        "date" => {
            (primitive::partial_date(text).is_some(), "YYYY, YYYY-MM or YYYY-MM-DD of the calendar")
        }
        "dateTime" => {
            (is_date_time(text, false), "YYYY-MM-DD, or with a time to the second and its offset")
        }
        "instant" => (is_date_time(text, true), "YYYY-MM-DDThh:mm:ss with its offset"),
        "time" => (is_time(text), "hh:mm:ss"),
        "base64Binary" => (primitive::is_base64(text), "base64"),
        _ => (text.chars().any(|c| !c.is_whitespace()), "not blank"),
    };
    (!good).then_some(wanted)
}

/// `hh:mm:ss[.fff]`.
fn is_time(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    text.len() >= 8
        && plain
        && primitive::DateInterval::parse(&format!("2000-01-01T{text}")).is_some()
}

/// A date, as far as known, or a whole time with its offset.
fn is_date_time(text: &str, whole: bool) -> bool {
    let Some((date, time)) = text.split_once('T') else {
        return !whole && primitive::partial_date(text).is_some();
    };
    let zoned = time.ends_with('Z') || time.rfind(['+', '-']).is_some_and(|at| at >= 8);
    let seconds = time.as_bytes().get(5) == Some(&b':');
    date.len() == 10
        && zoned
        && seconds
        && !time.contains(' ')
        && primitive::DateInterval::parse(text).is_some()
}

#[cfg(test)]
mod tests;
