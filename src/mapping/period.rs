//! Periods at the exit: an end before its start is not shown.

use jiff::tz::TimeZone;

use crate::fhir::primitive::DateInterval;

/// Whether the end of a period, as it was written, lies before its start.
pub(super) fn backwards(start: Option<&[u8]>, end: Option<&[u8]>, zone: &TimeZone) -> bool {
    let (Some(start), Some(end)) = (start.and_then(unquoted), end.and_then(unquoted)) else {
        return false;
    };
    // Nearly always both have one length and one offset, and their order is that of their texts.
    let (head, tail) = (start.split_at_checked(19), end.split_at_checked(19));
    if let (Some((from, zone)), Some((to, other))) = (head, tail)
        && zone == other
    {
        return to < from;
    }
    let of = |text| Some(DateInterval::parse(text)?.utc(zone));
    of(start).zip(of(end)).is_some_and(|((from, _), (_, to))| to <= from)
}

/// The text of a JSON string of a date, which has no escapes.
fn unquoted(json: &[u8]) -> Option<&str> {
    std::str::from_utf8(json).ok()?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_lies_before_a_start_only_where_no_moment_is_in_both() {
        let backwards = |start: &str, end: &str| {
            let (start, end) = (format!("\"{start}\""), format!("\"{end}\""));
            super::backwards(Some(start.as_bytes()), Some(end.as_bytes()), &TimeZone::UTC)
        };
        for (start, end) in [
            ("2024-05-06", "2024-05-05"),
            ("2024-05-06T10:00:00+02:00", "2024-05-06T09:59:59+02:00"),
            ("2024-05-06T10:00:00+02:00", "2024-05-06T10:30:00+05:00"),
            ("2024-05-06", "2024-04"),
            ("2024-05-06", "2024-05-05T23:00:00Z"),
        ] {
            assert!(backwards(start, end), "{start} {end}");
        }
        for (start, end) in [
            ("2024-05-06", "2024-05-06"),
            ("2024-05-06T10:00:00Z", "2024-05-06T10:00:00Z"),
            ("2024-05-06T10:00:00.5Z", "2024-05-06T10:00:00Z"),
            ("2024-05-06T10:00:00Z", "2024-05-06"),
            ("2024-05-06", "2024"),
            ("nonsense", "2024"),
        ] {
            assert!(!backwards(start, end), "{start} {end}");
        }
        assert!(!super::backwards(None, Some(b"\"2024\""), &TimeZone::UTC));
    }
}
