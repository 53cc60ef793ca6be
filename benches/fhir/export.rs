//! Everything a hospital has, as a bulk export: how fast it comes, and what it costs in memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::Server;
use crate::shared::Report;
use crate::support::{Gateway, Reply};

/// What came of one file.
#[derive(Default)]
struct Came {
    resources: usize,
    bytes: usize,
    /// The most memory the gateway was seen to have, in KiB.
    peak: u64,
}

/// Orders an export of everything and fetches its files, one after the other.
pub async fn everything(report: &mut Report, gateway: &Gateway, server: &Server) -> Value {
    let token = server.token.as_deref().unwrap();
    let order = gateway.http.get(format!("{}/$export", gateway.fhir)).bearer_auth(token);
    let ordered = Reply::of(order.header("prefer", "respond-async")).await.unwrap();
    assert_eq!(ordered.status, 202, "{ordered:?}");
    let here = |url: &str| url[url.find("/fhir/").unwrap() + "/fhir".len()..].to_owned();
    let manifest = gateway.get(token, &here(ordered.header("content-location"))).await.json();
    let (began, cpu, before) = (Instant::now(), server.cpu_us(), memory(server.pid));
    let mut all = Came { peak: before, ..Came::default() };
    for file in manifest["output"].as_array().unwrap() {
        fetch(gateway, token, &here(file["url"].as_str().unwrap()), server.pid, &mut all).await;
    }
    let (took, cpu) = (began.elapsed(), server.cpu_us() - cpu);
    let megabytes = all.bytes as f64 / 1e6;
    let a_minute = megabytes / took.as_secs_f64() * 60.0;
    let each = cpu as f64 / all.resources as f64;
    report.line(format!(
        "export of everything: {} resources, {megabytes:.0} MB in {:.1} s: {a_minute:.0} MB/min, CPU {each:.1} us a resource, \
         memory {} MiB before, {} MiB at most",
        all.resources, took.as_secs_f64(), before / 1024, all.peak / 1024
    ));
    json!({
        "resources": all.resources, "bytes": all.bytes, "seconds": took.as_secs_f64(), "megabytes_a_minute": a_minute,
        "cpu_us_a_resource": each, "memory_kib_before": before, "memory_kib_at_most": all.peak,
    })
}

async fn fetch(gateway: &Gateway, token: &str, path: &str, pid: u32, all: &mut Came) {
    let request = gateway.http.get(format!("{}{path}", gateway.fhir)).bearer_auth(token);
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let mut looked = Instant::now();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        all.bytes += chunk.len();
        all.resources += chunk.split(|byte| *byte == b'\n').count() - 1;
        if looked.elapsed() > Duration::from_millis(50) {
            looked = Instant::now();
            all.peak = all.peak.max(memory(pid));
        }
    }
}

/// Resident memory of a process, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
