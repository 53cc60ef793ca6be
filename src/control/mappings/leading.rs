//! References that lead to nothing: rows that are gone, that a filter takes away, and keys such as `0` that stand
//! for none. Nobody but the database knows, so it is asked for what the rows tried refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::live::{Live, Ran};
use super::trial::SourceTrial;
use crate::mapping::{Compiled, RenderReport, RowOutcome, Shown};
use crate::store::run::{MAX_TEXT, fetch_keys_on};

/// Keys that programs write where there is none.
const NONE: [&str; 3] = ["0", "-1", "00000000-0000-0000-0000-000000000000"];

/// What references lead to, type by type; asked once for all sources.
#[derive(Default)]
pub(super) struct Known {
    there: BTreeMap<String, bool>,
}

impl Live {
    /// Counts, of each element of a source, the references that lead to nothing. `refers` are those of each
    /// element. `false` when time ran out.
    pub(super) async fn leading(
        &mut self,
        compiled: &Compiled,
        known: &mut Known,
        refers: &[Vec<String>],
        source: &mut SourceTrial,
    ) -> bool {
        let mut wanted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for reference in refers.iter().flatten().filter(|r| !known.there.contains_key(*r)) {
            if let Some((ty, id)) = reference.split_once('/') {
                wanted.entry(ty).or_default().insert(id);
            }
        }
        let mut whole = true;
        for (ty, ids) in &wanted {
            match self.there(compiled, ty, ids).await {
                Ran::Done(found) => {
                    let told = ids.iter().map(|id| (format!("{ty}/{id}"), found.contains(*id)));
                    known.there.extend(told);
                }
                Ran::Refused => {}
                Ran::Late => whole = false,
            }
        }
        for (element, refers) in source.elements.iter_mut().zip(refers) {
            let lost = refers.iter().filter(|r| known.there.get(*r) == Some(&false));
            let mut words: BTreeSet<&str> = BTreeSet::new();
            for reference in lost {
                element.lost += 1;
                let id = reference.split_once('/').map_or("", |(_, id)| id);
                words.extend(NONE.into_iter().filter(|none| ends_in(id, none)));
            }
            element.lost_words = words.into_iter().map(str::to_owned).collect();
        }
        whole
    }

    /// Which of these resources there are.
    async fn there(
        &mut self,
        compiled: &Compiled,
        ty: &str,
        ids: &BTreeSet<&str>,
    ) -> Ran<BTreeSet<String>> {
        let (flavour, mut found) = (self.flavour(), BTreeSet::new());
        for planned in compiled.plan_keys(ty, ids.iter().copied()) {
            let (read, keys) = (&planned.read, &planned.keys);
            let ran = self.run(async |c| fetch_keys_on(c, read, keys, flavour, MAX_TEXT).await);
            let fetched = match ran.await {
                Ran::Done(fetched) => fetched,
                Ran::Refused => return Ran::Refused,
                Ran::Late => return Ran::Late,
            };
            let page = planned.page(&fetched.page, &fetched.children);
            let (mut out, mut report) = (Vec::new(), RenderReport::default());
            for row in 0..page.len() {
                out.clear();
                let outcome = page.write(row, &Shown::All, &mut out, &mut report);
                if let Some(RowOutcome::Written { id }) = outcome {
                    let id = out.get(id).and_then(|id| std::str::from_utf8(id).ok());
                    found.extend(id.map(str::to_owned));
                }
            }
        }
        Ran::Done(found)
    }
}

/// Whether an id is a key that stands for none, alone or behind a template's text.
fn ends_in(id: &str, none: &str) -> bool {
    let Some(before) = id.strip_suffix(none) else { return false };
    let head = before.trim_end_matches(['-', '.']);
    // Escaped, what begins with a hyphen has another before it.
    before.is_empty()
        || (before == "-" && none.starts_with('-'))
        || (head != before && head.ends_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_for_none_is_known_behind_a_template() {
        for (id, word) in
            [("0", "0"), ("prac-0", "0"), ("-1", "-1"), ("prac--1", "-1"), ("--1", "-1")]
        {
            assert!(ends_in(id, word), "{id}");
        }
        for (id, word) in [
            ("10", "0"),
            ("prac-10", "0"),
            ("12.0", "0"),
            ("5-0", "0"),
            ("21", "-1"),
            ("5-1", "-1"),
        ] {
            assert!(!ends_in(id, word), "{id}");
        }
    }
}
