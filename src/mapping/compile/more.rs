//! Transforms that make a text of a text, and those that reckon with moments.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::mapping::lens::cut::json_pointer;
use crate::mapping::lens::decimal::Decimal;
use crate::mapping::lens::format::DateIn;
use crate::mapping::lens::moment::{Combine, Unit};
use crate::mapping::lens::rewrite::Rewrite;
use crate::mapping::lens::{Gather, Step};
use crate::mapping::problem::did_you_mean;

use super::settings::ZONES;
use super::transforms::{Kind, Parts, Wrong, dates, wrong};

type Made = Result<Option<(Step, Kind)>, Wrong>;

/// The step of a transform; `None` when its arguments do not fit.
pub(super) fn step(parts: &Parts, name: &str, args: &[String]) -> Made {
    let text = |rewrite| Ok(Some((Step::Rewrite(Arc::new(rewrite)), Kind::Text)));
    match (name, args) {
        ("replace", [from, to]) if !from.is_empty() => {
            text(Rewrite::Replace { from: from.clone(), to: to.clone() })
        }
        ("capture", [pattern] | [pattern, _]) => {
            match Rewrite::capture(pattern, args.get(1).map(String::as_str)) {
                Ok(rewrite) => text(rewrite),
                Err(message) => {
                    let message = format!("The regular expression does not do: {message}.");
                    let hint = "Round brackets mark what is wanted: `'^([A-Z]+):'`.";
                    wrong("regex", message, hint)
                }
            }
        }
        ("json", [pointer]) => match json_pointer(pointer) {
            Some(path) => text(Rewrite::Json(path)),
            None => Ok(None),
        },
        ("uuid", []) => text(Rewrite::Uuid),
        ("base64", []) => text(Rewrite::Base64),
        ("repair", []) => text(Rewrite::Repair),
        ("scale", [factor, rest @ ..]) if rest.len() <= 2 => {
            let offset = rest.first().map(|text| Decimal::parse(text));
            let decimals = rest.get(1).map(|text| text.parse::<u32>().ok().filter(|n| *n <= 12));
            let (Some(factor), false, false) =
                (Decimal::parse(factor), offset == Some(None), decimals == Some(None))
            else {
                return Ok(None);
            };
            let (offset, decimals) = (offset.flatten(), decimals.flatten());
            let scale = Rewrite::Scale { factor, offset, decimals };
            Ok(Some((Step::Rewrite(Arc::new(scale)), Kind::Decimal)))
        }
        ("zoned", formats) => Ok(combined(parts, 2, Combine::Zoned(dates(parts, formats)?))),
        ("latest" | "greatest", formats) => {
            Ok(combined(parts, parts.slots.len(), Combine::Latest(dates(parts, formats)?)))
        }
        ("earliest", formats) => {
            Ok(combined(parts, parts.slots.len(), Combine::Earliest(dates(parts, formats)?)))
        }
        ("later" | "earlier", [amount, unit]) if amount.parse::<i64>().is_ok() => {
            let (Ok(amount), Some(unit)) = (amount.parse::<i64>(), Unit::parse(unit)) else {
                return Ok(None);
            };
            if !matches!(parts.kind, Kind::Date | Kind::DateTime) {
                let hint = "Write `| date` or `| datetime` before it.";
                return wrong("transform", format!("'{name}' moves dates and times."), hint);
            }
            let amount = if name == "earlier" { amount.saturating_neg() } else { amount };
            Ok(Some((Step::Later(amount, unit), parts.kind)))
        }
        ("later", [unit, formats @ ..]) => {
            let form = if formats.is_empty() { DateIn::Iso } else { dates(parts, formats)? };
            Ok(Unit::parse(unit).and_then(|unit| combined(parts, 2, Combine::Later(form, unit))))
        }
        _ => Ok(None),
    }
}

/// A step that takes its columns apart itself, which comes first and has so many of them.
/// A date in a column for each of its parts.
pub(super) fn in_columns(parts: &Parts) -> Result<DateIn, Wrong> {
    let parted = matches!(parts.gather, Some(Gather::Parts(_))) && parts.slots.len() == 3;
    if parted && parts.steps.is_empty() {
        return Ok(DateIn::Columns);
    }
    let hint = "Write `$year, $month, $day | date(ymd)`; of one column it is `date('yyyyMMdd')`.";
    wrong("transform", "'ymd' takes a year, a month and a day.", hint)
}

fn combined(parts: &Parts, columns: usize, how: Combine) -> Option<(Step, Kind)> {
    let whole = matches!(parts.gather, Some(Gather::Parts(_))) && parts.steps.is_empty();
    (whole && parts.slots.len() == columns).then_some((Step::Combine(how), Kind::DateTime))
}

/// A zone by its name.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, Wrong> {
    TimeZone::get(name).or_else(|_| {
        let hint = did_you_mean(name, ZONES, "Write a name like Europe/Madrid.");
        wrong("timezone", "This time zone is not known.", hint)
    })
}
