//! Compartments (R4 section 2.36): which resources belong to a patient, and by which of their
//! references. Read from `r4/compartments.txt`.

/// The R4 text.
const R4: &str = include_str!("r4/compartments.txt");

/// By type, the search parameter of the date on which care is given (operation `Patient-everything`: dates of care,
/// not of the record). Types that are not here say what lasts (conditions, allergies, coverage), or when something
/// was written down.
const CARE: [(&str, &str); 29] = [
    ("AdverseEvent", "date"),
    ("Appointment", "date"),
    ("CarePlan", "date"),
    ("CareTeam", "date"),
    ("ChargeItem", "occurrence"),
    ("ClinicalImpression", "date"),
    ("Communication", "sent"),
    ("CommunicationRequest", "occurrence"),
    ("Composition", "date"),
    ("DeviceRequest", "event-date"),
    ("DiagnosticReport", "date"),
    ("DocumentReference", "period"),
    ("Encounter", "date"),
    ("EpisodeOfCare", "date"),
    ("ImagingStudy", "started"),
    ("Immunization", "date"),
    ("MedicationAdministration", "effective-time"),
    ("MedicationDispense", "whenhandedover"),
    ("MedicationRequest", "authoredon"),
    ("MedicationStatement", "effective"),
    ("Media", "created"),
    ("NutritionOrder", "datetime"),
    ("Observation", "date"),
    ("Procedure", "date"),
    ("QuestionnaireResponse", "authored"),
    ("RiskAssessment", "date"),
    ("ServiceRequest", "occurrence"),
    ("Specimen", "collected"),
    ("VisionPrescription", "datewritten"),
];

/// The search parameter of the date on which the care was given that a resource tells of, if it tells of any.
pub fn date_of_care(resource_type: &str) -> Option<&'static str> {
    CARE.iter().find(|(ty, _)| *ty == resource_type).map(|(_, param)| *param)
}

/// A compartment's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compartment {
    name: &'static str,
    types: Vec<(&'static str, Vec<&'static str>)>,
}

impl Compartment {
    /// The Patient compartment of R4.
    pub fn patient() -> Self {
        Self::read("Patient")
    }

    fn read(name: &'static str) -> Self {
        let lines = R4.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let types = lines.filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.collect()))
        });
        Self { name, types: types.collect() }
    }

    /// The type whose compartment it is. Such a resource is in its own compartment too, whatever
    /// [`Self::params`] says.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The types that can be in it, sorted.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.types.iter().map(|(ty, _)| *ty)
    }

    /// The reference parameters that place a resource of a type in it: it is in the compartment of
    /// each that any of them points to. Empty for a type that is in none.
    pub fn params(&self, resource_type: &str) -> &[&'static str] {
        let at = self.types.binary_search_by(|(ty, _)| (*ty).cmp(resource_type));
        at.ok().and_then(|at| self.types.get(at)).map_or(&[], |(_, params)| params)
    }
}

#[cfg(test)]
mod tests {
    use super::super::elements::Elements;
    use super::super::params::{ParamKind, r4_params};
    use super::*;

    #[test]
    fn every_type_and_parameter_is_known_and_can_point_to_a_patient() {
        let (table, patient) = (Elements::r4(), Compartment::patient());
        assert_eq!((patient.name(), patient.types().count()), ("Patient", 66));
        for ty in patient.types() {
            assert!(table.resource(ty).is_some(), "{ty}");
            let known = r4_params(ty);
            assert!(!patient.params(ty).is_empty(), "{ty}");
            for name in patient.params(ty) {
                let param = known.iter().find(|p| p.name == *name).unwrap();
                assert_eq!(param.kind, ParamKind::Reference, "{ty} {name}");
                assert!(
                    param.targets.is_empty() || param.targets.contains(&"Patient"),
                    "{ty} {name}"
                );
            }
        }
    }

    #[test]
    fn every_date_of_care_is_a_date_of_a_type_of_the_compartment() {
        let patient = Compartment::patient();
        for (ty, name) in CARE {
            assert!(!patient.params(ty).is_empty(), "{ty}");
            let param = r4_params(ty).into_iter().find(|param| param.name == name).unwrap();
            assert_eq!(param.kind, ParamKind::Date, "{ty} {name}");
        }
        assert_eq!((date_of_care("Condition"), date_of_care("Patient")), (None, None));
    }

    #[test]
    fn looked_up_by_type() {
        let patient = Compartment::patient();
        assert_eq!(patient.params("AllergyIntolerance"), ["patient", "recorder", "asserter"]);
        assert_eq!(patient.params("Patient"), ["link"]);
        assert_eq!(patient.params("Encounter"), ["patient"]);
        assert!(patient.params("Practitioner").is_empty() && patient.params("Task").is_empty());
        assert!(patient.params("Patient ").is_empty() && patient.params("").is_empty());
    }
}
