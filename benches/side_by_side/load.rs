//! A closed-loop HTTP/1.1 load generator: each client sends its next request when the last is answered.
//! It runs as a process of its own, so that the servers' CPU time can be told from its own.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one run of one server under one number of clients gave.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Measured {
    pub requests: u64,
    pub errors: u64,
    pub seconds: f64,
    pub p50_us: u64,
    pub p99_us: u64,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Sends GET requests to `address` for `span`. `paths` are taken in turn by every client.
pub async fn run(
    address: std::net::SocketAddr,
    paths: Vec<String>,
    token: Option<String>,
    clients: usize,
    span: Duration,
) -> Measured {
    let authorization = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    let requests: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n").into_bytes()
        })
        .collect();
    let requests = std::sync::Arc::new(requests);
    let begun = Instant::now();
    let until = begun + span;
    let mut tasks = Vec::new();
    for client in 0..clients {
        let requests = std::sync::Arc::clone(&requests);
        tasks.push(tokio::spawn(client_loop(address, requests, client * 7919, until)));
    }
    let (mut times, mut errors) = (Vec::new(), 0);
    for task in tasks {
        let (mine, failed) = task.await.expect("a client does not panic");
        times.extend(mine);
        errors += failed;
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0, |us| u64::from(*us))
    };
    Measured { requests: times.len() as u64, errors, seconds, p50_us: at(0.5), p99_us: at(0.99) }
}

async fn client_loop(
    address: std::net::SocketAddr,
    requests: std::sync::Arc<Vec<Vec<u8>>>,
    mut next: usize,
    until: Instant,
) -> (Vec<u32>, u64) {
    let mut times = Vec::with_capacity(100_000);
    let mut errors = 0;
    let mut buffer = vec![0; 256 * 1024];
    while Instant::now() < until {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            errors += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _no_delay = stream.set_nodelay(true);
        while Instant::now() < until {
            let request = &requests[next % requests.len()];
            next += 1;
            let sent = Instant::now();
            match exchange(&mut stream, request, &mut buffer).await {
                Some(200) => times.push(sent.elapsed().as_micros() as u32),
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

/// One request and its whole answer; gives back the status. Answers must have a `Content-Length`.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Option<u16> {
    stream.write_all(request).await.ok()?;
    let mut filled = 0;
    let (status, total) = loop {
        let read = stream.read(buffer.get_mut(filled..)?).await.ok().filter(|n| *n > 0)?;
        filled += read;
        let seen = &buffer[..filled];
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = std::str::from_utf8(&seen[..end]).ok()?;
            let status = head.get(9..12)?.parse().ok()?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            break (status, end + 4 + length.unwrap_or(0usize));
        }
    };
    while filled < total {
        filled += stream.read(buffer.get_mut(filled..)?).await.ok().filter(|n| *n > 0)?;
    }
    Some(status)
}
