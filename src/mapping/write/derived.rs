//! Elements that follow from others: what they will show after a change, as far as that is certain before
//! it is made. What is not certain is seen when the row is read back.

use crate::fhir::Issue;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::Lens;
use crate::mapping::rows::Rows;
use crate::mapping::tree::Condition;

use super::Set;
use super::confirm::{ALTERED, KEPT};
use super::power::bases;
use super::walk::{Walk, matches};

impl Walk<'_> {
    /// What is certain to be shown otherwise than it was sent, or still to be shown.
    pub fn certain(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        for (leaf, texts, path) in &self.derived {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let shown = self.after(&leaf.lens);
            if shown.is_some_and(|shown| !matches(&leaf.lens, shown.as_deref(), &texts)) {
                issues.push(Issue::new("business-rule", path.clone(), ALTERED));
            }
        }
        for (leaf, path) in &self.kept {
            if matches!(self.after(&leaf.lens), Some(Some(_))) {
                issues.push(Issue::new("business-rule", path.clone(), KEPT));
            }
        }
        for (when, path) in &self.unwanted {
            if self.row.is_some() && when.iter().all(|condition| self.stays_true(condition)) {
                issues.push(Issue::new("business-rule", path.clone(), KEPT));
            }
        }
        issues
    }

    fn set(&self, column: &str) -> Option<&Set> {
        self.sets.iter().find(|set| set.column.name == column)
    }

    /// Whether a column is one that changes by itself.
    pub fn moves(&self, column: &str) -> bool {
        let own = self.rules.version_column.iter().chain(&self.rules.touch);
        own.into_iter().any(|own| own.name == column)
    }

    /// What a lens will show; `None` where only the database can tell.
    #[expect(clippy::option_option, reason = "cannot be told, shows nothing, shows this")]
    fn after(&self, lens: &Lens) -> Option<Option<String>> {
        let bases = bases(lens, self.joins);
        if bases.iter().any(|column| self.moves(column)) {
            return None;
        }
        if let Some(row) = self.row
            && !bases.iter().any(|column| self.set(column).is_some())
        {
            return Some(lens.read(row).ok().flatten().map(std::borrow::Cow::into_owned));
        }
        let plain = |ty| {
            let text = matches!(ty, SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any);
            text || matches!(ty, SqlType::Integer { .. })
        };
        let width = lens.slots().iter().map(|slot| slot.cell + 1).max()?;
        let mut cells: Vec<Option<&str>> = vec![None; width];
        for slot in lens.slots() {
            if slot.column.relation != 0 || !plain(slot.column.ty) {
                return None;
            }
            let text = match (self.set(&slot.column.name), self.row) {
                (Some(set), _) => set.value.as_ref().map(|value| value.text.as_str()),
                (None, Some(row)) => row.get(slot.cell),
                (None, None) => return None,
            };
            *cells.get_mut(slot.cell)? = text;
        }
        let mut rows = Rows::new(width);
        for cell in cells {
            rows.push(cell).ok()?;
        }
        let row = rows.row(0)?;
        Some(lens.read(row).ok().flatten().map(std::borrow::Cow::into_owned))
    }

    fn stays_true(&self, condition: &Condition) -> bool {
        let column = &condition.slot.column;
        column.relation == 0
            && self.set(&column.name).is_none()
            && !self.moves(&column.name)
            && self.row.is_some_and(|row| condition.holds(self.reading, row))
    }
}
