//! One order within a transaction: what it does to rows, and what it comes to.

use std::sync::Arc;

use uuid::Uuid;

use super::broken::broken;
use super::fault::RecordsFault;
use super::{patch, prepare};
use crate::auth::{FhirRead, Interaction, Permit};
use crate::fhir::elements::Elements;
use crate::fhir::{Issue, Json, QueryFault, SearchQuery};
use crate::mapping::{Change, Compiled, Confirmed, Fresh, MAX_CHILD_ROWS, PageRequest, Target};
use crate::store::run::FetchedPage;
use crate::store::{Halt, StoreFault, Transaction};

/// What is wanted of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A new one (FHIR R4, 3.1.0.8), unless the query (`If-None-Exist`) finds one.
    Create {
        /// The resource.
        body: Json,
        /// `If-None-Exist`.
        unless: Option<String>,
    },
    /// That one becomes this (3.1.0.4).
    Update(Json),
    /// A JSON Patch (3.1.0.6.1).
    Patch(Json),
    /// It goes (3.1.0.7).
    Delete,
    /// It is read, within a transaction.
    Read,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Type of resource.
    pub resource: String,
    /// Its id.
    pub id: Option<String>,
    /// Instead of the id, a search that finds one (3.1.0.4.3, 3.1.0.7.1).
    pub query: Option<String>,
    /// `If-Match`: the version it must have, as the header has it.
    pub if_match: Option<String>,
    /// `If-None-Match`: versions it must not have, or `*`: there must be none of it (RFC 9110, 13.1.2).
    pub if_none_match: Option<String>,
    /// What is wanted.
    pub act: Act,
}

impl Order {
    /// The interaction a permit must cover.
    pub const fn interaction(&self) -> Interaction {
        match self.act {
            Act::Create { .. } => Interaction::Create,
            Act::Update(_) | Act::Patch(_) => Interaction::Update,
            Act::Delete => Interaction::Delete,
            Act::Read => Interaction::Read,
        }
    }

    /// Whether it depends on what a search finds.
    pub const fn is_conditional(&self) -> bool {
        self.query.is_some() || matches!(self.act, Act::Create { unless: Some(_), .. })
    }
}

/// What an order came to.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub status: u16,
    pub id: Option<String>,
    pub shown: Option<Confirmed>,
    /// Whether rows were changed.
    pub changed: bool,
}

/// What every step of a request needs.
pub(super) struct Job {
    pub compiled: Compiled,
    pub elements: Arc<Elements>,
    pub base: String,
    /// The present time, in milliseconds since 1970.
    pub now: i64,
    /// The writer's right to read: what she may not search for, no condition of hers looks at.
    pub reader: Option<Permit<FhirRead>>,
    /// Whether conditions may be on other resources.
    pub chains: bool,
}

type Stepped<T> = Result<T, Halt<RecordsFault>>;

fn halt<T>(fault: RecordsFault) -> Stepped<T> {
    Err(Halt::Work(fault))
}

impl Job {
    /// What one order may use up.
    pub fn fresh(&self) -> Fresh {
        let uuids = std::iter::repeat_with(|| Uuid::new_v4().hyphenated().to_string());
        Fresh { now: self.now, uuids: uuids.take(MAX_CHILD_ROWS + 1).collect() }
    }

    /// Carries one order out.
    pub async fn step(&self, tx: &mut Transaction<'_>, order: &Order) -> Stepped<Done> {
        let ty = order.resource.as_str();
        match &order.act {
            Act::Create { body, unless } => {
                if let Some(query) = unless {
                    let found = self.find(tx, ty, query).await?;
                    if found.len() > 1 {
                        return halt(RecordsFault::Several);
                    }
                    if let Some(id) = found.first() {
                        return self.read(tx, ty, id).await;
                    }
                }
                self.create(tx, ty, body).await
            }
            Act::Read => match &order.id {
                Some(id) => self.read(tx, ty, id).await,
                None => halt(RecordsFault::NotFound),
            },
            Act::Delete => match self.which(tx, order).await? {
                Some(id) => self.delete(tx, order, &id).await,
                None => Ok(gone(None)),
            },
            Act::Update(_) | Act::Patch(_) => match self.which(tx, order).await? {
                Some(id) => self.update(tx, order, &id).await,
                None => match &order.act {
                    // A version of nothing is nobody's (RFC 9110, 13.1.1).
                    Act::Update(_) if order.if_match.is_some() => halt(RecordsFault::Stale),
                    // It would be an update as create, and ids are not the caller's to give (R4, 3.1.0.4.3).
                    Act::Update(body) if body.get("id").is_some() => {
                        halt(RecordsFault::NothingToUpdate)
                    }
                    Act::Update(body) => self.create(tx, ty, body).await,
                    _ => halt(RecordsFault::NotFound),
                },
            },
        }
    }

