//! FHIR over a large PostgreSQL database: a page of 50 patients with three child tables, and searches by
//! name, by identifier, by code and date, each by the whole gateway and by hand-written handlers (axum,
//! sqlx, serde) over the same rows; where a page's time goes; paging far behind the beginning; an export of
//! everything; and the shape that other FHIR servers were measured on (2,000 patients, 20,000 observations,
//! 16 clients).
//!
//! Needs a PostgreSQL: `tests/servers.sh up postgres && eval "$(tests/servers.sh env)"`, then
//! `cargo bench --bench fhir [-- OPTIONS]`. Each option is also read from the environment (`--rounds` from
//! `WARDGATE_BENCH_ROUNDS`, and so on).
//!
//! | option | what | default, with `--quick` |
//! |---|---|---|
//! | `--patients N` | patients of the large database | 100000, 2000 |
//! | `--observations N` | its observations | 1000000, 20000 |
//! | `--rounds N` | rounds of each server; medians count | 5, 1 |
//! | `--seconds N` | length of a round | 3, 1 |
//! | `--clients N,N` | numbers of clients, each with one connection kept open | 1,16 |
//! | `--out DIR` | where `fhir.txt` and `fhir.json` go | cargo's `target/tmp` |
//! | `--quick` | a smoke run; its figures mean little | |
//!
//! Prints a table and, as the last line, the JSON.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench talks to its caller, and what it cannot set up it cannot measure"
)]

mod data;
mod export;
mod frames;
mod gateway;
mod handwritten;
mod inside;
#[path = "../side_by_side/load.rs"]
mod load;
mod server;
#[expect(unused, reason = "each program uses a part of what they share")]
#[path = "../shared/mod.rs"]
mod shared;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/support/mod.rs"]
mod support;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/servers"]
mod servers {
    pub mod harness;
}

use std::time::Duration;

use data::Size;
use gateway::Hospitals;
use handwritten::HandWritten;
use serde_json::{Value, json};
use server::{Asked, Server};
use servers::harness;
use shared::{Arguments, Report, median};

// As the gateway has it; the hand-written server has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The shape other servers were measured on.
const SMALL: Size =
    Size { patients: 2000, observations: 20_000, names: 100, with_observations: 400 };

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let words: Vec<String> = std::env::args().collect();
    match words.iter().position(|word| word == "handwritten") {
        Some(at) => runtime.block_on(handwritten::serve(&words[at + 1])),
        None => runtime.block_on(measure(&Arguments::read())),
    }
}

/// How long and how often.
struct Rounds {
    span: Duration,
    count: u64,
    clients: Vec<u64>,
}

async fn measure(arguments: &Arguments) {
    let patients = arguments.number("patients", 2000, 100_000) as u32;
    let observations = arguments.number("observations", 20_000, 1_000_000) as u32;
    let large = Size { patients, observations, names: patients / 20, with_observations: patients };
    let rounds = Rounds {
        span: Duration::from_secs(arguments.number("seconds", 1, 3)),
        count: arguments.number("rounds", 1, 5),
        clients: arguments.numbers("clients", &[1, 16]),
    };
    let how = format!(
        "{} alternating rounds of {} s; {patients} patients, {observations} observations, PostgreSQL on \
         loopback in plain text",
        rounds.count,
        rounds.span.as_secs()
    );
    let mut report = Report::new("fhir", &how);
    let (big, small) = (harness::Postgres::database().await, harness::Postgres::database().await);
    big.execute(&data::script(large)).await;
    small.execute(&data::script(SMALL)).await;
    let hospitals = Hospitals::start(&[("large", &big), ("small", &small)]).await;
    let statements = hospitals.statements_a_page("large", &big).await;
    let ours = hospitals.server("large");
    let (_process, theirs) = HandWritten::start(&big);

    report
        .line(format!("{statements} statements for a page of 50 patients with three child tables"));
    let pages = server::pages(&ours, 200).await;
    let inside = inside::page(&mut report, &big).await;
    let searches = server::searches(large);
    let mut compared = Vec::new();
    let in_one_moment = pages.in_one_moment();
    for asked in [&pages, &in_one_moment].into_iter().chain(&searches) {
        server::same_answers(&ours, &theirs, asked).await;
        compared.extend(compare(&mut report, &rounds, asked, &ours, &theirs).await);
    }
    // The same once more with the index that the cookbook of mappings has for it.
    big.execute(&data::folded_index()).await;
    hospitals.gateway().publish("large", data::MAPPING).await;
    let mut again = server::searches(large).swap_remove(0);
    again.name = "family, index of folded text";
    server::same_answers(&ours, &theirs, &again).await;
    compared.extend(compare(&mut report, &rounds, &again, &ours, &theirs).await);
    let whole = shares(&mut report, &inside, &compared);
    let far = server::far_page(&mut report, &ours, large).await;
    let exported = export::everything(&mut report, hospitals.gateway(), &ours).await;
    let shape = other_servers(&mut report, &rounds, &hospitals.server("small")).await;
    let figures = json!({
        "statements_a_page": statements, "inside": inside.json(), "page": whole, "compared": compared,
        "far_page": far, "export": exported, "shape_of_others": shape,
    });
    report.finish(&arguments.out, figures);
}

