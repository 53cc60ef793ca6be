//! What a tenant's page shows of it, a card each.

use maud::{Markup, html};

use super::{base, hidden};
use crate::control::{FleetRow, IdentityView, TenantView, failure, flag_entries, limit_entries};
use crate::http::panel::session::{Fields, Seen};
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
                        dd { (failure(code)) " " code class="soft" { (code) } " " (words::moment(at, &*panel.0.clock)) }
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

pub(super) fn identities(panel: &Panel, seen: &Seen, tenant: &TenantView) -> Markup {
    html! {
        section id="identities" class="card" {
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
                @if seen.may_change() {
                    @if let Some(client) = panel.0.sign_ins.looks_through(&identity.issuer) {
                        (admitting(seen, tenant, identity, client))
                    }
                }
            }
            @if tenant.identities.is_empty() { p { "None: no token finds this hospital." } }
            @if let Some(since) = &tenant.tokens_since {
                p { "Tokens issued before " (words::full_moment(since, &*panel.0.clock)) " are refused." }
            }
            p class="soft" { "Configuration generation " (tenant.generation) ", id " code { (tenant.id) } "." }
        }
    }
}

/// Whether resources may be looked at on the panel by who signs in at that issuer: the hospital admits the
/// panel's client there, or does not.
fn admitting(seen: &Seen, tenant: &TenantView, identity: &IdentityView, client: &str) -> Markup {
    let admitted = identity.azp.iter().any(|azp| azp == client);
    let verb = if admitted { "dismiss-client" } else { "admit-client" };
    html! {
        form method="post" action={ (base(tenant)) "/" (verb) } {
            (hidden(seen, tenant))
            input type="hidden" name="issuer" value=(identity.issuer);
            p class="soft" {
                @if admitted { "Who signs in here through " code { (client) } " may be shown resources on the mapping page, with rights of this hospital." }
                @else { "Resources can be looked at on the mapping page once " code { (client) } " is among the clients." }
            }
            button class="quiet" type="submit" {
                @if admitted { "Admit " (client) " no more" } @else { "Admit " (client) }
            }
        }
    }
}

pub(super) fn limits_form(seen: &Seen, tenant: &TenantView, typed: Option<&Fields>) -> Markup {
    let typed = typed.filter(|typed| typed.sent("page_size").is_some());
    let shown = |name: &str, value: Option<u32>| match typed {
        Some(typed) => Some(typed.text(name).to_owned()),
        None => value.map(|value| value.to_string()),
    };
    let fields = limit_entries(&tenant.limits);
    html! {
        section class="card" {
            h2 { "Limits" }
            @if seen.may_change() {
                form method="post" action={ (base(tenant)) "/limits" } class="limits" {
                    (hidden(seen, tenant))
                    @for entry in fields {
                        label { (entry.title)
                            input type="number" min="1" name=(entry.name) value=[shown(entry.name, entry.value)] placeholder="gateway's";
                        }
                    }
                    button type="submit" { "Set limits" }
                }
            } @else {
                dl {
                    @for entry in fields {
                        dt { (entry.title) }
                        dd { @match entry.value { Some(value) => (value), None => "the gateway's" } }
                    }
                }
            }
        }
    }
}

/// Features as the share of users who get them: 100 is on, 0 is off.
pub(super) fn flags_form(seen: &Seen, tenant: &TenantView, typed: Option<&Fields>) -> Markup {
    let typed = |name: &str| typed.and_then(|typed| typed.sent(name)).map(str::to_owned);
    let percent = |offer: &str| match offer {
        "on" => "100".to_owned(),
        "off" => "0".to_owned(),
        share => share.trim_end_matches('%').to_owned(),
    };
    let fields = flag_entries(&tenant.flags);
    html! {
        section class="card" {
            h2 { "Features" }
            @if seen.may_change() {
                form method="post" action={ (base(tenant)) "/flags" } class="limits" {
                    (hidden(seen, tenant))
                    @for entry in &fields {
                        label { (entry.title)
                            input type="number" min="0" max="100" required name=(entry.name)
                                value=(typed(entry.name).unwrap_or_else(|| percent(&entry.offer))) aria-describedby="flags-how";
                        }
                    }
                    button type="submit" { "Switch features" }
                }
            } @else {
                dl { @for entry in &fields { dt { (entry.title) } dd { (entry.offer) } } }
            }
            p class="soft" id="flags-how" { "Percent of users: 100 is on, 0 is off. The same users keep a feature when its share grows." }
        }
    }
}

/// For the night on which tokens have leaked. It opens before it does anything: everybody at work is turned away.
pub(super) fn refuse_tokens(seen: &Seen, tenant: &TenantView) -> Markup {
    html! {
        details {
            summary class="button quiet" { "Refuse tokens…" }
            form method="post" action={ (base(tenant)) "/refuse-tokens" } class="inline" {
                (hidden(seen, tenant))
                p {
                    "Every token of this hospital issued before now is refused, and that cannot be undone: everybody needs a \
                     new one. The issuer gives one without asking to whoever still has a session there, a thief too: \
                     end those sessions at the issuer first."
                }
                button class="danger" type="submit" { "Refuse all tokens of " (tenant.name) " until now" }
            }
        }
    }
}
