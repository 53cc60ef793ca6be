//! What must be added for a pipe to end in what its element is.

use std::sync::Arc;

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::format::DateIn;
use crate::mapping::lens::rewrite::Rewrite;
use crate::mapping::lens::{Out, Step, typed};

use super::Compiler;
use super::doubts::bare_reference;
use super::leaf::Wanted;
use super::transforms::{Kind, Parts, Wrong, booleans, wrong};

impl Compiler<'_> {
    /// Makes a pipe end in what its element is.
    pub(super) fn fit(parts: &mut Parts, wanted: &Wanted<'_>) -> Result<Out, Wrong> {
        let Wanted { ty, path, .. } = wanted;
        let Some(mut out) = Self::plain_out(ty) else {
            return wrong(
                "type",
                format!("{path} is a {ty}, which is not served yet."),
                "Leave it out.",
            );
        };
        let columns: Vec<SqlType> = parts.slots.iter().map(|slot| slot.column.ty).collect();
        // What is made of a text is a text, whatever the column is.
        let rewritten = parts.steps.iter().any(|step| matches!(step, Step::Rewrite(_)));
        let all = |test: fn(&SqlType) -> bool| rewritten || columns.iter().all(test);
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
            Out::Base64 if parts.steps.is_empty() && all(|t| *t == SqlType::Binary) => {
                Some(Step::Rewrite(Arc::new(Rewrite::Encode)))
            }
            Out::Boolean if rewritten || all(|t| *t == SqlType::Boolean) => Some(booleans(&[])),
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
                (Out::Base64, kind) => matches!(kind, Kind::Raw | Kind::Text),
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
        if let Some(bare) = bare_reference(wanted, &parts.slots, &parts.steps) {
            return Err(bare);
        }
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
        Self::check_codes(parts, wanted, &mut out)?;
        Ok(out)
    }

    /// Codes of a map are checked now, others when they are read.
    fn check_codes(parts: &Parts, wanted: &Wanted<'_>, out: &mut Out) -> Result<(), Wrong> {
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
