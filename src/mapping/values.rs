//! Values as callers write them, parsed to a column's type before any SQL is made of them, so that no
//! engine has to guess (`12abc` is no integer, whatever MySQL thinks).

use uuid::Uuid;

use super::catalog::SqlType;
use super::leaf::canonical_int;
use super::plan::Value;

/// Longest text bound.
const LONGEST: usize = 64 * 1024;

/// The value in its type's canonical form; `None` if the text is no value of that type.
pub(super) fn parse(ty: SqlType, text: &str) -> Option<Value> {
    if text.len() > LONGEST || text.contains('\0') {
        return None;
    }
    let text = match ty {
        SqlType::Integer { bits, unsigned } => integer(text, bits, unsigned)?,
        SqlType::Decimal => canonical_int(text)?,
        SqlType::Uuid => Uuid::try_parse(text).ok()?.hyphenated().to_string(),
        SqlType::Boolean => match text {
            "true" | "false" => text.to_owned(),
            _ => return None,
        },
        SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any => text.to_owned(),
        SqlType::Float
        | SqlType::Date
        | SqlType::Time
        | SqlType::DateTime
        | SqlType::Instant
        | SqlType::Binary
        | SqlType::Json
        | SqlType::Other => return None,
    };
    Some(Value { ty, text })
}

fn integer(text: &str, bits: u8, unsigned: bool) -> Option<String> {
    let text = canonical_int(text)?;
    let number: i128 = text.parse().ok()?;
    let range = if unsigned {
        0..=(1i128 << bits) - 1
    } else {
        -(1i128 << (bits - 1))..=(1i128 << (bits - 1)) - 1
    };
    range.contains(&number).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_values_of_the_type_pass() {
        let int = SqlType::Integer { bits: 32, unsigned: false };
        assert!(parse(int, "12").is_some() && parse(int, "-2147483648").is_some());
        for bad in ["12abc", "012", "+12", " 12", "12 ", "1e3", "2147483648", "", "-0", "٣"] {
            assert!(parse(int, bad).is_none(), "{bad}");
        }
        assert!(parse(SqlType::Integer { bits: 8, unsigned: true }, "256").is_none());
        assert!(parse(SqlType::Text, "a\0b").is_none());
    }
}
