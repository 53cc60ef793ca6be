//! Random small tables and random queries: what a search finds is what a naive reading of every
//! rendered resource says it must. Nothing is left to either side alone: the naive side sees only JSON,
//! the other only SQL. Where there are several databases, all hold the same rows and give the same answers.
//!
//! `properties` runs it on SQLite, `servers` on whatever servers there are as well.

mod asked;
mod bed;
mod beside;
mod compartment;
mod document;
mod further;
mod hospital;
mod naive;
mod odd;
mod sorted;
mod tables;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use wardgate::mapping::PlanFault;
use wardgate::store::Flavour;

pub use bed::Place;
use bed::{Answer, Bed, fetched, parsed, written};
use hospital::{Hospital, hospitals};

const BASE: &str = "http://x/fhir";

/// The day on which all of it is asked.
const TODAY: Date = Date::constant(2020, 6, 10);

/// The zones that hospitals are in.
const ZONES: [&str; 3] = ["UTC", "America/Santiago", "Asia/Kolkata"];

/// Several databases with the same rows in them.
struct Beds<P> {
    all: Vec<Bed<P>>,
    zone: usize,
}

impl<P: Place> Beds<P> {
    async fn new(places: Vec<P>) -> Self {
        let mut all = Vec::new();
        for place in places {
            all.push(Bed::new(place).await);
        }
        Self { all, zone: 0 }
    }

    async fn fill(&mut self, hospital: &Hospital) {
        self.zone = hospital.zone;
        for bed in &mut self.all {
            bed.place.run(&tables::filled(bed.flavour, &hospital.rows)).await;
        }
    }

    fn zone(&self) -> TimeZone {
        TimeZone::get(ZONES[self.zone]).expect("a zone")
    }

    /// Every resource a search gives, page by page, and the total it names: the same in all of them.
    async fn search(
        &mut self,
        ty: &str,
        query: &str,
    ) -> Result<(Vec<Json>, Option<u64>), PlanFault> {
        self.search_within(None, ty, query).await
    }

    /// The same of one patient's compartment.
    async fn search_within(
        &mut self,
        patient: Option<&str>,
        ty: &str,
        query: &str,
    ) -> Result<(Vec<Json>, Option<u64>), PlanFault> {
        let mut first: Option<(Flavour, Result<Answer, PlanFault>)> = None;
        for bed in &mut self.all {
            let answer = bed.search(self.zone, (patient, ty), query).await;
            match &first {
                None => first = Some((bed.flavour, answer)),
                Some((of, wanted)) => {
                    let what = format!("{ty}?{query} on {:?} as on {of:?}", bed.flavour);
                    match (&answer, wanted) {
                        (Ok(answer), Ok(wanted)) => {
                            same(answer, wanted, in_one_order(ty, query), &what);
                        }
                        (answer, wanted) => assert_eq!(answer.is_ok(), wanted.is_ok(), "{what}"),
                    }
                }
            }
        }
        let (_, answer) = first.expect("a database");
        answer.map(|answer| (parsed(&answer.texts), answer.total))
    }

    /// What each of them gives, in its own order.
    async fn each(&mut self, ty: &str, query: &str) -> Vec<Result<Vec<Json>, PlanFault>> {
        let mut all = Vec::new();
        for bed in &mut self.all {
            let answer = bed.search(self.zone, (None, ty), query).await;
            all.push(answer.map(|answer| parsed(&answer.texts)));
        }
        all
    }

