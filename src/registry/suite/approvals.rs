//! Orders that wait for a second person.

use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn somebody(name: &str) -> Origin {
    let actor = Actor { kind: ActorKind::Operator, subject: name.to_owned() };
    Origin { actor, request_id: format!("by-{name}") }
}

fn ending(tenant: TenantId) -> NewOperation {
    let (kind, subject) = ("tenant.offboard", "north".to_owned());
    NewOperation { kind, parent: None, tenant: Some(tenant), subject, input: serde_json::json!({}) }
}

pub async fn a_second_person_decides_once_and_in_time(place: &impl Place) {
    let registry = migrated(place).await;
    let (ada, ben, kind) = (somebody("ada"), somebody("ben"), ApprovalKind::Offboard);
    let (id, other) = (new_tenant(&registry, "a").await.id, new_tenant(&registry, "b").await.id);
    let input = serde_json::json!({ "confirm": "a" });
    let ask = async |id| registry.request_approval(kind, id, None, &input, DAY, &ada).await;
    let asked = ask(id).await.unwrap();
    assert_eq!((asked.state, &asked.input), (ApprovalState::Waiting, &input));
    assert!(matches!(ask(id).await, Err(RegistryFault::Conflict(_))), "asked twice");
    assert_eq!(registry.approvals(true, 9).await.unwrap(), std::slice::from_ref(&asked));

    let approve = async |asked: &Approval, by: &Origin| {
        registry.approve_operation(asked.id, &ending(asked.tenant), by).await
    };
    assert!(matches!(approve(&asked, &ada).await, Err(RegistryFault::Conflict(_))), "by herself");
    let foreign = registry.approve_operation(asked.id, &ending(other), &ben).await;
    assert!(foreign.is_err(), "of another tenant");
    let all = OperationFilter::default();
    assert_eq!(registry.list_operations(&all, None, 9).await.unwrap(), [], "nothing has begun");
    let (approved, operation) = approve(&asked, &ben).await.unwrap();
    assert_eq!((approved.state, operation.actor), (ApprovalState::Approved, ada.actor.clone()));
    assert_eq!(registry.approval(asked.id).await.unwrap(), Some(approved.clone()));
    assert_eq!(approved.decided.unwrap().0, ben.actor);
    assert!(approve(&asked, &ben).await.is_err(), "approved twice");
    assert!(registry.refuse_approval(asked.id, &ben).await.is_err(), "refused afterwards");

    let late = ask(other).await.unwrap();
    place.clock().advance(DAY);
    assert_eq!(registry.approvals(true, 9).await.unwrap(), []);
    let expired = registry.approval(late.id).await.unwrap().unwrap();
    assert_eq!(expired.state, ApprovalState::Expired);
    assert!(approve(&late, &ben).await.is_err(), "too late");
    let again = ask(other).await.unwrap();
    assert_eq!(
        registry.refuse_approval(again.id, &ada).await.unwrap().state,
        ApprovalState::Refused
    );
    assert!(approve(&again, &ben).await.is_err(), "taken back");
    assert_eq!(registry.approvals(false, 9).await.unwrap().len(), 3);

    let events = registry.list_events(&EventFilter::default(), 50).await.unwrap();
    let said: Vec<_> =
        events.iter().rev().map(|e| (e.action.as_str(), e.actor.subject.as_str())).collect();
    let expected = [
        ("approval.request", "ada"),
        ("approval.approve", "ben"),
        ("operation.order", "ada"),
        ("approval.request", "ada"),
        ("approval.request", "ada"),
        ("approval.refuse", "ada"),
    ];
    assert_eq!(said[2..], expected);
    let forged = format!(
        "UPDATE approvals SET state = 'approved', decider = actor, decider_kind = actor_kind, \
         decided_at = 1 WHERE id = '{}'",
        late.id
    );
    assert!(place.plain(&forged).await.is_err(), "nobody approves herself, by plain SQL either");
}

