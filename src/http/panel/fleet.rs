//! Every tenant at a glance.

use std::fmt::Write as _;

use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Tab, chip};
use super::refusal::{Answer, Refusal};
use super::session::Seen;
use super::{Panel, spark, words};
use crate::control::{
    FleetFilter, FleetOrder, FleetPage, FleetRow, Level, SchemaFilter, SchemaStand,
};

/// Lines of a page.
const SIZE: usize = 50;
const ORDERS: [(&str, &str, FleetOrder); 6] = [
    ("", "Sickest first", FleetOrder::Health),
    ("name", "By name", FleetOrder::Name),
    ("requests", "Busiest first", FleetOrder::Requests),
    ("errors", "Most errors first", FleetOrder::Errors),
    ("slowest", "Slowest first", FleetOrder::Slowest),
    ("schema", "Oldest schema first", FleetOrder::Schema),
];
const STATES: [&str; 5] = ["draft", "active", "suspended", "offboarding", "offboarded"];
const ENGINES: [&str; 3] = ["postgres", "mysql", "sqlite"];
const SCHEMAS: [(&str, SchemaFilter); 4] = [
    ("newest", SchemaFilter::Newest),
    ("behind", SchemaFilter::Behind),
    ("failed", SchemaFilter::Failed),
    ("not ours", SchemaFilter::None),
];

/// What to show, as the address says it. Anything unknown filters nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    text: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    engine: String,
    #[serde(default)]
    schema: String,
    #[serde(default)]
    order: String,
    #[serde(default)]
    page: String,
}

impl Wanted {
    fn filter(&self) -> FleetFilter {
        let known = |text: &str, all: &[&str]| {
            all.iter().find(|one| **one == text).map(|one| (*one).to_owned())
        };
        let order = ORDERS.iter().find(|(word, ..)| *word == self.order);
        FleetFilter {
            text: self.text.chars().take(100).collect(),
            level: Level::ALL.into_iter().find(|level| level.as_str() == self.level),
            state: known(&self.state, &STATES),
            engine: known(&self.engine, &ENGINES),
            schema: SCHEMAS.iter().find(|(word, _)| *word == self.schema).map(|(_, of)| *of),
            order: order.map_or(FleetOrder::Health, |(.., order)| *order),
            page: self.page.parse().unwrap_or(1),
            size: SIZE,
        }
    }

    /// The address of the same with another level and page.
    fn address(&self, level: &str, page: usize) -> String {
        let mut address = String::from("/panel/?");
        for (name, value) in [
            ("text", self.text.as_str()),
            ("level", level),
            ("state", &self.state),
            ("engine", &self.engine),
            ("schema", &self.schema),
            ("order", &self.order),
        ] {
            if !value.is_empty() {
                let _infallible = write!(address, "{name}={}&", words::query_value(value));
            }
        }
        let _infallible = write!(address, "page={page}");
        address
    }
}

/// `GET /panel/`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let fleet = panel.0.control.fleet(&seen.caller, &wanted.filter()).await;
    let fleet = fleet.map_err(Refusal::control(&seen))?;
    let body = html! {
        div class="head" {
            div class="row" {
                h1 { "Fleet" }
                @if seen.may_change() { a class="button quiet" href="/panel/add" { "Add a hospital" } }
            }
            (levels(&wanted, &fleet))
        }
        (search(&wanted))
        div id="fleet" data-live {
            (table(&panel, &fleet))
            (pager(&wanted, &fleet))
        }
    };
    Ok(layout::live_page(&seen, Tab::Fleet, "Fleet", &body).into_response())
}

fn levels(wanted: &Wanted, fleet: &FleetPage) -> Markup {
    let all: usize = fleet.levels.iter().sum();
    let tile = |word: &str, number: usize, label: Markup| {
        let current = (wanted.level == word).then_some("true");
        html! {
            a class="tile" href=(wanted.address(word, 1)) aria-current=[current] {
                strong { (words::count(number as u64)) } (label)
            }
        }
    };
    html! {
        nav id="levels" class="tiles" aria-label="How they are" data-live {
            (tile("", all, html! { span { "all" } }))
            @for (level, number) in Level::ALL.into_iter().zip(fleet.levels) {
                (tile(level.as_str(), number, chip(level)))
            }
        }
    }
}

