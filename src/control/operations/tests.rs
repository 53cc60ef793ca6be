//! What becomes of an operation one of whose steps panics.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Ended, Running, Work};
use crate::base::{ManualClock, SecretText, Timestamp};
use crate::control::{Control, Parts};
use crate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig, WrappedKeys};
use crate::pool::dial::{DialConfig, Dialer};
use crate::registry::{
    Actor, ActorKind, Claim, KeyStore, NewOperation, OperationState, Origin, Registry,
};

/// The second step of the operation that is made to break.
pub(super) fn carry_out(step: &'static str, at: &mut Running<'_>) -> Ended {
    assert!(step == "begin", "planted");
    at.note("begun", true);
    Ended::with("begun")
}

#[tokio::test]
async fn a_step_that_panics_is_begun_again_a_few_times_and_then_left_with_its_cause() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_763_700_000)));
    let path = |file: &str| SecretText::new(format!("sqlite:{}", dir.path().join(file).display()));
    let registry = Registry::open(&path("registry.db"), clock.clone()).unwrap();
    registry.migrate().await.unwrap();
    let keys = Arc::new(KeyStore::open(&path("keys.db"), clock.clone()).unwrap());
    keys.migrate().await.unwrap();
    let wrapped: Arc<dyn WrappedKeys> = keys.clone();
    let location = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
    let keyring = Keyring::init(KeyringConfig::new(location), wrapped, clock.clone()).await;
    let (keyring, work) = (keyring.unwrap(), Work::new("test".to_owned()));
    let lease = work.lease;
    let control = Control::new(Parts {
        registry: registry.clone(),
        key_store: keys,
        keyring,
        dialer: Dialer::new(DialConfig::default(), clock.clone()),
        clock: clock.clone(),
        issuers: Vec::new(),
        two_persons: false,
        serving: None,
        work,
    });
    let actor = Actor { kind: ActorKind::Console, subject: "uid-0".to_owned() };
    let origin = Origin { actor, request_id: String::new() };
    let (kind, subject, input) = ("test.broken", "north".to_owned(), json!({}));
    let new = NewOperation { kind, parent: None, tenant: None, subject, input };
    let id = registry.create_operation(&new, &origin).await.unwrap().id;
    let begin_again = async || {
        for _ in 0..5 {
            // Later than any pause between two tries, and within no lease.
            clock.advance(lease + Duration::from_mins(1));
            let _some_or_none = control.work_once(Claim::default()).await.unwrap();
        }
        let found = registry.operation(id).await.unwrap().unwrap();
        (found, registry.operation_steps(id).await.unwrap())
    };
    let (failed, steps) = begin_again().await;
    assert_eq!(failed.state, OperationState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error["code"], "panicked");
    assert!(error["message"].as_str().unwrap().contains("'break'"), "{error}");
    let times: Vec<_> =
        steps.iter().map(|s| (s.name.as_str(), s.state.as_str(), s.attempts)).collect();
    assert_eq!(times, [("begin", "done", 1), ("break", "failed", 3)]);
    assert!(
        !control.work_once(Claim::default()).await.unwrap(),
        "nobody begins it again by himself"
    );
    registry.retry_operation(id, &origin).await.unwrap();
    let (failed, steps) = begin_again().await;
    assert_eq!((failed.state, steps[1].attempts), (OperationState::Failed, 6), "on order, it is");
}
