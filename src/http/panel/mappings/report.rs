//! What a check found, what changes, and what the hospital's database changed, beside the text.

use maud::{Markup, html};

use crate::base::Clock;
use crate::control::{DiffView, DriftView, MappingReport, TrialView};
use crate::http::panel::words;

/// What a check found.
pub(super) fn checked(report: Option<&MappingReport>) -> Markup {
    let Some(report) = report else {
        return html! {
            p class="soft" { "A check reads the live schema of this hospital's database and names every fault at once." }
        };
    };
    let (mut listed, errors): (Vec<_>, _) = (
        report.problems.iter().collect(),
        report.problems.iter().filter(|problem| problem.severity == "error").count(),
    );
    let warnings = listed.len() - errors;
    // What keeps it from being stored comes first; the order is kept otherwise.
    listed.sort_by_key(|problem| problem.severity != "error");
    html! {
        div class={ "notice " @if report.ok { "good" } @else { "bad" } } role="status" {
            p {
                @if errors > 0 {
                    (errors) @if errors == 1 { " fault" } @else { " faults" } ". Nothing was stored."
                }
                @else { "Nothing is wrong with it." }
                @if warnings > 0 { " " (warnings) @if warnings == 1 { " warning." } @else { " warnings." } }
            }
        }
        ol class="report" {
            @for problem in listed {
                li class=(problem.severity) {
                    p {
                        strong { (problem.severity) }
                        @if !problem.pointer.is_empty() { " at " code { (problem.pointer) } }
                    }
                    p { (problem.message) }
                    @if !problem.hint.is_empty() { p class="soft" { (problem.hint) } }
                }
            }
        }
        @if let Some(trial) = &report.trial { (tried(trial)) }
    }
}

/// What came of trying it on some rows, in numbers: nobody here sees a patient.
fn tried(trial: &TrialView) -> Markup {
    html! {
        h3 { "Tried on live rows" }
        @for source in &trial.sources {
            p {
                strong { (source.resource_type) } " from " code { (source.table) } ": "
                @if let Some(why) = &source.failed { (why) }
                @else { (source.written) " of " (source.rows) " rows give a resource, " (source.millis) " ms" }
            }
            @let bad: Vec<_> = source.elements.iter().filter(|element| element.bad > 0).collect();
            @let none: Vec<_> = source.elements.iter().filter(|element| element.no_date > 0).collect();
            @let lost: Vec<_> = source.elements.iter().filter(|element| element.lost > 0).collect();
            @if !bad.is_empty() || !none.is_empty() || !lost.is_empty() || !source.left_out.is_empty() {
                ul {
                    @for lost in &source.left_out {
                        @if lost.path == "id" { li { (lost.count) " rows left out: their key makes no FHIR id; " code { "| escape" } " behind " code { "id" } " writes it so that it does" } }
                        @else { li { (lost.count) " rows left out: they lack " code { (lost.path) } } }
                    }
                    @for element in bad {
                        li { (element.bad) " cells do not fit " code { (element.path) } " (" (element.columns.join(", ")) ")" }
                    }
                    @for element in none {
                        li { (element.no_date) " values of " code { (element.path) } " (" (element.columns.join(", ")) ") lie on a day that stands for none in many systems, such as 0001-01-01" }
                    }
                    @for element in lost {
                        li {
                            (element.lost) " references " code { (element.path) } " (" (element.columns.join(", ")) ") lead to nothing"
                            @if !element.lost_words.is_empty() { ", some with the key " (element.lost_words.join(" or ")) ", which stands for none in many systems" }
                        }
                    }
                }
            }
        }
        @let scans: Vec<_> = trial.searches.iter().filter(|search| !search.scans.is_empty()).collect();
        @if !scans.is_empty() {
            h3 { "Searches that read whole tables" }
            ul {
                @for search in scans {
                    li { (search.resource_type) " by " (search.parameters.join(", ")) ": " (search.scans.join(", ")) }
                }
            }
        }
        @if trial.cut_short { p class="soft" { "Time ran out before everything was tried." } }
    }
}

/// What changes from the mapping in force to the text.
pub(super) fn differences(diff: &DiffView) -> Markup {
    html! {
        div class="notice calm" role="status" {
            p { "From the mapping in force to the text below:" }
            @if diff.changes.is_empty() { p { "They are the same." } }
            @else { ul {
                @for change in &diff.changes {
                    li {
                        strong { (change.about) } " "
                        @if !change.part.is_empty() { code { (change.part) } " " }
                        (change.kind)
                        @if !change.before.is_empty() { ", was " code { (change.before) } }
                        @if !change.after.is_empty() { ", is " code { (change.after) } }
                    }
                }
            } }
            @match &diff.promises {
                None => { p { "One of them does not compile, so what they promise is not compared." } }
                Some(promises) => {
                    @if promises.is_empty() { p { "What is served and searched stays the same." } }
                    @for promise in promises { p { (promise) } }
                }
            }
        }
    }
}

/// That the hospital's database is not as the mapping in force needs it.
pub(in crate::http::panel) fn drift(drift: &DriftView, clock: &dyn Clock) -> Markup {
    html! {
        @if !drift.changes.is_empty() {
            div class={ "notice " @if drift.breaks() { "bad" } @else { "warn" } } role="status" {
                p { strong { "The hospital's database has changed since version " (drift.version) " was checked." } }
                ul {
                    @for change in drift.changes.iter().take(30) {
                        li { (change.message) " Needed by " (change.paths.join(", ")) "." }
                    }
                }
                p class="soft" { "Looked at " (words::moment(&drift.checked_at, clock)) "." }
            }
        }
    }
}
