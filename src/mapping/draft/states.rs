//! `status`, which FHIR demands of most things: from a column of FHIR's codes, from one whose words or whose
//! comment say the same in others, else a constant.

use super::entry::{CodeLines, quoted};
use super::hints;
use super::maker::{Col, Maker};
use super::people::is_text;
use super::recognise::Sure;
use super::words::{TYPES, Words, concept};
use crate::fhir::elements::Elements;
use crate::mapping::fold::fold;

/// What hospitals call the states of things, and FHIR's codes for it; the first that a type knows counts.
const STATES: [(&str, &[&str]); 15] = [
    (
        "active current open started ongoing running laufend offen activo activa abierto abierta ativo aberto actif encurso",
        &["active", "in-progress"],
    ),
    (
        "completed complete done finished closed close discharged fulfilled attended seen ended abgeschlossen erledigt entlassen completado completada finalizado finalizada cerrado cerrada terminado terminada realizado realizada atendido atendida concluido termine",
        &["completed", "finished", "fulfilled", "final"],
    ),
    (
        "final verified validated authverified auth authorized released approved validado validada freigegeben",
        &["final"],
    ),
    (
        "cancelled canceled cancel cancelado cancelada anulado anulada storniert abgesagt annule",
        &["cancelled", "revoked", "stopped"],
    ),
    ("noshow missed dna absent noasistio ausente nichterschienen", &["noshow"]),
    (
        "pending waiting requested pendiente pendente espera wartend",
        &["pending", "registered", "planned", "preparation", "draft"],
    ),
    (
        "scheduled booked confirmed planned registered programado programada confirmado confirmada agendado agendada reservado reservada geplant bestatigt",
        &["booked", "planned", "registered"],
    ),
    ("preliminary provisional partial preliminar vorlaufig", &["preliminary"]),
    ("corrected amended modified corregido korrigiert", &["corrected", "amended"]),
    ("stopped discontinued suspendido suspendida abgesetzt", &["stopped", "cancelled"]),
    ("onhold hold paused pausiert", &["on-hold", "onleave"]),
    ("draft borrador entwurf", &["draft", "registered", "planned", "proposed"]),
    ("error enteredinerror inerror", &["entered-in-error"]),
    ("arrived checkedin llegado eingecheckt", &["arrived", "checked-in"]),
    ("unknown desconocido unbekannt", &["unknown"]),
];

/// FHIR's code for a word, of those that are allowed.
fn state<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let bare = |text: &str| fold(text).replace(|c: char| !c.is_alphanumeric(), "");
    let word = bare(word);
    if let Some(code) = allowed.iter().find(|code| bare(code) == word) {
        return Some(code);
    }
    let says = |words: &str| words.split(' ').any(|known| known == word);
    let (_, codes) = STATES.iter().find(|(words, _)| says(words))?;
    codes.iter().find_map(|code| allowed.iter().find(|known| *known == code).copied())
}

impl Maker<'_, '_> {
    /// `status` and its like, which FHIR demands: from a column where every cell is one of FHIR's codes,
    /// else a constant.
    pub fn status(&mut self, usual: &'static str) {
        let elements = Elements::r4();
        let ty = elements.resource(self.found.ty);
        let set = ty.and_then(|ty| ty.member("status")).and_then(|m| m.element.binding);
        let allowed = set.and_then(|set| elements.value_set(set)).map(|set| set.codes.clone());
        let allowed = allowed.unwrap_or_default();
        let column = self.take(concept::STATUS);
        if let Some(col) = &column {
            let fits =
                self.sample(col).and_then(|s| s.percent(col.name(), |v| allowed.contains(&v)));
            if fits.is_some_and(|p| p >= 95) {
                let why = format!("'{}' holds FHIR's own codes", col.name());
                let blank = self.sample(col).map_or(0, |s| s.rows() - s.cells(col.name()).count());
                if blank == 0 {
                    self.leaf("status", &col.leaf(), Sure::Likely, why);
                } else {
                    let leaf = format!("{} | default('{usual}')", col.leaf());
                    let why = format!(
                        "{why}; it is empty in {blank} rows, for which FHIR demands one too"
                    );
                    self.leaf("status", &leaf, Sure::Likely, why);
                }
                return;
            }
            if let Some((map, why)) = self.states(col, &allowed, usual) {
                self.codes.push(map);
                self.leaf("status", &format!("{} | code(status)", col.leaf()), Sure::Likely, why);
                return;
            }
        }
        let why = match column {
            None => {
                format!("FHIR demands it and no column tells it; may be: {}", allowed.join(", "))
            }
            Some(col) => format!(
                "FHIR demands it; '{}' may tell it through a code map ({}); may be: {}",
                col.name(),
                self.values(&col),
                allowed.join(", ")
            ),
        };
        self.part("status", vec![format!("status: {usual}")], Sure::Likely, why);
    }

