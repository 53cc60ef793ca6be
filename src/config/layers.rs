//! Merging the settings file and the environment into one tree.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::reader::SettingFault;
use super::settings::Settings;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said; the built-in default.
    Default,
    /// The settings file.
    File,
    /// An environment variable.
    Environment,
}

impl Origin {
    /// The word `config show` prints.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
        }
    }
}

/// The prefix of environment variables that are settings.
const PREFIX: &str = "WARDGATE__";

/// Settings and all that is wrong with their form. A faulty setting has its default, or is empty; there are
/// no settings at all when the file cannot be read or is not TOML, for then nothing is known of any.
pub type Examined = (Option<Settings>, Vec<SettingFault>);

/// Reads the settings file (none is fine: all defaults) and this process's environment, faults or not.
pub fn examine(file: Option<&Path>) -> Examined {
    let text = match file {
        None => String::new(),
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let fault = SettingFault::new(
                    path.display().to_string(),
                    format!("cannot be read: {}", error.kind()),
                    "name an existing settings file with --config, or leave it out",
                );
                return (None, vec![fault]);
            }
        },
    };
    resolve(&text, std::env::vars())
}

/// Reads settings from a text alone, without the environment. All faults are given back together.
pub fn parse(text: &str) -> Result<Settings, Vec<SettingFault>> {
    let (settings, faults) = resolve(text, std::iter::empty());
    settings.filter(|_| faults.is_empty()).ok_or(faults)
}

/// [`examine`] over given texts.
pub(super) fn resolve(file: &str, environment: impl Iterator<Item = (String, String)>) -> Examined {
    let mut faults = Vec::new();
    let mut table = match file.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            // The parser's own message quotes the line, which may hold a secret: give its place only.
            let line = error
                .span()
                .map_or(0, |s| file[..s.start.min(file.len())].matches('\n').count() + 1);
            let hint =
                "quote text with \"…\" and write each key once; the rest is looked at after that";
            return (
                None,
                vec![SettingFault::new(format!("line {line}"), "is not valid TOML", hint)],
            );
        }
    };
    let mut origins = BTreeMap::new();
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if path.iter().any(String::is_empty) || !set(&mut table, &path, value) {
            faults.push(SettingFault::new(
                name,
                "does not name a setting".to_owned(),
                "write WARDGATE__SECTION__KEY, for lists of sections WARDGATE__ISSUERS__0__URL",
            ));
            continue;
        }
        origins.insert(path.join("."), Origin::Environment);
    }
    let (settings, faults) = Settings::read(&table, &origins, faults);
    (Some(settings), faults)
}

/// Puts `value` at `path`, making sections on the way. A number in the path is a place in a list.
fn set(table: &mut Table, path: &[String], value: String) -> bool {
    match path {
        [] => false,
        [key] => {
            table.insert(key.clone(), Value::String(value));
            true
        }
        [section, index, rest @ ..] if index.parse::<usize>().is_ok() => {
            let index: usize = index.parse().unwrap_or(0);
            let list = table.entry(section.clone()).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(items) = list else { return false };
            // One past the end appends; a gap would be a section nobody wrote.
            if index > items.len() {
                return false;
            }
            if index == items.len() {
                items.push(Value::Table(Table::new()));
            }
            match items.get_mut(index) {
                Some(Value::Table(inner)) => set(inner, rest, value),
                _ => false,
            }
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => set(inner, rest, value),
                _ => false,
            }
        }
    }
}
