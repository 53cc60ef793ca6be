//! Numbers, times and addresses as pages write them.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use crate::base::{Clock, Timestamp};

/// Percent-encodes what may not stand in a query value (RFC 3986, unreserved characters).
pub(super) fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A page of the panel somebody wants to get back to; the first page when it is none. Never another host.
pub(super) fn own_path(text: &str) -> &str {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '<' | '>');
    let ours = text.starts_with("/panel/") && !text.contains("//") && text.chars().all(plain);
    let loops =
        ["/panel/sign", "/panel/welcome", "/panel/confirm", "/panel/callback", "/panel/look?"];
    if ours && !loops.iter().any(|path| text.starts_with(path)) { text } else { "/panel/" }
}

/// A field's name in a form as a label: `tls_name` as `Tls name`.
pub(super) fn title(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    first + &letters.as_str().replace('_', " ")
}

/// 950 µs, 12 ms, 1.4 s; a dash for nothing.
pub(super) fn duration(took: Option<Duration>) -> String {
    let Some(took) = took else { return "–".to_owned() };
    match took.as_micros() {
        micros @ 0..1000 => format!("{micros} µs"),
        micros @ 1000..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        micros @ 10_000..1_000_000 => format!("{} ms", micros / 1000),
        micros => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// 1,204 with thin gaps: 1 204.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// 1 hospital, 2 hospitals.
pub(super) fn hospitals(number: u64) -> String {
    format!("{} hospital{}", count(number), if number == 1 { "" } else { "s" })
}

/// A time of this day, to the minute.
pub(super) fn clock_time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.as_secs()).unwrap_or_default();
    at.strftime("%H:%M UTC").to_string()
}

/// A point in time with how long ago it is.
pub(super) fn moment(rfc3339: &str, clock: &dyn Clock) -> Markup {
    let Ok(at) = rfc3339.parse::<jiff::Timestamp>() else { return html! { (rfc3339) } };
    let short = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(rfc3339) title=(short) { (distance(at, clock.now())) } }
}

/// A point in time in full, and how long ago.
pub(super) fn full_moment(rfc3339: &str, clock: &dyn Clock) -> Markup {
    let Ok(at) = rfc3339.parse::<jiff::Timestamp>() else { return html! { (rfc3339) } };
    let full = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    html! { time datetime=(rfc3339) { (full) } " (" (distance(at, clock.now())) ")" }
}

/// How long ago something was, or how long it is until then. What another gateway's clock puts a moment ahead is
/// now.
fn distance(at: jiff::Timestamp, now: Timestamp) -> String {
    let at = Timestamp::from_millis(at.as_millisecond());
    let (ago, ahead) = (now.since(at).as_secs(), at.since(now).as_secs());
    match (ago, ahead) {
        (_, 60..) => format!("in {}", span(ahead)),
        (0..5, _) => "just now".to_owned(),
        _ => format!("{} ago", span(ago)),
    }
}

fn span(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..172_800 => format!("{} h", secs / 3600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// With a capital, and a full stop where nothing else ends it.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_gone_back_to() {
        for ours in ["/panel/", "/panel/tenants/north", "/panel/?text=a&page=2", "/panel/keys"] {
            assert_eq!(own_path(ours), ours);
        }
        for other in [
            "",
            "/",
            "//evil.example/panel/",
            "/panel//evil.example",
            "https://evil.example/panel/",
            "/panel/\\evil.example",
            "/panel/\r\nSet-Cookie: a=b",
            "/panel/sign-in?to=x",
            "/panel/welcome",
            "/panelx",
        ] {
            assert_eq!(own_path(other), "/panel/", "{other}");
        }
    }

    #[test]
    fn what_is_to_come_is_not_just_now() {
        let now = Timestamp::from_secs(1_000_000);
        let at =
            |ahead: i64| distance(jiff::Timestamp::from_second(1_000_000 + ahead).unwrap(), now);
        assert_eq!(
            [at(-90_000), at(-7), at(-1), at(3)],
            ["25 h ago", "7 s ago", "just now", "just now"]
        );
        assert_eq!([at(59), at(61), at(86_390)], ["just now", "in 1 min", "in 23 h"]);
        let said = ["a file is gone", "done.", ""].map(sentence);
        assert_eq!(said, ["A file is gone.", "Done.", ""]);
    }

    #[test]
    fn numbers_are_short() {
        let shown = |micros| duration(Some(Duration::from_micros(micros)));
        assert_eq!([shown(250), shown(1_400), shown(45_254)], ["250 µs", "1.4 ms", "45 ms"]);
        assert_eq!([shown(1_448_154), duration(None)], ["1.4 s", "–"]);
        assert_eq!(
            [count(0), count(999), count(1_204_000)],
            ["0", "999", "1\u{202f}204\u{202f}000"]
        );
        assert_eq!(query_value("/a?b=ü"), "%2Fa%3Fb%3D%C3%BC");
    }
}
