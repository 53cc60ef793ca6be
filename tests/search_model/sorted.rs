//! Orders, of one source and of several put together.

use serde_json::Value as Json;

use super::hospital::Hospital;
use super::{Beds, Place, ids, in_one_order, naive};

/// What can be sorted by, and where its value stands.
const ORDERS: [(&str, &str, &str); 10] = [
    ("Observation", "_lastUpdated", "meta.lastUpdated"),
    ("Immunization", "date", "occurrenceDateTime"),
    ("RiskAssessment", "date", "occurrenceDateTime"),
    ("CareTeam", "_id", "id"),
    ("RiskAssessment", "_id", "id"),
    ("Procedure", "_id", "id"),
    ("Procedure", "date", "performedPeriod.start"),
    ("Condition", "_id", "id"),
    ("ChargeItem", "occurrence", "occurrenceDateTime"),
    ("Specimen", "_id", "id"),
];

/// Conditions beside an order: what is found is the same, in that order.
const BESIDE: [(&str, &str); 5] = [
    ("Observation", "status=final"),
    ("Immunization", "patient:missing=false"),
    ("ChargeItem", "code=S"),
    ("ChargeItem", "subject.gender:not=male"),
    ("Condition", "severity=female,unknown"),
];

/// What of a resource is known to sort by.
fn known(path: &str, resource: &Json) -> Option<String> {
    naive::at(resource, &[path]).first().and_then(|found| found.as_str()).map(str::to_owned)
}

pub async fn agree<P: Place>(beds: &mut Beds<P>, hospital: &Hospital) {
    beds.fill(hospital).await;
    let zone = beds.zone();
    for (ty, param, path) in ORDERS {
        let beside = BESIDE.iter().filter(|(of, _)| *of == ty).map(|(_, query)| *query);
        for (narrowed, sign) in [""].into_iter().chain(beside).flat_map(|q| [(q, ""), (q, "-")]) {
            let (all, _) = beds.search(ty, narrowed).await.expect("all of them");
            let query = format!("{narrowed}&_sort={sign}{param}");
            let mut orders: Vec<Vec<(String, Option<String>)>> = Vec::new();
            for found in beds.each(ty, &query).await {
                let found = found.unwrap_or_else(|fault| panic!("{ty}?{query}: {fault}"));
                assert_eq!(ids(&found), ids(&all), "{ty}?{query} loses or adds");
                assert_eq!(found.len(), all.len(), "{ty}?{query} repeats");
                // A cell that is no time stands where its database has it; the others follow each other.
                let found: Vec<(String, String)> = found
                    .iter()
                    .filter_map(|r| Some((known(path, r)?, r["id"].as_str()?.to_owned())))
                    .collect();
                // A moment is one, whatever its offset; what is no moment is an id.
                let at = |text: &str| if path == "id" { 0 } else { naive::interval(text, &zone).0 };
                let mut values: Vec<(i64, &str)> = found
                    .iter()
                    .map(|(value, _)| (at(value), if path == "id" { value.as_str() } else { "" }))
                    .collect();
                if sign == "-" {
                    values.reverse();
                }
                assert!(values.is_sorted(), "{ty}?{query}: {found:?}");
                let ordered = in_one_order(ty, "");
                orders.push(found.into_iter().map(|(v, id)| (v, ordered.then_some(id))).collect());
            }
            assert!(orders.windows(2).all(|two| two[0] == two[1]), "{ty}?{query}: {orders:#?}");
        }
    }
}
