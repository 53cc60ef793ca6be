use crate::fhir::Json;

use super::{Page, Writer, Wrote};
use crate::mapping::groups::key_of;
use crate::mapping::lens::Reading;
use crate::mapping::report::{RenderReport, Shown};
use crate::mapping::rows::Row;
use crate::mapping::tree::{Each, Object, Tree};

/// What writing back needs to see.
impl<'p> Page<'p> {
    /// The one row of a page.
    pub(in crate::mapping) fn base_row(&self) -> Option<Row<'p>> {
        self.rows.row(0)
    }

    pub(in crate::mapping) fn reading(&self) -> &'p Reading {
        self.reading
    }

    pub(in crate::mapping) fn root(&self) -> &'p Object {
        &self.source.root
    }

    /// What a part of the template shows of a row.
    pub(in crate::mapping) fn part(&self, tree: &'p Tree, row: Row<'p>) -> Option<Vec<u8>> {
        let (mut out, mut report) = (Vec::new(), RenderReport::default());
        let mut writer = Writer::new(self, &Shown::All, &mut out, &mut report);
        let wrote = writer.tree(tree, row);
        (wrote != Wrote::Nothing && !writer.is_full()).then_some(out)
    }

    /// What an object of the template shows of a row: nothing of it, where the row does not have it. `None`
    /// for a resource that cannot be shown.
    pub(in crate::mapping) fn shown_of(&self, object: &'p Object, row: Row<'_>) -> Option<Json> {
        let (mut out, mut report) = (Vec::new(), RenderReport::default());
        let mut writer = Writer::new(self, &Shown::All, &mut out, &mut report);
        if object.root {
            writer.out.push(b'{');
            writer.members(object, row).ok()?;
            writer.out.push(b'}');
        } else if writer.object(object, row) == Wrote::Nothing {
            return Some(Json::Object(Vec::new()));
        }
        Json::parse(&out).ok()
    }

    /// The rows of a child, whether they are shown or not.
    pub(in crate::mapping) fn rows_of(&self, child: usize) -> Vec<Row<'p>> {
        let key = self.source.children.get(child).zip(self.base_row());
        let key = key.and_then(|(child, row)| key_of(row, &child.parent));
        let (Some(key), Some(groups)) = (key, self.children.get(child)) else { return Vec::new() };
        groups.of(&key).collect()
    }

    /// The rows of an `each` that are shown.
    pub(in crate::mapping) fn items(&self, each: &'p Each) -> Vec<Row<'p>> {
        let shown = |row: &Row<'p>| self.part(&each.item, *row).is_some();
        let rows = each.child().map(|child| self.rows_of(child)).unwrap_or_default();
        rows.into_iter().filter(shown).take(each.max).collect()
    }
}
