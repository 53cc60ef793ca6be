//! Pipes to lenses: each transform by name, and what must be added for a column to fit its element.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::base::Engine;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::codes::{CodeMap, Field};
use crate::mapping::lens::days::Days;
use crate::mapping::lens::format::{DateFormat, DateIn};
use crate::mapping::lens::{Gather, Lens, Reading, Slot, Step, nothing, typed};
use crate::mapping::plan::ColumnRef;
use crate::mapping::problem::did_you_mean;
use crate::mapping::syntax::{Call, Pipe};

use super::leaf::Wanted;
use super::scope::Scope;
use super::{Compiler, more};

/// Every transform, for "did you mean".
pub(in crate::mapping) const NAMES: [&str; 34] = [
    "trim", "upper", "lower", "prefix", "suffix", "null", "default", "bool", "int", "decimal",
    "date", "datetime", "code", "display", "system", "ref", "split", "join", "first", "coalesce",
    "replace", "capture", "json", "uuid", "base64", "repair", "scale", "zone", "zoned", "later",
    "earlier", "latest", "earliest", "greatest",
];

/// What is wrong with a pipe whatever its columns are.
const WHATEVER_THE_COLUMN: [&str; 8] = [
    "unknown-transform",
    "unknown-codes",
    "arguments",
    "code-not-allowed",
    "date-format",
    "reference-type",
    "reference-not-mapped",
    "reference-ambiguous",
];

/// What a pipe gives so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The column as it is.
    Raw,
    Text,
    Coded,
    Boolean,
    Integer,
    Decimal,
    Date,
    DateTime,
    Reference,
}

