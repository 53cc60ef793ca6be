//! Dates that are numbers: `20240506`, seconds since 1970, or a column each for the year, the month and the day.

use super::entry::quoted;
use super::maker::{Col, Maker, is_ahead};
use super::recognise::Sure;
use super::words::{Words, same};
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::packed::Packed;

/// Seconds between which a column that is named like a date is taken for them: 1985 to 2099.
const SECONDS: std::ops::Range<i64> = 473_385_600..4_102_444_800;

/// What the three columns of a date are called beside what they have in common.
const PARTS: [&str; 3] = [
    "year yr yyyy yy y ano anio jahr annee jaar",
    "month mon mm m mes monat mois maand",
    "day dd d dia tag jour dag",
];

/// What the common part of a date of birth is called.
const BORN: &str = "birth born dob bdate nac nacimiento nasc nascimento geb geburt gebdat naiss naissance birthdate birthday";

type Found = (String, Sure, String);

impl<'c> Maker<'_, 'c> {
    /// A date or moment in a column of whole numbers, told from its cells; zero stands for none.
    pub fn date_in_number(&self, col: &Col<'_>) -> Option<Found> {
        let (name, leaf) = (col.name(), col.leaf());
        let sample = self.sample(col)?;
        let numbers = || sample.cells(name).filter_map(|cell| cell.parse::<i64>().ok());
        let all = numbers().filter(|n| *n > 0).count();
        if all == 0 {
            return self.packed(col, true);
        }
        let (zero, below) = (numbers().any(|n| n == 0), numbers().any(|n| n == -1));
        let share = |range: &std::ops::Range<i64>| {
            numbers().filter(|n| range.contains(n)).count() * 100 / all
        };
        if let Some(dated) = sample.dated(name)
            && let Some(format) = dated.format.filter(|f| ["yyyyMMdd", "bbbbMMdd"].contains(f))
            && dated.percent >= 90
            && share(&(10_000_000..100_000_000)) >= 90
        {
            let why = format!("{} % of the numbers in '{name}' are days written so", dated.percent);
            return Some((format!("{leaf} | date('{format}')"), Sure::Likely, why));
        }
        if let Some(found) = self.packed(col, true) {
            return Some(found);
        }
        let thousandths = SECONDS.start * 1000..SECONDS.end * 1000;
        let (word, what, percent) = match (share(&SECONDS), share(&thousandths)) {
            (percent, _) if percent >= 90 => ("epoch", "seconds", percent),
            (_, percent) if percent >= 90 => ("epoch_ms", "thousandths of a second", percent),
            _ => return None,
        };
        let null = match (zero, below) {
            (false, false) => "",
            (true, false) => " | null('0')",
            (false, true) => " | null('-1')",
            (true, true) => " | null('0', '-1')",
        };
        let why = format!("{percent} % of the numbers in '{name}' may be {what} since 1970");
        Some((format!("{leaf}{null} | datetime({word})"), Sure::Likely, why))
    }

    /// A date or moment as VA FileMan packs it, or IBM i a day in numbers, told from the cells.
    pub fn packed(&self, col: &Col<'_>, wants_time: bool) -> Option<Found> {
        let (name, sample) = (col.name(), self.sample(col)?);
        let cells = || sample.cells(name).filter(|cell| *cell != "0");
        let all = cells().count();
        let share = |holds: &dyn Fn(&str) -> bool| {
            (cells().filter(|cell| holds(cell)).count() * 100).checked_div(all).unwrap_or(0)
        };
        let number = matches!(col.column.ty, SqlType::Integer { .. } | SqlType::Decimal);
        for (packed, days, moments, who) in [
            (Packed::FileMan, "date(fileman)", "datetime(fileman)", "FileMan packs them"),
            (Packed::Century, "date(cyymmdd)", "date(cyymmdd)", "IBM i packs them, CYYMMDD"),
        ] {
            let stamp = |cell: &str| {
                packed.read(cell).filter(|stamp| (1850..2100).contains(&stamp.date.year()))
            };
            let percent = share(&|cell| stamp(cell).is_some());
            if percent < 90 || packed == Packed::Century && !number {
                continue;
            }
            let timed =
                wants_time && share(&|cell| stamp(cell).is_some_and(|s| s.time.is_some())) > 0;
            let word = if timed { moments } else { days };
            let why = format!("{percent} % of the cells of '{name}' are dates as {who}");
            return Some((format!("{} | {word}", col.leaf()), Sure::Likely, why));
        }
        None
    }

    /// Days in a column of dates whose years are of the Buddhist era.
    pub fn buddhist(&self, col: &Col<'_>, leaf: &str) -> Option<Found> {
        let ahead = self.sample(col).is_some_and(|sample| is_ahead(sample, col.name()));
        if !ahead {
            return None;
        }
        let why = format!("the years in '{}' are of the Buddhist era, 543 ahead", col.name());
        Some(if col.column.ty == SqlType::Date {
            (format!("{leaf} | date('bbbb-MM-dd')"), Sure::Likely, why)
        } else {
            (format!("{leaf} | earlier(543, years)"), Sure::Likely, why)
        })
    }

    /// A day of birth whose year, month and day stand in columns of their own.
    pub fn day_in_columns(&mut self, element: &'static str) {
        let whole = |c: &Col<'c>| matches!(c.column.ty, SqlType::Integer { .. });
        let all: Vec<Col<'c>> = self.unused().into_iter().filter(whole).collect();
        let Some((years, months, days)) = parts(&all) else { return };
        let found = years.iter().find_map(|(year, of)| {
            let beside = |all: &[(Col<'c>, Words)]| {
                let same = all.iter().find(|(c, words)| c.alias == year.alias && words == of);
                same.map(|(col, _)| *col)
            };
            Some((*year, beside(&months)?, beside(&days)?))
        });
        let Some((year, month, day)) = found else {
            let [(year, _)] = years.as_slice() else { return };
            let why = format!("'{}' by its name: the year alone", year.name());
            self.mark(year);
            let leaf = format!("{} | date('yyyy')", year.leaf());
            return self.leaf(element, &leaf, Sure::Likely, why);
        };
        for col in [&year, &month, &day] {
            self.mark(col);
        }
        let leaf = format!("{}, {}, {} | date(ymd)", year.leaf(), month.leaf(), day.leaf());
        let why = format!("by the names {}, {}, {}", year.name(), month.name(), day.name());
        self.part(element, vec![format!("{element}: {}", quoted(&leaf))], Sure::Likely, why);
    }
}

/// Columns beside what is left of their names.
type Named<'c> = Vec<(Col<'c>, Words)>;

/// The columns that are the year, the month and the day of a birth, each with what is left of its name.
fn parts<'c>(all: &[Col<'c>]) -> Option<(Named<'c>, Named<'c>, Named<'c>)> {
    let of = |rule: &str| -> Named<'c> {
        let named = |col: &Col<'c>| {
            let mut words = col.words();
            let part = |token: &String| rule.split(' ').any(|word| same(token, word));
            let at = words.tokens.iter().position(part)?;
            words.tokens.remove(at);
            words.tokens.retain(|token| !["of", "de", "del", "da", "do"].contains(&token.as_str()));
            words.whole = words.tokens.concat();
            words.are(BORN).then_some((*col, words))
        };
        all.iter().filter_map(named).collect()
    };
    let [years, months, days] = PARTS.map(of);
    (!years.is_empty()).then_some((years, months, days))
}
