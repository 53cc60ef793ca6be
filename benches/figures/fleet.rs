//! Memory and handles of many hospitals; the program is `tests/servers/fleet.rs`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::servers::fleet::{Outcome, Plan, Reading, run as run_fleet};
use crate::shared::{Arguments, Report, millis};

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let registered = arguments.numbers("registered", if arguments.quick { &[20] } else { &[1000] });
    let warm = arguments.numbers("warm", if arguments.quick { &[8] } else { &[200] });
    assert_eq!(registered.len(), warm.len(), "--registered and --warm go together");
    assert!(warm.iter().all(|warm| *warm > 1), "--warm wants two at least");
    let mut figures = Vec::new();
    for (registered, warm) in registered.into_iter().zip(warm) {
        // Warming takes about 20 ms for each; the first must not be idle before the last is asked.
        let idle = arguments.number("idle-seconds", 5, 10 + warm / 10);
        let plan = Plan { registered, warm, idle: Duration::from_secs(idle) };
        let outcome = run_fleet(plan).await;
        report.line(format!(
            "fleet: {registered} registered, {warm} warm over {} connections: {:.1} MiB resident; {:.1} KiB a warm \
             tenant ({:.1} after its first request); all closed {:.1} s after the last answer, {:.1} s after the \
             idle time of {idle} s; handles {}",
            outcome.sessions,
            outcome.warm.resident as f64 / 1024.0,
            each(&outcome.first, &outcome.warm, warm - 1),
            each(&outcome.first, &outcome.once, warm - 1),
            outcome.closed_after.as_secs_f64(),
            outcome.closed_after.as_secs_f64() - plan.idle.as_secs_f64(),
            if outcome.handles_back { "back to what they were" } else { "NOT back" },
        ));
        for (name, reading) in moments(&outcome) {
            report.line(format!(
                "fleet:   {name:<28} {:>7.1} MiB resident, {:>7.1} MiB anonymous, {:>5} sockets, {:>4} log files, \
                 {:>3} of registry and keys, {:>3} other handles",
                reading.resident as f64 / 1024.0,
                reading.memory as f64 / 1024.0,
                reading.sockets,
                reading.log_files,
                reading.store_files,
                reading.others
            ));
        }
        figures.push(json!({ "registered": registered, "warm": warm, "sessions": outcome.sessions,
            "resident_mib": outcome.warm.resident as f64 / 1024.0,
            "kib_per_warm_tenant": each(&outcome.first, &outcome.warm, warm - 1),
            "idle_closed_after_idle_time_s": (millis(outcome.closed_after) - millis(plan.idle)) / 1e3,
            "handles_back": outcome.handles_back,
            "resident_started_mib": outcome.started.resident as f64 / 1024.0,
            "resident_idle_mib": outcome.idle.resident as f64 / 1024.0 }));
    }
    json!(figures)
}

/// What each of so many added, in KiB.
fn each(before: &Reading, after: &Reading, tenants: u64) -> f64 {
    (after.memory as f64 - before.memory as f64) / tenants as f64
}

fn moments(outcome: &Outcome) -> [(&'static str, Reading); 5] {
    [
        ("started, none asked", outcome.started),
        ("one asked", outcome.first),
        ("each warm one asked once", outcome.once),
        ("each ten times more", outcome.warm),
        ("all lanes closed", outcome.idle),
    ]
}
