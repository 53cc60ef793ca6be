//! Elements of people and places: names, sex, dates of birth, numbers, contacts, addresses; in the
//! table's own columns or in tables that hang off it.

use super::entry::{CodeLines, quoted};
use super::looks::sexes;
use super::maker::{Col, Maker};
use super::recognise::Sure;
use super::words::{Words, concept};
use crate::mapping::catalog::SqlType;

/// What a given name may be called where the family name has a column of its own.
const BARE_NAME: &str = "name nombre nome nom";

/// A member of an object in a list, as YAML.
pub(super) fn member(name: &str, leaf: &str) -> String {
    format!("{name}: {}", quoted(leaf))
}

impl<'c> Maker<'_, 'c> {
    /// `name` from columns of its own.
    pub fn human_name(&mut self) -> bool {
        let mut seen = Vec::new();
        let mut take = |maker: &mut Self, rule| {
            let whole = |c: &Col<'_>| rule != BARE_NAME || c.words().tokens.len() == 1;
            let col = maker.take_if(rule, |c| is_text(c.column.ty) && whole(c))?;
            seen.push(col.name().to_owned());
            Some(col)
        };
        // `Name, Vorname`, `apellidos_nombres`: one column of both.
        let both = self.take_if(concept::GIVEN, |c| is_text(c.column.ty) && is_both(&c.words()));
        let second = take(self, concept::FAMILY_2);
        let mut family = take(self, concept::FAMILY);
        let middle = take(self, concept::MIDDLE);
        let mut given = take(self, concept::GIVEN);
        if family.is_some() && given.is_none() {
            // Beside a family name, a name alone is the other one, and so are other names.
            given = take(self, BARE_NAME).or_else(|| take(self, "other+name"));
        }
        if given.is_some() && family.is_none() && second.is_none() {
            // And beside a given name it is the family's: `Name, Vorname`, `nom, prenom`.
            family = take(self, BARE_NAME);
        }
        let full = if family.is_none() && given.is_none() {
            both.or_else(|| take(self, concept::FULL_NAME))
        } else {
            None
        };
        if family.is_none() && given.is_none() && full.is_none() {
            return false;
        }
        let (title, suffix) = (take(self, concept::TITLE), take(self, concept::SUFFIX));
        let mut members = Vec::new();
        members.extend(full.as_ref().map(|c| member("text", &c.leaf())));
        match (&family, &second) {
            (Some(a), Some(b)) => {
                members.push(member("family", &format!("{}, {} | join(' ')", a.leaf(), b.leaf())));
            }
            (Some(a), None) | (None, Some(a)) => members.push(member("family", &a.leaf())),
            (None, None) => {}
        }
        let given: Vec<String> =
            given.iter().chain(&middle).map(|c| quoted(&self.split(c))).collect();
        if !given.is_empty() {
            members.push(format!("given: [{}]", given.join(", ")));
        }
        members.extend(title.as_ref().map(|c| format!("prefix: [{}]", quoted(&c.leaf()))));
        members.extend(suffix.as_ref().map(|c| format!("suffix: [{}]", quoted(&c.leaf()))));
        let lines = vec!["name:".to_owned(), format!("  - {{{}}}", members.join(", "))];
        self.part("name", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }

    /// A given name, split at blanks where some cells have them.
    fn split(&self, col: &Col<'_>) -> String {
        let blanks = self.sample(col).and_then(|s| s.percent(col.name(), |c| c.contains(' ')));
        if blanks.is_some_and(|p| p > 0) {
            format!("{} | split(' ')", col.leaf())
        } else {
            col.leaf()
        }
    }

    /// The column of the sex: one whose values are all known, be they another table's keys.
    fn sex(&self) -> Option<Col<'c>> {
        let all = self.any(concept::SEX);
        let known = |c: &&Col<'c>| {
            let values = self.sample(c).map(|s| s.distinct(c.name())).unwrap_or_default();
            let texts: Vec<&str> = values.iter().map(|(v, _)| *v).collect();
            !texts.is_empty() && sexes(&texts).is_some()
        };
        let own = |c: &&Col<'c>| !self.links(c);
        let known = all.iter().filter(own).find(known).or_else(|| all.iter().find(known));
        known.or_else(|| all.iter().find(own)).copied()
    }

    pub fn gender(&mut self) {
        let Some(col) = self.sex() else { return };
        self.mark(&col);
        let values = self.sample(&col).map(|s| s.distinct(col.name())).unwrap_or_default();
        let texts: Vec<&str> = values.iter().map(|(v, _)| *v).collect();
        let leaf = format!("{} | code(sex)", col.leaf());
        let (entries, sure, why) = self.sexes(&col, &texts);
        let code = CodeLines {
            name: "sex".to_owned(),
            entries,
            otherwise: Some("unknown"),
            missing: None,
            why: why.clone(),
        };
        self.codes.push(code);
        self.leaf("gender", &leaf, sure, why);
    }

    /// What the values of a column of sexes mean, how sure that is, and why.
    fn sexes(&self, col: &Col<'c>, texts: &[&str]) -> (Vec<(String, String)>, Sure, String) {
        let (name, values) = (col.name(), self.values(col));
        if let Some(entries) = explained_sexes(col) {
            return (entries, Sure::Certain, format!("its comment explains '{name}'; {values}"));
        }
        let Some(entries) = sexes(texts).filter(|e| !e.is_empty()) else {
            let known: Vec<&str> =
                texts.iter().copied().filter(|text| sexes(&[*text]).is_some()).collect();
            let usual = [("M", "male"), ("F", "female")];
            let usual = || usual.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
            let entries = sexes(&known).filter(|e| !e.is_empty()).unwrap_or_else(usual);
            let why = format!("'{name}' by its name; its values are not all known: {values}");
            // Of values none of which is known, every patient would be of unknown sex.
            let sure =
                if known.is_empty() && !texts.is_empty() { Sure::Guess } else { Sure::Likely };
            return (entries, sure, why);
        };
        let digits = texts.iter().any(|t| matches!(*t, "1" | "2"));
        let sample = self.sample(col);
        let zeros = sample.and_then(|s| s.percent(name, |cell| cell == "0")).unwrap_or(0);
        if digits && zeros >= 10 {
            // Programs that count from zero have 0 for one of the sexes; ISO 5218 has it for unknown.
            let why = format!(
                "'{name}' by its name; {values}. Here stands ISO 5218 (1 male, 2 female, 0 not known), but with \
                 so many zeros 0 may be one of the sexes: ask"
            );
            return (entries, Sure::Guess, why);
        }
        let sure = if digits { Sure::Likely } else { Sure::Certain };
        (entries, sure, format!("'{name}' by its name; {values}"))
    }

    /// `birthDate` and the like: a date without time.
    pub fn day(&mut self, element: &'static str, rule: &str) {
        let candidates = self.all(rule);
        let Some((col, (leaf, sure, why))) =
            candidates.iter().find_map(|c| Some((c, self.date(c, false)?)))
        else {
            return self.day_in_columns(element);
        };
        self.mark(col);
        self.leaf(element, &leaf, sure, why);
    }

    /// `deceasedDateTime` from a date, else `deceasedBoolean` from a flag.
    pub fn deceased(&mut self) {
        let all = self.all(concept::DEATH);
        if let Some((col, (leaf, sure, why))) =
            all.iter().find_map(|col| Some((col, self.date(col, true)?)))
        {
            self.mark(col);
            self.leaf("deceasedDateTime", &leaf, sure, why);
        }
        // Of whom no day is known, a flag may say that they died.
        for col in self.all(concept::DEATH) {
            if let Some(pipe) = self.boolean(&col) {
                self.mark(&col);
                let why = format!("'{}' by its name; {}", col.name(), self.values(&col));
                self.leaf("deceasedBoolean", &pipe, Sure::Likely, why);
                return;
            }
        }
    }

    /// A leaf that reads a flag.
    pub fn boolean(&self, col: &Col<'_>) -> Option<String> {
        if col.column.ty == SqlType::Boolean {
            return Some(col.leaf());
        }
        let (yes, no) = self.sample(col)?.flag(col.name())?;
        Some(format!("{} | bool('{yes}', '{no}')", col.leaf()))
    }

    pub fn active(&mut self) {
        let all = self.all(concept::ACTIVE);
        let Some((col, pipe)) = all.iter().find_map(|c| Some((*c, self.boolean(c)?))) else {
            return;
        };
        self.mark(&col);
        let why = format!("'{}' by its name; {}", col.name(), self.values(&col));
        self.leaf("active", &pipe, Sure::Likely, why);
    }

    /// `identifier` from columns of its own, each with a label until somebody names its system.
    pub fn identifiers(&mut self) -> bool {
        use concept::{IDENTIFIER, INSURANCE_NO, NATIONAL, PASSPORT, RECORD_NO};
        let (mut lines, mut seen) = (vec!["identifier:".to_owned()], Vec::new());
        for rule in [RECORD_NO, NATIONAL, PASSPORT, INSURANCE_NO, IDENTIFIER] {
            let held = |c: &Col<'c>| {
                is_text(c.column.ty) || matches!(c.column.ty, SqlType::Integer { .. })
            };
            let Some(col) = self.take_if(rule, held) else { continue };
            let text = col.words().tokens.join(" ").to_uppercase();
            lines.push(format!(
                "  - {{type: {{text: {}}}, value: {}}}",
                quoted(&text),
                quoted(&col.leaf())
            ));
            seen.push(col.name().to_owned());
        }
        if seen.is_empty() {
            return false;
        }
        let why = format!(
            "by the names {}; give each its `system:`, a URI of the hospital's or the country's",
            seen.join(", ")
        );
        self.part("identifier", lines, Sure::Likely, why);
        true
    }

    /// `telecom` from columns of its own.
    pub fn telecoms(&mut self) -> bool {
        use concept::{EMAIL, FAX, HOME_PHONE, MOBILE, PHONE, WORK_PHONE};
        let (mut lines, mut seen) = (vec!["telecom:".to_owned()], Vec::new());
        for (rule, is) in [
            (MOBILE, "system: phone, use: mobile"),
            (HOME_PHONE, "system: phone, use: home"),
            (WORK_PHONE, "system: phone, use: work"),
            (PHONE, "system: phone"),
            (EMAIL, "system: email"),
            (FAX, "system: fax"),
        ] {
            let Some(col) = self.take_if(rule, |c| {
                is_text(c.column.ty) || matches!(c.column.ty, SqlType::Integer { .. })
            }) else {
                continue;
            };
            lines.push(format!("  - {{{is}, value: {}}}", quoted(&col.leaf())));
            seen.push(col.name().to_owned());
        }
        if seen.is_empty() {
            return false;
        }
        self.part("telecom", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }

    /// The members of an address; empty when no column is one.
    fn address_members(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut members, mut seen) = (Vec::new(), Vec::new());
        let mut line = Vec::new();
        let text = |c: &Col<'c>| is_text(c.column.ty);
        if let Some(col) = self.take_if(concept::STREET, text) {
            line.push(col);
            line.extend(self.take_if("address+2 line+2 addr+2 street+2 complemento", text));
        }
        if let Some(first) = line.first() {
            let number = self.take_if(concept::STREET_NO, |_| true);
            let leaf = match number {
                Some(number) => format!("{}, {} | join(' ')", first.leaf(), number.leaf()),
                None => first.leaf(),
            };
            let more = line.iter().skip(1).map(|c| quoted(&c.leaf()));
            let all: Vec<String> = std::iter::once(quoted(&leaf)).chain(more).collect();
            members.push(format!("line: [{}]", all.join(", ")));
            seen.extend(line.iter().map(|c| c.name().to_owned()));
        }
        for (name, rule) in [
            ("city", concept::CITY),
            ("district", concept::DISTRICT),
            ("postalCode", concept::POSTAL),
            ("state", concept::STATE),
            ("country", concept::COUNTRY),
        ] {
            // Alone, a state is a status as likely as not, and a country is no address.
            if members.is_empty() && matches!(name, "state" | "country") {
                continue;
            }
            let held = |c: &Col<'c>| {
                is_text(c.column.ty)
                    || (name == "postalCode" && matches!(c.column.ty, SqlType::Integer { .. }))
            };
            let fit = |c: &Col<'c>| held(c) && !c.words().are("birth source concept phone mail");
            if let Some(col) = self.take_if(rule, fit) {
                members.push(member(name, &col.leaf()));
                seen.push(col.name().to_owned());
            }
        }
        (members, seen)
    }

    /// `address` from columns of its own. One city alone is not much of an address, but it is one.
    pub fn address(&mut self, list: bool) -> bool {
        let (members, seen) = self.address_members();
        if members.is_empty() {
            return false;
        }
        let item = format!("{{{}}}", members.join(", "));
        let lines = if list {
            vec!["address:".to_owned(), format!("  - {item}")]
        } else {
            vec![format!("address: {item}")]
        };
        self.part("address", lines, Sure::Likely, format!("by the names {}", seen.join(", ")));
        true
    }
}

