//! Date parameters. The wanted date is an interval, and so is what a cell stands for: a year, a month,
//! a day, or a moment (R4 section 3.1.1.4.5). Times without a zone are the tenant's own.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::fhir::moment::{Boundary, END};
use crate::fhir::params::ParamPath;
use crate::fhir::primitive::DateInterval;
use crate::fhir::query::unescape;
use crate::mapping::lens::Lens;
use crate::mapping::lens::predicate::{all, any, not};
use crate::mapping::plan::Predicate;
use crate::mapping::tree::{Object, Tree};

use super::stored::Stored;
use super::walk::Walk;
use super::{Found, Prefix, Refusal, Unable};

/// The first moment that can be stored.
const FIRST: DateTime = DateTime::constant(1, 1, 1, 0, 0, 0, 0);

/// A wanted date.
#[derive(Clone, Copy)]
struct Wanted {
    prefix: Prefix,
    from: Boundary,
    to: Boundary,
}

pub(super) fn condition(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
    day: Date,
) -> Result<Predicate, Refusal> {
    const EXPECTED: Refusal = Refusal::Value("a date such as ge2024-01-31 or 2024-01-31T10:00:00Z");
    if modifier.is_some() {
        return Err(Refusal::Modifier);
    }
    // The plus sign of an offset is a blank where nobody encoded it.
    let text = unescape(value).replace(' ', "+");
    let (prefix, date) = Prefix::cut(&text);
    let interval = DateInterval::parse(date).ok_or(EXPECTED)?;
    let zone = &walk.reading.zone;
    let (from, to) = match prefix {
        Prefix::Ap => about(interval.utc(zone), day, zone),
        _ => interval.boundaries(zone),
    };
    let wanted = Wanted { prefix, from, to };
    Ok(walk.run(path, &|at| match at.tree {
        Tree::Leaf(leaf) => compare(&leaf.lens, wanted),
        Tree::Object(object) if at.ty == "Period" => period(walk, object, wanted),
        Tree::Const(constant) => constant_fits(&constant.text, wanted, zone),
        _ => Err(Unable),
    })?)
}

/// What `ap` takes for a date: a tenth of the time between it and a day of UTC to either side of it, in whole
/// seconds. On that day, it is the date itself.
fn about((from, to): (DateTime, DateTime), day: Date, zone: &TimeZone) -> (Boundary, Boundary) {
    let begins = day.at(0, 0, 0, 0);
    let ends = begins.checked_add(1.day()).unwrap_or(END);
    let gap = begins.duration_since(to).max(from.duration_since(ends)).as_secs().max(0);
    let tenth = (gap / 10).seconds();
    let (low, part) =
        (from.with().subsec_nanosecond(0).build().unwrap_or(from), to.subsec_nanosecond());
    let low = low.checked_sub(tenth).unwrap_or(FIRST).max(FIRST);
    let up = if part == 0 { 0 } else { 1_000_000_000 - i64::from(part) };
    let high = to.checked_add(up.nanoseconds()).and_then(|to| to.checked_add(tenth));
    let at = |at| match at {
        END => Boundary { local: END, utc: END },
        at => Boundary::at(at, Offset::UTC, zone),
    };
    (at(low), at(high.unwrap_or(END)))
}

/// The cell holds a date at all.
pub(super) fn present(lens: &Lens) -> Found {
    Ok(any(Stored::of(lens)?.iter().map(Stored::present)))
}

/// The cell's date is wholly before a moment, or not before it.
pub(in crate::mapping) fn beside(lens: &Lens, after: bool, at: DateTime) -> Found {
    let at = Boundary::of(at, &lens.reading.zone);
    let each = |stored: &Stored<'_>| {
        let boundary = if after { stored.ceil(at) } else { stored.floor(at) };
        let side = if after { stored.from(boundary) } else { stored.before(boundary) };
        stored.within(side)
    };
    Ok(any(Stored::of(lens)?.iter().map(each)))
}

fn compare(lens: &Lens, wanted: Wanted) -> Found {
    let Wanted { prefix, from, to } = wanted;
    let each = |stored: &Stored<'_>| {
        if prefix == Prefix::Ap {
            // What overlaps with it.
            let (low, high) = (stored.floor(from), stored.ceil(to));
            return stored.within(all([stored.from(low), stored.before(high)]));
        }
        let (low, high) = (stored.ceil(from), stored.floor(to));
        let inside = if low < high {
            all([stored.from(low), stored.before(high)])
        } else {
            Predicate::Never
        };
        stored.within(match prefix {
            Prefix::Eq | Prefix::Ap => inside,
            Prefix::Ne => not(inside),
            Prefix::Gt => stored.from(high),
            Prefix::Ge => stored.from(low.min(high)),
            Prefix::Lt => stored.before(low),
            Prefix::Le => stored.before(low.max(high)),
            Prefix::Sa => stored.from(stored.ceil(to)),
            Prefix::Eb => stored.before(stored.floor(from)),
        })
    };
    Ok(any(Stored::of(lens)?.iter().map(each)))
}

