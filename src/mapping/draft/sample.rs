//! The first rows of a table, and what can be told of its columns without keeping a value.

use std::collections::BTreeMap;

use crate::mapping::lens::format::{DateFormat, DateIn};
use crate::mapping::lens::nothing::is_no_date;
use crate::mapping::rows::Rows;

/// Rows of a table as they were looked at. They hold patients' data: nothing of them but counts, formats
/// and frequent codes goes into a draft.
#[derive(Clone)]
pub struct Sampled {
    columns: Vec<String>,
    rows: Rows,
}

/// A value seen in fewer rows than this may be a patient's own and is not named.
pub(super) const RARE: usize = 5;

/// What a column of states says of a row that was thrown away.
const GONE: [&str; 13] = [
    "deleted",
    "void",
    "voided",
    "hidden",
    "removed",
    "borrado",
    "eliminado",
    "anulado",
    "excluido",
    "gelöscht",
    "geloescht",
    "storniert",
    "supprime",
];

/// The texts that are yes and no together.
pub(super) const FLAGS: [(&str, &str); 15] = [
    ("1", "0"),
    ("S", "N"),
    ("Y", "N"),
    ("J", "N"),
    ("O", "N"),
    ("T", "F"),
    ("true", "false"),
    ("t", "f"),
    ("s", "n"),
    ("y", "n"),
    ("SI", "NO"),
    ("YES", "NO"),
    ("V", "F"),
    ("A", "I"),
    ("-1", "0"),
];

/// What stands in a column of dates where there is none.
pub(super) struct NoDate {
    /// As people write it: `0001-01-01`, `0001-01-01 00:00:00`.
    pub text: String,
    /// How often it was seen.
    pub rows: usize,
}

/// How dates are written in texts, the likelier first; a longer format also reads what ends early, so it
/// comes after the shorter.
const DAYS: [&str; 15] = [
    "yyyy-MM-dd",
    "dd/MM/yyyy",
    "MM/dd/yyyy",
    "dd.MM.yyyy",
    "dd-MM-yyyy",
    "yyyyMMdd",
    "yyyy/MM/dd",
    "MM-dd-yyyy",
    "d/M/yyyy",
    "M/d/yyyy",
    "dd/MM/bbbb",
    "bbbb-MM-dd",
    "bbbbMMdd",
    "dd-MM-bbbb",
    "d/M/bbbb",
];
const TIMES: [&str; 14] = [
    "yyyy-MM-dd HH:mm:ss",
    "dd/MM/yyyy HH:mm",
    "dd/MM/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm",
    "MM/dd/yyyy HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "dd.MM.yyyy HH:mm:ss",
    "dd-MM-yyyy HH:mm",
    "dd-MM-yyyy HH:mm:ss",
    "yyyyMMddHHmm",
    "yyyyMMddHHmmss",
    "yyyy/MM/dd HH:mm:ss",
    "yyyyMMdd HH:mm:ss",
    "yyyyMMddTHHmmss",
];

/// How a text column writes dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dated {
    /// `None` for ISO 8601, which needs no format.
    pub format: Option<&'static str>,
    /// Another reading that fits every row as well: day and month cannot be told apart.
    pub doubt: Option<&'static str>,
    pub time: bool,
    /// Cells of a hundred that fit.
    pub percent: usize,
}

impl Dated {
    /// The same without doubt, where other columns of the database tell the order of day and month.
    pub(super) fn settled(self, day_first: Option<bool>) -> Self {
        match (self.doubt, self.format, day_first) {
            (Some(other), Some(format), Some(first)) if self::day_first(format) != first => {
                Self { format: Some(other), doubt: None, ..self }
            }
            (Some(_), Some(_), Some(_)) => Self { doubt: None, ..self },
            _ => self,
        }
    }
}

impl Sampled {
    /// What was fetched of a table: its columns in the order of the rows' cells.
    pub fn new(columns: Vec<String>, rows: Rows) -> Self {
        Self { columns, rows }
    }

    /// How many rows were looked at.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Whether a column was among those looked at.
    pub(super) fn saw(&self, column: &str) -> bool {
        self.place(column).is_some()
    }

