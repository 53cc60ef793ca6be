//! References to other entries, codes with their systems, and columns of few values.

use super::entry::{CodeLines, Part, quoted};
use super::links::{Link, key, writable};
use super::looks::{is_icd_10, is_loinc};
use super::maker::{Col, Maker};
use super::recognise::Sure;
use super::words::{SYSTEMS, TYPES, VOCABULARIES, Words, concept};
use crate::mapping::catalog::{Column, SqlType};

/// A code with what it is called and whose it is, as leaves.
#[derive(Debug, Default)]
pub(super) struct Coding {
    pub code: Option<String>,
    pub display: Option<String>,
    pub system: Option<String>,
    pub sure: Option<Sure>,
    pub why: String,
}

/// What the tables that lead to a code's texts are called in a mapping, one after the other.
const ALIASES: [&str; 3] = ["c", "c2", "c3"];
/// What is said of a thing and is not the thing.
const BESIDE: &str = "severity criticality priority unit uom normalcy abnormal flag route confirmation verification certainty interpretation gravedad severidad schweregrad prioridad";
/// What a code's text may be called.
const DISPLAYED: &str = "name+-vocabulary description desc descripcion descricao bezeichnung nombre nome libelle label display";

impl<'c> Maker<'_, 'c> {
    /// A reference to an entry of a type, through the first link that leads there.
    pub fn reference(&mut self, ty: &str) -> Option<(String, Sure, String)> {
        let Some(link) = self.link_to(ty) else {
            return if ty == "Patient" { self.visited() } else { None };
        };
        let patients = self.rec.patients.and_then(|p| self.rec.graph.parent(p));
        let shared = patients.filter(|p| ty == "Patient" && p.table == link.0.table);
        let target = if shared.is_some() { self.rec.patients? } else { link.0.table };
        let table = self.rec.graph.table(target)?;
        let order = if let Some(shared) = shared {
            shared.theirs.clone()
        } else {
            self.rec.graph.key(target)?.to_vec()
        };
        let (link, alias, number) = link;
        let mut leaves = Vec::new();
        for part in &order {
            let place = link.theirs.iter().position(|theirs| theirs.eq_ignore_ascii_case(part))?;
            let column = self.rec.graph.table(number)?.column(link.own.get(place)?)?;
            let col = Col { alias, table: number, column };
            self.mark(&col);
            leaves.push(col.leaf());
        }
        let none = match (order.as_slice(), link.own.as_slice()) {
            ([theirs], [own]) => self.none_of((number, own), (target, theirs)),
            _ => None,
        };
        let several = self.rec.found.iter().filter(|f| f.ty == ty).count() > 1;
        let name = if several { format!(", {}", table.name) } else { String::new() };
        let (sure, why) = if link.declared {
            (Sure::Certain, format!("a foreign key to '{}'", table.name))
        } else {
            (
                Sure::Likely,
                format!("'{}' is named like the key of '{}'", link.own.join(", "), table.name),
            )
        };
        let (null, why) = match none {
            Some((words, rows)) => (
                format!(" | null({words})"),
                format!(
                    "{why}; {words} stands there for none in {rows} rows: no row of '{}' seen has that key",
                    table.name
                ),
            ),
            None => (String::new(), why),
        };
        Some((format!("{}{null} | ref({ty}{name})", leaves.join(", ")), sure, why))
    }

    /// Words of a column of keys that stand for none: no row of the table it leads to has them. With the number
    /// of rows in which they stand.
    fn none_of(&self, own: (usize, &str), theirs: (usize, &str)) -> Option<(String, usize)> {
        let sample = self.samples.get(&own.0)?;
        let target = self.samples.get(&theirs.0).filter(|s| s.rows() > 0)?;
        let count = |word: &&str| sample.cells(own.1).filter(|cell| cell == word).count();
        let absent = |word: &&str| target.cells(theirs.1).all(|cell| cell != *word);
        let words: Vec<&str> =
            ["0", "-1"].into_iter().filter(|word| count(word) > 0 && absent(word)).collect();
        let rows = words.iter().map(count).sum();
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        (rows > 0).then(|| (quoted.join(", "), rows))
    }

    /// The patient of the visit that a row belongs to.
    fn visited(&mut self) -> Option<(String, Sure, String)> {
        let rec = self.rec;
        let visit = rec.visit(self.found.table)?.clone();
        let patients = rec.patients?;
        let shared = rec.graph.parent(patients);
        let people = [(patients, rec.graph.key(patients)?)];
        let shared = shared.map(|link| (link.table, link.theirs.as_slice()));
        let leads = |(people, key): (usize, &[String])| {
            let mut links = rec.graph.between(visit.table, people);
            links.find(|link| link.theirs == key && link.own.len() == 1).cloned()
        };
        let link = people.into_iter().chain(shared).find_map(leads)?;
        let (table, own) = (rec.graph.table(visit.table)?, link.own.first()?);
        let col = Col { alias: "v", table: visit.table, column: table.column(own)? };
        let on = vec![(visit.theirs.first()?.clone(), visit.own.first()?.clone())];
        self.join("v", visit.table, on);
        let sure = if visit.declared && link.declared { Sure::Certain } else { Sure::Likely };
        let why = format!("the patient of its visit, by '{}' and '{own}'", visit.own.join(", "));
        Some((format!("{} | ref(Patient)", col.leaf()), sure, why))
    }

    /// The links that lead to a type's entries, of the own table first; with the alias they begin at.
    fn link_to(&self, ty: &str) -> Option<(Link, &'static str, usize)> {
        let people = self.rec.patients.filter(|_| ty == "Patient");
        let people = people.and_then(|p| self.rec.graph.parent(p)).map(|l| l.table);
        let parent = self.joins.iter().filter(|j| j.alias == "p").map(|j| ("p", j.number));
        for (alias, number) in std::iter::once(("", self.found.table)).chain(parent) {
            let links = self.rec.graph.links.get(number).into_iter().flatten();
            let leads = |link: &&Link| {
                let itself = link.table == self.found.table
                    || self.joins.iter().any(|j| j.alias == "p" && j.number == link.table);
                let there = self.rec.entry(link.table).is_some_and(|f| f.ty == ty)
                    || people == Some(link.table);
                there && !itself && !self.seen(number, link)
            };
            let named = |link: &&Link| {
                let rule = TYPES.iter().find(|(t, _)| *t == ty).map_or("", |(_, rule)| rule);
                link.own.iter().any(|c| Words::of(c).are(rule))
            };
            let found =
                links.clone().filter(leads).find(named).or_else(|| links.clone().find(leads));
            if let Some(link) = found {
                return Some((link.clone(), alias, number));
            }
        }
        None
    }

    fn seen(&self, number: usize, link: &Link) -> bool {
        let unused = self.unused();
        !link.own.iter().all(|c| unused.iter().any(|u| u.table == number && u.column.name == *c))
            && !self.rec.graph.key(number).is_some_and(|k| link.own.iter().all(|c| k.contains(c)))
    }

    /// Adds a reference element; a list when it repeats, wrapped in `member` when it stands in one.
    pub fn refer(&mut self, element: &'static str, ty: &str, shape: Shape) {
        let Some((leaf, sure, why)) = self.reference(ty) else { return };
        let leaf = quoted(&leaf);
        let lines = match shape {
            Shape::One => vec![format!("{element}: {leaf}")],
            Shape::Many => vec![format!("{element}: [{leaf}]")],
            Shape::In(member) => vec![format!("{element}:"), format!("  - {{{member}: {leaf}}}")],
        };
        self.part(element, lines, sure, why);
    }

    /// The code of the thing itself: through a table of codes, or in columns of its own.
    pub fn coding(&mut self, code_rule: &str, display_rule: &str) -> Option<Coding> {
        if let Some(coding) = self.looked_up() {
            return Some(coding);
        }
        let text = |c: &Col<'c>| {
            !matches!(
                c.column.ty,
                SqlType::Date
                    | SqlType::DateTime
                    | SqlType::Instant
                    | SqlType::Boolean
                    | SqlType::Float
            )
        };
        // `severity_cd`: a code of something else than the thing itself.
        let beside = |c: &Col<'c>| {
            let words = c.words();
            words.are(concept::STATUS) || words.are(concept::REASON) || words.are(BESIDE)
        };
        let code = self.take_if(code_rule, |c| text(c) && !beside(c));
        // `value_text` is what was found, and not what was looked for.
        let result = self.found.ty == "Observation";
        let valued = |c: &Col<'c>| result && c.words().are("value+-source result");
        let display = self.take_if(display_rule, |c| {
            super::people::is_text(c.column.ty) && !beside(c) && !valued(c)
        });
        let mut coding = Coding { display: display.as_ref().map(Col::leaf), ..Coding::default() };
        let Some(code) = code else {
            let display = display?;
            coding.why = format!("'{}' by its name; {}", display.name(), self.values(&display));
            return Some(coding);
        };
        coding.code = Some(code.leaf());
        coding.system = self.system_of(&code).map(str::to_owned);
        let values = self.values(&code);
        coding.why = match &coding.system {
            Some(_) => format!("'{}' by its name and cells; {values}", code.name()),
            None => format!(
                "'{}' by its name; say whose codes they are with `system:`; {values}",
                code.name()
            ),
        };
        Some(coding)
    }

    /// Whose codes a column holds: its name says so, or its cells look so.
    fn system_of(&self, col: &Col<'_>) -> Option<&'static str> {
        let words = col.words();
        if let Some((_, uri)) = SYSTEMS.iter().find(|(rule, _)| words.are(rule)) {
            return Some(uri);
        }
        let sample = self.sample(col)?;
        let share = |looks: fn(&str) -> bool| sample.percent(col.name(), looks).unwrap_or(0);
        if share(is_loinc) >= 90 {
            return Some("http://loinc.org");
        }
        if words.are("icd cie cid") && share(is_icd_10) >= 90 {
            return Some("http://hl7.org/fhir/sid/icd-10");
        }
        (share(is_icd_10) >= 90 && sample.distinct(col.name()).len() > 3)
            .then_some("http://hl7.org/fhir/sid/icd-10")
    }

    /// A code that stands in a table of codes.
    fn looked_up(&mut self) -> Option<Coding> {
        let rule = TYPES.iter().find(|(ty, _)| *ty == self.found.ty).map_or("", |(_, rule)| rule);
        let rec = self.rec;
        let links = rec.graph.links.get(self.found.table)?;
        let side = "type source unit operator qualifier modifier status route race ethnicity relevant site anatomic severity user created changed voided";
        let side =
            if self.found.ty == "Condition" { side.to_owned() } else { format!("{side} disease") };
        let person = rec.patients.and_then(|p| rec.graph.parent(p)).map(|l| l.table);
        // What somebody has is not what a visit or a test is.
        let kind = |n: usize| rec.graph.words.get(n).and_then(super::recognise::type_of);
        let open = |link: &&Link| {
            let words = Words::of(link.own.first().map_or("", String::as_str));
            link.own.len() == 1
                && rec.entry(link.table).is_none()
                && Some(link.table) != person
                && !words.are(&side)
                && (self.found.ty == "Condition" || kind(link.table) != Some("Condition"))
        };
        let telling = |link: &&Link| {
            let words = Words::of(link.own.first().map_or("", String::as_str));
            words.are(rule)
                || words.are(concept::CODE)
                || words.are("concept drug diagnosis test procedure vaccine")
        };
        let link = links.iter().filter(open).find(telling)?.clone();
        // A table without texts of its own leads on to the one that has them.
        let mut way = vec![(link.table, link.theirs.first()?.clone(), link.own.first()?.clone())];
        let display = loop {
            let (last, ..) = *way.last()?;
            if let Some(display) = self.pick(last, DISPLAYED) {
                break display;
            }
            let onward = rec.graph.onward(last).filter(|_| way.len() < ALIASES.len())?;
            let from = format!("{}.{}", ALIASES.get(way.len() - 1)?, onward.own.first()?);
            way.push((onward.table, onward.theirs.first()?.clone(), from));
        };
        let (last, alias) = (way.last()?.0, *ALIASES.get(way.len() - 1)?);
        let table = rec.graph.table(last)?;
        let own_key = key(table).unwrap_or_default();
        let code = self.pick(last, "code+-system cod codigo concept+code");
        let code = code.filter(|c| c.name != display.name).or_else(|| {
            table.columns.iter().find(|c| {
                own_key.contains(&c.name) && matches!(c.ty, SqlType::Text | SqlType::Char)
            })
        });
        let vocabulary = self.pick(last, "vocabulary terminology codesystem code+system");
        for (alias, (number, theirs, ours)) in ALIASES.into_iter().zip(way) {
            self.join(alias, number, vec![(theirs, ours)]);
        }
        let col = |column| Col { alias, table: last, column };
        let own = rec.graph.table(self.found.table)?.column(link.own.first()?);
        let own = own.map(|column| Col { alias: "", table: self.found.table, column });
        if let Some(own) = &own {
            self.mark(own);
        }
        // A row's own code stays when the table of codes has no such row, or spells it otherwise.
        let held =
            own.filter(|_| last == link.table && link.theirs.first() == code.map(|c| &c.name));
        let mut coding = Coding {
            code: code.map(|c| held.as_ref().map_or_else(|| col(c).leaf(), Col::leaf)),
            system: held.as_ref().and_then(|own| self.system_of(own)).map(str::to_owned),
            display: Some(col(display).leaf()),
            sure: Some(if link.declared { Sure::Certain } else { Sure::Likely }),
            why: format!("'{}' leads to the codes in '{}'", link.own.join(", "), table.name),
        };
        if let Some(vocabulary) = vocabulary {
            self.vocabulary(&col(vocabulary), &mut coding);
        }
        Some(coding)
    }

    /// The first filled column of texts in a table of codes that is called so.
    fn pick(&self, table: usize, rule: &str) -> Option<&'c Column> {
        let sample = self.samples.get(&table).filter(|s| s.rows() > 0);
        let filled = |name: &str| sample.is_none_or(|s| s.cells(name).next().is_some());
        let held =
            |t: SqlType| matches!(t, SqlType::Text | SqlType::Char | SqlType::Any | SqlType::Enum);
        self.rec.graph.table(table)?.columns.iter().find(|c| {
            let words = Words::of(&c.name);
            held(c.ty)
                && writable(&c.name)
                && filled(&c.name)
                && words.are(rule)
                && !words.are("class domain standard invalid uuid")
        })
    }

    /// A column that says whose a code is.
    fn vocabulary(&mut self, col: &Col<'_>, coding: &mut Coding) {
        let seen = self.sample(col).map(|s| s.distinct(col.name())).unwrap_or_default();
        let known =
            VOCABULARIES.into_iter().filter(|(name, _)| seen.iter().any(|(v, _)| v == name));
        let entries: Vec<(String, String)> =
            known.map(|(name, uri)| (name.to_owned(), uri.to_owned())).collect();
        if entries.is_empty() {
            return;
        }
        let why = format!("what '{}' names; {}", col.name(), self.values(col));
        coding.system = Some(format!("{} | code(vocabulary)", col.leaf()));
        self.codes.push(CodeLines {
            name: "vocabulary".to_owned(),
            entries,
            otherwise: None,
            missing: None,
            why,
        });
    }

    /// Adds a CodeableConcept.
    pub fn concept(&mut self, element: &'static str, coding: &Coding, list: bool) {
        let mut lines = vec![format!("{element}:")];
        let (first, rest) = if list { ("  - ", "    ") } else { ("  ", "  ") };
        if let Some(code) = &coding.code {
            let system = coding.system.as_ref().map(|s| format!("system: {}, ", quoted(s)));
            let display = coding.display.as_ref().map(|d| format!(", display: {}", quoted(d)));
            lines.push(format!("{first}coding:"));
            lines.push(format!(
                "{rest}  - {{{}code: {}{}}}",
                system.unwrap_or_default(),
                quoted(code),
                display.unwrap_or_default()
            ));
        }
        if let Some(display) = &coding.display {
            let lead = if coding.code.is_some() { rest } else { first };
            lines.push(format!("{lead}text: {}", quoted(display)));
        }
        self.part(element, lines, coding.sure.unwrap_or(Sure::Likely), coding.why.clone());
    }

    /// Commented-out lines that somebody should look at.
    pub fn doubt(&mut self, element: &'static str, lines: Vec<String>, why: impl Into<String>) {
        self.parts.push(Part::new(element, lines, Sure::Guess, why));
    }
}

/// How a reference element is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    One,
    Many,
    /// A list of objects in which it is that member.
    In(&'static str),
}
