//! What `/readyz` says, and what a load balancer and an alarm make of it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world;

async fn open(gateway: &Gateway, path: &str) -> Reply {
    Reply::of(gateway.http.get(format!("{}{path}", gateway.admin))).await.unwrap()
}

/// How long a file the gateway may write, as the system enforces it. What it writes beyond is refused like on
/// a full disk, because the signal that would come with it is ignored.
fn files_at_most(gateway: &Gateway, bytes: &str) {
    let pid = gateway.pid().to_string();
    let limit = format!("--fsize={bytes}:");
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("run prlimit");
    assert!(set.success());
}

async fn ready(gateway: &Gateway, wanted: u16) -> Value {
    for _ in 0..100 {
        let reply = open(gateway, "/readyz").await;
        if reply.status == wanted {
            return reply.json();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/readyz did not come to {wanted} in 10 s");
}

#[tokio::test]
async fn an_access_log_that_cannot_be_written_is_named_and_sounds_an_alarm() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let through = &["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let options = Options { through, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let token = issuer.token("north");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
    assert_eq!(ready(&gateway, 200).await["access_log"], "ok");

    files_at_most(&gateway, "10");
    let parts = ready(&gateway, 503).await;
    assert_eq!(
        (&parts["access_log"], &parts["keys"]),
        (&"unavailable".into(), &"ok".into()),
        "{parts}"
    );
    let refused = gateway.get(&token, "/Patient/1001").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!refused.body.contains("mark-north"));
    let request = refused.header("x-request-id");
    let line = format!("\"request\":\"{request}\"");
    // The line may be written after the answer was sent.
    let logged =
        || gateway.log().lines().any(|l| l.contains(&line) && l.contains("request failed"));
    for _ in 0..100 {
        if logged() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(logged(), "{}", gateway.log());
    let metrics = open(&gateway, "/metrics").await.body;
    assert!(metrics.lines().any(|line| line == "wardgate_access_log_ready 0"), "{metrics}");
    let refusals = "wardgate_access_log_refused_total";
    assert!(metrics.lines().any(|line| line.starts_with(refusals) && !line.ends_with(" 0")));

    files_at_most(&gateway, "unlimited");
    assert_eq!(ready(&gateway, 200).await["access_log"], "ok");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
}
