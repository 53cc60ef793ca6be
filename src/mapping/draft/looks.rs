//! What cells look like: known systems of codes, words for the sexes, keys that are no ids.

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
            "h" | "v" | "m" | "male" | "man" | "masculino" | "masc" | "hombre" | "varon"
            | "varón" | "homem" | "mannlich" | "männlich" | "mann" | "masculin" | "homme"
            | "8507" | "1" => "male",
            "f" | "w" | "female" | "woman" | "femenino" | "fem" | "mujer" | "feminino"
            | "mulher" | "weiblich" | "frau" | "feminin" | "féminin" | "femme" | "8532" | "2" => {
                "female"
            }
            "x" | "o" | "d" | "other" | "otro" | "outro" | "divers" | "autre" | "3" => "other",
            "u" | "i" | "n" | "unknown" | "desconocido" | "ignorado" | "unbekannt" | "inconnu"
            | "0" | "9" => "unknown",
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
