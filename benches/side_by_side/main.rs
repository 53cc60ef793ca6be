//! Reading a patient by id: the whole gateway (token, tenant, admission, breaker, lane, mapping, access
//! log on disk) against what people write by hand, a bare axum handler over `sqlx::PgPool`, once with the
//! pool as it comes and once tuned; on the same PostgreSQL, in the same run, in alternating rounds. Each
//! server is a process of its own, so that CPU time can be told apart.
//!
//! Needs a PostgreSQL: `tests/servers.sh up postgres && eval "$(tests/servers.sh env)"`, then
//! `cargo bench --bench side_by_side [-- OPTIONS]`. Each option is also read from the environment
//! (`--rounds` from `WARDGATE_BENCH_ROUNDS`, and so on).
//!
//! | option | what | default, with `--quick` |
//! |---|---|---|
//! | `--rounds N` | rounds of each server for each number of clients; medians count | 5, 1 |
//! | `--seconds N` | length of a round | 3, 1 |
//! | `--clients N,N` | numbers of clients, each with one connection kept open | 1,8,64 |
//! | `--out DIR` | where `side_by_side.txt` and `side_by_side.json` go | cargo's `target/tmp` |
//! | `--quick` | a smoke run, well under 30 s once it is built; its figures mean little | |
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

mod baseline;
mod contestant;
mod gateway;
mod load;
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

use baseline::Baseline;
use contestant::{Contestant, Round};
use serde_json::{Value, json};
use servers::harness;
use shared::{Arguments, Report, median};

/// Rows in the table; ids are 1 to this.
const PATIENTS: u32 = 100_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let words: Vec<String> = std::env::args().collect();
    match words.iter().position(|word| word == "baseline") {
        Some(at) => runtime.block_on(baseline::serve(&words[at + 1], &words[at + 2])),
        None => runtime.block_on(compare(&Arguments::read())),
    }
}

async fn compare(arguments: &Arguments) {
    let span = Duration::from_secs(arguments.number("seconds", 1, 3));
    let rounds = arguments.number("rounds", 1, 5);
    let how = format!(
        "{rounds} alternating rounds of {} s; GET of one of {PATIENTS} patients by id, PostgreSQL on \
         loopback in plain text",
        span.as_secs()
    );
    let mut report = Report::new("side_by_side", &how);
    let database = harness::Postgres::database().await;
    database.execute(&shared::one_table::patients(PATIENTS)).await;
    let (_gateway, _issuer, gateway) = gateway::start(&database).await;
    let (_default, default) = Baseline::start("default pool", &database, "default");
    let (_tuned, tuned) = Baseline::start("tuned pool", &database, "tuned");
    let contestants = [gateway, default, tuned];
    same_answers(&contestants).await;
    report.line(format!(
        "{:>7} {:<13} {:>8} {:>8} {:>8} {:>8}",
        "clients", "server", "req/s", "p50 us", "p99 us", "CPU us"
    ));
    let (mut runs, mut servers) = (Vec::new(), Vec::new());
    for clients in arguments.numbers("clients", &[1, 8, 64]) {
        let results = alternate(&contestants, clients as usize, rounds, span).await;
        for (contestant, rounds) in contestants.iter().zip(&results) {
            servers.push(row(&mut report, contestant.name, clients, rounds));
        }
        runs.push(ratios(&mut report, clients, &results));
    }
    report.finish(&arguments.out, json!({ "runs": runs, "servers": servers }));
}

/// A comparison of servers that do not do the same would be none.
async fn same_answers(contestants: &[Contestant]) {
    for id in [1, 2, 17, PATIENTS] {
        let [gateway, others @ ..] = contestants else { panic!("no contestants") };
        let expected = gateway.patient(id).await;
        for other in others {
            assert_eq!(other.patient(id).await, expected, "{} differs", other.name);
        }
    }
}

/// Every server in every round, each round beginning with another one.
async fn alternate(
    contestants: &[Contestant],
    clients: usize,
    rounds: u64,
    span: Duration,
) -> Vec<Vec<Round>> {
    for contestant in contestants {
        contestant.run(clients, span.min(Duration::from_secs(1))).await;
    }
    let mut results = vec![Vec::new(); contestants.len()];
    for round in 0..rounds as usize {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            results[at].push(contestants[at].run(clients, span).await);
        }
    }
    results
}

fn row(report: &mut Report, name: &str, clients: u64, rounds: &[Round]) -> Value {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let rate = of(|round| round.load.per_second());
    let (p50, p99) = (of(|round| round.load.p50_us), of(|round| round.load.p99_us));
    let cpu = of(|round| round.cpu_per_request);
    report.line(format!("{clients:>7} {name:<13} {rate:>8.0} {p50:>8.0} {p99:>8.0} {cpu:>8.1}"));
    json!({
        "server": name, "clients": clients, "requests_per_second": rate,
        "p50_us": p50, "p99_us": p99, "cpu_us_per_request": cpu,
    })
}

/// Round by round, so that a machine that changes its pace favours nobody.
fn ratios(report: &mut Report, clients: u64, results: &[Vec<Round>]) -> Value {
    let against = |other: usize| -> Vec<f64> {
        let pairs = results[0].iter().zip(&results[other]);
        pairs.map(|(ours, theirs)| ours.load.per_second() / theirs.load.per_second()).collect()
    };
    let least = |ratios: &[f64]| ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let (default, tuned) = (against(1), against(2));
    let (worst_default, worst_tuned) = (least(&default), least(&tuned));
    let (default, tuned) = (median(default), median(tuned));
    report.line(format!(
        "{clients:>7} gateway / default pool = {default:.2} (worst round {worst_default:.2}), \
         / tuned pool = {tuned:.2} (worst round {worst_tuned:.2})"
    ));
    let of = |figure: fn(&Round) -> f64| median(results[0].iter().map(figure).collect());
    json!({
        "name": "read by id", "clients": clients,
        "ratio_to_default_pool": default, "ratio_to_tuned_pool": tuned,
        "worst_ratio_to_default_pool": worst_default, "worst_ratio_to_tuned_pool": worst_tuned,
        "cpu_us_per_request": of(|round| round.cpu_per_request),
        "requests_per_second": of(|round| round.load.per_second()),
        "p50_us": of(|round| round.load.p50_us), "p99_us": of(|round| round.load.p99_us),
    })
}
