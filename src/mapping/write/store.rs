//! A FHIR value back through its lens to cells.

use std::borrow::Cow;

use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::fhir::moment::{END, since_epoch, to_utc};
use crate::fhir::primitive::{self, DateInterval, Precision};
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::codes::Field;
use crate::mapping::lens::format::{DateFormat, DateIn, Field as Part, Stamp, Token};
use crate::mapping::lens::{Gather, Lens, Slot, Step, Target, nothing, typed};
use crate::mapping::plan::{ColumnRef, Value};

/// What is wrong with a value that cannot be stored, in a sentence.
pub type Refused = Cow<'static, str>;

/// Columns with what they become.
pub type Cells = Vec<(ColumnRef, Option<Value>)>;

const MISFIT: &str = "The hospital cannot keep this value as it is.";

/// The cells that show this value. `text` is a valid value of the lens's element.
pub fn store(lens: &Lens, text: &str) -> Result<Cells, Refused> {
    let slots = lens.slots();
    if let (Gather::Parts(_), Some(Step::Reference(target))) = (&lens.gather, lens.steps.first()) {
        return reference(target, slots, text);
    }
    if let Some(Step::DateTime(from)) = lens.steps.first()
        && slots.len() == 2
    {
        return date_and_time(lens, from, slots, text);
    }
    let Some(slot) = slots.first() else { return Err(MISFIT.into()) };
    let mut value: Cow<'_, str> = Cow::Borrowed(text);
    for step in lens.steps.iter().rev() {
        value = match step {
            Step::Trim
            | Step::Upper
            | Step::Lower
            | Step::Integer
            | Step::Decimal('.')
            | Step::Default(_) => value,
            Step::Prefix(prefix) => match value.strip_prefix(prefix.as_str()) {
                Some(rest) if !rest.is_empty() => Cow::Owned(rest.to_owned()),
                _ => return Err(format!("It must begin with '{prefix}'.").into()),
            },
            Step::Suffix(suffix) => match value.strip_suffix(suffix.as_str()) {
                Some(rest) if !rest.is_empty() => Cow::Owned(rest.to_owned()),
                _ => return Err(format!("It must end with '{suffix}'.").into()),
            },
            Step::NullIf(words) => {
                if nothing::stands(slot.column.ty, words, &value) {
                    return Err("This text stands for nothing in the hospital's database.".into());
                }
                value
            }
            Step::Bool { yes, no } => {
                let words = if value == "true" { yes } else { no };
                let fits = |word: &&String| typed::for_column(&slot.column, word).is_some();
                let word = words.iter().find(fits).ok_or(MISFIT)?;
                Cow::Owned(word.clone())
            }
            Step::Decimal(separator) => Cow::Owned(value.replace('.', &separator.to_string())),
            Step::Date(from) => Cow::Owned(date(lens, from, slot, &value)?),
            Step::DateTime(from) => Cow::Owned(moment(lens, from, slot, &value)?),
            Step::Code(map, Field::Code) => {
                let entry = map.entries.iter().find(|(key, coded)| {
                    coded.code == value && typed::for_column(&slot.column, key).is_some()
                });
                match entry {
                    Some((key, _)) => Cow::Owned(key.clone()),
                    None if map.missing.as_ref().is_some_and(|coded| coded.code == value) => {
                        return Ok(vec![(slot.column.clone(), None)]);
                    }
                    None => return Err("The hospital has no value for this code.".into()),
                }
            }
            Step::Code(..) | Step::Rewrite(_) | Step::Combine(_) | Step::Later(..) => {
                return Err(MISFIT.into());
            }
            Step::Reference(target) => {
                let mut cells = reference(target, slots, &value)?;
                let one = cells.pop().and_then(|(_, value)| value).ok_or(MISFIT)?;
                Cow::Owned(one.text)
            }
        };
    }
    let text = if lens.reading.trim { value.trim_matches(' ') } else { &value };
    cell(slot, text)
}

/// The items of a list that is kept in one text.
pub fn store_list(lens: &Lens, items: &[&str]) -> Result<Cells, Refused> {
    let separator = lens.split.as_deref().unwrap_or(" ");
    if items.iter().any(|item| item.contains(separator.trim()) && item.contains(separator)) {
        let message = format!("The hospital keeps the list in one text, parted by '{separator}'.");
        return Err(message.into());
    }
    store(lens, &items.join(separator))
}

fn cell(slot: &Slot, text: &str) -> Result<Cells, Refused> {
    if slot.nothing.iter().any(|word| word == text) {
        return Err("This text stands for nothing in the hospital's database.".into());
    }
    let text = plain(slot.column.ty, text);
    let value = typed::for_column(&slot.column, &text).ok_or(MISFIT)?;
    Ok(vec![(slot.column.clone(), Some(value))])
}

