//! The query of `Patient/{id}/$everything`.

use super::text::{decode, pair};
use super::{Criterion, SearchQuery};
use crate::fhir::QueryFault;
use crate::fhir::primitive::DateInterval;

/// What of a patient's records is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EverythingQuery {
    /// `_type`: only these, empty for all.
    pub types: Vec<String>,
    /// `_since`: only what was updated then or later.
    pub since: Option<String>,
    /// `start`: nothing of care that ended before.
    pub start: Option<String>,
    /// `end`: nothing of care that began after.
    pub end: Option<String>,
    /// `_count`, the cursor and what is shown of each resource.
    pub result: SearchQuery,
}

impl EverythingQuery {
    /// Parses a query string. What is not served is refused by name.
    pub fn parse(query: &str) -> Result<Self, QueryFault> {
        let mut found = Self::default();
        let mut rest = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match decode(name)?.as_str() {
                "_type" => {
                    let value = decode(value)?;
                    let types = value.split(',').map(str::trim).filter(|ty| !ty.is_empty());
                    found.types.extend(types.map(str::to_owned));
                }
                "_since" => {
                    one_time(
                        &mut found.since,
                        "_since",
                        value,
                        "a time such as 2024-01-31T10:00:00Z",
                    )?;
                }
                "start" => one_time(&mut found.start, "start", value, "a date such as 2024-01-31")?,
                "end" => one_time(&mut found.end, "end", value, "a date such as 2024-01-31")?,
                _ => rest.push(part),
            }
        }
        found.result = SearchQuery::parse(&rest.join("&"))?;
        let result = &found.result;
        let unserved = result.criteria.first().map(Criterion::full_name);
        let unserved = unserved.or_else(|| {
            let asked = [
                (!result.sort.is_empty(), "_sort"),
                (!result.include.is_empty(), "_include"),
                (!result.revinclude.is_empty(), "_revinclude"),
                (result.counts_only() && result.count != Some(0), "_summary=count"),
            ];
            asked.iter().find(|(asked, _)| *asked).map(|(_, name)| (*name).to_owned())
        });
        match unserved {
            Some(parameter) => Err(QueryFault::Unsupported { parameter: super::shown(&parameter) }),
            None => Ok(found),
        }
    }

    /// The query as it was understood, without the page's size and the cursor.
    pub fn to_query_string(&self) -> String {
        let unsized_query = SearchQuery { count: None, ..self.result.clone() };
        let mut out = String::new();
        if !self.types.is_empty() {
            pair(&mut out, "_type", &self.types.join(","));
        }
        let times = [("_since", &self.since), ("start", &self.start), ("end", &self.end)];
        for (name, time) in times {
            if let Some(time) = time {
                pair(&mut out, name, time);
            }
        }
        let rest = unsized_query.to_query_string();
        if !out.is_empty() && !rest.is_empty() {
            out.push('&');
        }
        out.push_str(&rest);
        out
    }
}

/// A time that is given once.
fn one_time(
    place: &mut Option<String>,
    name: &str,
    value: &str,
    expected: &'static str,
) -> Result<(), QueryFault> {
    let parameter = name.to_owned();
    if place.is_some() {
        return Err(QueryFault::Repeated { parameter });
    }
    // The plus sign of an offset is a blank where nobody encoded it.
    let value = decode(value)?.replace(' ', "+");
    DateInterval::parse(&value).ok_or(QueryFault::BadValue { parameter, expected })?;
    *place = Some(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::CURSOR;
    use super::*;

    #[test]
    fn types_a_time_and_a_size() {
        let query =
            "_type=Patient,Observation&_since=2024-01-31T10:00:00%2B01:00&_count=7&_elements=id";
        let parsed = EverythingQuery::parse(query).unwrap();
        assert_eq!(parsed.types, ["Patient", "Observation"]);
        assert_eq!(parsed.since.as_deref(), Some("2024-01-31T10:00:00+01:00"));
        assert_eq!(parsed.result.count, Some(7));
        let bare = EverythingQuery::parse("_since=2024-01-31T10:00:00+01:00").unwrap();
        assert_eq!(bare.since, parsed.since);
        let again = EverythingQuery::parse(&parsed.to_query_string()).unwrap();
        assert_eq!((again.types, again.since), (parsed.types, parsed.since));
        assert!(EverythingQuery::parse(&format!("{CURSOR}=x")).unwrap().result.cursor.is_some());
        let care = EverythingQuery::parse("start=2024-02&end=2024-03-01").unwrap();
        assert_eq!(
            (care.start.as_deref(), care.end.as_deref()),
            (Some("2024-02"), Some("2024-03-01"))
        );
        assert_eq!(care.to_query_string(), "start=2024-02&end=2024-03-01");
        let bad = [
            "start=",
            "end=x",
            "start=1&start=2",
            "end=2024&end=2024",
            "code=x",
            "_sort=date",
            "_since=x",
        ];
        for bad in bad.into_iter().chain(["_since=2024&_since=2025"]) {
            assert!(EverythingQuery::parse(bad).is_err(), "{bad}");
        }
    }
}
