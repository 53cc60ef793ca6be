//! Writing results and refusals.

use std::io::Write;

use serde::Serialize;

use super::Refused;

/// Where results and messages go.
pub(super) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
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
    #[expect(clippy::unused_self, reason = "one object stands for where output goes")]
    pub(super) fn line(&self, text: &str) {
        let _gone = writeln!(std::io::stdout().lock(), "{text}").is_err();
    }

    /// A message on standard error.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            let _gone = writeln!(std::io::stderr().lock(), "{text}").is_err();
        }
    }

    /// How far something is, on standard error.
    pub(super) fn progress(&self, text: &str) {
        self.note(text);
    }

    /// Why nothing came of it.
    #[expect(clippy::unused_self, reason = "one object stands for where output goes")]
    pub(super) fn refused(&self, refused: &Refused) {
        let mut error = std::io::stderr().lock();
        let hint = refused.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let _gone = writeln!(error, "wardgate: {}{hint}", refused.message).is_err();
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
    fn columns_line_up() {
        let rows =
            vec![vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\na     1\nlong  2");
    }
}
