//! What a parameter sorts by: the one column that is shown, unchanged in its order, where it looks.

use std::sync::Arc;

use crate::fhir::SearchQuery;
use crate::fhir::params::ParamPath;
use crate::fhir::query::{Handling, SortKey};
use crate::mapping::PlanFault;
use crate::mapping::compiled::{Compiled, key_order};
use crate::mapping::lens::{Lens, Out, Reading};
use crate::mapping::plan::Order;
use crate::mapping::tree::{Object, Source, Tree};

use super::plan::shown;
use super::walk::Walk;

/// How each source of a type is ordered.
pub(super) struct Orders {
    /// For each source its order, down to the key.
    pub orders: Vec<Vec<Order>>,
    /// For each source what it is sorted by, where the sources are put together row by row.
    pub merge: Option<Vec<Vec<(Lens, bool)>>>,
}

impl Compiled {
    /// The order of each source.
    pub(super) fn orders(&self, ty: &str, query: &mut SearchQuery) -> Result<Orders, PlanFault> {
        let mut keys = std::mem::take(&mut query.sort);
        let several = self.of_type(ty).count() > 1;
        if let Some(key) = keys.iter().find(|key| !self.sorts(ty, key, several)) {
            if query.handling == Handling::Strict {
                return Err(PlanFault::Sort { parameter: shown(&key.param) });
            }
            query.ignored.push(shown(&format!("_sort={}", key.param)));
            keys.clear();
        }
        // What comes after an id is of no consequence.
        let till = keys.iter().position(|key| key.param == "_id").unwrap_or(keys.len());
        let by_id = keys.get(till).is_some_and(|key| key.descending);
        let (mut orders, mut lenses) = (Vec::new(), Vec::new());
        for (_, source) in self.of_type(ty) {
            let mut order: Vec<Order> = Vec::new();
            let mut own = Vec::new();
            for key in keys.iter().take(till) {
                let Some(lens) = sort_lens(source, &self.reading, &key.param) else { continue };
                let Some(column) = lens.sort_column().cloned() else { continue };
                order.push(Order { column, descending: key.descending });
                own.push((lens.clone(), key.descending));
            }
            let unseen = |key: &Order| !order.iter().any(|known| known.column == key.column);
            let rest: Vec<Order> = key_order(source, by_id).into_iter().filter(unseen).collect();
            order.extend(rest);
            orders.push(order);
            lenses.push(own);
        }
        query.sort = keys;
        Ok(Orders { orders, merge: (several && till > 0).then_some(lenses) })
    }

    fn sorts(&self, ty: &str, key: &SortKey, several: bool) -> bool {
        if key.param == "_id" {
            // Of several sources one comes after the other, and their numbers go upwards.
            return !(several && key.descending);
        }
        self.of_type(ty).all(|(_, source)| {
            // Texts of two tables may be ordered by two rules of their database.
            let fits = |lens: &&Lens| !several || lens.gives_dates() || gives_numbers(lens);
            sort_lens(source, &self.reading, &key.param).as_ref().is_some_and(|lens| fits(&lens))
        })
    }
}

const fn gives_numbers(lens: &Lens) -> bool {
    matches!(lens.out, Out::Decimal | Out::Integer { .. })
}

/// The one leaf a parameter sorts by.
fn sort_lens(source: &Arc<Source>, reading: &Reading, name: &str) -> Option<Lens> {
    let param = source.params.iter().find(|p| p.name == name)?;
    let walk = Walk::new(source, reading, false);
    let mut mapped = param.paths.iter().filter(|path| !path.exists && walk.is_mapped(path));
    let (Some(path), None) = (mapped.next(), mapped.next()) else { return None };
    let lens = leaf(&source.root, path)?;
    lens.sort_column().is_some().then(|| lens.clone())
}

fn leaf<'s>(root: &'s Object, path: &ParamPath) -> Option<&'s Lens> {
    let mut object = root;
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
        match (value, steps.peek()) {
            (Tree::Leaf(leaf), None) => return Some(&leaf.lens),
            // A period is sorted by its beginning, a quantity by its value.
            (Tree::Object(inner), None) if inner.when.is_empty() => {
                let member = match inner.ty {
                    "Period" => inner.member("start")?,
                    "Quantity" | "Age" | "Duration" | "Count" => inner.member("value")?,
                    _ => return None,
                };
                let Tree::Leaf(leaf) = &member.value else { return None };
                return Some(&leaf.lens);
            }
            (Tree::Object(inner), Some(_)) if inner.when.is_empty() => object = inner,
            _ => return None,
        }
    }
    None
}