/// A number as the column's type spells it.
fn plain(ty: SqlType, text: &str) -> Cow<'_, str> {
    let number = matches!(ty, SqlType::Decimal | SqlType::Float | SqlType::Integer { .. });
    let plain = if number { primitive::plain_decimal(text) } else { None };
    let Some(plain) = plain else { return Cow::Borrowed(text) };
    let zero = plain.starts_with("-0") && plain.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    let plain = if zero { Cow::Borrowed("0") } else { plain };
    match plain.split_once('.') {
        Some((whole, fraction))
            if matches!(ty, SqlType::Integer { .. }) && fraction.bytes().all(|b| b == b'0') =>
        {
            Cow::Owned(whole.to_owned())
        }
        _ => plain,
    }
}

fn reference(target: &Target, slots: &[Slot], text: &str) -> Result<Cells, Refused> {
    let id = text.strip_prefix(target.resource_type.as_str()).and_then(|t| t.strip_prefix('/'));
    let Some(id) = id else {
        return Err(format!("It must point to a {} of this server.", target.resource_type).into());
    };
    let mut keys = target.id.read(id);
    let key = keys.pop().filter(|_| keys.is_empty());
    let key = key.ok_or("It points to nothing that could be there.")?;
    let cells = slots.iter().zip(key).map(|(slot, value)| {
        let value = typed::for_column(&slot.column, &value.text).ok_or(MISFIT)?;
        Ok((slot.column.clone(), Some(value)))
    });
    cells.collect()
}

/// What a FHIR date or time says: its date, how much of it is known, and its moment where it has one.
struct Said {
    stamp: Stamp,
    at: Option<DateInterval>,
}

fn said(text: &str) -> Option<Said> {
    let day = text.split_once('T').map_or(text, |(day, _)| day);
    let (date, precision) = primitive::partial_date(day)?;
    if day.len() == text.len() {
        return Some(Said { stamp: Stamp { date, precision, time: None, offset: None }, at: None });
    }
    let at = DateInterval::parse(text).filter(|at| at.zone.is_some())?;
    let stamp = Stamp { date, precision: Precision::Second, time: None, offset: None };
    Some(Said { stamp, at: Some(at) })
}

impl Said {
    /// In the hospital's own zone, or in UTC.
    fn local(&self, lens: &Lens, utc: bool) -> Stamp {
        let Some(at) = &self.at else { return self.stamp };
        let (local, _) = if utc { at.utc(&TimeZone::UTC) } else { at.local(&lens.reading.zone) };
        let offset = utc.then_some(Offset::UTC);
        Stamp { date: local.date(), time: Some(local.time()), offset, ..self.stamp }
    }
}

fn date(lens: &Lens, from: &DateIn, slot: &Slot, text: &str) -> Result<String, Refused> {
    let said = said(text).ok_or(MISFIT)?;
    if said.at.is_some() {
        return Err(MISFIT.into());
    }
    match from {
        DateIn::Formats(formats) => formatted(lens, formats, &said),
        DateIn::Iso if typed::is_text(slot.column.ty) => Ok(text.to_owned()),
        DateIn::Iso if said.stamp.precision != Precision::Day => Err(whole_days()),
        DateIn::Iso if slot.column.ty == SqlType::Date => Ok(text.to_owned()),
        DateIn::Iso if slot.column.ty == SqlType::DateTime => Ok(format!("{text}T00:00:00")),
        DateIn::Days(days) if said.stamp.precision == Precision::Day => {
            days.write(&said.stamp).ok_or_else(|| MISFIT.into())
        }
        DateIn::Packed(packed) => {
            let misfit = || {
                if said.stamp.precision == Precision::Day { MISFIT.into() } else { whole_days() }
            };
            packed.write(&said.stamp).ok_or_else(misfit)
        }
        DateIn::Columns => Err(MISFIT.into()),
        DateIn::Iso | DateIn::Epoch { .. } | DateIn::Days(_) => {
            if said.stamp.precision != Precision::Day {
                return Err(whole_days());
            }
            let midnight = said.stamp.date.at(0, 0, 0, 0);
            instant(from, to_utc(midnight, &lens.reading.zone), slot)
        }
    }
}

fn moment(lens: &Lens, from: &DateIn, slot: &Slot, text: &str) -> Result<String, Refused> {
    let said = said(text).ok_or(MISFIT)?;
    if let DateIn::Formats(formats) = from {
        return formatted(lens, formats, &said);
    }
    if let DateIn::Packed(packed) = from {
        return packed.write(&said.local(lens, false)).ok_or_else(inexact);
    }
    let textual = typed::is_text(slot.column.ty) && *from == DateIn::Iso;
    let Some(at) = &said.at else {
        let day = said.stamp.precision == Precision::Day && slot.column.ty == SqlType::Date;
        return if textual || day { Ok(text.to_owned()) } else { Err(whole_time()) };
    };
    if textual || slot.column.ty == SqlType::DateTime && *from == DateIn::Iso {
        let (local, _) = at.local(&lens.reading.zone);
        return if local == END { Err(MISFIT.into()) } else { Ok(civil(local)) };
    }
    if let DateIn::Days(days) = from {
        return days.write(&said.local(lens, false)).ok_or_else(inexact);
    }
    instant(from, at.utc(&TimeZone::UTC).0, slot)
}

