//! Local date formats: `dd/MM/yyyy`, `yyyyMMddHHmmss`, `MM/yyyy` and the like.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use crate::fhir::moment;
use crate::fhir::primitive::{Precision, partial_date};
use crate::mapping::catalog::SqlType;

use super::days::Days;
use super::packed::Packed;

/// A date as a cell gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub date: Date,
    pub precision: Precision,
    pub time: Option<Time>,
    pub offset: Option<Offset>,
}

/// How a cell writes dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DateIn {
    /// ISO 8601 with as much as is known; what typed columns give.
    Iso,
    /// Seconds, or thousandths, since 1970-01-01T00:00:00Z.
    Epoch { millis: bool },
    /// Days counted from another day; local, with or without a time.
    Days(Days),
    /// One number whose years count from another year; local.
    Packed(Packed),
    /// The year, the month and the day in columns of their own.
    Columns,
    /// These formats, tried in order.
    Formats(Vec<DateFormat>),
}

/// One format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    pub(super) tokens: Vec<Token>,
}

/// One part of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A number of so many digits; `exact` when no fewer will do. A year is so many `ahead` of ours.
    Field {
        field: Field,
        digits: usize,
        exact: bool,
        ahead: i16,
    },
    Literal(char),
}

/// How many years the Buddhist era is ahead, as Thailand counts it.
pub const BUDDHIST: i16 = 543;

/// A part of a date, coarsest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Milli,
}

impl DateFormat {
    /// Reads a format; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let mut count = 1;
            if c.is_ascii_alphabetic() {
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
            }
            tokens.push(match (c, count) {
                ('y' | 'b', 4) => {
                    let ahead = if c == 'b' { BUDDHIST } else { 0 };
                    Token::Field { field: Field::Year, digits: 4, exact: true, ahead }
                }
                ('S', 3) => Token::Field { field: Field::Milli, digits: 3, exact: true, ahead: 0 },
                ('M' | 'd' | 'H' | 'm' | 's', 1 | 2) => {
                    let field = match c {
                        'M' => Field::Month,
                        'd' => Field::Day,
                        'H' => Field::Hour,
                        'm' => Field::Minute,
                        _ => Field::Second,
                    };
                    Token::Field { field, digits: 2, exact: count == 2, ahead: 0 }
                }
                ('T' | 'Z', 1) => Token::Literal(c),
                (c, _) if c.is_ascii_alphabetic() => {
                    return Err(format!(
                        "'{}' is not a part of a date",
                        c.to_string().repeat(count)
                    ));
                }
                _ => Token::Literal(c),
            });
        }
        let format = Self { tokens };
        format.check()?;
        Ok(format)
    }

    fn has(&self, wanted: Field) -> usize {
        let fields = self.tokens.iter();
        fields.filter(|t| matches!(t, Token::Field { field, .. } if *field == wanted)).count()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let order =
            [Field::Year, Field::Month, Field::Day, Field::Hour, Field::Minute, Field::Second];
        if order.iter().any(|f| self.has(*f) > 1) {
            return Err("a part of the date is there twice".to_owned());
        }
        if self.has(Field::Year) == 0 {
            return Err("the year ('yyyy') is missing".to_owned());
        }
        let known: Vec<bool> = order.iter().map(|f| self.has(*f) == 1).collect();
        if known.windows(2).any(|pair| !pair[0] && pair[1]) {
            return Err("a finer part is there without the coarser one before it".to_owned());
        }
        if self.has(Field::Hour) == 1 && self.has(Field::Minute) == 0 {
            return Err("hours need minutes ('mm') beside them".to_owned());
        }
        Ok(())
    }

    /// How much of a date it tells.
    pub fn precision(&self) -> Precision {
        if self.has(Field::Hour) == 1 {
            Precision::Second
        } else if self.has(Field::Day) == 1 {
            Precision::Day
        } else if self.has(Field::Month) == 1 {
            Precision::Month
        } else {
            Precision::Year
        }
    }

    /// How many years its years are ahead of ours.
    pub fn ahead(&self) -> i16 {
        let years = self.tokens.iter().map(|token| match token {
            Token::Field { ahead, .. } => *ahead,
            Token::Literal(_) => 0,
        });
        years.max().unwrap_or(0)
    }

    /// Its parts in order.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether its times are UTC: it ends in `Z`.
    pub fn utc(&self) -> bool {
        self.tokens.last() == Some(&Token::Literal('Z'))
    }

    /// Reads a cell. One that ends early after a whole part, the coarser ones being there, is known to
    /// that part only.
    pub fn read(&self, text: &str) -> Option<Stamp> {
        let mut parts: [i32; 7] = [0, 1, 1, 0, 0, 0, 0];
        let mut seen = [false; 7];
        let mut rest = text;
        for token in &self.tokens {
            if rest.is_empty() {
                break;
            }
            match *token {
                Token::Literal(c) => rest = rest.strip_prefix(c)?,
                Token::Field { field, digits, exact, ahead } => {
                    let found = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
                    if found == 0 || (exact && found < digits) {
                        return None;
                    }
                    let (number, mut after) = rest.split_at_checked(found)?;
                    if field == Field::Milli {
                        // DICOM and others write the fraction to the microsecond.
                        after = after.trim_start_matches(|c: char| c.is_ascii_digit());
                    }
                    let number: i32 = number.parse().ok()?;
                    *parts.get_mut(field as usize)? = number - i32::from(ahead);
                    *seen.get_mut(field as usize)? = true;
                    rest = after;
                }
            }
        }
        if !rest.is_empty() || parts[0] < 1 {
            return None;
        }
        let precision = known(seen)?;
        if precision == Precision::Second && self.utc() && !text.ends_with('Z') {
            return None;
        }
        let small = |n: i32| i8::try_from(n).ok();
        let date = Date::new(i16::try_from(parts[0]).ok()?, small(parts[1])?, small(parts[2])?);
        let time = if precision == Precision::Second {
            let nanos = parts[6] * 1_000_000;
            Some(Time::new(small(parts[3])?, small(parts[4])?, small(parts[5])?, nanos).ok()?)
        } else {
            None
        };
        let offset = time.filter(|_| self.utc()).map(|_| Offset::UTC);
        Some(Stamp { date: date.ok()?, precision, time, offset })
    }

    /// The formats of two columns whose texts are joined with a blank.
    pub fn halves(&self) -> Option<(Self, Vec<Token>)> {
        let at = self.tokens.iter().position(|t| *t == Token::Literal(' '))?;
        let (date, time) = self.tokens.split_at_checked(at)?;
        let date = Self { tokens: date.to_vec() };
        let day = date.check().is_ok() && date.precision() == Precision::Day;
        day.then(|| (date, time.get(1..).unwrap_or_default().to_vec()))
    }

    /// Whether texts of this format in their own order are in the order of the dates: every part of a
    /// fixed length, the coarsest first.
    pub fn sorts(&self) -> bool {
        let mut next = 0;
        self.tokens.iter().all(|token| match *token {
            Token::Literal(_) => true,
            Token::Field { field, exact, .. } => {
                next += 1;
                exact && field as usize + 1 == next
            }
        })
    }
}

