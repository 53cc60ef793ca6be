//! FHIR's primitive types: what a valid text of each is (R4 section 2.24.0.1), and the intervals that
//! dates in a search stand for (section 3.1.1.4.5).

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, ToSpan};

use super::moment::{Boundary, END, local_of, to_utc};

/// Whether a text is an `id`: 1 to 64 of letters, digits, `-` and `.`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// Whether a text is a `code`: no blank at either end, no two together, no other white space.
pub fn is_code(text: &str) -> bool {
    // Nearly every code is of these alone.
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return !text.is_empty();
    }
    !text.is_empty()
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
        && !text.chars().any(char::is_control)
}

/// Whether a text is a `uri`, `url`, `canonical`, `oid` or `uuid` as far as R4's own rule goes.
pub fn is_uri(text: &str) -> bool {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return !text.is_empty();
    }
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// A plain decimal in canonical JSON form with its trailing zeros: `1.50`, `-3`, `0.5`. Gives back
/// the text where it can, so that precision is kept. Exponents, infinities and anything longer than
/// 60 characters are none.
pub fn decimal(text: &str) -> Option<Cow<'_, str>> {
    if text.len() > 60 {
        return None;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let positive = text.strip_prefix('+');
    let digits = positive.unwrap_or(unsigned);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fraction_good = fraction.is_none_or(|f| !f.is_empty() && all(f));
    if !all(whole) || !fraction_good || (whole.is_empty() && fraction.is_none()) {
        return None;
    }
    let trimmed = whole.trim_start_matches('0');
    let canonical = !whole.is_empty() && (trimmed.len() == whole.len() || whole == "0");
    if canonical && positive.is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len() + 1);
    if positive.is_none() && unsigned.len() < text.len() {
        out.push('-');
    }
    out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    Some(Cow::Owned(out))
}

/// The digits of a JSON number written out: an exponent is carried out, trailing zeros are kept. `None`
/// for one of more than 60 characters.
pub fn plain_decimal(text: &str) -> Option<Cow<'_, str>> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return decimal(text) };
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() <= 60)?;
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let length = i32::try_from(all.len()).ok()?;
    let plain = if point <= 0 {
        let zeros = usize::try_from(-point).ok()?;
        format!("{sign}0.{}{all}", "0".repeat(zeros))
    } else if point >= length {
        let zeros = usize::try_from(point - length).ok()?;
        format!("{sign}{all}{}", "0".repeat(zeros))
    } else {
        let (whole, fraction) = all.split_at_checked(usize::try_from(point).ok()?)?;
        format!("{sign}{whole}.{fraction}")
    };
    decimal(&plain).map(|text| Cow::Owned(text.into_owned()))
}

/// A whole number without needless zeros or a plus sign, of at most 64 bits.
pub fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// How much of a date or time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// The year.
    Year,
    /// Year and month.
    Month,
    /// The day.
    Day,
    /// Hours and minutes.
    Minute,
    /// Seconds.
    Second,
    /// Thousandths of a second or finer.
    Fraction,
}

/// A date in a query: the half-open interval of time it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateInterval {
    /// What it was written to.
    pub precision: Precision,
    /// First moment, in the zone it was written in or the tenant's.
    pub from: DateTime,
    /// First moment after it; [`END`] where the calendar has none.
    pub to: DateTime,
    /// The offset the two are in; `None` when none was written and the tenant's own zone is meant.
    pub zone: Option<Offset>,
}

impl DateInterval {
    /// Parses `YYYY`, `YYYY-MM`, `YYYY-MM-DD` and `YYYY-MM-DDThh:mm[:ss[.fff]][zone]`. A blank that
    /// came from an unescaped `+` of a zone is read as that plus.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let (date, precision) = partial_date(date)?;
        let Some(time) = time else {
            let step: Span = match precision {
                Precision::Year => 1.year(),
                Precision::Month => 1.month(),
                _ => 1.day(),
            };
            let from = date.at(0, 0, 0, 0);
            return Some(Self { precision, from, to: after(from, step), zone: None });
        };
        if precision != Precision::Day {
            return None;
        }
        let at = time.find(['Z', '+', '-', ' ']).unwrap_or(time.len());
        let (clock, zone) = time.split_at_checked(at)?;
        let (clock, precision, step) = clock_time(clock)?;
        let zone = if zone.is_empty() { None } else { Some(offset(zone)?) };
        let from = date.to_datetime(clock);
        Some(Self { precision, from, to: after(from, step), zone })
    }

    /// Both ends as local date-times of `zone`.
    pub fn local(&self, zone: &TimeZone) -> (DateTime, DateTime) {
        let Some(own) = self.zone else { return (self.from, self.to) };
        (local_of(self.from, own, zone), local_of(self.to, own, zone))
    }

    /// Both ends to compare with, `zone` standing in where none was written.
    pub fn boundaries(&self, zone: &TimeZone) -> (Boundary, Boundary) {
        let one = |at| match self.zone {
            // What no calendar can say lies behind everything, wherever it is.
            _ if at == END => Boundary { local: END, utc: END },
            None => Boundary::of(at, zone),
            Some(own) => Boundary::at(at, own, zone),
        };
        (one(self.from), one(self.to))
    }

    /// Both ends as UTC, `zone` standing in where none was written.
    pub fn utc(&self, zone: &TimeZone) -> (DateTime, DateTime) {
        let own = self.zone.map(TimeZone::fixed);
        let zone = own.as_ref().unwrap_or(zone);
        (to_utc(self.from, zone), to_utc(self.to, zone))
    }
}

fn after(from: DateTime, step: Span) -> DateTime {
    from.checked_add(step).unwrap_or(END)
}