    /// The id an order is about; `None` when its condition finds nothing.
    async fn which(&self, tx: &mut Transaction<'_>, order: &Order) -> Stepped<Option<String>> {
        let Some(query) = &order.query else { return Ok(order.id.clone()) };
        let mut found = self.find(tx, &order.resource, query).await?;
        if found.len() > 1 {
            return halt(RecordsFault::Several);
        }
        Ok(found.pop())
    }

    /// The ids of the first two resources a search finds.
    pub async fn find(
        &self,
        tx: &mut Transaction<'_>,
        ty: &str,
        query: &str,
    ) -> Stepped<Vec<String>> {
        let query = SearchQuery::parse(query).map_err(|f| Halt::Work(f.into()))?;
        if query.criteria.is_empty() || query.counts_only() || query.cursor.is_some() {
            let message = "A condition must say what is looked for.";
            return halt(RecordsFault::Request(message));
        }
        if let Some(chained) = query.criteria.iter().find(|c| !self.chains && c.reaches()) {
            let parameter = chained.full_name();
            return halt(QueryFault::Unsupported { parameter }.into());
        }
        let page = PageRequest { count: 2, after: None, base: &self.base };
        let plan = self.compiled.plan_search(ty, &query, &page);
        let plan = plan.map_err(|fault| Halt::Work(fault.into()))?;
        // A condition tells something of what it looks at, by a chain of other types too.
        let mut looked_at = plan.reached.iter().map(String::as_str).chain([ty]);
        let may =
            |permit: &Permit<FhirRead>| looked_at.all(|ty| permit.allows(ty, Interaction::Search));
        if !self.reader.as_ref().is_some_and(may) {
            return halt(RecordsFault::Scope);
        }
        let (mut ids, mut id) = (Vec::new(), String::new());
        for mut planned in plan.sources {
            Arc::make_mut(&mut planned.plan).page.limit = Some(2);
            let fetched = tx.page(&planned.plan).await?;
            let rows = planned.page(&fetched.page, &fetched.children);
            for row in 0..rows.len() {
                if rows.id(row, &mut id) && ids.len() < 2 {
                    ids.push(id.clone());
                }
            }
        }
        Ok(ids)
    }

    async fn read(&self, tx: &mut Transaction<'_>, ty: &str, id: &str) -> Stepped<Done> {
        for target in self.compiled.plan_targets(ty, id) {
            let fetched = tx.row(target.read(), &target.key).await?;
            if !target.page(&fetched.page, &fetched.children).has_id(0, id) {
                continue;
            }
            let shown = target.shown(&fetched.page, &fetched.children);
            let Some(shown) = shown else { return halt(RecordsFault::Unrenderable) };
            let id = Some(id.to_owned());
            return Ok(Done { status: 200, id, shown: Some(shown), changed: false });
        }
        halt(RecordsFault::NotFound)
    }

    async fn create(&self, tx: &mut Transaction<'_>, ty: &str, body: &Json) -> Stepped<Done> {
        if !self.compiled.powers(ty).create {
            return halt(RecordsFault::NotWritable("new resources"));
        }
        let mut sent = self.prepare(ty, body).map_err(Halt::Work)?;
        // The server gives the id (R4, 3.1.0.8).
        sent.take("id");
        let creation = self.compiled.plan_create(ty, &sent, &self.fresh());
        let creation = creation.map_err(|issues| Halt::Work(RecordsFault::Refused(issues)))?;
        let generated = creation.generated.as_ref();
        let given = self.apply(tx, &creation.insert, generated).await?;
        let target = creation.target(given.as_deref());
        let target = target.ok_or(Halt::Work(RecordsFault::NoKey))?;
        let fetched = tx.row(target.read(), &target.key).await?;
        if fetched.page.len() != 1 {
            let message = "A row like this would not be shown by the organisation's mapping.";
            return halt(RecordsFault::Refused(vec![Issue::new("business-rule", ty, message)]));
        }
        let confirmed = self.bring(tx, &target, fetched, &sent, true).await?.0;
        let id = Some(confirmed.id.clone());
        Ok(Done { status: 201, id, shown: Some(confirmed), changed: true })
    }

