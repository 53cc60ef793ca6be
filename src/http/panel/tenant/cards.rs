//! What a tenant's page shows of it, a card each.

use maud::{Markup, html};

use super::{base, hidden};
use crate::control::{FleetRow, TenantView};
use crate::http::panel::session::Seen;
use crate::http::panel::{Panel, layout, spark, words};

pub(super) fn traffic(row: &FleetRow) -> Markup {
    let recent = &row.recent;
    html! {
        section id="traffic" class="card" data-live {
            h2 { "Last 15 minutes" }
            div class="big" { (spark::line(recent)) }
            dl {
                dt { "Requests" } dd { (words::count(recent.total())) }
                dt { "Errors" } dd { (words::count(recent.failed())) }
                dt { "p50" } dd { (words::duration(recent.p50)) }
                dt { "p99" } dd { (words::duration(recent.p99)) }
            }
            p class="soft" { "As this gateway saw it." }
        }
    }
}

pub(super) fn lane(panel: &Panel, seen: &Seen, row: &FleetRow) -> Markup {
    let (lane, breaker) = (&row.lane, &row.breaker);
    let base = format!("/panel/tenants/{}", row.name);
    let order = |verb: &str, text: &str| {
        html! {
            form method="post" action={ (base) "/" (verb) } {
                (layout::csrf(seen))
                input type="hidden" name="generation" value=(row.generation);
                button class="quiet" type="submit" { (text) }
            }
        }
    };
    html! {
        section class="card" {
            h2 { "Lane and breaker" }
            div id="lane" data-live {
                dl {
                    dt { "Connections" }
                    dd {
                        @if lane.open {
                            (lane.in_use) " in use, " (lane.idle) " idle, of " (lane.max)
                        } @else { "none open" }
                    }
                    dt { "Waiting" } dd { (lane.waiting) }
                    dt { "Failed connects" } dd { (lane.failed_total) }
                    dt { "Statements cut off" } dd { (lane.timeouts_total) }
                    @if let (Some(code), Some(at)) = (&lane.last_error, &lane.last_error_at) {
                        dt { "Last failure" }
                        dd { code { (code) } " " (words::moment(at, &*panel.0.clock)) }
                    }
                    dt { "Breaker" }
                    dd {
                        (breaker.state.replace('_', " "))
                        @if let Some(secs) = breaker.retry_after_secs { ", tries again in " (secs) " s" }
                    }
                    dt { "Opened" } dd { (breaker.opened_total) @if breaker.opened_total == 1 { " time" } @else { " times" } }
                }
            }
            @if seen.may_change() {
                div class="row" { (order("drain", "Drain the lane")) (order("reset-breaker", "Reset the breaker")) }
            }
        }
    }
}

pub(super) fn mapping(tenant: &TenantView) -> Markup {
    html! {
        section class="card" {
            h2 { "Mapping" }
            p {
                @match tenant.mapping.active {
                    Some(version) => { "Version " strong { (version) } " is in force." }
                    None => "None is in force.",
                }
            }
            p { a class="button quiet" href={ (base(tenant)) "/mappings" } { "Versions and editor" } }
        }
    }
}

pub(super) fn identities(tenant: &TenantView) -> Markup {
    html! {
        section class="card" {
            h2 { "Identities" }
            @for identity in &tenant.identities {
                dl {
                    dt { "Claim value" }
                    dd {
                        @match &identity.claim_value {
                            Some(value) => code { (value) },
                            None => "none: the issuer alone decides",
                        }
                    }
                    dt { "Issuer" } dd { code { (identity.issuer) } }
                    dt { "Clients" } dd { @for azp in &identity.azp { code { (azp) } " " } }
                }
            }
            @if tenant.identities.is_empty() { p { "None: no token finds this hospital." } }
            p class="soft" { "Configuration generation " (tenant.generation) ", id " code { (tenant.id) } "." }
        }
    }
}

pub(super) fn limits_form(seen: &Seen, tenant: &TenantView) -> Markup {
    let limits = &tenant.limits;
    let fields = [
        ("requests_per_second", "Requests a second", limits.requests_per_second),
        ("concurrent_requests", "Requests at once", limits.concurrent_requests),
        ("max_connections", "Connections", limits.max_connections),
        ("page_size", "Page size", limits.page_size),
        ("page_size_max", "Largest page", limits.page_size_max),
    ];
    html! {
        section class="card" {
            h2 { "Limits" }
            @if seen.may_change() {
                form method="post" action={ (base(tenant)) "/limits" } class="limits" {
                    (hidden(seen, tenant))
                    @for (name, text, value) in fields {
                        label { (text)
                            input type="number" min="1" name=(name) value=[value] placeholder="gateway's";
                        }
                    }
                    button type="submit" { "Set limits" }
                }
            } @else {
                dl {
                    @for (_, text, value) in fields {
                        dt { (text) }
                        dd { @match value { Some(value) => (value), None => "the gateway's" } }
                    }
                }
            }
        }
    }
}
