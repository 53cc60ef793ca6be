//! With a clock that stands still while anything is left to do, over streams in memory.

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const IDLE: Duration = Duration::from_secs(75);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// Longer than anything takes here.
const AGES: Duration = Duration::from_hours(1);

struct Bed {
    client: DuplexStream,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    go_on: Arc<Notify>,
    begun: Instant,
}

impl Bed {
    fn new() -> Self {
        let (client, stream) = duplex(4096);
        let (stop, go_on) = (CancellationToken::new(), Arc::new(Notify::new()));
        let wait = Arc::clone(&go_on);
        let router = Router::new()
            .route("/", get(|| async { "hello" }).post(|body: Bytes| async move { body }))
            .route("/large", get(|| async { vec![b'x'; 1 << 20] }))
            .route(
                "/slow",
                get(|| async move {
                    wait.notified().await;
                    "at last"
                }),
            );
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let serving = tokio::spawn(serve(stream, peer, router, IDLE, stop.clone()));
        Self { client, serving, stop, go_on, begun: Instant::now() }
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// Reads an answer that ends with `last`.
    async fn hear(&mut self, last: &str) {
        let mut heard = Vec::new();
        while !heard.ends_with(last.as_bytes()) {
            assert_ne!(self.client.read_buf(&mut heard).await.unwrap(), 0, "it closed: {heard:?}");
        }
        assert!(heard.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    /// Waits for the connection's end and says how long after `since` it came.
    async fn closed_after(&mut self, since: Instant) -> Duration {
        let mut rest = Vec::new();
        timeout(AGES, self.client.read_to_end(&mut rest)).await.expect("kept for ever").unwrap();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");
        since.elapsed()
    }
}

/// Whether `took` is `expected`, but for the grain of timers.
fn about(took: Duration, expected: Duration) -> bool {
    took >= expected && took < expected + Duration::from_millis(50)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_idles_for_as_long_as_a_balancers_is_there_for_the_next_request() {
    let mut bed = Bed::new();
    for _ in 0..3 {
        bed.say(REQUEST).await;
        bed.hear("hello").await;
        sleep(Duration::from_secs(74)).await;
    }
    bed.say(REQUEST).await;
    bed.hear("hello").await;
    let took = bed.closed_after(Instant::now()).await;
    assert!(about(took, IDLE), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_began_has_seconds_for_its_headers_also_after_a_long_pause() {
    let mut bed = Bed::new();
    bed.say(REQUEST).await;
    bed.hear("hello").await;
    sleep(Duration::from_secs(70)).await;
    let begun = Instant::now();
    bed.say(b"GET / HTTP/1.1\r\n").await;
    sleep(Duration::from_secs(6)).await;
    bed.say(b"host: a\r\n").await;
    let took = bed.closed_after(begun).await;
    assert!(about(took, PATIENCE), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_begins_when_the_pause_is_nearly_over_is_answered() {
    let mut bed = Bed::new();
    bed.say(REQUEST).await;
    bed.hear("hello").await;
    sleep(Duration::from_secs(74)).await;
    bed.say(b"GET / HTTP/1.1\r\n").await;
    sleep(Duration::from_secs(8)).await;
    bed.say(b"host: a\r\n\r\n").await;
    bed.hear("hello").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_connects_and_does_not_ask_is_let_go() {
    for said in [&b""[..], b"PRI * HTTP/2.0\r\n", b"G", b"GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut bed = Bed::new();
        bed.say(said).await;
        let took = bed.closed_after(bed.begun).await;
        assert!(about(took, PATIENCE), "{said:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_nothing_of_an_answer_is_let_go() {
    let mut bed = Bed::new();
    bed.say(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    timeout(AGES, &mut bed.serving).await.expect("held for ever").unwrap();
    assert!(about(bed.begun.elapsed(), STALLED), "{:?}", bed.begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_comes_in_time_or_not_at_all() {
    let mut bed = Bed::new();
    bed.say(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe").await;
    sleep(Duration::from_secs(50)).await;
    bed.say(b"llo").await;
    bed.hear("hello").await;
    let begun = Instant::now();
    bed.say(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n").await;
    for _ in 0..5 {
        sleep(Duration::from_secs(10)).await;
        bed.say(b"x").await;
    }
    let mut answer = String::new();
    timeout(AGES, bed.client.read_to_string(&mut answer)).await.expect("for ever").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(about(begun.elapsed(), STALLED), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_an_answer_slowly_gets_all_of_it() {
    let mut bed = Bed::new();
    bed.say(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let (mut taken, mut piece) = (0, [0; 4096]);
    loop {
        sleep(Duration::from_secs(1)).await;
        match bed.client.read(&mut piece).await.unwrap() {
            0 => break,
            n => taken += n,
        }
    }
    assert!(taken > 1 << 20, "{taken}");
    assert!(bed.begun.elapsed() > IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_not_idle() {
    let mut bed = Bed::new();
    bed.say(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sleep(IDLE * 3).await;
    bed.go_on.notify_one();
    bed.hear("at last").await;
    let took = bed.closed_after(Instant::now()).await;
    assert!(about(took, IDLE), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_what_idles_soon_and_lets_what_is_under_way_end() {
    let mut idle = Bed::new();
    idle.say(REQUEST).await;
    idle.hear("hello").await;
    let mut busy = Bed::new();
    busy.say(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sleep(Duration::from_secs(1)).await;
    let stopped = Instant::now();
    idle.stop.cancel();
    busy.stop.cancel();
    assert!(about(idle.closed_after(stopped).await, LAST_CALL));
    sleep(Duration::from_secs(5)).await;
    busy.go_on.notify_one();
    busy.hear("at last").await;
    assert!(about(busy.closed_after(stopped).await, LAST_CALL + Duration::from_secs(5)));
}

/// What is on its way when the gateway is told to end is answered, and told that nothing more will be.
#[tokio::test(start_paused = true)]
async fn a_stop_hears_whoever_has_just_asked() {
    let (mut known, mut new) = (Bed::new(), Bed::new());
    known.say(REQUEST).await;
    known.hear("hello").await;
    for bed in [&mut known, &mut new] {
        bed.stop.cancel();
        sleep(LAST_CALL / 2).await;
        bed.say(REQUEST).await;
        let stopped = Instant::now();
        let mut rest = Vec::new();
        timeout(AGES, bed.client.read_to_end(&mut rest)).await.expect("kept for ever").unwrap();
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("hello"), "{rest}");
        assert!(rest.contains("connection: close\r\n"), "{rest}");
        assert!(about(stopped.elapsed(), Duration::ZERO));
    }
}

/// One frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_that_answers_pings_and_asks_nothing_ends() {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    let mut bed = Bed::new();
    bed.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    bed.say(&frame(SETTINGS, 0, 0, &[])).await;
    // GET, http, / by number, and the authority "a" by word (RFC 7541, appendix A).
    bed.say(&frame(1, 0b101, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'a'])).await;
    let (mut pings, mut told) = (0, None);
    let mut head = [0; 9];
    while bed.client.read_exact(&mut head).await.is_ok() {
        assert!(bed.begun.elapsed() < AGES, "kept for ever");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        bed.client.read_exact(&mut payload).await.unwrap();
        match (head[3], head[4] & 1) {
            (PING, 0) => {
                pings += 1;
                bed.say(&frame(PING, 1, 0, &payload)).await;
            }
            (SETTINGS, 0) => bed.say(&frame(SETTINGS, 1, 0, &[])).await,
            (GOAWAY, _) => told = told.or(Some(bed.begun.elapsed())),
            _ => {}
        }
    }
    assert!(pings > 2, "{pings}");
    assert!(about(told.expect("no word of the end"), IDLE), "{told:?}");
}
