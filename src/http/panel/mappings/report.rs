//! What a check found, what changes, and what the hospital's database changed, beside the text.

use maud::{Markup, html};

use crate::base::Clock;
use crate::control::{DiffView, DriftView, MappingReport, TrialView, misfit_cure};
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
                (self::problem(problem.severity.as_ref(), &problem.pointer, &problem.message, &problem.hint))
            }
        }
        @if let Some(trial) = &report.trial { (tried(trial)) }
    }
}

/// One thing that is wrong with a text.
pub(super) fn problem(severity: &str, pointer: &str, message: &str, hint: &str) -> Markup {
    html! {
        li class=(severity) {
            p {
                strong { (severity) }
                @if !pointer.is_empty() { " at " code { (pointer) } }
            }
            p { (message) }
            @if !hint.is_empty() { p class="soft" { (hint) } }
        }
    }
}

/// Rows that give no resource.
pub(super) fn left_out(path: &str, count: u32) -> Markup {
    html! {
        li {
            (count)
            @if path == "id" { " rows left out: their key makes no FHIR id; " code { "| escape" } " behind " code { "id" } " writes it so that it does" }
            @else { " rows left out: they lack " code { (path) } }
        }
    }
}

/// Cells that are not what the text says they are.
pub(super) fn misfit((count, of): (usize, usize), path: &str, columns: &[String]) -> Markup {
    html! {
        li {
            (count) " cells do not fit " code { (path) } " (" (columns.join(", ")) ")"
            @if let Some(cure) = misfit_cure(path, count, of) { ": " (cure) }
        }
    }
}

/// Days that stand for none.
pub(super) fn no_date(count: usize, path: &str, columns: &[String]) -> Markup {
    html! {
        li {
            (count) " values of " code { (path) } " (" (columns.join(", "))
            ") lie on a day that stands for none in many systems, such as 0001-01-01"
        }
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
            @if !bad.is_empty() || !none.is_empty() || !lost.is_empty() || !source.left_out.is_empty() || !source.broken.is_empty() {
                ul {
                    @for lost in &source.left_out { (left_out(&lost.path, lost.count)) }
                    @for broken in &source.broken {
                        li { (broken.count) " resources break FHIR's rule " code { (broken.rule) } ", " (broken.says) ": " (broken.cure) }
                    }
                    @for element in bad { (misfit((element.bad, element.filled + element.empty + element.bad), &element.path, &element.columns)) }
                    @for element in none { (no_date(element.no_date, &element.path, &element.columns)) }
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
            p { "From the mapping in force to the text:" }
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
