//! Who may carry an operation out: one at a time, and nobody under an old claim. On both registries.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;
use wardgate::base::TenantId;
use wardgate::registry::{
    Actor, ActorKind, Claim, EventFilter, NewOperation, OperationState, Origin, Registry, Settled,
};

use crate::control_bed::Bed;
use crate::harness::Postgres;

fn origin() -> Origin {
    let actor = Actor { kind: ActorKind::Console, subject: "tests".to_owned() };
    Origin { actor, request_id: String::new() }
}

fn new(tenant: Option<TenantId>) -> NewOperation {
    let subject = "something".to_owned();
    NewOperation { kind: "tenant.provision", parent: None, tenant, subject, input: json!({}) }
}

const LONG: Duration = Duration::from_mins(1);

async fn one_at_a_time(registry: &Registry) {
    for _ in 0..24 {
        registry.create_operation(&new(Some(TenantId::random())), &origin()).await.unwrap();
    }
    let mut gateways = Vec::new();
    for number in 0..8 {
        let registry = registry.clone();
        gateways.push(tokio::spawn(async move {
            let (holder, mut held) = (format!("gateway {number}"), Vec::new());
            while let Some(one) =
                registry.claim_operation(&holder, Claim::default(), LONG).await.unwrap()
            {
                held.push(one);
            }
            held
        }));
    }
    let mut claims: BTreeMap<Uuid, u32> = BTreeMap::new();
    let mut held = Vec::new();
    for gateway in gateways {
        for one in gateway.await.unwrap() {
            *claims.entry(one.id).or_default() += 1;
            held.push(one);
        }
    }
    assert_eq!(claims.len(), 24);
    assert!(claims.values().all(|count| *count == 1), "{claims:?}");
    for one in held {
        let done = Settled::Succeeded { result: json!({}) };
        registry.settle_operation(&one, false, &done).await.unwrap().expect("it is ours");
    }
}

async fn an_old_claim_writes_nothing(registry: &Registry) {
    let tenant = TenantId::random();
    let made = registry.create_operation(&new(Some(tenant)), &origin()).await.unwrap();
    let again = registry.create_operation(&new(Some(tenant)), &origin()).await;
    assert!(again.is_err(), "two operations work on one tenant");
    let brief = Duration::from_millis(50);
    let only = Claim { only: Some(made.id) };
    let old = registry.claim_operation("old", only, brief).await.unwrap().unwrap();
    assert!(registry.begin_step(&old, false, 0, "first").await.unwrap());
    sleep(2 * brief).await;
    let heir = registry.claim_operation("heir", only, LONG).await.unwrap().unwrap();
    assert_eq!((heir.fence, heir.step), (old.fence + 1, 0));
    // Whoever slept through her lease finds every door shut.
    assert!(!registry.renew_operation(&old, LONG).await.unwrap());
    assert!(!registry.begin_step(&old, false, 0, "first").await.unwrap());
    assert!(!registry.keep_secret(&old, None).await.unwrap());
    let next = Settled::Next { progress: json!({"by": "old"}), note: None };
    assert!(registry.settle_operation(&old, false, &next).await.unwrap().is_none());
    assert!(registry.create_parts(&old, &[new(Some(TenantId::random()))]).await.is_err());
    let now = registry.operation(made.id).await.unwrap().unwrap();
    assert_eq!((now.step, now.progress), (0, json!({})));
    assert!(registry.claim_operation("third", only, LONG).await.unwrap().is_none());

    assert!(registry.begin_step(&heir, false, 0, "first").await.unwrap());
    let next = Settled::Next { progress: json!({"by": "heir"}), note: Some("well".to_owned()) };
    let heir = registry.settle_operation(&heir, false, &next).await.unwrap().unwrap();
    assert_eq!((heir.step, &heir.progress), (1, &json!({"by": "heir"})));
    let steps = registry.operation_steps(made.id).await.unwrap();
    assert_eq!((steps[0].attempts, steps[0].state.as_str()), (2, "done"));
    let error = json!({"code": "x", "message": "y"});
    let failed = Settled::Failed { error };
    let ended = registry.settle_operation(&heir, false, &failed).await.unwrap().unwrap();
    assert_eq!(ended.state, OperationState::Failed);
    assert!(!registry.renew_operation(&heir, LONG).await.unwrap(), "it is over");
    // A retry is refused while another operation works on the tenant.
    let other = registry.create_operation(&new(Some(tenant)), &origin()).await.unwrap();
    assert!(registry.retry_operation(made.id, &origin()).await.is_err());
    let only = Claim { only: Some(other.id) };
    let held = registry.claim_operation("heir", only, LONG).await.unwrap().unwrap();
    let done = Settled::Succeeded { result: json!({}) };
    registry.settle_operation(&held, false, &done).await.unwrap().unwrap();
    let again = registry.retry_operation(made.id, &origin()).await.unwrap();
    assert_eq!((again.state, again.step), (OperationState::Pending, 1));
    let frozen = registry.freeze_operation(made.id, true, &origin()).await.unwrap();
    assert!(frozen.frozen);
    let only = Claim { only: Some(made.id) };
    assert!(registry.claim_operation("heir", only, LONG).await.unwrap().is_none());
    let events = registry.list_events(&EventFilter::default(), 50).await.unwrap();
    for action in ["operation.order", "operation.retry", "operation.freeze"] {
        let written = events
            .iter()
            .any(|event| event.action == action && event.detail["operation"] == json!(made.id));
        assert!(written, "{action} is not in the operators' log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let bed = Bed::new().await;
    one_at_a_time(&bed.registry).await;
    an_old_claim_writes_nothing(&bed.registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let registry = Postgres::database().await;
    let bed = Bed::on_postgres(&registry).await;
    one_at_a_time(&bed.registry).await;
    an_old_claim_writes_nothing(&bed.registry).await;
}
