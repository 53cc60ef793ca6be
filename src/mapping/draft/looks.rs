//! What cells look like: known systems of codes, words for the sexes, keys that are no ids.

use super::links::{keyable, named_key};
use super::sample::Sampled;
use crate::mapping::catalog::{SqlType, Table};

/// `8867-4`
pub(super) fn is_loinc(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    cell.split_once('-').is_some_and(|(a, b)| {
        digits(a) && a.len() <= 5 && a.len() >= 3 && digits(b) && b.len() == 1
    })
}

/// `I10`, `E11.9`
pub(super) fn is_icd_10(cell: &str) -> bool {
    let (head, tail) = cell.split_once('.').unwrap_or((cell, "0"));
    let bytes = head.as_bytes();
    matches!(bytes, [l, a, b] if l.is_ascii_uppercase() && a.is_ascii_digit() && b.is_ascii_alphanumeric())
        && (1..=4).contains(&tail.len())
        && tail.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The sex codes of a column: what its values mean, when all are known words.
pub(super) fn sexes(values: &[&str]) -> Option<Vec<(String, String)>> {
    let has = |wanted: &str| values.iter().any(|v| v.eq_ignore_ascii_case(wanted));
    let mut known = Vec::new();
    for value in values {
        let code = match value.to_lowercase().as_str() {
            // Spanish: `H` hombre beside `M` mujer; German: `W` weiblich beside `M` männlich.
            "m" if has("h") || has("v") => "female",
            // Polish, Swedish and Danish: `K` beside `M`; Turkish: `K` beside `E`; Indonesian: `P` beside `L`.
            "k" if has("m") || has("e") => "female",
            "e" if has("k") => "male",
            "p" if has("l") => "female",
            "l" if has("p") => "male",
            "h" | "v" | "m" | "male" | "man" | "masculino" | "masc" | "hombre" | "varon"
            | "varón" | "homem" | "mannlich" | "männlich" | "mann" | "masculin" | "homme"
            | "8507" | "1" | "boy" | "men" | "laki laki" | "laki" | "pria" | "erkek"
            | "mezczyzna" | "mężczyzna" | "mand" | "м" | "муж" | "мужской" | "男" | "男性" => {
                "male"
            }
            "f" | "w" | "female" | "woman" | "femenino" | "fem" | "mujer" | "feminino"
            | "mulher" | "weiblich" | "frau" | "feminin" | "féminin" | "femme" | "8532" | "2"
            | "girl" | "women" | "perempuan" | "wanita" | "kadin" | "kadın" | "kobieta"
            | "kvinna" | "kvinne" | "kvinde" | "ж" | "жен" | "женский" | "女" | "女性" => {
                "female"
            }
            "x" | "o" | "d" | "other" | "otro" | "outro" | "divers" | "autre" | "3" => "other",
            "u" | "i" | "n" | "unknown" | "desconocido" | "ignorado" | "unbekannt" | "inconnu"
            | "undisclosed" | "not known" | "unspecified" | "未知" | "不详" | "未说明" | "0"
            | "9" => "unknown",
            _ => return None,
        };
        known.push(((*value).to_owned(), code.to_owned()));
    }
    Some(known)
}

/// What is said of a key whose texts are no FHIR ids, or which could be cut in several ways.
pub(super) fn no_ids(table: &Table, key: &[String], sample: &Sampled) -> Option<String> {
    let text = |name: &&String| {
        let column = table.column(name);
        column.is_some_and(|c| matches!(c.ty, SqlType::Text | SqlType::Char | SqlType::Enum))
    };
    let texts: Vec<&String> = key.iter().filter(text).collect();
    let odd = |cell: &str| !cell.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    let count = |holds: &dyn Fn(&str) -> bool| {
        let cells = texts.iter().flat_map(|name| sample.cells(name));
        cells.filter(|cell| holds(cell)).count()
    };
    let rows = sample.rows();
    match count(&odd) {
        0 if texts.len() > 1 && count(&|cell| cell.contains('-')) > 0 => Some(
            "; its key is of several texts with hyphens in them, so they are escaped: two rows could have one id"
                .to_owned(),
        ),
        0 => None,
        cells => Some(format!(
            "; {cells} texts in the keys of {rows} rows seen are no FHIR ids, so they are written so that they are"
        )),
    }
}

/// Why a table's rows make no ids.
pub(super) fn no_key(table: &Table) -> String {
    let refused = |name: &&String| table.column(name).is_some_and(|c| !keyable(c.ty));
    if let Some(name) = table.primary_key.iter().find(refused) {
        let declared = table.column(name).map_or("", |c| c.declared.as_str());
        return format!(
            "its primary key ({}) has a part that is none of an id: '{name}' is a {declared}. Where the rest is unique by \
             itself, as in partitioned tables, a named source with that `key` says so, or a view",
            table.primary_key.join(", ")
        );
    }
    let nullable = |columns: &[String]| {
        columns
            .iter()
            .find(|n| table.column(n).is_some_and(|c| c.nullable && keyable(c.ty)))
            .cloned()
    };
    let mut unique = table.indexes.iter().filter(|i| i.unique && i.columns.len() == 1);
    if let Some(name) = unique.find_map(|i| nullable(&i.columns)) {
        return format!(
            "the table has no primary key; '{name}' is unique and may be NULL: write it as the `key`, with \
             `filter: {{{}: {{missing: false}}}}`",
            super::entry::plain(&name)
        );
    }
    let column = named_key(table);
    let named = column.map_or(String::new(), |c| {
        format!("; '{}' looks like one and is not declared unique and NOT NULL", c.name)
    });
    format!(
        "the table has no primary key and no unique index, so its rows cannot be told apart{named}. \
         Ask for a key, or map a view or a named source"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sexes_are_read_beside_one_another() {
        let read = |values: &[&str]| {
            let found = sexes(values)?;
            Some(found.into_iter().map(|(_, code)| code).collect::<Vec<_>>())
        };
        assert_eq!(read(&["F", "M"]).unwrap(), ["female", "male"]);
        assert_eq!(read(&["H", "M"]).unwrap(), ["male", "female"]);
        assert_eq!(read(&["m", "w", "d"]).unwrap(), ["male", "female", "other"]);
        assert_eq!(read(&["1", "2", "9"]).unwrap(), ["male", "female", "unknown"]);
        assert_eq!(read(&["F", "zz"]), None);
    }

    #[test]
    fn codes_are_known_by_their_looks() {
        assert!(
            is_loinc("8867-4")
                && is_loinc("29463-7")
                && !is_loinc("11111111-1")
                && !is_loinc("8-4")
        );
        assert!(is_icd_10("I10") && is_icd_10("E11.9") && !is_icd_10("GLU") && !is_icd_10("I1"));
    }
}
