//! What plans are called where times are shown by plan: the resource, what is done, the names of the
//! parameters. Never a value: a name is on pages and in traces.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::step::{Act, Order};
use crate::fhir::SearchQuery;
use crate::fhir::query::SortKey;
use crate::mapping::PlannedSource;

/// How the sources of a page are called.
#[derive(Clone, Copy)]
pub(super) enum Named<'n> {
    /// All of one search.
    Search(&'n str),
    /// Those of a patient's whole record, each by its type.
    Everything,
}

impl<'n> Named<'n> {
    /// The name of one source.
    pub(super) fn source(self, planned: &PlannedSource) -> Cow<'n, str> {
        match self {
            Self::Search(name) if planned.number == 0 => name.into(),
            Self::Search(name) => format!("{name} #{}", planned.number + 1).into(),
            Self::Everything => format!("{} of $everything", planned.resource_type()).into(),
        }
    }
}

/// `Observation search patient, code, date; sort -date`. `verb` is `search` or what else asks for it.
pub(super) fn search(resource: &str, verb: &str, query: &SearchQuery) -> String {
    let mut name = format!("{resource} {verb}");
    for (at, criterion) in query.criteria.iter().enumerate() {
        name.push_str(if at == 0 { " " } else { ", " });
        name.push_str(&criterion.full_name());
    }
    for (at, SortKey { param, descending }) in query.sort.iter().enumerate() {
        let (before, minus) =
            (if at == 0 { "; sort " } else { "," }, if *descending { "-" } else { "" });
        let _infallible = write!(name, "{before}{minus}{param}");
    }
    name
}

/// `Patient update`; of several changes together, how many there are.
pub(super) fn orders(orders: &[Order]) -> Cow<'static, str> {
    let [order] = orders else { return "transaction".into() };
    let verb = match &order.act {
        Act::Read => "read",
        Act::Create { .. } => "create",
        Act::Update(_) => "update",
        Act::Patch(_) => "patch",
        Act::Delete => "delete",
    };
    format!("{} {verb}", order.resource).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_names_and_no_values() {
        let query = "subject:Patient.name=Canary&code=http://x|Canary&date=ge2020-01-01&_sort=-date,code&_count=7";
        let name = search("Observation", "search", &SearchQuery::parse(query).unwrap());
        assert_eq!(name, "Observation search subject:Patient.name, code, date; sort -date,code");
    }
}
