//! Whole searches: every source's plan, its place in the paging, and counts.

use std::sync::Arc;

use crate::fhir::SearchQuery;
use crate::fhir::query::{Criterion, Handling, SortKey, Total};
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, PlannedSource, key_order};
use crate::mapping::lens::predicate::all;
use crate::mapping::lens::typed;
use crate::mapping::plan::{Count, Order, Predicate, Value};
use crate::mapping::rows::Rows;
use crate::mapping::tree::{Source, Tree};

use super::{Asked, Refusal, condition, fault};

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
}

/// A search, planned.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// The sources to ask, in the order their resources come in: all of one before the next. Ask the
    /// first; go on only while the page is not full. Empty when nothing can match.
    pub sources: Vec<PlannedSource>,
    /// The counts to add up, where the number of matches is wanted.
    pub counts: Option<Vec<Count>>,
    /// Whether only the number is wanted.
    pub count_only: bool,
    /// The query in force, for the `self` link; what was left out is in its `ignored`.
    pub query: SearchQuery,
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
        if let Some(now) = self.at_this_moment() {
            return now.plan_search(ty, query, page);
        }
        let sources: Vec<_> = self.of_type(ty).collect();
        if sources.is_empty() {
            return Err(PlanFault::UnknownType);
        }
        let mut query = query.clone();
        let filters = self.filters(ty, &mut query, sources.len(), page.base)?;
        let orders = self.orders(ty, &mut query)?;
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
            let begin = page.after.map_or(0, |position| position.source);
            if count_only || number < begin {
                continue;
            }
            let here = page.after.filter(|_| number == begin).and_then(|p| p.after.as_ref());
            let after = here.map(|texts| position(&order, texts).ok_or(PlanFault::Cursor));
            let limit = page.count.saturating_add(1);
            planned.push(self.planned(number, source, filter, order, after.transpose()?, limit));
        }
        Ok(SearchPlan { sources: planned, counts, count_only, query })
    }

    /// What every source's rows must meet.
    fn filters(
        &self,
        ty: &str,
        query: &mut SearchQuery,
        sources: usize,
        base: &str,
    ) -> Result<Vec<Predicate>, PlanFault> {
        let mut filters = vec![Vec::new(); sources];
        let mut kept = Vec::new();
        for criterion in std::mem::take(&mut query.criteria) {
            match self.criterion(ty, &criterion, base) {
                Ok(found) => {
                    for (filter, part) in filters.iter_mut().zip(found) {
                        filter.push(part);
                    }
                    kept.push(criterion);
                }
                Err(PlanFault::Unsupported { .. } | PlanFault::Modifier { .. })
                    if query.handling == Handling::Lenient =>
                {
                    query.ignored.push(criterion.name.clone());
                }
                Err(fault) => return Err(fault),
            }
        }
        query.criteria = kept;
        let own = self.of_type(ty).map(|(_, source)| source.filter.clone());
        Ok(own.zip(filters).map(|(own, parts)| all([own].into_iter().chain(parts))).collect())
    }

    /// Whether a parameter can be asked for: every source either serves it or does not fill it.
    pub(in crate::mapping) fn serves(&self, ty: &str, name: &str) -> bool {
        let criterion = |source: &Source| {
            let param = source.params.iter().find(|p| p.name == name)?;
            Some(source.served.contains(&param.name) || self.not_mapped(source, name))
        };
        self.of_type(ty).all(|(_, source)| criterion(source).unwrap_or(false))
    }

    fn not_mapped(&self, source: &Source, name: &str) -> bool {
        let Some(param) = source.params.iter().find(|p| p.name == name) else { return true };
        let values = ["true".to_owned()];
        let asked = Asked { modifier: Some("missing"), values: &values, base: "" };
        matches!(condition(source, &self.reading, param, &asked), Err(Refusal::NotMapped))
    }

    /// A condition on every source of a type.
    fn criterion(
        &self,
        ty: &str,
        criterion: &Criterion,
        base: &str,
    ) -> Result<Vec<Predicate>, PlanFault> {
        let name = criterion.name.as_str();
        let modifier = criterion.modifier.as_deref();
        let unsupported = || PlanFault::Unsupported { parameter: shown(name) };
        if criterion.chain.is_some() {
            let parameter = format!("{name}.{}", criterion.chain.as_deref().unwrap_or_default());
            return Err(PlanFault::Unsupported { parameter });
        }
        let mut found = Vec::new();
        let mut mapped = false;
        for (_, source) in self.of_type(ty) {
            let param = source.params.iter().find(|p| p.name == name);
            let Some(param) = param else {
                // Switched off in this source, or no parameter at all.
                found.push(None);
                continue;
            };
            if criterion.values.is_empty() {
                return Err(fault(name, modifier, Refusal::Value("a value")));
            }
            let asked = Asked { modifier, values: &criterion.values, base };
            match condition(source, &self.reading, param, &asked) {
                Ok(predicate) => {
                    mapped = true;
                    found.push(Some(predicate));
                }
                Err(Refusal::NotMapped) => {
                    found.push(Some(not_there(modifier, &criterion.values)));
                }
                Err(refusal) => return Err(fault(name, modifier, refusal)),
            }
        }
        let all_there: Option<Vec<_>> = found.into_iter().collect();
        all_there.filter(|_| mapped).ok_or_else(unsupported)
    }

    /// The order of each source.
    fn orders(&self, ty: &str, query: &mut SearchQuery) -> Result<Vec<Vec<Order>>, PlanFault> {
        let mut keys = std::mem::take(&mut query.sort);
        let several = self.of_type(ty).count() > 1;
        let sorts = |key: &SortKey| {
            let one =
                |(_, source): (usize, &Arc<Source>)| sort_column(source, &key.param).is_some();
            !several && (key.param == "_id" || self.of_type(ty).all(one))
        };
        if let Some(key) = keys.iter().find(|key| !sorts(key)) {
            if query.handling == Handling::Strict {
                return Err(PlanFault::Sort { parameter: shown(&key.param) });
            }
            query.ignored.push("_sort".to_owned());
            keys.clear();
        }
        let mut orders = Vec::new();
        for (_, source) in self.of_type(ty) {
            let mut order: Vec<Order> = Vec::new();
            let mut by_id = false;
            for key in &keys {
                if key.param == "_id" {
                    by_id = key.descending;
                    break;
                }
                let column = sort_column(source, &key.param);
                order.extend(column.map(|column| Order { column, descending: key.descending }));
            }
            let unseen = |key: &Order| !order.iter().any(|known| known.column == key.column);
            let rest: Vec<Order> = key_order(source, by_id).into_iter().filter(unseen).collect();
            order.extend(rest);
            orders.push(order);
        }
        query.sort = keys;
        Ok(orders)
    }
}

