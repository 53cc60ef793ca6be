//! What a column takes, as far as its declaration says so: checked before the database is asked.

use crate::mapping::catalog::{Column, SqlType};
use crate::mapping::plan::Value;

/// The rules of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRule {
    pub nullable: bool,
    pub has_default: bool,
    /// Most characters.
    most: Option<usize>,
    /// Digits in all and behind the point.
    digits: Option<(usize, usize)>,
    /// The words of an enumeration.
    words: Option<Vec<String>>,
}

impl ColumnRule {
    pub fn of(column: &Column) -> Self {
        let lower = column.declared.to_ascii_lowercase();
        let (word, inside) = match lower.split_once('(') {
            Some((word, rest)) => (word.trim(), rest.split(')').next().unwrap_or_default()),
            None => (lower.trim(), ""),
        };
        let mut numbers = inside.split(',').map(|n| n.trim().parse::<usize>().ok());
        let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
        let textual = matches!(column.ty, SqlType::Text | SqlType::Char | SqlType::Any);
        let most = match word {
            "tinytext" => Some(255),
            _ if textual && word.contains("char") => first,
            _ => None,
        };
        let digits = (column.ty == SqlType::Decimal)
            .then(|| first.map(|all| (all, second.unwrap_or(0))))
            .flatten();
        let words = (word == "enum").then(|| enumeration(&column.declared));
        let Column { nullable, has_default, .. } = column;
        Self { nullable: *nullable, has_default: *has_default, most, digits, words }
    }

    /// What is wrong with a value for the column.
    pub fn refuses(&self, value: Option<&Value>) -> Option<String> {
        let Some(value) = value else {
            return (!self.nullable)
                .then(|| "The hospital's database demands this element.".to_owned());
        };
        if let Some(most) = self.most.filter(|most| value.text.chars().count() > *most) {
            return Some(format!("It is longer than the {most} characters the hospital keeps."));
        }
        if let Some((all, behind)) = self.digits {
            let digits = value.text.trim_start_matches('-');
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            if whole.trim_start_matches('0').len() > all.saturating_sub(behind) {
                return Some("The number is larger than the hospital keeps.".to_owned());
            }
            if fraction.trim_end_matches('0').len() > behind {
                return Some(format!("The hospital keeps {behind} digits behind the point."));
            }
        }
        if self.words.as_ref().is_some_and(|words| !words.contains(&value.text)) {
            return Some("It is none of the values the hospital knows.".to_owned());
        }
        None
    }
}

/// The words of MySQL's `enum('a','it''s')`.
fn enumeration(declared: &str) -> Vec<String> {
    let inside = declared.split_once('(').map_or("", |(_, rest)| rest);
    let inside = inside.rsplit_once(')').map_or(inside, |(inside, _)| inside);
    let mut words = Vec::new();
    let mut rest = inside;
    while let Some((_, after)) = rest.split_once('\'') {
        let mut word = String::new();
        let mut tail = after;
        loop {
            let Some((part, behind)) = tail.split_once('\'') else { return words };
            word.push_str(part);
            tail = behind;
            match tail.strip_prefix('\'') {
                Some(next) => {
                    word.push('\'');
                    tail = next;
                }
                None => break,
            }
        }
        words.push(word);
        rest = tail;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(declared: &str, ty: SqlType) -> ColumnRule {
        ColumnRule::of(&Column {
            name: "c".to_owned(),
            ty,
            declared: declared.to_owned(),
            nullable: false,
            has_default: false,
            collation: None,
            comment: None,
        })
    }

    fn takes(rule: &ColumnRule, ty: SqlType, text: &str) -> bool {
        rule.refuses(Some(&Value { ty, text: text.to_owned() })).is_none()
    }

    #[test]
    fn declarations_bound_what_is_taken() {
        for declared in ["varchar(3)", "character varying(3)", "CHAR(3)"] {
            let rule = rule(declared, SqlType::Text);
            assert!(takes(&rule, SqlType::Text, "ñññ") && !takes(&rule, SqlType::Text, "abcd"));
        }
        assert!(takes(&rule("text", SqlType::Text), SqlType::Text, &"x".repeat(1000)));
        let number = rule("numeric(5,2)", SqlType::Decimal);
        for (text, good) in
            [("999.99", true), ("1.500", true), ("1000", false), ("1.234", false), ("-999.9", true)]
        {
            assert_eq!(takes(&number, SqlType::Decimal, text), good, "{text}");
        }
        let words = rule("enum('a','it''s',')')", SqlType::Enum);
        assert!(takes(&words, SqlType::Enum, "it's") && takes(&words, SqlType::Enum, ")"));
        assert!(!takes(&words, SqlType::Enum, "9") && words.refuses(None).is_some());
    }
}
