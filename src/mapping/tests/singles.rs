//! What stands once and comes from rows of another table: searched only where no second row can be there.

use super::support::{DOCUMENT, INT, TEXT, catalog, table};
use crate::fhir::SearchQuery;
use crate::mapping::{Document, PageRequest, compile};

const BORN: &str = "birthDate: \"$nac | date('dd/MM/yyyy')\"";

/// Whether birth dates are searched where they come from such rows.
fn searched(rows: &str, item: &str) -> bool {
    let mut catalog = catalog();
    let mut told =
        table("atributos", &[("persona", INT), ("nombre", TEXT), ("valor", TEXT)], "persona");
    told.primary_key = vec!["persona".to_owned(), "nombre".to_owned()];
    told.indexes[0].columns.clone_from(&told.primary_key);
    catalog.tables.push(told);
    catalog.tables.push(table("vinculos", &[("persona", INT), ("otra", INT)], "persona"));
    let each =
        format!("birthDate: {{each: {{table: {rows}}}, item: \"{item} | date('dd/MM/yyyy')\"}}");
    assert!(DOCUMENT.contains(BORN));
    let document = Document::parse(&DOCUMENT.replace(BORN, &each)).unwrap();
    let compiled = compile(&document, &catalog).unwrap_or_else(|all| panic!("{all:#?}"));
    let request = PageRequest { count: 1, after: None, base: "http://x" };
    let query = SearchQuery::parse("birthdate=1985-01-01").unwrap();
    compiled.plan_search("Patient", &query, &request).is_ok()
}

#[test]
fn a_key_that_match_and_filter_hold_leads_to_one_row() {
    assert!(searched("atributos, match: {persona: id}, filter: {nombre: nac}", "$valor"));
    assert!(!searched("atributos, match: {persona: id}", "$valor"));
    assert!(!searched(
        "atributos, match: {persona: id}, filter: {nombre: [nac, nacido]}",
        "$valor"
    ));
}

#[test]
fn a_joined_table_may_give_the_row_several_times() {
    let joined = "join: {c: {table: contactos, match: {valor: valor}}}";
    let rows = format!("atributos, match: {{persona: id}}, filter: {{nombre: nac}}, {joined}");
    assert!(!searched(&rows, "$c.tipo"));
    // The key of another table is none of this one's.
    let joined = "join: {v: {table: vinculos, match: {otra: persona}}}";
    let rows = format!("atributos, match: {{v.persona: id}}, filter: {{nombre: nac}}, {joined}");
    assert!(!searched(&rows, "$valor"));
}
