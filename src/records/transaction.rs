//! A transaction bundle: all of its entries or none, in the order of FHIR R4, 3.1.0.11.2.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bundle::{Entry, Wanted};
use super::change::{Writing, Written};
use super::fault::RecordsFault;
use super::pointers;
use super::step::{Act, Done, Job, Order};
use crate::auth::FhirWrite;
use crate::fhir::Issue;
use crate::fhir::elements::Elements;
use crate::store::{Ending, Halt, Transaction};
use crate::tenant::Session;

/// An order with what others call its resource, and where it stood in the bundle.
struct Numbered {
    at: usize,
    name: Option<String>,
    order: Order,
    /// The names its body may mean.
    means: HashSet<String>,
}

impl Numbered {
    /// Whether its resource has an id only once it is carried out.
    fn is_open(&self) -> bool {
        match self.order.act {
            Act::Create { .. } => true,
            Act::Update(_) => self.order.id.is_none(),
            Act::Patch(_) | Act::Delete | Act::Read => false,
        }
    }
}

/// What entries are called, and what is known of them.
struct Names {
    /// What they came to: `Type/id`.
    known: HashMap<String, String>,
    /// What new resources call themselves, which is not what they will be called.
    passing: HashSet<String>,
}

const PASSING: RecordsFault = RecordsFault::Request(
    "A reference names a new resource of the bundle by the id in its body, and new resources get ids of their own: \
     give the entry a fullUrl and refer to that.",
);

const ASTRAY: RecordsFault = RecordsFault::Request(
    "A relative reference of an entry whose fullUrl is another server's means a resource there, and the bundle does not \
     bring it: bring it, or give the entry a fullUrl of urn:uuid.",
);