/// The number that a few digits say.
fn whole(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0_i16, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0'))
    })
}

/// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, each digit there, with what of it is known.
pub fn partial_date(text: &str) -> Option<(Date, Precision)> {
    let (year, rest) = text.as_bytes().split_first_chunk::<4>()?;
    let year = whole(year)?;
    let small = |number: i16| i8::try_from(number).ok();
    let (date, precision) = match rest {
        [] => (Date::new(year, 1, 1), Precision::Year),
        [b'-', month @ ..] if month.len() == 2 => {
            (Date::new(year, small(whole(month)?)?, 1), Precision::Month)
        }
        [b'-', tens, ones, b'-', day @ ..] if day.len() == 2 => {
            let month = small(whole(&[*tens, *ones])?)?;
            (Date::new(year, month, small(whole(day)?)?), Precision::Day)
        }
        _ => return None,
    };
    Some((date.ok().filter(|_| year > 0)?, precision))
}

fn clock_time(text: &str) -> Option<(Time, Precision, Span)> {
    let two = |range: std::ops::Range<usize>| -> Option<i8> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten()
    };
    let colon = |at: usize| text.as_bytes().get(at) == Some(&b':');
    let (hour, minute) = (two(0..2)?, colon(2).then(|| two(3..5)).flatten()?);
    if text.len() == 5 {
        return Some((Time::new(hour, minute, 0, 0).ok()?, Precision::Minute, 1.minute()));
    }
    let second = colon(5).then(|| two(6..8)).flatten()?;
    if text.len() == 8 {
        return Some((Time::new(hour, minute, second, 0).ok()?, Precision::Second, 1.second()));
    }
    let digits = text.get(8..)?.strip_prefix('.')?;
    let places = u32::try_from(digits.len()).ok().filter(|n| (1..=9).contains(n))?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unit = 10_i32.pow(9 - places);
    let nanos = digits.parse::<i32>().ok()?.checked_mul(unit)?;
    let time = Time::new(hour, minute, second, nanos).ok()?;
    Some((time, Precision::Fraction, i64::from(unit).nanoseconds()))
}

fn offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' | b' ' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |t: &str| -> Option<i32> {
        (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = sign * (hours * 3600 + minutes * 60);
    Offset::from_seconds(seconds).ok()
}

/// Whether a text is a `base64Binary`; white space in it does not count.
pub fn is_base64(text: &str) -> bool {
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let body = packed.trim_end_matches('=');
    let letters = body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    !packed.is_empty()
        && packed.len().is_multiple_of(4)
        && packed.len() - body.len() <= 2
        && letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_zeros() {
        for (given, want) in [
            ("1.50", Some("1.50")),
            ("007", Some("7")),
            ("+.5", Some("0.5")),
            ("-0.0", Some("-0.0")),
            ("-.25", Some("-0.25")),
            ("000", Some("0")),
            ("1e5", None),
            ("", None),
            (".", None),
            ("5.", None),
            ("NaN", None),
            ("--1", None),
            ("1,5", None),
        ] {
            assert_eq!(decimal(given).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn exponents_are_carried_out() {
        for (given, want) in [
            ("1.50", Some("1.50")),
            ("1e3", Some("1000")),
            ("-1.25E-2", Some("-0.0125")),
            ("12.345e1", Some("123.45")),
            ("1e99", None),
            ("1e", None),
        ] {
            assert_eq!(plain_decimal(given).as_deref(), want, "{given}");
        }
    }

    #[test]
    fn a_search_date_is_an_interval() {
        let get = |t: &str| DateInterval::parse(t).map(|i| (i.from.to_string(), i.to.to_string()));
        let both = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(get("1985"), both("1985-01-01T00:00:00", "1986-01-01T00:00:00"));
        assert_eq!(get("1985-12"), both("1985-12-01T00:00:00", "1986-01-01T00:00:00"));
        assert_eq!(get("2024-02-29"), both("2024-02-29T00:00:00", "2024-03-01T00:00:00"));
        assert_eq!(get("2024-02-29T23:59Z"), both("2024-02-29T23:59:00", "2024-03-01T00:00:00"));
        for bad in ["", "85", "2023-02-29", "2024-13", "2024-1-1", "2024-01-01T", "2024T10:00", "x"]
        {
            assert_eq!(get(bad), None, "{bad}");
        }
    }

    #[test]
    fn zones_move_the_ends() {
        let zone = TimeZone::get("America/Santiago").unwrap();
        let plain = DateInterval::parse("2024-07-01").unwrap();
        assert_eq!(plain.utc(&zone).0.to_string(), "2024-07-01T04:00:00");
        let utc = DateInterval::parse("2024-07-01T04:00:00 00:00").unwrap();
        assert_eq!(utc.local(&zone).0.to_string(), "2024-07-01T00:00:00");
    }

    #[test]
    fn the_last_year_ends_with_the_calendar() {
        let zone = TimeZone::get("America/Santiago").unwrap();
        for text in ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59", "9999-12-31T23:59"] {
            let last = DateInterval::parse(text).unwrap();
            assert_eq!(last.local(&zone).1, END, "{text}");
        }
        let utc = DateInterval::parse("9999-12-31T23:59:59Z").unwrap();
        assert_eq!(utc.local(&zone).0.to_string(), "9999-12-31T20:59:59");
    }

    #[test]
    fn codes_and_ids() {
        assert!(is_id("A-1.b") && !is_id("") && !is_id("a b") && !is_id(&"x".repeat(65)));
        assert!(is_code("a b") && !is_code(" a") && !is_code("a  b") && !is_code(""));
        assert!(is_uri("urn:oid:1.2") && !is_uri("a b"));
    }
}
