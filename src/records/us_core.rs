//! The page about US Core: its mapping, its searches, and that none of those demanded is missing there.

use std::collections::BTreeSet;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::fhir::SearchQuery;
use crate::mapping::{Document, PageRequest, RenderReport, RowOutcome, Shown, compile};
use crate::store::run::{TenantConn, fetch_page_on};
use crate::store::{Flavour, introspect_on};

const PAGE: &str = include_str!("../../docs/mapping/US-CORE.md");

/// What US Core 6.1.0 says a server SHALL answer, type by type.
const DEMANDED: &[(&str, &[&str])] = &[
    ("Patient", &["_id", "identifier", "name", "birthdate name", "gender name"]),
    ("Organization", &["name", "address"]),
    ("Practitioner", &["_id", "name", "identifier"]),
    ("PractitionerRole", &["specialty", "practitioner"]),
    ("Encounter", &["_id", "patient", "date patient"]),
    ("Condition", &["patient", "category patient"]),
    ("Observation", &["category patient", "category date patient", "code patient"]),
    ("DiagnosticReport", &["patient", "category patient", "category date patient", "code patient"]),
    (
        "DocumentReference",
        &["_id", "patient", "patient type", "category patient", "category date patient"],
    ),
    ("MedicationRequest", &["intent patient", "intent patient status"]),
    (
        "ServiceRequest",
        &["_id", "patient", "category patient", "authored category patient", "code patient"],
    ),
    ("Procedure", &["patient", "date patient"]),
    ("Immunization", &["patient"]),
    ("AllergyIntolerance", &["patient"]),
    ("Device", &["patient"]),
    ("Goal", &["patient"]),
    ("CarePlan", &["category patient"]),
    ("CareTeam", &["patient status"]),
    ("Coverage", &["patient"]),
];

fn block(kind: &str) -> &'static str {
    let (_, after) = PAGE.split_once(&format!("\n```{kind}\n")).unwrap();
    after.split_once("\n```").unwrap().0
}

#[tokio::test]
async fn every_search_that_us_core_demands_is_served_as_the_page_says() {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(block("sql")).execute(&mut conn).await.unwrap();
    let catalog = introspect_on(&mut TenantConn::Sqlite(&mut conn)).await.unwrap().unwrap();
    let document = Document::parse(&format!("mapping: 1\n{}", block("yaml"))).unwrap();
    let compiled = compile(&document, &catalog).unwrap_or_else(|problems| panic!("{problems:?}"));
    let capability = compiled.capability();
    let mut shown = BTreeSet::new();
    for line in block("searches").lines() {
        let (search, wanted) = line.rsplit_once(" = ").unwrap();
        let (ty, query) = search.split_once('?').unwrap();
        let query = SearchQuery::parse(query).unwrap();
        let page = PageRequest { count: 50, after: None, base: "http://x" };
        let plan =
            compiled.plan_search(ty, &query, &page).unwrap_or_else(|f| panic!("{line}: {f}"));
        let mut found = Vec::new();
        for source in &plan.sources {
            let mut tenant = TenantConn::Sqlite(&mut conn);
            let fetched = fetch_page_on(&mut tenant, &source.plan, Flavour::Sqlite, 1 << 20).await;
            let fetched = fetched.unwrap().unwrap();
            let rows = source.page(&fetched.page, &fetched.children);
            for row in 0..rows.len() {
                let (mut out, mut report) = (Vec::new(), RenderReport::default());
                let outcome = rows.write(row, &Shown::All, &mut out, &mut report);
                assert!(report.bad_cells().next().is_none(), "{line}: {report:?}");
                let Some(RowOutcome::Written { id }) = outcome else { panic!("{line}") };
                found.push(String::from_utf8(out[id].to_vec()).unwrap());
            }
        }
        assert_eq!(found.join(" "), wanted, "{line}");
        let names: BTreeSet<&str> = query.criteria.iter().map(|c| c.name.as_str()).collect();
        let told = &capability.iter().find(|c| c.resource_type == ty).unwrap().search_params;
        for name in &names {
            assert!(told.iter().any(|param| param.name == *name), "{line}: {name} is not told");
        }
        shown.insert((ty, names.into_iter().collect::<Vec<_>>().join(" ")));
    }
    for (ty, sets) in DEMANDED {
        for set in *sets {
            assert!(shown.contains(&(*ty, (*set).to_owned())), "{ty} {set} is not on the page");
        }
    }
    let patient = capability.iter().find(|c| c.resource_type == "Patient").unwrap();
    let profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    assert_eq!(patient.profiles, [profile]);
}
