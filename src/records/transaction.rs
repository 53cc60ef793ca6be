//! A transaction bundle: all of its entries or none, in the order of FHIR R4, 3.1.0.11.2.

use std::collections::HashMap;
use std::sync::Arc;

use super::bundle::{Entry, Wanted};
use super::change::{Writing, Written};
use super::fault::RecordsFault;
use super::step::{Act, Job, Order};
use crate::auth::FhirWrite;
use crate::fhir::{Issue, Json};
use crate::store::{Ending, Halt, Transaction};
use crate::tenant::Session;

/// What a fresh resource is called before it has an id.
const URN: &str = "urn:uuid:";

/// An order with what others call its resource, and where it stood in the bundle.
struct Numbered {
    at: usize,
    name: Option<String>,
    order: Order,
}

impl Session<FhirWrite> {
    /// Carries a transaction out. The results stand in the order of the entries.
    pub async fn write_together(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        with: Writing,
    ) -> Result<Vec<Written>, RecordsFault> {
        let count = entries.len();
        let numbered = in_order(entries)?;
        for one in &numbered {
            self.allow(&one.order, &with).await.map_err(|fault| at_entry(fault, one.at))?;
        }
        let session = Arc::clone(self);
        let task = tokio::spawn(async move { session.together(numbered, with).await });
        let done = task.await.unwrap_or(Err(RecordsFault::Internal))?;
        let mut all: Vec<Option<Written>> = (0..count).map(|_| None).collect();
        for (at, written) in done {
            if let Some(place) = all.get_mut(at) {
                *place = Some(written);
            }
        }
        all.into_iter().collect::<Option<Vec<_>>>().ok_or(RecordsFault::Internal)
    }

    async fn together(
        self: Arc<Self>,
        numbered: Vec<Numbered>,
        with: Writing,
    ) -> Result<Vec<(usize, Written)>, RecordsFault> {
        let places: Vec<usize> = numbered.iter().map(|one| one.at).collect();
        let orders: Vec<Order> = numbered.iter().map(|one| one.order.clone()).collect();
        let (ending, session, job) = (Ending::default(), Arc::clone(&self), self.job(&with)?);
        let (ours, watched) = (orders.clone(), ending.clone());
        let outcome = self
            .in_transaction(&orders, ending, move |tx| {
                Box::pin(async move {
                    let mut names = known(&numbered);
                    let mut all = Vec::with_capacity(numbered.len());
                    for one in numbered {
                        let Numbered { at, name, mut order } = one;
                        let inside = |halt: Halt<RecordsFault>| match halt {
                            Halt::Work(fault) => Halt::Work(at_entry(fault, at)),
                            other @ Halt::Driver(_) => other,
                        };
                        resolve(&job, tx, &mut order, &names).await.map_err(inside)?;
                        let done = job.step(tx, &order).await.map_err(inside)?;
                        if let (Some(name), Some(id)) = (name, &done.id) {
                            names.insert(name, format!("{}/{id}", order.resource));
                        }
                        all.push(done);
                    }
                    session.seal(tx, &ours, &all).await?;
                    Ok(all)
                })
            })
            .await;
        let written = self.settle(&orders, outcome, watched.is_unknown(), &with).await?;
        Ok(places.into_iter().zip(written).collect())
    }
}

/// Names that are known before anything is done: those of resources that have an id.
fn known(numbered: &[Numbered]) -> HashMap<String, String> {
    let named = numbered.iter().filter_map(|one| {
        let (name, id) = (one.name.clone()?, one.order.id.as_ref()?);
        Some((name, format!("{}/{id}", one.order.resource)))
    });
    named.collect()
}

/// DELETE, POST, PUT and PATCH, GET; a POST after those its resource points to.
fn in_order(entries: Vec<Entry>) -> Result<Vec<Numbered>, RecordsFault> {
    let mut numbered = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let name = entry.full_url.filter(|url| url.starts_with(URN));
        let order = match entry.wanted {
            Wanted::Order(order) => *order,
            Wanted::Read { resource, id, version: None, query, .. } if query.is_empty() => Order {
                resource,
                id: Some(id),
                query: None,
                if_match: None,
                if_none_match: None,
                act: Act::Read,
            },
            Wanted::Read { .. }
            | Wanted::Search { .. }
            | Wanted::Everything { .. }
            | Wanted::Validate(_) => {
                let message = "A transaction reads single resources only; send searches and \
                               $validate as a batch.";
                return Err(at_entry(RecordsFault::Request(message), at));
            }
        };
        numbered.push(Numbered { at, name, order });
    }
    let mut seen = std::collections::HashSet::new();
    for one in numbered.iter().filter(|one| one.order.act != Act::Read) {
        let Some(id) = &one.order.id else { continue };
        if !seen.insert((one.order.resource.clone(), id.clone())) {
            let message = "A transaction may change each resource once only.";
            return Err(at_entry(RecordsFault::Request(message), one.at));
        }
    }
    let mut names = std::collections::HashSet::new();
    if let Some(twice) =
        numbered.iter().find(|o| o.name.as_ref().is_some_and(|n| !names.insert(n.clone())))
    {
        let message = "Two entries have the same fullUrl.";
        return Err(at_entry(RecordsFault::Request(message), twice.at));
    }
    numbered.sort_by_key(|one| match one.order.act {
        Act::Delete => 0,
        Act::Create { .. } => 1,
        Act::Update(_) | Act::Patch(_) => 2,
        Act::Read => 3,
    });
    after_what_they_need(numbered)
}

