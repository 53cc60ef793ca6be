use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;
use tokio_rustls::client::TlsStream;

use super::{DialClass, DialFault};
use crate::base::Deadline;

/// The stream to a server, encrypted or not.
pub(in crate::pool) struct Wire {
    stream: Stream,
    heard: Heard,
}

enum Stream {
    /// As TCP gives it.
    Plain(TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Counts how often something was heard from a server. Shared with whoever wonders whether it is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    pub(super) fn times(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Counts once more.
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Wire {
    pub(in crate::pool) fn plain(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), heard: Heard::default() }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), heard: Heard::default() }
    }

    /// The same, counted by `heard`.
    pub(super) fn counted(self, heard: &Heard) -> Self {
        Self { heard: heard.clone(), ..self }
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The stream as TCP gives it, unless it is inside TLS.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) => Some(stream),
            Stream::Tls(_) => None,
        }
    }

    /// Whether the peer has neither said anything that was not read nor hung up. Asks the system, not the
    /// runtime, which may learn of it later.
    pub(in crate::pool) fn is_quiet(&mut self) -> bool {
        let quiet = |stream: &TcpStream| {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let heard = rustix::net::recv(stream, &mut [0_u8; 1][..], flags);
            matches!(heard, Err(rustix::io::Errno::WOULDBLOCK))
        };
        match &mut self.stream {
            Stream::Plain(stream) => quiet(stream),
            Stream::Tls(stream) => {
                let (stream, session) = stream.get_mut();
                let state = session.process_new_packets();
                quiet(stream) && state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0)
            }
        }
    }
}

/// A wire read through a small buffer; writes go straight through.
pub(super) type Buffered = BufReader<Wire>;

/// How long what was sent may stay unacknowledged, in milliseconds. A machine that is gone, or a firewall that
/// forgot the connection, acknowledges nothing; one that is merely busy does.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MS: u32 = 1_500;

const UNANSWERED: &str = "the server did not answer the connection attempt";

/// What the rules for passwords depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Inside TLS, verified or not.
    pub encrypted: bool,
    /// The peer is this machine.
    pub loopback: bool,
}

impl Link {
    /// Whether nobody on the way can read along.
    pub(super) const fn is_private(self) -> bool {
        self.encrypted || self.loopback
    }
}

/// Connects to an address.
pub(super) async fn connect(
    address: SocketAddr,
    deadline: Deadline,
) -> Result<TcpStream, DialFault> {
    timeout_at(deadline.at(), connect_one(address))
        .await
        .map_err(|_elapsed| DialFault::timeout(UNANSWERED))?
        .map_err(|error| connect_fault(&error))
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MS)?;
    Ok(stream)
}

fn connect_fault(error: &io::Error) -> DialFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            DialFault::new(DialClass::Refused, "nobody listens at the address")
        }
        io::ErrorKind::TimedOut => DialFault::timeout(UNANSWERED),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            DialFault::new(DialClass::Refused, "the network does not reach the address")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            DialFault::new(DialClass::Refused, "the connection was reset at once")
        }
        _ => DialFault::internal("the gateway could not open a socket"),
    }
}

/// Reads exactly as many bytes as `into` holds.
pub(super) async fn read_exact(
    from: &mut (impl AsyncRead + Unpin),
    into: &mut [u8],
) -> Result<(), DialFault> {
    from.read_exact(into).await.map(drop).map_err(|e| DialFault::io(&e))
}

/// Writes and flushes.
pub(super) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), DialFault> {
    let sent = async {
        to.write_all(bytes).await?;
        to.flush().await
    };
    sent.await.map_err(|e| DialFault::io(&e))
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let read = match &mut wire.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if read.is_ready() {
            wire.heard.note();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const LIVE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

    /// A listener whose queue is full: what else is sent there is dropped, as by a machine that is gone.
    async fn dead(address: SocketAddr) -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) =
            timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queued.push(stream.unwrap());
        }
        (address, (listener, queued))
    }

    #[tokio::test]
    async fn what_does_not_answer_and_what_refuses_are_told_apart() {
        // Bound and not listened at: nobody else can listen there either.
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind(SocketAddr::from((LIVE, 0))).unwrap();
        let long = Deadline::after(Duration::from_mins(1));
        let fault = connect(bound.local_addr().unwrap(), long).await.unwrap_err();
        assert_eq!(fault.class(), DialClass::Refused);

        let (address, _dead) = dead(SocketAddr::from(([127, 0, 0, 4], 0))).await;
        let fault =
            connect(address, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
        assert_eq!(fault.class(), DialClass::Timeout);
    }
}
