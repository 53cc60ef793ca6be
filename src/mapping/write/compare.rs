//! Whether what is shown is what was sent.

use jiff::tz::TimeZone;

use crate::fhir::{Json, primitive};

/// Whether two primitive texts mean the same: blanks at the ends, zeros behind a point, and the zone a
/// moment is written in do not count.
pub fn same_text(a: &str, b: &str) -> bool {
    a == b || a.trim_matches(' ') == b.trim_matches(' ') || same_moment(a, b)
}

fn same_moment(a: &str, b: &str) -> bool {
    let moment = |text: &str| {
        let whole = text.contains('T') && text.len() >= 20 && !text.contains(' ');
        let own = whole.then(|| primitive::DateInterval::parse(text)).flatten()?;
        own.zone.is_some().then(|| own.utc(&TimeZone::UTC).0)
    };
    moment(a).is_some_and(|at| moment(b) == Some(at))
}

/// Whether two JSON numbers are equal.
pub fn same_number(a: &str, b: &str) -> bool {
    fn plain(text: &str) -> Option<String> {
        let text = primitive::plain_decimal(text)?.into_owned();
        let text = match text.split_once('.') {
            Some((whole, fraction)) => match fraction.trim_end_matches('0') {
                "" => whole.to_owned(),
                fraction => format!("{whole}.{fraction}"),
            },
            None => text,
        };
        Some(if text == "-0" { "0".to_owned() } else { text })
    }
    plain(a).is_some_and(|a| plain(b).as_ref() == Some(&a))
}

/// Whether everything in `sent` is in `shown`; what is in `shown` alone does not count. Items of an array
/// may stand in another order unless they are primitive.
pub fn shows(shown: &Json, sent: &Json) -> bool {
    missing(shown, sent, "").is_empty()
}

/// Where `shown` lacks what was `sent`, or has something else.
pub fn missing(shown: &Json, sent: &Json, path: &str) -> Vec<String> {
    match (shown, sent) {
        (Json::Object(_), Json::Object(members)) => {
            let mut paths = Vec::new();
            for (name, value) in members {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match shown.get(name) {
                    Some(shown) => paths.extend(missing(shown, value, &at)),
                    None => paths.push(at),
                }
            }
            paths
        }
        (Json::List(have), Json::List(items)) => lists(have, items, path),
        (Json::Text(a), Json::Text(b)) if same_text(a, b) => Vec::new(),
        (Json::Number(a), Json::Number(b)) if same_number(a, b) => Vec::new(),
        (a, b) if a == b => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

fn lists(have: &[Json], items: &[Json], path: &str) -> Vec<String> {
    let ordered = items.iter().all(|item| !matches!(item, Json::Object(_) | Json::List(_)));
    let lost: Vec<usize> = if ordered {
        let mut from = 0;
        let found = |item: &Json| {
            let at = have.iter().skip(from).position(|shown| shows(shown, item));
            from += at.map_or(0, |at| at + 1);
            at.is_some()
        };
        let kept: Vec<bool> = items.iter().map(found).collect();
        kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(number, _)| number).collect()
    } else {
        let fits = |item: usize, at: usize| match (items.get(item), have.get(at)) {
            (Some(item), Some(shown)) => shows(shown, item),
            _ => false,
        };
        let taken = pair(items.len(), have.len(), fits);
        (0..items.len()).filter(|number| !taken.contains(&Some(*number))).collect()
    };
    lost.into_iter().map(|number| format!("{path}[{number}]")).collect()
}

/// Gives each of `have` places to one of `items` items, as many as can be; who is where.
pub fn pair(items: usize, have: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut taken: Vec<Option<usize>> = vec![None; have];
    let table: Vec<Vec<bool>> =
        (0..items).map(|item| (0..have).map(|at| fits(item, at)).collect()).collect();
    for item in 0..items {
        let mut seen = vec![false; have];
        settle(item, &table, &mut taken, &mut seen);
    }
    taken
}

/// Finds an item a place, moving others where they have another one (augmenting paths).
fn settle(
    item: usize,
    table: &[Vec<bool>],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    let Some(fits) = table.get(item) else { return false };
    for (at, _) in fits.iter().enumerate().filter(|(_, fits)| **fits) {
        let Some(seen_at) = seen.get_mut(at) else { continue };
        if std::mem::replace(seen_at, true) {
            continue;
        }
        let free = match taken.get(at).copied().flatten() {
            None => true,
            Some(other) => settle(other, table, taken, seen),
        };
        if free {
            if let Some(place) = taken.get_mut(at) {
                *place = Some(item);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shown: &str, sent: &str) -> Vec<String> {
        let parse = |text: &str| Json::parse(text.as_bytes()).unwrap();
        missing(&parse(shown), &parse(sent), "P")
    }

    #[test]
    fn items_find_their_places_though_the_first_fits_many() {
        let shown = r#"{"l":[{"b":1,"c":1},{"b":1}]}"#;
        assert!(check(shown, r#"{"l":[{"b":1},{"b":1,"c":1}]}"#).is_empty());
        assert_eq!(check(shown, r#"{"l":[{"b":1,"c":1},{"b":1,"c":1}]}"#), ["P.l[1]"]);
    }

    #[test]
    fn what_is_sent_must_be_shown_and_may_be_added_to() {
        let shown = r#"{"a":"x","n":1.50,"t":"2020-01-01T10:00:00+02:00","l":[{"b":1},{"b":2,"c":3}],"g":["p","q"]}"#;
        for good in [
            r#"{"a":" x ","n":1.5}"#,
            r#"{"n":15e-1,"t":"2020-01-01T08:00:00.000Z"}"#,
            r#"{"l":[{"b":2},{"b":1}]}"#,
            r#"{"g":["q"]}"#,
        ] {
            assert!(check(shown, good).is_empty(), "{good}");
        }
        for (bad, path) in [
            (r#"{"a":"X"}"#, "P.a"),
            (r#"{"z":"x"}"#, "P.z"),
            (r#"{"n":"1.50"}"#, "P.n"),
            (r#"{"t":"2020-01-01T08:00:01Z"}"#, "P.t"),
            (r#"{"l":[{"b":1},{"b":1}]}"#, "P.l[1]"),
            (r#"{"g":["q","p"]}"#, "P.g[1]"),
        ] {
            assert_eq!(check(shown, bad), [path], "{bad}");
        }
    }
}
