//! Chains, reverse chains, composites and merged orders against a naive reading of all resources.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::hospital::{Hospital, hospitals};
use super::{Answered, Beds, Place, Query, Trial, asked, ids, naive};

pub const TYPES: [&str; 18] = [
    "Patient",
    "Organization",
    "Location",
    "Encounter",
    "CareTeam",
    "Observation",
    "Immunization",
    "Procedure",
    "RiskAssessment",
    "QuestionnaireResponse",
    "Practitioner",
    "Condition",
    "ChargeItem",
    "DiagnosticReport",
    "Specimen",
    "Flag",
    "Person",
    "ImagingStudy",
];

/// How many of them lead somewhere or are led to.
const LED: usize = 9;

/// Every resource there is, and the zone their times are of.
pub struct World(pub BTreeMap<&'static str, Vec<Json>>, TimeZone);

impl World {
    pub async fn of<P: Place>(beds: &mut Beds<P>) -> Self {
        let mut all = BTreeMap::new();
        for ty in TYPES {
            all.insert(ty, beds.search(ty, "").await.unwrap().0);
        }
        Self(all, beds.zone())
    }

    /// The resource a reference leads to, if it is there.
    pub fn at(&self, reference: &str) -> Option<(&'static str, &Json)> {
        let (ty, id) = reference.split_once('/')?;
        let (ty, all) = self.0.get_key_value(ty)?;
        all.iter().find(|r| r["id"] == id).map(|found| (*ty, found))
    }
}

/// What a resource refers to by a parameter.
pub fn references(ty: &str, param: &str, resource: &Json) -> Vec<String> {
    let Some(("reference", paths)) = naive::parameter(ty, param) else { return Vec::new() };
    let found = naive::at(resource, &paths).into_iter();
    let texts = found.filter_map(|reference| reference["reference"].as_str());
    texts
        .filter(|text| param != "patient" || text.starts_with("Patient/"))
        .map(str::to_owned)
        .collect()
}

/// The reference parameters of the hospital, and what they lead to.
pub const ROADS: [(&str, &str, &str); 21] = [
    ("Observation", "subject", "Patient"),
    ("Observation", "subject", "Location"),
    ("Observation", "patient", "Patient"),
    ("Observation", "encounter", "Encounter"),
    ("Encounter", "patient", "Patient"),
    ("Encounter", "subject", "Patient"),
    ("Patient", "general-practitioner", "Organization"),
    ("Patient", "link", "Patient"),
    ("CareTeam", "participant", "Patient"),
    ("CareTeam", "participant", "Organization"),
    ("Immunization", "patient", "Patient"),
    ("Procedure", "subject", "Patient"),
    ("RiskAssessment", "subject", "Patient"),
    ("Condition", "subject", "Patient"),
    ("Condition", "asserter", "Patient"),
    ("ChargeItem", "subject", "Patient"),
    ("Specimen", "patient", "Patient"),
    ("Flag", "subject", "Organization"),
    ("Flag", "patient", "Patient"),
    ("Flag", "encounter", "Encounter"),
    // A place is nobody's patient, though observations are of it.
    ("Observation", "patient", "Location"),
];

/// A query of a type, and whether a resource meets it.
type Asked<'w> = (&'static str, String, Box<dyn Fn(&Json) -> bool + 'w>);

/// One step: a road, and whether it is gone backwards and names the type it leads to.
#[derive(Debug, Clone, Copy)]
struct Step {
    road: usize,
    back: bool,
    typed: bool,
}

/// Where a step begins and where it ends.
fn ends(step: Step) -> (&'static str, &'static str) {
    let (from, _, to) = ROADS[step.road];
    if step.back { (to, from) } else { (from, to) }
}

/// Steps from a type, and a condition at their end. A step that names no type leads to all of them of which
/// what follows can be said.
fn walked<'w>(
    world: &'w World,
    first: &'static str,
    steps: Vec<Step>,
    query: &Query,
) -> Option<Asked<'w>> {
    let (mut here, mut text) = (first, String::new());
    for step in &steps {
        let (from, param, to) = ROADS[step.road];
        let dot = if text.is_empty() || text.ends_with(':') { "" } else { "." };
        let parts: &[&str] = match (step.back, step.typed) {
            (true, _) => &[dot, "_has:", from, ":", param, ":"],
            (false, true) => &[dot, param, ":", to],
            (false, false) => &[dot, param],
        };
        text += &parts.concat();
        here = ends(*step).1;
    }
    let (name, modifier, value) = query;
    naive::parameter(here, name)?;
    let tests: BTreeMap<&str, _> = TYPES
        .into_iter()
        .filter_map(|ty| Some((ty, naive::test(ty, name, modifier, value, &world.1)?)))
        .collect();
    if !tests.contains_key(here) {
        return None;
    }
    let dot = if text.ends_with(':') { "" } else { "." };
    let colon = if modifier.is_empty() { "" } else { ":" };
    let text = format!("{text}{dot}{name}{colon}{modifier}={}", naive::encoded(value));
    let test = move |ty: &str, resource: &Json| tests.get(ty).is_some_and(|test| test(resource));
    let meets = move |resource: &Json| leads(world, &steps, (first, resource), &test);
    Some((first, text, Box::new(meets)))
}

