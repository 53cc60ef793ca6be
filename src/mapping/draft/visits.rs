//! Encounters and appointments.

use super::clinical::When;
use super::coded::Shape;
use super::entry::{CodeLines, quoted};
use super::maker::{Col, Maker};
use super::people::is_text;
use super::recognise::Sure;
use super::words::concept;
use crate::mapping::catalog::SqlType;

/// What stays a code's name where the class of an encounter is told in words.
const CLASSES: [(&str, &str); 5] = [
    (
        "inpatient hospitalizado internado ingreso stationar hospitalizacion imp inp ipd internacao hospitalise",
        "IMP",
    ),
    ("emergency urgencia urgentcare urgent notfall emer urgence er", "EMER"),
    (
        "outpatient ambulatory ambulatorio ambulant wellness amb externo opd out ambulatoire consulta",
        "AMB",
    ),
    ("home domicilio domiciliaria", "HH"),
    ("virtual telemedicina tele", "VR"),
];

/// The same in one letter, in a column that is called so.
const LETTERS: [(&str, &str); 3] = [("I", "IMP"), ("O", "AMB"), ("E", "EMER")];

/// Tables of people who lie in beds.
const WARDS: &str = "admission inpatient hospitalization hospitalisation hospitalizacion internacion internacao stay sejour aufnahme ipd";

impl Maker<'_, '_> {
    pub fn encounter(&mut self) {
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
                let one = LETTERS.iter().find(|(letter, _)| value.eq_ignore_ascii_case(letter));
                if let Some((_, code)) = one.filter(|_| col.words().are(concept::CLASS)) {
                    return Some((*code).to_owned());
                }
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
        let named = self.rec.graph.words.get(self.found.table);
        let is = |rule: &str| named.is_some_and(|words| words.are(rule));
        let (code, tells) = if is(WARDS) {
            ("IMP", "the table's name tells it")
        } else if is("emergency urgencia urgence notfall er") {
            ("EMER", "the table's name tells it")
        } else {
            ("AMB", "no column tells it")
        };
        let why = format!(
            "FHIR demands it and {tells}; AMB is ambulatory, IMP inpatient, EMER emergency"
        );
        let line = format!("class: {{system: {}, code: {code}}}", quoted(system));
        self.part("class", vec![line], Sure::Likely, why);
    }

    pub fn appointment(&mut self) {
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
        self.lasting();
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

    /// The end of an appointment that has none of its own: FHIR wants one where there is a start (app-2).
    fn lasting(&mut self) {
        let made = |name: &str| self.parts.iter().find(|p| p.element == name);
        let Some(start) = made("start").filter(|_| made("end").is_none()) else { return };
        let line = start.lines.first().cloned().unwrap_or_default();
        let leaf = line.trim_start_matches("start: ").trim_matches('"').to_owned();
        let bare = !leaf.contains(['|', ',', '\\']);
        let number =
            |c: &Col<'_>| matches!(c.column.ty, SqlType::Integer { .. } | SqlType::Decimal);
        let minutes = "duration minute min dauer minuten duracion minutos duracao duree";
        if let Some(col) = self.take_if(minutes, |c| bare && number(c)) {
            let why = format!(
                "'{}' by its name, taken for minutes; FHIR wants an end where there is a start (app-2)",
                col.name()
            );
            let end = format!("{leaf}, {} | later(minutes)", col.leaf());
            self.leaf("end", &end, Sure::Likely, why);
            return;
        }
        let moment = if bare { format!("{leaf} | datetime") } else { leaf };
        if moment.contains("| datetime") && !moment.contains('\\') {
            let line = format!("end: {}", quoted(&format!("{moment} | later(30, minutes)")));
            let why = "no column tells the end, and FHIR wants one where there is a start (app-2): say how long they last";
            self.doubt("end", vec![line], why);
        }
    }
}
