//! Typed access to the merged tree. Every question is answered with a usable value; what was wrong is
//! collected, so that an operator sees all faults in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};

use super::layers::Origin;
use crate::base::SecretText;

/// One thing wrong with the settings. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// The setting, as `section.key`, or the place in the file.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl SettingFault {
    /// A fault at `key`.
    pub fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), problem: problem.into(), hint: hint.into() }
    }
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.key, self.problem, self.hint)
    }
}

/// A resolved setting as `config show` prints it; secrets are `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// `section.key`.
    pub key: String,
    /// The value, or `***`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// What all sections of one reading share.
pub(super) struct Findings<'a> {
    pub(super) origins: &'a BTreeMap<String, Origin>,
    pub(super) faults: Vec<SettingFault>,
    pub(super) shown: Vec<ShownSetting>,
}

/// One section of the tree.
pub(super) struct Section<'f, 'a> {
    name: String,
    table: Option<&'a Table>,
    asked: BTreeSet<&'static str>,
    findings: &'f mut Findings<'a>,
}

impl<'f, 'a> Section<'f, 'a> {
    /// The section `name` of `root`; an absent one reads as empty.
    pub(super) fn new(root: &'a Table, name: &str, findings: &'f mut Findings<'a>) -> Self {
        let table = match root.get(name) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                findings.faults.push(SettingFault::new(
                    name,
                    "is not a section",
                    format!("write [{name}] on a line of its own"),
                ));
                None
            }
        };
        Self { name: name.to_owned(), table, asked: BTreeSet::new(), findings }
    }

    /// An item of a list of sections.
    pub(super) fn item(table: &'a Table, name: String, findings: &'f mut Findings<'a>) -> Self {
        Self { name, table: Some(table), asked: BTreeSet::new(), findings }
    }

    /// Whether the section is there at all.
    pub(super) fn present(&self) -> bool {
        self.table.is_some_and(|t| !t.is_empty())
    }

    /// Reports the keys nobody asked for.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        for key in table.keys().filter(|key| !self.asked.contains(key.as_str())) {
            let near = self.asked.iter().min_by_key(|known| distance(known, key));
            let hint = near.map_or_else(String::new, |near| format!("did you mean \"{near}\"?"));
            self.findings.faults.push(SettingFault::new(
                format!("{}.{key}", self.name),
                "is not a setting",
                hint,
            ));
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.insert(key);
        self.table?.get(key)
    }

    fn fault(&mut self, key: &str, problem: impl Into<String>, hint: impl Into<String>) {
        let path = self.path(key);
        self.findings.faults.push(SettingFault::new(path, problem, hint));
    }

    fn show(&mut self, key: &str, value: String, given: bool) {
        let key = self.path(key);
        let origin = match self.findings.origins.get(&key) {
            Some(origin) => *origin,
            None if given => Origin::File,
            None => Origin::Default,
        };
        self.findings.shown.push(ShownSetting { key, value, origin });
    }

    /// Asks for a value that `parse` understands from its text form.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        default: T,
        hint: &str,
        parse: impl Fn(&str) -> Option<T>,
        show: impl Fn(&T) -> String,
    ) -> T {
        let raw = self.raw(key);
        let text = match raw {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Integer(number)) => Some(number.to_string()),
            Some(Value::Boolean(flag)) => Some(flag.to_string()),
            Some(_) => {
                self.fault(key, "has the wrong type", hint);
                None
            }
        };
        let value = match &text {
            None => default,
            Some(text) => parse(text).unwrap_or_else(|| {
                self.fault(key, "has a value that cannot be used", hint);
                default
            }),
        };
        self.show(key, show(&value), text.is_some());
        value
    }

    /// A text with a default.
    pub(super) fn text(&mut self, key: &'static str, default: &str) -> String {
        self.parsed(
            key,
            default.to_owned(),
            "a text in quotes",
            |t| Some(t.to_owned()),
            Clone::clone,
        )
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &'static str, hint: &str) -> String {
        let given = self.optional(key);
        given.unwrap_or_else(|| {
            self.fault(key, "is missing", hint);
            String::new()
        })
    }

    /// A text that may be left out.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<String> {
        self.raw(key)?;
        Some(self.text(key, "")).filter(|text| !text.is_empty())
    }

    /// An http or https URL without a trailing slash being required.
    pub(super) fn url(&mut self, key: &'static str, default: &str) -> String {
        let hint = "an absolute http:// or https:// URL without query";
        let parse = |text: &str| is_http_url(text).then(|| text.to_owned());
        self.parsed(key, default.to_owned(), hint, parse, Clone::clone)
    }

    /// A socket address such as `127.0.0.1:8080`.
    pub(super) fn address(&mut self, key: &'static str, default: SocketAddr) -> SocketAddr {
        let hint = "an address and port like \"127.0.0.1:8080\"";
        self.parsed(key, default, hint, |t| t.parse().ok(), ToString::to_string)
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, default: u32, least: u32, most: u32) -> u32 {
        let hint = format!("a whole number from {least} to {most}");
        let parse = |t: &str| t.parse().ok().filter(|n| (least..=most).contains(n));
        self.parsed(key, default, &hint, parse, ToString::to_string)
    }

    /// A span such as `500ms`, `5s`, `30m` or `24h`, not zero and not above `most`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        most: Duration,
    ) -> Duration {
        let hint = format!(
            "a span like \"500ms\", \"5s\", \"30m\" or \"24h\", {} at most",
            show_duration(most)
        );
        let parse = |text: &str| parse_duration(text).filter(|span| *span <= most);
        self.parsed(key, default, &hint, parse, |d| show_duration(*d))
    }

    /// A folder or file that may be left out.
    pub(super) fn path_option(&mut self, key: &'static str) -> Option<PathBuf> {
        self.optional(key).map(PathBuf::from)
    }

    /// A list of texts; the environment gives it separated by commas.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let raw = self.raw(key);
        let items = match raw {
            None => Vec::new(),
            Some(Value::String(text)) => text
                .split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect(),
            Some(Value::Array(items)) if items.iter().all(Value::is_str) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(_) => {
                self.fault(key, "has the wrong type", "a list of texts like [\"a\", \"b\"]");
                Vec::new()
            }
        };
        self.show(key, format!("[{}]", items.join(", ")), raw.is_some());
        items
    }

    /// A secret given as `key` or read from the file named by `key_file`; both is a fault.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        key_file: &'static str,
    ) -> Option<SecretText> {
        let inline = match self.raw(key) {
            None => None,
            Some(Value::String(text)) => Some(SecretText::new(text.clone())),
            Some(_) => {
                self.fault(key, "has the wrong type", format!("a text, or better {key_file}"));
                None
            }
        };
        if inline.is_some() {
            self.show(key, "***".to_owned(), true);
        }
        let Some(file) = self.optional(key_file) else { return inline };
        if inline.is_some() {
            self.fault(key, format!("is given together with {key_file}"), "keep one of them");
            return None;
        }
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(SecretText::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) => {
                let problem = format!("cannot be read: {}", error.kind());
                self.fault(key_file, problem, "name a file this process may read");
                None
            }
        }
    }

    /// Adds a fault found by a check of several values.
    pub(super) fn complain(&mut self, key: &str, problem: &str, hint: &str) {
        self.fault(key, problem, hint);
    }
}

fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.bytes().all(|b| b.is_ascii_graphic())
            && !rest.contains(['?', '#', '@', '"', '<', '>', '\\'])
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)? {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.checked_mul(unit).filter(|millis| *millis > 0)?;
    Some(Duration::from_millis(millis))
}

fn show_duration(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1_000 == 0 => format!("{}s", m / 1_000),
        m => format!("{m}ms"),
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *above;
            *above = cost.min(left + 1).min(diagonal + 1);
            left = *above;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("24h"), Some(Duration::from_hours(24)));
        for bad in ["", "5", "s", "0s", "-1s", "5 s", "5d", "99999999999999999999h"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("listen", "lisen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
