//! Texts that a mapping says stand for nothing, compared as the column's type compares them: a zero is a
//! zero however many digits follow it, and a moment is the same with a blank or a `T` in the middle.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::Predicate;

use super::predicate::column_in;
use super::{Gather, Lens, Slot, Step, typed};

/// Days that programs write where there is none, besides those of the year 1: the first of SQL Server, of
/// spreadsheets and of COM, and the last that others know.
const NO_DATES: [&str; 12] = [
    "1753-01-01",
    "1800-01-01",
    "1899-12-30",
    "1899-12-31",
    "1900-01-01",
    "2079-06-06",
    "2099-12-31",
    "2100-12-31",
    "2999-12-31",
    "3000-01-01",
    "4712-12-31",
    "9999-12-31",
];

/// Whether a date or a moment, as FHIR or a cell writes it, lies on a day that stands for none.
pub fn is_no_date(text: &str) -> bool {
    let day = text.get(..10).unwrap_or(text);
    // In another zone the first moment of all lies in the year before.
    day.starts_with("0001-01-0") || day == "0000-12-31" || NO_DATES.contains(&day)
}

/// The texts with the forms in which cells of the column give the same days and moments.
pub fn words(slots: &[Slot], texts: &[String]) -> Vec<String> {
    let mut words = texts.to_vec();
    for slot in slots {
        for text in texts {
            if let Some(own) = moment(slot.column.ty, text)
                && !words.contains(&own)
            {
                words.push(own);
            }
        }
    }
    words
}

/// A day or a moment as a cell of that type gives it; `2024-01-31`, `2024-01-31 08:30`, with a `T` or a `Z`.
/// A moment without a zone is UTC's in a column of instants.
pub fn moment(ty: SqlType, text: &str) -> Option<String> {
    let text = text.trim();
    let (day, clock) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let clock = clock.trim_end_matches('Z');
    let clock =
        clock.split_once('.').filter(|(_, f)| f.bytes().all(|b| b == b'0')).map_or(clock, |c| c.0);
    let clock = match clock.len() {
        0 => "00:00:00".to_owned(),
        5 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    let own = match ty {
        SqlType::Date if clock == "00:00:00" => day.to_owned(),
        SqlType::DateTime => format!("{day}T{clock}"),
        SqlType::Instant => format!("{day}T{clock}Z"),
        _ => return None,
    };
    typed::value(ty, &own).map(|value| value.text)
}

/// Whether a cell of that type is one of the texts.
pub fn stands(ty: SqlType, texts: &[String], cell: &str) -> bool {
    let fraction = matches!(ty, SqlType::Decimal | SqlType::Float);
    let same = |text: &String| {
        text == cell || (fraction && number(text).is_some_and(|n| Some(n) == number(cell)))
    };
    texts.iter().any(same)
}

/// A plain number's sign, whole part and fraction, without zeros that say nothing.
fn number(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some((negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction))
}

impl Lens {
    /// The type by which texts that stand for nothing are compared after the column's own text was kept.
    pub(super) fn compared(&self) -> SqlType {
        match &self.gather {
            Gather::Column(slot) => slot.column.ty,
            _ => SqlType::Text,
        }
    }

    /// The value after `n` steps is one of the texts that stand for nothing.
    pub(super) fn stood_for(&self, n: usize, texts: &[String]) -> Option<Predicate> {
        let kept = |step: &Step| {
            matches!(step, Step::Trim | Step::Integer | Step::Decimal('.') | Step::NullIf(_))
        };
        match &self.gather {
            Gather::Column(slot)
                if matches!(slot.column.ty, SqlType::Decimal | SqlType::Float)
                    && self.steps.iter().take(n).all(kept) =>
            {
                Some(column_in(&slot.column, texts))
            }
            _ => self.one_of(n, texts, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_is_a_zero_and_a_moment_a_moment() {
        let is = |ty, text: &str, cell| stands(ty, &[text.to_owned()], cell);
        for cell in ["0", "0.00", "-0.0", "000"] {
            assert!(is(SqlType::Decimal, "0", cell), "{cell}");
        }
        assert!(is(SqlType::Float, "-1.50", "-1.5") && !is(SqlType::Decimal, "1", "-1.0"));
        assert!(!is(SqlType::Decimal, "0", "0.01") && !is(SqlType::Decimal, "0", "NaN"));
        assert!(!is(SqlType::Text, "0", "0.0") && is(SqlType::Text, "-", "-"));
    }

    #[test]
    fn days_and_moments_are_known_as_people_write_them() {
        let own = |ty, text| moment(ty, text);
        let some = |text: &str| Some(text.to_owned());
        for text in
            ["0001-01-01", "0001-01-01 00:00", "0001-01-01 00:00:00", "0001-01-01T00:00:00.000"]
        {
            assert_eq!(own(SqlType::Date, text), some("0001-01-01"), "{text}");
            assert_eq!(own(SqlType::DateTime, text), some("0001-01-01T00:00:00"), "{text}");
            assert_eq!(own(SqlType::Instant, text), some("0001-01-01T00:00:00Z"), "{text}");
        }
        assert_eq!(own(SqlType::DateTime, "9999-12-31 23:59:59"), some("9999-12-31T23:59:59"));
        assert_eq!(own(SqlType::Date, "9999-12-31 23:59:59"), None);
        for text in ["-", "", "0000-00-00", "31.12.9999", "2024-01"] {
            assert_eq!(own(SqlType::DateTime, text), None, "{text}");
        }
        assert_eq!(own(SqlType::Text, "0001-01-01"), None);
    }
}