    /// What a column must hold where a table of people says of each what it is: the column, the condition, and
    /// words for it.
    pub fn of_its_kind(&mut self) -> Option<(String, String, String)> {
        if self.found.ty != "Patient" {
            return None;
        }
        let rule = TYPES.iter().find(|(ty, _)| *ty == "Patient").map_or("", |(_, rule)| rule);
        let kinds = format!("{} discriminator role rol rolle perfil profile", concept::KIND);
        let all = self.all(&kinds);
        for col in all.iter().filter(|c| c.alias.is_empty() && is_text(c.column.ty)) {
            let Some(sample) = self.sample(col) else { continue };
            let values = sample.distinct(col.name());
            let (ours, others): (Vec<_>, Vec<_>) =
                values.iter().partition(|(value, _)| Words::of(value).are(rule));
            if ours.is_empty() || others.is_empty() || values.len() > 20 {
                continue;
            }
            let names: Vec<String> = ours.iter().map(|(value, _)| quoted(value)).collect();
            let said =
                format!("; '{}' says who of them is a patient ({})", col.name(), self.values(col));
            self.mark(col);
            return Some((col.name().to_owned(), format!("[{}]", names.join(", ")), said));
        }
        None
    }

    /// A map from a column's words, or from what its comment says of its codes, when each is known.
    fn states(
        &self,
        col: &Col<'_>,
        allowed: &[&str],
        usual: &'static str,
    ) -> Option<(CodeLines, String)> {
        let explained = hints::codes(col.column);
        let sample = self.sample(col)?;
        let seen: Vec<String> =
            sample.distinct(col.name()).into_iter().map(|(value, _)| value.to_owned()).collect();
        let told = |code: &String| {
            let pair = explained.iter().flatten().find(|(known, _)| known == code);
            pair.map_or(code.clone(), |(_, word)| word.clone())
        };
        let known = explained.iter().flatten().map(|(code, _)| code.clone());
        let more: Vec<String> = known.filter(|code| !seen.contains(code)).collect();
        if seen.is_empty() || seen.len() > 20 {
            return None;
        }
        let read = |code: &String| Some((code.clone(), state(&told(code), allowed)?.to_owned()));
        let mut entries: Vec<(String, String)> = seen.iter().map(read).collect::<Option<_>>()?;
        entries.extend(more.iter().filter_map(read));
        let blank = sample.rows() > sample.cells(col.name()).count();
        let why = format!(
            "what '{}' says in FHIR's words; {}; may be: {}",
            col.name(),
            self.values(col),
            allowed.join(", ")
        );
        let map = CodeLines {
            name: "status".to_owned(),
            entries,
            otherwise: allowed.contains(&"unknown").then_some("unknown"),
            missing: blank.then_some(usual),
            why: why.clone(),
        };
        Some((map, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_known_by_what_hospitals_call_it() {
        let appointment = ["pending", "booked", "fulfilled", "cancelled", "noshow", "checked-in"];
        let read = |word| state(word, &appointment);
        assert_eq!(read("Done"), Some("fulfilled"));
        assert_eq!(read("CANCEL"), Some("cancelled"));
        assert_eq!(read("No Show"), Some("noshow"));
        assert_eq!(read("checked_in"), Some("checked-in"));
        assert_eq!(read("open"), None, "an appointment is neither active nor in progress");
        assert_eq!(state("Cerrada", &["in-progress", "finished"]), Some("finished"));
    }
}
