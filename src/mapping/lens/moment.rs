//! Moments from several columns: a time and its own zone, a beginning and a duration, the latest of some.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use crate::fhir::moment::{END, to_utc};
use crate::fhir::primitive::Precision;
use crate::mapping::rows::Row;

use super::eval::{Bad, date_time_in, write_date};
use super::format::{DateIn, Stamp, zone_offset};
use super::{Lens, Slot};

/// How columns come together in one moment.
#[derive(Debug, Clone)]
pub enum Combine {
    /// A local time, and the name or the offset of its zone; the hospital's own where there is none.
    Zoned(DateIn),
    /// A moment, and how much later is meant.
    Later(DateIn, Unit),
    /// The latest, or the earliest, of those that are there.
    Latest(DateIn),
    Earliest(DateIn),
}

/// What durations are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

impl Unit {
    /// A unit by its name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "seconds" => Self::Seconds,
            "minutes" => Self::Minutes,
            "hours" => Self::Hours,
            "days" => Self::Days,
            "weeks" => Self::Weeks,
            "months" => Self::Months,
            "years" => Self::Years,
            _ => return None,
        })
    }
}

type Text = Result<Option<Cow<'static, str>>, Bad>;

impl Lens {
    /// The moment that a row's columns come together to.
    pub(super) fn combined(&self, how: &Combine, slots: &[Slot], row: Row<'_>) -> Text {
        let cell = |n: usize| slots.get(n).and_then(|slot| self.reading.cell(slot, row));
        match how {
            Combine::Zoned(form) => {
                let Some(stamp) = stamp(form, cell(0))? else { return Ok(None) };
                let zone = match cell(1) {
                    Some(name) => Cow::Owned(zone(name.trim()).ok_or(Bad)?),
                    None => Cow::Borrowed(&self.reading.zone),
                };
                date_time_in(stamp, &zone).map(|text| Some(Cow::Owned(text)))
            }
            Combine::Later(form, unit) => {
                let Some(stamp) = stamp(form, cell(0))? else { return Ok(None) };
                let Some(amount) = cell(1) else { return Ok(None) };
                let amount = amount.trim().parse().map_err(|_| Bad)?;
                self.date_time(self.moved(stamp, amount, *unit)?).map(|text| Some(Cow::Owned(text)))
            }
            Combine::Latest(form) | Combine::Earliest(form) => {
                let mut best = None;
                for slot in slots {
                    let Some(stamp) = stamp(form, self.reading.cell(slot, row))? else {
                        continue;
                    };
                    let at = self.utc(stamp);
                    let latest = matches!(how, Combine::Latest(_));
                    if best.is_none_or(|(known, _)| if latest { at > known } else { at < known }) {
                        best = Some((at, stamp));
                    }
                }
                best.map(|(_, stamp)| self.date_time(stamp).map(Cow::Owned)).transpose()
            }
        }
    }

    /// A FHIR date or dateTime so much later.
    pub(super) fn later(&self, text: &str, amount: i64, unit: Unit) -> Result<String, Bad> {
        let stamp = DateIn::Iso.read(text).map_err(|()| Bad)?.ok_or(Bad)?;
        let moved = self.moved(stamp, amount, unit)?;
        if moved.time.is_some() {
            return self.date_time(moved);
        }
        let mut out = String::with_capacity(10);
        write_date(&mut out, moved.date, moved.precision)?;
        Ok(out)
    }

    /// Days and longer are of the calendar; shorter ones are of the clock, whatever the zone does.
    fn moved(&self, stamp: Stamp, amount: i64, unit: Unit) -> Result<Stamp, Bad> {
        let span = Span::new();
        let calendar = match unit {
            Unit::Days => span.try_days(amount),
            Unit::Weeks => span.try_weeks(amount),
            Unit::Months => span.try_months(amount),
            Unit::Years => span.try_years(amount),
            Unit::Seconds | Unit::Minutes | Unit::Hours => {
                stamp.time.ok_or(Bad)?;
                let seconds = match unit {
                    Unit::Seconds => 1,
                    Unit::Minutes => 60,
                    _ => 3600,
                };
                let by = SignedDuration::from_secs(amount.checked_mul(seconds).ok_or(Bad)?);
                // Of what lies behind the calendar's end nothing is known but that.
                let from = Some(self.utc(stamp)).filter(|at| *at != END).ok_or(Bad)?;
                let utc = from.checked_add(by).map_err(|_| Bad)?;
                let offset = Some(jiff::tz::Offset::UTC);
                return Ok(Stamp { date: utc.date(), time: Some(utc.time()), offset, ..stamp });
            }
        };
        let finest = match unit {
            Unit::Months => Precision::Month,
            Unit::Years => Precision::Year,
            _ => Precision::Day,
        };
        if stamp.precision < finest {
            return Err(Bad);
        }
        let date = stamp.date.checked_add(calendar.map_err(|_| Bad)?).map_err(|_| Bad)?;
        // The offset may be another on that day.
        let zone = &self.reading.zone;
        let local = stamp.offset.filter(|offset| {
            let at = stamp.time.and_then(|t| offset.to_timestamp(stamp.date.to_datetime(t)).ok());
            at.is_none_or(|at| zone.to_offset(at) != *offset)
        });
        Ok(Stamp { date, offset: local, ..stamp })
    }

    fn utc(&self, stamp: Stamp) -> DateTime {
        let local = stamp.date.to_datetime(stamp.time.unwrap_or_default());
        match stamp.offset {
            Some(offset) => to_utc(local, &TimeZone::fixed(offset)),
            None => to_utc(local, &self.reading.zone),
        }
    }
}

fn stamp(form: &DateIn, cell: Option<&str>) -> Result<Option<Stamp>, Bad> {
    cell.map_or(Ok(None), |cell| form.read(cell).map_err(|()| Bad))
}

/// A zone by its name, or by its offset.
fn zone(text: &str) -> Option<TimeZone> {
    if text.starts_with(['+', '-']) {
        return zone_offset(text).map(TimeZone::fixed);
    }
    if matches!(text, "Z" | "UTC") { Some(TimeZone::UTC) } else { TimeZone::get(text).ok() }
}
