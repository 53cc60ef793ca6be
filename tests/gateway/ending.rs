//! The gateway ends while it is asked: whoever it has heard is answered, and whoever was answered stands in the
//! access log.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::commands::run;
use crate::support::{Gateway, Options, TestIssuer};
use crate::world;

/// Callers at once.
const CALLERS: usize = 16;
/// Answers before the gateway is told to end.
const BEFORE: u64 = 300;
/// Requests that are on their way when it is told so.
const ASKED: usize = 100;
const LIMITS: &str = "[limits]\nrequests_per_second = 100000\nconcurrent_requests = 1000\n";

/// What the callers saw until nobody answered any more.
#[derive(Default)]
struct Seen {
    /// The ids of requests that were answered whole.
    answered: BTreeSet<String>,
    /// Requests sent over a connection that was closed without a byte.
    unanswered: usize,
    /// Answers that broke off.
    broken: usize,
}

/// One answer: whole, or what came of it.
async fn answer(stream: &mut TcpStream) -> Result<String, Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let value = |name: &str| {
                let line = head.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("no {name} in {head}")).trim().to_owned()
            };
            let length: usize = value("content-length:").parse().unwrap();
            if bytes.len() >= end + 4 + length {
                assert!(head.starts_with("http/1.1 200"), "{head}");
                return Ok(value("x-request-id:"));
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return Err(bytes),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// Asks again and again, over one connection as long as it lasts, until nobody listens.
async fn caller(address: String, request: Vec<u8>, count: Arc<AtomicU64>) -> Seen {
    let (mut seen, mut open) = (Seen::default(), None);
    loop {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(&address).await {
                Ok(stream) => stream,
                Err(_) => return seen,
            },
        };
        // Bytes for somebody who has gone are refused when they are sent or when the answer is read.
        let _refused = stream.write_all(&request).await;
        match answer(&mut stream).await {
            Ok(id) => {
                count.fetch_add(1, Ordering::Relaxed);
                seen.answered.insert(id);
                open = Some(stream);
            }
            Err(bytes) if bytes.is_empty() => seen.unanswered += 1,
            Err(_) => seen.broken += 1,
        }
    }
}

/// A gateway, where it listens, and what is asked of it.
async fn prepared(issuer: &TestIssuer) -> (Gateway, String, Vec<u8>) {
    let options =
        Options { settings: LIMITS.to_owned(), log_level: Some("warn"), ..Options::default() };
    let gateway = world::hospitals(issuer, &["north"], options).await;
    let address =
        gateway.fhir.strip_prefix("http://").unwrap().trim_end_matches("/fhir").to_owned();
    let request = format!(
        "GET /fhir/Patient/1001 HTTP/1.1\r\nhost: gateway.test\r\n\
         authorization: Bearer {}\r\n\r\n",
        issuer.token("north")
    );
    (gateway, address, request.into_bytes())
}

fn tell(gateway: &Gateway, signal: Signal) {
    kill_process(Pid::from_raw(gateway.pid().cast_signed()).unwrap(), signal).unwrap();
}

async fn ended(gateway: &Gateway) {
    let begun = Instant::now();
    while gateway.runs() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lets callers ask, tells the gateway to end, and gives back what they saw and the requests in its access log.
async fn end(signal: Signal) -> (Seen, BTreeSet<String>) {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let (gateway, address, request) = prepared(&issuer).await;
    let count = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(caller(address.clone(), request.clone(), Arc::clone(&count)));
    }
    while count.load(Ordering::Relaxed) < BEFORE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tell(&gateway, signal);
    let mut all = Seen::default();
    while let Some(seen) = callers.join_next().await {
        let seen = seen.unwrap();
        all.answered.extend(seen.answered);
        all.unanswered += seen.unanswered;
        all.broken += seen.broken;
    }
    ended(&gateway).await;
    if signal == Signal::KILL {
        taken_up(&gateway);
    }
    (all, logged(&gateway))
}

