//! The present time in a column of the hospital's.

use jiff::tz::Offset;

use crate::fhir::primitive::Precision;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::format::{DateIn, Stamp};
use crate::mapping::lens::{Gather, Lens, Reading, Step, typed};
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::rows::Row;
use crate::mapping::tree::Source;

use super::store::{civil, write};

/// In milliseconds.
const MINUTE: i64 = 60_000;

/// What `touch` writes, to the second; `None` where the column cannot hold it. A text column is written as
/// `last_updated` reads it.
pub fn touch(
    column: &ColumnRef,
    lens: Option<&Lens>,
    reading: &Reading,
    millis: i64,
) -> Option<Value> {
    let at = jiff::Timestamp::from_second(millis.div_euclid(1000)).ok()?;
    let reads = lens.filter(
        |lens| matches!(&lens.gather, Gather::Column(slot) if slot.column.name == column.name),
    );
    if let Some(Step::DateTime(from)) = reads.and_then(|lens| lens.steps.first()) {
        let text = match from {
            DateIn::Epoch { millis: true } => at.as_millisecond().to_string(),
            DateIn::Epoch { millis: false } => at.as_second().to_string(),
            DateIn::Iso => return plain(column, reading, at),
            DateIn::Columns => return None,
            DateIn::Days(days) => days.write(&now(reading, at))?,
            DateIn::Packed(packed) => packed.write(&now(reading, at))?,
            DateIn::Formats(formats) => formats.iter().find_map(|format| {
                let utc = format.utc();
                let local =
                    if utc { Offset::UTC.to_datetime(at) } else { reading.zone.to_datetime(at) };
                let stamp = Stamp {
                    date: local.date(),
                    precision: Precision::Second,
                    time: Some(local.time()),
                    offset: None,
                };
                write(format, &stamp)
            })?,
        };
        return typed::for_column(column, &text);
    }
    plain(column, reading, at)
}

/// When a row was touched, as its column says; in milliseconds since 1970. Of the hour that comes twice the second
/// time counts where it is not ahead of `now`, but for the seconds by which changes follow one another.
pub fn touched(
    column: &ColumnRef,
    source: &Source,
    reading: &Reading,
    row: Row<'_>,
    now: i64,
) -> Option<i64> {
    let reads = |lens: &&Lens| match &lens.gather {
        Gather::Column(slot) => slot.column.name == column.name,
        _ => false,
    };
    let at: jiff::Timestamp = if let Some(lens) = source.modified.as_ref().filter(reads) {
        lens.read(row).ok()??.parse().ok()?
    } else {
        let version = source.version.as_ref().filter(reads)?;
        let Gather::Column(slot) = &version.gather else { return None };
        let text = row.get(slot.cell)?;
        let local = || reading.zone.to_ambiguous_timestamp(text.parse().ok()?).compatible().ok();
        text.parse().ok().or_else(local)?
    };
    let again = reading.zone.to_ambiguous_timestamp(reading.zone.to_datetime(at)).later().ok();
    let again = again.map(jiff::Timestamp::as_millisecond).filter(|at| *at < now + MINUTE);
    Some(again.unwrap_or(at.as_millisecond()))
}

/// The present time as the hospital's clocks show it.
fn now(reading: &Reading, at: jiff::Timestamp) -> Stamp {
    let local = reading.zone.to_datetime(at);
    let (date, time) = (local.date(), Some(local.time()));
    Stamp { date, precision: Precision::Second, time, offset: None }
}

fn plain(column: &ColumnRef, reading: &Reading, at: jiff::Timestamp) -> Option<Value> {
    let local = civil(reading.zone.to_datetime(at));
    let text = match column.ty {
        SqlType::DateTime | SqlType::Text | SqlType::Any => local,
        SqlType::Date => local.get(..10)?.to_owned(),
        SqlType::Instant => format!("{}Z", civil(Offset::UTC.to_datetime(at))),
        _ => return None,
    };
    typed::for_column(column, &text)
}
