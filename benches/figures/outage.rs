//! One hospital's database is refused, or hangs: what its callers wait, what the others notice, and how
//! long it takes to come back. With the settings as delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fault_proxy::{Fault, FaultProxy, Side};
use crate::harness::{Database, Postgres};
use crate::shared::{Arguments, Report, Times, Wire, get, median, millis};
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};
use crate::world::address;

const SILENCE: Fault = Fault::Freeze { side: Side::Both, after: 0 };
/// Callers of the sick hospital, each asking this often, in sickness and in health.
const SICK_CALLERS: usize = 8;
const SICK_PACE: Duration = Duration::from_millis(50);
/// Callers of the well ones, each with a pause, so that the machine is busy and not full.
const WELL_CALLERS: usize = 4;
const WELL_PACE: Duration = Duration::from_millis(2);
/// A recovery that takes longer is reported as this.
const LONGEST: Duration = Duration::from_mins(2);

struct Ward {
    gateway: Gateway,
    proxy: FaultProxy,
    sick: Vec<u8>,
    well: Vec<u8>,
    _issuer: TestIssuer,
    _databases: [Database; 2],
}

/// What a caller was told, when she asked (since the run began), and how long it took.
struct Asked {
    at: Duration,
    status: u16,
    took: Duration,
}

impl Ward {
    async fn open() -> Self {
        let issuer = TestIssuer::for_tenants(&["sick", "well"]).await;
        let databases = [Postgres::database().await, Postgres::database().await];
        let server = databases[0].server.port;
        let proxy = FaultProxy::start(([127, 0, 0, 1], server).into()).await;
        let ports = [proxy.address().port(), server];
        let options = Options {
            egress: ports.iter().map(|port| format!("127.0.0.1/32:{port}")).collect(),
            // Everything else as delivered; the rate is what this program asks for.
            settings: "[limits]\nrequests_per_second = 100000\n".to_owned(),
            log_level: Some("warn"),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        for ((name, database), port) in ["sick", "well"].into_iter().zip(&databases).zip(ports) {
            database.execute(&patients_sql("mark", 1..20)).await;
            gateway.register(name, database.connection(port)).await;
            gateway.publish(name, &mapping("1")).await;
        }
        let request = |name| get("/fhir/Patient/1", Some(&issuer.token(name)));
        let (sick, well) = (request("sick"), request("well"));
        let ward = Self { gateway, proxy, sick, well, _issuer: issuer, _databases: databases };
        for request in [&ward.sick, &ward.well] {
            assert_eq!(ward.once(request).await.0, 200);
        }
        ward
    }

    async fn wire(&self) -> Wire {
        let mut wire = Wire::open(address(&self.gateway.fhir)).await.unwrap();
        wire.send(&get("/healthz", None)).await.unwrap();
        wire
    }

    async fn once(&self, request: &[u8]) -> (u16, Duration) {
        let answered = self.wire().await.send(request).await.unwrap();
        (answered.status, answered.whole)
    }

    /// Callers of both hospitals for a while: first the sick one's answers, then the well one's.
    async fn load(&self, span: Duration) -> (Vec<Asked>, Vec<Asked>) {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for caller in 0..SICK_CALLERS + WELL_CALLERS {
            let sick = caller < SICK_CALLERS;
            let (request, pace) =
                if sick { (&self.sick, SICK_PACE) } else { (&self.well, WELL_PACE) };
            let (stop, request, mut wire) = (Arc::clone(&stop), request.clone(), self.wire().await);
            tasks.spawn(async move {
                let (begun, mut asked) = (Instant::now(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let at = begun.elapsed();
                    let answered = wire.send(&request).await.unwrap();
                    asked.push(Asked { at, status: answered.status, took: answered.whole });
                    tokio::time::sleep(pace).await;
                }
                (sick, asked)
            });
        }
        tokio::time::sleep(span).await;
        stop.store(true, Ordering::Relaxed);
        let (mut sick, mut well) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (is_sick, asked) = done.unwrap();
            if is_sick { &mut sick } else { &mut well }.extend(asked);
        }
        (sick, well)
    }

    async fn breaker(&self) -> String {
        let view = self.gateway.view("tenants/sick/breaker").await;
        view["state"].as_str().unwrap_or("none").to_owned()
    }

    /// From now until the sick hospital answers again.
    async fn recovery(&self) -> Duration {
        let begun = Instant::now();
        let mut wire = self.wire().await;
        loop {
            if wire.send(&self.sick).await.unwrap().status == 200 || begun.elapsed() > LONGEST {
                return begun.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Permits of the sick lane that never came back, once nobody asks any more.
    async fn lost(&self) -> u64 {
        let begun = Instant::now();
        loop {
            let pool = self.gateway.view("tenants/sick/pool").await;
            let held = pool["in_use"].as_u64().unwrap() + pool["waiting"].as_u64().unwrap();
            if held == 0 || begun.elapsed() > Duration::from_secs(30) {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Healthy again, whatever state the breaker was left in.
    async fn reset(&self) {
        self.proxy.heal().await;
        let path = "tenants/sick/breaker/reset";
        self.gateway.operate(reqwest::Method::POST, path, None, None).await;
        self.recovery().await;
    }
}

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let ward = Ward::open().await;
    let refused = refused(&ward, arguments.number("rounds", 1, 5), report).await;
    let hung = hung(&ward, arguments, report).await;
    json!({ "refused": refused, "hung": hung })
}

/// A database whose port is closed: the first answer, and those of the open breaker.
async fn refused(ward: &Ward, rounds: u64, report: &mut Report) -> Value {
    let (mut first, mut open, mut until_open, mut recovery) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ward.reset().await;
        ward.proxy.set(Fault::Refuse).await;
        ward.proxy.reset_open().await;
        let mut wire = ward.wire().await;
        let mut answers = 0_u64;
        while ward.breaker().await != "open" {
            let answered = wire.send(&ward.sick).await.unwrap();
            assert_eq!(answered.status, 503);
            if answers == 0 {
                first.push(answered.first);
            }
            answers += 1;
            assert!(answers < 100, "the breaker does not open");
        }
        until_open.push(answers);
        for _ in 0..200 {
            let answered = wire.send(&ward.sick).await.unwrap();
            assert_eq!(answered.status, 503);
            open.push(answered.first);
        }
        ward.proxy.heal().await;
        recovery.push(ward.recovery().await);
    }
    let (first, open, recovery) = (Times::of(first), Times::of(open), Times::of(recovery));
    let most = until_open.iter().max().copied().unwrap_or_default();
    let [open_p50, open_p99] = [0.5, 0.99].map(|share| millis(open.at(share)));
    let (first, recovery) = ([first.at(0.5), first.at(1.0)], [recovery.at(0.5), recovery.at(1.0)]);
    let ([first_p50, first_worst], [recovery_p50, recovery_worst]) =
        (first.map(millis), recovery.map(millis));
    report.line(format!(
        "refused: first answer p50 {first_p50:.2} ms, worst {first_worst:.2} ms; the breaker opens after {most} \
         answers at most; open p50 {open_p50:.3} ms, p99 {open_p99:.3} ms; served again {recovery_p50:.0} ms \
         after the fault ends, worst {recovery_worst:.0} ms ({rounds} rounds)"
    ));
    json!({ "first_answer_p50_ms": first_p50, "first_answer_worst_ms": first_worst,
        "answers_until_open": most, "open_p50_ms": open_p50, "open_p99_ms": open_p99,
        "recovery_p50_ms": recovery_p50, "recovery_worst_ms": recovery_worst })
}

/// A database that falls silent: undisturbed and disturbed runs in turn.
async fn hung(ward: &Ward, arguments: &Arguments, report: &mut Report) -> Value {
    let rounds = arguments.number("rounds", 1, 5);
    let span = Duration::from_secs(arguments.number("outage-seconds", 8, 15));
    let (mut ratios, mut waits, mut recoveries, mut before, mut during, mut lost) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    let mut rejected = 0;
    for _ in 0..rounds {
        ward.reset().await;
        let (_, calm) = ward.load(span).await;
        ward.proxy.set(SILENCE).await;
        let (sick, disturbed) = ward.load(span).await;
        ward.proxy.heal().await;
        recoveries.push(ward.recovery().await);
        lost += ward.lost().await;
        assert!(
            sick.iter().all(|asked| matches!(asked.status, 429 | 503 | 504)),
            "an answer from a silence"
        );
        assert!(
            calm.iter().chain(&disturbed).all(|asked| asked.status == 200),
            "the others suffer"
        );
        // Callers who meet the silence themselves, not a breaker that knows of it already.
        rejected += sick.iter().filter(|asked| asked.took < Duration::from_millis(20)).count();
        waits.extend(sick.iter().map(|asked| (asked.at, asked.took)));
        let p99 = |asked: &[Asked]| Times::of(asked.iter().map(|a| a.took).collect()).at(0.99);
        let (calm, disturbed) = (p99(&calm), p99(&disturbed));
        ratios.push(disturbed.as_secs_f64() / calm.as_secs_f64());
        before.push(millis(calm));
        during.push(millis(disturbed));
    }
    let all = Times::of(waits.iter().map(|(_, took)| *took).collect());
    let wait = millis(all.at(1.0));
    let met = Times::of(
        waits.iter().map(|(_, took)| *took).filter(|t| *t >= Duration::from_millis(20)).collect(),
    );
    let met_p50 = millis(met.at(0.5));
    let recoveries = Times::of(recoveries);
    let [recovery_p50, recovery_worst] = [0.5, 1.0].map(|share| millis(recoveries.at(share)));
    let (ratio, before, during) = (median(ratios), median(before), median(during));
    report.line(format!(
        "hung: the sick one's callers wait {wait:.0} ms at most, p50 {met_p50:.0} ms where they meet the silence \
         ({} of {}; {rejected} were turned away at once); the others' p99 {before:.2} ms undisturbed, {during:.2} ms \
         meanwhile, ratio {ratio:.2}; served again {recovery_p50:.0} ms after the fault ends, worst \
         {recovery_worst:.0} ms; {lost} permits lost ({rounds} rounds of {} s)",
        met.len(), all.len(), span.as_secs()
    ));
    json!({ "wait_worst_ms": wait, "wait_p50_ms": met_p50, "others_p99_ms": before,
        "others_p99_during_ms": during, "others_p99_ratio": ratio, "recovery_p50_ms": recovery_p50,
        "recovery_worst_ms": recovery_worst, "permits_lost": lost, "seconds": span.as_secs() })
}
