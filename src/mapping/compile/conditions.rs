//! `filter:` and `if:` — columns with what they must be.

use crate::fhir::primitive::DateInterval;
use crate::mapping::catalog::SqlType;
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::predicate::all;
use crate::mapping::lens::{nothing, typed};
use crate::mapping::plan::{ColumnRef, Predicate};
use crate::mapping::problem::pointer;
use crate::mapping::search;
use crate::mapping::syntax::{self, LeafText, Pipe, column_name};
use crate::mapping::tree::{Condition, Moment, Test};

use super::Compiler;
use super::leaf::Wanted;
use super::scope::Scope;

/// What a comparison asks.
const COMPARISONS: [&str; 4] = ["before", "after", "below", "above"];

impl<'c> Compiler<'c> {
    /// Conditions with the cells they look at.
    pub(super) fn conditions(
        &mut self,
        scope: &mut Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> Vec<Condition> {
        let found = self.tests(scope, node, at);
        let mut conditions = Vec::new();
        for (column, mut test) in found {
            if let Test::Moment { lens, .. } = &mut test {
                for slot in lens.slots_mut() {
                    slot.cell = scope.slot(slot.column.clone()).cell;
                }
            }
            conditions.push(Condition { slot: scope.slot(column), test });
        }
        conditions
    }

    /// Conditions that only the database looks at, as one.
    pub(super) fn stored(&mut self, scope: &Scope<'c>, node: Option<&Node>, at: &str) -> Predicate {
        self.filter(scope, node, at).0
    }

    /// The same, with what it is made of.
    pub(super) fn filter(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> (Predicate, Vec<(ColumnRef, Test)>) {
        let tests = self.tests(scope, node, at);
        let condition =
            |(column, test)| Condition { slot: scope.slot_at(usize::MAX, column), test };
        let found: Vec<Condition> = tests.iter().cloned().map(condition).collect();
        if found.iter().any(Condition::timed) {
            let hint = "Leave the row in and let a `case` say what it is now.";
            let message = "A filter cannot depend on the present time.";
            self.problems.error(at, "now", message, hint);
        }
        (all(found.iter().map(|condition| condition.stored(&self.reading))), tests)
    }

    fn tests(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> Vec<(ColumnRef, Test)> {
        let Some(node) = node else { return Vec::new() };
        if !matches!(node, Node::Map(_)) {
            let hint = "Write `{column: value}`, `{column: [a, b]}`, `{column: {missing: true}}`, `{column: {not: …}}` or `{column: {before: now}}`.";
            self.problems.error(at, "shape", "Conditions are a group of columns.", hint);
            return Vec::new();
        }
        let mut found = Vec::new();
        for (name, value) in node.members() {
            let at = pointer(at, name);
            let members = value.members();
            let mut others = Vec::new();
            for (word, value) in members {
                if COMPARISONS.contains(&word.as_str()) {
                    found.extend(self.comparison(scope, name, word, value, &at));
                } else {
                    others.push(Node::Map(vec![(word.clone(), value.clone())]));
                }
            }
            if members.is_empty() {
                others.push(value.clone());
            }
            if others.is_empty() {
                continue;
            }
            let Some(column) = self.column(scope, &column_name(name), &at) else { continue };
            if self.unknowable(scope, &column) {
                continue;
            }
            for one in others {
                if let Some(test) = self.test(&column, &one, &at) {
                    found.push((column.clone(), test));
                }
            }
        }
        found
    }

    /// `{column: {before: now}}`, `{column: {above: 5}}`; the column may be a pipe that gives a date.
    fn comparison(
        &mut self,
        scope: &Scope<'c>,
        name: &str,
        word: &str,
        value: &Node,
        at: &str,
    ) -> Option<(ColumnRef, Test)> {
        let upwards = matches!(word, "after" | "above");
        if matches!(word, "below" | "above") {
            let column = self.column(scope, &column_name(name), at)?;
            if self.unknowable(scope, &column) {
                return None;
            }
            let number = matches!(column.ty, SqlType::Integer { .. } | SqlType::Decimal);
            let than = value.text().and_then(|text| typed::for_column(&column, &text));
            let Some(than) = than.filter(|_| number) else {
                let hint = "Numbers are compared with a number of the column's kind: `{above: 5}`.";
                self.problems.error(at, "type", "This cannot be compared.", hint);
                return None;
            };
            return Some((column, Test::Number { above: upwards, than }));
        }
        let pipe = match syntax::leaf(name) {
            Ok(LeafText::Pipe(pipe)) => pipe,
            _ => Pipe { columns: vec![column_name(name)], calls: Vec::new() },
        };
        let mut slots = Vec::new();
        for name in &pipe.columns {
            let column = self.column(scope, name, at)?;
            slots.push(scope.slot_at(usize::MAX, column));
        }
        if slots.iter().any(|slot| self.unknowable(scope, &slot.column)) {
            return None;
        }
        let column = slots.first()?.column.clone();
        let wanted = Wanted { ty: "dateTime", codes: None, targets: &[], path: name };
        let lens = match self.build(slots, &pipe, &wanted) {
            Ok(lens) => Box::new(lens),
            Err((code, message, hint)) => {
                self.problems.error(at, code, message, hint);
                return None;
            }
        };
        let text = value.text().unwrap_or_default();
        let moment = if text == "now" {
            Moment::Now
        } else {
            let interval = DateInterval::parse(&text).map(|i| i.local(&self.reading.zone));
            let Some((from, to)) = interval else {
                let hint = "Write `now`, or a date as FHIR does: \"2024-01-31\".";
                self.problems.error(at, "type", "A date is compared with a date.", hint);
                return None;
            };
            Moment::At(if upwards { to } else { from })
        };
        if search::beside(&lens, upwards, moment.local(&self.reading)).is_err() {
            let message = "The dates of this column cannot be compared in the database.";
            let hint = "Use one format with a fixed number of digits, or a column of a date type.";
            self.problems.error(at, "type", message, hint);
            return None;
        }
        Some((column, Test::Moment { lens, after: upwards, at: moment }))
    }

    fn test(&mut self, column: &ColumnRef, value: &Node, at: &str) -> Option<Test> {
        let negated = match value {
            Node::Map(members) => match members.as_slice() {
                [(word, inner)] if word == "not" => Some(inner),
                [(word, Node::Scalar(Scalar::Bool(missing)))] if word == "missing" => {
                    return Some(if *missing { Test::Null } else { Test::NotNull });
                }
                _ => {
                    let hint = "Write a value, a list of values, or of `not`, `missing`, `before`, `after`, `below`, `above` what is asked: `{missing: false, not: \"0\"}`.";
                    self.problems.error(at, "shape", "This is no condition.", hint);
                    return None;
                }
            },
            _ => None,
        };
        let wanted = negated.unwrap_or(value);
        if wanted.is_null() {
            return Some(if negated.is_some() { Test::NotNull } else { Test::Null });
        }
        let scalar = std::slice::from_ref(wanted);
        let items = if let Node::List(items) = wanted { items.as_slice() } else { scalar };
        let mut texts = Vec::new();
        for item in items {
            let text = match item {
                Node::Scalar(Scalar::Bool(truth)) if typed::is_text(column.ty) => {
                    let message = "true and false are no texts.";
                    let hint = format!("Quote it: \"{truth}\".");
                    self.problems.error(at, "type", message, hint);
                    return None;
                }
                item => item.text(),
            };
            let value = text.as_deref().and_then(|t| {
                let own = typed::for_column(column, t).map(|value| value.text);
                own.or_else(|| nothing::moment(column.ty, t))
            });
            let Some(value) = value else {
                let message = format!("'{}' cannot hold this value.", column.name);
                self.problems.error(at, "type", message, example(column.ty));
                return None;
            };
            texts.push(value);
        }
        Some(if negated.is_some() { Test::NotIn(texts) } else { Test::In(texts) })
    }
}

/// What may be written where a column of that type is compared.
const fn example(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Integer { .. } => {
            "Write a whole number in the column's range, without zeros before it: \"1\"."
        }
        SqlType::Decimal | SqlType::Float => "Write a number with a point: \"0\", \"1.5\".",
        SqlType::Boolean => "Write true or false.",
        SqlType::Date => "Write a day: \"2024-01-31\".",
        SqlType::DateTime => "Write a day or a time: \"9999-12-31\", \"2024-01-31 08:30:00\".",
        SqlType::Instant => "Write a day or a time, in UTC: \"2024-01-31 08:30:00\".",
        SqlType::Time => "Write a time of day: \"08:30:00\".",
        SqlType::Uuid => "Write a UUID with its hyphens: \"123e4567-e89b-42d3-a456-426614174000\".",
        SqlType::Binary => "Write the bytes in hexadecimal digits, small letters: \"0aff\".",
        SqlType::Json | SqlType::Other => {
            "A column of this type is not compared; let a view or a named source make a text or a number of it, or ask `{missing: false}`."
        }
        SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any => "Write a text in quotes.",
    }
}
