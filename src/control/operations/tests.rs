//! What becomes of an operation one of whose steps panics, or ends whoever carries it out.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::fault::BREAKS;
use super::{Ended, Running, Step, StepFault, Work};
use crate::base::{ManualClock, SecretText, TenantId, Timestamp};
use crate::control::{Control, Parts};
use crate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig, WrappedKeys};
use crate::pool::dial::{DialConfig, Dialer};
use crate::registry::{
    Actor, ActorKind, Claim, KeyStore, NewOperation, Operation, OperationState, OperationStep,
    Origin, Registry, Settled,
};

/// The steps of the operation that is made to break: the first waits and is refused as often as was ordered, the
/// second panics.
pub(super) fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    assert!(step == "begin", "planted");
    let waited: u64 = at.noted("waited").unwrap_or(0);
    if waited < at.operation().input["waits"].as_u64().unwrap_or(0) {
        at.note("waited", waited + 1);
        return Ok(Ended::Wait(Duration::from_millis(500)));
    }
    if at.operation().attempts < at.operation().input["refused"].as_u64().unwrap_or(0) {
        return Err(StepFault::lasting("conflict", "it exists already"));
    }
    at.note("begun", true);
    Ok(Ended::with("begun"))
}

struct Bed {
    control: Control,
    registry: Registry,
    clock: Arc<ManualClock>,
    lease: Duration,
    origin: Origin,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_763_700_000)));
        let path =
            |file: &str| SecretText::new(format!("sqlite:{}", dir.path().join(file).display()));
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
        Self { control, registry, clock, lease, origin, _folder: dir }
    }

    /// Orders the operation that is made to break, whose first step is refused that often.
    async fn order(&self, refused: u64) -> Uuid {
        let (kind, subject) = ("test.broken", "north".to_owned());
        let input = json!({ "refused": refused });
        let new = NewOperation { kind, parent: None, tenant: None, subject, input };
        self.registry.create_operation(&new, &self.origin).await.unwrap().id
    }

    /// Orders operations as parts of another.
    async fn parts(&self, count: usize) -> (Uuid, Vec<Uuid>) {
        let whole = self.order(0).await;
        let claim = Claim { only: Some(whole) };
        let held = self.registry.claim_operation("test", claim, self.lease).await;
        let held = held.unwrap().unwrap();
        let part = |at| NewOperation {
            kind: "test.broken",
            parent: Some(whole),
            tenant: Some(TenantId::random()),
            subject: format!("part-{at}"),
            input: json!({}),
        };
        let parts: Vec<_> = (0..count).map(part).collect();
        self.registry.create_parts(&held, &parts).await.unwrap();
        let parts = self.registry.operation_parts(whole).await.unwrap();
        (whole, parts.into_iter().map(|part| part.id).collect())
    }

    /// Work is looked for five times, always later than any pause between two tries and than any lease.
    async fn work(&self, id: Uuid) -> (Operation, Vec<OperationStep>) {
        for _ in 0..5 {
            self.clock.advance(self.lease + Duration::from_mins(1));
            let _some_or_none = self.control.work_once(Claim::default()).await.unwrap();
        }
        self.look(id).await
    }

    async fn look(&self, id: Uuid) -> (Operation, Vec<OperationStep>) {
        let found = self.registry.operation(id).await.unwrap().unwrap();
        (found, self.registry.operation_steps(id).await.unwrap())
    }

    /// A gateway begins the step that is due and is no more.
    async fn killed(&self, step: &str) {
        self.clock.advance(self.lease + Duration::from_mins(1));
        let held = self.registry.claim_operation("gone", Claim::default(), self.lease).await;
        let held = held.unwrap().unwrap();
        assert!(self.registry.begin_step(&held, false, held.step, step).await.unwrap());
    }
}

#[tokio::test]
async fn a_step_that_panics_is_begun_again_a_few_times_and_then_left_with_its_cause() {
    let bed = Bed::new().await;
    let id = bed.order(0).await;
    let (failed, steps) = bed.work(id).await;
    assert_eq!(failed.state, OperationState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error["code"], "panicked");
    assert!(error["message"].as_str().unwrap().contains("'break'"), "{error}");
    let times: Vec<_> =
        steps.iter().map(|s| (s.name.as_str(), s.state.as_str(), s.attempts)).collect();
    assert_eq!(times, [("begin", "done", 1), ("break", "failed", 3)]);
    assert!(
        !bed.control.work_once(Claim::default()).await.unwrap(),
        "nobody begins it again by himself"
    );
    bed.registry.retry_operation(id, &bed.origin).await.unwrap();
    let (failed, steps) = bed.work(id).await;
    assert_eq!((failed.state, steps[1].attempts), (OperationState::Failed, 6), "on order, it is");
}

