//! The query of a search (R4 section 3.1.1): strict about its form, silent about nothing.

mod everything;
mod include;
mod named;
mod result;
mod text;

pub use everything::EverythingQuery;
pub use include::Include;
pub use named::Named;
pub use result::{SortKey, Summary, Total};
pub use text::{pair, parameters, split, unescape};

use jiff::civil::Date;

use super::QueryFault;
use text::decode;

/// Longest query string or form body, in bytes.
pub const MAX_QUERY: usize = 64 * 1024;
/// Most parameters in one query.
pub const MAX_PARAMS: usize = 100;
/// Most alternatives (comma) of all parameters together; engines bound what one statement may bind.
pub const MAX_VALUES: usize = 500;
/// Most of `_include`, and of `_revinclude`, in one query.
pub const MAX_INCLUDES: usize = 16;
/// The parameter that carries the place of the next page.
pub const CURSOR: &str = "_cursor";

/// What to do with a parameter that is not supported (`Prefer: handling=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// Refuse the search. The default: a typo that is ignored would return everybody.
    #[default]
    Strict,
    /// Leave it out, and say so.
    Lenient,
}

/// A query taken apart. Which search parameters are served is for the mapping to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// Conditions; all must hold.
    pub criteria: Vec<Criterion>,
    /// `_count`.
    pub count: Option<u32>,
    /// `_sort`, first key first.
    pub sort: Vec<SortKey>,
    /// `_summary`.
    pub summary: Summary,
    /// `_total`, or `_totalMethod` of an older client.
    pub total: Total,
    /// `_include`: what the matches refer to.
    pub include: Vec<Include>,
    /// `_revinclude`: what refers to the matches.
    pub revinclude: Vec<Include>,
    /// `_elements`, empty for all.
    pub elements: Vec<String>,
    /// `_format`.
    pub format: Option<String>,
    /// `_pretty`.
    pub pretty: bool,
    /// `_cursor`, as given.
    pub cursor: Option<String>,
    /// Parameters left out because the caller asked for lenient handling.
    pub ignored: Vec<String>,
    /// How the caller wants unsupported parameters handled.
    pub handling: Handling,
    /// The day, in UTC, from which `ap` measures dates: the one on which the search began. Without one, today.
    pub day: Option<Date>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// The parameter.
    pub name: String,
    /// What stands behind its colon: a modifier or, for references, a type.
    pub modifier: Option<String>,
    /// What stands behind a dot: the rest of a chain.
    pub chain: Option<String>,
    /// Alternatives; one must hold. FHIR's own escapes are still in them: see [`unescape`].
    pub values: Vec<String>,
}

impl Criterion {
    /// Whether it is a condition on other resources: a chain, or `_has`.
    pub fn reaches(&self) -> bool {
        self.chain.is_some() || self.name == "_has"
    }

    /// The name with everything behind it.
    pub fn full_name(&self) -> String {
        let mut name = self.name.clone();
        for (mark, part) in [(':', &self.modifier), ('.', &self.chain)] {
            if let Some(part) = part {
                name.push(mark);
                name.push_str(part);
            }
        }
        name
    }
}

impl SearchQuery {
    /// Parses a query string with strict handling.
    pub fn parse(query: &str) -> Result<Self, QueryFault> {
        Self::parse_parts(&[query], Handling::Strict)
    }

