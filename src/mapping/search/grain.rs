//! How much of a date is known, and the boundaries of that much: of a year, a month, a day.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use crate::fhir::moment::END;
use crate::fhir::primitive::Precision;

/// The last boundary of a grain at or before a moment.
pub(super) fn floor(grain: Precision, at: DateTime) -> DateTime {
    let day = at.date();
    match grain {
        // What the calendar ends with ends a year, a month and a day.
        _ if at == END => at,
        Precision::Year => start(day.first_of_year()),
        Precision::Month => start(day.first_of_month()),
        Precision::Day => start(day),
        _ => at,
    }
}

/// The first boundary of a grain at or after a moment.
pub(super) fn ceil(grain: Precision, at: DateTime) -> DateTime {
    let low = floor(grain, at);
    if low == at {
        return at;
    }
    let next = match grain {
        Precision::Year => low.checked_add(1.year()),
        Precision::Month => low.checked_add(1.month()),
        _ => low.checked_add(1.day()),
    };
    next.unwrap_or(END)
}

fn start(day: Date) -> DateTime {
    day.at(0, 0, 0, 0)
}

/// ISO text of a boundary, as long as the grain's texts are, with years so many `ahead` of ours.
pub(super) fn cut(grain: Precision, at: DateTime, ahead: i16) -> Option<String> {
    let day = at.date().to_string();
    let text = match grain {
        Precision::Year => day.get(..4)?.to_owned(),
        Precision::Month => day.get(..7)?.to_owned(),
        Precision::Day => day,
        _ => {
            // Whole seconds are at or after a fraction when they are so after the next second.
            let nanos = i64::from(at.subsec_nanosecond());
            let up = if nanos == 0 { 0 } else { 1_000_000_000 - nanos };
            moment(at.checked_add(up.nanoseconds()).ok()?)
        }
    };
    // As texts: the years of another era have their leap days in other years of ours.
    let (year, rest) = text.split_at_checked(4)?;
    let year = year.parse::<i16>().ok()?.checked_add(ahead).filter(|year| *year <= 9999)?;
    Some(format!("{year:04}{rest}"))
}

/// ISO text of a moment.
pub(super) fn moment(at: DateTime) -> String {
    let micros = at.subsec_nanosecond() / 1000;
    let time = at.time();
    let seconds =
        format!("{}T{:02}:{:02}:{:02}", at.date(), time.hour(), time.minute(), time.second());
    if micros == 0 { seconds } else { format!("{seconds}.{micros:06}") }
}
