//! What the database's own people wrote beside a column: what it is called, and what its codes mean.

use std::sync::LazyLock;

use regex::Regex;

use super::words::Words;
use crate::mapping::catalog::Column;

/// A letter, of any script.
const LETTER: &str = r"[\w&&[^\d_]]";

/// `0=male`, `1 - Female`, `0男`, `M：Male`: the code is the first or the second group, the word the third.
static CODE_FIRST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let between = r"\s*(?:=>|->|[=:：–—>.．)）-]|代表|表示)";
    let word = format!("({LETTER}+(?:[ _-]{LETTER}+){{0,2}})");
    let before = r"(?:^|[\s,;/|(\[{、，；。（【:：])";
    Regex::new(&format!(
        r"{before}(?:([0-9]{{1,3}})(?:{between})?|([A-Za-z]{{1,2}}){between})\s*{word}"
    ))
    .ok()
});

/// `Male=0`, `female: 2`, `Scheduled (1)`: the word is the first group, the code the second.
static WORD_FIRST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let word = format!("({LETTER}{{3,}}(?:[ _-]{LETTER}+){{0,2}})");
    Regex::new(&format!(r"{word}\s*[=:：(（]\s*([0-9]{{1,3}})(?:[^0-9]|$)")).ok()
});

/// What a column's comment calls it: what stands before the explanation of its codes.
pub(super) fn title(column: &Column) -> Option<Words> {
    let comment = column.comment.as_deref()?;
    let end = |c: char| "（(：:,，;；=。.[【\n\r".contains(c) || c.is_ascii_digit();
    let title = comment.split(end).next().unwrap_or_default().trim();
    let words = Words::of(title);
    (!words.tokens.is_empty() && words.tokens.len() <= 4).then_some(words)
}

/// The codes that a comment explains, each with its word, where it explains at least two.
pub(super) fn codes(column: &Column) -> Option<Vec<(String, String)>> {
    let comment = column.comment.as_deref()?;
    let words = pairs(comment, &WORD_FIRST, &[2], 1);
    let found = if words.len() > 1 { words } else { pairs(comment, &CODE_FIRST, &[1, 2], 3) };
    (found.len() > 1).then_some(found)
}

fn pairs(
    comment: &str,
    regex: &LazyLock<Option<Regex>>,
    codes: &[usize],
    word: usize,
) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in (**regex).iter().flat_map(|regex| regex.captures_iter(comment)) {
        let text = |n: usize| part.get(n).map(|m| m.as_str().trim().to_owned());
        let code = codes.iter().find_map(|n| text(*n)).unwrap_or_default();
        // Of a code that is explained twice nothing is known.
        if found.iter().any(|(known, _)| *known == code) {
            return Vec::new();
        }
        found.push((code, text(word).unwrap_or_default()));
    }
    found
}

/// A comment as it is told again: one line, not long.
pub(super) fn told(column: &Column) -> Option<String> {
    let comment = column.comment.as_deref()?.trim();
    let line: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short: String = line.chars().take(160).collect();
    let more = if short.len() < line.len() { "…" } else { "" };
    (!short.is_empty()).then(|| format!("\"{short}{more}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::tests::support::{TEXT, table};

    fn column(comment: &str) -> Column {
        let mut column = table("t", &[("c", TEXT)], "c").columns.remove(0);
        column.comment = Some(comment.to_owned());
        column
    }

    #[test]
    fn a_comment_explains_codes_in_many_ways() {
        let read = |comment: &str| {
            let found = codes(&column(comment)).unwrap_or_default();
            found.iter().map(|(code, word)| format!("{code}={word}")).collect::<Vec<_>>().join("|")
        };
        assert_eq!(read("0=male 1=female"), "0=male|1=female");
        assert_eq!(read("性别（0男 1女 2未知）"), "0=男|1=女|2=未知");
        assert_eq!(read("0 - Male, 1 - Female"), "0=Male|1=Female");
        assert_eq!(read("M: Male; F: Female"), "M=Male|F=Female");
        assert_eq!(read("enum Male=0, Female=1, Other=2"), "0=enum Male|1=Female|2=Other");
        assert_eq!(
            read("0=registered,1=in progress,2=finished"),
            "0=registered|1=in progress|2=finished"
        );
        assert_eq!(read("Sex of the person"), "");
        assert_eq!(read("1=a 1=b"), "");
    }

    #[test]
    fn a_comment_says_what_a_column_is_called() {
        let title = |comment| title(&column(comment)).map(|words| words.tokens.join(" "));
        assert_eq!(title("性别（0男 1女）").as_deref(), Some("性别"));
        assert_eq!(title("Date of birth, as told").as_deref(), Some("date of birth"));
        assert_eq!(title("This column is what the old program wrote"), None);
        assert_eq!(title("  "), None);
    }
}
