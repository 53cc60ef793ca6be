//! Whole searches: every source's plan, its place in the paging, and counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Date;

use crate::base::{Clock as _, Fault as _, SystemClock};
use crate::fhir::SearchQuery;
use crate::fhir::query::{Criterion, Handling, Total};
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, PlannedSource};
use crate::mapping::lens::predicate::{all, any};
use crate::mapping::lens::typed;
use crate::mapping::plan::{Count, Order, Predicate, Value};
use crate::mapping::rows::Rows;
use crate::mapping::tree::Source;

use super::chain::Ask;
use super::include::Includes;
use super::reached::Reached;
use super::sort::Orders;
use super::{Refusal, fault};

/// Which page of a search is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<'r> {
    /// Resources a page; one row more is asked for, to know whether there is a next page.
    pub count: u32,
    /// Where the page before ended; nothing to begin.
    pub after: Option<&'r Position>,
    /// The public base URL without a slash at its end, to know own references from others.
    pub base: &'r str,
}

/// Where a page ended: in which of the type's sources, after which row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Number of the source among those of its type.
    pub source: usize,
    /// The values of the order in the last row shown; nothing at a source's beginning.
    pub after: Option<Vec<Option<String>>>,
    /// Where the other sources are that have rows left, in a search that puts them together row by row.
    pub also: Vec<Position>,
}

/// A search, planned.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// The sources to ask, in the order their resources come in: all of one before the next. Ask the
    /// first; go on only while the page is not full. Empty when nothing can match.
    pub sources: Vec<PlannedSource>,
    /// Whether their rows come in one order instead, put together by [`merge`](super::merge()): then all
    /// are asked.
    pub merged: bool,
    /// What is shown beside the matches.
    pub includes: Includes,
    /// The types beyond the one searched that conditions look at.
    pub reached: BTreeSet<String>,
    /// The counts to add up, where the number of matches is wanted.
    pub counts: Option<Vec<Count>>,
    /// Whether only the number is wanted.
    pub count_only: bool,
    /// The query in force, for the `self` link; what was left out is in its `ignored`.
    pub query: SearchQuery,
}

/// What beside its query limits a search.
#[derive(Clone, Copy, Default)]
struct Within<'w> {
    /// Resources of one patient only (R4 section 2.36).
    patient: Option<&'w str>,
    /// Resources that meet any of these queries, whose conditions alone count; none where there are none.
    any_of: &'w [SearchQuery],
}

impl Compiled {
    /// Plans a search. What cannot be run in the database is refused by name, or left out and noted
    /// where the caller asked for lenient handling.
    pub fn plan_search(
        &self,
        ty: &str,
        query: &SearchQuery,
        page: &PageRequest<'_>,
    ) -> Result<SearchPlan, PlanFault> {
        self.plan_within(ty, query, page, Within::default())
    }

    /// Plans a search of what meets, beside the query, any of some others. Of those only the conditions
    /// count; without any, it is [`Self::plan_search`].
    pub fn plan_any(
        &self,
        ty: &str,
        query: &SearchQuery,
        any_of: &[SearchQuery],
        page: &PageRequest<'_>,
    ) -> Result<SearchPlan, PlanFault> {
        self.plan_within(ty, query, page, Within { any_of, ..Within::default() })
    }

    /// Plans a search of one patient's compartment.
    pub fn plan_in_patient(
        &self,
        patient: &str,
        ty: &str,
        query: &SearchQuery,
        page: &PageRequest<'_>,
    ) -> Result<SearchPlan, PlanFault> {
        self.plan_within(ty, query, page, Within { patient: Some(patient), ..Within::default() })
    }