/// A period: open ends are infinitely far away.
fn period(walk: &Walk<'_>, object: &Object, wanted: Wanted) -> Found {
    let zone = &walk.reading.zone;
    let Wanted { prefix, from, to } = wanted;
    let (start, end) = (End::of(object, "start", zone)?, End::of(object, "end", zone)?);
    let (open_start, open_end) = (not(start.present()), not(end.present()));
    let there = any([start.present(), end.present()]);
    let inside = || all([start.begins_from(from), end.until(to)]);
    let beyond = || any([end.reaches_past(to), open_end.clone()]);
    let before = || any([start.begins_before(from), open_start.clone()]);
    let before_end = || any([start.begins_before(to), open_start.clone()]);
    let beyond_start = || any([end.reaches_past(from), open_end.clone()]);
    let found = match prefix {
        Prefix::Eq => inside(),
        Prefix::Ap => all([before_end(), beyond_start()]),
        Prefix::Ne => not(inside()),
        Prefix::Gt => beyond(),
        Prefix::Ge => any([beyond(), inside()]),
        Prefix::Lt => before(),
        Prefix::Le => any([before(), inside()]),
        Prefix::Sa => start.begins_from(to),
        Prefix::Eb => end.until(from),
    };
    Ok(all([there, found]))
}

/// One end of a period.
enum End<'l> {
    Nowhere,
    Always(DateTime, DateTime),
    Stored(Vec<Stored<'l>>),
}

impl<'l> End<'l> {
    fn of(object: &'l Object, name: &str, zone: &TimeZone) -> Result<Self, Unable> {
        match object.member(name).map(|m| &m.value) {
            None => Ok(Self::Nowhere),
            Some(Tree::Leaf(leaf)) => Stored::of(&leaf.lens).map(Self::Stored),
            Some(Tree::Const(constant)) => {
                let own = DateInterval::parse(&constant.text).map(|own| own.local(zone));
                own.map(|(from, to)| Self::Always(from, to)).ok_or(Unable)
            }
            Some(_) => Err(Unable),
        }
    }

    fn each(
        &self,
        always: impl Fn(DateTime, DateTime) -> bool,
        stored: impl Fn(&Stored<'l>) -> Predicate,
    ) -> Predicate {
        match self {
            Self::Always(from, to) if always(*from, *to) => Predicate::Always,
            Self::Nowhere | Self::Always(..) => Predicate::Never,
            Self::Stored(all_stored) => any(all_stored.iter().map(|s| s.within(stored(s)))),
        }
    }

    fn present(&self) -> Predicate {
        self.each(|_, _| true, Stored::present)
    }

    fn begins_from(&self, at: Boundary) -> Predicate {
        self.each(|from, _| from >= at.local, |stored| stored.from(stored.ceil(at)))
    }

    fn begins_before(&self, at: Boundary) -> Predicate {
        self.each(|from, _| from < at.local, |stored| stored.before(stored.ceil(at)))
    }

    fn until(&self, at: Boundary) -> Predicate {
        self.each(|_, to| to <= at.local, |stored| stored.before(stored.floor(at)))
    }

    fn reaches_past(&self, at: Boundary) -> Predicate {
        self.each(|_, to| to > at.local, |stored| stored.from(stored.floor(at)))
    }
}

fn constant_fits(text: &str, wanted: Wanted, zone: &TimeZone) -> Found {
    let own = DateInterval::parse(text).ok_or(Unable)?.local(zone);
    let (from, to) = (wanted.from.local, wanted.to.local);
    let inside = own.0 >= from && own.1 <= to;
    let fits = match wanted.prefix {
        Prefix::Eq => inside,
        Prefix::Ap => own.1 > from && own.0 < to,
        Prefix::Ne => !inside,
        Prefix::Gt => own.1 > to,
        Prefix::Ge => own.1 > to || inside,
        Prefix::Lt => own.0 < from,
        Prefix::Le => own.0 < from || inside,
        Prefix::Sa => own.0 >= to,
        Prefix::Eb => own.1 <= from,
    };
    Ok(if fits { Predicate::Always } else { Predicate::Never })
}
