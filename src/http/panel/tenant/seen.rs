//! What a tenant used, and which of its queries take long.

use std::time::Duration;

use maud::{Markup, html};

use crate::control::{QueriesView, QueryView, TenantUsage};
use crate::http::panel::words;

/// Months shown; the admin API has them all.
const MONTHS: usize = 6;
/// Plans shown.
const PLANS: usize = 12;

pub(super) fn usage(used: &TenantUsage) -> Markup {
    html! {
        section id="usage" class="card" data-live {
            h2 { "Usage" }
            @if used.months.is_empty() {
                p { "Nothing was asked of it yet." }
            } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Usage by month" {
                    table class="steps" {
                        thead { tr {
                            th scope="col" { "Month" }
                            @for name in ["Requests", "Rows", "Sent", "Database"] { th scope="col" class="num" { (name) } }
                        } }
                        tbody {
                            @for month in used.months.iter().take(MONTHS) {
                                tr {
                                    th scope="row" { (month.month) }
                                    td class="num" { (words::count(month.requests)) }
                                    td class="num" { (words::count(month.rows)) }
                                    td class="num" { (bytes(month.bytes)) }
                                    td class="num" { (seconds(month.database_seconds)) }
                                }
                            }
                        }
                    }
                }
            }
            p class="soft" { "Of all gateways, added up about once a minute; months in UTC." }
        }
    }
}

pub(super) fn queries(found: &QueriesView) -> Markup {
    html! {
        section id="queries" class="card wide" data-live {
            h2 { "What takes the database's time" }
            @if found.queries.is_empty() {
                p { "Nothing was asked of it lately." }
            } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Times by plan" {
                    table class="steps" {
                        thead { tr {
                            th scope="col" { "Plan" }
                            @for name in ["Ran", "p50", "p99", "Worst", "Together", "Rows", "Failed", "Cut off", "Last"] {
                                th scope="col" class="num" { (name) }
                            }
                        } }
                        tbody { @for query in found.queries.iter().take(PLANS) { (row(query)) } }
                    }
                }
            }
            p class="soft" {
                "As this gateway saw it"
                @if let Some(window) = found.window_secs.filter(|_| !found.queries.is_empty()) { " in the last " (span(window)) }
                ". Plans are named by resource and parameters, never by what was looked for."
            }
        }
    }
}

fn row(query: &QueryView) -> Markup {
    let time = |millis: f64| words::duration(Some(Duration::from_secs_f64(millis.max(0.0) / 1e3)));
    html! {
        tr {
            th scope="row" { code { (query.plan) } }
            td class="num" { (words::count(query.count)) }
            td class="num" { (query.p50_ms.map_or_else(|| "–".to_owned(), time)) }
            td class="num" { (query.p99_ms.map_or_else(|| "–".to_owned(), time)) }
            td class="num" { (time(query.worst_ms)) }
            td class="num" { (time(query.total_ms)) }
            td class="num" { (words::count(query.rows)) }
            td class="num" { (words::count(query.failed)) }
            td class="num" { (words::count(query.cut_off)) }
            td class="num" { (span(query.last_secs_ago)) " ago" }
        }
    }
}

fn span(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        _ => format!("{} h", secs / 3600),
    }
}

fn seconds(seconds: f64) -> String {
    words::duration(Some(Duration::from_secs_f64(seconds.max(0.0))))
}

/// 950 B, 12.4 kB, 3.1 MB.
fn bytes(count: u64) -> String {
    let (mut unit, mut tenths) = ("B", count.saturating_mul(10));
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if tenths < 10_000 {
            break;
        }
        (unit, tenths) = (larger, tenths / 1000);
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let shown = [0, 999, 1_000, 12_440, 999_999, 3_100_000_000].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "12.4 kB", "999.9 kB", "3.1 GB"]);
        assert_eq!([span(7), span(300), span(90_000)], ["7 s", "5 min", "25 h"]);
    }
}