/// Whether a resource leads by these steps to one that meets a test.
fn leads(
    world: &World,
    steps: &[Step],
    (ty, resource): (&str, &Json),
    test: &dyn Fn(&str, &Json) -> bool,
) -> bool {
    let Some((step, rest)) = steps.split_first() else { return test(ty, resource) };
    let (from, param, to) = ROADS[step.road];
    if step.back {
        let own = format!("{ty}/{}", resource["id"].as_str().unwrap());
        let points = |r: &&Json| references(from, param, r).contains(&own);
        return world.0[from].iter().filter(points).any(|r| leads(world, rest, (from, r), test));
    }
    let found = references(ty, param, resource);
    let mut there = found.iter().filter_map(|r| world.at(r));
    there.any(|(ty, r)| (!step.typed || ty == to) && leads(world, rest, (ty, r), test))
}

/// Several steps, each chosen among those that begin where the one before ends.
fn walk<'w>(
    world: &'w World,
    (begin, choices): &(usize, Vec<(usize, bool)>),
    query: &Query,
) -> Option<Asked<'w>> {
    let (first, mut steps) = (TYPES[begin % LED], Vec::new());
    let mut here = first;
    for (choice, typed) in choices {
        let all = (0..ROADS.len()).flat_map(|road| [false, true].map(|back| (road, back)));
        let all = all.map(|(road, back)| Step { road, back, typed: *typed });
        let ways: Vec<Step> = all.filter(|step| ends(*step).0 == here).collect();
        let step = ways[choice % ways.len()];
        here = ends(step).1;
        steps.push(step);
    }
    walked(world, first, steps, query)
}

fn composite<'w>((name, code, amount): (&'static str, &'static str, &'static str)) -> Asked<'w> {
    let meets = move |resource: &Json| {
        let parts = resource["component"].as_array().into_iter().flatten();
        let whole = [resource].into_iter();
        let among: Vec<&Json> = match name {
            "code-value-quantity" => whole.collect(),
            "component-code-value-quantity" => parts.collect(),
            _ => whole.chain(parts).collect(),
        };
        among.iter().any(|one| {
            one.get("code").is_some_and(|own| naive::token(own, code, "code"))
                && one.get("valueQuantity").is_some_and(|own| naive::quantity(own, amount))
        })
    };
    ("Observation", format!("{name}={code}${amount}"), Box::new(meets))
}

/// Where it begins, each step's choice and whether it names the type, and the condition.
type Walk = ((usize, Vec<(usize, bool)>), Query);

