//! What is shown beside the matches, against a naive reading of all resources.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wardgate::fhir::SearchQuery;
use wardgate::mapping::{Included, Page, PageRequest};
use wardgate::store::run::fetch_keys_on;

use super::further::{ROADS, World, references};
use super::hospital::Hospital;
use super::{BASE, Bed, Beds, Place, fetched, written};

fn rendered(ty: &str, page: &Page<'_>, found: &mut BTreeSet<Included>, all: &mut Vec<Json>) {
    for row in 0..page.len() {
        let mut id = String::new();
        if let Some(text) = written(page, row) {
            assert!(page.id(row, &mut id));
            found.insert((ty.to_owned(), id));
            all.push(serde_json::from_str(&text).unwrap());
        }
    }
}

/// What belongs beside all resources of a type, in one database.
async fn in_one<P: Place>(
    bed: &mut Bed<P>,
    zone: usize,
    ty: &str,
    query: &str,
) -> BTreeSet<Included> {
    let asked = SearchQuery::parse(query).unwrap();
    let page = PageRequest { count: 100, after: None, base: BASE };
    let plan = bed.compiled[zone].plan_search(ty, &asked, &page).unwrap();
    let (mut matches, mut resources) = (BTreeSet::new(), Vec::new());
    for planned in &plan.sources {
        let rows = bed.page_of(&planned.plan, query).await;
        rendered(ty, &planned.page(&rows.page, &rows.children), &mut matches, &mut resources);
    }
    let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
    for resource in &resources {
        plan.includes.of(resource, &mut wanted);
    }
    for (ty, id) in &wanted {
        for planned in bed.compiled[zone].plan_keys(ty, std::iter::once(id.as_str())) {
            let (mut conn, flavour) = bed.place.conn();
            let (read, keys) = (&planned.read, &planned.keys);
            let rows = fetch_keys_on(&mut conn, read, keys, flavour, 1 << 20).await;
            let rows = fetched(rows, flavour, (query, id));
            let mut one = BTreeSet::new();
            rendered(ty, &planned.page(&rows.page, &rows.children), &mut one, &mut Vec::new());
            found.extend(one.into_iter().filter(|(_, own)| own == id));
        }
    }
    let references: Vec<String> = matches.iter().map(|(ty, id)| format!("{ty}/{id}")).collect();
    if references.is_empty() {
        return found;
    }
    for (ty, param) in plan.includes.reverse() {
        for planned in bed.compiled[zone].plan_referring((ty, param), &references, 1000).unwrap() {
            let rows = bed.page_of(&planned.plan, query).await;
            rendered(ty, &planned.page(&rows.page, &rows.children), &mut found, &mut Vec::new());
        }
    }
    found
}

/// What belongs beside all resources of a type: the same in all databases.
async fn beside<P: Place>(beds: &mut Beds<P>, ty: &str, query: &str) -> BTreeSet<Included> {
    let zone = beds.zone;
    let mut first: Option<BTreeSet<Included>> = None;
    for bed in &mut beds.all {
        let found = in_one(bed, zone, ty, query).await;
        let wanted = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, wanted, "{ty}?{query} on {:?}", bed.flavour);
    }
    first.unwrap_or_default()
}

fn own(ty: &str, resource: &Json) -> Included {
    (ty.to_owned(), resource["id"].as_str().unwrap().to_owned())
}

pub async fn agree<P: Place>(beds: &mut Beds<P>, hospital: &Hospital) {
    beds.fill(hospital).await;
    let world = World::of(beds).await;
    // It names forms by their URLs, which leads to none.
    for by_url in [
        "_include=QuestionnaireResponse:questionnaire",
        "_revinclude=QuestionnaireResponse:questionnaire",
    ] {
        let query = SearchQuery::parse(by_url).unwrap();
        let page = PageRequest { count: 1, after: None, base: BASE };
        let planned = beds.all[0].compiled[0].plan_search("QuestionnaireResponse", &query, &page);
        assert!(planned.is_err(), "{by_url}");
    }
    for (from, param, to) in
        ROADS.into_iter().filter(|road| road.1 != "patient" || road.2 == "Patient")
    {
        let forward = beside(beds, from, &format!("_include={from}:{param}")).await;
        let pointed = world.0[from].iter().flat_map(|r| references(from, param, r));
        let there = pointed.filter_map(|text| world.at(&text).map(|(ty, r)| own(ty, r)));
        assert_eq!(forward, there.collect(), "_include={from}:{param} over {:#?}", world.0);
        let query = format!("_include={from}:{param}:{to}&_include={from}:*");
        assert!(beside(beds, from, &query).await.is_superset(&forward));
        let reverse = beside(beds, to, &format!("_revinclude={from}:{param}")).await;
        let here = |text: &String| world.at(text).is_some_and(|(ty, _)| ty == to);
        let points = |r: &&Json| references(from, param, r).iter().any(here);
        let there = world.0[from].iter().filter(points).map(|r| own(from, r));
        assert_eq!(reverse, there.collect(), "_revinclude={from}:{param} over {:#?}", world.0);
    }
}
