//! Making one entry: finding columns by what they mean, dates, numbers, references and codes.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{CodeLines, JoinLine, Part, quoted};
use super::links::{Link, writable};
use super::recognise::{Found, Recognised, Sure, holder};
use super::sample::{RARE, Sampled};
use super::words::{Words, concept};
use crate::mapping::catalog::{Column, SqlType, Table};

/// A column of the entry's table or of one joined to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Col<'c> {
    pub alias: &'static str,
    pub table: usize,
    pub column: &'c Column,
}

/// What is being made of one table.
pub(super) struct Maker<'a, 'c> {
    pub rec: &'a Recognised<'c>,
    pub samples: &'a BTreeMap<usize, Sampled>,
    pub found: &'a Found,
    pub parts: Vec<Part>,
    pub codes: Vec<CodeLines>,
    pub joins: Vec<JoinLine>,
    used: BTreeSet<(usize, String)>,
    /// The comments of columns that were used since the last part was made.
    told: Vec<String>,
    /// Columns that hold other tables' keys.
    linking: BTreeSet<(usize, String)>,
    /// Whether days come before months in this database, where a column proves it.
    day_first: Option<bool>,
}

impl Col<'_> {
    /// The column as a leaf begins with it.
    pub fn leaf(&self) -> String {
        let name = &self.column.name;
        let bare = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (self.alias, bare) {
            ("", true) => format!("${name}"),
            ("", false) => format!("${{{name}}}"),
            (alias, true) => format!("${alias}.{name}"),
            (alias, false) => format!("${{{alias}.{name}}}"),
        }
    }

    pub fn words(&self) -> Words {
        Words::of(&self.column.name)
    }

    pub fn name(&self) -> &str {
        &self.column.name
    }
}

impl<'a, 'c> Maker<'a, 'c> {
    pub fn new(
        rec: &'a Recognised<'c>,
        samples: &'a BTreeMap<usize, Sampled>,
        found: &'a Found,
    ) -> Self {
        let mut maker = Self {
            rec,
            samples,
            found,
            parts: Vec::new(),
            codes: Vec::new(),
            joins: Vec::new(),
            used: BTreeSet::new(),
            told: Vec::new(),
            linking: BTreeSet::new(),
            day_first: day_first(samples),
        };
        if let Some(link) = rec.graph.parent(found.table) {
            let (table, own) = (link.table, link.theirs.iter().zip(&link.own));
            let on = own.map(|(theirs, ours)| (theirs.clone(), ours.clone())).collect();
            maker.join("p", table, on);
        } else if let Some(link) = maker.person() {
            let on =
                link.theirs.iter().zip(&link.own).map(|(t, o)| (t.clone(), o.clone())).collect();
            maker.join("p", link.table, on);
        }
        for (_, number) in maker.scopes() {
            for link in rec.graph.links.get(number).into_iter().flatten() {
                maker.linking.extend(link.own.iter().map(|c| (number, c.clone())));
            }
            let key = rec.graph.key(number).map(<[String]>::to_vec).unwrap_or_default();
            let text = |name: &String| {
                let column = rec.graph.table(number).and_then(|t| t.column(name));
                column.is_some_and(|c| matches!(c.ty, SqlType::Text | SqlType::Char))
            };
            // A text in a key of several parts says something of its own: a code, a drug.
            let bare = key.iter().filter(|name| key.len() == 1 || !text(name));
            maker.linking.extend(bare.map(|c| (number, c.clone())));
        }
        maker
    }

