//! What each type of resource is made of.

use super::coded::{Coding, Shape};
use super::entry::{plain, quoted};
use super::maker::{Col, Maker};
use super::people::is_text;
use super::recognise::Sure;
use super::words::concept;
use crate::mapping::catalog::SqlType;

/// A period's elements in types that have either a moment or a period.
pub(super) struct When {
    pub moment: &'static str,
    pub period: Option<&'static str>,
}

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
                self.abated();
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
                let substance =
                    "substance allergen allergene alergeno sustancia substanz agent agente";
                let named = format!("{substance} {}", concept::DISPLAY);
                if let Some(coding) = self.coding(concept::CODE, &named) {
                    self.concept("code", &coding, false);
                }
                let why = "FHIR demands it (ait-1) and no column tells it";
                self.part(
                    "clinicalStatus",
                    clinical("allergyintolerance", "active"),
                    Sure::Likely,
                    why,
                );
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
    pub fn subject(&mut self, element: &'static str) {
        self.refer(element, "Patient", Shape::One);
        if !matches!(self.found.ty, "Encounter" | "Appointment" | "Specimen" | "Device") {
            self.refer("encounter", "Encounter", Shape::One);
        }
    }

    pub fn main_code(&mut self, element: &'static str, _one: bool) {
        if let Some(coding) = self.coding(concept::CODE, concept::DISPLAY) {
            self.concept(element, &coding, false);
        }
    }

    pub fn reason(&mut self, element: &'static str) {
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

    pub fn note(&mut self) {
        if let Some(col) = self.take_if(concept::NOTE, |c| is_text(c.column.ty)) {
            let lines = vec!["note:".to_owned(), format!("  - {{text: {}}}", quoted(&col.leaf()))];
            self.part("note", lines, Sure::Likely, format!("'{}' by its name", col.name()));
        }
    }

    /// A single moment.
    pub fn when(&mut self, element: &'static str, rule: &str) {
        if let Some((leaf, sure, why)) = self.first_moment(rule) {
            self.leaf(element, &leaf, sure, why);
        }
    }

    fn start_end(&mut self, start: &'static str, end: &'static str) {
        self.when(start, &format!("onset {} {}", concept::START, concept::DATE));
        if !end.is_empty() {
            self.when(end, concept::END);
        }
    }

    /// `clinicalStatus` of what has an end: FHIR does not let what has abated be active.
    fn abated(&mut self) {
        let ended = self.parts.iter().find(|p| p.element == "abatementDateTime" && !p.off);
        let line = ended.and_then(|p| p.lines.first()).cloned().unwrap_or_default();
        let leaf = line.trim_start_matches("abatementDateTime: ").trim_matches('"');
        let (column, steps) = leaf.split_once(" |").unwrap_or((leaf, ""));
        let name = column.trim_start_matches('$').trim_matches(['{', '}']);
        if name.is_empty() || column.contains([',', '\\']) {
            return;
        }
        let open = |asked: &str| format!("{{if: {{{}: {asked}}}, then: active}}", plain(name));
        let mut cases = vec![open("{missing: true}")];
        let none = steps.split_once("null('").and_then(|(_, rest)| rest.split_once('\''));
        cases.extend(none.map(|(day, _)| open(&quoted(day))));
        cases.push("{then: resolved}".to_owned());
        let code = format!("{{case: [{}]}}", cases.join(", "));
        let why = format!("FHIR does not let what has abated be active (con-4); by '{name}'");
        self.part("clinicalStatus", clinical("condition", &code), Sure::Likely, why);
    }

    /// The first of these columns that holds moments.
    pub fn first_moment(&mut self, rule: &str) -> Option<(String, Sure, String)> {
        let asked = rule.contains("created");
        let mut all = self.all(rule);
        // When a row was typed in or thrown away is not when anything happened.
        let kept = |c: &Col<'c>| {
            let rule = "created creation create write changed voided retired modified updated deleted birth tstamp";
            c.words().are(rule) || c.words().are(concept::MODIFIED)
        };
        all.retain(|c| asked || !kept(c));
        // Of a finding its beginning says more than the day it was written down.
        let onset = rule.contains("onset");
        let begins =
            |c: &Col<'c>| onset && (c.words().are("onset") || c.words().are(concept::START));
        // A column of times says more than one of days beside it, if it holds any.
        let exact = |c: &Col<'c>| {
            let midnight = |cell: &str| cell.contains("00:00:00");
            let times = self.sample(c).and_then(|s| s.percent(c.name(), midnight)) != Some(100);
            times && matches!(c.column.ty, SqlType::DateTime | SqlType::Instant)
        };
        let filled =
            |c: &Col<'c>| self.sample(c).is_none_or(|s| s.cells(c.name()).next().is_some());
        let mut order: Vec<Col<'c>> = all;
        // Since when a row is in force is not when anything began, unless nothing else says it.
        let in_force = |c: &Col<'c>| c.words().are("valid validity effective+beg effective+end");
        order.sort_by_key(|c| (!filled(c), kept(c), in_force(c), !begins(c), !exact(c)));
        for col in order {
            if let Some(found) = self.moment(&col) {
                self.mark(&col);
                return Some(found);
            }
        }
        None
    }

    pub fn whens(&mut self, when: &When) {
        let start = self.first_moment(concept::START);
        // A text that held nothing to be read says less than a column of dates.
        let start = match start {
            Some(start) if start.1 != Sure::Guess => Some(start),
            start => self.first_moment(concept::DATE).or(start),
        };
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

/// The lines of a `clinicalStatus`.
fn clinical(of: &str, code: &str) -> Vec<String> {
    vec![
        "clinicalStatus:".to_owned(),
        "  coding:".to_owned(),
        format!(
            "    - {{system: \"http://terminology.hl7.org/CodeSystem/{of}-clinical\", code: {code}}}"
        ),
    ]
}
