//! Reading back: what was sent is shown, what was taken away is not.

use crate::fhir::{Issue, Json};
use crate::mapping::lens::Lens;
use crate::mapping::render::Page;
use crate::mapping::tree::{Condition, Each, Object, Tree};
use crate::mapping::{RenderReport, RowOutcome, Shown};

use super::compare::missing;

/// What must hold of a row after it was changed, and of what it shows.
#[derive(Debug, Clone, Default)]
pub struct Promises(Vec<(Promise, String)>);

#[derive(Debug, Clone)]
pub(super) enum Promise {
    /// The lens gives nothing.
    Absent(Box<Lens>),
    /// The conditions do not all hold.
    Not(Vec<Condition>),
    /// So many rows of a child are shown.
    Items { child: usize, count: usize },
}

impl Promises {
    pub(super) fn push(&mut self, promise: Promise, path: String) {
        self.0.push((promise, path));
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A resource as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// Its id.
    pub id: String,
    /// Its FHIR JSON.
    pub body: Vec<u8>,
    /// Its version.
    pub version: Option<String>,
    /// When it was last updated, as a FHIR instant.
    pub modified: Option<String>,
    /// What could not be shown of it.
    pub report: RenderReport,
}

pub(super) const ALTERED: &str = "The hospital's database would not keep this as it was sent.";
pub(super) const KEPT: &str =
    "The element was left out, and the hospital's mapping does not let it be taken away.";

/// What the one row of a page shows.
pub(super) fn render(page: &Page<'_>) -> Option<Confirmed> {
    let (mut body, mut report) = (Vec::with_capacity(2048), RenderReport::default());
    let mut id = String::new();
    if page.len() != 1 || !page.id(0, &mut id) {
        return None;
    }
    match page.write(0, &Shown::All, &mut body, &mut report)? {
        RowOutcome::Written { .. } => {
            let (version, modified) = (page.version(0), page.modified(0));
            Some(Confirmed { id, body, version, modified, report })
        }
        RowOutcome::LeftOut { .. } => None,
    }
}

/// Holds what a row shows against what was sent.
pub(super) fn confirm(
    page: &Page<'_>,
    sent: &Json,
    promises: &Promises,
    ty: &str,
) -> Result<Confirmed, Vec<Issue>> {
    let lost = || {
        vec![Issue::new("business-rule", ty, "It would not be shown by the hospital's mapping.")]
    };
    let confirmed = render(page).ok_or_else(lost)?;
    let shown = Json::parse(&confirmed.body).map_err(|_| lost())?;
    let altered = missing(&shown, sent, ty).into_iter();
    let altered = altered.filter(|path| *path != format!("{ty}.id"));
    let mut issues: Vec<Issue> =
        altered.map(|path| Issue::new("business-rule", path, ALTERED)).collect();
    for (promise, path) in &promises.0 {
        if !page.keeps(promise) {
            issues.push(Issue::new("business-rule", path.clone(), KEPT));
        }
    }
    if issues.is_empty() { Ok(confirmed) } else { Err(issues) }
}

impl Page<'_> {
    fn keeps(&self, promise: &Promise) -> bool {
        let Some(row) = self.base_row() else { return false };
        match promise {
            Promise::Absent(lens) => !matches!(lens.read(row), Ok(Some(_))),
            Promise::Not(when) => !when.iter().all(|c| c.holds(self.reading(), row)),
            Promise::Items { child, count } => {
                let each = find_each(self.root(), *child);
                each.is_some_and(|each| self.items(each).len() == *count)
            }
        }
    }
}

/// The `each` of a child.
pub(super) fn find_each(object: &Object, child: usize) -> Option<&Each> {
    fn look(tree: &Tree, child: usize) -> Option<&Each> {
        match tree {
            Tree::Each(each) => (each.child() == Some(child)).then_some(each),
            Tree::Object(object) => find_each(object, child),
            Tree::List(items) => items.iter().find_map(|item| look(item, child)),
            Tree::Case(_) | Tree::Leaf(_) | Tree::Const(_) => None,
        }
    }
    object.members.iter().find_map(|member| look(&member.value, child))
}