    /// The day or moment that programs write for "no date", where a column of dates holds it often: the first
    /// and the last that a language or a database knows. It is nobody's own.
    pub(super) fn no_date(&self, column: &str) -> Option<NoDate> {
        let counted = self.distinct(column);
        let found = counted.into_iter().find(|(cell, rows)| is_no_date(cell) && *rows >= RARE);
        found.map(|(cell, rows)| {
            let text = cell.replace('T', " ");
            NoDate { text: text.trim_end_matches('Z').to_owned(), rows }
        })
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|c| c == column)
    }

    /// The cells of a column that hold something.
    pub(super) fn cells(&self, column: &str) -> impl Iterator<Item = &str> {
        let place = self.place(column);
        let rows = self.rows.iter().filter_map(move |row| row.get(place?));
        rows.map(str::trim).filter(|text| !text.is_empty())
    }

    /// The cells of two columns, row by row, where both hold something.
    pub(super) fn pairs(&self, a: &str, b: &str) -> impl Iterator<Item = (&str, &str)> {
        let places = self.place(a).zip(self.place(b));
        let rows = self.rows.iter().filter_map(move |row| {
            let (a, b) = places?;
            Some((row.get(a)?.trim(), row.get(b)?.trim()))
        });
        rows.filter(|(a, b)| !a.is_empty() && !b.is_empty())
    }

    /// The cells of three columns, row by row, where all hold something.
    pub(super) fn triples(&self, a: &str, b: &str, c: &str) -> impl Iterator<Item = [&str; 3]> {
        let places = self.place(a).zip(self.place(b)).zip(self.place(c));
        let rows = self.rows.iter().filter_map(move |row| {
            let ((a, b), c) = places?;
            Some([row.get(a)?.trim(), row.get(b)?.trim(), row.get(c)?.trim()])
        });
        rows.filter(|cells| cells.iter().all(|cell| !cell.is_empty()))
    }

    /// The same rows with more columns, whose cells follow from what a row has in `key`.
    pub(super) fn widened<'c>(
        &self,
        key: &str,
        columns: Vec<String>,
        more: impl Fn(&str) -> Vec<Option<&'c str>>,
    ) -> Self {
        let place = self.place(key);
        let mut rows = Rows::new(self.columns.len() + columns.len());
        for row in self.rows.iter() {
            let own = (0..self.columns.len()).map(|at| row.get(at));
            let said = more(place.and_then(|at| row.get(at)).unwrap_or_default().trim());
            let pushed = own.chain(said).try_for_each(|cell| rows.push(cell));
            if pushed.is_err() {
                break;
            }
        }
        Self { columns: self.columns.iter().cloned().chain(columns).collect(), rows }
    }

    /// Distinct values with how often each occurs, the most frequent first; at most 200.
    pub(super) fn distinct(&self, column: &str) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for cell in self.cells(column) {
            *counts.entry(cell).or_default() += 1;
        }
        let mut found: Vec<_> = counts.into_iter().collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found.truncate(200);
        found
    }

    /// The words of a column which say that a row was thrown away, where others say something else.
    pub(super) fn gone(&self, column: &str) -> Vec<&str> {
        let said = |word: &&str| GONE.iter().any(|gone| word.eq_ignore_ascii_case(gone));
        let values = self.distinct(column);
        let words: Vec<&str> = values.iter().map(|(word, _)| *word).filter(said).collect();
        let rows: usize = values.iter().filter(|(word, _)| said(word)).map(|(_, n)| n).sum();
        if rows < self.rows() { words } else { Vec::new() }
    }

    /// The share of filled cells of which something holds, in percent; `None` without cells.
    pub(super) fn percent(&self, column: &str, holds: impl Fn(&str) -> bool) -> Option<usize> {
        let (mut all, mut good) = (0, 0);
        for cell in self.cells(column) {
            all += 1;
            good += usize::from(holds(cell));
        }
        (all > 0).then(|| good * 100 / all)
    }

    /// The two words of a flag, when the column holds nothing else.
    pub(super) fn flag(&self, column: &str) -> Option<(&'static str, &'static str)> {
        let values = self.distinct(column);
        if values.is_empty() || values.len() > 2 {
            return None;
        }
        FLAGS.into_iter().find(|(yes, no)| values.iter().all(|(v, _)| v == yes || v == no))
    }

    /// How a text column writes dates, when nine of ten cells are written so.
    pub(super) fn dated(&self, column: &str) -> Option<Dated> {
        // A day of zeros is no day, however dates are written.
        let zeros = |cell: &str| {
            let long = cell.len() >= 6 || cell == "0";
            long && cell.bytes().all(|b| b == b'0' || b" -/.:T".contains(&b))
        };
        let fits = |read: &dyn Fn(&str) -> bool| {
            let (mut all, mut good) = (0, 0);
            for cell in self.cells(column).filter(|cell| !zeros(cell)) {
                all += 1;
                good += usize::from(read(cell));
            }
            (good * 100_usize).checked_div(all).unwrap_or(0)
        };
        // A number alone is also a year to the reader of ISO texts.
        let iso = fits(&|cell| cell.contains('-') && DateIn::Iso.read(cell).is_ok());
        if iso >= 90 && !super::maker::is_ahead(self, column) {
            let time = fits(&|cell| cell.len() > 10) >= 50;
            return Some(Dated { format: None, doubt: None, time, percent: iso });
        }
        let best = |formats: &[&'static str]| {
            let mut found: Option<(&'static str, usize)> = None;
            let mut doubt = None;
            for format in formats {
                let Ok(read) = DateFormat::parse(format) else { continue };
                let whole = |cell: &str| {
                    cell.len() >= 6 || !format.starts_with("yyyyMM") && !format.starts_with("bbbb")
                };
                let percent = fits(&|cell| {
                    whole(cell)
                        && read.read(cell).is_some_and(|s| (1850..2200).contains(&s.date.year()))
                });
                match found {
                    Some((_, known)) if percent == known && percent >= 90 => {
                        doubt = doubt.or(Some(*format));
                    }
                    Some((_, known)) if percent <= known => {}
                    _ => (found, doubt) = (Some((*format, percent)), None),
                }
            }
            found.map(|(format, percent)| (format, percent, doubt))
        };
        let whole =
            |(format, percent, doubt), time| Dated { format: Some(format), doubt, time, percent };
        let mut best = [best(&DAYS).map(|b| whole(b, false)), best(&TIMES).map(|b| whole(b, true))];
        // A time's format also reads a day alone; it is one only where times are.
        let timed = fits(&|cell| cell.len() > 10) >= 50;
        best.sort_by_key(|b| b.as_ref().map_or(0, |b| usize::from(b.time == timed)));
        let found = best.into_iter().flatten().next_back().filter(|b| b.percent >= 70)?;
        // Both orders of one and two digits are the same doubt as with two.
        let doubt = found.doubt.filter(|d| day_first(d) != found.format.is_some_and(day_first));
        Some(Dated { doubt, ..found })
    }

    /// Whether days come before months, for each column whose cells can be read in one way only.
    pub(super) fn orders(&self) -> Vec<bool> {
        let dated = self.columns.iter().filter_map(|column| self.dated(column));
        let sure = dated.filter(|d| d.doubt.is_none() && d.percent >= 80);
        let format = sure.filter_map(|d| d.format).filter(|f| f.starts_with(['d', 'M']));
        format.map(day_first).collect()
    }

    /// Whether a column holds numbers, and with which mark before the fraction.
    pub(super) fn number(&self, column: &str) -> Option<(char, usize)> {
        let plain = self.percent(column, |cell| numeric(cell, '.'))?;
        let comma = self.percent(column, |cell| numeric(cell, ','))?;
        Some(if comma > plain { (',', comma) } else { ('.', plain) })
    }
}

