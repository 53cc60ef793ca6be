//! Local times and UTC up to the last second of the year 9999, which hospitals write for "no end".
//!
//! `jiff::Timestamp` ends a day before it, so that every offset can be added to every timestamp. Behind it
//! the zone's last offset counts, and what no calendar can say is [`END`].

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// A moment that something is compared with: in a zone's local time, and in UTC. An hour that comes twice has
/// one local time and two in UTC, so neither can be had of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boundary {
    /// Local times that are read as this moment or later begin here.
    pub local: DateTime,
    /// In UTC.
    pub utc: DateTime,
}

impl Boundary {
    /// Of a local time, read as [`to_utc`] reads it.
    pub fn of(local: DateTime, zone: &TimeZone) -> Self {
        Self { local, utc: to_utc(local, zone) }
    }

    /// Of a time written with an offset. Of an hour that comes twice the local times are read as the first
    /// (see [`to_utc`]), so all of them lie before what the second holds.
    pub fn at(written: DateTime, own: Offset, zone: &TimeZone) -> Self {
        let utc = to_utc(written, &TimeZone::fixed(own));
        let local = local_of(written, own, zone);
        let again = own.to_timestamp(written).ok().and_then(|at| {
            let ambiguous = zone.to_ambiguous_timestamp(local);
            let AmbiguousOffset::Fold { before, .. } = ambiguous.offset() else { return None };
            let second = ambiguous.compatible().ok()? < at;
            let just_after = at.checked_add(SignedDuration::from_nanos(1)).ok()?;
            let change = zone.preceding(just_after).next().filter(|_| second)?;
            Some(before.to_datetime(change.timestamp()))
        });
        Self { local: again.unwrap_or(local), utc }
    }
}

/// The end of the calendar: as a boundary it lies behind everything.
pub const END: DateTime = DateTime::MAX;

/// A local time as UTC. One that a change of clocks skipped is read as if the clocks had not changed; of
/// one that came twice the first is meant.
pub fn to_utc(local: DateTime, zone: &TimeZone) -> DateTime {
    match zone.to_ambiguous_timestamp(local).compatible() {
        Ok(at) => Offset::UTC.to_datetime(at),
        Err(_) => moved(local, -seconds(last(zone))),
    }
}

/// A time written with an offset, as a local time of a zone; [`END`] where the calendar has none.
pub fn local_of(local: DateTime, own: Offset, zone: &TimeZone) -> DateTime {
    match own.to_timestamp(local) {
        Ok(at) => zone.to_datetime(at),
        Err(_) => moved(local, seconds(last(zone)) - seconds(own)),
    }
}

/// A time in a zone, and the offset there. `own` is the offset it was written with, if it was; it stays where
/// the zone's time is beyond the calendar.
pub fn in_zone(local: DateTime, own: Option<Offset>, zone: &TimeZone) -> (DateTime, Offset) {
    let at = match own {
        Some(own) => own.to_timestamp(local),
        None => zone.to_ambiguous_timestamp(local).compatible(),
    };
    if let Ok(at) = at {
        let offset = zone.to_offset(at);
        return (offset.to_datetime(at), offset);
    }
    let last = last(zone);
    let Some(own) = own else { return (local, last) };
    let there = moved(local, seconds(last) - seconds(own));
    if there == END { (local, own) } else { (there, last) }
}

/// A number of thousandths of a second since 1970, as UTC; `None` beyond the calendar.
pub fn of_epoch(millis: i64) -> Option<DateTime> {
    let by = SignedDuration::from_millis(millis);
    epoch().checked_add(by).ok()
}

/// Nanoseconds from 1970 to a time of UTC.
pub fn since_epoch(utc: DateTime) -> i128 {
    utc.duration_since(epoch()).as_nanos()
}

const fn epoch() -> DateTime {
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
}

/// The offset a zone ends with.
fn last(zone: &TimeZone) -> Offset {
    zone.to_offset(Timestamp::MAX)
}

