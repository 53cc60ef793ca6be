//! Dates as they are stored: which cells hold one, and how one is compared with a moment.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::base::Engine;
use crate::fhir::moment::{Boundary, END, since_epoch};
use crate::fhir::primitive::Precision;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::days::Days;
use crate::mapping::lens::format::{DateFormat, DateIn};
use crate::mapping::lens::layout::{Layout, iso_layouts};
use crate::mapping::lens::predicate::{all, column_in, not};
use crate::mapping::lens::{Gather, Lens, Reading, Slot, Step, blank, typed};
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Predicate, Value};

use super::grain::{ceil, cut, floor, moment};
use super::{Unable, columns, implied, shape};

/// One way a lens finds a date in its cells. A lens has several where texts may be of several lengths;
/// no cell is of two.
pub(super) struct Stored<'l> {
    left: Expr,
    form: Form<'l>,
    /// What a value stands for; a moment is taken for a point.
    grain: Precision,
    /// Which cells are of this form.
    shape: Predicate,
    zone: &'l TimeZone,
}

/// How a moment is spelled for comparing.
#[derive(Clone, Copy)]
enum Form<'l> {
    Typed(SqlType),
    Epoch {
        ty: SqlType,
        millis: bool,
    },
    Days {
        ty: SqlType,
        days: Days,
    },
    /// ISO text cut to the grain; its years are so many ahead of ours.
    Text {
        utc: bool,
        ahead: i16,
    },
    /// The year, the month and the day, as far as the grain goes.
    Columns(&'l [Slot]),
}

impl<'l> Stored<'l> {
    /// Every form of a lens that gives dates.
    pub fn of(lens: &'l Lens) -> Result<Vec<Self>, Unable> {
        let mut nothing = Vec::new();
        let mut found = None;
        for step in &lens.steps {
            match step {
                Step::Trim => {}
                Step::NullIf(texts) if found.is_none() => nothing.extend(texts.iter().cloned()),
                Step::Date(form) if found.is_none() => found = Some((form, true)),
                Step::DateTime(form) if found.is_none() => found = Some((form, false)),
                _ => return Err(Unable),
            }
        }
        let (form, days) = found.ok_or(Unable)?;
        let stands = |slot: &Slot| !slot.nothing.is_empty();
        if *form != DateIn::Columns && lens.slots().iter().any(stands) {
            return Err(Unable);
        }
        let reading = &lens.reading;
        match (&lens.gather, form) {
            (Gather::Column(slot), _) => {
                let mut all_stored = one_column(reading, slot, form, days)?;
                for stored in &mut all_stored {
                    let nothing = not(column_in(&slot.column, &nothing));
                    stored.shape = all([stored.shape.clone(), nothing]);
                }
                Ok(all_stored)
            }
            (Gather::Joined { slots, separator }, DateIn::Formats(formats)) => {
                match (slots.as_slice(), formats.as_slice()) {
                    ([date, time], [format]) if separator == " " && nothing.is_empty() && !days => {
                        let (day, clock) = format.halves().ok_or(Unable)?;
                        let clock = Layout::of_time(&clock).ok_or(Unable)?;
                        two_columns(reading, date, &layouts(&day)?, false, time, &[clock])
                    }
                    _ => Err(Unable),
                }
            }
            (Gather::Parts(slots), DateIn::Columns) if nothing.is_empty() => {
                columns::stored(reading, slots).ok_or(Unable)
            }
            (Gather::Parts(slots), DateIn::Iso) => match slots.as_slice() {
                [date, time] if nothing.is_empty() && !days => {
                    let clocks: Vec<Layout> = ["HH:mm", "HH:mm:ss"]
                        .iter()
                        .filter_map(|t| DateFormat::parse(&format!("yyyy-MM-dd {t}")).ok())
                        .filter_map(|f| Layout::of_time(&f.halves()?.1))
                        .collect();
                    let day = DateFormat::parse("yyyy-MM-dd").map_err(|_| Unable)?;
                    two_columns(reading, date, &layouts(&day)?, false, time, &clocks)
                }
                _ => Err(Unable),
            },
            _ => Err(Unable),
        }
    }

    /// A date in columns of its own parts.
    pub fn of_columns(
        slots: &'l [Slot],
        left: Expr,
        grain: Precision,
        shape: Predicate,
        zone: &'l TimeZone,
    ) -> Self {
        Self { left, form: Form::Columns(slots), grain, shape, zone }
    }

    /// The cell is of this form and holds a date.
    pub fn present(&self) -> Predicate {
        self.shape.clone()
    }

    /// The cell is of this form and meets a condition on its date.
    pub fn within(&self, found: Predicate) -> Predicate {
        implied::within(found, self.shape.clone())
    }

    /// At a boundary or later.
    pub fn from(&self, at: Boundary) -> Predicate {
        self.compare(CompareOp::Ge, at).unwrap_or(Predicate::Never)
    }

    /// Before a boundary.
    pub fn before(&self, at: Boundary) -> Predicate {
        self.compare(CompareOp::Lt, at).unwrap_or(Predicate::Always)
    }

