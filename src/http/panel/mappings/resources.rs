//! Resources that a text makes of live rows, and what of them did not fit, beside the text.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::report;
use crate::records::PreviewOf;

/// What a look gave, as `POST /tenant/v1/mappings/preview` answers it.
#[derive(Deserialize)]
struct Preview<'a> {
    ok: bool,
    problems: Vec<Problem>,
    #[serde(borrow)]
    resources: Vec<Rendered<'a>>,
    sources: Vec<Tried>,
}

#[derive(Deserialize)]
struct Problem {
    pointer: String,
    message: String,
    hint: String,
    severity: String,
}

#[derive(Deserialize)]
struct Rendered<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    do_not_fit: Vec<Misfit>,
    lacks: Option<String>,
}

#[derive(Deserialize)]
struct Misfit {
    path: String,
    count: u32,
}

#[derive(Deserialize)]
struct Tried {
    #[serde(rename = "type")]
    resource_type: String,
    millis: u64,
    tally: Tally,
}

#[derive(Deserialize)]
struct Tally {
    rows: usize,
    written: usize,
    left_out: Vec<(String, u32)>,
    elements: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    path: String,
    columns: Vec<String>,
    bad: usize,
    no_date: usize,
}

/// What a resource says of itself.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "resourceType")]
    resource_type: String,
    #[serde(default)]
    id: String,
}

/// The whole of it.
pub(super) fn shown(body: &[u8], wanted: &PreviewOf) -> Markup {
    let Ok(preview) = serde_json::from_slice::<Preview<'_>>(body) else {
        return html! { p role="alert" { "What came of it cannot be shown here." } };
    };
    html! {
        @if !preview.ok {
            div class="notice bad" role="status" { p { "It does not compile, so there is nothing to look at." } }
        }
        @if !preview.problems.is_empty() {
            ol class="report" {
                @for problem in &preview.problems {
                    (report::problem(&problem.severity, &problem.pointer, &problem.message, &problem.hint))
                }
            }
        }
        @if preview.ok {
            @for source in &preview.sources { (tried(source)) }
            @let found = preview.resources.iter().filter(|shown| shown.resource.is_some()).count();
            @if preview.resources.is_empty() {
                p {
                    @if !wanted.ids.is_empty() { "None of these was found, or the sign-in does not reach them." }
                    @else { "There is no row to show, or the sign-in does not reach these types." }
                }
            } @else {
                p role="status" { (found) @if found == 1 { " resource." } @else { " resources." } }
            }
            @for (at, rendered) in preview.resources.iter().enumerate() { (one(at, rendered)) }
        }
    }
}

fn tried(source: &Tried) -> Markup {
    let tally = &source.tally;
    html! {
        p {
            strong { (source.resource_type) } ": " (tally.written) " of " (tally.rows)
            @if tally.rows == 1 { " row gives" } @else { " rows give" } " a resource, " (source.millis) " ms"
        }
        @let bad: Vec<_> = tally.elements.iter().filter(|element| element.bad > 0).collect();
        @let none: Vec<_> = tally.elements.iter().filter(|element| element.no_date > 0).collect();
        @if !bad.is_empty() || !none.is_empty() || !tally.left_out.is_empty() {
            ul {
                @for (path, count) in &tally.left_out { (report::left_out(path, *count)) }
                @for element in bad { (report::misfit((element.bad, usize::MAX), &element.path, &element.columns)) }
                @for element in none { (report::no_date(element.no_date, &element.path, &element.columns)) }
            }
        }
    }
}

fn one(at: usize, rendered: &Rendered<'_>) -> Markup {
    let named = rendered.resource.and_then(|text| serde_json::from_str::<Named>(text.get()).ok());
    let misfits: u32 = rendered.do_not_fit.iter().map(|misfit| misfit.count).sum();
    html! {
        details class="resource" open[at == 0] {
            summary {
                @match &named {
                    Some(named) => { code { (named.resource_type) "/" (named.id) } }
                    None => { "A row without a resource" }
                }
                @if misfits > 0 { " · " (misfits) @if misfits == 1 { " cell does not fit" } @else { " cells do not fit" } }
            }
            @if let Some(lacks) = &rendered.lacks { p { "It lacks " code { (lacks) } "." } }
            @if !rendered.do_not_fit.is_empty() {
                ul { @for misfit in &rendered.do_not_fit { li { code { (misfit.path) } ": " (misfit.count) } } }
            }
            @if let Some(text) = rendered.resource { pre tabindex="0" { (indented(text.get())) } }
        }
    }
}

/// JSON over several lines. As it stands otherwise: numbers keep their digits and members their order.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut within, mut escaped) = (String::new(), 0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if within {
            within = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            text.push(letter);
            continue;
        }
        match letter {
            '{' | '[' => {
                text.push(letter);
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            other => {
                within = other == '"';
                text.push(other);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_set_over_lines_and_says_the_same() {
        let compact = r#"{"a":[1.50,{"b":"x,{\"}:\\"}],"c":{},"d":[],"e":null}"#;
        let set = indented(compact);
        assert!(
            set.contains("\n    1.50,\n    {\n      \"b\": \"x,{\\\"}:\\\\\"\n    }\n"),
            "{set}"
        );
        assert!(set.contains("\n  \"c\": {},\n  \"d\": [],\n"), "{set}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(compact), read(&set));
    }

    #[test]
    fn nothing_of_a_row_becomes_markup() {
        let body = br#"{"ok":true,"problems":[],"sources":[],"resources":[{"resource":
            {"resourceType":"Patient","id":"1","name":[{"family":"<script>x</script>"}]},"do_not_fit":[],"lacks":null}]}"#;
        let page = shown(body, &PreviewOf::default()).into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
        assert!(page.contains("<code>Patient/1</code>") && page.contains("1 resource."), "{page}");
    }
}
