//! Which tables are resources, by their names and by their shape.

use super::links::{Graph, Link};
use super::words::{ATTACHED, CLINICAL, PEOPLE, TYPES, VITALS, Words, concept};
use crate::mapping::catalog::{SqlType, Table};

/// How much a guess may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sure {
    /// Commented out: somebody must look first.
    Guess,
    /// Probably right.
    Likely,
    /// The schema says so.
    Certain,
}

impl Sure {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Guess => "a guess",
            Self::Likely => "likely",
            Self::Certain => "sure",
        }
    }
}

/// A table that is resources of a type.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its place in the catalogue.
    pub table: usize,
    pub ty: &'static str,
    pub sure: Sure,
    pub why: String,
}

/// Everything a catalogue was understood to be.
pub(super) struct Recognised<'c> {
    pub graph: Graph<'c>,
    pub found: Vec<Found>,
    /// The table of patients.
    pub patients: Option<usize>,
    /// Tables that look like something and are nothing yet, with the reason.
    pub doubtful: Vec<(usize, String)>,
}

/// The types whose words stand in a name.
fn named_in(words: &Words) -> Vec<&'static str> {
    TYPES.into_iter().filter(|(_, rule)| words.are(rule)).map(|(ty, _)| ty).collect()
}

/// `patientvaccine` as two words: databases that keep names in small letters part them nowhere.
fn unglued(words: &Words) -> Option<Words> {
    let parted = |token: &String| match token.strip_prefix("patient") {
        Some(rest) if rest.len() > 3 => vec!["patient".to_owned(), rest.to_owned()],
        _ => vec![token.clone()],
    };
    let tokens: Vec<String> = words.tokens.iter().flat_map(parted).collect();
    (tokens.len() > words.tokens.len()).then(|| Words { tokens, whole: words.whole.clone() })
}

/// The type a table's name speaks of.
pub(super) fn type_of(words: &Words) -> Option<&'static str> {
    if words.are(ATTACHED) && !words.are("imaging+study drug+order diagnostic+report") {
        return None;
    }
    let named = named_in(words);
    if named.is_empty()
        && let Some(words) = unglued(words)
    {
        return type_of(&words);
    }
    let context = |ty: &&&str| matches!(**ty, "Patient" | "Encounter");
    let telling: Vec<&&str> = named.iter().filter(|ty| !context(ty)).collect();
    match (telling.as_slice(), named.as_slice()) {
        // `hospital_ward`: whose it is, and what it is.
        ([_, _, ..], _) if telling.iter().all(|ty| matches!(**ty, "Organization" | "Location")) => {
            Some("Location")
        }
        // `encounter_provider`, `patient_device`: a table that only links the two.
        ([one], [_, _, ..]) if matches!(**one, "Practitioner" | "Location" | "Organization") => {
            None
        }
        ([first, ..], _) => Some(first),
        ([], [first, ..]) => Some(first),
        ([], []) => None,
    }
}

fn columns(table: &Table, rule: &str) -> usize {
    table.columns.iter().filter(|c| Words::of(&c.name).are(rule)).count()
}

/// How many things that people have stand in a table.
fn personal(table: &Table) -> usize {
    use concept::{BIRTH, FAMILY, FULL_NAME, GIVEN, NATIONAL, RECORD_NO, SEX};
    [BIRTH, SEX, NATIONAL, RECORD_NO].into_iter().filter(|rule| columns(table, rule) > 0).count()
        + usize::from([FAMILY, GIVEN, FULL_NAME].into_iter().any(|rule| columns(table, rule) > 0))
}

/// The same with names that stand in a table of their own.
fn personal_of(graph: &Graph<'_>, number: usize) -> usize {
    let Some(table) = graph.table(number) else { return 0 };
    let named = |n: &usize| {
        let words = graph.words.get(*n).is_some_and(|w| w.are("name nombre nome namen"));
        words && graph.between(*n, number).next().is_some()
    };
    let own = [concept::FAMILY, concept::GIVEN, concept::FULL_NAME];
    let own = own.into_iter().any(|rule| columns(table, rule) > 0);
    personal(table) + usize::from(!own && (0..graph.catalog.tables.len()).any(|n| named(&n)))
}

