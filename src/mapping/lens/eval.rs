//! Reading: cells to the text of a FHIR value.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::fhir::moment::in_zone;
use crate::fhir::primitive::{self, Precision};
use crate::mapping::catalog::SqlType;
use crate::mapping::fold;
use crate::mapping::rows::Row;

use super::format::{DateIn, Stamp, clock_time};
use super::nothing::stands;
use super::{Gather, LONGEST, Lens, Out, Reading, Slot, Step};

/// A cell that cannot be shown as what the mapping says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad;

type Text<'a> = Result<Option<Cow<'a, str>>, Bad>;

impl Reading {
    /// What a cell holds, if it holds anything.
    pub fn cell<'a>(&self, slot: &Slot, row: Row<'a>) -> Option<&'a str> {
        let text = row.get(slot.cell)?;
        // The blanks that SQL's TRIM knows, so that a search sees the same text.
        let text = if self.trim {
            trimmed(text)
        } else if slot.column.ty == SqlType::Char {
            text.trim_end_matches(' ')
        } else {
            text
        };
        let something = !text.is_empty() || !self.empty_is_null;
        let stands = !slot.nothing.is_empty() && stands(slot.column.ty, &slot.nothing, text);
        (something && !stands).then_some(text)
    }
}

/// A text without blanks at its ends, which nearly every text is.
fn trimmed(text: &str) -> &str {
    let bytes = text.as_bytes();
    let blank = bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ');
    if blank { text.trim_matches(' ') } else { text }
}

impl Lens {
    /// The value of a row as text, whole and in its FHIR form. A list (see [`Lens::split`]) is not
    /// taken apart or checked yet: each of its items is, with [`fits`](Out::fits).
    pub fn read<'a>(&'a self, row: Row<'a>) -> Text<'a> {
        self.read_counted(row, &mut 0)
    }

    /// The same; adds to `work` the bytes of what each step begins with and of what comes of all.
    pub fn read_counted<'a>(&'a self, row: Row<'a>, work: &mut usize) -> Text<'a> {
        // Most leaves are a cell as it stands.
        if let (Gather::Column(slot), [], None) = (&self.gather, self.steps.as_slice(), &self.split)
        {
            let Some(text) = self.reading.cell(slot, row) else { return Ok(None) };
            *work += text.len();
            return if text.len() > LONGEST || !self.out.fits(text) {
                Err(Bad)
            } else {
                Ok((!text.is_empty()).then_some(Cow::Borrowed(text)))
            };
        }
        let mut steps = self.steps.iter();
        let mut value = match &self.gather {
            Gather::Column(slot) => self.reading.cell(slot, row).map(Cow::Borrowed),
            Gather::First(slots) => {
                slots.iter().find_map(|slot| self.reading.cell(slot, row)).map(Cow::Borrowed)
            }
            Gather::Joined { slots, separator } => self.joined(slots, separator, row)?,
            Gather::Parts(slots) => match steps.next() {
                Some(Step::Reference(target)) => {
                    let mut id = format!("{}/", target.resource_type);
                    let cell =
                        |n: usize| slots.get(n).and_then(|slot| self.reading.cell(slot, row));
                    if slots.iter().any(|slot| self.reading.cell(slot, row).is_none()) {
                        None
                    } else if target.id.write(&mut id, cell) {
                        Some(Cow::Owned(id))
                    } else {
                        return Err(Bad);
                    }
                }
                Some(Step::Date(DateIn::Columns)) => self.of_columns(slots, row)?,
                Some(Step::DateTime(from)) => self.date_and_time(from, slots, row)?,
                Some(Step::Combine(how)) => self.combined(how, slots, row)?,
                _ => return Err(Bad),
            },
        };
        for step in steps {
            *work += value.as_ref().map_or(0, |text| text.len());
            value = self.step(step, value)?;
        }
        *work += value.as_ref().map_or(0, |text| text.len());
        match value {
            Some(text) if text.len() > LONGEST => Err(Bad),
            Some(text) if self.split.is_none() && !self.out.fits(&text) => Err(Bad),
            Some(text) if text.is_empty() => Ok(None),
            value => Ok(value),
        }
    }

