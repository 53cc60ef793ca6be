//! What is shown beside the matches, against a naive reading of all resources.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::further::{ROADS, World, references};
use super::hospital::rows;
use super::{BASE, Bed};
use crate::fhir::SearchQuery;
use crate::mapping::{Included, Page, PageRequest, RenderReport, RowOutcome, Shown};
use crate::store::Flavour;
use crate::store::run::{TenantConn, fetch_keys_on, fetch_page_on};

fn rendered(ty: &str, page: &Page<'_>, found: &mut BTreeSet<Included>, all: &mut Vec<Json>) {
    for row in 0..page.len() {
        let (mut out, mut report, mut id) = (Vec::new(), RenderReport::default(), String::new());
        let outcome = page.write(row, &Shown::All, &mut out, &mut report);
        if let Some(RowOutcome::Written { .. }) = outcome {
            assert!(page.id(row, &mut id));
            found.insert((ty.to_owned(), id));
            all.push(serde_json::from_slice(&out).unwrap());
        }
    }
}

/// What belongs beside all resources of a type.
async fn beside(bed: &mut Bed, ty: &str, query: &str) -> BTreeSet<Included> {
    let query = SearchQuery::parse(query).unwrap();
    let page = PageRequest { count: 100, after: None, base: BASE };
    let plan = bed.compiled.plan_search(ty, &query, &page).unwrap();
    let (mut matches, mut resources) = (BTreeSet::new(), Vec::new());
    for planned in &plan.sources {
        let mut conn = TenantConn::Sqlite(&mut bed.conn);
        let fetched = fetch_page_on(&mut conn, &planned.plan, Flavour::Sqlite, 1 << 20).await;
        let fetched = fetched.unwrap().unwrap();
        rendered(ty, &planned.page(&fetched.page, &fetched.children), &mut matches, &mut resources);
    }
    let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
    for resource in &resources {
        plan.includes.of(resource, &mut wanted);
    }
    for (ty, id) in &wanted {
        for planned in bed.compiled.plan_keys(ty, std::iter::once(id.as_str())) {
            let mut conn = TenantConn::Sqlite(&mut bed.conn);
            let (read, keys) = (&planned.read, &planned.keys);
            let fetched = fetch_keys_on(&mut conn, read, keys, Flavour::Sqlite, 1 << 20).await;
            let fetched = fetched.unwrap().unwrap();
            let mut one = BTreeSet::new();
            rendered(
                ty,
                &planned.page(&fetched.page, &fetched.children),
                &mut one,
                &mut Vec::new(),
            );
            found.extend(one.into_iter().filter(|(_, own)| own == id));
        }
    }
    let references: Vec<String> = matches.iter().map(|(ty, id)| format!("{ty}/{id}")).collect();
    if references.is_empty() {
        return found;
    }
    for (ty, param) in plan.includes.reverse() {
        for planned in bed.compiled.plan_referring((ty, param), &references, 1000).unwrap() {
            let mut conn = TenantConn::Sqlite(&mut bed.conn);
            let fetched = fetch_page_on(&mut conn, &planned.plan, Flavour::Sqlite, 1 << 20).await;
            let fetched = fetched.unwrap().unwrap();
            let page = planned.page(&fetched.page, &fetched.children);
            rendered(ty, &page, &mut found, &mut Vec::new());
        }
    }
    found
}

fn own(ty: &str, resource: &Json) -> Included {
    (ty.to_owned(), resource["id"].as_str().unwrap().to_owned())
}

async fn agree(bed: &mut Bed) {
    let world = World::of(bed).await;
    // It names forms by their URLs, which leads to none.
    for by_url in [
        "_include=QuestionnaireResponse:questionnaire",
        "_revinclude=QuestionnaireResponse:questionnaire",
    ] {
        let query = SearchQuery::parse(by_url).unwrap();
        let page = PageRequest { count: 1, after: None, base: BASE };
        let planned = bed.compiled.plan_search("QuestionnaireResponse", &query, &page);
        assert!(planned.is_err(), "{by_url}");
    }
    for (from, param, to) in
        ROADS.into_iter().filter(|road| road.1 != "patient" || road.2 == "Patient")
    {
        let forward = beside(bed, from, &format!("_include={from}:{param}")).await;
        let pointed = world.0[from].iter().flat_map(|r| references(from, param, r));
        let there = pointed.filter_map(|text| world.at(&text).map(|(ty, r)| own(ty, r)));
        assert_eq!(forward, there.collect(), "_include={from}:{param} over {:#?}", world.0);
        let query = format!("_include={from}:{param}:{to}&_include={from}:*");
        assert!(beside(bed, from, &query).await.is_superset(&forward));
        let reverse = beside(bed, to, &format!("_revinclude={from}:{param}")).await;
        let here = |text: &String| world.at(text).is_some_and(|(ty, _)| ty == to);
        let points = |r: &&Json| references(from, param, r).iter().any(here);
        let there = world.0[from].iter().filter(points).map(|r| own(from, r));
        assert_eq!(reverse, there.collect(), "_revinclude={from}:{param} over {:#?}", world.0);
    }
}

#[test]
fn what_is_beside_is_what_a_naive_reading_puts_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 40,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let checked = runner.run(&rows(), |rows| {
        runtime.block_on(async { agree(&mut Bed::new(&rows).await).await });
        Ok(())
    });
    if let Err(fault) = checked {
        panic!("{fault}");
    }
}
