//! From a transform as it is written to one that runs.

use std::collections::HashMap;

use super::codes::CodeMap;
use super::dates::Format;
use super::leaf::Step;

/// What the rest of the document offers to leaves.
pub(super) struct Vocabulary {
    pub(super) codes: HashMap<String, CodeMap>,
    /// Mapped types and what stands before the key in their ids.
    pub(super) prefixes: HashMap<String, String>,
}

/// The step named; `Err` gives message and hint.
pub(super) fn step(
    name: &str,
    arguments: &[String],
    vocabulary: &Vocabulary,
) -> Result<Step, (String, String)> {
    let first = arguments.first().map(String::as_str);
    let wrong = |hint: &str| Err((format!("`{name}` cannot be used like this"), hint.to_owned()));
    let letter = |text: &str| text.chars().next().filter(|_| text.chars().count() == 1);
    let format = |text: Option<&str>| match text {
        None => Ok(None),
        Some(text) => Format::parse(text).map(Some).ok_or_else(|| {
            let message = format!("\"{text}\" is not a date format");
            (
                message,
                "use yyyy, MM, dd, HH, mm, ss and separators, such as 'dd/MM/yyyy'".to_owned(),
            )
        }),
    };
    Ok(match (name, arguments.len()) {
        ("trim" | "first", 0) => Step::First,
        ("upper", 0) => Step::Upper,
        ("lower", 0) => Step::Lower,
        ("int", 0) => Step::Int,
        ("decimal", 0) => Step::Decimal('.'),
        ("decimal", 1) => match first.and_then(letter) {
            Some(separator) => Step::Decimal(separator),
            None => return wrong("write decimal(',') for a decimal comma"),
        },
        ("join", 1) => Step::Join(first.unwrap_or_default().to_owned()),
        ("split", 1) => match first.and_then(letter) {
            Some(separator) => Step::Split(separator),
            None => return wrong("write split(' ') with one character"),
        },
        ("prefix", 1) => Step::Prefix(first.unwrap_or_default().to_owned()),
        ("default", 1) => Step::Default(first.unwrap_or_default().to_owned()),
        ("null", n) if n > 0 => Step::Null(arguments.to_vec()),
        ("bool", 2) => {
            let [yes, no] = arguments else { return wrong("write bool('1', '0')") };
            Step::Bool(yes.clone(), no.clone())
        }
        ("code", 1) => {
            if let Some(map) = vocabulary.codes.get(first.unwrap_or_default()) {
                Step::Code(map.clone())
            } else {
                let message = format!("there is no code map \"{}\"", first.unwrap_or_default());
                return Err((message, "define it under `codes`".to_owned()));
            }
        }
        ("date", 0 | 1) => Step::Date(format(first)?),
        ("datetime", 0 | 1) => Step::DateTime(format(first)?),
        ("ref", 1) => {
            let target = first.unwrap_or_default().to_owned();
            if let Some(prefix) = vocabulary.prefixes.get(&target) {
                Step::Reference { target, prefix: prefix.clone() }
            } else {
                let message = format!("\"{target}\" is not mapped in this document");
                return Err((message, "map that type too, or leave the reference out".to_owned()));
            }
        }
        ("join" | "split" | "prefix" | "default" | "null" | "bool" | "code" | "ref", _) => {
            return wrong("see the list of transforms in docs/mapping/LANGUAGE.md");
        }
        _ => {
            let message = format!("there is no transform \"{name}\"");
            let hint = "trim upper lower join split prefix null default first code bool int decimal \
                        date datetime ref";
            return Err((message, hint.to_owned()));
        }
    })
}