impl Session<FhirWrite> {
    /// Carries a transaction out. The results stand in the order of the entries.
    pub async fn write_together(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        with: Writing,
    ) -> Result<Vec<Written>, RecordsFault> {
        let count = entries.len();
        let numbered = in_order(entries, &with.elements)?;
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
                    let (mut names, mut touched) = (names(&numbered), HashSet::new());
                    let mut all = Vec::with_capacity(numbered.len());
                    for one in numbered {
                        let Numbered { at, name, mut order, .. } = one;
                        let inside = |halt: Halt<RecordsFault>| match halt {
                            Halt::Work(fault) => Halt::Work(at_entry(fault, at)),
                            other @ Halt::Driver(_) => other,
                        };
                        let root = name.as_deref().and_then(|n| pointers::root(n, &order.resource));
                        resolve(&job, tx, &mut order, &names, root).await.map_err(inside)?;
                        let done = job.step(tx, &order).await.map_err(inside)?;
                        if let Some(place) = place(&order, &done) {
                            let changes =
                                done.changed || matches!(order.act, Act::Update(_) | Act::Patch(_));
                            if changes && !touched.insert(place.clone()) {
                                return Err(inside(Halt::Work(TWICE)));
                            }
                            names.known.extend(name.map(|name| (name, place)));
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

const TWICE: RecordsFault =
    RecordsFault::Request("A transaction may change each resource once only.");

/// What an order came to, as references write it.
fn place(order: &Order, done: &Done) -> Option<String> {
    done.id.as_ref().map(|id| format!("{}/{id}", order.resource))
}

/// Names as they are before anything is done.
fn names(numbered: &[Numbered]) -> Names {
    let known = numbered.iter().filter_map(|one| {
        let (name, id) = (one.name.clone()?, one.order.id.as_ref()?);
        Some((name, format!("{}/{id}", one.order.resource)))
    });
    let passing = numbered.iter().filter_map(|one| {
        let Act::Create { body, .. } = &one.order.act else { return None };
        Some(format!("{}/{}", one.order.resource, body.get("id")?.text()?))
    });
    Names { known: known.collect(), passing: passing.collect() }
}

/// DELETE, POST, PUT and PATCH, GET; one with a body after those whose ids it needs.
fn in_order(entries: Vec<Entry>, elements: &Elements) -> Result<Vec<Numbered>, RecordsFault> {
    let mut numbered = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let name = entry.full_url.filter(|url| !url.is_empty());
        let mut order = match entry.wanted {
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
        let means = means(elements, &mut order, name.as_deref());
        numbered.push(Numbered { at, name, order, means });
    }
    let mut seen = HashSet::new();
    for one in numbered.iter().filter(|one| one.order.act != Act::Read) {
        let Some(id) = &one.order.id else { continue };
        if !seen.insert((one.order.resource.clone(), id.clone())) {
            return Err(at_entry(TWICE, one.at));
        }
    }
    let mut names = HashSet::new();
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
    let open = numbered.iter().filter(|one| one.is_open()).filter_map(|one| one.name.clone());
    let mut open: HashSet<String> = open.collect();
    // What is read is read last, whatever has to wait.
    let (reads, mut waiting): (Vec<_>, Vec<_>) =
        numbered.into_iter().partition(|one| one.order.act == Act::Read);
    let mut done = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|one| {
            !one.means.iter().any(|name| one.name.as_ref() != Some(name) && open.contains(name))
        });
        let Some(ready) = ready else {
            let at = waiting.first().map_or(0, |one| one.at);
            let message = "New resources point to one another in a circle.";
            return Err(at_entry(RecordsFault::Request(message), at));
        };
        let one = waiting.remove(ready);
        if let Some(name) = &one.name {
            open.remove(name);
        }
        done.push(one);
    }
    done.extend(reads);
    Ok(done)
}

/// Shows every text of an order's body that may point to a resource.
fn visit(elements: &Elements, order: &mut Order, visit: &mut pointers::Visit<'_>) {
    match &mut order.act {
        Act::Create { body, .. } | Act::Update(body) => {
            pointers::of_resource(elements, &order.resource, body, visit);
        }
        Act::Patch(patch) => pointers::of_patch(patch, false, visit),
        Act::Delete | Act::Read => {}
    }
}

/// The names that an order's body may mean, its relative references as those of the server its full URL is of.
fn means(elements: &Elements, order: &mut Order, name: Option<&str>) -> HashSet<String> {
    let root = name.and_then(|name| pointers::root(name, &order.resource)).map(str::to_owned);
    let mut means = HashSet::new();
    visit(elements, order, &mut |text, reference| {
        let text = pointers::unversioned(text);
        means.extend(root.iter().filter(|_| reference).map(|root| format!("{root}/{text}")));
        means.insert(text.to_owned());
    });
    means
}

/// Puts what is known now in the place of names and searches.
async fn resolve(
    job: &Job,
    tx: &mut Transaction<'_>,
    order: &mut Order,
    names: &Names,
    root: Option<&str>,
) -> Result<(), Halt<RecordsFault>> {
    let (mut asked, mut passing, mut astray) = (Vec::new(), false, false);
    let elsewhere = root.is_some_and(|root| root != job.base);
    visit(&job.elements, order, &mut |text, reference| {
        let bare = pointers::unversioned(text);
        let full = root.filter(|_| reference).map(|root| format!("{root}/{bare}"));
        let known = names.known.get(bare).or_else(|| names.known.get(&full?));
        if let Some(known) = known {
            text.clone_from(known);
        } else if reference && pointers::is_search(text) {
            asked.push(text.clone());
        } else {
            passing |= reference && names.passing.contains(bare);
            astray |= reference && elsewhere && pointers::is_relative(bare);
        }
    });
    if passing {
        return Err(Halt::Work(PASSING));
    }
    if astray {
        return Err(Halt::Work(ASTRAY));
    }
    let mut found = HashMap::new();
    for text in asked {
        let Some((ty, query)) = text.split_once('?') else { continue };
        let mut ids = job.find(tx, ty, query).await?;
        let fault = match (ids.pop(), ids.pop()) {
            (Some(id), None) => {
                found.insert(text.clone(), format!("{ty}/{id}"));
                continue;
            }
            (None, _) => RecordsFault::NoneFound,
            _ => RecordsFault::Several,
        };
        return Err(Halt::Work(fault));
    }
    visit(&job.elements, order, &mut |text, reference| {
        if let Some(found) = found.get(text).filter(|_| reference) {
            text.clone_from(found);
        }
    });
    Ok(())
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
