//! `Patient/{id}/$everything`: the patient, and every resource of her compartment.

use crate::fhir::compartment::Compartment;
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, PlannedSource, id_predicate, key_order};
use crate::mapping::lens::predicate::all;
use crate::mapping::plan::Predicate;

use super::chain::Ask;
use super::plan::{PageRequest, begin, position, shown};
use super::reached::Reached;

/// The records of one patient, planned.
#[derive(Debug, Clone)]
pub struct Everything {
    /// The sources to ask one after the other, the patient's own first; each has its place among all of
    /// the compartment as its number.
    pub sources: Vec<PlannedSource>,
    /// The mapped types of the compartment whose references cannot be searched exactly.
    pub left_out: Vec<String>,
}

impl Compiled {
    /// Plans one patient's records. Of `types`, when there are any, only those; `since` is a FHIR instant.
    pub fn plan_everything(
        &self,
        patient: &str,
        types: &[String],
        since: Option<&str>,
        page: &PageRequest<'_>,
    ) -> Result<Everything, PlanFault> {
        if let Some(now) = self.at_this_moment() {
            return now.plan_everything(patient, types, since, page);
        }
        let compartment = Compartment::patient();
        let known = |ty: &String| *ty == compartment.name() || !compartment.params(ty).is_empty();
        if let Some(ty) = types.iter().find(|ty| !known(ty)) {
            return Err(PlanFault::Unsupported { parameter: shown(&format!("_type={ty}")) });
        }
        let mut everything = Everything { sources: Vec::new(), left_out: Vec::new() };
        let mut place = 0;
        let others = compartment.types().filter(|ty| *ty != compartment.name());
        for ty in std::iter::once(compartment.name()).chain(others) {
            let first = place;
            place += self.of_type(ty).count();
            if place == first || !(types.is_empty() || types.iter().any(|wanted| wanted == ty)) {
                continue;
            }
            let within = if ty == compartment.name() {
                Ok(self.of_type(ty).map(|(_, source)| id_predicate(source, patient)).collect())
            } else {
                self.compartment(ty, patient)
            };
            let Ok(within): Result<Vec<Predicate>, _> = within else {
                everything.left_out.push(ty.to_owned());
                continue;
            };
            for ((number, source), within) in self.of_type(ty).zip(within) {
                let Some(begun) = begin(page.after, first + number, false) else { continue };
                let mut parts = vec![source.filter.clone(), within];
                if let Some(since) = since {
                    let values = [format!("ge{since}")];
                    let found =
                        self.on(source, &Ask::plain("_lastUpdated", &values), &Reached::default());
                    let refused =
                        |_| PlanFault::Unsupported { parameter: format!("_since, of {ty}") };
                    parts.push(found.map_err(refused)?);
                }
                let filter = all(parts);
                if filter == Predicate::Never {
                    continue;
                }
                let order = key_order(source, false);
                let after = begun.map(|texts| position(&order, texts).ok_or(PlanFault::Cursor));
                let (after, limit) = (after.transpose()?, page.count.saturating_add(1));
                let planned = self.planned(first + number, source, filter, order, after, limit);
                everything.sources.push(planned);
            }
        }
        Ok(everything)
    }
}
