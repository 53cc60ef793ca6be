use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::codes::{CodeMap, Coded, Field};
use super::format::{DateFormat, DateIn};
use super::*;
use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{Alike, Predicate, TextMatch};
use crate::mapping::rows::Rows;

fn slot(cell: usize, ty: SqlType) -> Slot {
    Slot {
        cell,
        column: ColumnRef { relation: 0, name: format!("c{cell}"), ty, collation: None },
        near: Near::default(),
        indexed: false,
        nothing: Vec::new(),
    }
}

fn lens(steps: Vec<Step>, out: Out) -> Lens {
    let zone = TimeZone::get("America/Santiago").unwrap();
    let reading = Arc::new(Reading {
        trim: true,
        empty_is_null: true,
        zone,
        engine: Engine::Postgres,
        now: jiff::Timestamp::UNIX_EPOCH,
    });
    Lens { gather: Gather::Column(slot(0, SqlType::Text)), steps, split: None, out, reading }
}

fn read(lens: &Lens, cells: &[Option<&str>]) -> Result<Option<String>, Bad> {
    let mut rows = Rows::new(cells.len());
    for cell in cells {
        rows.push(*cell).unwrap();
    }
    lens.read(rows.row(0).unwrap()).map(|v| v.map(std::borrow::Cow::into_owned))
}

fn one(lens: &Lens, cell: &str) -> Result<Option<String>, Bad> {
    read(lens, &[Some(cell)])
}

#[expect(clippy::unnecessary_wraps, reason = "reads like what it is compared with")]
fn got(text: &str) -> Result<Option<String>, Bad> {
    Ok(Some(text.to_owned()))
}

#[test]
fn blank_cells_are_nothing() {
    let text = lens(vec![], Out::Text);
    assert_eq!(one(&text, "   "), Ok(None));
    assert_eq!(read(&text, &[None]), Ok(None));
    assert_eq!(one(&text, " a "), got("a"));
}

