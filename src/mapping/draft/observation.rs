//! Observations: one to a row, or one for each column of a wide row.

use super::coded::Shape;
use super::entry::quoted;
use super::maker::{Col, Maker};
use super::people::is_text;
use super::recognise::{Sure, vitals};
use super::sample::{Sampled, numeric};
use super::words::{VITALS, concept};
use crate::mapping::catalog::{SqlType, Table};

impl<'c> Maker<'_, 'c> {
    pub fn observation(&mut self) {
        let Some(table) = self.rec.graph.table(self.found.table) else { return };
        let wide = vitals(table);
        self.status("final");
        self.subject("subject");
        if wide.len() >= 2 {
            self.wide(&wide);
        } else {
            self.main_code("code", true);
            self.value();
        }
        let moment = self.first_moment(&format!("{} {}", concept::DATE, concept::START));
        if let Some((leaf, sure, why)) = moment {
            self.leaf("effectiveDateTime", &leaf, sure, why);
        }
        self.refer("performer", "Practitioner", Shape::Many);
        if wide.len() < 2 {
            self.note();
        }
    }

    /// One row with a column for each measurement; the entry gets `cases`.
    fn wide(&mut self, wide: &[(usize, usize)]) {
        let Some(table) = self.rec.graph.table(self.found.table) else { return };
        let mut comma = false;
        for (place, _) in wide {
            let Some(column) = table.columns.get(*place) else { continue };
            let col = Col { alias: "", table: self.found.table, column };
            comma |= self
                .sample(&col)
                .and_then(|s| s.number(col.name()))
                .is_some_and(|(mark, _)| mark == ',');
            self.mark(&col);
        }
        let names: Vec<&str> = wide
            .iter()
            .filter_map(|(p, _)| table.columns.get(*p))
            .map(|c| c.name.as_str())
            .collect();
        let why = format!(
            "one row is {} measurements: {}; LOINC codes and units by the columns' names, look at the units",
            names.len(),
            names.join(", ")
        );
        let code = vec!["code: {coding: [{system: \"http://loinc.org\", code: $case.loinc, display: $case.label}]}".to_owned()];
        self.part("code", code, Sure::Likely, why.clone());
        let mark = if comma { "','" } else { "" };
        let decimal =
            if mark.is_empty() { "decimal".to_owned() } else { format!("decimal({mark})") };
        let value = format!(
            "valueQuantity: {{value: \"$case.column | {decimal}\", unit: $case.unit, system: \"http://unitsofmeasure.org\", code: $case.unit}}"
        );
        self.part("valueQuantity", vec![value], Sure::Likely, why);
        self.part("category", category(), Sure::Likely, "vital signs");
    }

    fn value(&mut self) {
        let text = |c: &Col<'c>| {
            !matches!(
                c.column.ty,
                SqlType::Date | SqlType::DateTime | SqlType::Instant | SqlType::Boolean
            ) && !c.words().are("unit uom status normalcy flag type low high")
        };
        let unit = self.take_if(concept::UNIT, |c| is_text(c.column.ty));
        let all: Vec<Col<'c>> = self.all(concept::VALUE).into_iter().filter(text).collect();
        let filled =
            |c: &Col<'c>| self.sample(c).is_none_or(|s| s.cells(c.name()).next().is_some());
        let number = |c: &&Col<'c>| {
            matches!(c.column.ty, SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float)
                && filled(c)
        };
        let texts =
            |c: &&Col<'c>| is_text(c.column.ty) && filled(c) && !super::people::is_source(c.name());
        let typed = all.iter().find(number).copied();
        let textual = all.iter().find(texts).copied();
        let quantity = |maker: &Self, col: &Col<'c>, decimal: &str, when: Option<String>| {
            let unit = unit.as_ref().map(|u| format!("unit: {}", quoted(&u.leaf())));
            let value = format!("value: {}", quoted(&format!("{} | {decimal}", col.leaf())));
            let members: Vec<String> = when.into_iter().chain([value]).chain(unit).collect();
            let seen = maker
                .sample(col)
                .and_then(|s| s.number(col.name()))
                .map_or(String::new(), |(_, p)| format!(": {p} % of the cells are numbers"));
            (
                format!("valueQuantity: {{{}}}", members.join(", ")),
                format!("'{}' by its name{seen}", col.name()),
            )
        };
        if let Some(col) = typed {
            self.mark(&col);
            let (line, why) = quantity(self, &col, "decimal", None);
            self.part("valueQuantity", vec![line], Sure::Likely, why);
        }
        let Some(col) = textual else { return };
        self.mark(&col);
        let numbers =
            self.sample(&col).and_then(|s| s.number(col.name())).filter(|_| typed.is_none());
        let (mark, percent) = numbers.unwrap_or(('.', 0));
        let decimal = if mark == ',' { "decimal(',')" } else { "decimal" };
        if percent >= 95 {
            let (line, why) = quantity(self, &col, decimal, None);
            self.part("valueQuantity", vec![line], Sure::Likely, why);
            return;
        }
        if let Some((kind, word)) = self.telling(&col, mark).filter(|_| percent > 0) {
            let when = format!("if: {{{}: {}}}", super::entry::plain(kind.name()), quoted(&word));
            self.mark(&kind);
            let (line, why) = quantity(self, &col, decimal, Some(when));
            let why = format!("{why}, all of them where '{}' says so", kind.name());
            self.part("valueQuantity", vec![line], Sure::Likely, why);
        } else if percent > 0 {
            let (line, why) = quantity(self, &col, decimal, None);
            self.doubt(
                "valueQuantity",
                vec![line],
                format!("{why}; the others would count as cells that do not fit"),
            );
        }
        let why = format!("'{}' by its name", col.name());
        self.leaf("valueString", &col.leaf(), Sure::Likely, why);
    }

    /// The column that says which cells of another are numbers, and its word for it.
    fn telling(&self, value: &Col<'c>, mark: char) -> Option<(Col<'c>, String)> {
        for kind in self
            .all(concept::KIND)
            .into_iter()
            .filter(|c| c.alias.is_empty() && is_text(c.column.ty))
        {
            let sample = self.sample(&kind)?;
            let words = sample.distinct(kind.name());
            if !(2..=6).contains(&words.len()) {
                continue;
            }
            let share = |word: &str| {
                let all = sample.pairs(kind.name(), value.name()).filter(|(k, _)| *k == word);
                let (good, all) =
                    all.fold((0, 0), |(g, n), (_, v)| (g + usize::from(numeric(v, mark)), n + 1));
                (good * 100_usize).checked_div(all).unwrap_or(0)
            };
            let mut numbers = words.iter().filter(|(word, _)| share(word) >= 99);
            let others = words.iter().filter(|(word, _)| share(word) < 50).count();
            if let (Some((word, _)), None) = (numbers.next(), numbers.next())
                && others + 1 == words.len()
            {
                return Some((kind, (*word).to_owned()));
            }
        }
        None
    }
}