/// What is wrong with a pipe: code, message, hint.
pub(super) type Wrong = (&'static str, String, String);

pub(super) fn wrong<T>(
    code: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Result<T, Wrong> {
    Err((code, message.into(), hint.into()))
}

/// A lens being put together.
pub(super) struct Parts {
    pub slots: Vec<Slot>,
    pub gather: Option<Gather>,
    pub steps: Vec<Step>,
    pub split: Option<String>,
    pub kind: Kind,
    /// The zone of this column's times, where it is not the hospital's.
    pub zone: Option<TimeZone>,
}

impl<'c> Compiler<'c> {
    /// Compiles a pipe for an element.
    pub(super) fn lens(
        &mut self,
        scope: &mut Scope<'c>,
        pipe: &Pipe,
        wanted: &Wanted<'_>,
        at: &str,
    ) -> Option<Lens> {
        self.spend(pipe.columns.len() + pipe.calls.len(), at)?;
        let mut slots = Vec::new();
        let mut guessed = false;
        for name in &pipe.columns {
            let column = self.column(scope, name, at);
            guessed |= column.as_ref().is_none_or(|column| self.unknowable(scope, column));
            let guess = || {
                let (name, ty) = (name.name.clone(), SqlType::Any);
                ColumnRef { relation: 0, name, ty, collation: None }
            };
            let column = column.unwrap_or_else(guess);
            slots.push(scope.slot(self.as_stored(column, &pipe.calls)));
        }
        match self.build(slots, pipe, wanted) {
            Ok(lens) => Some(lens),
            // Of a column that is not there nobody knows what fits it.
            Err((code, ..)) if guessed && !WHATEVER_THE_COLUMN.contains(&code) => None,
            Err((code, message, hint)) => {
                self.problems.error(at, code, message, hint);
                None
            }
        }
    }

    /// A SQLite cell holds what it was given, whatever its column says; a format says what that is.
    fn as_stored(&self, column: ColumnRef, calls: &[Call]) -> ColumnRef {
        let dated = matches!(column.ty, SqlType::Date | SqlType::DateTime);
        if self.catalog.engine != Engine::Sqlite || !dated {
            return column;
        }
        let formats = |call: &&Call| matches!(call.name.as_str(), "date" | "datetime");
        let whole = |call: &Call, form: &str| {
            let days = call.name == "date" && Days::named(form).is_some();
            days || matches!(form, "epoch" | "epoch_ms")
        };
        let ty = SqlType::Integer { bits: 64, unsigned: false };
        match calls.iter().find(formats).map(|call| (call, call.args.as_slice())) {
            None | Some((_, [])) => column,
            Some((call, [form])) if whole(call, form) => ColumnRef { ty, ..column },
            Some(_) => ColumnRef { ty: SqlType::Text, ..column },
        }
    }

    pub(super) fn build(
        &self,
        slots: Vec<Slot>,
        pipe: &Pipe,
        wanted: &Wanted<'_>,
    ) -> Result<Lens, Wrong> {
        let many = slots.len() > 1;
        let gather = if many { None } else { slots.first().cloned().map(Gather::Column) };
        let mut calls = pipe.calls.as_slice();
        let mut slots = slots;
        // Before several columns come together, a text that stands for nothing does so in each.
        if many
            && let [call, rest @ ..] = calls
            && call.name == "null"
            && !call.args.is_empty()
        {
            for slot in &mut slots {
                slot.nothing = nothing::words(std::slice::from_ref(slot), &call.args);
            }
            calls = rest;
        }
        let (steps, split, kind, zone) = (Vec::new(), None, Kind::Raw, None);
        let mut parts = Parts { slots, gather, steps, split, kind, zone };
        for (number, call) in calls.iter().enumerate() {
            if parts.split.is_some() {
                let hint = "Make it the last transform.";
                return wrong("transform", "Nothing can follow 'split'.", hint);
            }
            self.call(&mut parts, call, number == 0, wanted)?;
        }
        if parts.gather.is_none() && !parts.slots.is_empty() {
            parts.gather = Some(Gather::First(parts.slots.clone()));
        }
        let out = Self::fit(&mut parts, wanted)?;
        let Parts { gather: Some(gather), steps, split, zone, .. } = parts else {
            return wrong("transform", "The leaf has no column.", "Begin it with `$column`.");
        };
        let reading = match zone {
            Some(zone) => Arc::new(Reading { zone, ..Reading::clone(&self.reading) }),
            None => Arc::clone(&self.reading),
        };
        Ok(Lens { gather, steps, split, out, reading })
    }

    fn call(
        &self,
        parts: &mut Parts,
        call: &Call,
        first: bool,
        wanted: &Wanted<'_>,
    ) -> Result<(), Wrong> {
        let name = call.name.as_str();
        let args = call.args.as_slice();
        if matches!(name, "join" | "first" | "coalesce") {
            return together(parts, name, args, first);
        }
        let several_first = first && parts.slots.len() > 1;
        if several_first {
            gather(parts, name, args);
        }
        let (step, kind) = match (name, args) {
            ("trim", []) => (Step::Trim, parts.kind),
            ("upper", []) => (Step::Upper, Kind::Text),
            ("lower", []) => (Step::Lower, Kind::Text),
            ("prefix", [text]) => (Step::Prefix(text.clone()), Kind::Text),
            ("suffix", [text]) => (Step::Suffix(text.clone()), Kind::Text),
            ("null", [_, ..]) => (Step::NullIf(nothing::words(&parts.slots, args)), parts.kind),
            ("default", [text]) => (Step::Default(text.clone()), parts.kind),
            ("split", [] | [_]) => {
                let separator = args.first().cloned().unwrap_or_else(|| " ".to_owned());
                if separator.is_empty() {
                    return arguments(name);
                }
                parts.split = Some(separator);
                parts.kind = Kind::Text;
                return Ok(());
            }
            ("bool", [] | [_, _]) => (booleans(args), Kind::Boolean),
            ("int", []) => (Step::Integer, Kind::Integer),
            ("decimal", []) => (Step::Decimal('.'), Kind::Decimal),
            ("decimal", [separator]) if matches!(separator.as_str(), "," | ".") => {
                (Step::Decimal(if separator == "," { ',' } else { '.' }), Kind::Decimal)
            }
            ("date", _) => (Step::Date(dates(parts, args)?), Kind::Date),
            ("datetime", _) => {
                let parted = matches!(parts.gather, Some(Gather::Parts(_)));
                if parted && parts.slots.len() != 2 {
                    let hint = "Write `$date_column, $time_column | datetime`.";
                    return wrong("transform", "'datetime' takes a date and a time.", hint);
                }
                (Step::DateTime(dates(parts, args)?), Kind::DateTime)
            }
            ("code", [map]) => (Step::Code(self.code_map(map)?, Field::Code), Kind::Coded),
            ("display", [map]) => (Step::Code(self.code_map(map)?, Field::Display), Kind::Text),
            ("system", [map]) => (Step::Code(self.code_map(map)?, Field::System), Kind::Text),
            ("ref", [ty] | [ty, _]) => {
                let source = args.get(1).map(String::as_str);
                let target = self.target(parts, ty, source, wanted)?;
                (Step::Reference(target), Kind::Reference)
            }
            ("zone", [zone]) => {
                parts.zone = Some(more::time_zone(zone)?);
                return Ok(());
            }
            _ if NAMES.contains(&name) => match more::step(parts, name, args)? {
                Some(step) => step,
                None => return arguments(name),
            },
            _ => {
                let otherwise = format!("There are: {}.", NAMES.join(", "));
                let hint = did_you_mean(name, NAMES, &otherwise);
                return wrong(
                    "unknown-transform",
                    format!("There is no transform '{name}'."),
                    hint,
                );
            }
        };
        parts.steps.push(step);
        parts.kind = kind;
        Ok(())
    }

    fn code_map(&self, name: &str) -> Result<Arc<CodeMap>, Wrong> {
        if let Some(map) = self.codes.get(name) {
            return Ok(Arc::clone(map));
        }
        let names = self.codes.keys().map(String::as_str);
        let hint = did_you_mean(name, names, "Declare it under `codes:`.");
        wrong("unknown-codes", format!("There is no code map '{name}'."), hint)
    }
}

/// Columns put together by name: `join`, `first`, `coalesce`.
fn together(parts: &mut Parts, name: &str, args: &[String], first: bool) -> Result<(), Wrong> {
    if !first {
        let message = format!("'{name}' takes columns together, so it comes first.");
        return wrong("transform", message, "Write `$a, $b | join(' ') | …`.");
    }
    let slots = parts.slots.clone();
    parts.kind = if name == "join" { Kind::Text } else { Kind::Raw };
    parts.gather = Some(match (name, args) {
        ("join", [separator]) => Gather::Joined { slots, separator: separator.clone() },
        ("join", []) => Gather::Joined { slots, separator: " ".to_owned() },
        ("first" | "coalesce", []) => Gather::First(slots),
        _ => return arguments(name),
    });
    Ok(())
}

/// Several columns before a transform that says itself how they become one.
fn gather(parts: &mut Parts, name: &str, args: &[String]) {
    let slots = parts.slots.clone();
    parts.gather = Some(match name {
        // A format with a time is of both texts together, else each is of its own kind.
        "datetime" if args.iter().any(|format| format.contains("HH")) => {
            Gather::Joined { slots, separator: " ".to_owned() }
        }
        "ref" | "datetime" | "zoned" | "later" | "latest" | "earliest" | "greatest" => {
            Gather::Parts(slots)
        }
        "date" if args == ["ymd"] => Gather::Parts(slots),
        _ => Gather::First(slots),
    });
}

pub(super) fn dates(parts: &Parts, args: &[String]) -> Result<DateIn, Wrong> {
    match args {
        [] => return Ok(DateIn::Iso),
        [one] if one == "epoch" => return Ok(DateIn::Epoch { millis: false }),
        [one] if one == "epoch_ms" => return Ok(DateIn::Epoch { millis: true }),
        [one] if one == "ymd" => return more::in_columns(parts),
        _ => {}
    }
    let typed = parts.slots.first().is_some_and(|slot| {
        matches!(slot.column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
    });
    // Days of the Buddhist era may stand in a column of dates.
    let era = parts.slots.first().is_some_and(|slot| slot.column.ty == SqlType::Date)
        && args.iter().all(|format| format == "bbbb-MM-dd");
    if typed && parts.steps.is_empty() && !era {
        let hint = "Take the format away: `| date` or `| datetime`.";
        return wrong("type", "The column is a date already and has no format.", hint);
    }
    if let [one] = args
        && let Some(own) = DateIn::own_way(one)
    {
        return Ok(own);
    }
    let mut formats = Vec::new();
    for text in args {
        match DateFormat::parse(text) {
            Ok(format) => formats.push(format),
            Err(message) => {
                let hint = "A format is made of yyyy (bbbb for the Buddhist era), MM, dd, HH, mm, ss and SSS: 'dd/MM/yyyy HH:mm'.";
                return wrong("date-format", format!("The format is broken: {message}."), hint);
            }
        }
    }
    Ok(DateIn::Formats(formats))
}

fn arguments<T>(name: &str) -> Result<T, Wrong> {
    let hint = match name {
        "replace" => "It takes the text and what stands in its place: `('-', '')`.",
        "capture" => {
            "It takes a regular expression, and which group if not the first: `('([0-9.]+)')`."
        }
        "json" => "It takes the place in the JSON: `('/vitals/0/value')`.",
        "scale" => {
            "It takes a factor, and if need be an offset and the number of decimals: `(0.45359237)`, `(0.5555556, -17.777778, 1)`."
        }
        "zone" => "It takes the name of a zone: `('America/Lima')`.",
        "zoned" => "Write `$time, $zone | zoned`, a format between the brackets if there is one.",
        "later" | "earlier" => {
            "Write `$from, $minutes | later(minutes)`, or `$date | date | later(30, days)`."
        }
        "latest" | "earliest" | "greatest" => "Write `$a, $b | latest`.",
        "prefix" | "suffix" | "default" => "It takes one text: `('text')`.",
        "null" => "It takes the texts that stand for nothing: `('-', '0')`.",
        "bool" => {
            "It takes what stands for yes and for no: `('1', '0')`, several with a bar: `('S|1', 'N|0')`."
        }
        "code" | "display" | "system" => "It takes the name of a code map: `(sexo)`.",
        "ref" => "It takes a resource type: `(Patient)`.",
        "join" | "split" => "It takes one separator: `(' ')`.",
        _ => "It takes nothing.",
    };
    wrong("arguments", format!("The arguments of '{name}' do not fit."), hint)
}

pub(super) fn booleans(args: &[String]) -> Step {
    let words = |n: usize, usual: &[&str]| match args.get(n) {
        Some(text) => text.split('|').map(str::to_owned).collect(),
        None => usual.iter().map(|w| (*w).to_owned()).collect(),
    };
    Step::Bool {
        yes: words(0, &["1", "true", "TRUE", "t", "T", "Y", "y", "yes", "YES"]),
        no: words(1, &["0", "false", "FALSE", "f", "F", "N", "n", "no", "NO"]),
    }
}

/// Whether a column can hold any of these texts, for a warning about words that never match.
pub(super) fn never_matches(slot: &Slot, words: &[String]) -> bool {
    // What a column of a type that is not known holds, bits for instance, shows only in its rows.
    let known = !matches!(slot.column.ty, SqlType::Other | SqlType::Json);
    known && !words.iter().any(|w| typed::for_column(&slot.column, w).is_some())
}
