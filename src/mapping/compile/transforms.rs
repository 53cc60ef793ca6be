//! Pipes to lenses: each transform by name, and what must be added for a column to fit its element.

use std::sync::Arc;

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::codes::{CodeMap, Field};
use crate::mapping::lens::format::{DateFormat, DateIn};
use crate::mapping::lens::{Gather, Lens, Out, Slot, Step, Target, typed};
use crate::mapping::problem::did_you_mean;
use crate::mapping::syntax::{Call, Pipe};

use super::Compiler;
use super::leaf::Wanted;
use super::scope::Scope;

/// Every transform, for "did you mean".
const NAMES: [&str; 20] = [
    "trim", "upper", "lower", "prefix", "suffix", "null", "default", "bool", "int", "decimal",
    "date", "datetime", "code", "display", "system", "ref", "split", "join", "first", "coalesce",
];

/// What a pipe gives so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
type Wrong = (&'static str, String, String);

fn wrong<T>(
    code: &'static str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Result<T, Wrong> {
    Err((code, message.into(), hint.into()))
}

/// A lens being put together.
struct Parts {
    slots: Vec<Slot>,
    gather: Option<Gather>,
    steps: Vec<Step>,
    split: Option<String>,
    kind: Kind,
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
        let mut slots = Vec::new();
        for name in &pipe.columns {
            let column = self.column(scope, name, at)?;
            slots.push(scope.slot(column));
        }
        match self.build(slots, pipe, wanted) {
            Ok(lens) => Some(lens),
            Err((code, message, hint)) => {
                self.problems.error(at, code, message, hint);
                None
            }
        }
    }

    fn build(&self, slots: Vec<Slot>, pipe: &Pipe, wanted: &Wanted<'_>) -> Result<Lens, Wrong> {
        let many = slots.len() > 1;
        let gather = if many { None } else { slots.first().cloned().map(Gather::Column) };
        let mut parts = Parts { slots, gather, steps: Vec::new(), split: None, kind: Kind::Raw };
        for (number, call) in pipe.calls.iter().enumerate() {
            if parts.split.is_some() {
                let hint = "Make it the last transform.";
                return wrong("transform", "Nothing can follow 'split'.", hint);
            }
            self.call(&mut parts, call, number == 0, wanted)?;
        }
        if parts.gather.is_none() && !parts.slots.is_empty() {
            parts.gather = Some(Gather::First(parts.slots.clone()));
        }
        let out = self.fit(&mut parts, wanted)?;
        let Parts { gather: Some(gather), steps, split, .. } = parts else {
            return wrong("transform", "The leaf has no column.", "Begin it with `$column`.");
        };
        Ok(Lens { gather, steps, split, out, reading: Arc::clone(&self.reading) })
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
            return Ok(());
        }
        let several_first = first && parts.slots.len() > 1;
        if several_first {
            let slots = parts.slots.clone();
            parts.gather = Some(match name {
                "ref" => Gather::Parts(slots),
                // A format with a time is of both texts together, else each is of its own kind.
                "datetime" if args.iter().any(|format| format.contains("HH")) => {
                    Gather::Joined { slots, separator: " ".to_owned() }
                }
                "datetime" => Gather::Parts(slots),
                _ => Gather::First(slots),
            });
        }
        let (step, kind) = match (name, args) {
            ("trim", []) => (Step::Trim, parts.kind),
            ("upper", []) => (Step::Upper, Kind::Text),
            ("lower", []) => (Step::Lower, Kind::Text),
            ("prefix", [text]) => (Step::Prefix(text.clone()), Kind::Text),
            ("suffix", [text]) => (Step::Suffix(text.clone()), Kind::Text),
            ("null", [_, ..]) => (Step::NullIf(args.to_vec()), parts.kind),
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
            ("decimal", [separator]) => {
                let mut chars = separator.chars();
                match (chars.next(), chars.next()) {
                    (Some(one), None) if !one.is_ascii_digit() => {
                        (Step::Decimal(one), Kind::Decimal)
                    }
                    _ => return arguments(name),
                }
            }
            ("date", _) => (Step::Date(self.dates(parts, args)?), Kind::Date),
            ("datetime", _) => {
                let parted = matches!(parts.gather, Some(Gather::Parts(_)));
                if parted && parts.slots.len() != 2 {
                    let hint = "Write `$date_column, $time_column | datetime`.";
                    return wrong("transform", "'datetime' takes a date and a time.", hint);
                }
                (Step::DateTime(self.dates(parts, args)?), Kind::DateTime)
            }
            ("code", [map]) => (Step::Code(self.code_map(map)?, Field::Code), Kind::Coded),
            ("display", [map]) => (Step::Code(self.code_map(map)?, Field::Display), Kind::Text),
            ("system", [map]) => (Step::Code(self.code_map(map)?, Field::System), Kind::Text),
            ("ref", [ty] | [ty, _]) => {
                let source = args.get(1).map(String::as_str);
                let target = self.target(parts, ty, source, wanted)?;
                (Step::Reference(target), Kind::Reference)
            }
            _ if NAMES.contains(&name) => return arguments(name),
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

    fn dates(&self, parts: &Parts, args: &[String]) -> Result<DateIn, Wrong> {
        match args {
            [] => return Ok(DateIn::Iso),
            [one] if one == "epoch" => return Ok(DateIn::Epoch { millis: false }),
            [one] if one == "epoch_ms" => return Ok(DateIn::Epoch { millis: true }),
            _ => {}
        }
        let typed = parts.slots.first().is_some_and(|slot| {
            matches!(slot.column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
        });
        if typed && parts.steps.is_empty() {
            let hint = "Take the format away: `| date` or `| datetime`.";
            return wrong("type", "The column is a date already and has no format.", hint);
        }
        let mut formats = Vec::new();
        for text in args {
            match DateFormat::parse(text) {
                Ok(format) => formats.push(format),
                Err(message) => {
                    let hint =
                        "A format is made of yyyy, MM, dd, HH, mm, ss and SSS: 'dd/MM/yyyy HH:mm'.";
                    return wrong("date-format", format!("The format is broken: {message}."), hint);
                }
            }
        }
        Ok(DateIn::Formats(formats))
    }

    fn target(
        &self,
        parts: &Parts,
        ty: &str,
        source: Option<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<Arc<Target>, Wrong> {
        if !wanted.targets.is_empty() && !wanted.targets.contains(&ty) {
            let message = format!("{} may not point to a {ty}.", wanted.path);
            let hint = format!("It may point to: {}.", wanted.targets.join(", "));
            return wrong("reference-type", message, hint);
        }
        let mut found = self.targets.iter().filter(|(name, target)| {
            target.resource_type == ty && source.is_none_or(|source| source == name)
        });
        let Some((_, target)) = found.next() else {
            let message = format!(
                "No entry maps {ty}{}.",
                source.map(|s| format!(" as '{s}'")).unwrap_or_default()
            );
            let hint = format!("Add an entry of type {ty}, or leave the reference out.");
            return wrong("reference-not-mapped", message, hint);
        };
        if found.next().is_some() {
            let message = format!("Several entries map {ty}.");
            let hint = format!("Say which: `ref({ty}, name)`.");
            return wrong("reference-ambiguous", message, hint);
        }
        let columns = match parts.gather {
            Some(Gather::Column(_) | Gather::Joined { .. } | Gather::First(_)) => 1,
            _ => parts.slots.len(),
        };
        if columns != target.id.key.len() {
            let message = format!(
                "The key of {ty} has {} columns; here stand {columns}.",
                target.id.key.len()
            );
            return wrong("reference-key", message, "Name one column for each column of its key.");
        }
        Ok(Arc::clone(target))
    }

    /// Makes a pipe end in what its element is.
    fn fit(&self, parts: &mut Parts, wanted: &Wanted<'_>) -> Result<Out, Wrong> {
        let Wanted { ty, path, .. } = wanted;
        let Some(mut out) = Self::plain_out(ty) else {
            return wrong(
                "type",
                format!("{path} is a {ty}, which is not served yet."),
                "Leave it out.",
            );
        };
        let columns: Vec<SqlType> = parts.slots.iter().map(|slot| slot.column.ty).collect();
        let all = |test: fn(&SqlType) -> bool| columns.iter().all(test);
        let temporal =
            |t: &SqlType| matches!(t, SqlType::Date | SqlType::DateTime | SqlType::Instant);
        let dated = all(|t| {
            typed::is_text(*t) || matches!(t, SqlType::Date | SqlType::DateTime | SqlType::Instant)
        });
        let number = |t: &SqlType| {
            typed::is_text(*t)
                || matches!(t, SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float)
        };
        let integer = |t: &SqlType| {
            typed::is_text(*t) || matches!(t, SqlType::Integer { .. } | SqlType::Decimal)
        };
        let plain = matches!(parts.kind, Kind::Raw | Kind::Text);
        let implied = match &out {
            _ if !plain => None,
            Out::Boolean if all(|t| *t == SqlType::Boolean) => Some(booleans(&[])),
            Out::Decimal if all(number) => Some(Step::Decimal('.')),
            Out::Integer { .. } if all(integer) => Some(Step::Integer),
            Out::Date if dated => Some(Step::Date(DateIn::Iso)),
            Out::DateTime | Out::Instant if dated => Some(Step::DateTime(DateIn::Iso)),
            _ => None,
        };
        let fits = implied.is_some()
            || match (&out, parts.kind) {
                (Out::Text, kind) => kind != Kind::Reference || *ty == "string",
                (Out::Code(_) | Out::Id | Out::Uri, kind) => {
                    matches!(kind, Kind::Raw | Kind::Text | Kind::Coded | Kind::Integer)
                }
                (Out::Boolean, kind) => kind == Kind::Boolean,
                (Out::Decimal, kind) => matches!(kind, Kind::Decimal | Kind::Integer),
                (Out::Integer { .. }, kind) => kind == Kind::Integer,
                (Out::Date, kind) => kind == Kind::Date,
                (Out::DateTime, kind) => matches!(kind, Kind::Date | Kind::DateTime),
                (Out::Instant, kind) => kind == Kind::DateTime,
                (Out::Time, kind) => {
                    matches!(kind, Kind::Raw | Kind::Text) && !columns.iter().any(temporal)
                }
            };
        if !fits {
            let hint = match &out {
                Out::Boolean => "Say what stands for yes and for no: `| bool('1', '0')`.",
                Out::Decimal => "Write `| decimal`.",
                Out::Integer { .. } => "Write `| int`.",
                Out::Date => "Say how the date is written: `| date('dd/MM/yyyy')`.",
                Out::DateTime | Out::Instant => {
                    "Say how it is written: `| datetime('dd/MM/yyyy HH:mm')`."
                }
                _ => "Take the transform away that makes it something else.",
            };
            return wrong("type", format!("{path} is a {ty}; this gives something else."), hint);
        }
        parts.steps.extend(implied);
        self.check_codes(parts, wanted, &mut out)?;
        Ok(out)
    }

    /// Codes of a map are checked now, others when they are read.
    fn check_codes(&self, parts: &Parts, wanted: &Wanted<'_>, out: &mut Out) -> Result<(), Wrong> {
        let Some(codes) = wanted.codes else { return Ok(()) };
        if let Some(Step::Code(map, field)) = parts.steps.last() {
            let bad: Vec<&str> =
                map.all().filter_map(|c| c.field(*field)).filter(|c| !codes.contains(c)).collect();
            if let Some(first) = bad.first() {
                let message = format!(
                    "'{first}' (code map '{}') is no code {} may have.",
                    map.name, wanted.path
                );
                let hint = format!("It may be: {}.", codes.join(", "));
                return wrong("code-not-allowed", message, hint);
            }
            return Ok(());
        }
        if let Some(Step::Default(text)) = parts.steps.last()
            && !codes.contains(&text.as_str())
        {
            let message = format!("'{text}' is no code {} may have.", wanted.path);
            let hint = format!("It may be: {}.", codes.join(", "));
            return wrong("code-not-allowed", message, hint);
        }
        *out = Out::Code(Some(codes.iter().map(|c| (*c).to_owned()).collect()));
        Ok(())
    }
}

fn arguments<T>(name: &str) -> Result<T, Wrong> {
    let hint = match name {
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

fn booleans(args: &[String]) -> Step {
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
    !words.iter().any(|w| typed::for_column(&slot.column, w).is_some())
}