fn category() -> Vec<String> {
    vec![
        "category:".to_owned(),
        "  - coding: [{system: \"http://terminology.hl7.org/CodeSystem/observation-category\", code: vital-signs}]".to_owned(),
    ]
}

/// What the filter of a wide row asks of each measurement: that it is there and, where some are zero, which none of
/// a living patient's can be, that it is not zero; and what is said of it.
pub(super) fn measured(table: &Table, sample: Option<&Sampled>) -> (String, String) {
    let names = vitals(table).into_iter().filter_map(|(place, _)| table.columns.get(place));
    let zeros =
        |name: &str| sample.map_or(0, |s| s.cells(name).filter(|cell| is_zero(cell)).count());
    let found: Vec<(&str, usize)> =
        names.map(|c| (c.name.as_str(), zeros(&c.name))).filter(|(_, n)| *n > 0).collect();
    if found.is_empty() {
        return ("{missing: false}".to_owned(), String::new());
    }
    let seen: Vec<String> = found.iter().map(|(name, n)| format!("{name} in {n} rows")).collect();
    let said = format!(
        "; a guess: 0 means that nothing was measured ({}), so it is left out",
        seen.join(", ")
    );
    ("{missing: false, not: \"0\"}".to_owned(), said)
}

fn is_zero(cell: &str) -> bool {
    cell.contains('0') && cell.bytes().all(|b| matches!(b, b'0' | b'.'))
}

/// The lines of `cases:` for a wide row.
pub(super) fn cases(table: &Table) -> Vec<String> {
    let wide = vitals(table);
    if wide.len() < 2 {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    let mut line = |(place, vital): &(usize, usize)| {
        let (column, (_, loinc, unit, label)) = (table.columns.get(*place)?, VITALS.get(*vital)?);
        // It becomes part of ids.
        let mut name = crate::mapping::fold::fold(&column.name);
        name.retain(|c| c.is_ascii_alphanumeric());
        if name.is_empty() || names.contains(&name) {
            name = format!("loinc{}", loinc.replace('-', ""));
        }
        names.push(name.clone());
        let name = super::entry::plain(&name);
        let column = super::entry::plain(&column.name);
        Some(format!(
            "{name}: {{column: {column}, loinc: \"{loinc}\", unit: \"{unit}\", label: \"{label}\"}}"
        ))
    };
    wide.iter().filter_map(&mut line).collect()
}
