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

/// Reads the settings file (none is fine: all defaults) and this process's environment. All faults are
/// given back together.
pub fn load(file: Option<&Path>) -> Result<Settings, Vec<SettingFault>> {
    let text = match file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            vec![SettingFault::new(
                path.display().to_string(),
                format!("cannot be read: {}", error.kind()),
                "name an existing settings file with --config, or leave it out",
            )]
        })?,
    };
    resolve(&text, std::env::vars())
}

/// Reads settings from a text alone, without the environment.
pub fn parse(text: &str) -> Result<Settings, Vec<SettingFault>> {
    resolve(text, std::iter::empty())
}

/// [`load`] over given texts.
pub(super) fn resolve(
    file: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, Vec<SettingFault>> {
    let mut faults = Vec::new();
    let mut table = file.parse::<Table>().unwrap_or_else(|error| {
        // The parser's own message quotes the line, which may hold a secret: give its place only.
        let line =
            error.span().map_or(0, |s| file[..s.start.min(file.len())].matches('\n').count() + 1);
        faults.push(SettingFault::new(
            format!("line {line}"),
            "is not valid TOML".to_owned(),
            "quote text with \"…\" and write each key once",
        ));
        Table::new()
    });
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
    Settings::read(&table, &origins, faults)
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