/// The count of a source's matches: of those that can be shown. A rough one counts every row.
fn count(
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
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(64).collect()
}

/// What a condition comes to where the element is never there.
fn not_there(modifier: Option<&str>, values: &[String]) -> Predicate {
    let missing = modifier == Some("missing") && values.iter().any(|v| v == "true");
    if missing || modifier == Some("not") { Predicate::Always } else { Predicate::Never }
}

/// The one column a parameter sorts by.
fn sort_column(source: &Source, name: &str) -> Option<crate::mapping::plan::ColumnRef> {
    let param = source.params.iter().find(|p| p.name == name)?;
    let [path] = param.paths.as_slice() else { return None };
    let mut object = &source.root;
    let mut steps = path.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let mut members = object
            .members
            .iter()
            .filter(|m| m.element == step.element && step.ty.is_none_or(|ty| ty == m.ty));
        let (Some(member), None) = (members.next(), members.next()) else { return None };
        // Of a list, the one item there can be.
        let value = match &member.value {
            Tree::List(items) => match items.as_slice() {
                [only] => only,
                _ => return None,
            },
            value => value,
        };
        match value {
            Tree::Leaf(leaf) if steps.peek().is_none() => {
                return leaf.lens.sort_column().cloned();
            }
            Tree::Object(inner) if inner.when.is_empty() => object = inner,
            _ => return None,
        }
    }
    None
}

/// A cursor's texts as values of the order's columns.
fn position(order: &[Order], texts: &[Option<String>]) -> Option<Vec<Option<Value>>> {
    if order.len() != texts.len() {
        return None;
    }
    let value = |(key, text): (&Order, &Option<String>)| match text {
        None => Some(None),
        Some(text) => typed::for_column(&key.column, text).map(Some),
    };
    order.iter().zip(texts).map(value).collect()
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
        Some(Position { source: self.number, after: Some(after) })
    }
}
