//! What a check says of searches before anybody waits for them, as each engine explains them.

use std::collections::BTreeSet;

use wardgate::fhir::SearchQuery;
use wardgate::mapping::probe::{Named, folded};
use wardgate::mapping::{Compiled, Document, PageRequest, compile};
use wardgate::store::run::fetch_counts_on;
use wardgate::store::{explain_count_on, folded_index_sql};

use crate::store_bed::Bed;

const TABLES: &str = "CREATE TABLE person (id INT PRIMARY KEY, family VARCHAR(40));
CREATE TABLE contact (id INT PRIMARY KEY, person INT, kind VARCHAR(2), value VARCHAR(20));
CREATE TABLE place (id INT PRIMARY KEY, person INT, town VARCHAR(20), since VARCHAR(10));
CREATE TABLE reading (id INT PRIMARY KEY, person INT, taken VARCHAR(10), what VARCHAR(4));";

const DOCUMENT: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: person}
    join: {p: {table: place, match: {person: id}, first: [-since]}}
    key: id
    id: "$id"
    map:
      name: [{family: "$family"}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [id]}
          item: {system: phone, use: home, value: "$value"}
      address: [{city: "$p.town"}]
  - type: Observation
    from: {table: reading, group: [person, taken]}
    key: id
    id: "$id"
    map:
      status: final
      code: {text: x}
      subject: "$person | ref(Patient)"
      component:
        - each: {group: true}
          item: {code: {coding: [{system: "urn:x", code: "$what"}]}}
  - type: Device
    from: {table: reading, group: person}
    key: person
    id: "$person"
    map: {patient: "$person | ref(Patient)"}
"#;

/// The tables that each search is said to read from end to end.
async fn scanned(bed: &mut Bed, compiled: &Compiled) -> Vec<(String, BTreeSet<String>)> {
    let mut all = Vec::new();
    for probe in compiled.search_probes() {
        let mut tables = BTreeSet::new();
        for count in &probe.counts {
            let (mut conn, flavour) = bed.conn();
            let estimate = explain_count_on(&mut conn, count, flavour).await;
            let estimate = estimate.unwrap_or_else(|e| panic!("{flavour:?}: {e}")).unwrap();
            let named = Named::from(count);
            let name = |alias: &String| named.behind(alias).unwrap_or_else(|| alias.clone());
            tables.extend(estimate.scans.iter().map(name));
        }
        all.push((format!("{}.{}", probe.resource_type, probe.parameter), tables));
    }
    all
}

#[tokio::test]
async fn what_a_search_reads_whole_is_named_as_the_hospital_names_it() {
    // MariaDB spoken to as MySQL does not explain itself as MySQL does.
    for mut bed in [Bed::postgres().await, Bed::mariadb().await, Bed::sqlite().await] {
        bed.execute(TABLES).await;
        let catalog = bed.catalog().await;
        let compiled = match compile(&Document::parse(DOCUMENT).expect("a document"), &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => panic!("{:?}: {problems:?}", bed.flavour),
        };
        let known = ["person", "contact", "place", "reading"];
        let mut told = BTreeSet::new();
        for (search, tables) in scanned(&mut bed, &compiled).await {
            for table in tables {
                // Two tables may go by one name in a statement.
                for table in table.split(" or ") {
                    assert!(known.contains(&table), "{:?} {search}: {table}", bed.flavour);
                    told.insert((search.clone(), table.to_owned()));
                }
            }
        }
        for (search, table) in [
            ("Patient.family", "person"),
            ("Patient.telecom", "contact"),
            ("Observation.component-code", "reading"),
            ("Device.patient", "reading"),
        ] {
            let pair = (search.to_owned(), table.to_owned());
            assert!(told.contains(&pair), "{:?} {search} {table}: {told:?}", bed.flavour);
        }
    }
}

const PEOPLE: &str = r#"CREATE SCHEMA "Old Files";
CREATE TABLE "Old Files"."Peo""ple" (id INT PRIMARY KEY, "Fam'ily" VARCHAR(60), given TEXT, city CHAR(30));
INSERT INTO "Old Files"."Peo""ple"
  SELECT n, 'Muñoz ' || n, ' Ana ' || n, 'Temuco ' || n FROM generate_series(1, 20000) AS n;
ANALYZE "Old Files"."Peo""ple";"#;

const OF_PEOPLE: &str = r#"
mapping: 1
database: {trim: TRIM}
resources:
  - type: Patient
    from: {table: 'Peo"ple', schema: Old Files}
    key: id
    id: "$id"
    map:
      name: [{family: "${Fam'ily}", given: ["$given"]}]
      address: [{city: "$city"}]
"#;

/// The matches of a search, and whether it reads a table from end to end.
async fn found(bed: &mut Bed, compiled: &Compiled, query: &str) -> (u64, bool) {
    let query = SearchQuery::parse(&format!("{query}&_total=accurate")).unwrap();
    let page = PageRequest { count: 1, after: None, base: "" };
    let counts = compiled.plan_search("Patient", &query, &page).unwrap().counts.unwrap();
    let (mut conn, flavour) = bed.conn();
    let estimate = explain_count_on(&mut conn, &counts[0], flavour).await.unwrap().unwrap();
    let count = fetch_counts_on(&mut conn, &counts, flavour).await.unwrap().unwrap();
    (count, !estimate.scans.is_empty())
}

async fn compiled_on(bed: &mut Bed, document: &Document) -> Compiled {
    match compile(document, &bed.catalog().await) {
        Ok(compiled) => compiled,
        Err(problems) => panic!("{problems:?}"),
    }
}

#[tokio::test]
async fn the_index_a_check_prints_is_the_one_a_search_uses() {
    for trim in ["true", "false"] {
        let mut bed = Bed::postgres().await;
        bed.execute(PEOPLE).await;
        let document = Document::parse(&OF_PEOPLE.replace("TRIM", trim)).expect("a document");
        let mut compiled = compiled_on(&mut bed, &document).await;
        for (parameter, value) in [
            ("family", "munoz%2015432"),
            ("given", "ANA%2015432"),
            ("address-city", "temuco%2015432"),
        ] {
            let query = format!("{parameter}={value}");
            let before = found(&mut bed, &compiled, &query).await;
            let probes = compiled.search_probes();
            let probe = probes.iter().find(|probe| probe.parameter == parameter).unwrap();
            let columns: Vec<_> = probe.counts.iter().flat_map(folded).collect();
            assert_eq!(columns.len(), 1, "{parameter}: {columns:?}");
            // As it is printed, and nothing else.
            bed.execute(&format!("{};", folded_index_sql(&columns[0]).unwrap())).await;
            // It is known from the next publication on.
            compiled = compiled_on(&mut bed, &document).await;
            let after = found(&mut bed, &compiled, &query).await;
            assert_eq!((before.1, after.1), (true, false), "{parameter}, trim {trim}");
            assert_eq!(before.0, after.0, "{parameter}, trim {trim}");
            // Blanks in front are part of the text where they are not trimmed.
            let there = u64::from(parameter != "given" || trim == "true");
            assert_eq!(after.0, there, "{parameter}, trim {trim}");
        }
    }
}
