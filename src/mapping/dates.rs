//! Local date and time formats, read into FHIR's (R4, 2.24.0.1) with the precision they have.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::plan::Piece;

/// A format such as `dd/MM/yyyy HH:mm`: letters stand for digits, everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    parts: Vec<Part>,
    /// The text ends in `Z`: it is UTC and not local.
    utc: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Field(Field, usize),
    Literal(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// A date and time as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Parts {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: Option<i8>,
    second: Option<i8>,
}

impl Format {
    /// Reads a format. `None` if it names no year or uses unknown letters.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<Part> = Vec::new();
        for letter in text.chars() {
            let field = match letter {
                'y' => Field::Year,
                'M' => Field::Month,
                'd' => Field::Day,
                'H' => Field::Hour,
                'm' => Field::Minute,
                's' => Field::Second,
                'T' | 'Z' => {
                    parts.push(Part::Literal(letter));
                    continue;
                }
                other if other.is_ascii_alphabetic() => return None,
                other => {
                    parts.push(Part::Literal(other));
                    continue;
                }
            };
            match parts.last_mut() {
                Some(Part::Field(last, width)) if *last == field => *width += 1,
                _ => parts.push(Part::Field(field, 1)),
            }
        }
        let sound = parts.iter().all(|part| match part {
            Part::Field(Field::Year, width) => *width == 4,
            Part::Field(_, width) => *width == 2,
            Part::Literal(_) => true,
        });
        let year = parts.iter().any(|p| matches!(p, Part::Field(Field::Year, _)));
        let utc = parts.last() == Some(&Part::Literal('Z'));
        (sound && year).then_some(Self { parts, utc })
    }

    /// Reads a text of this format; one that ends early after a whole field has less precision.
    pub(super) fn read(&self, text: &str) -> Option<Parts> {
        let mut parts = Parts::default();
        let mut rest = text.trim();
        let mut seen_year = false;
        for part in &self.parts {
            if rest.is_empty() {
                break;
            }
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(*literal)?,
                Part::Field(field, width) => {
                    let digits = rest.get(..*width)?;
                    if !digits.bytes().all(|b| b.is_ascii_digit()) {
                        return None;
                    }
                    rest = rest.get(*width..)?;
                    let number: i16 = digits.parse().ok()?;
                    let small = i8::try_from(number).ok();
                    match field {
                        Field::Year => (parts.year, seen_year) = (number, true),
                        Field::Month => parts.month = small,
                        Field::Day => parts.day = small,
                        Field::Hour => parts.hour = small,
                        Field::Minute => parts.minute = small,
                        Field::Second => parts.second = small,
                    }
                }
            }
        }
        (rest.is_empty() && seen_year).then_some(parts)
    }

    /// Pieces that put a text of this format into ISO order, for comparing as text in SQL.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut places: Vec<(Field, u32, u32)> = Vec::new();
        let mut at = 1;
        for part in &self.parts {
            match part {
                Part::Field(field, width) => {
                    let width = u32::try_from(*width).unwrap_or(0);
                    places.push((*field, at, width));
                    at += width;
                }
                Part::Literal(_) => at += 1,
            }
        }
        let order = [
            (Field::Year, ""),
            (Field::Month, "-"),
            (Field::Day, "-"),
            (Field::Hour, "T"),
            (Field::Minute, ":"),
            (Field::Second, ":"),
        ];
        let mut pieces = Vec::new();
        for (field, before) in order {
            let Some((_, start, length)) = places.iter().find(|(f, ..)| *f == field) else { break };
            if !before.is_empty() {
                pieces.push(Piece::Literal(before.to_owned()));
            }
            pieces.push(Piece::Slice { start: *start, length: *length });
        }
        pieces
    }

    /// The zone its texts are in.
    pub(super) fn zone<'z>(&self, tenants: &'z TimeZone) -> &'z TimeZone {
        const UTC: &TimeZone = &TimeZone::UTC;
        if self.utc { UTC } else { tenants }
    }

    /// Whether it reaches beyond the day.
    pub(super) fn has_time(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Field(Field::Hour, _)))
    }
}