/// A moment, in UTC, in a column that holds moments.
fn instant(from: &DateIn, at: DateTime, slot: &Slot) -> Result<String, Refused> {
    match from {
        _ if at == END => Err(MISFIT.into()),
        DateIn::Epoch { millis: true } => Ok(since_epoch(at).div_euclid(1_000_000).to_string()),
        DateIn::Epoch { millis: false } if at.subsec_nanosecond() == 0 => {
            Ok(since_epoch(at).div_euclid(1_000_000_000).to_string())
        }
        DateIn::Iso if slot.column.ty == SqlType::Instant => Ok(format!("{}Z", civil(at))),
        _ => Err(inexact()),
    }
}

fn inexact() -> Refused {
    "The hospital does not keep the time as exactly as that.".into()
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]`.
pub(super) fn civil(local: DateTime) -> String {
    let (date, time) = (local.date(), local.time());
    format!("{:04}-{:02}-{:02}T{}", date.year(), date.month(), date.day(), clock(time))
}

fn clock(time: Time) -> String {
    let mut text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let micros = time.subsec_nanosecond() / 1000;
    if micros > 0 {
        let fraction = format!("{micros:06}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

fn whole_days() -> Refused {
    "The hospital keeps whole days; send year, month and day.".into()
}

fn whole_time() -> Refused {
    "The hospital keeps a time; send one, with its offset.".into()
}

/// The first format that reads back as what was said.
fn formatted(lens: &Lens, formats: &[DateFormat], said: &Said) -> Result<String, Refused> {
    for format in formats {
        let stamp = said.local(lens, format.utc());
        if let Some(text) = write(format, &stamp)
            && format.read(&text) == Some(stamp)
        {
            return Ok(text);
        }
    }
    Err(match (&said.at, said.stamp.precision) {
        (Some(_), _) => "The hospital does not keep the time as exactly as that.".into(),
        (None, Precision::Day) => whole_time(),
        (None, _) => whole_days(),
    })
}

/// A date in a format, as far as it is known.
pub(super) fn write(format: &DateFormat, stamp: &Stamp) -> Option<String> {
    use std::fmt::Write as _;
    let mut out = String::new();
    let mut end = 0;
    for token in format.tokens() {
        match *token {
            Token::Literal(c) => out.push(c),
            Token::Field { field, digits, exact, ahead } => {
                let time = stamp.time;
                let number = match field {
                    Part::Year => Some(i32::from(stamp.date.year()) + i32::from(ahead)),
                    Part::Month if stamp.precision >= Precision::Month => {
                        Some(i32::from(stamp.date.month()))
                    }
                    Part::Day if stamp.precision >= Precision::Day => {
                        Some(i32::from(stamp.date.day()))
                    }
                    Part::Hour => time.map(|t| i32::from(t.hour())),
                    Part::Minute => time.map(|t| i32::from(t.minute())),
                    Part::Second => time.map(|t| i32::from(t.second())),
                    Part::Milli => time.map(|t| i32::from(t.millisecond())),
                    Part::Month | Part::Day => None,
                };
                // What is not known ends the text after its last known part.
                let Some(number) = number else {
                    out.truncate(end);
                    return Some(out);
                };
                let width = if exact { digits } else { 1 };
                write!(out, "{number:0width$}").ok()?;
                end = out.len();
            }
        }
    }
    Some(out)
}

/// A date and a time in two columns.
fn date_and_time(lens: &Lens, from: &DateIn, slots: &[Slot], text: &str) -> Result<Cells, Refused> {
    let [day, time] = slots else { return Err(MISFIT.into()) };
    let said = said(text).ok_or(MISFIT)?;
    if let (Gather::Joined { separator, .. }, DateIn::Formats(formats)) = (&lens.gather, from) {
        let whole = formatted(lens, formats, &said)?;
        let (date, clock) = whole.split_once(separator.as_str()).unwrap_or((&whole, ""));
        let mut cells = cell(day, date)?;
        if clock.is_empty() {
            cells.push((time.column.clone(), None));
        } else {
            cells.extend(cell(time, clock)?);
        }
        return Ok(cells);
    }
    let stamp = said.local(lens, false);
    if stamp.precision < Precision::Day {
        return Err(whole_days());
    }
    let date = match from {
        DateIn::Formats(formats) => {
            let whole = Stamp { precision: Precision::Day, time: None, offset: None, ..stamp };
            formatted(lens, formats, &Said { stamp: whole, at: None })?
        }
        _ => civil(stamp.date.at(0, 0, 0, 0)).chars().take(10).collect(),
    };
    let date = match day.column.ty {
        SqlType::DateTime => format!("{date}T00:00:00"),
        _ => date,
    };
    let mut cells = cell(day, &date)?;
    match stamp.time {
        Some(at) => cells.extend(cell(time, &clock(at))?),
        None => cells.push((time.column.clone(), None)),
    }
    Ok(cells)
}
