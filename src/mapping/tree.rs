//! A compiled mapping: what each source reads and what it writes. The renderer walks it, the search
//! planner looks things up in it.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::civil::DateTime;

use super::catalog::SqlType;
use super::lens::cut::Cut;
use super::lens::decimal;
use super::lens::id::IdTemplate;
use super::lens::nothing::stands;
use super::lens::predicate::{all, column_in, not, one_of};
use super::lens::{Lens, Reading, Slot, blank};
use super::plan::{
    Child, ColumnRef, CompareOp, Expr, Join, KeyedRead, Order, Predicate, Relation, Value,
};
use super::rows::Row;
use super::search;
use crate::fhir::params::{CompositeDef, ParamDef};
use crate::fhir::primitive::DateInterval;

/// One source of resources of one type.
#[derive(Debug)]
pub(super) struct Source {
    pub resource_type: String,
    pub from: Arc<Relation>,
    pub joins: Arc<[Join]>,
    pub filter: Predicate,
    /// The key columns and the cells that hold them.
    pub key: Vec<Slot>,
    pub id: IdTemplate,
    /// What is fetched of the base rows.
    pub columns: Arc<[ColumnRef]>,
    pub children: Vec<ChildRows>,
    /// The same, as every plan of the source has them.
    pub child_plans: Arc<[Child]>,
    /// How one row is read.
    pub read: Arc<KeyedRead>,
    pub root: Object,
    /// Element paths, for counts of bad cells.
    pub paths: Vec<String>,
    /// The search parameters that may be asked for.
    pub params: Vec<ParamDef>,
    /// Those of several values that must hold of one thing.
    pub composites: Vec<CompositeDef>,
    /// Those that can be served.
    pub served: Vec<&'static str>,
    /// What gives `meta.versionId`.
    pub version: Option<Lens>,
    /// What gives `meta.lastUpdated`.
    pub modified: Option<Lens>,
    /// The rows whose resource is written at all, where that can be asked.
    pub shown: Option<Predicate>,
    /// Whether what it shows depends on the present time.
    pub timed: bool,
    /// How its rows are written, where the mapping says that they are.
    pub write: Option<super::write::Rules>,
}

/// One-to-many rows of a source.
#[derive(Debug)]
pub(super) struct ChildRows {
    /// The one-to-many rows these hang off; the source's own where none are named.
    pub of: Option<usize>,
    pub relation: Arc<Relation>,
    pub joins: Arc<[Join]>,
    pub filter: Predicate,
    pub order: Vec<Order>,
    /// The cells that say the same order, and whether it goes down, where the rows of a parent are put in it
    /// here: for whole numbers that is next to nothing, and for the database a sixth of the statement.
    pub sorted: Vec<(usize, bool)>,
    pub columns: Arc<[ColumnRef]>,
    /// Own columns that hold the parent's key.
    pub own: Vec<Slot>,
    /// The parent's columns, in the same order.
    pub parent: Vec<Slot>,
    /// What `filter` is made of.
    pub conditions: Vec<(ColumnRef, Test)>,
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum Tree {
    Object(Object),
    List(Vec<Tree>),
    Each(Box<Each>),
    Case(Vec<Branch>),
    Leaf(Leaf),
    Const(Const),
}

/// One of several ways to fill an element: the first whose conditions hold is taken, whatever it gives.
#[derive(Debug)]
pub(super) struct Branch {
    pub when: Vec<Condition>,
    /// Nothing where the element is left out then.
    pub tree: Option<Tree>,
}

/// An object with its members in order.
#[derive(Debug)]
pub(super) struct Object {
    pub ty: &'static str,
    /// All must hold, else there is no object.
    pub when: Vec<Condition>,
    pub members: Vec<Member>,
    /// The whole, when nothing in it comes from a row.
    pub constant: Option<Box<[u8]>>,
    /// Whether it is a resource.
    pub root: bool,
    /// Where start and end of a period are among the members.
    pub period: Option<(usize, usize)>,
    /// Whether one of several members is required, whichever.
    pub choice_required: bool,
}

/// One member of an object.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in JSON.
    pub name: String,
    /// The element's name, without the type of a choice.
    pub element: &'static str,
    pub ty: &'static str,
    /// The code system of the value set it is bound to.
    pub system: Option<&'static str>,
    /// `,"name":`
    pub key: Box<[u8]>,
    /// The number of the choice it is one of.
    pub choice: Option<u8>,
    pub required: bool,
    /// Whether it belongs to the summary.
    pub summary: bool,
    /// Its place in [`Source::paths`].
    pub path: usize,
    pub value: Tree,
}

