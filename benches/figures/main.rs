//! The figures that are no throughput: what a cold tenant, a token, a sick database, a flood of unknown
//! keys and a large fleet cost. Each is one program of its own:
//!
//! | program | measures | needs |
//! |---|---|---|
//! | `cold` | first byte of the first request; 200 first requests at once | PostgreSQL |
//! | `tokens` | checking a token, seen before or not; RS256, ES256, EdDSA | nothing |
//! | `request` | what a read costs before mapping, and mapping one Patient | PostgreSQL |
//! | `outage` | a refused and a hung database: callers, others, recovery, permits | PostgreSQL |
//! | `flood` | key fetches under invented key ids; a new real key | nothing |
//! | `fairness` | one tenant at 20 times its share of rate, of connections: the others' p99 | PostgreSQL |
//! | `fleet` | memory and handles of warm tenants; idle lanes closed | PostgreSQL, `--warm` + 50 connections |
//!
//! `tests/servers.sh up postgres && eval "$(tests/servers.sh env)"`, then
//! `cargo bench --bench figures -- [PROGRAM…] [OPTIONS]`; without a name, all of them. Each option is also
//! read from the environment (`--rounds` from `WARDGATE_BENCH_ROUNDS`, and so on).
//!
//! | option | of | what | default, with `--quick` |
//! |---|---|---|---|
//! | `--tenants N` | `cold` | fresh tenants | 100, 8 |
//! | `--crowds N` | `cold` | tenants that 200 callers ask at once | 5, 1 |
//! | `--readings N` | `request` | means taken of each | 400, 10 |
//! | `--misses N`, `--hits N` | `tokens` | checks of each kind and algorithm | 5000, 200; 200000, 2000 |
//! | `--rounds N` | `outage`, `fairness` | how often each fault is made | 5, 1 |
//! | `--fairness-seconds N` | `fairness` | how long each half of a round lasts | 10, 3 |
//! | `--outage-seconds N` | `outage` | how long the database hangs | 15, 8 |
//! | `--flood-seconds N` | `flood` | how long the flood lasts | 60, 12 |
//! | `--registered N,N`, `--warm N,N` | `fleet` | sizes, pair by pair | 1000 and 200, 20 and 8 |
//! | `--idle-seconds N` | `fleet` | the idle time | 10 + a tenth of `--warm`, 5 |
//! | `--out DIR` | all | where `NAME.txt` and `NAME.json` go | cargo's `target/tmp` |
//! | `--quick` | all | a smoke run; its figures mean little | |
//!
//! Prints lines as they come and each program's JSON as its last line.
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

mod cold;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/support/directory.rs"]
mod directory;
mod fairness;
mod fleet;
mod flood;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/support/idp.rs"]
mod idp;
mod outage;
mod request;
#[expect(unused, reason = "each program uses a part of what they share")]
#[path = "../shared/mod.rs"]
mod shared;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/support/mod.rs"]
mod support;
mod tokens;
mod world;
#[expect(unused, reason = "made for the tests")]
#[path = "../../tests/servers"]
mod servers {
    pub mod fault_proxy;
    pub mod fleet;
    pub mod harness;
}

use serde_json::Value;
use servers::{fault_proxy, harness};
use shared::{Arguments, Report};

/// The programs there are.
const PROGRAMS: [&str; 7] = ["cold", "tokens", "request", "outage", "flood", "fairness", "fleet"];

fn main() {
    let arguments = Arguments::read();
    for name in &arguments.names {
        assert!(PROGRAMS.contains(&name.as_str()), "no program {name}; there are {PROGRAMS:?}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for name in PROGRAMS {
        if arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name) {
            runtime.block_on(run(name, &arguments));
        }
    }
}

async fn run(name: &'static str, arguments: &Arguments) {
    let how = if arguments.quick { "a smoke run" } else { "a full run" };
    let mut report = Report::new(name, how);
    let figures: Value = match name {
        "cold" => cold::run(arguments, &mut report).await,
        "tokens" => tokens::run(arguments, &mut report).await,
        "request" => request::run(arguments, &mut report).await,
        "outage" => outage::run(arguments, &mut report).await,
        "flood" => flood::run(arguments, &mut report).await,
        "fairness" => fairness::run(arguments, &mut report).await,
        _ => fleet::run(arguments, &mut report).await,
    };
    report.finish(&arguments.out, figures);
}
