//! What each type of resource is made of.

use super::coded::{Coding, Shape};
use super::entry::{CodeLines, quoted};
use super::maker::{Col, Maker};
use super::people::is_text;
use super::recognise::{Sure, vitals};
use super::sample::numeric;
use super::words::{VITALS, concept};
use crate::mapping::catalog::SqlType;

/// A period's elements in types that have either a moment or a period.
struct When {
    moment: &'static str,
    period: Option<&'static str>,
}

/// What stays a code's name where the class of an encounter is told in words.
const CLASSES: [(&str, &str); 5] = [
    (
        "inpatient hospitalizado internado ingreso stationar hospitalizacion imp internacao hospitalise",
        "IMP",
    ),
    ("emergency urgencia urgentcare urgent notfall emer urgence er", "EMER"),
    (
        "outpatient ambulatory ambulatorio ambulant wellness amb externo opd ambulatoire consulta",
        "AMB",
    ),
    ("home domicilio domiciliaria", "HH"),
    ("virtual telemedicina tele", "VR"),
];

impl<'c> Maker<'_, 'c> {
    /// Makes the parts of the entry's type.
    pub fn make(&mut self) {
        match self.found.ty {
            "Patient" => self.patient(),
            "Practitioner" => self.practitioner(),
            "Organization" | "Location" => self.place(),
            "Encounter" => self.encounter(),
            "Observation" => self.observation(),
            "Condition" => {
                self.subject("subject");
                self.main_code("code", true);
                self.start_end("onsetDateTime", "abatementDateTime");
                self.when("recordedDate", "recorded registro entry created registrado");
                self.note();
            }
            "Procedure" => {
                self.status("completed");
                self.subject("subject");
                self.main_code("code", true);
                self.whens(&When { moment: "performedDateTime", period: Some("performedPeriod") });
                self.refer("performer", "Practitioner", Shape::In("actor"));
                self.reason("reasonCode");
            }
            "MedicationRequest" | "MedicationStatement" => self.medication(),
            "Immunization" => {
                self.status("completed");
                self.subject("patient");
                self.main_code("vaccineCode", true);
                self.whens(&When { moment: "occurrenceDateTime", period: None });
                if let Some(lot) = self.take_if(concept::LOT, |c| is_text(c.column.ty)) {
                    let why = format!("'{}' by its name", lot.name());
                    self.leaf("lotNumber", &lot.leaf(), Sure::Likely, why);
                }
            }
            "AllergyIntolerance" => {
                self.subject("patient");
                self.main_code("code", true);
                self.start_end("onsetDateTime", "");
            }
            "Appointment" => self.appointment(),
            _ => self.others(),
        }
    }

    fn patient(&mut self) {
        self.active();
        self.identifiers();
        self.human_name();
        self.gender();
        self.day("birthDate", concept::BIRTH);
        self.deceased();
        self.telecoms();
        self.address(true);
        self.children();
        self.refer("generalPractitioner", "Practitioner", Shape::Many);
        self.refer("managingOrganization", "Organization", Shape::One);
    }

    fn practitioner(&mut self) {
        self.active();
        self.identifiers();
        self.human_name();
        self.gender();
        self.day("birthDate", concept::BIRTH);
        self.telecoms();
        self.address(true);
        self.children();
        let special = self.take_if(
            "specialty speciality especialidad especialidade fachrichtung specialite fachgebiet",
            |c| is_text(c.column.ty),
        );
        if let Some(col) = special {
            let lines = vec![
                "qualification:".to_owned(),
                format!("  - {{code: {{text: {}}}}}", quoted(&col.leaf())),
            ];
            self.part(
                "qualification",
                lines,
                Sure::Likely,
                format!("'{}' by its name", col.name()),
            );
        }
    }

    fn place(&mut self) {
        let organization = self.found.ty == "Organization";
        if organization {
            self.active();
            self.identifiers();
        }
        if let Some(col) = self.take_if(
            "name nombre nome bezeichnung descripcion description libelle nom denominacion",
            |c| is_text(c.column.ty),
        ) {
            self.leaf("name", &col.leaf(), Sure::Likely, format!("'{}' by its name", col.name()));
        }
        self.telecoms();
        self.address(organization);
        if organization {
            self.refer("partOf", "Organization", Shape::One);
        } else {
            self.refer("managingOrganization", "Organization", Shape::One);
        }
    }

    /// The patient, and the encounter where the type has one.
    fn subject(&mut self, element: &'static str) {
        self.refer(element, "Patient", Shape::One);
        if !matches!(self.found.ty, "Encounter" | "Appointment" | "Specimen" | "Device") {
            self.refer("encounter", "Encounter", Shape::One);
        }
    }

    fn main_code(&mut self, element: &'static str, _one: bool) {
        if let Some(coding) = self.coding(concept::CODE, concept::DISPLAY) {
            self.concept(element, &coding, false);
        }
    }

    fn reason(&mut self, element: &'static str) {
        let code = self.take_if(concept::REASON, |c| c.words().are("code cod codigo reasoncode"));
        let text = self.take_if(concept::REASON, |c| {
            is_text(c.column.ty) && !c.words().are("id concept user")
        });
        if code.is_none() && text.is_none() {
            return;
        }
        let names: Vec<&str> = code.iter().chain(&text).map(|c| c.column.name.as_str()).collect();
        let why = format!("by the names {}", names.join(", "));
        let coding = Coding {
            code: code.as_ref().map(Col::leaf),
            display: text.as_ref().map(Col::leaf),
            why,
            ..Coding::default()
        };
        self.concept(element, &coding, true);
    }

    fn note(&mut self) {
        if let Some(col) = self.take_if(concept::NOTE, |c| is_text(c.column.ty)) {
            let lines = vec!["note:".to_owned(), format!("  - {{text: {}}}", quoted(&col.leaf()))];
            self.part("note", lines, Sure::Likely, format!("'{}' by its name", col.name()));
        }
    }

    /// A single moment.
    fn when(&mut self, element: &'static str, rule: &str) {
        if let Some((leaf, sure, why)) = self.first_moment(rule) {
            self.leaf(element, &leaf, sure, why);
        }
    }

    fn start_end(&mut self, start: &'static str, end: &'static str) {
        self.when(start, &format!("{} {}", concept::START, concept::DATE));
        if !end.is_empty() {
            self.when(end, concept::END);
        }
    }

    /// The first of these columns that holds moments.
    fn first_moment(&mut self, rule: &str) -> Option<(String, Sure, String)> {
        let asked = rule.contains("created");
        let mut all = self.all(rule);
        // When a row was typed in or thrown away is not when anything happened.
        all.retain(|c| {
            asked
                || !c
                    .words()
                    .are("created creation changed voided retired modified updated deleted birth")
        });
        // A column of times says more than one of days beside it, if it holds any.
        let exact = |c: &Col<'c>| {
            let midnight = |cell: &str| cell.contains("00:00:00");
            let times = self.sample(c).and_then(|s| s.percent(c.name(), midnight)) != Some(100);
            times && matches!(c.column.ty, SqlType::DateTime | SqlType::Instant)
        };
        let filled =
            |c: &Col<'c>| self.sample(c).is_none_or(|s| s.cells(c.name()).next().is_some());
        let mut order: Vec<Col<'c>> = all;
        order.sort_by_key(|c| (!filled(c), !exact(c)));
        for col in order {
            if let Some(found) = self.moment(&col) {
                self.mark(&col);
                return Some(found);
            }
        }
        None
    }

    fn whens(&mut self, when: &When) {
        let start = self.first_moment(concept::START).or_else(|| self.first_moment(concept::DATE));
        let end = when.period.and_then(|_| self.first_moment(concept::END));
        match (start, end, when.period) {
            (Some(start), Some(end), Some(period)) => {
                let sure = start.1.min(end.1);
                let lines = vec![format!(
                    "{period}: {{start: {}, end: {}}}",
                    quoted(&start.0),
                    quoted(&end.0)
                )];
                self.part(period, lines, sure, format!("{}; {}", start.2, end.2));
            }
            (Some((leaf, sure, why)), ..) => self.leaf(when.moment, &leaf, sure, why),
            _ => {}
        }
    }

    fn encounter(&mut self) {
        self.status("finished");
        self.class();
        self.subject("subject");
        self.whens(&When { moment: "period", period: Some("period") });
        if let Some(part) =
            self.parts.iter_mut().find(|p| p.element == "period" && p.lines.len() == 1)
            && let Some(leaf) =
                part.lines.first().and_then(|l| l.strip_prefix("period: \"")).map(str::to_owned)
        {
            part.lines = vec![format!("period: {{start: \"{leaf}}}")];
        }
        self.refer("participant", "Practitioner", Shape::In("individual"));
        self.refer("serviceProvider", "Organization", Shape::One);
        self.refer("location", "Location", Shape::In("location"));
        if let Some(coding) =
            self.coding("code cod codigo", "description descripcion type tipo bezeichnung text")
        {
            self.concept("type", &coding, true);
        }
        self.reason("reasonCode");
    }

    fn class(&mut self) {
        let system = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
        let all = self.all(&format!("{} {}", concept::CLASS, concept::KIND));
        for col in all {
            let Some(sample) = self.sample(&col) else { continue };
            let class = |value: &str| {
                let words = super::words::Words::of(value);
                CLASSES.iter().find(|(rule, _)| words.are(rule)).map(|(_, code)| (*code).to_owned())
            };
            let values = sample.distinct(col.name());
            let entries: Vec<(String, String)> =
                values.iter().filter_map(|(v, _)| Some(((*v).to_owned(), class(v)?))).collect();
            if entries.is_empty() || entries.len() > 30 {
                continue;
            }
            self.mark(&col);
            let why = format!("'{}' by its values; {}", col.name(), self.values(&col));
            let (otherwise, missing) = (Some("AMB"), Some("AMB"));
            self.codes.push(CodeLines {
                name: "class".to_owned(),
                entries,
                otherwise,
                missing,
                why: why.clone(),
            });
            let lines = vec![format!(
                "class: {{system: {}, code: {}}}",
                quoted(system),
                quoted(&format!("{} | code(class)", col.leaf()))
            )];
            self.part("class", lines, Sure::Likely, why);
            return;
        }
        let why = "FHIR demands it and no column tells it; AMB is ambulatory, IMP inpatient, EMER emergency";
        self.part(
            "class",
            vec![format!("class: {{system: {}, code: AMB}}", quoted(system))],
            Sure::Likely,
            why,
        );
    }

    fn observation(&mut self) {
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
        let moment = self.first_moment(concept::DATE).or_else(|| self.first_moment(concept::START));
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
            )
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
                if all == 0 { 0 } else { good * 100 / all }
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

    fn medication(&mut self) {
        let request = self.found.ty == "MedicationRequest";
        self.status(if request { "active" } else { "unknown" });
        if request {
            let why = "FHIR demands it; order is what somebody prescribed";
            self.part("intent", vec!["intent: order".to_owned()], Sure::Likely, why);
        }
        self.refer("subject", "Patient", Shape::One);
        self.refer(if request { "encounter" } else { "context" }, "Encounter", Shape::One);
        let rule = "medication medicamento farmaco drug arzneimittel medicament product producto";
        if let Some(coding) = self.coding(concept::CODE, &format!("{rule} {}", concept::DISPLAY)) {
            self.concept("medicationCodeableConcept", &coding, false);
        }
        if request {
            let from =
                self.first_moment(concept::START).or_else(|| self.first_moment(concept::DATE));
            if let Some((leaf, sure, why)) = from {
                self.leaf("authoredOn", &leaf, sure, why);
            }
            self.refer("requester", "Practitioner", Shape::One);
        } else {
            self.whens(&When { moment: "effectiveDateTime", period: Some("effectivePeriod") });
        }
        self.reason("reasonCode");
        if let Some(col) = self.take_if(concept::DOSE, |c| is_text(c.column.ty)) {
            let element = if request { "dosageInstruction" } else { "dosage" };
            let lines =
                vec![format!("{element}:"), format!("  - {{text: {}}}", quoted(&col.leaf()))];
            self.part(element, lines, Sure::Likely, format!("'{}' by its name", col.name()));
        }
    }

    fn appointment(&mut self) {
        self.status("booked");
        let mut lines = vec!["participant:".to_owned()];
        let mut whys = Vec::new();
        for ty in ["Patient", "Practitioner", "Location"] {
            if let Some((leaf, _, why)) = self.reference(ty) {
                lines.push(format!("  - {{actor: {}, status: accepted}}", quoted(&leaf)));
                whys.push(why);
            }
        }
        if !whys.is_empty() {
            self.part("participant", lines, Sure::Likely, whys.join("; "));
        }
        self.when("start", &format!("{} {}", concept::START, concept::DATE));
        self.when("end", concept::END);
        if let Some(col) = self
            .take_if("reason motivo description descripcion grund motif", |c| is_text(c.column.ty))
        {
            self.leaf(
                "description",
                &col.leaf(),
                Sure::Likely,
                format!("'{}' by its name", col.name()),
            );
        }
    }

    fn others(&mut self) {
        match self.found.ty {
            "CarePlan" => {
                self.status("active");
                self.part(
                    "intent",
                    vec!["intent: plan".to_owned()],
                    Sure::Likely,
                    "FHIR demands it",
                );
                self.subject("subject");
                if let Some(coding) = self.coding(concept::CODE, concept::DISPLAY) {
                    self.concept("category", &coding, true);
                }
            }
            "DiagnosticReport" => {
                self.status("final");
                self.subject("subject");
                self.main_code("code", true);
                self.whens(&When { moment: "effectiveDateTime", period: None });
                let text = self.take_if("conclusion result resultado informe text befund", |c| {
                    is_text(c.column.ty)
                });
                if let Some(col) = text {
                    self.leaf(
                        "conclusion",
                        &col.leaf(),
                        Sure::Likely,
                        format!("'{}' by its name", col.name()),
                    );
                }
            }
            "ImagingStudy" => {
                self.status("available");
                self.subject("subject");
                self.when("started", &format!("{} {}", concept::START, concept::DATE));
            }
            "Specimen" => {
                self.subject("subject");
                self.main_code("type", true);
            }
            "Device" => {
                self.refer("patient", "Patient", Shape::One);
                self.main_code("type", true);
            }
            _ => {}
        }
    }
}

fn category() -> Vec<String> {
    vec![
        "category:".to_owned(),
        "  - coding: [{system: \"http://terminology.hl7.org/CodeSystem/observation-category\", code: vital-signs}]".to_owned(),
    ]
}

/// The lines of `cases:` for a wide row.
pub(super) fn cases(table: &crate::mapping::catalog::Table) -> Vec<String> {
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