    fn joined<'a>(&self, slots: &[Slot], separator: &str, row: Row<'a>) -> Text<'a> {
        let mut cells = slots
            .iter()
            .filter_map(|slot| self.reading.cell(slot, row))
            .filter(|text| !text.trim_matches(' ').is_empty());
        let Some(first) = cells.next() else { return Ok(None) };
        let Some(second) = cells.next() else { return Ok(Some(Cow::Borrowed(first))) };
        let mut text = String::with_capacity(first.len() + second.len() + 16);
        text.push_str(first);
        for cell in std::iter::once(second).chain(cells) {
            if text.len() > LONGEST {
                return Err(Bad);
            }
            text.push_str(separator);
            text.push_str(cell);
        }
        Ok(Some(Cow::Owned(text)))
    }

    fn step<'a>(&'a self, step: &'a Step, value: Option<Cow<'a, str>>) -> Text<'a> {
        let Some(text) = value else {
            return Ok(match step {
                Step::Default(text) => Some(Cow::Borrowed(text)),
                Step::Code(map, field) => {
                    map.missing.as_ref().and_then(|c| c.field(*field)).map(Cow::Borrowed)
                }
                _ => None,
            });
        };
        let value = match step {
            Step::Trim => match trimmed(&text) {
                trimmed if trimmed.is_empty() && self.reading.empty_is_null => None,
                trimmed if trimmed.len() == text.len() => Some(text),
                trimmed => Some(Cow::Owned(trimmed.to_owned())),
            },
            Step::Upper => Some(Cow::Owned(text.chars().map(fold::capital).collect())),
            Step::Lower => Some(Cow::Owned(text.chars().map(fold::small).collect())),
            Step::Prefix(prefix) => Some(Cow::Owned(format!("{prefix}{text}"))),
            Step::Suffix(suffix) => Some(Cow::Owned(format!("{text}{suffix}"))),
            Step::NullIf(list) => (!stands(self.compared(), list, &text)).then_some(text),
            Step::Default(_) => Some(text),
            Step::Bool { yes, no } => {
                if yes.iter().any(|word| *word == text) {
                    Some(Cow::Borrowed("true"))
                } else if no.iter().any(|word| *word == text) {
                    Some(Cow::Borrowed("false"))
                } else {
                    return Err(Bad);
                }
            }
            Step::Integer => {
                let number = primitive::integer(text.trim()).ok_or(Bad)?;
                // Written as it is read, unless with zeros before it, a plus, or blanks.
                let plain = text.as_bytes().first().is_some_and(|b| (b'1'..=b'9').contains(b));
                let plain = plain && text.as_bytes().last().is_some_and(u8::is_ascii_digit);
                Some(if plain { text } else { Cow::Owned(number.to_string()) })
            }
            Step::Decimal('.') => match text {
                Cow::Borrowed(text) => Some(primitive::decimal(text.trim()).ok_or(Bad)?),
                Cow::Owned(text) => {
                    Some(Cow::Owned(primitive::decimal(text.trim()).ok_or(Bad)?.into_owned()))
                }
            },
            Step::Decimal(separator) => {
                let plain = text.trim().replacen(*separator, ".", 1);
                Some(Cow::Owned(primitive::decimal(&plain).ok_or(Bad)?.into_owned()))
            }
            Step::Date(from) => match from.read(&text).map_err(|()| Bad)? {
                Some(stamp) if stamp.time.is_none() && *from == DateIn::Iso => Some(text),
                Some(stamp) => Some(Cow::Owned(self.date(stamp)?)),
                None => None,
            },
            Step::DateTime(from) => match from.read(&text).map_err(|()| Bad)? {
                Some(stamp) if stamp.time.is_none() && *from == DateIn::Iso => Some(text),
                Some(stamp) => Some(Cow::Owned(self.date_time(stamp)?)),
                None => None,
            },
            Step::Code(map, field) => map.get(&text).ok_or(Bad)?.field(*field).map(Cow::Borrowed),
            Step::Reference(target) => {
                let mut id = String::with_capacity(target.resource_type.len() + 1 + text.len());
                id.push_str(&target.resource_type);
                id.push('/');
                if !target.id.write(&mut id, |_| Some(text.as_ref())) {
                    return Err(Bad);
                }
                Some(Cow::Owned(id))
            }
            Step::Rewrite(rewrite) => rewrite.apply(text)?,
            Step::Later(amount, unit) => Some(Cow::Owned(self.later(&text, *amount, *unit)?)),
            Step::Combine(_) => return Err(Bad),
        };
        Ok(value)
    }

    /// A date; one that is known as an instant is the tenant's local day.
    fn date(&self, stamp: Stamp) -> Result<String, Bad> {
        let mut date = stamp.date;
        if let (Some(time), Some(offset)) = (stamp.time, stamp.offset) {
            let (local, _) = in_zone(date.to_datetime(time), Some(offset), &self.reading.zone);
            date = local.date();
        }
        let mut out = String::with_capacity(10);
        write_date(&mut out, date, stamp.precision)?;
        Ok(out)
    }

    pub(super) fn date_time(&self, stamp: Stamp) -> Result<String, Bad> {
        date_time_in(stamp, &self.reading.zone)
    }

    /// The columns of a year, a month and a day.
    fn of_columns<'a>(&self, slots: &[Slot], row: Row<'_>) -> Text<'a> {
        let cell = |n: usize| slots.get(n).and_then(|slot| self.reading.cell(slot, row));
        let stamp = super::columns::read([cell(0), cell(1), cell(2)]).map_err(|()| Bad)?;
        Ok(stamp.map(|stamp| self.date(stamp)).transpose()?.map(Cow::Owned))
    }

    /// The columns of a date and of a time; a date alone where there is no time.
    fn date_and_time<'a>(&self, from: &DateIn, slots: &[Slot], row: Row<'_>) -> Text<'a> {
        let cell = |n: usize| slots.get(n).and_then(|slot| self.reading.cell(slot, row));
        let Some(date) = cell(0) else { return Ok(None) };
        let Some(mut stamp) = from.read(date).map_err(|()| Bad)? else { return Ok(None) };
        if let Some(time) = cell(1) {
            stamp.time = Some(time_of_day(time).ok_or(Bad)?);
        }
        Ok(Some(Cow::Owned(self.date_time(stamp)?)))
    }
}