impl Member {
    /// Appends its name, with a comma before it unless it is the first of an object.
    pub fn begin(&self, out: &mut Vec<u8>) {
        let first = matches!(out.last(), None | Some(b'{' | b'['));
        out.extend_from_slice(if first {
            self.key.get(1..).unwrap_or_default()
        } else {
            &self.key
        });
    }
}

/// Items from one-to-many rows.
#[derive(Debug)]
pub(super) struct Each {
    pub rows: EachRows,
    pub max: usize,
    /// Whether a key of the table lets there be no second row.
    pub single: bool,
    pub item: Tree,
}

impl Each {
    /// Whether every row is shown, and none is cut off by `max`.
    pub const fn shows_all(&self) -> bool {
        self.max == usize::MAX || self.single
    }

    /// Which of [`Source::children`] its items come from, if they come from one-to-many rows.
    pub fn child(&self) -> Option<usize> {
        match self.rows {
            EachRows::Child(child) => Some(child),
            EachRows::Parts { .. } => None,
        }
    }
}

/// Where the items of an [`Each`] come from.
#[derive(Debug)]
pub(super) enum EachRows {
    /// Which of [`Source::children`].
    Child(usize),
    /// The parts of one text, each a row of one cell.
    Parts {
        /// The text.
        lens: Box<Lens>,
        /// How it is taken apart.
        cut: Cut,
        /// Its place in [`Source::paths`].
        path: usize,
    },
}

/// A value from cells.
#[derive(Debug)]
pub(super) struct Leaf {
    pub lens: Lens,
    /// Its place in [`Source::paths`].
    pub path: usize,
}

/// A value that is always the same.
#[derive(Debug)]
pub(super) struct Const {
    pub json: Box<[u8]>,
    pub text: String,
}

/// A condition on one column, for rows in the database and for rows at hand.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub slot: Slot,
    pub test: Test,
}

/// What must hold of a column.
#[derive(Debug, Clone)]
pub(super) enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Null,
    NotNull,
    /// A number below or above another.
    Number {
        above: bool,
        than: Value,
    },
    /// A date or time wholly before a moment, or not before it.
    Moment {
        lens: Box<Lens>,
        after: bool,
        at: Moment,
    },
}

/// What a date is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// When the request is served.
    Now,
    /// Local to the hospital.
    At(DateTime),
}

impl Moment {
    /// In the hospital's own time.
    pub fn local(self, reading: &Reading) -> DateTime {
        match self {
            Self::Now => reading.zone.to_datetime(reading.now),
            Self::At(at) => at,
        }
    }
}

impl Condition {
    /// Whether it depends on the present time.
    pub fn timed(&self) -> bool {
        matches!(self.test, Test::Moment { at: Moment::Now, .. })
    }

    /// The condition for the database alone: the column as it stands, so that an index serves.
    pub fn stored(&self, reading: &Reading) -> Predicate {
        let column = &self.slot.column;
        match &self.test {
            Test::In(texts) => column_in(column, texts),
            Test::NotIn(texts) => not(column_in(column, texts)),
            Test::Null => blank(reading, &self.slot),
            Test::NotNull => not(blank(reading, &self.slot)),
            Test::Number { above, than } => {
                let op = if *above { CompareOp::Gt } else { CompareOp::Lt };
                let left = Expr::Column(column.clone());
                Predicate::Compare { left, op, right: than.clone() }
            }
            Test::Moment { lens, after, at } => {
                // Asked once when the mapping was compiled, so it can be.
                search::beside(lens, *after, at.local(reading)).unwrap_or(Predicate::Never)
            }
        }
    }