fn after_what_they_need(numbered: Vec<Numbered>) -> Result<Vec<Numbered>, RecordsFault> {
    let made = |one: &Numbered| matches!(one.order.act, Act::Create { .. });
    let mut open: Vec<String> =
        numbered.iter().filter(|one| made(one)).filter_map(|one| one.name.clone()).collect();
    let (mut waiting, mut done) = (numbered, Vec::new());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|one| {
            !made(one)
                || match &one.order.act {
                    Act::Create { body, .. } => {
                        let others = |text: &str| {
                            one.name.as_deref() != Some(text)
                                && open.iter().any(|name| name == text)
                        };
                        !mentions(body, &others)
                    }
                    _ => true,
                }
        });
        let Some(ready) = ready else {
            let at = waiting.first().map_or(0, |one| one.at);
            let message = "New resources point to one another in a circle.";
            return Err(at_entry(RecordsFault::Request(message), at));
        };
        let one = waiting.remove(ready);
        open.retain(|name| Some(name) != one.name.as_ref());
        done.push(one);
    }
    Ok(done)
}

fn mentions(value: &Json, which: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Json::Text(text) => which(text),
        Json::List(items) => items.iter().any(|item| mentions(item, which)),
        Json::Object(members) => members.iter().any(|(_, value)| mentions(value, which)),
        _ => false,
    }
}

/// Puts what is known now in the place of names and searches.
async fn resolve(
    job: &Job,
    tx: &mut Transaction<'_>,
    order: &mut Order,
    names: &HashMap<String, String>,
) -> Result<(), Halt<RecordsFault>> {
    let body = match &mut order.act {
        Act::Create { body, .. } | Act::Update(body) | Act::Patch(body) => body,
        Act::Delete | Act::Read => return Ok(()),
    };
    let mut asked = Vec::new();
    rename(body, names, false, &mut asked);
    let mut found = HashMap::new();
    for text in asked {
        let Some((ty, query)) = text.split_once('?') else { continue };
        let mut ids = job.find(tx, ty, query).await?;
        match (ids.pop(), ids.pop()) {
            (Some(id), None) => found.insert(text.clone(), format!("{ty}/{id}")),
            _ => return Err(Halt::Work(RecordsFault::Several)),
        };
    }
    rename(body, &found, false, &mut Vec::new());
    Ok(())
}

/// Renames texts that are names, and collects references that are searches.
fn rename(
    value: &mut Json,
    names: &HashMap<String, String>,
    reference: bool,
    asked: &mut Vec<String>,
) {
    match value {
        Json::Text(text) => {
            if let Some(name) = names.get(text.as_str()) {
                *value = Json::Text(name.clone());
            } else if reference && is_search(text) {
                asked.push(text.clone());
            }
        }
        Json::List(items) => items.iter_mut().for_each(|item| rename(item, names, false, asked)),
        Json::Object(members) => {
            for (name, value) in members {
                rename(value, names, name == "reference", asked);
            }
        }
        _ => {}
    }
}

/// `Type?…`.
fn is_search(text: &str) -> bool {
    text.split_once('?').is_some_and(|(ty, _)| {
        ty.starts_with(|c: char| c.is_ascii_uppercase())
            && ty.bytes().all(|b| b.is_ascii_alphabetic())
    })
}

/// The same fault, saying of which entry it is.
fn at_entry(fault: RecordsFault, at: usize) -> RecordsFault {
    let inside = |issues: Vec<Issue>| {
        let inner = |issue: Issue| {
            let rest = issue.expression.split_once('.').map(|(_, rest)| format!(".{rest}"));
            let expression = format!("Bundle.entry[{at}].resource{}", rest.unwrap_or_default());
            Issue { expression, ..issue }
        };
        issues.into_iter().map(inner).collect()
    };
    match fault {
        RecordsFault::Invalid(issues) => RecordsFault::Invalid(inside(issues)),
        RecordsFault::Refused(issues) => RecordsFault::Refused(inside(issues)),
        RecordsFault::Collides(issues) => RecordsFault::Collides(inside(issues)),
        fault => RecordsFault::Entry(at, Box::new(fault)),
    }
}
