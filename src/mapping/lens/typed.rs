//! Texts to values of a column's own type. Strict: what is not the canonical text of the type is no
//! value of it, so that no engine is ever left to guess what `12abc` means.

use crate::fhir::primitive;
use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Value};

use super::format::clock_time;

/// The value a text stands for in a column of this type.
pub fn value(ty: SqlType, text: &str) -> Option<Value> {
    canonical(ty, text).map(|text| Value { ty, text })
}

/// The value for a column.
pub fn for_column(column: &ColumnRef, text: &str) -> Option<Value> {
    value(column.ty, text)
}

/// Whether a cell's text is the one spelling of a value of this type, so that it leads back to the cell.
pub fn leads_back(ty: SqlType, text: &str) -> bool {
    if is_text(ty) {
        return !text.is_empty() && !text.contains('\0');
    }
    match ty {
        SqlType::Integer { bits, unsigned } => fits(bits, unsigned, text),
        _ => canonical(ty, text).is_some_and(|own| own == text),
    }
}

/// Whether a column holds text.
pub fn is_text(ty: SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any)
}

fn canonical(ty: SqlType, text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    match ty {
        SqlType::Integer { bits, unsigned } => fits(bits, unsigned, text).then(|| text.to_owned()),
        SqlType::Decimal | SqlType::Float => {
            let same = primitive::decimal(text).is_some_and(|c| c == text);
            let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
            (same && text.len() <= 36 && !(zero && text.starts_with('-'))).then(|| text.to_owned())
        }
        SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any => Some(text.to_owned()),
        SqlType::Boolean => match text {
            "true" | "t" | "1" => Some("true".to_owned()),
            "false" | "f" | "0" => Some("false".to_owned()),
            _ => None,
        },
        SqlType::Date => {
            let (_, precision) = primitive::partial_date(text)?;
            (precision == primitive::Precision::Day).then(|| text.to_owned())
        }
        SqlType::Time => (text.len() >= 8 && clock_time(text).is_some()).then(|| text.to_owned()),
        SqlType::DateTime => date_time(text).then(|| text.to_owned()),
        SqlType::Instant => text.strip_suffix('Z').is_some_and(date_time).then(|| text.to_owned()),
        SqlType::Uuid => {
            let parsed = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
            Some(parsed.hyphenated().to_string())
        }
        SqlType::Binary => {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            (text.len().is_multiple_of(2) && !text.is_empty() && text.bytes().all(hex))
                .then(|| text.to_owned())
        }
        SqlType::Json | SqlType::Other => None,
    }
}

/// Whether a text is a whole number of that width.
fn fits(bits: u8, unsigned: bool, text: &str) -> bool {
    // So many digits fit in any case; nearly every key has no more.
    let sure = match bits {
        64.. => 18,
        32.. => 9,
        16.. => 4,
        _ => 2,
    };
    let bytes = text.as_bytes();
    if bytes.len() <= sure && bytes.first().is_some_and(|b| (b'1'..=b'9').contains(b)) {
        return bytes.iter().all(u8::is_ascii_digit);
    }
    let (low, high) = if unsigned {
        (0, (1_i128 << bits) - 1)
    } else {
        (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
    };
    whole(text).is_some_and(|number| (low..=high).contains(&number))
}

/// A whole number in its one canonical spelling.
fn whole(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.len() <= 20
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0";
    plain.then(|| text.parse().ok())?
}

fn date_time(text: &str) -> bool {
    text.split_once('T').is_some_and(|(date, time)| {
        primitive::partial_date(date).is_some_and(|(_, p)| p == primitive::Precision::Day)
            && time.len() >= 8
            && clock_time(time).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_one_spelling_and_a_range() {
        let int = SqlType::Integer { bits: 32, unsigned: false };
        for good in ["0", "12", "-12", "2147483647", "-2147483648"] {
            assert!(value(int, good).is_some(), "{good}");
        }
        for bad in ["12abc", "012", "+12", "2147483648", "", "-", "-0", " 1", "1 ", "1.0", "１２"]
        {
            assert!(value(int, bad).is_none(), "{bad}");
        }
        let big = SqlType::Integer { bits: 64, unsigned: true };
        assert!(value(big, "18446744073709551615").is_some());
        assert!(value(big, "18446744073709551616").is_none() && value(big, "-1").is_none());
    }

    #[test]
    fn other_types_are_as_strict() {
        assert!(value(SqlType::Date, "2024-02-30").is_none());
        assert!(value(SqlType::Date, "2024-02-29").is_some());
        assert!(value(SqlType::DateTime, "2024-02-29 10:00:00").is_none());
        assert!(value(SqlType::Instant, "2024-02-29T10:00:00Z").is_some());
        let upper = "123E4567-E89B-42D3-A456-426614174000";
        assert_eq!(value(SqlType::Uuid, upper).unwrap().text, upper.to_lowercase());
        assert!(value(SqlType::Text, "a\0b").is_none());
        assert!(value(SqlType::Decimal, "01").is_none() && value(SqlType::Other, "x").is_none());
        assert!(
            value(SqlType::Decimal, "-0.10").is_some() && value(SqlType::Decimal, "-0.0").is_none()
        );
    }
}