    fn plan_within(
        &self,
        ty: &str,
        query: &SearchQuery,
        page: &PageRequest<'_>,
        within: Within<'_>,
    ) -> Result<SearchPlan, PlanFault> {
        if let Some(now) = self.at_this_moment() {
            return now.plan_within(ty, query, page, within);
        }
        let sources: Vec<_> = self.of_type(ty).collect();
        if sources.is_empty() {
            return Err(PlanFault::UnknownType);
        }
        let mut query = query.clone();
        let reached = Reached::default();
        let day = query.day.unwrap_or_else(today);
        let mut filters = self.conditions(ty, &mut query, page.base, day, &reached)?;
        let own = self.of_type(ty).map(|(_, source)| source.filter.clone());
        filters = own.zip(filters).map(|(own, found)| all([own, found])).collect();
        if !within.any_of.is_empty() {
            let mut either = vec![Vec::new(); filters.len()];
            for one in within.any_of {
                let found = self.conditions(ty, &mut one.clone(), page.base, day, &reached)?;
                either.iter_mut().zip(found).for_each(|(all, one)| all.push(one));
            }
            filters = filters.into_iter().zip(either).map(|(a, b)| all([a, any(b)])).collect();
        }
        if let Some(patient) = within.patient {
            let own = self.compartment(ty, patient)?;
            filters = filters.into_iter().zip(own).map(|(a, b)| all([a, b])).collect();
        }
        let includes = self.includes(ty, &mut query)?;
        let Orders { orders, merge } = self.orders(ty, &mut query)?;
        let count_only = query.counts_only();
        let mut counts = (count_only || query.total != Total::None).then(Vec::new);
        let mut planned = Vec::new();
        for (((number, source), filter), order) in sources.into_iter().zip(filters).zip(orders) {
            if filter == Predicate::Never {
                continue;
            }
            if let Some(counts) = &mut counts {
                // Which rows are shown may depend on the present time.
                let timed = source.timed.then(|| super::shown(source, &self.reading));
                let shown = timed.unwrap_or_else(|| source.shown.clone());
                counts.push(count(source, shown, &filter, &query)?);
            }
            let Some(begun) = begin(page.after, number, merge.is_some()).filter(|_| !count_only)
            else {
                continue;
            };
            let after = begun.map(|texts| position(&order, texts).ok_or(PlanFault::Cursor));
            let limit = page.count.saturating_add(1);
            let after = after.transpose()?;
            let mut one = self.planned(number, source, filter, order, after, limit);
            one.begun = begun.cloned();
            one.sort = merge.as_ref().and_then(|m| m.get(number)).cloned().unwrap_or_default();
            planned.push(one);
        }
        let about = |c: &Criterion| c.values.iter().any(|value| value.contains("ap"));
        query.day = query.criteria.iter().any(about).then_some(day);
        let (merged, reached) = (merge.is_some(), reached.into_types());
        Ok(SearchPlan { sources: planned, merged, includes, reached, counts, count_only, query })
    }

    /// What every source's rows must meet of a query.
    fn conditions(
        &self,
        ty: &str,
        query: &mut SearchQuery,
        base: &str,
        day: Date,
        reached: &Reached,
    ) -> Result<Vec<Predicate>, PlanFault> {
        let mut filters = vec![Vec::new(); self.of_type(ty).count()];
        let mut kept = Vec::new();
        for criterion in std::mem::take(&mut query.criteria) {
            match self.criterion(ty, &Ask::of(&criterion, base, day), &criterion, reached) {
                Ok(found) => {
                    for (filter, part) in filters.iter_mut().zip(found) {
                        filter.push(part);
                    }
                    kept.push(criterion);
                }
                Err(fault) if query.handling == Handling::Lenient && fault.unsupported() => {
                    query.ignored.push(shown(&criterion.full_name()));
                }
                Err(fault) => return Err(fault),
            }
        }
        query.criteria = kept;
        Ok(filters.into_iter().map(all).collect())
    }

    /// What places a row in a patient's compartment.
    pub(super) fn compartment(&self, ty: &str, patient: &str) -> Result<Vec<Predicate>, PlanFault> {
        let definition = crate::fhir::compartment::Compartment::patient();
        let params = definition.params(ty);
        if params.is_empty() {
            return Err(PlanFault::Compartment);
        }
        let values = [format!("{}/{patient}", definition.name())];
        let own = [patient.to_owned()];
        self.of_type(ty)
            .map(|(_, source)| {
                let mut found = Vec::new();
                if ty == definition.name() {
                    let ask = Ask::plain("_id", &own);
                    found.push(self.on(source, &ask, &Reached::default()));
                }
                for name in params {
                    let ask = Ask::plain(name, &values);
                    found.push(match self.on(source, &ask, &Reached::default()) {
                        Err(Refusal::NotMapped) => Ok(Predicate::Never),
                        Err(refusal) => return Err(fault(name, None, refusal)),
                        found => found,
                    });
                }
                let found: Result<Vec<_>, Refusal> = found.into_iter().collect();
                found.map(any).map_err(|refusal| fault("_id", None, refusal))
            })
            .collect()
    }

    /// Whether a parameter can be asked for: every source either serves it or does not fill it.
    pub(in crate::mapping) fn serves(&self, ty: &str, name: &str) -> bool {
        let served = |source: &Source| {
            let known = source.served.iter().copied().find(|served| *served == name);
            known.is_some() || self.fills(source, name) == Some(false)
        };
        self.of_type(ty).all(|(_, source)| served(source))
    }

    /// Whether a source fills what a parameter looks at; `None` where it has no such parameter.
    pub(super) fn fills(&self, source: &Source, name: &str) -> Option<bool> {
        let walk = super::Walk::new(source, &self.reading, false);
        if let Some(param) = source.params.iter().find(|p| p.name == name) {
            return Some(name == "_id" || param.paths.iter().any(|path| walk.is_mapped(path)));
        }
        let def = source.composites.iter().find(|def| def.name == name)?;
        Some(super::composite::is_mapped(&walk, def))
    }

