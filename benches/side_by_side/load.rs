//! A closed-loop HTTP/1.1 load generator: each client sends its next request when the last is answered.
//! It runs in a process of its own, so that the servers' CPU time can be told from its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::shared::{Times, Wire, get, micros};

/// What one run of one server under one number of clients gave.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub requests: u64,
    pub errors: u64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Sends GET requests to `address` for `span`. `paths` are taken in turn by every client.
pub async fn run(
    address: SocketAddr,
    paths: &[String],
    token: Option<&str>,
    clients: usize,
    span: Duration,
) -> Measured {
    let requests: Vec<_> = paths.iter().map(|path| get(path, token)).collect();
    let requests = Arc::new(requests);
    let begun = Instant::now();
    let until = begun + span;
    let mut tasks = Vec::new();
    for client in 0..clients {
        tasks.push(tokio::spawn(one(address, Arc::clone(&requests), client * 7919, until)));
    }
    let (mut times, mut errors) = (Vec::new(), 0);
    for task in tasks {
        let (mine, failed) = task.await.unwrap();
        times.extend(mine);
        errors += failed;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let times = Times::of(times);
    Measured {
        requests: times.len() as u64,
        errors,
        seconds,
        p50_us: micros(times.at(0.5)),
        p99_us: micros(times.at(0.99)),
    }
}

async fn one(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    mut next: usize,
    until: Instant,
) -> (Vec<Duration>, u64) {
    let (mut times, mut errors) = (Vec::with_capacity(50_000), 0);
    while Instant::now() < until {
        let Some(mut wire) = Wire::open(address).await else {
            errors += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while Instant::now() < until {
            let answered = wire.send(&requests[next % requests.len()]).await;
            next += 1;
            match answered {
                Some(answered) if answered.status == 200 => times.push(answered.whole),
                Some(_) => errors += 1,
                None => {
                    errors += 1;
                    break;
                }
            }
        }
    }
    (times, errors)
}