    /// What a read by id gives: the same in all of them.
    async fn read(&mut self, ty: &str, id: &str) -> Option<Json> {
        let mut all = Vec::new();
        for bed in &mut self.all {
            let text = bed.read(self.zone, ty, id).await;
            all.push(text.map(|text| plain(&text)));
        }
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{ty}/{id}: {all:#?}");
        all.into_iter().next().flatten().map(|text| serde_json::from_str(&text).expect("JSON"))
    }
}

/// Whether every database has the same order: of numbers, not of texts, which each sorts by its own rules.
fn in_one_order(ty: &str, query: &str) -> bool {
    !matches!(ty, "Organization" | "Location" | "Encounter" | "Immunization")
        && !query.contains("_sort")
}

/// Of a decimal SQLite keeps the number and not its digits: `5.40` is `5.4` there, and `5.00` is `5`.
fn plain(text: &str) -> String {
    fn numbers(value: &mut Json) {
        match value {
            Json::Number(number) => *value = number.as_f64().into(),
            Json::Array(items) => items.iter_mut().for_each(numbers),
            Json::Object(members) => members.values_mut().for_each(numbers),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).expect("JSON");
    numbers(&mut value);
    value.to_string()
}

/// The same resources, letter by letter, in the same order where they have one.
fn same(own: &Answer, wanted: &Answer, ordered: bool, what: &str) {
    let texts = |answer: &Answer| {
        let mut texts: Vec<String> = answer.texts.iter().map(|text| plain(text)).collect();
        if !ordered {
            texts.sort();
        }
        texts
    };
    assert_eq!(texts(own), texts(wanted), "{what}");
    assert_eq!(own.total, wanted.total, "{what}: total");
}

fn ids(found: &[Json]) -> BTreeSet<String> {
    found.iter().map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
}

/// How often each parameter was answered, so that a refusal of everything is no success.
#[derive(Debug, Default)]
struct Answered {
    yes: u32,
    no: u32,
    /// Answers with something in them.
    some: u32,
}

/// A parameter, a modifier and a value.
type Query = (String, String, String);

async fn agree<P: Place>(
    beds: &mut Beds<P>,
    (hospital, queries): (&Hospital, &[Query]),
    answered: &mut Answered,
) {
    beds.fill(hospital).await;
    let zone = beds.zone();
    for ty in further::TYPES {
        let (all, _) = beds.search(ty, "").await.expect("all of them");
        for resource in &all {
            let read = beds.read(ty, resource["id"].as_str().expect("an id")).await;
            let read = read.map(|json| plain(&json.to_string()));
            assert_eq!(read, Some(plain(&resource.to_string())));
        }
        for (name, modifier, value) in queries {
            let Some(test) = naive::test(ty, name, modifier, value, &zone) else { continue };
            let colon = if modifier.is_empty() { "" } else { ":" };
            let query = format!("{name}{colon}{modifier}={}", naive::encoded(value));
            let with_total = format!("{query}&_total=accurate");
            let Ok((found, _)) = beds.search(ty, &query).await else {
                answered.no += 1;
                continue;
            };
            answered.yes += 1;
            let expected: Vec<Json> = all.iter().filter(|r| test(r)).cloned().collect();
            assert_eq!(ids(&found), ids(&expected), "{ty}?{query} over {all:#?}");
            assert_eq!(found.len(), expected.len(), "{ty}?{query} gives a resource twice");
            answered.some += u32::from(!expected.is_empty());
            if let Ok((_, total)) = beds.search(ty, &with_total).await {
                assert_eq!(total, Some(expected.len() as u64), "{ty}?{query}: total");
            }
        }
        together(beds, (ty, &all), queries, &zone).await;
    }
}

/// Several conditions are met by what meets each of them, in any order that is asked for.
async fn together<P: Place>(
    beds: &mut Beds<P>,
    (ty, all): (&str, &[Json]),
    queries: &[Query],
    zone: &TimeZone,
) {
    let known: Vec<_> = queries
        .iter()
        .filter_map(|(name, modifier, value)| {
            let test = naive::test(ty, name, modifier, value, zone)?;
            let colon = if modifier.is_empty() { "" } else { ":" };
            Some((format!("{name}{colon}{modifier}={}", naive::encoded(value)), test))
        })
        .collect();
    for some in known.chunks(2) {
        let query: Vec<&str> = some.iter().map(|(query, _)| query.as_str()).collect();
        let query = format!("{}&_total=accurate", query.join("&"));
        let Ok((found, total)) = beds.search(ty, &query).await else { continue };
        let meets = |r: &&Json| some.iter().all(|(_, test)| test(r));
        let expected: Vec<Json> = all.iter().filter(meets).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{ty}?{query} over {all:#?}");
        assert_eq!(found.len(), expected.len(), "{ty}?{query} gives a resource twice");
        assert_eq!(total, Some(expected.len() as u64), "{ty}?{query}: total");
    }
}

/// Databases to try random things in, and how often.
pub struct Trial<P> {
    runtime: Runtime,
    beds: RefCell<Beds<P>>,
    cases: u32,
}

impl<P: Place> Trial<P> {
    /// In these places, which `places` opens, that many times.
    pub fn new(cases: u32, places: impl Future<Output = Vec<P>>) -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        let beds = runtime.block_on(async { Beds::new(places.await).await });
        Self { runtime, beds: RefCell::new(beds), cases }
    }

    fn of<S: Strategy>(&self, inputs: &S, check: impl Fn(&Runtime, &mut Beds<P>, S::Value)) {
        let config = Config {
            cases: self.cases,
            max_shrink_iters: 200,
            failure_persistence: None,
            ..Config::default()
        };
        let checked = TestRunner::new(config).run(inputs, |input| {
            check(&self.runtime, &mut self.beds.borrow_mut(), input);
            Ok(())
        });
        if let Err(fault) = checked {
            panic!("{fault}");
        }
    }

    /// A search finds what a naive reading of all resources finds.
    pub fn searches(&self) {
        let answered = RefCell::new(Answered::default());
        let queries = prop::collection::vec(asked::query(), 40);
        self.of(&(hospitals(), queries), |runtime, beds, (hospital, queries)| {
            let asked = (&hospital, queries.as_slice());
            runtime.block_on(agree(beds, asked, &mut answered.borrow_mut()));
        });
        let Answered { yes, no, some } = answered.into_inner();
        assert!(yes > no * 2, "{yes} answered, {no} refused");
        assert!(some * 8 > yes, "of {yes} answers only {some} find anything");
    }

    /// What looks further finds what a naive reading finds.
    pub fn chains(&self) {
        further::chains(self);
    }

    /// What stands beside the matches is what a naive reading puts there.
    pub fn beside(&self) {
        self.of(&hospitals(), |runtime, beds, hospital| {
            runtime.block_on(beside::agree(beds, &hospital));
        });
    }

    /// A patient's compartment holds what a naive reading puts there, and no more.
    pub fn compartments(&self) {
        let queries = prop::collection::vec(asked::query(), 20);
        self.of(&(hospitals(), queries), |runtime, beds, (hospital, queries)| {
            runtime.block_on(compartment::agree(beds, &hospital, &queries));
        });
    }

    /// Sorted by a date or a number, nothing is lost, nothing comes twice, and what is known is in order.
    pub fn sorted(&self) {
        self.of(&hospitals(), |runtime, beds, hospital| {
            runtime.block_on(sorted::agree(beds, &hospital));
        });
    }
}