/// The table in which what is personal of a table's rows stands: one that shares its key, or the one that a
/// foreign key of ours leads to when ours has no names and no birth dates itself.
pub(super) fn holder<'g>(graph: &'g Graph<'_>, number: usize) -> Option<&'g Link> {
    if let Some(link) = graph.parent(number) {
        return Some(link);
    }
    let table = graph.table(number)?;
    let rules = [concept::FAMILY, concept::GIVEN, concept::FULL_NAME, concept::BIRTH];
    // A `family` that is another table's key is no name.
    let links = graph.links.get(number)?;
    let own = table.columns.iter().filter(|c| !links.iter().any(|l| l.own.contains(&c.name)));
    let own: Vec<Words> = own.map(|c| Words::of(&c.name)).collect();
    if rules.into_iter().any(|rule| own.iter().any(|words| words.are(rule))) {
        return None;
    }
    let people = |link: &&Link| {
        let there = personal_of(graph, link.table);
        link.declared && link.own.len() == 1 && link.table != number && there >= 3
    };
    let found: Vec<&Link> = graph.links.get(number)?.iter().filter(people).collect();
    let alone = |link: &&&Link| {
        let own: Vec<&str> = link.own.iter().map(String::as_str).collect();
        table.unique(&own)
    };
    match found.as_slice() {
        [only] => Some(only),
        several => several.iter().find(alone).copied(),
    }
}

pub(super) fn recognise(catalog: &crate::mapping::catalog::Catalog) -> Recognised<'_> {
    let mut graph = Graph::new(catalog);
    let patients = patients(&graph);
    if let Some(found) = &patients {
        graph.lead_to_people(found.table);
    }
    let person = patients.as_ref().and_then(|p| holder(&graph, p.table)).map(|link| link.table);
    let mut all = Recognised { graph, found: Vec::new(), patients: None, doubtful: Vec::new() };
    all.patients = patients.as_ref().map(|p| p.table);
    all.found.extend(patients);
    for (number, table) in catalog.tables.iter().enumerate() {
        if all.patients == Some(number) || person == Some(number) || !has_columns(table) {
            continue;
        }
        let named = all.graph.words.get(number).and_then(type_of);
        match named {
            // Something of a patient; what it is, if anything, its columns tell.
            Some("Patient") if all.of_patients(number) => by_shape(&mut all, number, table),
            Some("Patient") => {
                let why = "it is named like patients; another table was taken for them".to_owned();
                all.doubtful.push((number, why));
            }
            Some(ty) => by_name(&mut all, number, table, ty),
            None => by_shape(&mut all, number, table),
        }
    }
    let order = |ty: &str| match ty {
        "Patient" => 0,
        "Practitioner" => 1,
        "Organization" => 2,
        "Location" => 3,
        "Encounter" => 4,
        _ => 5,
    };
    all.found.sort_by_key(|found| (order(found.ty), found.ty, found.table));
    all
}

fn has_columns(table: &Table) -> bool {
    !table.columns.is_empty()
}

/// The table of patients: by name, else the one that holds people.
fn patients(graph: &Graph<'_>) -> Option<Found> {
    let tables = graph.catalog.tables.iter().enumerate();
    let attached = |n: usize| graph.words.get(n).is_some_and(|w| w.are(ATTACHED));
    let is = |n: usize, rule: &str| graph.words.get(n).is_some_and(|w| w.are(rule));
    let rule = TYPES.iter().find(|(ty, _)| *ty == "Patient").map_or("", |(_, rule)| rule);
    let others = |n: usize| graph.words.get(n).and_then(type_of).is_some_and(|ty| ty != "Patient");
    let pointed = |n: usize| graph.links.iter().flatten().filter(|link| link.table == n).count();
    let mut best: Option<(usize, usize, Sure, &str)> = None;
    for (number, table) in tables {
        if attached(number) || others(number) || table.columns.is_empty() {
            continue;
        }
        let (traits, via) = (personal(table), holder(graph, number).map(|l| l.table));
        let inherited = via.map_or(0, |n| personal_of(graph, n));
        // A table called so and nothing else comes before one that is called so among other things, and a
        // table before a view of it.
        let plain = graph.words.get(number).is_some_and(|w| w.subject().len() == 1);
        let plain = usize::from(plain && !table.view) * 15;
        let (score, sure, why) = if is(number, rule) {
            (100 + plain + 10 * (traits + inherited), Sure::Certain, "by its name")
        } else if is(number, PEOPLE) && traits + pointed(number) > 1 {
            (
                50 + 10 * traits,
                Sure::Likely,
                "by its name: people, and nothing else is named patients",
            )
        } else if traits >= 3 && columns(table, concept::BIRTH) > 0 {
            (10 * traits, Sure::Likely, "by its columns: names, sex, a date of birth")
        } else {
            continue;
        };
        let score = score + pointed(number).min(9);
        if best.is_none_or(|(known, ..)| known < score) {
            best = Some((score, number, sure, why));
        }
    }
    best.map(|(_, table, sure, why)| Found { table, ty: "Patient", sure, why: why.to_owned() })
}