    async fn update(&self, tx: &mut Transaction<'_>, order: &Order, id: &str) -> Stepped<Done> {
        let ty = order.resource.as_str();
        let Some((target, fetched)) = self.locked(tx, ty, id).await? else {
            // A patch never makes what is not there (RFC 5789, 2.2); an update might.
            let patch = matches!(order.act, Act::Patch(_));
            return halt(if patch {
                RecordsFault::NotFound
            } else {
                RecordsFault::NothingToUpdate
            });
        };
        if !target.powers().update {
            return halt(RecordsFault::NotWritable("changes"));
        }
        matches(&target, &fetched, order)?;
        let body = match &order.act {
            Act::Patch(patch) => {
                let shown = target.shown(&fetched.page, &fetched.children);
                let shown = shown.ok_or(Halt::Work(RecordsFault::Unrenderable))?;
                let shown = Json::parse(&shown.body).map_err(|f| Halt::Work(f.into()))?;
                patch::apply(&shown, patch).map_err(Halt::Work)?
            }
            Act::Update(body) => body.clone(),
            _ => return halt(RecordsFault::Internal),
        };
        let sent = self.prepare(ty, &body).map_err(Halt::Work)?;
        if let Some(issue) = prepare::other_id(ty, &sent, id, order.query.is_some()) {
            return halt(RecordsFault::Invalid(vec![issue]));
        }
        let (confirmed, changed) = self.bring(tx, &target, fetched, &sent, false).await?;
        let id = Some(id.to_owned());
        Ok(Done { status: 200, id, shown: Some(confirmed), changed })
    }

    /// Makes a row show what was sent, and makes sure that it does.
    async fn bring(
        &self,
        tx: &mut Transaction<'_>,
        target: &Target,
        fetched: FetchedPage,
        sent: &Json,
        new: bool,
    ) -> Stepped<(Confirmed, bool)> {
        let refused = |issues| Halt::Work(RecordsFault::Refused(issues));
        let (page, children) = (&fetched.page, &fetched.children);
        let update =
            target.plan_update(page, children, sent, &self.fresh(), new).map_err(refused)?;
        for change in &update.changes {
            self.apply(tx, change, None).await?;
        }
        let changed = !update.changes.is_empty();
        let fetched = if changed { tx.row(target.read(), &target.key).await? } else { fetched };
        let confirmed = target.confirm(&fetched.page, &fetched.children, sent, &update.promises);
        Ok((confirmed.map_err(refused)?, changed))
    }

    async fn delete(&self, tx: &mut Transaction<'_>, order: &Order, id: &str) -> Stepped<Done> {
        let ty = order.resource.as_str();
        let Some((target, fetched)) = self.locked(tx, ty, id).await? else {
            return Ok(gone(Some(id)));
        };
        if !target.powers().delete {
            return halt(RecordsFault::NotWritable("deletions"));
        }
        matches(&target, &fetched, order)?;
        for change in target.plan_delete(&fetched.page, &fetched.children, &self.fresh()) {
            self.apply(tx, &change, None).await?;
        }
        let left = tx.row(target.read(), &target.key).await?;
        if !left.page.is_empty() {
            let message = "The organisation's database kept the record.";
            return halt(RecordsFault::Refused(vec![Issue::new("business-rule", ty, message)]));
        }
        Ok(Done { changed: true, ..gone(Some(id)) })
    }

    /// The row that holds a resource, locked and then read.
    async fn locked(
        &self,
        tx: &mut Transaction<'_>,
        ty: &str,
        id: &str,
    ) -> Stepped<Option<(Target, FetchedPage)>> {
        for target in self.compiled.plan_targets(ty, id) {
            tx.lock(target.table(), &target.key()).await?;
            let fetched = tx.row(target.read(), &target.key).await?;
            if fetched.page.len() == 1
                && target.page(&fetched.page, &fetched.children).has_id(0, id)
            {
                return Ok(Some((target, fetched)));
            }
        }
        Ok(None)
    }

    /// Carries a change out; a rule it breaks is told by the elements it is about.
    async fn apply(
        &self,
        tx: &mut Transaction<'_>,
        change: &Change,
        returning: Option<&crate::mapping::plan::ColumnRef>,
    ) -> Stepped<Option<String>> {
        let applied = tx.apply::<RecordsFault>(change, returning).await;
        applied.map_err(|halted| match halted {
            Halt::Work(RecordsFault::Store(StoreFault::Rule(breach))) => {
                Halt::Work(broken(change, &breach))
            }
            other => other,
        })
    }
}

fn gone(id: Option<&str>) -> Done {
    Done { status: 204, id: id.map(str::to_owned), shown: None, changed: false }
}

/// Whether the row has the version the caller saw, and none of those that it must not have.
fn matches(target: &Target, fetched: &FetchedPage, order: &Order) -> Stepped<()> {
    if order.if_match.is_none() && order.if_none_match.is_none() {
        return Ok(());
    }
    let version = target.page(&fetched.page, &fetched.children).version(0);
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    let has =
        |tags: &str| tags.split(',').any(|tag| tag.trim() == "*" || Some(bare(tag)) == version);
    if order.if_match.as_deref().is_some_and(|tags| !has(tags)) {
        return halt(RecordsFault::Stale);
    }
    if order.if_none_match.as_deref().is_some_and(has) {
        return halt(RecordsFault::There);
    }
    Ok(())
}