fn day_first(format: &str) -> bool {
    format.starts_with('d')
}

/// `-12.50` with that mark before the fraction.
pub(super) fn numeric(cell: &str, mark: char) -> bool {
    let (whole, fraction) = cell.split_once(mark).unwrap_or((cell, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits(whole.strip_prefix(['-', '+']).unwrap_or(whole)) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> Sampled {
        let mut rows = Rows::new(1);
        for cell in cells {
            rows.push(Some(cell)).unwrap();
        }
        Sampled::new(vec!["c".to_owned()], rows)
    }

    #[test]
    fn formats_are_told_from_the_cells() {
        let dated = |cells: &[&str]| column(cells).dated("c").map(|d| (d.format, d.doubt, d.time));
        assert_eq!(dated(&["1984-02-29", "1951-11-03"]), Some((None, None, false)));
        assert_eq!(dated(&["2026-02-01T08:30:00Z"]), Some((None, None, true)));
        assert_eq!(dated(&["05/03/1985", "29/02/1960"]), Some((Some("dd/MM/yyyy"), None, false)));
        assert_eq!(dated(&["05/23/1985", "02/01/1960"]), Some((Some("MM/dd/yyyy"), None, false)));
        let doubtful = dated(&["05/03/1985", "01/02/1960"]);
        assert_eq!(doubtful, Some((Some("dd/MM/yyyy"), Some("MM/dd/yyyy"), false)));
        assert_eq!(dated(&["19720410", "19991231"]), Some((Some("yyyyMMdd"), None, false)));
        assert_eq!(dated(&["202602010830"]), Some((Some("yyyyMMddHHmm"), None, true)));
        assert_eq!(dated(&["31.12.1999 23:59"]), Some((Some("dd.MM.yyyy HH:mm"), None, true)));
        assert_eq!(dated(&["Ana", "12"]), None);
        assert_eq!(dated(&[]), None);
    }

    #[test]
    fn flags_and_numbers_are_told_from_the_cells() {
        assert_eq!(column(&["S", "N", "S"]).flag("c"), Some(("S", "N")));
        assert_eq!(column(&["S", "N", "X"]).flag("c"), None);
        assert_eq!(column(&["36,60", "70"]).number("c"), Some((',', 100)));
        assert_eq!(column(&["36.6", "high"]).number("c"), Some(('.', 50)));
    }
}
