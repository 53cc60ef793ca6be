//! Leaves: `"$a, $b | transform(args) | …"`, and what each transform can do: give a value, and be turned
//! around for searching.

use jiff::tz::TimeZone;

use super::codes::CodeMap;
use super::dates::{self, Format};

/// A leaf as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeafText {
    /// Column names, each perhaps with an alias before a dot.
    pub(super) columns: Vec<String>,
    /// Transforms and their arguments.
    pub(super) steps: Vec<(String, Vec<String>)>,
}

/// One transform, ready to run.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The columns that are neither NULL nor blank, joined.
    Join(String),
    /// One text into several.
    Split(char),
    /// The first column that is neither NULL nor blank.
    First,
    /// These texts count as NULL.
    Null(Vec<String>),
    /// Instead of NULL.
    Default(String),
    /// Upper case.
    Upper,
    /// Lower case.
    Lower,
    /// A text before.
    Prefix(String),
    /// A code map.
    Code(CodeMap),
    /// Boolean: these texts are true and false.
    Bool(String, String),
    /// A whole number.
    Int,
    /// A decimal with this separator.
    Decimal(char),
    /// A date in a local format, or in the column's own type.
    Date(Option<Format>),
    /// A date and time; several columns are joined with a blank first.
    DateTime(Option<Format>),
    /// A reference: the target's type and what stands before the key in its ids.
    Reference {
        /// FHIR type.
        target: String,
        /// Literal before the key.
        prefix: String,
    },
}

/// What JSON a leaf gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A JSON string.
    Text,
    /// A JSON number, digits kept as they are.
    Number,
    /// A JSON boolean.
    Boolean,
}

/// A leaf bound to columns of a row.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Places in the row.
    pub(super) slots: Vec<usize>,
    /// What happens to them.
    pub(super) steps: Vec<Step>,
    /// The JSON it gives.
    pub(super) kind: Kind,
    /// Place in the document, for counting bad cells.
    pub(super) path: usize,
}

/// Why a cell gives nothing although it is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCell;

impl LeafText {
    /// Reads a leaf; `Err` says what is wrong with it. `None` for a constant (it does not begin with `$`).
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        if !text.starts_with('$') || text.starts_with("$$") {
            return None;
        }
        Some(Self::read(text))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut parts = split_outside_quotes(text, '|')?.into_iter();
        let head = parts.next().unwrap_or_default();
        let mut columns = Vec::new();
        for column in head.split(',') {
            let name = column.trim().strip_prefix('$').unwrap_or_default();
            if name.is_empty() || name.contains(['$', '(', '\'', '"']) {
                return Err(format!("\"{}\" is not a column; write $name", column.trim()));
            }
            columns.push(name.to_owned());
        }
        let mut steps = Vec::new();
        for part in parts {
            steps.push(call(part.trim())?);
        }
        Ok(Self { columns, steps })
    }
}

/// `name` or `name('a', b)`.
fn call(text: &str) -> Result<(String, Vec<String>), String> {
    let Some((name, rest)) = text.split_once('(') else {
        return Ok((text.to_owned(), Vec::new()));
    };
    let inner = rest.strip_suffix(')').ok_or(format!("\"{text}\" lacks its closing bracket"))?;
    let mut arguments = Vec::new();
    if !inner.trim().is_empty() {
        for argument in split_outside_quotes(inner, ',')? {
            let argument = argument.trim();
            let quoted = ['\'', '"']
                .into_iter()
                .find_map(|quote| argument.strip_prefix(quote).and_then(|a| a.strip_suffix(quote)));
            arguments.push(quoted.unwrap_or(argument).to_owned());
        }
    }
    Ok((name.trim().to_owned(), arguments))
}

fn split_outside_quotes(text: &str, separator: char) -> Result<Vec<String>, String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for letter in text.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            (None, letter) if letter == separator => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(letter);
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    parts.push(part);
    Ok(parts)
}