    /// A condition on every source of a type.
    fn criterion(
        &self,
        ty: &str,
        ask: &Ask<'_>,
        criterion: &Criterion,
        reached: &Reached,
    ) -> Result<Vec<Predicate>, PlanFault> {
        let name = criterion.full_name();
        // Of a chain, what is refused is the whole of it.
        let modifier = if ask.looks_further() { None } else { ask.modifier };
        let (mut found, mut mapped, mut unknown) = (Vec::new(), false, false);
        let _before = reached.take_filled();
        for (_, source) in self.of_type(ty) {
            match self.on(source, ask, reached) {
                Ok(predicate) => {
                    mapped = true;
                    found.push(predicate);
                }
                Err(Refusal::NotMapped) => found.push(not_there(source, ask)),
                // Switched off in this source, or no parameter at all.
                Err(Refusal::Unknown) => unknown = true,
                Err(refusal) if ask.looks_further() => {
                    return Err(fault(&shown(&name), None, refusal));
                }
                Err(refusal) => return Err(fault(&criterion.name, modifier, refusal)),
            }
        }
        // Of a condition on other resources it is what stands there that counts.
        let filled = reached.take_filled() || !ask.looks_further();
        if unknown || !mapped || !filled {
            return Err(PlanFault::Unsupported { parameter: shown(&name) });
        }
        Ok(found)
    }
}

/// The present day in UTC.
fn today() -> Date {
    let now = jiff::Timestamp::from_millisecond(SystemClock.now().as_millis()).unwrap_or_default();
    jiff::tz::Offset::UTC.to_datetime(now).date()
}

/// Where a source goes on; `None` where it has nothing more to give, nothing within where it begins.
#[expect(clippy::option_option, reason = "at its end, at its beginning, behind a row")]
pub(super) fn begin(
    after: Option<&Position>,
    number: usize,
    merged: bool,
) -> Option<Option<&Vec<Option<String>>>> {
    let Some(position) = after else { return Some(None) };
    if merged {
        let all = std::iter::once(position).chain(&position.also);
        return all.filter(|p| p.source == number).map(|p| p.after.as_ref()).next();
    }
    match number.cmp(&position.source) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(position.after.as_ref()),
        std::cmp::Ordering::Greater => Some(None),
    }
}

/// The count of a source's matches: of those that can be shown. A rough one counts every row.
pub(super) fn count(
    source: &Source,
    shown: Option<Predicate>,
    filter: &Predicate,
    query: &SearchQuery,
) -> Result<Count, PlanFault> {
    let rough = query.total == Total::Estimate && !query.counts_only();
    let shown = match shown {
        Some(shown) => shown,
        None if rough => Predicate::Always,
        None => {
            let parameter = if query.counts_only() { "_summary=count" } else { "_total=accurate" };
            return Err(PlanFault::Unsupported { parameter: parameter.to_owned() });
        }
    };
    Ok(Count {
        from: Arc::clone(&source.from),
        joins: Arc::clone(&source.joins),
        filter: all([filter.clone(), shown]),
    })
}

/// A caller's name of a parameter as far as it may be repeated.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// What a condition comes to in a source that never fills the element.
pub(super) fn not_there(source: &Source, ask: &Ask<'_>) -> Predicate {
    let asked = |wanted: &str| ask.values.iter().any(|value| value == wanted);
    let param = source.params.iter().find(|param| param.name == ask.name);
    // `deceased=false` holds of whoever nothing is known of.
    let exists = param.is_some_and(|param| param.paths.iter().any(|path| path.exists));
    let holds = match ask.modifier {
        _ if ask.looks_further() => false,
        Some("missing") => asked("true"),
        Some("not") => !(exists && asked("false")),
        _ => exists && asked("false"),
    };
    if holds { Predicate::Always } else { Predicate::Never }
}

/// A cursor's texts as values of the order's columns.
pub(super) fn position(order: &[Order], texts: &[Option<String>]) -> Option<Vec<Option<Value>>> {
    if order.len() != texts.len() {
        return None;
    }
    let last = order.len().saturating_sub(1);
    let value = |(number, (key, text)): (usize, (&Order, &Option<String>))| match text {
        None => Some(None),
        Some(text) => {
            let found = typed::for_column(&key.column, text);
            // What rows are sorted by may hold anything, zero dates and words among it; a key may not.
            let raw = || Value { ty: key.column.ty, text: text.clone() };
            found.or_else(|| (number < last).then(raw)).map(Some)
        }
    };
    order.iter().zip(texts).enumerate().map(value).collect()
}

impl PlannedSource {
    /// The place right after a row, for the cursor of the next page. `None` when the row's key cannot
    /// be found again: there is no next page then, and what follows would be lost.
    pub fn position(&self, rows: &Rows, index: usize) -> Option<Position> {
        let row = rows.row(index)?;
        let page = &self.plan.page;
        let cell = |order: &Order| {
            let place = page.columns.iter().position(|c| *c == order.column)?;
            Some(row.get(place).map(str::to_owned))
        };
        let after: Vec<Option<String>> = page.order.iter().map(cell).collect::<Option<_>>()?;
        let found = position(&page.order, &after)?;
        // The last is of the key, which no row lacks.
        found.last().is_some_and(Option::is_some).then_some(())?;
        Some(Position { source: self.number, after: Some(after), also: Vec::new() })
    }
}
