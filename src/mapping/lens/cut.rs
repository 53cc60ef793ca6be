//! How one cell becomes several items.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::eval::Bad;
use super::rewrite::{place, scalar};
use crate::mapping::rows::Rows;

/// Longest JSON that is taken apart, in bytes, and most parts of a text: what they take while a row is written
/// is many times their own length.
const JSON_MAX: usize = 1 << 20;
const PARTS_MAX: usize = 100_000;

/// What makes the items of one text.
#[derive(Debug, Clone)]
pub enum Cut {
    /// What stands between them; blanks at their ends do not count, and what is blank is none.
    Separator(String),
    /// They are those of the JSON array at this place (RFC 6901).
    Json(Vec<String>),
}

impl Cut {
    /// The items in their order: of an array, scalars as texts, objects and arrays as JSON. `null` and
    /// blank texts are none.
    ///
    /// # Errors
    /// [`Bad`] when the text is no JSON, or what stands at the place is there and no array, or longer than
    /// 1 MiB.
    pub fn items<'t>(&self, text: &'t str) -> Result<Vec<Cow<'t, str>>, Bad> {
        match self {
            _ if text.trim().is_empty() => Ok(Vec::new()),
            Self::Separator(separator) => {
                let parts = text.split(separator.as_str()).map(str::trim);
                let parts = parts.filter(|part| !part.is_empty()).take(PARTS_MAX);
                Ok(parts.map(Cow::Borrowed).collect())
            }
            Self::Json(path) => {
                let Some(found) = place(text, path)?.filter(|found| found.get() != "null") else {
                    return Ok(Vec::new());
                };
                if found.get().len() > JSON_MAX {
                    return Err(Bad);
                }
                let all: Vec<&RawValue> = serde_json::from_str(found.get()).map_err(|_| Bad)?;
                let item = |item: &'t RawValue| match item.get() {
                    whole if whole.starts_with(['{', '[']) => Ok(Some(Cow::Borrowed(whole))),
                    _ => scalar(item),
                };
                all.into_iter().filter_map(|one| item(one).transpose()).collect()
            }
        }
    }

    /// The same, each a row of one cell; what is more than rows hold is left out.
    pub fn rows(&self, text: &str) -> Result<Rows, Bad> {
        let mut rows = Rows::new(1);
        for item in self.items(text)? {
            if rows.push(Some(&item)).is_err() {
                break;
            }
        }
        Ok(rows)
    }
}

/// The steps of a JSON pointer (RFC 6901); `None` for what is none.
pub fn json_pointer(text: &str) -> Option<Vec<String>> {
    let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
    (text.is_empty() || text.starts_with('/')).then(|| text.split('/').skip(1).map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_gives_its_items_and_what_is_none_is_bad() {
        let at = |path: &str| Cut::Json(path.split('/').skip(1).map(str::to_owned).collect());
        let text =
            r#" {"a": [1.50, "x\u00f1", null, " ", true, {"b": [1]}, [2]], "n": null, "s": "t"} "#;
        let found = at("/a").items(text).unwrap();
        assert_eq!(found, ["1.50", "xñ", "true", r#"{"b": [1]}"#, "[2]"]);
        assert_eq!(at("/a/5/b").items(text).unwrap(), ["1"]);
        assert!(at("/n").items(text).unwrap().is_empty());
        assert!(at("/missing").items(text).unwrap().is_empty());
        assert!(at("").items("[]").unwrap().is_empty());
        for (path, text) in [("", text), ("/s", text), ("", "[1"), ("", "x"), ("", "[1] 2")] {
            assert!(at(path).items(text).is_err(), "{path} of {text}");
        }
        let long = format!("[{}0]", "0,".repeat(JSON_MAX / 2));
        assert!(at("").items(&long).is_err());
        let parts = Cut::Separator(";".to_owned());
        assert_eq!(parts.items(&"a;".repeat(PARTS_MAX + 1)).unwrap().len(), PARTS_MAX);
        assert_eq!(parts.items(" a ; ;b").unwrap(), ["a", "b"]);
    }
}