    /// People whose names stand in a table of all people.
    fn person(&self) -> Option<&'a Link> {
        if !matches!(self.found.ty, "Patient" | "Practitioner") {
            return None;
        }
        let rec = self.rec;
        if let Some(link) = holder(&rec.graph, self.found.table) {
            return Some(link);
        }
        if self.found.ty == "Patient" {
            return None;
        }
        let links = rec.graph.links.get(self.found.table)?.iter();
        let mut links = links.filter(|link| link.own.len() == 1 && rec.entry(link.table).is_none());
        links.find(|l| rec.graph.words.get(l.table).is_some_and(|w| w.are(super::words::PEOPLE)))
    }

    pub fn join(&mut self, alias: &str, number: usize, on: Vec<(String, String)>) {
        let Some(table) = self.rec.graph.table(number) else { return };
        let schema = self.schema(table);
        let (alias, table) = (alias.to_owned(), table.name.clone());
        self.joins.push(JoinLine { alias, table, schema, on, number });
    }

    /// A table's schema, when it must be written.
    pub fn schema(&self, table: &Table) -> Option<String> {
        let default = self.rec.graph.catalog.default_schema.as_deref();
        table.schema.clone().filter(|s| Some(s.as_str()) != default)
    }

    /// The tables whose columns are the entry's own: its own, and the one it shares its key with.
    fn scopes(&self) -> Vec<(&'static str, usize)> {
        let parent = self.joins.iter().filter(|j| j.alias == "p").map(|j| ("p", j.number));
        std::iter::once(("", self.found.table)).chain(parent).collect()
    }

    /// Columns not yet used whose name has that meaning, the entry's own first. Keys and references
    /// are none of them.
    pub fn all(&self, rule: &str) -> Vec<Col<'c>> {
        let mut found = self.any(rule);
        found.retain(|col| !self.links(col));
        found
    }

    /// Whether a column is a key or holds another table's.
    pub fn links(&self, col: &Col<'_>) -> bool {
        self.linking.contains(&(col.table, col.column.name.clone()))
    }

    /// The same with keys and references.
    pub fn any(&self, rule: &str) -> Vec<Col<'c>> {
        let (mut found, mut titled) = (Vec::new(), Vec::new());
        for (alias, number) in self.scopes() {
            let Some(table) = self.rec.graph.table(number) else { continue };
            for column in table.columns.iter().filter(|c| writable(&c.name)) {
                let place = (number, column.name.clone());
                let taken = self.used.contains(&place);
                let held = !matches!(column.ty, SqlType::Binary | SqlType::Json | SqlType::Other);
                if taken || !held {
                    continue;
                }
                let col = Col { alias, table: number, column };
                if Words::of(&column.name).are(rule) {
                    found.push(col);
                } else if super::hints::title(column).is_some_and(|words| words.are(rule)) {
                    titled.push(col);
                }
            }
        }
        // What a column is called comes before what somebody wrote beside it.
        found.append(&mut titled);
        found
    }

    /// The first of [`all`](Self::all) that holds something, as far as was seen; it counts as used.
    pub fn take(&mut self, rule: &str) -> Option<Col<'c>> {
        self.take_if(rule, |_| true)
    }

    pub fn take_if(&mut self, rule: &str, test: impl Fn(&Col<'c>) -> bool) -> Option<Col<'c>> {
        let all = self.all(rule);
        let mut good = all.iter().filter(|col| test(col));
        // Of a few rows, what is empty may yet be filled.
        let few = |col: &&Col<'c>| self.sample(col).is_none_or(|s| s.rows() < 10);
        let first =
            good.clone().find(|col| self.filled(col)).or_else(|| good.find(few)).copied()?;
        self.mark(&first);
        Some(first)
    }

    /// Whether a column holds something, as far as was seen.
    pub fn filled(&self, col: &Col<'_>) -> bool {
        self.sample(col).is_none_or(|s| s.cells(col.name()).next().is_some())
    }

    pub fn mark(&mut self, col: &Col<'_>) {
        let told = super::hints::told(col.column);
        self.told.extend(told.map(|told| format!("; comment of '{}': {told}", col.name())));
        self.used.insert((col.table, col.column.name.clone()));
    }

    /// The rows that were looked at, if any were.
    pub fn sample(&self, col: &Col<'_>) -> Option<&'a Sampled> {
        self.samples.get(&col.table).filter(|s| s.rows() > 0)
    }

    pub fn part(
        &mut self,
        element: &'static str,
        lines: Vec<String>,
        sure: Sure,
        why: impl Into<String>,
    ) {
        let told: String = self.told.drain(..).collect();
        self.parts.push(Part::new(element, lines, sure, why.into() + &told));
    }

    /// `element: "leaf"`
    pub fn leaf(&mut self, element: &'static str, leaf: &str, sure: Sure, why: impl Into<String>) {
        self.part(element, vec![format!("{element}: {}", quoted(leaf))], sure, why);
    }

    /// The values of a column that occur often enough to be no patient's own.
    pub fn values(&self, col: &Col<'_>) -> String {
        let Some(sample) = self.sample(col) else { return "no rows to look at".to_owned() };
        let distinct = sample.distinct(col.name());
        // One or two letters are a code; two characters of other scripts may be a whole name.
        let code = |text: &str| text.len() <= 2 && text.is_ascii();
        let shown = |v: &&(&str, usize)| (v.1 >= RARE || code(v.0)) && v.0.len() <= 40;
        let named: Vec<String> =
            distinct.iter().filter(shown).take(12).map(|(v, n)| format!("{v} ({n})")).collect();
        let rest = distinct.len() - named.len();
        let rest = match rest {
            0 => String::new(),
            n if distinct.len() >= 200 => format!(", and {n} or more that are not listed"),
            n => format!(", and {n} not listed because they are rare"),
        };
        let rows = sample.rows();
        if named.is_empty() {
            return format!(
                "{} distinct values in {rows} rows, none frequent enough to be listed",
                distinct.len()
            );
        }
        format!("in {rows} rows: {}{rest}", named.join(", "))
    }

    /// A leaf that reads a date or time, with how sure it is. `None` when the cells are none.
    pub fn date(&self, col: &Col<'_>, wants_time: bool) -> Option<(String, Sure, String)> {
        let leaf = col.leaf();
        match col.column.ty {
            SqlType::Date | SqlType::DateTime | SqlType::Instant => {
                let why = format!("'{}' is a {}", col.name(), col.column.declared);
                if let Some(found) = self.buddhist(col, &leaf) {
                    return Some(found);
                }
                let Some(none) = self.sample(col).and_then(|s| s.no_date(col.name())) else {
                    return Some((leaf, Sure::Certain, why));
                };
                let why =
                    format!("{why}; {} stands there for none in {} rows", none.text, none.rows);
                return Some((format!("{leaf} | null('{}')", none.text), Sure::Certain, why));
            }
            SqlType::Integer { .. } | SqlType::Decimal => return self.date_in_number(col),
            SqlType::Text | SqlType::Char | SqlType::Any => {}
            _ => return None,
        }
        let name = col.name();
        let Some(sample) = self.sample(col).filter(|s| s.cells(name).next().is_some()) else {
            let why =
                format!("'{name}' is a text and there were no cells to see how dates are written");
            return Some((format!("{leaf} | date"), Sure::Guess, why));
        };
        let Some(dated) = sample.dated(name) else { return self.packed(col, wants_time) };
        let dated = dated.settled(self.day_first);
        let seen = format!("{} % of the cells of '{name}' are written so", dated.percent);
        let word = if wants_time && dated.time { "datetime" } else { "date" };
        let pipe = match dated.format {
            None if wants_time => leaf,
            None => format!("{leaf} | date"),
            Some(format) if !wants_time && dated.time => {
                return Some((format!("{leaf} | date('{format}')"), Sure::Guess, seen));
            }
            Some(format) => format!("{leaf} | {word}('{format}')"),
        };
        Some(match dated.doubt {
            Some(other) => {
                let why = format!("{seen}, but they can be read as {other} as well: ask");
                (pipe, Sure::Guess, why)
            }
            None => (pipe, Sure::Likely, seen),
        })
    }

    /// A date and, where there is one, the column with the time of day beside it.
    pub fn moment(&mut self, col: &Col<'c>) -> Option<(String, Sure, String)> {
        let (pipe, sure, why) = self.date(col, true)?;
        let no_time = match col.column.ty {
            SqlType::Date => true,
            SqlType::DateTime | SqlType::Instant => false,
            _ => pipe.contains("| date("),
        };
        let clock = |c: &Col<'c>| {
            let texts = self.sample(c).and_then(|s| s.percent(c.name(), is_clock));
            c.alias == col.alias && (c.column.ty == SqlType::Time || texts.is_some_and(|p| p >= 90))
        };
        if !no_time || sure == Sure::Guess {
            return Some((pipe, sure, why));
        }
        let Some(time) = self.all(concept::TIME).into_iter().find(clock) else {
            return Some((pipe, sure, why));
        };
        let seconds = self.sample(&time).and_then(|s| s.percent(time.name(), |c| c.len() > 5));
        let clock = if seconds.is_some_and(|p| p >= 50) { "HH:mm:ss" } else { "HH:mm" };
        let (date, leaf) = (col.leaf(), time.leaf());
        let day =
            pipe.split_once("date('").and_then(|(_, rest)| rest.split_once('\'')).map(|(f, _)| f);
        let pipe = match (day, col.column.ty) {
            (Some(day), _) => format!("{date}, {leaf} | datetime('{day} {clock}')"),
            (None, _) => format!("{date}, {leaf} | datetime"),
        };
        self.mark(&time);
        Some((pipe, sure, format!("{why}; '{}' is the time of day", time.name())))
    }

    /// Everything of the entry's own table that nothing was made of.
    pub fn unused(&self) -> Vec<Col<'c>> {
        let mut left = Vec::new();
        for (alias, number) in self.scopes() {
            let columns = self.rec.graph.table(number).into_iter().flat_map(|t| &t.columns);
            let key = self.rec.graph.key(number).map(<[String]>::to_vec).unwrap_or_default();
            for column in columns {
                let place = (number, column.name.clone());
                if !self.used.contains(&place) && !key.contains(&column.name) {
                    left.push(Col { alias, table: number, column });
                }
            }
        }
        left
    }
}

/// What the columns that leave no doubt say of the order of day and month, when they agree.
fn day_first(samples: &BTreeMap<usize, Sampled>) -> Option<bool> {
    let proofs: BTreeSet<bool> = samples.values().flat_map(Sampled::orders).collect();
    (proofs.len() == 1).then(|| proofs.into_iter().next()).flatten()
}

/// Whether most cells of a column that begin with a year begin with one of the Buddhist era.
pub(super) fn is_ahead(sample: &Sampled, column: &str) -> bool {
    let year = |cell: &str| cell.get(..4).and_then(|year| year.parse::<i16>().ok());
    let ahead = |cell: &str| year(cell).is_some_and(|y| (2393..2743).contains(&y));
    sample.percent(column, ahead).is_some_and(|percent| percent >= 50)
}

pub(super) fn is_clock(cell: &str) -> bool {
    crate::mapping::lens::format::clock_time(cell).is_some()
}
