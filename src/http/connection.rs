//! One client's connection: how long it may idle, and how long it may take to ask and to listen.
//!
//! A balancer keeps its connections to the gateway and sends the next request on one that has idled for a
//! minute. Were that one just being closed, the clinician would get a 502. So an idle connection is kept for
//! longer than balancers keep theirs, while whoever has begun to ask has seconds to finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// All headers of a request together, in bytes: room for a 16 KiB token and the rest.
const HEADER_BYTES: usize = 32 * 1024;
/// How long a client may take for its TLS handshake, to begin its first request, and from the first byte of a
/// request to the last of its headers.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what it is sent, and how long over sending a request's body.
const STALLED: Duration = Duration::from_mins(1);
/// How long a connection is listened to after the gateway was told to end: what is on its way is answered.
pub(super) const LAST_CALL: Duration = Duration::from_millis(300);
/// How long an idle connection that is being closed may take over answers that its client takes slowly.
const CLOSING: Duration = Duration::from_mins(10);

/// The gateway's own end, for answers that would otherwise go on. Stands in a request's extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopping(CancellationToken);

impl Stopping {
    /// Returns when the gateway stops.
    pub(super) async fn stopped(&self) {
        self.0.cancelled().await;
    }
}

/// Serves the requests that come over `stream`, until the client goes, [`LAST_CALL`] after `stop`, or it asked nothing for as long
/// as `idle`. What is under way by then is answered.
pub(super) async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    idle: Duration,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Arc::new(Pulse::new());
    let (requests, stopping) = (Arc::clone(&pulse), Stopping(stop.clone()));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(stopping.clone());
        let under_way = UnderWay::new(&requests);
        let request = request.map(|body| Body::new(Question { body, begun: None }));
        // In HTTP/2 the connection says so itself.
        let own = request.version() <= Version::HTTP_11;
        let answer = router.clone().oneshot(request);
        let stopping = stopping.clone();
        async move {
            let answered: Result<Response<Body>, Infallible> = answer.await;
            answered.map(|mut answer| {
                if own && stopping.0.is_cancelled() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                answer.map(|body| Answer { body, _under_way: under_way })
            })
        }
    });
    let builder = builder(&pulse);
    let stream = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse), stalled: None });
    let mut serving = pin!(builder.serve_connection(stream, service));
    // A broken connection is the client's business; nothing of it may be logged.
    tokio::select! {
        biased;
        _ended = serving.as_mut() => return,
        () = stopped(&stop) => {}
        () = pulse.silence(idle) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ended = tokio::time::timeout(CLOSING, serving).await;
}

/// Returns when nothing more is listened to. Until then whoever has just asked is still heard.
async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_CALL).await;
}

fn builder(pulse: &Arc<Pulse>) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(HeadTimer(Arc::clone(pulse)))
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADER_BYTES)
        .max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(64)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(PATIENCE);
    builder
}

/// What is known of a connection while it is served.
struct Pulse {
    /// How often something was heard of the client.
    heard: AtomicU64,
    requests: Mutex<Requests>,
}

struct Requests {
    /// There was one.
    any: bool,
    /// How many are not answered to the end.
    under_way: usize,
    /// Since when there are none, and none has begun to arrive.
    since: Instant,
}

impl Pulse {
    fn new() -> Self {
        let requests = Requests { any: false, under_way: 0, since: Instant::now() };
        Self { heard: AtomicU64::new(0), requests: Mutex::new(requests) }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing was asked for as long as `idle`, or nothing at all within [`PATIENCE`].
    async fn silence(&self, idle: Duration) {
        loop {
            let until = {
                let requests = self.requests();
                match *requests {
                    Requests { any: false, since, .. } => since + PATIENCE,
                    Requests { under_way: 0, since, .. } => since + idle,
                    Requests { .. } => Instant::now() + idle,
                }
            };
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

/// Counts a request from its headers to the end of its answer.
struct UnderWay(Arc<Pulse>);

impl UnderWay {
    fn new(pulse: &Arc<Pulse>) -> Self {
        let mut requests = pulse.requests();
        requests.any = true;
        requests.under_way += 1;
        drop(requests);
        Self(Arc::clone(pulse))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.under_way -= 1;
        requests.since = Instant::now();
    }
}

/// A request's body, which has to come within [`STALLED`]. Whoever reads it may set narrower limits.
struct Question {
    body: Incoming,
    begun: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Question {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let begun = self.begun.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(begun.as_mut().poll(cx));
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, whose end is the end of the request.
struct Answer {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The clock by which HTTP/1 waits for the headers of a request. hyper starts it when the request before is
/// over; this one begins to run with the first byte.
#[derive(Clone)]
struct HeadTimer(Arc<Pulse>);

impl hyper::rt::Timer for HeadTimer {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        // The first bytes of a connection were read to tell HTTP/1 from HTTP/2.
        let begun = (!self.0.requests().any).then(|| Box::pin(sleep(PATIENCE)));
        Box::pin(Head { pulse: Arc::clone(&self.0), heard: self.0.heard.load(Relaxed), begun })
    }

    fn sleep_until(&self, _deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(PATIENCE)
    }
}

/// Is over when the headers of a request took too long. hyper looks at it after every read that left them
/// unfinished.
struct Head {
    pulse: Arc<Pulse>,
    /// How often the client had been heard when the wait began.
    heard: u64,
    begun: Option<Pin<Box<Sleep>>>,
}

impl hyper::rt::Sleep for Head {}

impl Future for Head {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.begun.is_none() {
            if self.pulse.heard.load(Relaxed) == self.heard {
                // What is heard next wakes the whole connection.
                return Poll::Pending;
            }
            self.pulse.requests().since = Instant::now();
            self.begun = Some(Box::pin(sleep(PATIENCE)));
        }
        self.begun.as_mut().map_or(Poll::Pending, |begun| begun.as_mut().poll(cx))
    }
}

/// The client's stream: tells when something is heard, and ends when the client takes nothing for too long.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    /// What became of a write, unless the client has been taking nothing for too long.
    fn sent<T>(
        &mut self,
        cx: &mut Context<'_>,
        sent: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.heard.fetch_add(1, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.sent(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.sent(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(cx);
        self.sent(cx, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.sent(cx, sent)
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
