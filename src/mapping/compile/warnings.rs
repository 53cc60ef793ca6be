//! What works and will be slow or empty.

use crate::fhir::params::ParamKind;
use crate::mapping::lens::{Gather, Step};
use crate::mapping::problem::pointer;
use crate::mapping::search;
use crate::mapping::tree::{Source, Tree};

use super::Compiler;
use super::scope::Scope;
use super::transforms::never_matches;

/// Tables smaller than this are read whole without anybody noticing.
const SMALL: u64 = 10_000;

impl Compiler<'_> {
    /// Warns of search parameters that no index serves.
    pub(super) fn warn_unindexed(&mut self, source: &Source, scope: &Scope<'_>, at: &str) {
        let Some(table) = scope.table() else { return };
        let mut trees = vec![];
        trees.extend(source.root.members.iter().map(|m| &m.value));
        while let Some(tree) = trees.pop() {
            match tree {
                Tree::Object(object) => trees.extend(object.members.iter().map(|m| &m.value)),
                Tree::List(items) => trees.extend(items),
                Tree::Each(each) => trees.push(&each.item),
                Tree::Case(branches) => {
                    trees.extend(branches.iter().filter_map(|b| b.tree.as_ref()));
                }
                Tree::Const(_) => {}
                Tree::Leaf(leaf) => {
                    let (Gather::Column(slot), Some(Step::Bool { yes, no })) =
                        (&leaf.lens.gather, leaf.lens.steps.first())
                    else {
                        continue;
                    };
                    if never_matches(slot, yes) && never_matches(slot, no) {
                        let path = source.paths.get(leaf.path).map_or("", String::as_str);
                        let message = format!(
                            "'{}' never holds the words given for {path}.",
                            slot.column.name
                        );
                        let hint = "Write them as the database shows the column's values.";
                        self.problems.warn(&pointer(at, "map"), "never", message, hint);
                    }
                }
            }
        }
        if table.view || table.estimated_rows.is_some_and(|rows| rows < SMALL) {
            return;
        }
        let texts = |name: &str| {
            source.params.iter().any(|p| p.name == name && p.kind == ParamKind::String)
        };
        // One line for columns that several parameters look at.
        let mut groups: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
        for (param, columns) in search::base_columns(source) {
            let mut bare: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
            bare.sort_unstable();
            bare.dedup();
            let served = |c: &String| {
                table.indexed(&[c.as_str()])
                    || texts(param) && table.text_indexes.iter().any(|index| index.column == *c)
            };
            if bare.is_empty() || bare.iter().any(served) {
                continue;
            }
            match groups.iter_mut().find(|(known, _)| *known == bare) {
                Some((_, params)) => params.push(param),
                None => groups.push((bare, vec![param])),
            }
        }
        for (columns, params) in groups {
            let message = format!(
                "A search by {} looks at every row of '{}': no index begins with {}.",
                params.iter().map(|p| format!("'{p}'")).collect::<Vec<_>>().join(", "),
                table.name,
                columns.join(" or ")
            );
            let hint = if params.iter().all(|name| texts(name)) {
                "A plain index serves `:exact` alone; the cookbook says which serves the beginning of a text (\"A search by name is slow\")."
            } else {
                "Add an index, or switch the parameters off under `search:`."
            };
            self.problems.warn(&pointer(at, "search"), "unindexed", message, hint);
        }
    }
}