impl Parts {
    fn date(self) -> Option<Date> {
        Date::new(self.year, self.month?, self.day?).ok()
    }

    /// A FHIR `date`: year, month or day precision; `None` if there is no such day.
    pub(super) fn fhir_date(self) -> Option<String> {
        if !(1..=9999).contains(&self.year) {
            return None;
        }
        match (self.month, self.day) {
            (None, _) => Some(format!("{:04}", self.year)),
            (Some(month @ 1..=12), None) => Some(format!("{:04}-{month:02}", self.year)),
            (Some(_), Some(_)) => self.date().map(|date| date.to_string()),
            _ => None,
        }
    }

    /// A FHIR `dateTime`: with a time it carries the zone's offset at that moment. A time that a clock
    /// change skips is moved forward by the gap; one that occurs twice is the earlier.
    pub(super) fn fhir_date_time(self, zone: &TimeZone) -> Option<String> {
        let Some(hour) = self.hour else { return self.fhir_date() };
        let time = Time::new(hour, self.minute.unwrap_or(0), self.second.unwrap_or(0), 0).ok()?;
        local(DateTime::from_parts(self.date()?, time), zone)
    }
}

/// A local date and time with its offset, to the second or finer.
fn local(at: DateTime, zone: &TimeZone) -> Option<String> {
    let zoned = zone.to_ambiguous_zoned(at).compatible().ok()?;
    let offset = zoned.offset().seconds();
    let text = zoned.datetime().to_string();
    if offset == 0 {
        return Some(format!("{text}Z"));
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    Some(format!("{text}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// A `DateTime` cell in canonical form, or a date, as a FHIR `dateTime` in `zone`.
pub(super) fn from_date_time(text: &str, zone: &TimeZone) -> Option<String> {
    let text = text.trim().replacen(' ', "T", 1);
    if let Some(instant) = text.strip_suffix('Z') {
        return instant.parse::<DateTime>().ok().map(|_| text.clone());
    }
    if text.len() <= 10 {
        return text.parse::<Date>().ok().map(|date| date.to_string());
    }
    local(text.parse().ok()?, zone)
}

/// A `Date` cell, or the date of a date and time.
pub(super) fn from_date(text: &str) -> Option<String> {
    let day = text.trim().get(..10)?;
    day.parse::<Date>().ok().filter(|d| d.year() >= 1).map(|date| date.to_string())
}

/// A search value's half-open interval, as local ISO texts at second precision, and as instants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    /// First moment inside, `YYYY-MM-DDTHH:MM:SS` in the tenant's zone.
    pub(super) low: String,
    /// First moment after it.
    pub(super) high: String,
    /// The same as instants with `Z`.
    pub(super) low_instant: String,
    /// The same as instants with `Z`.
    pub(super) high_instant: String,
}

impl Interval {
    /// Reads a FHIR date search value (R4, 3.1.1.4.7) without its prefix. Without an offset it is local
    /// to the tenant.
    pub(super) fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        use jiff::ToSpan as _;
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
        let day = |y: i16, m: i16, d: i16| {
            Date::new(y, i8::try_from(m).ok()?, i8::try_from(d).ok()?).ok()
        };
        let midnight = Time::midnight();
        let (low, high) = match text.len() {
            4 => {
                let start = day(number(0, 4)?, 1, 1)?.to_datetime(midnight);
                (start, start.checked_add(1.year()).ok()?)
            }
            7 => {
                let start = day(number(0, 4)?, number(5, 7)?, 1)?.to_datetime(midnight);
                (start, start.checked_add(1.month()).ok()?)
            }
            10 => {
                let start = text.parse::<Date>().ok()?.to_datetime(midnight);
                (start, start.checked_add(1.day()).ok()?)
            }
            _ => return Self::with_time(text, zone),
        };
        Self::between(low, high, zone)
    }

    fn with_time(text: &str, zone: &TimeZone) -> Option<Self> {
        use jiff::ToSpan as _;
        // A `+` in a query arrives as a blank.
        let text = text.replace(' ', "+");
        let minutes = text.get(16..17).is_none_or(|c| c != ":");
        let step = if minutes { 1.minute() } else { 1.second() };
        let full =
            if minutes { format!("{}:00{}", text.get(..16)?, text.get(16..)?) } else { text };
        let clock = full.get(10..)?;
        let low = if clock.ends_with('Z') || clock.contains(['+', '-']) {
            full.parse::<jiff::Timestamp>().ok()?.to_zoned(zone.clone()).datetime()
        } else {
            full.parse::<DateTime>().ok()?
        };
        Self::between(low, low.checked_add(step).ok()?, zone)
    }

    fn between(low: DateTime, high: DateTime, zone: &TimeZone) -> Option<Self> {
        let instant = |at: DateTime| {
            let zoned = zone.to_ambiguous_zoned(at).compatible().ok()?;
            Some(zoned.timestamp().to_string())
        };
        Some(Self {
            low_instant: instant(low)?,
            high_instant: instant(high)?,
            low: low.to_string(),
            high: high.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_keep_the_precision_they_have() {
        let spanish = Format::parse("dd/MM/yyyy").unwrap();
        assert_eq!(spanish.read("05/03/1985").unwrap().fhir_date().unwrap(), "1985-03-05");
        assert_eq!(spanish.read("31/02/1985").unwrap().fhir_date(), None);
        assert_eq!(spanish.read("5/3/1985"), None);
        let compact = Format::parse("yyyyMMdd").unwrap();
        assert_eq!(compact.read("1945").unwrap().fhir_date().unwrap(), "1945");
        assert_eq!(compact.read("201505").unwrap().fhir_date().unwrap(), "2015-05");
        assert!(Format::parse("dd/MM").is_none() && Format::parse("d/M/yyyy").is_none());
    }

    #[test]
    fn times_carry_the_zones_offset_through_clock_changes() {
        let zone = TimeZone::get("America/Santiago").unwrap();
        let format = Format::parse("dd/MM/yyyy HH:mm").unwrap();
        let read = |text: &str| format.read(text).unwrap().fhir_date_time(&zone).unwrap();
        assert_eq!(read("01/02/2026 08:30"), "2026-02-01T08:30:00-03:00");
        assert_eq!(read("01/07/2026 08:30"), "2026-07-01T08:30:00-04:00");
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // 02:30 does not exist on that day.
        assert_eq!(
            from_date_time("2026-03-29T02:30:00", &berlin).unwrap(),
            "2026-03-29T03:30:00+02:00"
        );
    }

    #[test]
    fn a_search_value_is_an_interval_of_its_precision() {
        let zone = TimeZone::UTC;
        let year = Interval::parse("1985", &zone).unwrap();
        assert_eq!(
            (year.low.as_str(), year.high.as_str()),
            ("1985-01-01T00:00:00", "1986-01-01T00:00:00")
        );
        let day = Interval::parse("1985-03-05", &zone).unwrap();
        assert_eq!(day.high, "1985-03-06T00:00:00");
        let second = Interval::parse("2026-02-01T08:30:00-03:00", &zone).unwrap();
        assert_eq!(second.low, "2026-02-01T11:30:00");
        for bad in ["", "85", "1985-13", "1985-02-30", "2026-02-01T25:00", "soon"] {
            assert!(Interval::parse(bad, &zone).is_none(), "{bad}");
        }
    }

    #[test]
    fn pieces_put_a_local_date_in_iso_order() {
        let pieces = Format::parse("dd/MM/yyyy").unwrap().pieces();
        assert_eq!(pieces.len(), 5);
        assert_eq!(pieces.first(), Some(&Piece::Slice { start: 7, length: 4 }));
    }
}