fn search(wanted: &Wanted) -> Markup {
    let choice = |name: &str, label: &str, any: &str, all: &[&str], chosen: &str| {
        html! {
            label { (label)
                select name=(name) {
                    option value="" { (any) }
                    @for one in all { option value=(one) selected[*one == chosen] { (one) } }
                }
            }
        }
    };
    html! {
        form class="search" method="get" action="/panel/" role="search" {
            @if !wanted.level.is_empty() { input type="hidden" name="level" value=(wanted.level); }
            label class="grow" { "Name"
                input type="search" name="text" value=(wanted.text) maxlength="100"
                    placeholder="part of a name" autocomplete="off" spellcheck="false";
            }
            (choice("state", "State", "any", &STATES, &wanted.state))
            (choice("engine", "Engine", "any", &ENGINES, &wanted.engine))
            (choice("schema", "Schema", "any", &SCHEMAS.map(|(word, _)| word), &wanted.schema))
            label { "Order"
                select name="order" {
                    @for (word, text, _) in ORDERS {
                        option value=(word) selected[word == wanted.order] { (text) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn table(panel: &Panel, fleet: &FleetPage) -> Markup {
    if fleet.rows.is_empty() {
        let none = fleet.levels.iter().sum::<usize>() == 0;
        return html! {
            p class="empty" {
                @if none { "No hospital is registered yet. " a href="/panel/add" { "Add the first" } }
                @else { "No hospital fits. " a href="/panel/" { "Show all" } }
            }
        };
    }
    html! {
        table class="fleet" {
            caption class="unseen" { "Hospitals" }
            thead {
                tr {
                    th scope="col" { "Hospital" }
                    th scope="col" { "How it is" }
                    th scope="col" { "Last 15 minutes" }
                    th scope="col" class="num" { "Errors" }
                    th scope="col" class="num" { "p50" }
                    th scope="col" class="num" { "p99" }
                    th scope="col" { "Lane" }
                    th scope="col" { "Breaker" }
                    th scope="col" { "Engine" }
                    th scope="col" class="num" { "Gen." }
                    th scope="col" class="num" { "Map" }
                    th scope="col" class="num" { "Schema" }
                }
            }
            tbody { @for row in &fleet.rows { (line(panel, row)) } }
        }
    }
}

fn line(panel: &Panel, row: &FleetRow) -> Markup {
    let recent = &row.recent;
    html! {
        tr id={ "t-" (row.name) } {
            th scope="row" {
                a href={ "/panel/tenants/" (row.name) } { bdi { (row.display_name) } }
                span class="slug" { (row.name) }
            }
            td class="health" {
                (chip(row.health.level))
                @if row.health.level != Level::Well {
                    span class="why" {
                        bdi { (row.health.sentence) }
                        @if let Some(since) = &row.health.since {
                            " " span class="soft" { (words::moment(since, &*panel.0.clock)) }
                        }
                    }
                }
            }
            td class="traffic" data-label="Last 15 minutes" {
                (spark::line(recent))
                span class="num" { (words::count(recent.total())) }
            }
            td class={ "num" @if recent.failed() > 0 { " failing" } } data-label="Errors" {
                (words::count(recent.failed()))
            }
            td class="num" data-label="p50" { (words::duration(recent.p50)) }
            td class="num" data-label="p99" { (words::duration(recent.p99)) }
            td data-label="Lane" { (lane(row)) }
            td data-label="Breaker" { (row.breaker.state.replace('_', " ")) }
            td data-label="Engine" { (row.engine.unwrap_or("–")) }
            td class="num" data-label="Generation" { (row.generation) }
            td class="num" data-label="Mapping" {
                @match row.mapping { Some(version) => (version), None => "–" }
            }
            td class="num" data-label="Schema" {
                @match row.schema { Some(stand) => (schema(stand)), None => "–" }
            }
        }
    }
}

fn lane(row: &FleetRow) -> Markup {
    let lane = &row.lane;
    html! {
        @if lane.open {
            span class="lane" title="in use, idle, waiting" {
                (lane.in_use) " in use, " (lane.idle) " idle"
                @if lane.waiting > 0 { ", " strong { (lane.waiting) " waiting" } }
            }
        } @else { span class="soft" { "not open" } }
    }
}

/// The release, and what makes it worth a look.
fn schema(stand: SchemaStand) -> Markup {
    html! {
        (stand.release)
        @if stand.failed { " " span class="failing" { "failed" } }
        @else if stand.behind() > 0 {
            " " span class="soft" title={ "the newest is " (stand.newest) } { (stand.behind()) " behind" }
        }
    }
}

fn pager(wanted: &Wanted, fleet: &FleetPage) -> Markup {
    let address = |page| wanted.address(&wanted.level, page);
    html! {
        nav class="pager" aria-label="More of the fleet" {
            span {
                (words::hospitals(fleet.matching as u64))
            }
            @if fleet.page > 1 { a href=(address(fleet.page - 1)) rel="prev" { "Previous" } }
            @if fleet.pages > 1 { span aria-current="page" { "Page " (fleet.page) " of " (fleet.pages) } }
            @if fleet.page < fleet.pages { a href=(address(fleet.page + 1)) rel="next" { "Next" } }
        }
    }
}