#[tokio::test]
async fn a_step_that_ends_every_gateway_is_not_begun_for_ever() {
    let bed = Bed::new().await;
    let id = bed.order(0).await;
    for _ in 0..BREAKS {
        bed.killed("begin").await;
    }
    let (failed, steps) = bed.work(id).await;
    assert_eq!((failed.state, steps[0].attempts), (OperationState::Failed, BREAKS));
    assert_eq!(steps[0].state, "failed");
    let error = failed.error.unwrap();
    assert_eq!(error["code"], "broke_off");
    assert!(error["message"].as_str().unwrap().contains("3 times"), "{error}");
    // On order it is begun again, and a step that is seen to end takes its count along.
    bed.registry.retry_operation(id, &bed.origin).await.unwrap();
    bed.killed("begin").await;
    bed.killed("begin").await;
    let (broken, steps) = bed.work(id).await;
    assert_eq!(steps[0].state, "done");
    assert_eq!(broken.error.unwrap()["code"], "panicked", "the next step's own end");
}

#[tokio::test]
async fn what_a_broken_run_may_have_left_is_looked_at_again() {
    let bed = Bed::new().await;
    let id = bed.order(1).await;
    let (failed, _) = bed.work(id).await;
    assert_eq!(failed.error.unwrap()["code"], "conflict", "refused is refused");
    bed.registry.cancel_operation(id, &bed.origin).await.unwrap();
    bed.work(id).await;

    let id = bed.order(1).await;
    bed.killed("begin").await;
    let (_, steps) = bed.work(id).await;
    assert_eq!((steps[0].state.as_str(), steps[0].attempts), ("done", 3));
    // But not for ever.
    let id = bed.order(9).await;
    bed.killed("begin").await;
    let (failed, steps) = bed.work(id).await;
    assert_eq!((failed.state, steps[0].attempts), (OperationState::Failed, 4));
    assert_eq!(failed.error.unwrap()["code"], "conflict");
}

#[tokio::test]
async fn a_gateway_that_is_told_to_stop_has_not_died_of_its_step() {
    let bed = Bed::new().await;
    let id = bed.order(0).await;
    for _ in 0..=BREAKS {
        bed.killed("begin").await;
        bed.registry.spare_operations("somebody else").await.unwrap();
        assert_eq!(bed.look(id).await.0.broken_off, 1);
        for _ in 0..2 {
            bed.registry.spare_operations("gone").await.unwrap();
        }
        assert_eq!(bed.look(id).await.0.broken_off, 0);
    }
    let (_, steps) = bed.work(id).await;
    assert_eq!(steps[0].state, "done");
}

#[tokio::test]
async fn a_step_that_waits_is_begun_once() {
    let bed = Bed::new().await;
    let (kind, subject) = ("test.broken", "north".to_owned());
    let input = json!({ "waits": 3 });
    let new = NewOperation { kind, parent: None, tenant: None, subject, input };
    let id = bed.registry.create_operation(&new, &bed.origin).await.unwrap().id;
    let (_, steps) = bed.work(id).await;
    assert_eq!((steps[0].state.as_str(), steps[0].attempts), ("done", 1));
    // It is begun again by whoever takes it up from one that is gone.
    let input = json!({ "waits": 2 });
    let again = NewOperation { subject: "south".to_owned(), input, ..new };
    let id = bed.registry.create_operation(&again, &bed.origin).await.unwrap().id;
    bed.killed("begin").await;
    let (_, steps) = bed.work(id).await;
    assert_eq!((steps[0].state.as_str(), steps[0].attempts), ("done", 2));
}

#[tokio::test]
async fn parts_are_counted_as_they_are_now() {
    let bed = Bed::new().await;
    let (whole, parts) = bed.parts(3).await;
    let tally = async || bed.control.shown(whole).await.unwrap().progress["tenants"].clone();
    let all = json!({"total": 3, "waiting": 3, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0});
    assert_eq!(tally().await, all);
    // The whole notes nothing of what becomes of them from here on.
    assert!(bed.registry.release_part(parts[0]).await.unwrap());
    let now = tally().await;
    assert_eq!((&now["waiting"], &now["running"]), (&json!(2), &json!(1)));
    let claim = Claim { only: Some(parts[0]) };
    let held = bed.registry.claim_operation("test", claim, bed.lease).await.unwrap().unwrap();
    let failed = Settled::Failed { error: json!({"code": "x", "message": "y"}) };
    bed.registry.settle_operation(&held, false, &failed).await.unwrap().unwrap();
    let now = tally().await;
    assert_eq!((&now["running"], &now["failed"]), (&json!(0), &json!(1)));
    let another = bed.order(0).await;
    assert_eq!(bed.control.shown(another).await.unwrap().progress.get("tenants"), None);
}