    /// Parses a query string and the form bodies that go with it as one query.
    pub fn parse_parts(parts: &[&str], handling: Handling) -> Result<Self, QueryFault> {
        let mut query = Self { handling, ..Self::default() };
        if parts.iter().map(|p| p.len()).sum::<usize>() > MAX_QUERY {
            return Err(QueryFault::TooLong);
        }
        let mut seen = Vec::new();
        let pairs = parts.iter().flat_map(|part| part.split('&')).filter(|pair| !pair.is_empty());
        for (number, pair) in pairs.enumerate() {
            if number >= MAX_PARAMS {
                return Err(QueryFault::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if name.is_empty() {
                return Err(QueryFault::NoName);
            }
            if name.len() > 200 || name.chars().any(char::is_control) {
                return Err(QueryFault::Encoding);
            }
            query.take(name, value, &mut seen)?;
        }
        Ok(query)
    }

    fn take(
        &mut self,
        name: String,
        value: String,
        seen: &mut Vec<String>,
    ) -> Result<(), QueryFault> {
        let bad = |expected| QueryFault::BadValue { parameter: name.clone(), expected };
        let result_parameter = matches!(
            name.as_str(),
            "_count" | "_sort" | "_summary" | "_total" | "_totalMethod" | "_elements" | "_cursor"
        );
        if result_parameter {
            if seen.contains(&name) && name != "_elements" {
                return Err(QueryFault::Repeated { parameter: name });
            }
            seen.push(name.clone());
        }
        match name.as_str() {
            "_format" => self.format = Some(value),
            "_pretty" => self.pretty = value == "true",
            "_count" => {
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let count = digits.then(|| value.parse::<u32>().unwrap_or(u32::MAX));
                self.count = Some(count.ok_or_else(|| bad("a whole number, 0 or more"))?);
            }
            "_sort" => self.sort = sort_keys(&value).ok_or_else(|| bad("names of parameters"))?,
            "_summary" => {
                self.summary = match value.as_str() {
                    "true" => Summary::True,
                    "text" => Summary::Text,
                    "data" => Summary::Data,
                    "count" => Summary::Count,
                    "false" => Summary::False,
                    _ => return Err(bad("true, text, data, count or false")),
                }
            }
            "_total" | "_totalMethod" => {
                self.total = match value.as_str() {
                    "accurate" | "count" => Total::Accurate,
                    "estimate" => Total::Estimate,
                    "none" => Total::None,
                    _ => return Err(bad("none, estimate or accurate")),
                }
            }
            "_elements" => {
                let names = value.split(',').map(str::trim).filter(|n| !n.is_empty());
                self.elements.extend(names.map(str::to_owned));
            }
            CURSOR => self.cursor = Some(value),
            "_include" | "_revinclude" => {
                let one = Include::parse(&value);
                let one = one.ok_or_else(|| bad("Type:parameter or Type:parameter:Target"))?;
                let all = if name == "_include" { &mut self.include } else { &mut self.revinclude };
                if !all.contains(&one) {
                    all.push(one);
                }
                if all.len() > MAX_INCLUDES {
                    return Err(QueryFault::TooMany);
                }
            }
            _ => return self.criterion(&name, &value),
        }
        Ok(())
    }

    fn criterion(&mut self, name: &str, value: &str) -> Result<(), QueryFault> {
        let Named { name: head, modifier, chain } = Named::of(name);
        let unsupported = matches!(
            head,
            "_include"
                | "_revinclude"
                | "_contained"
                | "_containedType"
                | "_text"
                | "_content"
                | "_list"
                | "_filter"
                | "_query"
                | "_type"
                | "_score"
        );
        if unsupported {
            return self.unsupported(name);
        }
        let values: Vec<String> = split(value, ',')
            .into_iter()
            .filter(|v| !v.trim().is_empty())
            .map(str::to_owned)
            .collect();
        let before: usize = self.criteria.iter().map(|c| c.values.len()).sum();
        if before + values.len() > MAX_VALUES {
            return Err(QueryFault::TooMany);
        }
        self.criteria.push(Criterion {
            name: head.to_owned(),
            modifier: modifier.map(str::to_owned),
            chain: chain.map(str::to_owned),
            values,
        });
        Ok(())
    }

    /// Refuses a parameter, or notes that it was left out where the caller asked for that.
    pub fn unsupported(&mut self, name: &str) -> Result<(), QueryFault> {
        match self.handling {
            Handling::Strict => Err(QueryFault::Unsupported { parameter: shown(name) }),
            Handling::Lenient => {
                self.ignored.push(shown(name));
                Ok(())
            }
        }
    }

    /// Whether only a number is wanted.
    pub fn counts_only(&self) -> bool {
        self.summary == Summary::Count || self.count == Some(0)
    }

    /// The query as it was understood, for the `self` link: everything in force, nothing that was
    /// left out, without the cursor.
    pub fn to_query_string(&self) -> String {
        let mut out = String::new();
        for c in &self.criteria {
            pair(&mut out, &c.full_name(), &c.values.join(","));
        }
        if let Some(count) = self.count {
            pair(&mut out, "_count", &count.to_string());
        }
        if !self.sort.is_empty() {
            let keys: Vec<String> = self
                .sort
                .iter()
                .map(|k| format!("{}{}", if k.descending { "-" } else { "" }, k.param))
                .collect();
            pair(&mut out, "_sort", &keys.join(","));
        }
        for (name, all) in [("_include", &self.include), ("_revinclude", &self.revinclude)] {
            for one in all {
                pair(&mut out, name, &one.to_string());
            }
        }
        let summary = match self.summary {
            Summary::False => None,
            Summary::True => Some("true"),
            Summary::Text => Some("text"),
            Summary::Data => Some("data"),
            Summary::Count => Some("count"),
        };
        if let Some(summary) = summary {
            pair(&mut out, "_summary", summary);
        }
        match self.total {
            Total::None => {}
            Total::Estimate => pair(&mut out, "_total", "estimate"),
            Total::Accurate => pair(&mut out, "_total", "accurate"),
        }
        if !self.elements.is_empty() {
            pair(&mut out, "_elements", &self.elements.join(","));
        }
        out
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(64).collect()
}

fn sort_keys(value: &str) -> Option<Vec<SortKey>> {
    value
        .split(',')
        .map(|key| {
            let descending = key.starts_with('-');
            let param = key.strip_prefix('-').unwrap_or(key);
            (!param.is_empty()).then(|| SortKey { param: param.to_owned(), descending })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_modifiers_chains_and_values() {
        let q = SearchQuery::parse(
            "name%3Aexact=Mu%C3%B1oz&subject:Patient.name=a&identifier=urn:x%7C1,2&a=x%5C,y&_count=5&_sort=-date,_id",
        )
        .unwrap();
        assert_eq!(q.criteria[0].modifier.as_deref(), Some("exact"));
        assert_eq!(q.criteria[0].values, ["Muñoz"]);
        assert_eq!(q.criteria[1].modifier.as_deref(), Some("Patient"));
        assert_eq!(q.criteria[1].chain.as_deref(), Some("name"));
        assert_eq!(q.criteria[2].values, ["urn:x|1", "2"]);
        assert_eq!(unescape(&q.criteria[3].values[0]), "x,y");
        assert_eq!(q.count, Some(5));
        assert!(q.sort[0].descending && q.sort[1].param == "_id");
    }

    #[test]
    fn refuses_what_it_does_not_serve_and_lets_clients_quirks_pass() {
        let strict = SearchQuery::parse("_include:iterate=Observation:subject").unwrap_err();
        assert_eq!(strict, QueryFault::Unsupported { parameter: "_include:iterate".to_owned() });
        let lenient =
            SearchQuery::parse_parts(&["_include:iterate=x&_count=0"], Handling::Lenient).unwrap();
        assert_eq!(lenient.ignored, ["_include:iterate"]);
        assert!(lenient.counts_only());
        let quirks = "_pretty=true&_format=json&_totalMethod=count&_elements=id,name";
        assert_eq!(SearchQuery::parse(quirks).unwrap().total, Total::Accurate);
        for bad in [
            "_count=-1",
            "_count=x",
            "a=%zz",
            "a=%ff",
            "=1",
            "_summary=1",
            "_count=1&_count=2",
            "_include=Observation",
            "_include=*",
            "_revinclude=A:b:C:d",
            "_include=A:b c",
        ] {
            assert!(SearchQuery::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(SearchQuery::parse("_count=99999999999").unwrap().count, Some(u32::MAX));
        assert_eq!(SearchQuery::parse(&"a=1&".repeat(101)), Err(QueryFault::TooMany));
        assert_eq!(SearchQuery::parse(&"a".repeat(MAX_QUERY + 1)), Err(QueryFault::TooLong));
    }

    proptest! {
        #[test]
        fn what_was_understood_reads_back_the_same(text in "[ -~ñ\\\\,|=&+%]{0,40}") {
            let mut query = String::new();
            pair(&mut query, "name", &text);
            let first = SearchQuery::parse(&query).unwrap();
            let again = SearchQuery::parse(&first.to_query_string()).unwrap();
            prop_assert_eq!(first, again);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = SearchQuery::parse(&text);
        }
    }
}