/// What a column's comment says of its codes, when it says which is male and which is female.
fn explained_sexes(col: &Col<'_>) -> Option<Vec<(String, String)>> {
    let codes = super::hints::codes(col.column)?;
    let read = |(code, word): &(String, String)| {
        let last = word.rsplit([' ', '_', '-']).next().unwrap_or_default();
        let known = sexes(&[word.as_str()]).or_else(|| sexes(&[last]))?;
        Some((code.clone(), known.into_iter().next()?.1))
    };
    let entries: Vec<(String, String)> = codes.iter().filter_map(read).collect();
    let has = |sex: &str| entries.iter().filter(|(_, found)| found == sex).count() == 1;
    (has("male") && has("female")).then_some(entries)
}

/// Whether a column holds texts people read.
pub(super) const fn is_text(ty: SqlType) -> bool {
    matches!(ty, SqlType::Text | SqlType::Char | SqlType::Any | SqlType::Enum)
}

/// Whether a column's words name the family's name and the given one.
fn is_both(words: &Words) -> bool {
    let given = words.are("vorname vornamen prenom nombres forename firstname first given");
    given && words.are("=namevorname nachname+vorname nom+prenom apellido+nombres surname+forename last+first family+given name+vorname")
}

/// Whether a name is only about where its values come from.
pub(super) fn is_source(name: &str) -> bool {
    Words::of(name).are("source")
}
