//! One HTTP/1.1 connection that is kept open, and no library between the socket and the clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: std::ops::Range<usize>,
}

/// When an answer came.
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Until its first byte.
    pub first: Duration,
    /// Until its last.
    pub whole: Duration,
}

/// A GET request.
pub fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n").into_bytes()
}

impl Wire {
    /// Connects; `None` when nobody listens.
    pub async fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, buffer: vec![0; 256 * 1024], body: 0..0 })
    }

    /// Sends a request and reads its whole answer, which must have a `Content-Length`. `None` when the
    /// connection ended before.
    pub async fn send(&mut self, request: &[u8]) -> Option<Answered> {
        let sent = Instant::now();
        self.stream.write_all(request).await.ok()?;
        let mut filled = self.more(0).await?;
        let first = sent.elapsed();
        let (status, head, length) = loop {
            if let Some(found) = head(&self.buffer[..filled]) {
                break found;
            }
            filled = self.more(filled).await?;
        };
        self.body = head..head + length;
        while filled < self.body.end {
            filled = self.more(filled).await?;
        }
        Some(Answered { status, first, whole: sent.elapsed() })
    }

    /// The last answer's body.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    async fn more(&mut self, filled: usize) -> Option<usize> {
        if filled == self.buffer.len() {
            self.buffer.resize(filled * 2, 0);
        }
        let read = self.stream.read(self.buffer.get_mut(filled..)?).await.ok()?;
        (read > 0).then_some(filled + read)
    }
}

/// Status, length of the head and of the body, once the head is there.
fn head(seen: &[u8]) -> Option<(u16, usize, usize)> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&seen[..end]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, end + 4, length.unwrap_or(0)))
}
