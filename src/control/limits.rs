use crate::registry::StoredLimits;

/// What each limit is for people, in the order of [`StoredLimits::named`].
const TITLES: [&str; StoredLimits::COUNT] = [
    "Requests a second",
    "Requests at once",
    "Connections",
    "Page size",
    "Largest page",
    "Request, ms",
    "Statement, ms",
    "Export files at once",
    "Weight",
];

/// One limit as a form or a command line shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitEntry {
    /// Its name in the API.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The tenant's own value.
    pub value: Option<u32>,
}

/// All limits, in the order they are shown in.
pub fn limit_entries(limits: &StoredLimits) -> Vec<LimitEntry> {
    let entry = |((name, value), title)| LimitEntry { name, title, value };
    limits.named().into_iter().zip(TITLES).map(entry).collect()
}