    /// `None` for a boundary behind everything that can be stored.
    fn compare(&self, op: CompareOp, at: Boundary) -> Option<Predicate> {
        let inside = |at: DateTime| Some(at).filter(|at| *at != END);
        let utc = inside(at.utc);
        let at = inside(at.local)?;
        let right = match self.form {
            Form::Typed(ty) => {
                let point = match ty {
                    SqlType::Instant => utc?,
                    SqlType::Date => ceil(Precision::Day, at),
                    _ => at,
                };
                if point.year() < 1 {
                    // Engines know no such year, and what is shown is later: east of Greenwich the first day begins
                    // in the year before.
                    let all = op == CompareOp::Ge;
                    return Some(if all { Predicate::Always } else { Predicate::Never });
                }
                let text = match ty {
                    SqlType::Instant => format!("{}Z", moment(point)),
                    SqlType::Date => point.date().to_string(),
                    _ => moment(point),
                };
                Value { ty, text }
            }
            Form::Epoch { ty, millis } => {
                let per = if millis { 1_000_000 } else { 1_000_000_000 };
                let number = -(-since_epoch(utc?)).div_euclid(per);
                Value { ty, text: number.to_string() }
            }
            Form::Days { ty, days } => {
                let number = days.number(ceil(Precision::Day, at).date());
                let Some(right) = typed::value(ty, &number.to_string()) else {
                    // Beyond what the column can hold: all of its days lie on one side.
                    let all = (op == CompareOp::Ge) == (number < 0);
                    return Some(if all { Predicate::Always } else { Predicate::Never });
                };
                right
            }
            Form::Text { utc: in_utc, ahead } => {
                let at = if in_utc { utc? } else { at };
                Value { ty: SqlType::Text, text: cut(self.grain, at, ahead)? }
            }
            Form::Columns(slots) => return columns::compare(slots, self.grain, op, at.date()),
        };
        Some(Predicate::Compare { left: self.left.clone(), op, right })
    }

    /// The first boundary at or after a moment.
    pub fn ceil(&self, at: Boundary) -> Boundary {
        self.moved(at, ceil(self.grain, at.local))
    }

    /// The last boundary at or before a moment.
    pub fn floor(&self, at: Boundary) -> Boundary {
        self.moved(at, floor(self.grain, at.local))
    }

    fn moved(&self, at: Boundary, to: DateTime) -> Boundary {
        if at.local == to { at } else { Boundary::of(to, self.zone) }
    }
}

fn layouts(format: &DateFormat) -> Result<Vec<Layout>, Unable> {
    format.layouts().ok_or(Unable)
}

fn one_column<'l>(
    reading: &'l Reading,
    slot: &Slot,
    form: &DateIn,
    days: bool,
) -> Result<Vec<Stored<'l>>, Unable> {
    let column = &slot.column;
    let sqlite = reading.engine == Engine::Sqlite;
    let temporal = matches!(column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant);
    let number = matches!(column.ty, SqlType::Integer { .. } | SqlType::Decimal);
    let zone = &reading.zone;
    match form {
        DateIn::Epoch { millis } if matches!(column.ty, SqlType::Integer { .. }) => {
            let grain = if days { Precision::Day } else { Precision::Second };
            let left = Expr::Column(column.clone());
            let form = Form::Epoch { ty: column.ty, millis: *millis };
            let bound = |op, n: i64| Predicate::Compare {
                left: left.clone(),
                op,
                right: Value { ty: column.ty, text: n.to_string() },
            };
            // Years 1 to 9999, which is what can be shown.
            let (low, high) = (-62_135_596_800_i64, 253_402_300_799_i64);
            let scale = if *millis { 1000 } else { 1 };
            let fits = |n: i64| typed::value(column.ty, &n.to_string()).is_some();
            let high = (high + 1) * scale - 1;
            let bounds = [(CompareOp::Ge, low * scale), (CompareOp::Le, high)];
            let bounds = bounds.into_iter().filter(|(_, n)| fits(*n)).map(|(op, n)| bound(op, n));
            let null = not(Predicate::IsNull(left.clone()));
            let shape = all(bounds.chain([null]));
            Ok(vec![Stored { left: left.clone(), form, grain, shape, zone }])
        }
        // Whatever a column is declared as, SQLite keeps a fraction that it is given; of a Julian day it decides
        // which day that is.
        DateIn::Days(of)
            if matches!(column.ty, SqlType::Integer { .. })
                && (!sqlite || days && *of != Days::Julian) =>
        {
            let left = Expr::Column(column.clone());
            let (first, last) = of.range();
            let bound = |op, n: i64| {
                let right = typed::value(column.ty, &n.to_string())?;
                Some(Predicate::Compare { left: left.clone(), op, right })
            };
            let bounds = [bound(CompareOp::Ge, first), bound(CompareOp::Le, last)];
            let null = not(Predicate::IsNull(left.clone()));
            let shape = all(bounds.into_iter().flatten().chain([null]));
            let form = Form::Days { ty: column.ty, days: *of };
            Ok(vec![Stored { left, form, grain: Precision::Day, shape, zone }])
        }
        DateIn::Iso if temporal && !sqlite => {
            let day = days || column.ty == SqlType::Date;
            let grain = if day { Precision::Day } else { Precision::Second };
            let left = Expr::Column(column.clone());
            let end = |op, text: &str| {
                let text = match column.ty {
                    SqlType::Date => text.get(..10).unwrap_or_default().to_owned(),
                    SqlType::Instant => format!("{text}Z"),
                    _ => text.to_owned(),
                };
                Predicate::Compare { left: left.clone(), op, right: Value { ty: column.ty, text } }
            };
            // Zero dates, infinity and years of five digits are none that can be shown.
            let (least, most) = ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999999");
            let shape = if reading.engine == Engine::Postgres {
                // Beside what is asked PostgreSQL would take these for a narrow range, and plan for few rows.
                let outside = [end(CompareOp::Lt, least), end(CompareOp::Gt, most)];
                let there = not(Predicate::IsNull(left.clone()));
                all(std::iter::once(there).chain(outside.map(not)))
            } else {
                all([end(CompareOp::Ge, least), end(CompareOp::Le, most)])
            };
            let form = Form::Typed(column.ty);
            Ok(vec![Stored { left: left.clone(), form, grain, shape, zone }])
        }
        DateIn::Iso if temporal || typed::is_text(column.ty) => {
            let of = iso_layouts().into_iter();
            Ok(of.map(|layout| text(zone, column, &layout, true, days)).collect())
        }
        // A number is written with the digits that a text would have.
        DateIn::Packed(packed) if typed::is_text(column.ty) || number => {
            Ok(packed.layouts().iter().map(|of| text(zone, column, of, false, days)).collect())
        }
        DateIn::Formats(formats)
            if typed::is_text(column.ty) || number || column.ty == SqlType::Date =>
        {
            let [format] = formats.as_slice() else { return several(zone, column, formats, days) };
            let of = layouts(format)?.into_iter();
            Ok(of.map(|layout| text(zone, column, &layout, false, days)).collect())
        }
        _ => Err(Unable),
    }
}

