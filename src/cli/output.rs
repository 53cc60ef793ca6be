//! Writing results and refusals.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::json;

use super::Refused;

/// Where results and messages go.
pub(super) struct Output {
    json: bool,
    quiet: bool,
    /// Whether standard output holds something already.
    said: AtomicBool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, said: AtomicBool::new(false) }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// A result: as one JSON document, or as the lines `human` makes of it.
    pub(super) fn result<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) {
        if self.json {
            self.line(&serde_json::to_string(value).unwrap_or_default());
        } else {
            self.line(human(value).trim_end_matches('\n'));
        }
    }

    /// A line on standard output. A reader that has gone away is no failure of the command.
    pub(super) fn line(&self, text: &str) {
        self.said.store(true, Ordering::Relaxed);
        let _gone = writeln!(std::io::stdout().lock(), "{text}").is_err();
    }

    /// A message on standard error.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            let _gone = writeln!(std::io::stderr().lock(), "{text}").is_err();
        }
    }

    /// Why nothing came of it: a line on standard error, and with `--json` a document, unless the result
    /// itself has said so.
    pub(super) fn refused(&self, refused: &Refused) {
        if self.json && !self.said.load(Ordering::Relaxed) {
            let Refused { message, hint, details } = refused;
            let mut document = json!({ "ok": false, "problem": message, "hint": hint });
            for (name, value) in details.iter().flat_map(|details| details.iter()) {
                document[name] = value.clone();
            }
            self.line(&document.to_string());
        }
        let mut error = std::io::stderr().lock();
        let _gone = writeln!(error, "{}", refusal(refused)).is_err();
    }
}

/// One line; where the reason is a list, the hint stands below it.
fn refusal(Refused { message, hint, .. }: &Refused) -> String {
    match hint {
        None => format!("wardgate: {message}"),
        Some(hint) if message.contains('\n') => format!("wardgate: {message}\n({hint})"),
        Some(hint) => format!("wardgate: {message} ({hint})"),
    }
}

/// Why a file could not be read, in words for people.
pub(super) fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        other => other.to_string(),
    }
}

/// Columns, each as wide as its widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count());
        cells.chain(head.get(column).map(|h| h.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line: Vec<String> = padded.collect();
        line.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_behind_a_reason_and_below_a_list_of_reasons() {
        let one = Refused::new("no").hint("do this");
        assert_eq!(refusal(&one), "wardgate: no (do this)");
        let list = Refused::new("these:\n  a\n  b").hint("do this");
        assert_eq!(refusal(&list), "wardgate: these:\n  a\n  b\n(do this)");
        assert_eq!(refusal(&Refused::new("no")), "wardgate: no");
    }

    #[test]
    fn columns_line_up() {
        let rows =
            vec![vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\na     1\nlong  2");
    }
}