/// How much is known when these parts are there; `None` when a coarser one is missing.
pub(super) fn known(seen: [bool; 7]) -> Option<Precision> {
    Some(match seen {
        [true, false, false, false, ..] => Precision::Year,
        [true, true, false, false, ..] => Precision::Month,
        [true, true, true, false, ..] => Precision::Day,
        [true, true, true, true, true, ..] => Precision::Second,
        _ => return None,
    })
}

impl DateIn {
    /// A system's own way of counting days, by the word a mapping has for it.
    pub fn own_way(word: &str) -> Option<Self> {
        let days = Days::named(word).map(Self::Days);
        days.or_else(|| Packed::named(word).map(Self::Packed))
    }

    /// Reads a cell: `Ok(None)` for a zero date, which stands for nothing.
    pub fn read(&self, text: &str) -> Result<Option<Stamp>, ()> {
        match self {
            Self::Iso if text.starts_with("0000-00-00") => Ok(None),
            Self::Iso => iso(text).map(Some).ok_or(()),
            Self::Epoch { millis } => epoch(text, *millis).map(Some).ok_or(()),
            Self::Days(days) => days.read(text.trim()).map(Some).ok_or(()),
            // What may not be NULL holds a zero where there is none.
            Self::Packed(_) if text.trim() == "0" => Ok(None),
            Self::Packed(packed) => packed.read(text.trim()).map(Some).ok_or(()),
            Self::Columns => Err(()),
            Self::Formats(formats) => {
                let zero = text.bytes().any(|b| b == b'0')
                    && text.bytes().all(|b| b == b'0' || b.is_ascii_punctuation() || b == b' ');
                if zero {
                    return Ok(None);
                }
                formats.iter().find_map(|f| f.read(text)).map(Some).ok_or(())
            }
        }
    }

    /// Whether rows in the column's order are in the order of the dates.
    pub fn sorts(&self, ty: SqlType) -> bool {
        match self {
            Self::Iso => {
                matches!(ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
            }
            Self::Epoch { .. } | Self::Days(_) => matches!(ty, SqlType::Integer { .. }),
            Self::Formats(formats) => formats.len() == 1 && formats.iter().all(DateFormat::sorts),
            Self::Packed(_) => matches!(ty, SqlType::Integer { .. } | SqlType::Decimal),
            Self::Columns => false,
        }
    }
}

/// `YYYY[-MM[-DD[{T| }hh:mm[:ss[.f]][zone]]]]`.
fn iso(text: &str) -> Option<Stamp> {
    let (day, time) = match text.split_at_checked(10) {
        Some((day, rest)) if !rest.is_empty() => (day, Some(rest.strip_prefix(['T', ' '])?)),
        _ => (text, None),
    };
    let (date, precision) = partial_date(day)?;
    let Some(time) = time else { return Some(Stamp { date, precision, time: None, offset: None }) };
    let at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(at)?;
    let offset = match zone {
        "" => None,
        "Z" => Some(Offset::UTC),
        zone => Some(zone_offset(zone)?),
    };
    Some(Stamp {
        date,
        precision: Precision::Second,
        time: Some(clock_time(clock.trim_end())?),
        offset,
    })
}

fn two(text: &str) -> Option<i8> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `+02`, `+0200` or `+02:00`.
pub(super) fn zone_offset(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = text.get(1..)?;
    let hours = i32::from(two(rest.get(..2)?)?);
    let minutes = rest.get(2..)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes = if minutes.is_empty() { 0 } else { i32::from(two(minutes)?) };
    (hours <= 14 && minutes < 60).then_some(())?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// `hh:mm[:ss[.fffffffff]]`.
pub fn clock_time(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, rest) = rest.split_once(':').unwrap_or((rest, "00"));
    let (second, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0_i32, |n, b| n * 10 + i32::from(b - b'0'));
    Time::new(two(hour)?, two(minute)?, two(second)?, nanos).ok()
}

fn epoch(text: &str, millis: bool) -> Option<Stamp> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let number: i64 = crate::fhir::primitive::integer(whole)?;
    let utc = moment::of_epoch(if millis { number } else { number.checked_mul(1000)? })?;
    Some(Stamp {
        date: utc.date(),
        precision: Precision::Second,
        time: Some(utc.time()),
        offset: Some(Offset::UTC),
    })
}
