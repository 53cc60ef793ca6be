//! Number and quantity parameters. A number stands for the interval its digits leave open (R4
//! section 3.1.1.4.4): `5.4` is from 5.35 up to, but not with, 5.45. Units are compared, not converted.

use crate::fhir::params::ParamPath;
use crate::fhir::primitive;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::predicate::{all, any, not};
use crate::mapping::lens::{Gather, Lens, Step};
use crate::mapping::plan::{CompareOp, Expr, Predicate, Value};
use crate::mapping::tree::{Object, Tree};

use super::walk::Walk;
use super::{Found, Prefix, Refusal, Unable, bars};

/// A whole number of units of the `scale`-th decimal place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fixed {
    units: i128,
    scale: u32,
}

struct Wanted {
    prefix: Prefix,
    number: Fixed,
    system: Option<String>,
    code: Option<String>,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    const EXPECTED: Refusal =
        Refusal::Value("a number without an exponent, number|system|code or number||code");
    if modifier.is_some() {
        return Err(Refusal::Modifier);
    }
    let parts = bars(value);
    let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let (number, system, code) = match parts.as_slice() {
        [number] => (number, None, None),
        [number, system, code] => (number, filled(system), filled(code)),
        _ => return Err(EXPECTED),
    };
    let (prefix, digits) = Prefix::cut(number);
    let number = Fixed::parse(digits).ok_or(EXPECTED)?;
    let wanted = Wanted { prefix, number, system, code };
    Ok(walk.run(path, &|at| match at.tree {
        Tree::Object(object) => quantity(walk, object, &wanted),
        Tree::Leaf(leaf) => compare(&leaf.lens, &wanted),
        Tree::Const(constant) => Ok(constant_fits(&constant.text, &wanted)),
        _ => Err(Unable),
    })?)
}

fn quantity(walk: &Walk<'_>, object: &Object, wanted: &Wanted) -> Found {
    if object.member("comparator").is_some() {
        return Err(Unable);
    }
    let member = |name: &str| object.member(name).map(|m| &m.value);
    let Some(value) = member("value") else { return Ok(Predicate::Never) };
    let mut parts = vec![match value {
        Tree::Leaf(leaf) => compare(&leaf.lens, wanted)?,
        Tree::Const(constant) => constant_fits(&constant.text, wanted),
        _ => return Err(Unable),
    }];
    parts.push(walk.beside(object, value)?);
    let equals = |tree: Option<&Tree>, text: &str| match tree {
        Some(tree) => walk.equals(tree, text),
        None => Ok(Predicate::Never),
    };
    match (&wanted.system, &wanted.code) {
        (None, None) => {}
        (None, Some(code)) => {
            parts.push(any([equals(member("code"), code)?, equals(member("unit"), code)?]));
        }
        (Some(system), code) => {
            parts.push(equals(member("system"), system)?);
            if let Some(code) = code {
                parts.push(equals(member("code"), code)?);
            }
        }
    }
    Ok(all(parts))
}

/// A column that holds numbers, with the texts that stand for nothing.
fn column(lens: &Lens) -> Option<(Expr, SqlType, Vec<String>)> {
    let Gather::Column(slot) = &lens.gather else { return None };
    let ty = slot.column.ty;
    if !matches!(ty, SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float) {
        return None;
    }
    let mut nothing = Vec::new();
    for step in &lens.steps {
        match step {
            Step::Decimal('.') | Step::Integer | Step::Trim => {}
            Step::NullIf(texts) => nothing.extend(texts.iter().cloned()),
            _ => return None,
        }
    }
    Some((Expr::Column(slot.column.clone()), ty, nothing))
}

fn compare(lens: &Lens, wanted: &Wanted) -> Found {
    let (left, ty, nothing) = column(lens).ok_or(Unable)?;
    let (low, high) = wanted.number.interval(wanted.prefix == Prefix::Ap);
    let number = wanted.number;
    let (at_least, below) = (|n: Fixed| n.at_least(&left, ty), |n: Fixed| n.below(&left, ty));
    let found = match wanted.prefix {
        Prefix::Eq | Prefix::Ap => all([at_least(low), below(high)]),
        Prefix::Ne => any([below(low), at_least(high)]),
        Prefix::Gt | Prefix::Sa => number.against(&left, ty, CompareOp::Gt),
        Prefix::Ge => at_least(number),
        Prefix::Lt | Prefix::Eb => below(number),
        Prefix::Le => number.against(&left, ty, CompareOp::Le),
    };
    let sentinels = nothing.iter().filter_map(|t| crate::mapping::lens::typed::value(ty, t));
    let sentinels = crate::mapping::lens::predicate::one_of(left, sentinels.collect());
    Ok(all([found, not(sentinels), lens.present().ok_or(Unable)?]))
}