    /// The condition for the database where [`holds`](Self::holds) is asked of the same rows.
    pub fn predicate(&self, reading: &Reading) -> Predicate {
        let column = &self.slot.column;
        let textual = matches!(column.ty, SqlType::Text | SqlType::Char | SqlType::Any);
        let among = |texts: &[String]| {
            if !(reading.trim && textual) {
                return column_in(column, texts);
            }
            let value = |text: &String| Value { ty: SqlType::Text, text: text.clone() };
            let left = Expr::Trimmed(Box::new(Expr::Column(column.clone())));
            one_of(left, texts.iter().map(value).collect())
        };
        match &self.test {
            Test::In(texts) => among(texts),
            Test::NotIn(texts) => not(among(texts)),
            _ => self.stored(reading),
        }
    }

    /// Whether it holds of a row that was read.
    pub fn holds(&self, reading: &Reading, row: Row<'_>) -> bool {
        let cell = reading.cell(&self.slot, row);
        match (&self.test, cell) {
            (Test::Number { above, than }, cell) => {
                let order = cell.and_then(|cell| decimal::compare(cell, &than.text));
                order == Some(if *above { Ordering::Greater } else { Ordering::Less })
            }
            (Test::Moment { lens, after, at }, _) => {
                let own = lens.read(row).ok().flatten();
                let own = own.and_then(|text| DateInterval::parse(&text));
                let own = own.map(|interval| interval.local(&reading.zone));
                let at = at.local(reading);
                own.is_some_and(|(from, to)| if *after { from >= at } else { to <= at })
            }
            (Test::In(texts), Some(cell)) => stands(self.slot.column.ty, texts, cell),
            (Test::NotIn(texts), Some(cell)) => !stands(self.slot.column.ty, texts, cell),
            (Test::NotIn(_) | Test::Null, None) | (Test::NotNull, Some(_)) => true,
            (Test::In(_) | Test::NotNull, None) | (Test::Null, Some(_)) => false,
        }
    }
}

/// All conditions as one.
pub(super) fn conditions(conditions: &[Condition], reading: &Reading) -> Predicate {
    all(conditions.iter().map(|c| c.predicate(reading)))
}

impl Tree {
    /// The JSON of a part that is always the same.
    pub fn constant(&self) -> Option<Vec<u8>> {
        match self {
            Self::Const(constant) => Some(constant.json.to_vec()),
            Self::Object(object) => object.constant.as_ref().map(|json| json.to_vec()),
            Self::List(items) => {
                let mut out = vec![b'['];
                for item in items {
                    crate::fhir::json::separate(&mut out);
                    out.extend(item.constant()?);
                }
                out.push(b']');
                Some(out)
            }
            Self::Each(_) | Self::Leaf(_) | Self::Case(_) => None,
        }
    }
}

impl Object {
    /// An object; its constant form is found out here.
    pub fn new(ty: &'static str, when: Vec<Condition>, mut members: Vec<Member>) -> Self {
        let place = |name: &str| members.iter().position(|m| m.name == name);
        let mut period = (ty == "Period").then(|| place("start").zip(place("end"))).flatten();
        if let Some((start, end)) = period.filter(|(start, end)| start > end) {
            members.swap(start, end);
            period = Some((end, start));
        }
        let (constant, root, choice_required) = (None, false, false);
        let mut object = Self { ty, when, members, constant, root, period, choice_required };
        object.settle();
        object
    }

    /// Finds out anew whether the whole is constant, after members were added.
    pub fn settle(&mut self) {
        self.choice_required = self.members.iter().any(|m| m.required && m.choice.is_some());
        self.constant = self.as_constant().map(Vec::into_boxed_slice);
    }

    fn as_constant(&self) -> Option<Vec<u8>> {
        if !self.when.is_empty() || self.members.is_empty() {
            return None;
        }
        let mut out = vec![b'{'];
        for member in &self.members {
            member.begin(&mut out);
            out.extend(member.value.constant()?);
        }
        out.push(b'}');
        Some(out)
    }

    /// Whether its constants stand although no row gives anything: a profile does not depend on when
    /// something was last updated.
    pub fn standing(&self) -> bool {
        self.ty == "Meta"
    }

    /// Whether it is a whole resource, which is written whatever its rows give.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// A member by its JSON name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }
}