/// What is asked of one world.
#[derive(Debug, Clone)]
struct Questions {
    chains: Vec<(usize, Query, bool)>,
    backwards: Vec<(usize, Query)>,
    walks: Vec<Walk>,
    composites: Vec<(&'static str, &'static str, &'static str)>,
}

fn questions() -> impl Strategy<Value = Questions> {
    let of = |texts: &'static [&'static str]| prop::sample::select(texts);
    let composite = (
        of(&["code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity"]),
        of(&["a", "urn:p|b", "http://loinc.org|14749-6", "GLU", "718-7"]),
        of(&["5", "5.4", "lt5.4", "ge5", "5||mg"]),
    );
    let steps = prop::collection::vec((0..16_usize, any::<bool>()), 2..=4);
    let walks = ((0..TYPES.len(), steps), asked::query());
    (
        prop::collection::vec((0..ROADS.len(), asked::query(), any::<bool>()), 40),
        prop::collection::vec((0..ROADS.len(), asked::query()), 40),
        prop::collection::vec(walks, 60),
        prop::collection::vec(composite, 8),
    )
        .prop_map(|(chains, backwards, walks, composites)| Questions {
            chains,
            backwards,
            walks,
            composites,
        })
}

async fn agree<P: Place>(
    beds: &mut Beds<P>,
    (hospital, questions): (&Hospital, &Questions),
    answered: &mut [Answered; 4],
) {
    beds.fill(hospital).await;
    let world = World::of(beds).await;
    // Nobody's language is known anywhere: that is refused, and not answered with nobody.
    for nowhere in ["subject:Patient.language=en", "encounter.subject.language:missing=true"] {
        assert!(beds.search("Observation", nowhere).await.is_err(), "{nowhere}");
    }
    let one = |step: Step, q| walked(&world, ends(step).0, vec![step], q);
    let chains = questions.chains.iter();
    let chains = chains
        .filter_map(|(road, q, typed)| one(Step { road: *road, back: false, typed: *typed }, q));
    let backwards = questions.backwards.iter();
    let backwards =
        backwards.filter_map(|(road, q)| one(Step { road: *road, back: true, typed: false }, q));
    let composites = questions.composites.iter().map(|q| composite(*q));
    let walks = questions.walks.iter().filter_map(|(steps, q)| walk(&world, steps, q));
    let walks = walks.map(|q| (3, q));
    let all = chains.map(|q| (0, q)).chain(backwards.map(|q| (1, q))).chain(walks);
    for (kind, (ty, query, meets)) in all.chain(composites.map(|q| (2, q))) {
        let Ok((found, _)) = beds.search(ty, &query).await else {
            answered[kind].no += 1;
            continue;
        };
        answered[kind].yes += 1;
        let expected: Vec<Json> = world.0[ty].iter().filter(|r| meets(r)).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{ty}?{query} over {:#?}", world.0);
        assert_eq!(found.len(), expected.len(), "{ty}?{query} gives a resource twice");
        if !expected.is_empty() {
            answered[kind].some += 1;
        }
        if let Ok((_, total)) = beds.search(ty, &format!("{query}&_total=accurate")).await {
            assert_eq!(total, Some(expected.len() as u64), "{ty}?{query}: total");
        }
    }
}

pub fn chains<P: Place>(trial: &Trial<P>) {
    let answered = std::cell::RefCell::new(<[Answered; 4]>::default());
    trial.of(&(hospitals(), questions()), |runtime, beds, (hospital, questions)| {
        let asked = (&hospital, &questions);
        runtime.block_on(agree(beds, asked, &mut answered.borrow_mut()));
    });
    for (kind, answered) in ["chains", "reverse chains", "composites", "several steps"]
        .iter()
        .zip(answered.into_inner())
    {
        let Answered { yes, no, some } = answered;
        assert!(yes > no, "{kind}: {yes} answered, {no} refused");
        assert!(some * 100 > yes, "{kind}: of {yes} only {some} find anything");
    }
}
