//! The template along a resource: which cells must change for it to be shown.

use std::collections::{BTreeSet, HashMap};

use crate::fhir::{Issue, Json};
use crate::mapping::lens::{Lens, Out, Reading};
use crate::mapping::plan::{Join, Value};
use crate::mapping::render::Page;
use crate::mapping::rows::Row;
use crate::mapping::tree::{Condition, Each, Leaf, Member, Object, Source, Test, Tree};

use super::compare::{missing, same_number, same_text};
use super::confirm::{Promise, Promises};
use super::power::{bases, powerless};
use super::store::{Cells, store, store_list};
use super::{ColumnRule, Rules, Set};

/// Items for the rows of an `each`.
pub struct Kid<'w> {
    pub each: &'w Each,
    pub items: Vec<(&'w Json, String)>,
    pub path: String,
}

/// One row's part of the walk.
pub struct Walk<'w> {
    pub source: &'w Source,
    pub rules: &'w Rules,
    pub reading: &'w Reading,
    pub columns: &'w HashMap<String, ColumnRule>,
    pub joins: &'w [Join],
    /// The row as it stands; none for one that is made.
    pub row: Option<Row<'w>>,
    /// For rendering what stands.
    pub page: Option<&'w Page<'w>>,
    pub sets: Vec<Set>,
    /// Columns whose value some element of the resource tells.
    pub spoken: BTreeSet<String>,
    pub absent: Vec<(&'w Leaf, String)>,
    /// Elements that follow from others, with what was sent for them.
    pub derived: Vec<(&'w Leaf, Vec<String>, String)>,
    /// Elements that were not sent and that no write takes away.
    pub kept: Vec<(&'w Leaf, String)>,
    pub unwanted: Vec<(&'w [Condition], String)>,
    /// Members that were not sent and are not shown now, whatever their cells hold.
    pub hidden: Vec<(&'w Object, &'w Member, String)>,
    pub kids: Vec<Kid<'w>>,
    pub issues: Vec<Issue>,
}

/// What a walk came to.
pub struct Walked<'w> {
    pub sets: Vec<Set>,
    pub kids: Vec<Kid<'w>>,
    pub issues: Vec<Issue>,
    pub promises: Promises,
}

const FIXED: &str = "The hospital's mapping fixes another value here.";
const READ_ONLY: &str = "The hospital's mapping does not let this element be changed.";

impl<'w> Walk<'w> {
    /// Along the source's own rows.
    pub fn base(
        source: &'w Source,
        rules: &'w Rules,
        reading: &'w Reading,
        before: Option<(&'w Page<'w>, Row<'w>)>,
    ) -> Self {
        let (page, row) = (before.map(|(page, _)| page), before.map(|(_, row)| row));
        Self::over(source, rules, reading, (&rules.columns, &source.joins), page, row)
    }

    /// Along rows of a child.
    pub fn child(
        source: &'w Source,
        rules: &'w Rules,
        reading: &'w Reading,
        child: usize,
        before: Option<(&'w Page<'w>, Row<'w>)>,
    ) -> Option<Self> {
        let (page, row) = (before.map(|(page, _)| page), before.map(|(_, row)| row));
        let columns = &rules.children.get(child)?.columns;
        let joins = &source.children.get(child)?.joins;
        Some(Self::over(source, rules, reading, (columns, joins), page, row))
    }

    fn over(
        source: &'w Source,
        rules: &'w Rules,
        reading: &'w Reading,
        (columns, joins): (&'w HashMap<String, ColumnRule>, &'w [Join]),
        page: Option<&'w Page<'w>>,
        row: Option<Row<'w>>,
    ) -> Self {
        Self {
            source,
            rules,
            reading,
            columns,
            joins,
            row,
            page,
            sets: Vec::new(),
            spoken: BTreeSet::new(),
            absent: Vec::new(),
            derived: Vec::new(),
            kept: Vec::new(),
            hidden: Vec::new(),
            unwanted: Vec::new(),
            kids: Vec::new(),
            issues: Vec::new(),
        }
    }

    fn say(
        &mut self,
        code: &'static str,
        path: &str,
        message: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        if self.issues.len() < crate::fhir::issue::MAX_ISSUES {
            self.issues.push(Issue::new(code, path, message));
        }
    }

    /// An object that is there.
    pub fn object(&mut self, object: &'w Object, body: &'w Json, path: &str) {
        for (name, _) in body.members() {
            let beside = object.root && matches!(name.as_str(), "resourceType" | "id");
            if !beside && object.member(name).is_none() {
                let message = "The hospital's mapping has no place for this element.";
                self.say("not-supported", &format!("{path}.{name}"), message);
            }
        }
        let shown = self.shown_of(object);
        for member in &object.members {
            let at = format!("{path}.{}", member.name);
            if self.is_own(&at) {
                continue;
            }
            match body.get(&member.name) {
                Some(value) => self.tree(&member.value, value, &at),
                None => self.lacks(object, member, shown.as_ref(), at),
            }
        }
        for condition in &object.when {
            let holds = |row| condition.holds(self.reading, row);
            if self.row.is_some_and(holds) {
                self.spoken.insert(condition.slot.column.name.clone());
                continue;
            }
            let value = match &condition.test {
                Test::In(texts) => match texts.as_slice() {
                    [text] => {
                        let ty = condition.slot.column.ty;
                        Some(Some(Value { ty, text: text.clone() }))
                    }
                    _ => None,
                },
                Test::Null => Some(None),
                Test::NotIn(_) | Test::NotNull | Test::Number { .. } | Test::Moment { .. } => None,
            };
            // What no one value makes true is seen when the row is read back.
            if let Some(value) = value.filter(|_| condition.slot.column.relation == 0) {
                self.put(vec![(condition.slot.column.clone(), value)], path);
            }
        }
    }

    /// Whether an element is the server's own: its version and when it was updated.
    pub fn is_own(&self, path: &str) -> bool {
        let own = path.strip_prefix(self.source.resource_type.as_str());
        matches!(own, Some(".meta.versionId" | ".meta.lastUpdated"))
    }

    /// A part that is there, whatever it is.
    pub fn part(&mut self, tree: &'w Tree, body: &'w Json, path: &str) {
        self.tree(tree, body, path);
    }

    fn tree(&mut self, tree: &'w Tree, body: &'w Json, path: &str) {
        match tree {
            Tree::Const(constant) => self.fixed(&constant.json, body, path),
            Tree::Object(object) => match &object.constant {
                Some(json) => self.fixed(json, body, path),
                None => self.object(object, body, path),
            },
            Tree::Leaf(leaf) => self.leaf(leaf, std::slice::from_ref(body), path),
            Tree::Each(each) => {
                let items = vec![(body, path.to_owned())];
                self.kids.push(Kid { each, items, path: path.to_owned() });
            }
            Tree::List(items) => self.list(items, body.items(), path),
            // Entries with such parts are not written.
            Tree::Case(_) => self.say("not-supported", path, FIXED),
        }
    }

    fn fixed(&mut self, constant: &[u8], body: &Json, path: &str) {
        let constant = Json::parse(constant).unwrap_or(Json::Null);
        for at in missing(&constant, body, path) {
            self.say("business-rule", &at, FIXED);
        }
    }

    fn list(&mut self, items: &'w [Tree], body: &'w [Json], path: &str) {
        if let [Tree::Leaf(leaf)] = items
            && leaf.lens.split.is_some()
        {
            return self.leaf(leaf, body, path);
        }
        let places = self.places(items, body);
        let whole = places.iter().all(Option::is_some);
        for (number, place) in places.iter().enumerate() {
            if place.is_none() {
                let message = "No part of the hospital's mapping takes this item.";
                self.say("not-supported", &format!("{path}[{number}]"), message);
            }
        }
        for (at, tree) in items.iter().enumerate() {
            let mine = places.iter().enumerate().filter(|(_, place)| **place == Some(at));
            let mut mine = mine.filter_map(|(number, _)| {
                body.get(number).map(|item| (item, format!("{path}[{number}]")))
            });
            if let Tree::Each(each) = tree {
                let items = mine.collect();
                self.kids.push(Kid { each, items, path: path.to_owned() });
            } else {
                match mine.next() {
                    Some((item, at)) => self.tree(tree, item, &at),
                    // An item without a place may be the one that was meant here.
                    None if whole => self.gone(tree, path, true),
                    None => {}
                }
            }
        }
    }

    /// A value, or the values of a list in one text.
    fn leaf(&mut self, leaf: &'w Leaf, values: &[Json], path: &str) {
        let lens = &leaf.lens;
        let texts: Option<Vec<&str>> = values.iter().map(Json::primitive).collect();
        let Some(texts) = texts else {
            return self.say("structure", path, "A single value is expected here.");
        };
        if self.row.is_some_and(|row| stands(lens, row, &texts)) {
            return self.speak(lens);
        }
        let listed = self.source.paths.get(leaf.path).is_some_and(|p| self.rules.is_read_only(p));
        if listed {
            return self.say("business-rule", path, READ_ONLY);
        }
        if powerless(lens).is_some() {
            // It follows from other elements; where that is not certain, reading the row back tells
            // whether it is what was sent.
            let texts = texts.into_iter().map(str::to_owned).collect();
            self.derived.push((leaf, texts, path.to_owned()));
            return;
        }
        let cells = match (&lens.split, texts.as_slice()) {
            (None, [text]) => store(lens, text),
            _ => store_list(lens, &texts),
        };
        match cells {
            Ok(cells) => {
                self.speak(lens);
                self.put(cells, path);
            }
            Err(message) => self.say("value", path, message),
        }
    }

    fn speak(&mut self, lens: &Lens) {
        self.spoken.extend(bases(lens, self.joins));
    }

    fn put(&mut self, cells: Cells, path: &str) {
        for (column, value) in cells {
            self.spoken.insert(column.name.clone());
            let known = self.sets.iter().find(|set| set.column.name == column.name);
            match known {
                Some(known) if known.value == value => {}
                Some(known) => {
                    let other = known.path.clone();
                    let message =
                        format!("The hospital keeps one value for this and {other}; they differ.");
                    self.say("business-rule", path, message);
                }
                None => self.sets.push(Set { column, value, path: path.to_owned() }),
            }
        }
    }

    /// Decides what the absence of elements means, and checks what columns take.
    pub fn finish(mut self) -> Walked<'w> {
        let mut promises = Promises::default();
        self.absences(&mut promises);
        self.uncover(&mut promises);
        if self.row.is_some() {
            for (when, path) in &self.unwanted {
                promises.push(Promise::Not(when.to_vec()), path.clone());
            }
        }
        let certain = self.certain();
        self.issues.extend(certain);
        for set in &self.sets {
            let rule = self.columns.get(&set.column.name.to_lowercase());
            if let Some(message) = rule.and_then(|rule| rule.refuses(set.value.as_ref())) {
                let code = if set.value.is_none() { "required" } else { "value" };
                self.issues.push(Issue::new(code, set.path.clone(), message));
            }
        }
        Walked { sets: self.sets, kids: self.kids, issues: self.issues, promises }
    }
}

/// Whether a row shows exactly these texts.
pub fn stands(lens: &Lens, row: Row<'_>, texts: &[&str]) -> bool {
    lens.read(row).is_ok_and(|shown| matches(lens, shown.as_deref(), texts))
}

/// Whether what a lens shows is these texts.
pub fn matches(lens: &Lens, shown: Option<&str>, texts: &[&str]) -> bool {
    let Some(shown) = shown else { return false };
    match &lens.split {
        None => matches!(texts, [text] if same(&lens.out, shown, text)),
        Some(separator) => {
            let parts = shown.split(separator.as_str()).map(str::trim).filter(|p| !p.is_empty());
            let parts: Vec<&str> = parts.collect();
            parts.len() == texts.len() && parts.iter().zip(texts).all(|(a, b)| same_text(a, b))
        }
    }
}

fn same(out: &Out, shown: &str, sent: &str) -> bool {
    match out {
        Out::Decimal | Out::Integer { .. } => same_number(shown, sent),
        Out::Text | Out::DateTime | Out::Instant => same_text(shown, sent),
        _ => shown == sent,
    }
}
