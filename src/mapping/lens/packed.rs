//! Dates packed into one number whose years count from another year: VA FileMan's and IBM i's.

use jiff::civil::{Date, Time};

use super::format::Stamp;
use super::layout::{Layout, WIDTHS};
use crate::fhir::primitive::Precision;

/// How a date is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// `3240506.083`: years since 1700, month and day, 00 where they are not known; behind a point the time
    /// of day without the zeros it ends in. `.24` is the end of the day.
    FileMan,
    /// `1240506`: years since 1900, month and day, whole days only. A number keeps no zero before it, so six
    /// digits are of the twentieth century.
    Century,
}

impl Packed {
    /// By the word a mapping has for it.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "fileman" => Self::FileMan,
            "cyymmdd" => Self::Century,
            _ => return None,
        })
    }

    /// The year that is 0.
    const fn base(self) -> i16 {
        match self {
            Self::FileMan => 1700,
            Self::Century => 1900,
        }
    }

    /// Reads a cell.
    pub fn read(self, text: &str) -> Option<Stamp> {
        let (day, time) =
            text.split_once('.').map_or((text, None), |(day, time)| (day, Some(time)));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let whole = match self {
            Self::FileMan => day.len() == 7,
            Self::Century => matches!(day.len(), 6 | 7) && time.is_none(),
        };
        if !whole || !digits(day) {
            return None;
        }
        let number: i32 = day.parse().ok()?;
        let part = |n: i32| i8::try_from(n % 100).ok();
        let (year, month, day) = (number / 10_000, part(number / 100)?, part(number)?);
        let year = i16::try_from(year).ok()?.checked_add(self.base())?;
        let precision = match (month, day) {
            (0, 0) if self == Self::FileMan => Precision::Year,
            (_, 0) if self == Self::FileMan => Precision::Month,
            _ => Precision::Day,
        };
        let date = Date::new(
            year,
            month.max(i8::from(precision < Precision::Month)),
            day.max(i8::from(precision < Precision::Day)),
        );
        let stamp = Stamp { date: date.ok()?, precision, time: None, offset: None };
        let Some(time) = time else { return Some(stamp) };
        if !(1..=6).contains(&time.len()) || !digits(time) {
            return None;
        }
        match time.trim_end_matches('0') {
            // What a column of decimals shows of a day.
            "" => Some(stamp),
            _ if precision < Precision::Day => None,
            "24" => Some(stamp),
            _ => {
                let padded = format!("{time:0<6}");
                let part = |at: usize| padded.get(at..at + 2)?.parse::<i8>().ok();
                let time = Time::new(part(0)?, part(2)?, part(4)?, 0).ok()?;
                Some(Stamp { time: Some(time), precision: Precision::Second, ..stamp })
            }
        }
    }

    /// A cell for a day or a local moment; `None` where it cannot be written to the second.
    pub fn write(self, stamp: &Stamp) -> Option<String> {
        let year = i32::from(stamp.date.year() - self.base());
        let known =
            |part: i8, at: Precision| if stamp.precision >= at { i32::from(part) } else { 0 };
        let month = known(stamp.date.month(), Precision::Month);
        let day = known(stamp.date.day(), Precision::Day);
        let number = (year * 100 + month) * 100 + day;
        match (self, stamp.time) {
            _ if !(0..1000).contains(&year) => None,
            (Self::FileMan, None) => Some(format!("{number:07}")),
            (Self::FileMan, Some(time)) => {
                let clock = format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second());
                let clock = clock.trim_end_matches('0');
                // Of midnight no digit would stay.
                (time.subsec_nanosecond() == 0 && !clock.is_empty())
                    .then(|| format!("{number:07}.{clock}"))
            }
            (Self::Century, None) if stamp.precision == Precision::Day && number >= 100_000 => {
                Some(number.to_string())
            }
            (Self::Century, _) => None,
        }
    }

    /// Every way a cell may look.
    pub fn layouts(self) -> Vec<Layout> {
        let days = Layout {
            fields: [Some(1), Some(4), Some(6), None, None, None, None],
            widths: [3, 2, 2, 2, 2, 2, 3],
            length: 7,
            precision: Precision::Day,
            ahead: -self.base(),
            ..Layout::default()
        };
        if self == Self::Century {
            let short = Layout {
                fields: [Some(1), Some(3), Some(5), None, None, None, None],
                widths: WIDTHS.map(|width| width.min(2)),
                length: 6,
                ..days.clone()
            };
            return vec![days, short];
        }
        let zeros = |from: u32, to: u32| (from..=to).map(|place| (place, '0')).collect::<Vec<_>>();
        let known = |fields: usize, precision| {
            let mut layout = Layout { precision, ..days.clone() };
            layout.fields.iter_mut().skip(fields).for_each(|field| *field = None);
            layout.literals = zeros(2 + 2 * u32::try_from(fields).unwrap_or(0), 7);
            layout
        };
        let wholes = [known(1, Precision::Year), known(2, Precision::Month), days.clone()];
        let mut all = wholes.to_vec();
        for digits in 1..=6 {
            // As a column of decimals shows them.
            all.extend(wholes.iter().map(|whole| {
                let mut layout = Layout { length: 8 + digits, ..whole.clone() };
                layout.literals.extend(zeros(9, 8 + digits));
                layout.literals.push((8, '.'));
                layout
            }));
            let mut timed =
                Layout { length: 8 + digits, precision: Precision::Second, ..days.clone() };
            timed.literals = vec![(8, '.')];
            timed.unlike = Some((9, "0".repeat(digits as usize)));
            for (field, place) in (3..6).zip([9_u32, 11, 13]) {
                let width = (9 + digits).saturating_sub(place).min(2);
                if width > 0 {
                    timed.fields[field] = Some(place);
                    timed.widths[field] = width;
                }
            }
            all.push(timed);
        }
        all.extend((2..=6).map(|digits| {
            let mut end = vec![(8, '.'), (9, '2'), (10, '4')];
            end.extend(zeros(11, 8 + digits));
            Layout { length: 8 + digits, literals: end, ..days.clone() }
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packed: Packed, text: &str) -> Option<String> {
        let stamp = packed.read(text)?;
        let day = stamp.date.to_string();
        let day = match stamp.precision {
            Precision::Year => day[..4].to_owned(),
            Precision::Month => day[..7].to_owned(),
            _ => day,
        };
        Some(stamp.time.map_or(day.clone(), |time| format!("{day} {time}")))
    }

    #[test]
    fn known_dates_are_read_and_written() {
        for (packed, text, wanted) in [
            (Packed::FileMan, "2850305", "1985-03-05"),
            (Packed::FileMan, "3240229", "2024-02-29"),
            (Packed::FileMan, "2500000", "1950"),
            (Packed::FileMan, "2720600", "1972-06"),
            (Packed::FileMan, "3240506.083", "2024-05-06 08:30:00"),
            (Packed::FileMan, "3240507.1", "2024-05-07 10:00:00"),
            (Packed::FileMan, "3240508.143015", "2024-05-08 14:30:15"),
            (Packed::FileMan, "3240508.0003", "2024-05-08 00:03:00"),
            (Packed::Century, "1240506", "2024-05-06"),
            (Packed::Century, "991231", "1999-12-31"),
            (Packed::Century, "100101", "1910-01-01"),
        ] {
            assert_eq!(read(packed, text).as_deref(), Some(wanted), "{packed:?} {text}");
            assert_eq!(packed.write(&packed.read(text).unwrap()).as_deref(), Some(text));
        }
        for (text, wanted) in [
            ("3240507.24", "2024-05-07"),
            ("3240507.240000", "2024-05-07"),
            ("3240507.000000", "2024-05-07"),
            ("3240507.083000", "2024-05-07 08:30:00"),
        ] {
            assert_eq!(read(Packed::FileMan, text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "324050",
            "32405060",
            "3240230",
            "3230229",
            "3241301",
            "3240012",
            "3240506.",
            "3240506.25",
            "3240506.0875",
            "3240506.0000001",
            "3240506,083",
            "-240506",
            "2720600.1",
            "3240506.2430",
        ] {
            assert_eq!(read(Packed::FileMan, text), None, "{text}");
        }
        for text in ["", "0", "12405", "1240500", "1240506.1", "990229", "20240506"] {
            assert_eq!(read(Packed::Century, text), None, "{text}");
        }
        let midnight = Stamp {
            date: Date::constant(2024, 5, 6),
            precision: Precision::Second,
            time: Some(Time::midnight()),
            offset: None,
        };
        assert_eq!(Packed::FileMan.write(&midnight), None);
    }
}
