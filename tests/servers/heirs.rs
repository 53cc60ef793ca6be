//! Tables that inherit from others on PostgreSQL, and indexes that find no equal values: neither a key of
//! the parent nor such an index is what it looks like.

use wardgate::mapping::{Document, compile};

use crate::store_bed::Bed;

const TABLES: &str =
    "CREATE TABLE person (id INT PRIMARY KEY, family VARCHAR(40), town TEXT, tags TEXT[]);
CREATE TABLE guest () INHERITS (person);
CREATE TABLE alone (id INT PRIMARY KEY);
CREATE TABLE left_over (id INT PRIMARY KEY);
CREATE TABLE gone () INHERITS (left_over);
DROP TABLE gone;
CREATE TABLE by_year (id INT, year INT, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
CREATE TABLE by_year_1 PARTITION OF by_year FOR VALUES IN (1);
CREATE INDEX ON person USING gin (tags);
CREATE INDEX ON person USING brin (town);
CREATE INDEX ON person USING hash (family);";

#[tokio::test]
async fn a_table_with_heirs_is_told_and_no_other() {
    let mut bed = Bed::postgres().await;
    bed.execute(TABLES).await;
    let catalog = bed.catalog().await;
    let heirs = catalog.tables.iter().filter(|table| table.heirs).map(|table| table.name.as_str());
    assert_eq!(heirs.collect::<Vec<_>>(), ["person"]);
    let warned = |table: &str, key: &str| {
        let document = format!(
            "mapping: 1\ndatabase: {{timezone: UTC}}\nresources:\n  - {{type: Patient, from: {{table: {table}}}, key: {key}, id: \"$id\", \
             map: {{active: true}}}}"
        );
        let compiled = compile(&Document::parse(&document).unwrap(), &catalog);
        let compiled = compiled.unwrap_or_else(|problems| panic!("{problems:?}"));
        let codes: Vec<&str> = compiled.warnings().iter().map(|problem| problem.code).collect();
        codes.join(" ")
    };
    assert_eq!(warned("person", "id"), "inherited");
    assert_eq!(warned("alone", "id"), "");
    assert_eq!(warned("left_over", "id"), "");
}

#[tokio::test]
async fn only_an_index_that_finds_equal_values_counts() {
    let mut bed = Bed::postgres().await;
    bed.execute(TABLES).await;
    let catalog = bed.catalog().await;
    let person = catalog.table(None, "person").expect("a table");
    assert!(person.indexed(&["id"]) && person.indexed(&["family"]));
    assert!(!person.indexed(&["tags"]) && !person.indexed(&["town"]));
}
