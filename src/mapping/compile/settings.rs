//! `database:` and `codes:`.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::Reading;
use crate::mapping::lens::codes::{CodeMap, Coded};
use crate::mapping::problem::{did_you_mean, pointer};

use super::Compiler;

/// Zones people in hospitals write, for "did you mean".
pub(super) const ZONES: [&str; 12] = [
    "UTC",
    "Europe/London",
    "Europe/Madrid",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/Lima",
    "America/Bogota",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Nairobi",
    "Australia/Sydney",
];

impl Compiler<'_> {
    /// Reads `database:`.
    pub(super) fn reading(&mut self, node: Option<&Node>) -> Reading {
        let (zone, engine) = (TimeZone::UTC, self.catalog.engine);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut reading = Reading { trim: true, empty_is_null: true, zone, engine, now };
        let at = "/database";
        let Some(node) = node else {
            let hint = "Write `database: {timezone: Europe/Madrid}`, the hospital's own.";
            self.problems.warn("", "no-timezone", "Times without a zone are taken as UTC.", hint);
            return reading;
        };
        self.keys(node, &["timezone", "empty_is_null", "trim"], at);
        if let Some(name) = node.get("timezone").and_then(Node::text) {
            if let Ok(zone) = TimeZone::get(&name) {
                reading.zone = zone;
            } else {
                let hint = did_you_mean(&name, ZONES, "Write a name like Europe/Madrid.");
                let message = "This time zone is not known.";
                self.problems.error(&pointer(at, "timezone"), "timezone", message, hint);
            }
        } else {
            let hint = "Write `timezone: Europe/Madrid`, the hospital's own.";
            let message = "Times without a zone are taken as UTC.";
            self.problems.warn(at, "no-timezone", message, hint);
        }
        reading.trim = self.flag(node, "trim", at, true);
        reading.empty_is_null = self.flag(node, "empty_is_null", at, true);
        reading
    }

    pub(super) fn flag(&mut self, node: &Node, name: &str, at: &str, usual: bool) -> bool {
        match node.get(name) {
            None => usual,
            Some(Node::Scalar(Scalar::Bool(truth))) => *truth,
            Some(_) => {
                let at = pointer(at, name);
                self.problems.error(&at, "type", "This is true or false.", "Write true or false.");
                usual
            }
        }
    }

    /// Reads `codes:`.
    pub(super) fn code_maps(&mut self, node: Option<&Node>) {
        for (name, map) in node.map(Node::members).unwrap_or_default() {
            let at = pointer("/codes", name);
            self.keys(map, &["system", "values", "otherwise", "missing", "ignore_case"], &at);
            let system = map.get("system").and_then(Node::text).map(std::borrow::Cow::into_owned);
            if let Some(system) = &system {
                self.doubt_system(system, &pointer(&at, "system"));
            }
            let ignore_case = self.flag(map, "ignore_case", &at, false);
            let values = map.get("values").map(Node::members).unwrap_or_default();
            let mut entries = Vec::new();
            for (key, value) in values {
                let at = pointer(&pointer(&at, "values"), key);
                if let Some(coded) = self.coded(value, system.as_deref(), &at) {
                    entries.push((key.clone(), coded));
                }
            }
            let catch_all = map.get("otherwise").or_else(|| map.get("missing"));
            if entries.is_empty() && catch_all.is_none_or(Node::is_null) {
                let hint = "Write `values: {\"M\": male, \"F\": female}`: the hospital's key, then FHIR's code.";
                self.problems.error(&at, "missing", "The code map has no values.", hint);
            }
            let mut extra = |word: &str| {
                let value = map.get(word).filter(|v| !v.is_null())?;
                self.coded(value, system.as_deref(), &pointer(&at, word))
            };
            let (otherwise, missing) = (extra("otherwise"), extra("missing"));
            let map = CodeMap::new(name.clone(), entries, otherwise, missing, ignore_case);
            if map.has_doubles() {
                let hint = "With `ignore_case`, keys that differ in case and accents only are the same key.";
                self.problems.error(&at, "doubles", "Two keys come to the same.", hint);
            }
            self.codes.insert(name.clone(), Arc::new(map));
        }
    }

    fn coded(&mut self, node: &Node, system: Option<&str>, at: &str) -> Option<Coded> {
        let system = system.map(str::to_owned);
        let coded = match node {
            Node::Map(_) => {
                self.keys(node, &["code", "display", "system"], at);
                let get =
                    |name| node.get(name).and_then(Node::text).map(std::borrow::Cow::into_owned);
                get("code").map(|code| Coded {
                    code,
                    display: get("display"),
                    system: get("system").or(system),
                })
            }
            node => {
                node.text().map(|code| Coded { code: code.into_owned(), display: None, system })
            }
        };
        let good = coded.filter(|c| {
            let uri = |system: &String| crate::fhir::primitive::is_uri(system);
            let shown = |text: &String| !text.trim().is_empty();
            crate::fhir::primitive::is_code(&c.code)
                && c.system.as_ref().is_none_or(uri)
                && c.display.as_ref().is_none_or(shown)
        });
        if good.is_none() {
            let hint = "Write the code, or {code: …, display: …, system: …}; a system is a URI.";
            self.problems.error(at, "code", "This is no code.", hint);
        }
        good
    }
}
