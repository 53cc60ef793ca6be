//! The operators' log told as it grows (`Accept: text/event-stream`).

use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use wardgate::base::{Clock as _, ManualClock, SystemClock};

use crate::support::{Gateway, Options, TestIssuer};
use crate::world;

/// Longer than the log is ever looked at in between; far less than it is followed for.
const SOON: Duration = Duration::from_mins(1);

/// Somebody who listens.
struct Listener {
    answer: Response,
    heard: String,
}

impl Listener {
    async fn of(request: RequestBuilder) -> Self {
        let answer = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, heard: String::new() }
    }

    /// The next event; `None` at the end of the answer.
    async fn next(&mut self) -> Option<Value> {
        // For the event, whatever comes meanwhile to keep the connection open.
        let late = tokio::time::Instant::now() + SOON;
        loop {
            while let Some(end) = self.heard.find("\n\n") {
                let told: String = self.heard.drain(..end + 2).collect();
                let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name));
                let Some(data) = field("data: ") else { continue };
                let event: Value = serde_json::from_str(data).unwrap();
                assert_eq!(field("id: "), Some(event["id"].to_string().as_str()));
                return Some(event);
            }
            let piece =
                tokio::time::timeout_at(late, self.answer.chunk()).await.unwrap().unwrap()?;
            self.heard.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

fn log(gateway: &Gateway, token: &str) -> RequestBuilder {
    gateway.http.get(format!("{}/admin/v1/events", gateway.admin)).bearer_auth(token)
}

#[tokio::test]
async fn what_operators_do_is_told_to_whoever_follows_once_and_in_order() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let mut follower = Listener::of(log(&gateway, &issuer.token("viewer"))).await;
    gateway.suspend("north").await;
    gateway.resume("north").await;
    let suspended = follower.next().await.unwrap();
    let resumed = follower.next().await.unwrap();
    let became = |event: &Value| (event["action"].to_string(), event["detail"].to_string());
    for (event, state) in [(&suspended, "suspended"), (&resumed, "active")] {
        let (action, detail) = became(event);
        assert!(action.contains("tenant.state") && detail.contains(state), "{event}");
    }
    assert!(suspended["id"].as_u64() < resumed["id"].as_u64());

    // Whoever comes again goes on where she was.
    let id = suspended["id"].to_string();
    let again = log(&gateway, &gateway.operator).header("last-event-id", id);
    assert_eq!(Listener::of(again).await.next().await.unwrap(), resumed);

    // Nothing was said twice meanwhile.
    gateway.suspend("north").await;
    assert_eq!(became(&follower.next().await.unwrap()), became(&suspended));

    // A gateway that ends ends the answer with it, and does not wait for the follower.
    let pid = rustix::process::Pid::from_raw(gateway.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(follower.next().await, None);
}

/// Whoever follows takes a place, and gives it back when she leaves.
#[tokio::test]
async fn so_many_follow_and_no_more() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let mut followers = Vec::new();
    let refused = loop {
        let request = log(&gateway, &gateway.operator).header("accept", "text/event-stream");
        let answer = request.send().await.unwrap();
        if answer.status() != StatusCode::OK {
            break answer;
        }
        followers.push(answer);
        assert!(followers.len() < 100, "anybody may follow");
    };
    assert_eq!((refused.status(), followers.len()), (StatusCode::SERVICE_UNAVAILABLE, 32));
    assert_eq!(refused.headers()["retry-after"], "60");
    // Pages are for everybody meanwhile.
    assert!(gateway.view("events").await["events"].is_array());
    followers.pop();
    let begun = std::time::Instant::now();
    loop {
        let request = log(&gateway, &gateway.operator).header("accept", "text/event-stream");
        if request.send().await.unwrap().status() == StatusCode::OK {
            break;
        }
        assert!(begun.elapsed() < SOON, "no place becomes free");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A token lets nobody follow for longer than it lasts.
#[tokio::test]
async fn nobody_follows_beyond_the_end_of_the_token() {
    // The issuer stands still: its tokens last half an hour, and the gateway takes them 30 seconds longer.
    let past = Duration::from_mins(30) + Duration::from_secs(10);
    let now = SystemClock.now().as_millis() - i64::try_from(past.as_millis()).unwrap();
    let clock = Arc::new(ManualClock::at(wardgate::base::Timestamp::from_millis(now)));
    let issuer = TestIssuer::of(Vec::new(), clock).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let mut follower = Listener::of(log(&gateway, &issuer.token("viewer"))).await;
    // Signs of life come for as long as it is followed, which is five minutes otherwise.
    let ended = async { while follower.next().await.is_some() {} };
    tokio::time::timeout(SOON * 2, ended).await.expect("followed beyond the token");
    let after = log(&gateway, &issuer.token("viewer")).send().await.unwrap();
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_operators_follow_and_only_from_an_event() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let status = async |request: RequestBuilder| {
        request.header("accept", "text/event-stream").send().await.unwrap().status()
    };
    assert_eq!(status(log(&gateway, &issuer.token("north"))).await, StatusCode::UNAUTHORIZED);
    let from = |id: &str| log(&gateway, &gateway.operator).header("last-event-id", id);
    assert_eq!(status(from("the last")).await, StatusCode::BAD_REQUEST);
    let paged = gateway.http.get(format!("{}/admin/v1/events?limit=5", gateway.admin));
    let paged = paged.bearer_auth(&gateway.operator);
    assert_eq!(status(paged).await, StatusCode::BAD_REQUEST);
    // What names no stream gets the page.
    let page = log(&gateway, &gateway.operator).header("accept", "*/*").send().await.unwrap();
    let page: Value = serde_json::from_slice(&page.bytes().await.unwrap()).unwrap();
    assert!(page["events"].is_array());
}
