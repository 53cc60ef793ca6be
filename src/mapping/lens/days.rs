//! Days counted from a day of long ago: MUMPS' `$HOROLOG`, Julian day numbers, the serial days of spreadsheets.

use jiff::civil::{Date, Time};
use jiff::{ToSpan as _, Unit};

use super::format::Stamp;
use crate::fhir::primitive::Precision;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What days are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Days {
    /// 1 is 1841-01-01; behind a comma the seconds since midnight.
    Horolog,
    /// The day at whose noon that Julian day begins; a fraction is that of a day since noon, as SQLite's
    /// `julianday()` gives it.
    Julian,
    /// 61 is 1900-03-01; a fraction is that of the day. What lies before is told by spreadsheets in two ways.
    Excel,
}

impl Days {
    /// By the word a mapping has for it.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "horolog" => Self::Horolog,
            "julian" => Self::Julian,
            "excel" => Self::Excel,
            _ => return None,
        })
    }

    /// The number of 1970-01-01.
    const fn at_epoch(self) -> i64 {
        match self {
            Self::Horolog => 47_117,
            Self::Julian => 2_440_588,
            Self::Excel => 25_569,
        }
    }

    /// The first and the last number that is a day: years 1 to 9999 at most.
    pub const fn range(self) -> (i64, i64) {
        let last = 2_932_896 + self.at_epoch();
        match self {
            Self::Horolog => (1, last),
            Self::Julian => (self.at_epoch() - 719_162, last),
            Self::Excel => (61, last),
        }
    }

    /// The number of a day, which may be out of range.
    pub fn number(self, date: Date) -> i64 {
        let epoch = Date::constant(1970, 1, 1);
        let days = date.since((Unit::Day, epoch)).map_or(0, |span| i64::from(span.get_days()));
        days + self.at_epoch()
    }

    /// Reads a cell.
    pub fn read(self, text: &str) -> Option<Stamp> {
        let (day, mark) = match (self, text.find([',', '.'])) {
            (_, Some(at)) => text.split_at_checked(at)?,
            _ => (text, ""),
        };
        let mut day = crate::fhir::primitive::integer(day)?;
        let seconds = match (self, mark) {
            (_, "") => None,
            (Self::Horolog, mark) => {
                let seconds = number(mark.strip_prefix(',')?)?;
                (seconds < DAY).then_some(())?;
                Some(seconds)
            }
            (Self::Julian, mark) => {
                let since_noon = of_a_day(mark.strip_prefix('.')?)?;
                let seconds = since_noon + DAY / 2;
                day = day.checked_add(i64::from(seconds >= DAY))?;
                Some(seconds % DAY)
            }
            (_, mark) => match of_a_day(mark.strip_prefix('.')?)? {
                0 => None,
                DAY => {
                    day = day.checked_add(1)?;
                    None
                }
                seconds => Some(seconds),
            },
        };
        let (first, last) = self.range();
        (first..=last).contains(&day).then_some(())?;
        let date = Date::constant(1970, 1, 1).checked_add((day - self.at_epoch()).days()).ok()?;
        let time = match seconds {
            None => None,
            Some(seconds) => Some(clock(seconds)?),
        };
        let precision = if time.is_some() { Precision::Second } else { Precision::Day };
        Some(Stamp { date, precision, time, offset: None })
    }

    /// A cell for a day or a local moment; `None` where it cannot be written to the second.
    pub fn write(self, stamp: &Stamp) -> Option<String> {
        let day = self.number(stamp.date);
        let (first, last) = self.range();
        if !(first..=last).contains(&day) || stamp.precision < Precision::Day {
            return None;
        }
        match (self, stamp.time) {
            (_, None) => Some(day.to_string()),
            (Self::Horolog, Some(time)) if time.subsec_nanosecond() == 0 => {
                let part = |n: i8| i32::from(n);
                let seconds =
                    (part(time.hour()) * 60 + part(time.minute())) * 60 + part(time.second());
                Some(format!("{day},{seconds}"))
            }
            _ => None,
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// The digits of a fraction of a day in whole seconds, rounded.
fn of_a_day(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.get(..digits.len().min(15))?;
    let scale = 10_u64.checked_pow(u32::try_from(digits.len()).ok()?)?;
    let seconds = u128::from(number(digits)?) * u128::from(DAY) * 2 + u128::from(scale);
    u64::try_from(seconds / (u128::from(scale) * 2)).ok()
}

fn clock(seconds: u64) -> Option<Time> {
    let part = |n: u64| i8::try_from(n).ok();
    Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(days: Days, text: &str) -> Option<String> {
        let stamp = days.read(text)?;
        let time = stamp.time.map(|time| format!(" {time}")).unwrap_or_default();
        Some(format!("{}{time}", stamp.date))
    }

    #[test]
    fn known_days_are_read_and_written() {
        for (days, text, wanted) in [
            (Days::Horolog, "1", "1841-01-01"),
            (Days::Horolog, "58073", "1999-12-31"),
            (Days::Horolog, "58074,43200", "2000-01-01 12:00:00"),
            (Days::Horolog, "67000,86399", "2024-06-09 23:59:59"),
            (Days::Julian, "2451545", "2000-01-01"),
            (Days::Julian, "1721426", "0001-01-01"),
            (Days::Excel, "61", "1900-03-01"),
            (Days::Excel, "45417", "2024-05-05"),
        ] {
            assert_eq!(read(days, text).as_deref(), Some(wanted), "{days:?} {text}");
            assert_eq!(days.write(&days.read(text).unwrap()).as_deref(), Some(text), "{days:?}");
        }
        for (text, wanted) in [
            ("45417.0", "2024-05-05"),
            ("45417.75", "2024-05-05 18:00:00"),
            ("45417.3541666667", "2024-05-05 08:30:00"),
            ("45417.999999", "2024-05-06"),
        ] {
            assert_eq!(read(Days::Excel, text).as_deref(), Some(wanted), "{text}");
        }
        for (text, wanted) in [
            ("2460310.5", "2024-01-01 00:00:00"),
            ("2460310.85416667", "2024-01-01 08:30:00"),
            ("2460310.0", "2023-12-31 12:00:00"),
            ("2460311.25", "2024-01-01 18:00:00"),
        ] {
            assert_eq!(read(Days::Julian, text).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(Days::Excel.write(&Days::Excel.read("45417.75").unwrap()), None);
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "58073,",
            "58073,86400",
            "58073,-1",
            "58073,1,2",
            "x",
            "58073.5",
            "99999999",
        ] {
            assert_eq!(read(Days::Horolog, text), None, "{text}");
        }
        for text in ["60", "0", "1", "45417.", "45417.x", "4.5e4", "45417,5", "2958466"] {
            assert_eq!(read(Days::Excel, text), None, "{text}");
        }
        for text in ["2451544,5", "2451544.", "1721425", "0"] {
            assert_eq!(read(Days::Julian, text), None, "{text}");
        }
    }
}