#[test]
fn dates_in_local_formats() {
    let formats = |f: &[&str]| {
        DateIn::Formats(f.iter().map(|f| DateFormat::parse(f).unwrap()).collect::<Vec<_>>())
    };
    let date = lens(vec![Step::Date(formats(&["dd/MM/yyyy", "MM/yyyy", "yyyy"]))], Out::Date);
    assert_eq!(one(&date, "31/12/1985"), got("1985-12-31"));
    assert_eq!(one(&date, "02/1985"), got("1985-02"));
    assert_eq!(one(&date, "1985"), got("1985"));
    assert_eq!(one(&date, "00/00/0000"), Ok(None));
    for bad in ["31/02/1985", "1/1/1985", "1985-01-01", "31/12/85", "31/12", "x"] {
        assert_eq!(one(&date, bad), Err(Bad), "{bad}");
    }
    let loose = lens(vec![Step::Date(formats(&["d.M.yyyy"]))], Out::Date);
    assert_eq!(one(&loose, "1.2.1985"), got("1985-02-01"));
    let early = lens(vec![Step::Date(formats(&["yyyyMMdd"]))], Out::Date);
    assert_eq!(one(&early, "1945"), got("1945"));
    assert_eq!(one(&early, "194505"), got("1945-05"));
    assert_eq!(one(&early, "19450"), Err(Bad));
    let packed = lens(vec![Step::DateTime(formats(&["yyyyMMddHHmm"]))], Out::DateTime);
    assert_eq!(one(&packed, "202407011330"), got("2024-07-01T13:30:00-04:00"));
    for bad in ["", "dd", "yyyy-dd", "HH:mm", "yyyyyy", "yyyy-MM-dd HH", "QQ yyyy", "yyyy yyyy"] {
        assert!(DateFormat::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn times_get_the_tenants_zone_and_change_of_clocks_is_settled() {
    let at = lens(vec![Step::DateTime(DateIn::Iso)], Out::DateTime);
    assert_eq!(one(&at, "2024-07-01T10:00:00"), got("2024-07-01T10:00:00-04:00"));
    assert_eq!(one(&at, "2024-01-01 10:00:00.250000"), got("2024-01-01T10:00:00.25-03:00"));
    assert_eq!(one(&at, "2024-07-01T14:00:00Z"), got("2024-07-01T10:00:00-04:00"));
    assert_eq!(one(&at, "2024-07-01"), got("2024-07-01"));
    assert_eq!(one(&at, "0000-00-00 00:00:00"), Ok(None));
    // Skipped: 2024-09-08 00:00 to 01:00. Twice: 2024-04-06 23:00 to 24:00.
    assert_eq!(one(&at, "2024-09-08T00:30:00"), got("2024-09-08T01:30:00-03:00"));
    assert_eq!(one(&at, "2024-04-06T23:30:00"), got("2024-04-06T23:30:00-03:00"));
    assert_eq!(one(&at, "2024-04-31T23:30:00"), Err(Bad));
    let local_day = lens(vec![Step::Date(DateIn::Iso)], Out::Date);
    assert_eq!(one(&local_day, "2024-07-01T02:00:00Z"), got("2024-06-30"));
    let epoch = lens(vec![Step::DateTime(DateIn::Epoch { millis: false })], Out::DateTime);
    assert_eq!(one(&epoch, "0"), got("1969-12-31T21:00:00-03:00"));
}

#[test]
fn a_date_and_a_time_column() {
    let mut both = lens(vec![Step::DateTime(DateIn::Iso)], Out::DateTime);
    both.gather = Gather::Parts(vec![slot(0, SqlType::Date), slot(1, SqlType::Time)]);
    assert_eq!(read(&both, &[Some("2024-07-01"), Some("0815")]), got("2024-07-01T08:15:00-04:00"));
    assert_eq!(read(&both, &[Some("2024-07-01"), None]), got("2024-07-01"));
    assert_eq!(read(&both, &[None, Some("08:15:00")]), Ok(None));
    assert_eq!(read(&both, &[Some("2024-07-01"), Some("27:00:00")]), Err(Bad));
}

fn sexes() -> Arc<CodeMap> {
    let coded =
        |c: &str| Coded { code: c.to_owned(), display: Some(format!("Es {c}")), system: None };
    let entries = [("M", "male"), ("F", "female"), ("H", "male")];
    let entries = entries.iter().map(|(k, c)| ((*k).to_owned(), coded(c))).collect();
    let (otherwise, missing) = (Some(coded("other")), Some(coded("unknown")));
    Arc::new(CodeMap::new("sexo".to_owned(), entries, otherwise, missing, false))
}

#[test]
fn codes_forwards_and_backwards() {
    let code = lens(vec![Step::Code(sexes(), Field::Code)], Out::Code(None));
    assert_eq!(one(&code, "F"), got("female"));
    assert_eq!(one(&code, "f"), got("other"));
    assert_eq!(one(&code, " "), got("unknown"));
    let male = code.equals(&["male".to_owned()], false).unwrap();
    assert!(matches!(&male, Predicate::In { values, .. } if values.len() == 2), "{male:?}");
    let other = code.equals(&["other".to_owned()], false).unwrap();
    assert!(matches!(&other, Predicate::All(parts) if parts.len() == 2), "{other:?}");
    assert_eq!(code.equals(&["x".to_owned()], false), Some(Predicate::Never));
    let display = lens(vec![Step::Code(sexes(), Field::Display)], Out::Text);
    assert!(display.matches(TextMatch::StartsWith, "ES FE", Alike::Folded).is_some());
}

#[test]
fn numbers_stay_what_they_are() {
    let decimal = lens(vec![Step::Decimal('.')], Out::Decimal);
    assert_eq!(one(&decimal, "13.50"), got("13.50"));
    for bad in ["Infinity", "NaN", "1,5", "12 kg"] {
        assert_eq!(one(&decimal, bad), Err(Bad), "{bad}");
    }
    let positive = lens(vec![Step::Integer], Out::Integer { min: 1, max: 9 });
    assert_eq!(one(&positive, "07"), got("7"));
    assert_eq!(one(&positive, "0"), Err(Bad));
}

#[test]
fn sentinels_prefixes_and_defaults_invert() {
    let steps =
        vec![Step::NullIf(vec!["0".to_owned(), "-".to_owned()]), Step::Prefix("urn:".to_owned())];
    let lens = lens(steps, Out::Uri);
    assert_eq!(one(&lens, "-"), Ok(None));
    assert_eq!(one(&lens, "x"), got("urn:x"));
    let find = |t: &str| lens.equals(&[t.to_owned()], false).unwrap();
    assert!(matches!(find("urn:x"), Predicate::Compare { right, .. } if right.text == "x"));
    assert_eq!(find("urn:0"), Predicate::Never);
    assert_eq!(find("x"), Predicate::Never);
}

#[test]
fn a_composed_text_is_searched_as_composed() {
    let mut name = lens(vec![], Out::Text);
    let slots = vec![slot(0, SqlType::Text), slot(1, SqlType::Text)];
    name.gather = Gather::Joined { slots, separator: " ".to_owned() };
    assert_eq!(read(&name, &[Some("Soto"), Some(" ")]), got("Soto"));
    assert_eq!(read(&name, &[Some("Soto"), Some("Paz")]), got("Soto Paz"));
    let found = name.matches(TextMatch::StartsWith, "soto p", Alike::Folded).unwrap();
    assert!(matches!(
        found,
        Predicate::Text { left: crate::mapping::plan::Expr::Joined { .. }, .. }
    ));
    let mut given = lens(vec![], Out::Text);
    given.split = Some(" ".to_owned());
    let found = given.matches(TextMatch::StartsWith, "ana", Alike::Folded).unwrap();
    assert!(matches!(found, Predicate::Text { how: TextMatch::StartsWord { .. }, .. }));
    assert!(given.matches(TextMatch::Equals, "ana", Alike::Exact).is_none());
}

proptest! {
    #[test]
    fn no_cell_panics(cell in any::<String>(), which in 0_usize..6) {
        let step = match which {
            0 => Step::Date(DateIn::Iso),
            1 => Step::DateTime(DateIn::Iso),
            2 => Step::DateTime(DateIn::Epoch { millis: true }),
            3 => Step::Date(DateIn::Formats(vec![DateFormat::parse("d/M/yyyy").unwrap()])),
            4 => Step::Decimal('.'),
            _ => Step::Integer,
        };
        let _ = one(&lens(vec![step], Out::Text), &cell);
        let _ = DateFormat::parse(&cell);
    }

    #[test]
    fn every_day_of_the_table_reads_back(days in 0_i32..40_000) {
        let day = jiff::civil::date(1900, 1, 1)
            .checked_add(jiff::Span::new().days(days))
            .unwrap();
        let cell = format!("{:02}/{:02}/{:04}", day.day(), day.month(), day.year());
        let format = DateIn::Formats(vec![DateFormat::parse("dd/MM/yyyy").unwrap()]);
        let read = one(&lens(vec![Step::Date(format)], Out::Date), &cell);
        prop_assert_eq!(read, got(&day.to_string()));
    }
}

/// What is shown as nothing is searched as nothing, however the column writes its zeros.
#[test]
fn a_sentinel_counts_by_its_value_in_a_column_of_numbers() {
    let steps = vec![Step::NullIf(vec!["0".to_owned()]), Step::Decimal('.')];
    let mut weight = lens(steps, Out::Decimal);
    weight.gather = Gather::Column(slot(0, SqlType::Decimal));
    for zero in ["0", "0.000000", "-0.00"] {
        assert_eq!(one(&weight, zero), Ok(None), "{zero}");
    }
    assert_eq!(one(&weight, "0.50"), got("0.50"));
    let zeros = |p: &Predicate| format!("{p:?}").matches("text: \"0\"").count();
    let present = weight.present().unwrap();
    assert!(zeros(&present) == 1 && !format!("{present:?}").contains("Trimmed"), "{present:?}");
}