fn seconds(offset: Offset) -> i64 {
    i64::from(offset.seconds())
}

fn moved(at: DateTime, seconds: i64) -> DateTime {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(END)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_hours_of_the_calendar_have_their_place() {
        let west = TimeZone::get("America/Santiago").unwrap();
        let east = TimeZone::get("Europe/Madrid").unwrap();
        let last = time("9999-12-31T23:59:59");
        assert_eq!(to_utc(last, &east), time("9999-12-31T22:59:59"));
        assert_eq!(to_utc(last, &west), END);
        assert_eq!(local_of(last, Offset::UTC, &west), time("9999-12-31T20:59:59"));
        assert_eq!(local_of(last, Offset::UTC, &east), END);
        for zone in [&west, &east] {
            for text in ["2024-07-01T12:00:00", "0001-01-02T00:00:00", "9999-12-30T12:00:00"] {
                let utc = to_utc(time(text), zone);
                assert_eq!(local_of(utc, Offset::UTC, zone), time(text), "{text}");
            }
        }
        let three = Offset::from_seconds(-3 * 3600).unwrap();
        assert_eq!(local_of(last, three, &west), last);
        assert_eq!(local_of(last, three, &east), END);
        let (local, offset) = in_zone(last, None, &west);
        assert_eq!((local, offset.seconds()), (last, -3 * 3600));
        let (local, offset) = in_zone(last, Some(Offset::UTC), &west);
        assert_eq!((local, offset.seconds()), (time("9999-12-31T20:59:59"), -3 * 3600));
        let (local, offset) = in_zone(last, Some(Offset::UTC), &east);
        assert_eq!((local, offset), (last, Offset::UTC));
    }

    #[test]
    fn of_an_hour_that_comes_twice_the_second_lies_behind_all_its_local_times() {
        // The clocks of Santiago went back from midnight to 23:00 on 4 April 2020, at 03:00 UTC.
        let zone = TimeZone::get("America/Santiago").unwrap();
        let (utc, three) = (Offset::UTC, Offset::from_seconds(-3 * 3600).unwrap());
        for (written, own, local, at) in [
            ("2020-04-05T02:30:00", utc, "2020-04-04T23:30:00", "2020-04-05T02:30:00"),
            ("2020-04-04T23:30:00", three, "2020-04-04T23:30:00", "2020-04-05T02:30:00"),
            ("2020-04-05T03:00:00", utc, "2020-04-05T00:00:00", "2020-04-05T03:00:00"),
            ("2020-04-05T03:30:00", utc, "2020-04-05T00:00:00", "2020-04-05T03:30:00"),
            ("2020-04-05T04:00:00", utc, "2020-04-05T00:00:00", "2020-04-05T04:00:00"),
            ("2020-04-05T04:30:00", utc, "2020-04-05T00:30:00", "2020-04-05T04:30:00"),
        ] {
            let found = Boundary::at(time(written), own, &zone);
            assert_eq!(found, Boundary { local: time(local), utc: time(at) }, "{written} {own}");
        }
        assert_eq!(
            Boundary::of(time("2020-04-04T23:30:00"), &zone).utc,
            time("2020-04-05T02:30:00")
        );
        assert_eq!(
            Boundary::at(time("9999-12-31T23:59:59"), utc, &TimeZone::UTC).local,
            time("9999-12-31T23:59:59")
        );
    }

    #[test]
    fn epochs_reach_as_far_as_the_calendar() {
        assert_eq!(of_epoch(253_402_300_799_999), Some(time("9999-12-31T23:59:59.999")));
        assert_eq!(of_epoch(253_402_300_800_000), None);
        assert_eq!(of_epoch(i64::MIN), None);
        assert_eq!(of_epoch(-1), Some(time("1969-12-31T23:59:59.999")));
        assert_eq!(since_epoch(time("9999-12-31T23:59:59")), 253_402_300_799_000_000_000);
    }
}