/// The next gateway takes up what was promised and not yet filed.
fn taken_up(gateway: &Gateway) {
    let settings = gateway.folder().join("wardgate.toml");
    let mut next = Command::new(env!("CARGO_BIN_EXE_wardgate"))
        .env_clear()
        .arg("--config")
        .arg(settings)
        .arg("serve")
        .current_dir(gateway.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the next gateway");
    let mut lines = BufReader::new(next.stderr.take().unwrap()).lines().map_while(Result::ok);
    let serves = lines.any(|line| line.starts_with("serving FHIR on "));
    let pid = Pid::from_raw(next.id().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let _status = next.wait().unwrap();
    assert!(serves, "the next gateway does not start");
}

/// The requests in the access log, which is whole.
fn logged(gateway: &Gateway) -> BTreeSet<String> {
    let verified = run(gateway, &["audit", "verify", "north"], "");
    assert!(verified.status.success(), "{verified:?}");
    let events = run(gateway, &["audit", "export", "north"], "");
    assert!(events.status.success(), "{events:?}");
    let read = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        (event["action"] == "read").then(|| event["request"].as_str().unwrap().replace('-', ""))
    };
    String::from_utf8(events.stdout).unwrap().lines().filter_map(read).collect()
}

fn plain(ids: &BTreeSet<String>) -> BTreeSet<String> {
    ids.iter().map(|id| id.replace('-', "")).collect()
}

/// The gateway stands still, as on a busy machine, while it is asked over new connections and over such as idled,
/// and told to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_told_to_end_answers_whoever_has_asked() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let (gateway, address, request) = prepared(&issuer).await;
    let mut streams = Vec::new();
    let mut before = BTreeSet::new();
    for _ in 0..ASKED / 4 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        before.insert(answer(&mut stream).await.unwrap());
        streams.push(stream);
    }
    tell(&gateway, Signal::STOP);
    while streams.len() < ASKED {
        streams.push(TcpStream::connect(&address).await.unwrap());
    }
    for stream in &mut streams {
        stream.write_all(&request).await.unwrap();
    }
    tell(&gateway, Signal::TERM);
    tell(&gateway, Signal::CONT);
    let mut answered = BTreeSet::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        answered.insert(answer(stream).await.unwrap_or_else(|heard| panic!("{at}: {heard:?}")));
    }
    ended(&gateway).await;
    assert_eq!(answered.len(), ASKED);
    answered.append(&mut before);
    assert_eq!(plain(&answered), logged(&gateway));
}

/// Over a connection that idles, a request may be on its way while the connection is being closed: it was never
/// heard, and a balancer sends it to another gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_told_to_end_breaks_off_no_answer() {
    let (seen, logged) = end(Signal::TERM).await;
    assert_eq!(seen.broken, 0, "of {}", seen.answered.len());
    assert_eq!(plain(&seen.answered), logged, "{} were not heard", seen.unanswered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_has_answered_nobody_without_an_event() {
    let (seen, logged) = end(Signal::KILL).await;
    let without: Vec<_> = plain(&seen.answered).difference(&logged).cloned().collect();
    assert!(without.is_empty(), "{} of {}", without.len(), seen.answered.len());
}

/// The other layer is rewrapped; here each hospital's record is sealed anew, one after the other, beside a gateway
/// that serves them.
#[tokio::test]
async fn a_rotation_of_data_keys_killed_at_any_moment_loses_no_hospital() {
    let names = ["north", "south", "east", "west", "lakes", "hills"];
    let issuer = TestIssuer::for_tenants(&names).await;
    let gateway = world::hospitals(&issuer, &names, Options::default()).await;
    let rotate = || {
        Command::new(env!("CARGO_BIN_EXE_wardgate"))
            .env_clear()
            .args(["--json", "--config"])
            .arg(gateway.folder().join("wardgate.toml"))
            .args(["keys", "rotate", "--data-keys"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run the program")
    };
    let whole = async || {
        let checked = run(&gateway, &["--json", "keys", "check"], "");
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!((&report["faults"], &report["records"]), (&0.into(), &names.len().into()));
        for (at, name) in names.iter().enumerate() {
            let drain = format!("tenants/{name}/pool/drain");
            let drained = gateway.operate(reqwest::Method::POST, &drain, None, None).await;
            assert_eq!(drained.status, 204, "{drained:?}");
            let path = format!("/Patient/{}001", at + 1);
            let read = gateway.get(&issuer.token(name), &path).await;
            assert_eq!(read.status, 200, "{name}: {read:?}");
        }
    };
    let begun = Instant::now();
    let done = rotate().wait_with_output().unwrap();
    let (took, steps) = (begun.elapsed(), 12);
    let all = |done: std::process::Output| {
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report["changed"], names.len(), "{report}");
    };
    all(done);
    for step in 0..steps {
        let mut killed = rotate();
        tokio::time::sleep(took * (steps + step) / (2 * steps)).await;
        let _over = killed.kill().is_err();
        let _status = killed.wait().unwrap();
        whole().await;
    }
    all(rotate().wait_with_output().unwrap());
    whole().await;
}