/// Several formats, as long as no text is of two of them.
fn several<'l>(
    zone: &'l TimeZone,
    column: &ColumnRef,
    formats: &[DateFormat],
    days: bool,
) -> Result<Vec<Stored<'l>>, Unable> {
    let mut found: Vec<Layout> = Vec::new();
    for layout in formats.iter().map(layouts).collect::<Result<Vec<_>, _>>()?.into_iter().flatten()
    {
        if found.contains(&layout) {
            continue;
        }
        if found.iter().any(|known| known.length == layout.length) {
            return Err(Unable);
        }
        found.push(layout);
    }
    Ok(found.iter().map(|layout| text(zone, column, layout, false, days)).collect())
}

/// Text of one layout. `loose` lets a blank stand where the layout has a `T`.
fn text<'l>(
    zone: &'l TimeZone,
    column: &ColumnRef,
    layout: &Layout,
    loose: bool,
    days: bool,
) -> Stored<'l> {
    let grain = layout.precision;
    let left = Expr::Pieces { column: column.clone(), pieces: shape::pieces(layout) };
    // Days of moments in the tenant's own time; only UTC text may change its day by being shown.
    let grain = if days && !layout.utc { grain.min(Precision::Day) } else { grain };
    let utc = layout.utc && grain > Precision::Day;
    let form = Form::Text { utc, ahead: layout.ahead };
    Stored { left, form, grain, shape: shape::of(column, layout, loose), zone }
}

fn two_columns<'l>(
    reading: &'l Reading,
    date: &Slot,
    days: &[Layout],
    loose: bool,
    time: &Slot,
    clocks: &[Layout],
) -> Result<Vec<Stored<'l>>, Unable> {
    let can = |ty: SqlType| {
        typed::is_text(ty) || matches!(ty, SqlType::Date | SqlType::DateTime | SqlType::Time)
    };
    let [.., day] = days else { return Err(Unable) };
    if !can(date.column.ty) || !can(time.column.ty) || day.precision != Precision::Day {
        return Err(Unable);
    }
    let zone = &reading.zone;
    let day_shape = shape::of(&date.column, day, loose);
    let day_text = Expr::Pieces { column: date.column.clone(), pieces: shape::pieces(day) };
    let mut found: Vec<Stored<'l>> = days
        .iter()
        .map(|layout| {
            let mut alone = text(zone, &date.column, layout, loose, true);
            alone.shape = all([alone.shape.clone(), blank(reading, time)]);
            alone
        })
        .collect();
    for clock in clocks {
        let time_text = Expr::Pieces { column: time.column.clone(), pieces: shape::pieces(clock) };
        let left =
            Expr::Joined { parts: vec![day_text.clone(), time_text], separator: "T".to_owned() };
        let shape = all([day_shape.clone(), shape::of(&time.column, clock, false)]);
        let form = Form::Text { utc: clock.utc, ahead: day.ahead };
        found.push(Stored { left, form, grain: Precision::Second, shape, zone });
    }
    Ok(found)
}
