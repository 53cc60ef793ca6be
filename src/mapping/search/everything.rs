//! `Patient/{id}/$everything`: the patient, and every resource of her compartment.

use crate::fhir::compartment::{Compartment, date_of_care};
use crate::fhir::query::EverythingQuery;
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, PlannedSource, id_predicate, key_order};
use crate::mapping::lens::predicate::{all, not};
use crate::mapping::plan::Predicate;
use crate::mapping::tree::Source;

use super::chain::Ask;
use super::plan::{PageRequest, begin, position, shown};
use super::reached::Reached;
use super::walk::Walk;
use super::{Asked, NO_DAY, Refusal, simple};

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
    /// Plans one patient's records: of the query, its types and its times.
    pub fn plan_everything(
        &self,
        patient: &str,
        query: &EverythingQuery,
        page: &PageRequest<'_>,
    ) -> Result<Everything, PlanFault> {
        if let Some(now) = self.at_this_moment() {
            return now.plan_everything(patient, query, page);
        }
        let types = &query.types;
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
                parts.push(self.in_care(source, ty, query)?);
                if let Some(since) = &query.since {
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

    /// What is not known to be of other care than that of the dates asked for. What has no date of its own stays:
    /// a record that is left out for want of one would be missed, one too many is seen to be of another time.
    fn in_care(
        &self,
        source: &Source,
        ty: &str,
        query: &EverythingQuery,
    ) -> Result<Predicate, PlanFault> {
        let name = date_of_care(ty);
        let param = source.params.iter().find(|param| Some(param.name) == name);
        let mut kept = Vec::new();
        for (asked, prefix, date) in [("start", "eb", &query.start), ("end", "sa", &query.end)] {
            let (Some(param), Some(date)) = (param, date) else { continue };
            let values = [format!("{prefix}{date}")];
            let asked_for = Asked { modifier: None, values: &values, base: "", day: NO_DAY };
            // What is left out must be wholly so, whatever a cell holds beside dates.
            match simple(&Walk::new(source, &self.reading, true), param, &asked_for) {
                Ok(outside) => kept.push(not(outside)),
                Err(Refusal::NotMapped) => {}
                Err(_) => {
                    return Err(PlanFault::Unsupported { parameter: format!("{asked}, of {ty}") });
                }
            }
        }
        Ok(all(kept))
    }
}
