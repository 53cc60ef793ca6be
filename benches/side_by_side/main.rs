//! Reading a patient by id: the whole gateway (token, tenant, lane, mapping, access log on disk) against
//! what people write by hand, a bare axum handler over `sqlx::PgPool`, on the same PostgreSQL, in the
//! same run, in alternating rounds. Prints a table and, as the last line, JSON.
//!
//! Needs a PostgreSQL: `tests/servers.sh up postgres && eval "$(tests/servers.sh env)"`, then
//! `cargo bench --bench side_by_side`. `WARDGATE_BENCH_SECONDS` (3) and `WARDGATE_BENCH_ROUNDS` (5) set
//! its length.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench talks to its caller, and what it cannot set up it cannot measure"
)]

mod baseline;
mod gateway;
mod load;

use std::net::SocketAddr;
use std::time::Duration;

use load::Measured;
use serde_json::json;

/// Rows in the table; ids are 1 to this.
const PATIENTS: u32 = 100_000;

/// A server under load and the process whose CPU time is its own.
struct Contestant {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    token: Option<String>,
    process: std::process::Child,
}

impl Drop for Contestant {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Contestant {
    /// CPU time of the process so far, in microseconds (`/proc/PID/stat`, 100 ticks a second).
    fn cpu_us(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
        ticks * 10_000
    }

    async fn run(&self, clients: usize, span: Duration) -> (Measured, f64) {
        let ids =
            (0..997u32).map(|n| format!("{}{}", self.path, 1 + n * 7919 % PATIENTS)).collect();
        let before = self.cpu_us();
        let measured = load::run(self.address, ids, self.token.clone(), clients, span).await;
        assert_eq!(measured.errors, 0, "{} answered with errors", self.name);
        let cpu = (self.cpu_us() - before) as f64 / measured.requests as f64;
        (measured, cpu)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|a| a == "baseline") {
        Some(at) => runtime.block_on(baseline::serve(&arguments[at + 1], &arguments[at + 2])),
        None => runtime.block_on(compare()),
    }
}

async fn compare() {
    let span = Duration::from_secs(setting("WARDGATE_BENCH_SECONDS", 3));
    let rounds = setting("WARDGATE_BENCH_ROUNDS", 5);
    let database = gateway::Database::create(PATIENTS).await;
    let gateway = gateway::start(&database).await;
    let contestants = [
        gateway.contestant,
        baseline::start("default pool", &database, "default"),
        baseline::start("tuned pool", &database, "tuned"),
    ];
    println!(
        "{:>8} {:<13} {:>9} {:>8} {:>8} {:>8}",
        "clients", "server", "req/s", "p50 us", "p99 us", "cpu us"
    );
    let mut runs = Vec::new();
    for clients in [8, 64] {
        for contestant in &contestants {
            contestant.run(clients, Duration::from_secs(1)).await;
        }
        let mut results: Vec<Vec<(Measured, f64)>> = vec![Vec::new(); contestants.len()];
        for _ in 0..rounds {
            for (contestant, results) in contestants.iter().zip(&mut results) {
                results.push(contestant.run(clients, span).await);
            }
        }
        let mut rates = Vec::new();
        for (contestant, results) in contestants.iter().zip(&results) {
            let of = |f: &dyn Fn(&(Measured, f64)) -> f64| median(results.iter().map(f).collect());
            let rate = of(&|r| r.0.per_second());
            let (p50, p99) = (of(&|r| r.0.p50_us as f64), of(&|r| r.0.p99_us as f64));
            let cpu = of(&|r| r.1);
            println!(
                "{clients:>8} {:<13} {rate:>9.0} {p50:>8.0} {p99:>8.0} {cpu:>8.1}",
                contestant.name
            );
            rates.push((rate, p50, p99, cpu));
        }
        // Round by round, so that a machine that changes its pace favours nobody.
        let ratio = |other: usize| {
            let pairs = results[0].iter().zip(&results[other]);
            median(pairs.map(|(a, b)| a.0.per_second() / b.0.per_second()).collect())
        };
        let (_, p50, p99, cpu) = rates[0];
        println!(
            "{clients:>8} gateway / default pool = {:.2}, / tuned pool = {:.2}",
            ratio(1),
            ratio(2)
        );
        runs.push(json!({
            "name": "read by id", "clients": clients,
            "ratio_to_default_pool": ratio(1), "ratio_to_tuned_pool": ratio(2),
            "cpu_us_per_request": cpu, "p50_us": p50, "p99_us": p99,
        }));
    }
    println!("{}", json!({ "runs": runs }));
    drop(contestants);
    database.drop_it().await;
}
