//! Which part of a template's list an item of a resource belongs to.

use crate::fhir::Json;
use crate::mapping::tree::{Object, Tree};

use super::compare::{missing, shows};
use super::walk::{Walk, stands};

/// What an item that stands as it was sent is worth more than one that merely could.
const STANDS: i32 = 1000;
/// What a member without a place costs.
const UNPLACED: i32 = 50;

impl Walk<'_> {
    /// For each item, which of the template's parts takes it. The best fits are served first.
    pub fn places(&self, items: &[Tree], body: &[Json]) -> Vec<Option<usize>> {
        let mut wishes: Vec<(i32, usize, usize)> = Vec::new();
        for (number, item) in body.iter().enumerate() {
            for (at, tree) in items.iter().enumerate() {
                let fit = self.fit(tree, item);
                wishes.extend(fit.map(|fit| (fit + self.bonus(tree, item), number, at)));
            }
        }
        wishes.sort_by_key(|(fit, number, at)| (-fit, *number, *at));
        let mut places = vec![None; body.len()];
        let mut taken = vec![false; items.len()];
        for (_, number, at) in wishes {
            let many = matches!(items.get(at), Some(Tree::Each(_)));
            let (Some(place), Some(taken)) = (places.get_mut(number), taken.get_mut(at)) else {
                continue;
            };
            if place.is_none() && (many || !*taken) {
                *place = Some(at);
                *taken = true;
            }
        }
        places
    }

    /// How well a part could take an item; `None` when a constant says otherwise.
    fn fit(&self, tree: &Tree, item: &Json) -> Option<i32> {
        match tree {
            Tree::Const(constant) => {
                let constant = Json::parse(&constant.json).ok()?;
                shows(&constant, item).then_some(10)
            }
            Tree::Case(_) => None,
            Tree::Leaf(_) => item.primitive().map(|_| 1),
            Tree::Object(object) => self.fit_object(object, item),
            Tree::Each(each) => self.fit(&each.item, item).map(|fit| fit - 1),
            Tree::List(items) => {
                let places = self.places(items, item.items());
                let all = places.iter().all(Option::is_some);
                Some(if all { 5 } else { -UNPLACED })
            }
        }
    }

    fn fit_object(&self, object: &Object, item: &Json) -> Option<i32> {
        if let Some(constant) = &object.constant {
            let constant = Json::parse(constant).ok()?;
            return missing(&constant, item, "").is_empty().then_some(10);
        }
        let mut score = 0;
        for (name, value) in item.members() {
            score += match object.member(name) {
                None => -UNPLACED,
                Some(member) => self.fit(&member.value, value)?,
            };
        }
        Some(score)
    }

    /// Whether the item is what the part shows now.
    fn bonus(&self, tree: &Tree, item: &Json) -> i32 {
        let Some(row) = self.row else { return 0 };
        let standing = match (tree, item.primitive()) {
            (Tree::Leaf(leaf), Some(text)) => stands(&leaf.lens, row, &[text]),
            (Tree::Object(_), None) => {
                let shown = self.page.and_then(|page| page.part(tree, row));
                shown
                    .and_then(|text| Json::parse(&text).ok())
                    .is_some_and(|shown| shows(&shown, item))
            }
            _ => false,
        };
        if standing { STANDS } else { 0 }
    }
}