/// A moment in a zone; a date where no time is known.
pub(super) fn date_time_in(stamp: Stamp, zone: &TimeZone) -> Result<String, Bad> {
    let mut out = String::with_capacity(25);
    let Some(time) = stamp.time else {
        write_date(&mut out, stamp.date, stamp.precision)?;
        return Ok(out);
    };
    // A time that a change of clocks skipped is read as if the clocks had not changed; one that
    // came twice is the first.
    let (local, offset) = in_zone(stamp.date.to_datetime(time), stamp.offset, zone);
    let (local, offset) = sayable(local, offset);
    write_date(&mut out, local.date(), Precision::Day)?;
    write_clock(&mut out, local.time(), offset)?;
    Ok(out)
}

/// A moment with an offset that FHIR can say: of whole minutes, 14 hours at most. Clocks that went by the sun, as
/// all did before there were zones, went by none; their moments are told in UTC.
fn sayable(local: DateTime, offset: Offset) -> (DateTime, Offset) {
    let seconds = offset.seconds();
    if seconds % 60 == 0 && seconds.abs() <= 14 * 3600 {
        return (local, offset);
    }
    let utc = local.checked_sub(SignedDuration::from_secs(seconds.into()));
    match utc {
        Ok(utc) if utc.year() >= 1 => (utc, Offset::UTC),
        // The year 1 itself: nobody's clock.
        _ => (local, offset),
    }
}

/// `hh:mm[:ss]`, `hhmm` or `hhmmss`.
fn time_of_day(text: &str) -> Option<Time> {
    let text = text.trim();
    if text.contains(':') {
        return clock_time(text);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.len() {
        4 if digits => clock_time(&format!("{}:{}", text.get(..2)?, text.get(2..)?)),
        6 if digits => {
            clock_time(&format!("{}:{}:{}", text.get(..2)?, text.get(2..4)?, text.get(4..)?))
        }
        _ => None,
    }
}

pub(super) fn write_date(
    out: &mut String,
    date: jiff::civil::Date,
    precision: Precision,
) -> Result<(), Bad> {
    if date.year() < 1 {
        return Err(Bad);
    }
    let year = date.year().unsigned_abs();
    two(out, year / 100);
    two(out, year % 100);
    if precision == Precision::Year {
        return Ok(());
    }
    out.push('-');
    two(out, date.month().unsigned_abs().into());
    if precision != Precision::Month {
        out.push('-');
        two(out, date.day().unsigned_abs().into());
    }
    Ok(())
}

/// Two digits of a number below 100.
fn two(out: &mut String, number: u16) {
    for digit in [number / 10, number % 10] {
        out.extend(char::from_digit(u32::from(digit), 10));
    }
}

fn write_clock(out: &mut String, time: Time, offset: Offset) -> Result<(), Bad> {
    for (mark, part) in [('T', time.hour()), (':', time.minute()), (':', time.second())] {
        out.push(mark);
        two(out, part.unsigned_abs().into());
    }
    let nanos = time.subsec_nanosecond();
    if nanos != 0 {
        let fraction = format!("{nanos:09}");
        let kept = fraction.trim_end_matches('0');
        write!(out, ".{kept}").map_err(|_| Bad)?;
    }
    let minutes = offset.seconds() / 60;
    out.push(if minutes < 0 { '-' } else { '+' });
    let minutes = u16::try_from(minutes.abs()).map_err(|_| Bad)?;
    two(out, minutes / 60);
    out.push(':');
    two(out, minutes % 60);
    Ok(())
}

impl Out {
    /// Whether a text is a valid value to write.
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Text => text.chars().any(|c| !c.is_whitespace() && !c.is_control()),
            Self::Base64 => primitive::is_base64(text),
            Self::Code(None) => primitive::is_code(text),
            Self::Code(Some(codes)) => codes.iter().any(|c| c == text),
            Self::Id => primitive::is_id(text),
            Self::Uri => primitive::is_uri(text),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Decimal => primitive::decimal(text).is_some_and(|c| c == text),
            Self::Integer { min, max } => {
                primitive::integer(text).is_some_and(|n| (*min..=*max).contains(&n))
            }
            Self::Date => primitive::partial_date(text).is_some(),
            Self::DateTime => text.contains('T') || primitive::partial_date(text).is_some(),
            Self::Instant => text.contains('T'),
            Self::Time => text.len() >= 8 && clock_time(text).is_some(),
        }
    }

    /// Whether the value stands in JSON without quotes.
    pub fn bare(&self) -> bool {
        matches!(self, Self::Boolean | Self::Decimal | Self::Integer { .. })
    }
}