impl Recognised<'_> {
    /// Whether a table leads to the patients, itself or through the table it shares its key with.
    pub fn of_patients(&self, table: usize) -> bool {
        let Some(patients) = self.patients else { return false };
        let people: Vec<usize> =
            self.graph.parent(patients).map(|l| l.table).into_iter().chain([patients]).collect();
        let leads = |n: usize| people.iter().any(|p| self.graph.between(n, *p).next().is_some());
        leads(table) || self.graph.parent(table).is_some_and(|link| leads(link.table))
    }

    /// The link to a table of visits through which alone a table leads to the patients.
    pub fn visit(&self, table: usize) -> Option<&Link> {
        let visits = |link: &&Link| {
            let named = self.graph.words.get(link.table).and_then(type_of);
            named == Some("Encounter") && link.own.len() == 1 && self.of_patients(link.table)
        };
        let links = self.graph.links.get(table)?;
        links.iter().find(visits).filter(|_| !self.of_patients(table))
    }

    /// Whether a table is one of the entries.
    pub fn entry(&self, table: usize) -> Option<&Found> {
        self.found.iter().find(|found| found.table == table)
    }
}

fn by_name(all: &mut Recognised<'_>, number: usize, table: &Table, ty: &'static str) {
    if CLINICAL.contains(&ty) && !all.of_patients(number) && all.visit(number).is_none() {
        let why = format!("it is named like {ty}, and nothing in it leads to a patient");
        all.doubtful.push((number, why));
        return;
    }
    if ty == "Practitioner" && personal(table) == 0 && holder(&all.graph, number).is_none() {
        let people = all
            .graph
            .links
            .get(number)
            .into_iter()
            .flatten()
            .any(|link| all.graph.words.get(link.table).is_some_and(|w| w.are(PEOPLE)));
        if !people {
            all.doubtful.push((number, "it is named like staff and holds no names".to_owned()));
            return;
        }
    }
    if ty == "Observation" && vitals(table).len() >= 2 {
        let why = "by its name and its columns: one row is several measurements".to_owned();
        all.found.push(Found { table: number, ty, sure: Sure::Likely, why });
        return;
    }
    all.found.push(Found { table: number, ty, sure: Sure::Likely, why: "by its name".to_owned() });
}

fn by_shape(all: &mut Recognised<'_>, number: usize, table: &Table) {
    let attached = all.graph.words.get(number).is_some_and(|w| w.are(ATTACHED));
    if attached || !all.of_patients(number) {
        return;
    }
    let has = |rule| columns(table, rule) > 0;
    let measured = vitals(table).len();
    let sure = if measured > 3 { Sure::Likely } else { Sure::Guess };
    let (ty, why) = if measured >= 2 {
        ("Observation", "by its columns: one row is several measurements of a patient")
    } else if has(concept::VALUE) && (has(concept::UNIT) || has(concept::CODE)) {
        ("Observation", "by its columns: a value and what it is of a patient")
    } else if has(concept::DOSE) {
        ("MedicationRequest", "by its columns: a dosage for a patient")
    } else {
        return;
    };
    all.found.push(Found { table: number, ty, sure, why: why.to_owned() });
}

/// The columns of a wide row of measurements: the column's place and which vital sign it is.
pub(super) fn vitals(table: &Table) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        let holds = matches!(
            column.ty,
            SqlType::Integer { .. }
                | SqlType::Decimal
                | SqlType::Float
                | SqlType::Text
                | SqlType::Any
        );
        let words = Words::of(&column.name);
        let vital = VITALS.iter().position(|(rule, ..)| words.are(rule));
        if let Some(vital) = vital.filter(|v| holds && !found.iter().any(|(_, known)| known == v)) {
            found.push((place, vital));
        }
    }
    found
}
