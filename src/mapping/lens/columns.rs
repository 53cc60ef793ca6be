//! A date whose year, month and day stand in columns of their own. What is known of it ends with the first that
//! is empty or zero.

use jiff::civil::Date;

use super::format::Stamp;
use crate::fhir::primitive::{Precision, integer};

/// The years that are one. With two digits nobody could tell the century.
pub const YEARS: std::ops::RangeInclusive<i64> = 1000..=9999;

/// The date that the cells of a year, a month and a day are; `Ok(None)` where there is no year.
pub(super) fn read(cells: [Option<&str>; 3]) -> Result<Option<Stamp>, ()> {
    let number = |cell: Option<&str>| match cell.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => integer(text).map(|n| Some(n).filter(|n| *n != 0)).ok_or(()),
    };
    let [year, month, day] = cells;
    let Some(year) = number(year)? else { return Ok(None) };
    let (year, month) = (YEARS.contains(&year).then_some(year).ok_or(())?, number(month)?);
    let day = if month.is_some() { number(day)? } else { None };
    let precision = match (month, day) {
        (None, _) => Precision::Year,
        (Some(_), None) => Precision::Month,
        (Some(_), Some(_)) => Precision::Day,
    };
    let small = |n: Option<i64>| i8::try_from(n.unwrap_or(1)).map_err(|_| ());
    let year = i16::try_from(year).map_err(|_| ())?;
    let date = Date::new(year, small(month)?, small(day)?).map_err(|_| ())?;
    Ok(Some(Stamp { date, precision, time: None, offset: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_ends_with_the_first_that_is_empty() {
        let known = |cells| read(cells).map(|s| s.map(|s| (s.date.to_string(), s.precision)));
        let got = |date: &str, precision| Ok(Some((date.to_owned(), precision)));
        let of = |y, m, d| known([Some(y), Some(m), Some(d)]);
        assert_eq!(of("1985", "3", "05"), got("1985-03-05", Precision::Day));
        assert_eq!(of("1985", "3", "0"), got("1985-03-01", Precision::Month));
        assert_eq!(of("1985", "0", "5"), got("1985-01-01", Precision::Year));
        assert_eq!(known([Some("1985"), None, Some("5")]), got("1985-01-01", Precision::Year));
        assert_eq!(known([Some("1984"), Some("2"), Some("29")]), got("1984-02-29", Precision::Day));
        assert_eq!(known([None, Some("2"), Some("29")]), Ok(None));
        assert_eq!(of("0", "0", "0"), Ok(None));
        for (y, m, d) in
            [("85", "3", "5"), ("1985", "13", "5"), ("1985", "2", "29"), ("x", "1", "1")]
        {
            assert_eq!(of(y, m, d), Err(()), "{y} {m} {d}");
        }
    }
}
