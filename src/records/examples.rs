//! The worked examples of the language's description: tables, mapping, resources.

use serde_json::Value as Json;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::fhir::SearchQuery;
use crate::mapping::{Document, PageRequest, RenderReport, Shown, compile};
use crate::store::run::{TenantConn, fetch_page_on};
use crate::store::{Flavour, catalog_on};

const LANGUAGE: &str = include_str!("../../docs/mapping/LANGUAGE.md");

/// The fenced blocks of these kinds, each with what stands in it.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let mut rest = LANGUAGE;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (kind, body) = after.split_once('\n').unwrap();
        let (text, next) = body.split_once("\n```").unwrap();
        if matches!(kind, "sql" | "yaml" | "json") {
            found.push((kind, text));
        }
        // A block that follows at once begins with the same line break.
        rest = next;
    }
    found
}

#[tokio::test]
async fn the_worked_examples_come_out_as_they_stand_there() {
    let blocks = blocks();
    assert!(blocks.len() >= 15, "only {} blocks", blocks.len());
    for example in blocks.chunks(3) {
        let [("sql", sql), ("yaml", yaml), ("json", json)] = example else {
            panic!("an example is tables, mapping and resources: {example:?}");
        };
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        let document = Document::parse(&format!("mapping: 1\n{yaml}")).unwrap();
        let mut tenant = TenantConn::Sqlite(&mut conn);
        let catalog = catalog_on(&mut tenant, &document.sources()).await.unwrap().unwrap();
        let compiled = compile(&document, &catalog).unwrap_or_else(|problems| {
            let errors = problems.iter().filter(|p| p.severity.as_str() == "error");
            panic!("{:?} in\n{yaml}", errors.collect::<Vec<_>>())
        });
        let mut got = Vec::new();
        for ty in compiled.resource_types().into_iter().rev() {
            let page = PageRequest { count: 100, after: None, base: "http://x" };
            let plan = compiled.plan_search(ty, &SearchQuery::default(), &page).unwrap();
            for source in &plan.sources {
                let mut tenant = TenantConn::Sqlite(&mut conn);
                let fetched = fetch_page_on(&mut tenant, &source.plan, Flavour::Sqlite, 1 << 20);
                let fetched = fetched.await.unwrap().unwrap();
                let rows = source.page(&fetched.page, &fetched.children);
                for row in 0..rows.len() {
                    let (mut out, mut report) = (Vec::new(), RenderReport::default());
                    rows.write(row, &Shown::All, &mut out, &mut report);
                    got.push(String::from_utf8(out).unwrap());
                }
            }
        }
        let wanted: Vec<&str> = json.lines().collect();
        assert_eq!(got, wanted, "of\n{yaml}");
        for resource in &got {
            let _is_json: Json = serde_json::from_str(resource).unwrap();
        }
    }
}
