//! One patient's compartment against a naive reading of all resources.

use serde_json::Value as Json;

use super::further::World;
use super::hospital::Hospital;
use super::{Beds, Place, Query, ids, naive};

/// What of a type makes it a patient's (R4, CompartmentDefinition/patient).
const OF_PATIENTS: [(&str, &[&str]); 10] = [
    ("Observation", &["subject", "performer"]),
    ("Encounter", &["subject"]),
    ("CareTeam", &["subject", "participant.member"]),
    ("Immunization", &["patient"]),
    ("Procedure", &["subject", "performer.actor"]),
    ("RiskAssessment", &["subject"]),
    ("Condition", &["subject", "asserter"]),
    ("ChargeItem", &["subject"]),
    ("DiagnosticReport", &["subject"]),
    ("Specimen", &["subject"]),
];

pub async fn agree<P: Place>(beds: &mut Beds<P>, hospital: &Hospital, queries: &[Query]) {
    beds.fill(hospital).await;
    let world = World::of(beds).await;
    let zone = beds.zone();
    for (ty, paths) in OF_PATIENTS {
        for patient in ["1", "2", "4", "77", "g-9007199254740994"] {
            let own = format!("Patient/{patient}");
            let hers = |r: &&Json| {
                naive::at(r, paths).iter().any(|found| found["reference"] == own.as_str())
            };
            let hers: Vec<Json> = world.0[ty].iter().filter(hers).cloned().collect();
            let nothing = (String::new(), None);
            let asked = queries.iter().filter_map(|(name, modifier, value)| {
                let test = naive::test(ty, name, modifier, value, &zone)?;
                let colon = if modifier.is_empty() { "" } else { ":" };
                Some((format!("{name}{colon}{modifier}={}", naive::encoded(value)), Some(test)))
            });
            for (query, test) in std::iter::once(nothing).chain(asked) {
                let Ok((found, _)) = beds.search_within(Some(patient), ty, &query).await else {
                    assert!(test.is_some(), "{own}/{ty} is refused");
                    continue;
                };
                let meets = |r: &&Json| test.as_ref().is_none_or(|test| test(r));
                let expected: Vec<Json> = hers.iter().filter(meets).cloned().collect();
                assert_eq!(ids(&found), ids(&expected), "{own}/{ty}?{query} over {:#?}", world.0);
                assert_eq!(found.len(), expected.len(), "{own}/{ty}?{query} gives one twice");
            }
        }
    }
}