impl Leaf {
    /// Whether it gives several values.
    pub(super) fn splits(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Split(_)))
    }

    /// The leaf's values for a row: none, one, or after `split` several.
    pub(super) fn values<'r>(
        &self,
        cell: impl Fn(usize) -> Option<&'r str>,
        zone: &TimeZone,
    ) -> Result<Vec<String>, BadCell> {
        let blank = |text: &&str| !text.trim().is_empty();
        let mut cells =
            self.slots.iter().filter_map(|slot| cell(*slot).filter(blank)).map(str::trim);
        let mut steps = self.steps.as_slice();
        let mut value: Option<String> = match steps.first() {
            Some(Step::Join(separator)) => {
                steps = &steps[1..];
                let joined = cells.collect::<Vec<_>>().join(separator);
                (!joined.is_empty()).then_some(joined)
            }
            Some(Step::DateTime(_)) if self.slots.len() > 1 => {
                Some(cells.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
            }
            _ => cells.next().map(str::to_owned),
        };
        for (at, step) in steps.iter().enumerate() {
            if let (Step::Split(separator), Some(text)) = (step, &value) {
                let rest = steps.get(at + 1..).unwrap_or_default();
                let items = text.split(*separator).map(str::trim).filter(|item| !item.is_empty());
                let items = items.map(|item| run(rest, Some(item.to_owned()), zone));
                return items.filter_map(Result::transpose).collect();
            }
            value = run(std::slice::from_ref(step), value, zone)?;
        }
        Ok(value.into_iter().collect())
    }
}

fn run(
    steps: &[Step],
    mut value: Option<String>,
    zone: &TimeZone,
) -> Result<Option<String>, BadCell> {
    for step in steps {
        value = match (step, value) {
            (Step::Default(instead), None) => Some(instead.clone()),
            (Step::Code(map), value) => map.forward(value.as_deref()).map_err(|()| BadCell)?,
            (_, None) => None,
            (step, Some(text)) => one(step, text, zone)?,
        };
    }
    Ok(value)
}

fn one(step: &Step, text: String, zone: &TimeZone) -> Result<Option<String>, BadCell> {
    Ok(Some(match step {
        Step::Null(sentinels) if sentinels.contains(&text) => return Ok(None),
        Step::Upper => text.to_uppercase(),
        Step::Lower => text.to_lowercase(),
        Step::Prefix(prefix) => format!("{prefix}{text}"),
        Step::Bool(yes, no) => match &text {
            text if text == yes => "true".to_owned(),
            text if text == no => "false".to_owned(),
            _ => return Err(BadCell),
        },
        Step::Int => canonical_int(&text).ok_or(BadCell)?,
        Step::Decimal(separator) => decimal(&text, *separator).ok_or(BadCell)?,
        Step::Date(None) => dates::from_date(&text).ok_or(BadCell)?,
        Step::Date(Some(format)) => {
            format.read(&text).and_then(dates::Parts::fhir_date).ok_or(BadCell)?
        }
        Step::DateTime(None) => dates::from_date_time(&text, zone).ok_or(BadCell)?,
        Step::DateTime(Some(format)) => {
            format.read(&text).and_then(|p| p.fhir_date_time(format.zone(zone))).ok_or(BadCell)?
        }
        Step::Reference { target, prefix } => {
            let id = format!("{prefix}{text}");
            if !super::is_fhir_id(&id) {
                return Err(BadCell);
            }
            format!("{target}/{id}")
        }
        Step::Join(_)
        | Step::Split(_)
        | Step::First
        | Step::Null(_)
        | Step::Default(_)
        | Step::Code(_) => text,
    }))
}

/// A whole number in plain digits: no sign but `-`, no leading zeros.
pub(super) fn canonical_int(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain =
        !digits.is_empty() && digits.len() <= 19 && digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = plain && (digits == "0" || !digits.starts_with('0')) && text != "-0";
    canonical.then(|| text.to_owned())
}

/// A JSON number with the digits as they stand, trailing zeros included.
fn decimal(text: &str, separator: char) -> Option<String> {
    let text = text.replacen(separator, ".", 1);
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = match magnitude.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (magnitude, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || fraction.is_some_and(|f| f.is_empty() || !digits(f)) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None if magnitude.is_empty() => return None,
        None => format!("{sign}{whole}"),
    })
}