pub async fn a_mapping_is_published_by_two(place: &impl Place) {
    let registry = migrated(place).await;
    let (ada, ben) = (somebody("ada"), somebody("ben"));
    let id = new_tenant(&registry, "a").await.id;
    let version = registry.add_mapping(id, None, &MAPPING, &ada).await.unwrap();
    let input = serde_json::json!({ "version": version });
    let before = generation(&registry, id).await;
    let ask = async |expected| {
        registry.request_approval(ApprovalKind::Publish, id, expected, &input, DAY, &ada).await
    };
    let stale = ask(Some(Generation(before.0 + 1))).await;
    assert!(matches!(stale, Err(RegistryFault::Stale { .. })), "of another generation");
    let asked = ask(Some(before)).await.unwrap();
    assert_eq!(asked.tenant_name, "a");
    assert!(registry.approve_publication(asked.id, &ada).await.is_err(), "by herself");
    let (_, after) = registry.approve_publication(asked.id, &ben).await.unwrap();
    assert!(after > before);
    assert_eq!(registry.active_mapping(id).await.unwrap(), Some(version));
    let history = registry.mapping_history(id, 9).await.unwrap();
    assert_eq!(history[0].published_by, "ada");

    let absent = serde_json::json!({ "version": version + 1 });
    let kind = ApprovalKind::Publish;
    let asked = registry.request_approval(kind, id, None, &absent, DAY, &ada).await.unwrap();
    assert!(registry.approve_publication(asked.id, &ben).await.is_err(), "no such version");
    let waits = registry.approval(asked.id).await.unwrap().unwrap();
    assert_eq!(waits.state, ApprovalState::Waiting, "what failed is not approved");
}

/// What an approver agrees to is what she was shown: that version in place of the one in force then.
pub async fn an_approved_version_takes_the_place_it_was_asked_for(place: &impl Place) {
    let registry = migrated(place).await;
    let (ada, ben) = (somebody("ada"), somebody("ben"));
    let id = new_tenant(&registry, "a").await.id;
    for _ in 0..3 {
        registry.add_mapping(id, None, &MAPPING, &ada).await.unwrap();
    }
    let publish = async |version| registry.publish_mapping(id, None, version, &ada).await.unwrap();
    let ask = async |order: PublicationOrder| {
        let input = serde_json::to_value(order).unwrap();
        let kind = ApprovalKind::Publish;
        registry.request_approval(kind, id, None, &input, DAY, &ada).await.unwrap().id
    };
    let active = async || registry.active_mapping(id).await.unwrap();
    let overtaken = async |asked| {
        let refused = registry.approve_publication(asked, &ben).await;
        assert!(matches!(refused, Err(RegistryFault::Conflict(_))), "{refused:?}");
        let waits = registry.approval(asked).await.unwrap().unwrap();
        assert_eq!(waits.state, ApprovalState::Waiting);
        registry.refuse_approval(asked, &ben).await.unwrap();
    };

    let first = ask(PublicationOrder { version: 2, from: Some(0), back: false }).await;
    publish(1).await;
    overtaken(first).await;
    let second = ask(PublicationOrder { version: 2, from: Some(1), back: false }).await;
    publish(3).await;
    overtaken(second).await;
    assert_eq!(active().await, Some(3), "the newer one stays");

    // 1, 3, 2: back to 3 by two persons, and further back leads to 1, not to the version that was left.
    publish(2).await;
    let back = ask(PublicationOrder { version: 3, from: Some(2), back: true }).await;
    registry.approve_publication(back, &ben).await.unwrap();
    assert_eq!(active().await, Some(3));
    assert_eq!(registry.mapping_before(id).await.unwrap(), Some(1));
    assert_eq!(registry.rollback_mapping(id, None, &ada).await.unwrap().1, 1);

    // The same version in force, come by another way: what is before it is another.
    publish(3).await;
    publish(2).await;
    let back = ask(PublicationOrder { version: 3, from: Some(2), back: true }).await;
    publish(1).await;
    publish(2).await;
    overtaken(back).await;
    assert_eq!(active().await, Some(2));
}
