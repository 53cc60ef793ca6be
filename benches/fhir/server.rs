//! What the servers are asked, and what asking costs.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::data::Size;
use crate::load;
use crate::shared::{Report, Times, Wire, get, median, micros};

/// A server in a process of its own.
pub struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    pub token: Option<String>,
    pub pid: u32,
}

/// A question in many variants, in the words of each server.
pub struct Asked {
    pub name: &'static str,
    pub gateway: Vec<String>,
    pub handwritten: Vec<String>,
}

impl Asked {
    /// The same of a hand-written server that sees all of a page as of one moment, as the gateway does.
    pub fn in_one_moment(&self) -> Self {
        let handwritten =
            self.handwritten.iter().map(|path| format!("{path}&snapshot=1")).collect();
        Self { name: "the same, one snapshot", gateway: self.gateway.clone(), handwritten }
    }
}

/// One round.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_us: f64,
}

impl Run {
    pub fn json(&self) -> Value {
        json!({
            "requests_per_second": self.rate, "p50_us": self.p50_us, "p99_us": self.p99_us, "cpu_us_per_request": self.cpu_us,
        })
    }
}

/// The median of each figure.
pub fn middle(runs: &[Run]) -> Run {
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    Run {
        rate: of(|r| r.rate),
        p50_us: of(|r| r.p50_us),
        p99_us: of(|r| r.p99_us),
        cpu_us: of(|r| r.cpu_us),
    }
}

impl Server {
    /// CPU time of the process so far, in microseconds (`/proc/PID/stat`, 100 ticks a second on Linux).
    pub fn cpu_us(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
        ticks * 10_000
    }

    /// Puts it under load for a while.
    pub async fn run(&self, paths: &[String], clients: usize, span: Duration) -> Run {
        let before = self.cpu_us();
        let load = load::run(self.address, paths, self.token.as_deref(), clients, span).await;
        assert_eq!(load.errors, 0, "{} answered with errors", self.name);
        let cpu_us = (self.cpu_us() - before) as f64 / load.requests as f64;
        Run { rate: load.per_second(), p50_us: load.p50_us, p99_us: load.p99_us, cpu_us }
    }

    /// One answer.
    pub async fn get(&self, path: &str) -> Value {
        let mut wire = Wire::open(self.address).await.unwrap();
        let answered = wire.send(&get(path, self.token.as_deref())).await.unwrap();
        let body = String::from_utf8_lossy(wire.body()).into_owned();
        assert_eq!(answered.status, 200, "{} {path}: {body}", self.name);
        serde_json::from_str(&body).unwrap()
    }
}

fn next(page: &Value) -> Option<String> {
    let links = page["link"].as_array().unwrap();
    let url = links.iter().find(|link| link["relation"] == "next")?["url"].as_str().unwrap();
    url.find("/fhir/").map(|at| url[at..].to_owned())
}

/// The first pages of all patients, each at an address of its own.
pub async fn pages(server: &Server, count: usize) -> Asked {
    let mut asked =
        Asked { name: "page of 50, three children", gateway: Vec::new(), handwritten: Vec::new() };
    let mut path = "/fhir/Patient?_count=50".to_owned();
    let mut after = 0;
    for _ in 0..count {
        let page = server.get(&path).await;
        asked.gateway.push(path);
        asked.handwritten.push(format!("/Patient?after={after}"));
        after += 50;
        match next(&page) {
            Some(further) => path = further,
            None => break,
        }
    }
    asked
}

/// Searches by name, by identifier, and by code and date.
pub fn searches(size: Size) -> Vec<Asked> {
    let numbers = || (0..499_u32).map(move |n| n * 7919 % size.names);
    let asked = |name, gateway: &dyn Fn(u32) -> String, by_hand: &dyn Fn(u32) -> String| Asked {
        name,
        gateway: numbers().map(gateway).collect(),
        handwritten: numbers().map(by_hand).collect(),
    };
    let day = |n: u32| format!("{}-{:02}-{:02}", 2020 + n % 5, 1 + n % 12, 1 + n % 28);
    vec![
        asked(
            "family (folded prefix)",
            &|n| format!("/fhir/Patient?family=fam{n:06}&_count=50"),
            &|n| format!("/Patient?family=fam{n:06}"),
        ),
        asked(
            "family:exact",
            &|n| format!("/fhir/Patient?family:exact=Fam{n:06}x&_count=50"),
            &|n| format!("/Patient?exact=Fam{n:06}x"),
        ),
        asked(
            "identifier",
            &|n| format!("/fhir/Patient?identifier=urn:mrn%7CID-{}&_count=50", 2 + n * 2),
            &|n| format!("/Patient?identifier=ID-{}", 2 + n * 2),
        ),
        asked(
            "code and date",
            &|n| format!("/fhir/Observation?code={}-1&date=ge{}&_count=50", n % 50, day(n)),
            &|n| format!("/Observation?code={}-1&date={}", n % 50, day(n)),
        ),
    ]
}

/// What other servers were asked on the small database.
pub fn questions_of_others(size: Size) -> Vec<Asked> {
    let asked = |name, path: &dyn Fn(u32) -> String| Asked {
        name,
        gateway: (0..997_u32).map(path).collect(),
        handwritten: Vec::new(),
    };
    vec![
        asked("Patient/{id}", &|n| format!("/fhir/Patient/{}", 1 + n * 7919 % size.patients)),
        asked("Patient?family, 20 rows", &|n| {
            format!("/fhir/Patient?family=fam{:06}", n % size.names)
        }),
        asked("Patient?family:exact, 20 rows", &|n| {
            format!("/fhir/Patient?family:exact=Fam{:06}x", n % size.names)
        }),
        asked("Observation?patient, 50 rows", &|n| {
            format!("/fhir/Observation?patient={}&_count=50", 1 + n % size.with_observations)
        }),
    ]
}

/// A comparison of servers that do not do the same would be none.
pub async fn same_answers(ours: &Server, theirs: &Server, asked: &Asked) {
    let resources = |page: Value| -> Vec<Value> {
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        entries.into_iter().map(|entry| entry["resource"].clone()).collect()
    };
    for at in [0, 1, 7, asked.gateway.len() - 1] {
        let mine = resources(ours.get(&asked.gateway[at]).await);
        let other = resources(theirs.get(&asked.handwritten[at]).await);
        assert!(!mine.is_empty(), "{} finds nothing", asked.gateway[at]);
        assert_eq!(mine, other, "{}", asked.gateway[at]);
    }
}

/// Paging behind all the rows against paging before them, one client.
pub async fn far_page(report: &mut Report, server: &Server, size: Size) -> Value {
    let start = "/fhir/Observation?_count=1000".to_owned();
    let mut path = start.clone();
    let mut rows = 0;
    while rows + 1000 < size.observations {
        let page = server.get(&path).await;
        rows += 1000;
        path = next(&page).expect("a next page");
    }
    let (first, last) = (start.replace("=1000", "=50"), path.replace("_count=1000", "_count=50"));
    let mut wire = Wire::open(server.address).await.unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..600 {
        let at = round % 2;
        let request = get([&first, &last][at], server.token.as_deref());
        let answered = wire.send(&request).await.unwrap();
        assert_eq!(answered.status, 200);
        times[at].push(answered.whole);
    }
    let [near, far] = times.map(|times| micros(Times::of(times).at(0.5)));
    report.line(format!(
        "page of 50 observations, one client: at row 0 p50 {near:.0} us, at row {rows} p50 {far:.0} us ({:.2} times)",
        far / near
    ));
    json!({ "row": rows, "p50_us_at_row_0": near, "p50_us_there": far })
}
