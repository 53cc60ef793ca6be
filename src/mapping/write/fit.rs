//! Which part of a template's list an item of a resource belongs to.

use crate::fhir::Json;
use crate::mapping::tree::{Object, Tree};

use super::MAX_CHILD_ROWS;
use super::compare::{missing, shows};
use super::walk::{Walk, stands};

/// What an item that stands as it was sent is worth more than one that merely could.
const STANDS: i32 = 1000;
/// What a member without a place costs.
const UNPLACED: i32 = 50;
/// What a constant costs that was not sent.
const LACKING: i32 = 2;

impl Walk<'_> {
    /// For each item, which of the template's parts takes it. The best fits are served first.
    pub fn places(&self, items: &[Tree], body: &[Json]) -> Vec<Option<usize>> {
        // With one part only there is nothing to choose.
        let several = items.len() > 1;
        let shown: Vec<Vec<Json>> =
            items.iter().map(|t| if several { self.shown(t) } else { Vec::new() }).collect();
        let mut wishes: Vec<(i32, usize, usize)> = Vec::new();
        for (number, item) in body.iter().enumerate() {
            for ((at, tree), shown) in items.iter().enumerate().zip(&shown) {
                let Some(fit) = self.fit(tree, item) else { continue };
                let standing = self.stands_at(tree, item) || shown.iter().any(|s| shows(s, item));
                wishes.push((if standing { fit + STANDS } else { fit }, number, at));
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
        let constant = |tree: &Tree| match tree {
            Tree::Const(_) => true,
            Tree::Object(object) => object.constant.is_some(),
            _ => false,
        };
        // Constants may be left out, and yet an item that has them fits better.
        let lacks =
            object.members.iter().filter(|m| constant(&m.value) && item.get(&m.name).is_none());
        let mut score = -LACKING * i32::try_from(lacks.count()).unwrap_or(i32::MAX / 4);
        for (name, value) in item.members() {
            score += match object.member(name) {
                None => -UNPLACED,
                Some(member) => self.fit(&member.value, value)?,
            };
        }
        Some(score)
    }

    /// What an object, or an `each` in all its rows, shows now.
    fn shown(&self, tree: &Tree) -> Vec<Json> {
        let (Some(page), Some(row)) = (self.page, self.row) else { return Vec::new() };
        let texts = match tree {
            Tree::Object(_) => page.part(tree, row).into_iter().collect(),
            Tree::Each(each) => {
                let rows = page.items(each).into_iter().take(MAX_CHILD_ROWS);
                rows.filter_map(|row| page.part(&each.item, row)).collect()
            }
            _ => Vec::new(),
        };
        let texts: Vec<Vec<u8>> = texts;
        texts.iter().filter_map(|text| Json::parse(text).ok()).collect()
    }

    /// Whether the item is the value that stands there now.
    fn stands_at(&self, tree: &Tree, item: &Json) -> bool {
        match (tree, self.row, item.primitive()) {
            (Tree::Leaf(leaf), Some(row), Some(text)) => stands(&leaf.lens, row, &[text]),
            _ => false,
        }
    }
}