/// Both servers by turns under each number of clients.
async fn compare(
    report: &mut Report,
    rounds: &Rounds,
    asked: &Asked,
    ours: &Server,
    theirs: &Server,
) -> Vec<Value> {
    let mut found = Vec::new();
    for clients in &rounds.clients {
        let clients = *clients as usize;
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for round in 0..rounds.count {
            let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
            for gateway in turns {
                if gateway {
                    mine.push(ours.run(&asked.gateway, clients, rounds.span).await);
                } else {
                    others.push(theirs.run(&asked.handwritten, clients, rounds.span).await);
                }
            }
        }
        let ratio = median(mine.iter().zip(&others).map(|(a, b)| a.rate / b.rate).collect());
        let (mine, others) = (server::middle(&mine), server::middle(&others));
        report.line(format!(
            "{:<28} {clients:>3} clients: gateway {:>7.0}/s p50 {:>7.0} us CPU {:>6.0} us; by hand {:>7.0}/s p50 {:>7.0} us \
             CPU {:>6.0} us; ratio {ratio:.2}",
            asked.name, mine.rate, mine.p50_us, mine.cpu_us, others.rate, others.p50_us, others.cpu_us
        ));
        found.push(json!({
            "name": asked.name, "clients": clients, "ratio_to_handwritten": ratio,
            "gateway": mine.json(), "handwritten": others.json(),
        }));
    }
    found
}

/// What of a page's time one client waits for, in the database, in rendering, and in everything else.
fn shares(report: &mut Report, inside: &inside::Inside, compared: &[Value]) -> Value {
    let alone = compared.iter().find(|row| row["clients"] == 1);
    let Some(whole) = alone.and_then(|row| row["gateway"]["p50_us"].as_f64()) else {
        return json!(null);
    };
    let rest = whole - inside.sql_us - inside.render_us;
    let share = |part: f64| part / whole * 100.0;
    report.line(format!(
        "of a page's {whole:.0} us with one client: SQL {:.0} us ({:.0} %), rendering {:.0} us ({:.0} %), the rest {rest:.0} us \
         ({:.0} %: HTTP, token, admission, access log on disk)",
        inside.sql_us, share(inside.sql_us), inside.render_us, share(inside.render_us), share(rest)
    ));
    json!({ "whole_us": whole, "sql_us": inside.sql_us, "render_us": inside.render_us, "rest_us": rest })
}

/// The three questions that HAPI and Helios were asked on such data.
async fn other_servers(report: &mut Report, rounds: &Rounds, server: &Server) -> Vec<Value> {
    let mut found = Vec::new();
    for asked in server::questions_of_others(SMALL) {
        let _warm = server.run(&asked.gateway, 16, rounds.span.min(Duration::from_secs(1))).await;
        let mut runs = Vec::new();
        for _ in 0..rounds.count {
            runs.push(server.run(&asked.gateway, 16, rounds.span).await);
        }
        let run = server::middle(&runs);
        report.line(format!(
            "2,000 / 20,000, 16 clients: {:<32} {:>7.0}/s p50 {:>6.0} us p99 {:>6.0} us CPU {:>5.0} us",
            asked.name, run.rate, run.p50_us, run.p99_us, run.cpu_us
        ));
        found.push(json!({ "name": asked.name, "clients": 16, "gateway": run.json() }));
    }
    found
}
