//! "No end": hospitals write the last day, or the last second, of the year 9999. It is shown, found and
//! compared on every engine as any other time, and so is what applications ask up to it.

use serde_json::Value as Json;
use wardgate::fhir::SearchQuery;
use wardgate::mapping::{
    Compiled, Document, PageRequest, RenderReport, RowOutcome, Shown, compile,
};
use wardgate::store::Flavour;
use wardgate::store::run::fetch_page_on;

use crate::store_bed::Bed;

const TABLES: &str = "CREATE TABLE stay (id INT PRIMARY KEY, began STAMP, ends STAMP, day DATE, secs INT,
  millis BIGINT, word VARCHAR(24), zoned ZONED);
INSERT INTO stay VALUES
 (1, '2024-05-06 10:00:00', '9999-12-31 23:59:59', '9999-12-31', 2147483647, 253402300799999, '9999-12-31', 'LAST'),
 (2, '2019-05-06 10:00:00', '2020-01-02 00:00:00', '2020-01-02', 0, 0, '2020', '2020-01-02 12:00:00'),
 (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL);";

const DOCUMENT: &str = r#"
mapping: 1
database: {timezone: America/Santiago}
resources:
  - type: Encounter
    from: {table: stay}
    key: id
    id: "$id"
    map:
      status: {case: [{if: {ends: {after: now}}, then: in-progress}, {then: finished}]}
      class: {code: IMP}
      period: {start: "$began", end: "$ends"}
  - {type: Patient, from: {table: stay}, key: id, id: "$id", map: {birthDate: "$day"}}
  - type: Observation
    from: {table: stay}
    key: id
    id: "$id"
    map: {status: final, code: {text: x}, effectiveDateTime: "$secs | datetime(epoch)"}
  - type: Condition
    from: {table: stay}
    key: id
    id: "$id"
    map: {subject: {display: x}, recordedDate: "$millis | datetime(epoch_ms)"}
  - type: Procedure
    from: {table: stay}
    key: id
    id: "$id"
    map: {status: completed, subject: {display: x}, performedDateTime: "$word"}
  - type: Communication
    from: {table: stay}
    key: id
    id: "$id"
    map: {status: completed, sent: "$zoned"}
"#;

/// A search, and whom it finds.
const FOUND: &[(&str, &str, &str)] = &[
    ("Encounter", "status=in-progress", "1"),
    ("Encounter", "status=finished", "2 3"),
    ("Encounter", "date=le9999-12-31", "1 2"),
    ("Encounter", "date=gt9999-12-30", "1"),
    ("Encounter", "date=sa9999-12-31", ""),
    ("Patient", "birthdate=9999", "1"),
    ("Patient", "birthdate=9999-12-31", "1"),
    ("Patient", "birthdate=le9999-12-31", "1 2"),
    ("Patient", "birthdate=lt9999-12-31", "2"),
    ("Patient", "birthdate=gt9999-12-30", "1"),
    ("Patient", "birthdate=gt9999-12-31", ""),
    ("Patient", "birthdate=ne9999-12-31", "2"),
    // Beyond what the column's four bytes can hold, to either side.
    ("Observation", "date=ge1800", "1 2"),
    ("Observation", "date=lt1800", ""),
    ("Observation", "date=le9999-12-31", "1 2"),
    ("Observation", "date=gt2038-01-19", ""),
    ("Observation", "date=2038-01-19", "1"),
    ("Condition", "recorded-date=9999-12-31", "1"),
    ("Condition", "recorded-date=le9999-12-31T23:59:59Z", "1 2"),
    ("Condition", "recorded-date:missing=false", "1 2"),
    ("Procedure", "date=9999-12-31", "1"),
    ("Procedure", "date=le9999", "1 2"),
    ("Procedure", "date=ne9999", "2"),
    ("Communication", "sent=9999-12-31", "1"),
    ("Communication", "sent=9999-12-31T23:59:59Z", "1"),
    ("Communication", "sent=le9999-12-31T23:59:59-03:00", "1 2"),
    ("Communication", "sent=sa9999-12-31T23:59:58Z", "1"),
];

async fn search(bed: &mut Bed, compiled: &Compiled, ty: &str, query: &str) -> Vec<Json> {
    let query = SearchQuery::parse(query).unwrap();
    let page = PageRequest { count: 10, after: None, base: "http://x" };
    let plan = compiled.plan_search(ty, &query, &page).expect("a query that is served");
    let (mut conn, flavour) = bed.conn();
    let mut found = Vec::new();
    for source in &plan.sources {
        let fetched = fetch_page_on(&mut conn, &source.plan, flavour, 1 << 20).await;
        let fetched = fetched.unwrap_or_else(|e| panic!("{flavour:?} {query:?}: {e}")).unwrap();
        let rows = source.page(&fetched.page, &fetched.children);
        for row in 0..rows.len() {
            let (mut out, mut report) = (Vec::new(), RenderReport::default());
            let outcome = rows.write(row, &Shown::All, &mut out, &mut report);
            assert!(matches!(outcome, Some(RowOutcome::Written { .. })), "{flavour:?} {ty} {row}");
            assert_eq!(report.bad_cells().count(), 0, "{flavour:?} {ty} {row}");
            found.push(serde_json::from_slice(&out).expect("JSON"));
        }
    }
    found
}

#[tokio::test]
async fn the_last_day_of_the_calendar_is_a_day_on_every_engine() {
    for mut bed in Bed::all().await {
        let flavour = bed.flavour;
        // The same moment, where an engine keeps moments and where it keeps local times.
        let (stamp, zoned, last) = match flavour {
            Flavour::Postgres => ("TIMESTAMP", "TIMESTAMPTZ", "9999-12-31 23:59:59+00"),
            _ => ("DATETIME", "DATETIME", "9999-12-31 20:59:59"),
        };
        let tables = TABLES.replace("STAMP", stamp).replace("ZONED", zoned).replace("LAST", last);
        bed.execute(&tables).await;
        let catalog = bed.catalog().await;
        let compiled = match compile(&Document::parse(DOCUMENT).expect("a document"), &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => panic!("{flavour:?}: {problems:?}"),
        };
        for (ty, query, wanted) in FOUND {
            let found = search(&mut bed, &compiled, ty, query).await;
            let ids: Vec<&str> = found.iter().filter_map(|r| r["id"].as_str()).collect();
            assert_eq!(ids.join(" "), *wanted, "{flavour:?} {ty}?{query}");
        }
        for (ty, path, wanted) in [
            ("Encounter", "/period/end", "9999-12-31T23:59:59-03:00"),
            ("Encounter", "/status", "in-progress"),
            ("Patient", "/birthDate", "9999-12-31"),
            ("Condition", "/recordedDate", "9999-12-31T20:59:59.999-03:00"),
            ("Communication", "/sent", "9999-12-31T20:59:59-03:00"),
        ] {
            let first = search(&mut bed, &compiled, ty, "_id=1").await.remove(0);
            assert_eq!(first.pointer(path).unwrap(), wanted, "{flavour:?} {first}");
        }
    }
}