fn constant_fits(text: &str, wanted: &Wanted) -> Predicate {
    let Some(own) = Fixed::parse(text) else { return Predicate::Never };
    let (low, high) = wanted.number.interval(wanted.prefix == Prefix::Ap);
    let number = wanted.number;
    let fits = match wanted.prefix {
        Prefix::Eq | Prefix::Ap => !own.less(low) && own.less(high),
        Prefix::Ne => own.less(low) || !own.less(high),
        Prefix::Gt | Prefix::Sa => number.less(own),
        Prefix::Ge => !own.less(number),
        Prefix::Lt | Prefix::Eb => own.less(number),
        Prefix::Le => !number.less(own),
    };
    if fits { Predicate::Always } else { Predicate::Never }
}

impl Fixed {
    fn parse(text: &str) -> Option<Self> {
        let text = primitive::decimal(text)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        if whole.len() + fraction.len() > 25 {
            return None;
        }
        let units = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { units, scale: u32::try_from(fraction.len()).ok()? })
    }

    fn finer(self) -> Self {
        Self { units: self.units * 10, scale: self.scale + 1 }
    }

    /// What the digits leave open, or a tenth to either side.
    fn interval(self, about: bool) -> (Self, Self) {
        let fine = self.finer();
        let half = if about { (self.units.abs()).max(5) } else { 5 };
        (Self { units: fine.units - half, ..fine }, Self { units: fine.units + half, ..fine })
    }

    fn less(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        let to = |n: Self| n.units.saturating_mul(10_i128.saturating_pow(scale - n.scale));
        to(self) < to(other)
    }

    fn text(self) -> String {
        let digits = self.units.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) =
            digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
        let sign = if self.units < 0 { "-" } else { "" };
        if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }

    fn at_least(self, left: &Expr, ty: SqlType) -> Predicate {
        self.against(left, ty, CompareOp::Ge)
    }

    fn below(self, left: &Expr, ty: SqlType) -> Predicate {
        self.against(left, ty, CompareOp::Lt)
    }

    /// A comparison. Whole numbers are compared with whole ones: over 5.4 is over 5, at least 5.4 is at
    /// least 6. A number outside a column's range is above or below everything in it.
    fn against(self, left: &Expr, ty: SqlType, op: CompareOp) -> Predicate {
        let SqlType::Integer { bits, unsigned } = ty else {
            let right = Value { ty, text: self.text() };
            return Predicate::Compare { left: left.clone(), op, right };
        };
        let unit = 10_i128.pow(self.scale);
        let whole = match op {
            CompareOp::Ge | CompareOp::Lt => -(-self.units).div_euclid(unit),
            _ => self.units.div_euclid(unit),
        };
        let text = whole.to_string();
        if crate::mapping::lens::typed::value(ty, &text).is_none() {
            let low = if unsigned { 0 } else { -(1_i128 << (bits - 1)) };
            let above = matches!(op, CompareOp::Ge | CompareOp::Gt);
            return if (whole < low) == above {
                not(Predicate::IsNull(left.clone()))
            } else {
                Predicate::Never
            };
        }
        Predicate::Compare { left: left.clone(), op, right: Value { ty, text } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leaves_half_a_unit_open() {
        let n = |t: &str| Fixed::parse(t).unwrap();
        let (low, high) = n("5.4").interval(false);
        assert_eq!((low.text(), high.text()), ("5.35".to_owned(), "5.45".to_owned()));
        let (low, high) = n("5.40").interval(false);
        assert_eq!((low.text(), high.text()), ("5.395".to_owned(), "5.405".to_owned()));
        let (low, high) = n("-100").interval(true);
        assert_eq!((low.text(), high.text()), ("-110.0".to_owned(), "-90.0".to_owned()));
        assert_eq!(n("0.05").text(), "0.05");
        assert_eq!(n("-0.05").text(), "-0.05");
        assert!(n("1.9").less(n("2")) && !n("2.0").less(n("2")));
        assert!(Fixed::parse(&"9".repeat(26)).is_none() && Fixed::parse("1e3").is_none());
    }
}
