//! Id templates: a row's key to a FHIR id and back.

use std::borrow::Cow;

use crate::fhir::primitive;
use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Value};

use super::{escape, typed};

/// Most keys one id may stand for, when texts could be cut in several ways.
const MAX_CANDIDATES: usize = 16;

/// A template over key columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTemplate {
    pub parts: Vec<IdPart>,
    pub key: Vec<ColumnRef>,
    /// Texts that are no ids are written so that they are: `| escape`.
    pub escaped: bool,
}

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdPart {
    Literal(String),
    /// A column of the key, by its place.
    Key(usize),
}

impl IdTemplate {
    /// Appends the id of a row whose key cells `cell` gives. `false`, with `out` as it was, when a
    /// cell is missing, is not what its column's type says (SQLite keeps anything) and so could not be
    /// found again, or the result is no FHIR id.
    pub fn write<'a>(&self, out: &mut String, cell: impl Fn(usize) -> Option<&'a str>) -> bool {
        let start = out.len();
        for part in &self.parts {
            match part {
                IdPart::Literal(text) => out.push_str(text),
                IdPart::Key(n) => {
                    let text = cell(*n).map(|text| self.shown(*n, text));
                    let text = text.filter(|text| self.leads_back(*n, text));
                    let written = text.is_some_and(|text| {
                        if self.escapes(*n) {
                            return escape::write(out, text, self.apart(*n));
                        }
                        out.push_str(text);
                        true
                    });
                    if !written {
                        out.truncate(start);
                        return false;
                    }
                }
            }
        }
        let good = out.get(start..).is_some_and(primitive::is_id);
        if !good {
            out.truncate(start);
        }
        good
    }

    /// The template as a mapping writes it: `adm-$ward-$number`.
    pub fn pattern(&self) -> String {
        let part = |part: &IdPart| match part {
            IdPart::Literal(text) => text.clone(),
            IdPart::Key(n) => format!("${}", self.key.get(*n).map_or("", |c| c.name.as_str())),
        };
        let pattern: String = self.parts.iter().map(part).collect();
        if self.escaped { pattern + " | escape" } else { pattern }
    }

    /// Whether a column's texts are escaped.
    pub fn escapes(&self, n: usize) -> bool {
        self.escaped && self.key.get(n).is_some_and(|column| typed::is_text(column.ty))
    }

    /// The character behind a column's text that parts it from the rest of the id.
    pub fn apart(&self, n: usize) -> Option<char> {
        let mut behind = self.parts.iter().skip_while(|part| **part != IdPart::Key(n)).skip(1);
        match behind.next() {
            Some(IdPart::Literal(text)) if behind.next().is_some() => text.chars().next(),
            _ => None,
        }
    }

    /// Whether every key makes a FHIR id: whole numbers and UUIDs do, texts need not.
    pub fn fits_every_key(&self) -> bool {
        let fits = |c: &ColumnRef| matches!(c.ty, SqlType::Integer { .. } | SqlType::Uuid);
        self.key.iter().all(fits)
    }

    /// How many characters the columns may have together, for the id to be one.
    pub fn room(&self) -> u32 {
        let literals = self.parts.iter().map(|part| match part {
            IdPart::Literal(text) => text.len(),
            IdPart::Key(_) => 0,
        });
        u32::try_from(64_usize.saturating_sub(literals.sum())).unwrap_or(0)
    }

    /// A padded column's blanks are not part of its value.
    fn shown<'a>(&self, n: usize, text: &'a str) -> &'a str {
        match self.key.get(n).map(|c| c.ty) {
            Some(SqlType::Char) => text.trim_end_matches(' '),
            _ => text,
        }
    }

    /// The cell that a part of an id stands for.
    fn own<'a>(&self, n: usize, part: &'a str) -> Option<Cow<'a, str>> {
        if self.escapes(n) {
            escape::read(part, self.apart(n)).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(part))
        }
    }

    fn leads_back(&self, n: usize, text: &str) -> bool {
        self.key.get(n).is_some_and(|column| typed::leads_back(column.ty, text))
    }

    /// The keys an id may stand for; none when it does not fit the template or a column's type.
    pub fn read(&self, id: &str) -> Vec<Vec<Value>> {
        let mut found = Vec::new();
        if primitive::is_id(id) {
            let mut key = vec![None; self.key.len()];
            self.fit(&self.parts, id, &mut key, &mut found);
        }
        found
    }

    fn fit(
        &self,
        parts: &[IdPart],
        text: &str,
        key: &mut Vec<Option<Value>>,
        found: &mut Vec<Vec<Value>>,
    ) {
        if found.len() >= MAX_CANDIDATES {
            return;
        }
        let Some((part, rest)) = parts.split_first() else {
            if text.is_empty() {
                found.extend(key.iter().cloned().collect::<Option<Vec<_>>>());
            }
            return;
        };
        match part {
            IdPart::Literal(literal) => {
                if let Some(after) = text.strip_prefix(literal.as_str()) {
                    self.fit(rest, after, key, found);
                }
            }
            IdPart::Key(n) => {
                let Some(column) = self.key.get(*n) else { return };
                let shortest = if rest.is_empty() { text.len() } else { 1 };
                for end in (shortest..=text.len()).rev() {
                    let Some((mine, after)) = text.split_at_checked(end) else { continue };
                    let Some(own) = self.own(*n, mine).filter(|own| !own.is_empty()) else {
                        continue;
                    };
                    let Some(value) = typed::for_column(column, &own) else { continue };
                    if value.text != own {
                        continue;
                    }
                    if let Some(place) = key.get_mut(*n) {
                        *place = Some(value);
                    }
                    self.fit(rest, after, key, found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INT: SqlType = SqlType::Integer { bits: 32, unsigned: false };

    fn template(parts: &[&str], types: &[SqlType]) -> IdTemplate {
        let mut n = 0;
        let parts = parts
            .iter()
            .map(|p| {
                if *p == "$" {
                    n += 1;
                    IdPart::Key(n - 1)
                } else {
                    IdPart::Literal((*p).to_owned())
                }
            })
            .collect();
        let key = types
            .iter()
            .map(|ty| ColumnRef { relation: 0, name: "k".to_owned(), ty: *ty, collation: None })
            .collect();
        IdTemplate { parts, key, escaped: false }
    }

    #[test]
    fn only_canonical_keys_fit() {
        let t = template(&["adm-", "$"], &[INT]);
        assert_eq!(t.read("adm-12")[0][0].text, "12");
        for bad in
            ["12", "adm-", "adm-012", "adm-12abc", "adm-+1", "ADM-1", "adm-99999999999", "adm-1/2"]
        {
            assert!(t.read(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn texts_that_can_be_cut_in_several_ways_give_every_way() {
        let t = template(&["$", "-", "$"], &[SqlType::Text, SqlType::Text]);
        let keys = t.read("a-b-c");
        assert_eq!(keys.len(), 2);
        let int = template(&["$", "-", "$"], &[SqlType::Text, INT]);
        assert_eq!(int.read("8310-5-7").len(), 1);
    }

    #[test]
    fn a_row_without_a_good_key_has_no_id() {
        let t = template(&["$"], &[SqlType::Char]);
        let mut out = String::new();
        assert!(t.write(&mut out, |_| Some("AB  ")) && out == "AB");
        assert!(!t.write(&mut out, |_| Some("a/b")) && !t.write(&mut out, |_| None));
        assert_eq!(out, "AB");
    }

    #[test]
    fn an_id_is_given_only_where_it_leads_back() {
        let gives = |t: &IdTemplate, cells: &[&str]| {
            let mut out = String::new();
            t.write(&mut out, |n| cells.get(n).copied()).then_some(out)
        };
        let pair = template(&["$", "-", "$"], &[SqlType::Text, INT]);
        assert_eq!(gives(&pair, &["m", "9"]).as_deref(), Some("m-9"));
        assert!(gives(&pair, &["", "9"]).is_none(), "an empty part reads as nothing");
        for cell in ["1x", "1.5", "07", "99999999999"] {
            assert!(gives(&pair, &["m", cell]).is_none(), "{cell}");
        }
        let decimal = template(&["$"], &[SqlType::Decimal]);
        assert!(gives(&decimal, &["0005"]).is_none());
        for cell in ["-0.10", "7.00", "18446744073709551616"] {
            let id = gives(&decimal, &[cell]).unwrap();
            assert_eq!(decimal.read(&id)[0][0].text, cell);
        }
    }

    #[test]
    fn escaped_parts_are_told_from_one_another() {
        let mut t = template(&["x-", "$", "-", "$"], &[SqlType::Text, SqlType::Char]);
        t.escaped = true;
        let mut seen = std::collections::BTreeMap::new();
        let texts = ["a", "a-b", "b", "-", "-a", "a/b", "a.2Fb", "-a.2Fb", "2D", "a-", "."];
        for first in texts {
            for second in texts {
                let mut id = String::new();
                assert!(t.write(&mut id, |n| Some([first, second][n])));
                assert_eq!(seen.insert(id.clone(), (first, second)), None, "{id}");
                let [key] = <[_; 1]>::try_from(t.read(&id)).unwrap();
                assert_eq!((key[0].text.as_str(), key[1].text.as_str()), (first, second), "{id}");
            }
        }
        t.escaped = false;
        assert_eq!(t.read("x-a-b-c").len(), 2, "which is why");
    }

    proptest! {
        #[test]
        fn what_a_row_gives_leads_back_to_it(n in any::<i32>(), text in "[A-Za-z0-9.-]{1,20}") {
            let t = template(&["x-", "$", ".", "$"], &[INT, SqlType::Text]);
            let number = n.to_string();
            let cells = [number.as_str(), text.as_str()];
            let mut id = String::new();
            prop_assert!(t.write(&mut id, |i| cells.get(i).copied()));
            let found = t.read(&id);
            let same = |k: &Vec<Value>| k[0].text == cells[0] && k[1].text == cells[1];
            prop_assert!(found.iter().any(same));
        }

        #[test]
        fn nothing_panics(id in any::<String>()) {
            let _ = template(&["$", "-", "$"], &[SqlType::Text, SqlType::Uuid]).read(&id);
        }
    }
}
