//! Exact decimals from texts: compared, scaled and moved without ever becoming binary fractions.

use std::cmp::Ordering;

use crate::fhir::primitive;

/// A decimal number: `units` of 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) struct Decimal {
    units: i128,
    scale: u32,
}

/// Most digits of a number that is reckoned with.
const DIGITS: usize = 18;

impl Decimal {
    /// Reads a number of at most 18 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = primitive::decimal(text.trim())?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = whole.trim_start_matches('-').len() + fraction.len();
        if digits > DIGITS {
            return None;
        }
        let units = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { units, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// The product; its decimals are those of both.
    pub fn times(self, other: Self) -> Option<Self> {
        let units = self.units.checked_mul(other.units)?;
        Some(Self { units, scale: self.scale + other.scale })
    }

    /// The sum, to the finer of both.
    pub fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let units = self.at(scale)?.checked_add(other.at(scale)?)?;
        Some(Self { units, scale })
    }

    /// Cut to so many decimals, halves away from zero.
    pub fn rounded(self, decimals: u32) -> Self {
        let Some(drop) = self.scale.checked_sub(decimals).filter(|n| *n > 0) else { return self };
        let unit = 10_i128.saturating_pow(drop);
        let half = unit / 2;
        let units = self.units + if self.units < 0 { -half } else { half };
        Self { units: units / unit, scale: decimals }
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.units.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// Which of two numbers is the larger; `None` where one is none.
pub(in crate::mapping) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Decimal::parse(a)?, Decimal::parse(b)?);
    let scale = a.scale.max(b.scale);
    Some(a.at(scale)?.cmp(&b.at(scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact() {
        let n = |text: &str| Decimal::parse(text).unwrap();
        assert_eq!(n("0.1").plus(n("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(n("98.6").plus(n("-32")).unwrap().times(n("5")).unwrap().to_string(), "333.0");
        assert_eq!(n("-0.05").times(n("10")).unwrap().to_string(), "-0.50");
        assert_eq!(n("2.345").rounded(2).to_string(), "2.35");
        assert_eq!(n("-2.345").rounded(2).to_string(), "-2.35");
        assert_eq!(n("7").rounded(2).to_string(), "7");
        assert!(Decimal::parse("1e3").is_none() && Decimal::parse(&"9".repeat(19)).is_none());
        assert_eq!(compare("1.10", "1.1"), Some(Ordering::Equal));
        assert_eq!(compare("-2", "1"), Some(Ordering::Less));
        assert_eq!(compare("x", "1"), None);
    }
}
