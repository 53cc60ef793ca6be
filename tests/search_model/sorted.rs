//! Orders, of one source and of several put together.

use serde_json::Value as Json;

use super::hospital::Hospital;
use super::{Beds, Place, ids, in_one_order, naive};

/// What can be sorted by, and where its value stands.
const ORDERS: [(&str, &str, &str); 6] = [
    ("Observation", "_lastUpdated", "meta.lastUpdated"),
    ("Immunization", "date", "occurrenceDateTime"),
    ("RiskAssessment", "date", "occurrenceDateTime"),
    ("CareTeam", "_id", "id"),
    ("RiskAssessment", "_id", "id"),
    ("Procedure", "_id", "id"),
];

/// What of a resource is known to sort by.
fn known(path: &str, resource: &Json) -> Option<String> {
    naive::at(resource, &[path]).first().and_then(|found| found.as_str()).map(str::to_owned)
}

pub async fn agree<P: Place>(beds: &mut Beds<P>, hospital: &Hospital) {
    beds.fill(hospital).await;
    for (ty, param, path) in ORDERS {
        let (all, _) = beds.search(ty, "").await.expect("all of them");
        for sign in ["", "-"] {
            let query = format!("_sort={sign}{param}");
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
                let mut values: Vec<&String> = found.iter().map(|(value, _)| value).collect();
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
