//! How long a session lasts, with a clock that is moved.

use std::sync::atomic::Ordering;

use wardgate::auth::{LookAt, OperatorRank, SessionName};
use wardgate::base::{Clock as _, TenantId, Timestamp};

use crate::world::{MINUTE, World, soon, world};

#[tokio::test]
async fn a_session_ends_after_fifteen_minutes_without_use() {
    let world = world().await;
    let session = world.session("operator").await;
    for _ in 0..5 {
        world.clock.advance(14 * MINUTE);
        assert!(world.lives(&session, true).await);
    }
    // What a page asks by itself is no use.
    world.clock.advance(8 * MINUTE);
    assert!(world.lives(&session, false).await);
    world.clock.advance(8 * MINUTE);
    assert!(!world.lives(&session, false).await);
    assert!(!world.lives(&session, true).await);
    assert!(!world.lives("anything", true).await);
}

/// A page that refreshes itself is left in the middle of it.
#[tokio::test]
async fn a_visit_cut_off_anywhere_ends_no_session() {
    for steps in 1..60 {
        let world = world().await;
        let session = world.session("operator").await;
        // The access token ends after half an hour.
        for minutes in [14, 14] {
            world.clock.advance(minutes * MINUTE);
            assert!(world.lives(&session, true).await);
        }
        world.clock.advance(3 * MINUTE);
        let mut visit = Box::pin(world.sign_ins.visit(&session, true, soon()));
        for _ in 0..steps {
            if futures_util::poll!(&mut visit).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(visit);
        assert!(world.lives(&session, true).await, "cut off after {steps} steps");
    }
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_whatever_happens() {
    let world = world().await;
    let session = world.session("operator").await;
    // The access token ends every half hour and is refreshed on the way.
    for minute in (10..480).step_by(10) {
        world.clock.advance(10 * MINUTE);
        assert!(world.lives(&session, true).await, "minute {minute}");
    }
    world.clock.advance(10 * MINUTE);
    assert!(!world.lives(&session, true).await);
}

#[tokio::test]
async fn a_sign_in_is_fresh_for_five_minutes() {
    let world = world().await;
    let session = world.session("approver").await;
    let fresh = async || world.sign_ins.visit(&session, true, soon()).await.unwrap().unwrap().fresh;
    assert!(fresh().await);
    world.clock.advance(4 * MINUTE);
    assert!(fresh().await);
    world.clock.advance(MINUTE);
    assert!(!fresh().await);
    let visit = world.sign_ins.visit(&session, true, soon()).await.unwrap().unwrap();
    assert_eq!(visit.permit.rank(), OperatorRank::Approver);
    assert_eq!(world.sign_ins.name_of(visit.permit.subject()).as_deref(), Some("approver"));
}

#[tokio::test]
async fn a_sign_in_must_be_ended_within_ten_minutes_and_once() {
    let world = world().await;
    let (cookie, state, code) = world.way_back("operator").await;
    assert!(world.sign_ins.finish(&cookie, "another", &code, None, soon()).await.is_err());
    assert!(world.sign_ins.finish(&cookie, &state, &code, None, soon()).await.is_err());
    let (cookie, state, code) = world.way_back("operator").await;
    world.clock.advance(11 * MINUTE);
    assert!(world.sign_ins.finish(&cookie, &state, &code, None, soon()).await.is_err());
    let first = world.session("operator").await;
    assert!(
        world.sign_ins.end(&first, soon()).await.is_some_and(|url| url.contains("id_token_hint"))
    );
    assert!(!world.lives(&first, true).await);
    assert!(world.sign_ins.end(&first, soon()).await.is_none());
}

impl World {
    async fn name(&self, session: &str) -> SessionName {
        let visit = self.sign_ins.visit(session, true, soon()).await.expect("an answer");
        visit.expect("a session").session
    }

    /// Leaves for the hospital's issuer; gives state and code of the way back.
    async fn leaves(&self, session: SessionName) -> (String, String) {
        let hospitals = self.issuer.realm_url("hospitals");
        let (name, kept) = ("north".to_owned(), "kept".to_owned());
        let at = LookAt { tenant: self.hospital.id, name, kept };
        let url = self.sign_ins.begin_look(session, &hospitals, at, soon()).await.expect("begin");
        self.at_issuer("clinician", &url).await
    }

    async fn signs_in_there(&self, session: SessionName) {
        let (state, code) = self.leaves(session).await;
        let returned = self.sign_ins.returned(session, &state).expect("a way back");
        self.sign_ins.finish_look(&returned, &code, soon()).await.expect("signed in");
    }

    async fn looks(&self, session: SessionName) -> bool {
        let looker = self.sign_ins.looker(session, self.hospital.id, soon()).await;
        looker.expect("an answer").is_some()
    }
}

#[tokio::test]
async fn a_way_back_from_a_hospitals_issuer_is_open_for_ten_minutes() {
    let world = world().await;
    let session = world.session("operator").await;
    let name = world.name(&session).await;
    let (state, _) = world.leaves(name).await;
    world.clock.advance(11 * MINUTE);
    assert!(world.lives(&session, true).await);
    assert!(world.sign_ins.returned(name, &state).is_none());
    let (state, _) = world.leaves(name).await;
    world.clock.advance(9 * MINUTE);
    assert!(world.sign_ins.returned(name, &state).is_some());
    assert!(world.sign_ins.returned(name, &state).is_none(), "it counts once");
}

#[tokio::test]
async fn a_sign_in_at_a_hospital_is_held_five_minutes_for_that_hospital_and_session() {
    let world = world().await;
    let (ada, ben) = (world.session("operator").await, world.session("operator").await);
    let (ada_name, ben_name) = (world.name(&ada).await, world.name(&ben).await);
    world.signs_in_there(ada_name).await;
    assert!(world.looks(ada_name).await && !world.looks(ben_name).await);
    let other = world.sign_ins.looker(ada_name, TenantId::random(), soon()).await;
    assert!(other.expect("an answer").is_none(), "it counts for one hospital");
    world.clock.advance(4 * MINUTE);
    assert!(world.looks(ada_name).await);
    // The token itself lives for half an hour.
    world.clock.advance(2 * MINUTE);
    assert!(!world.looks(ada_name).await);

    // It is judged at each look: a hospital that is suspended shows nothing any more.
    world.signs_in_there(ada_name).await;
    world.hospital.active.store(false, Ordering::SeqCst);
    assert!(!world.looks(ada_name).await);
    world.hospital.active.store(true, Ordering::SeqCst);
    assert!(!world.looks(ada_name).await, "what was refused is forgotten");

    world.signs_in_there(ada_name).await;
    world.sign_ins.end(&ada, soon()).await;
    assert!(!world.looks(ada_name).await, "it ends with the session");
}

/// Nobody comes back to ask; what was held is gone from memory all the same.
#[tokio::test]
async fn what_has_ended_is_forgotten_without_being_asked_for() {
    let world = world().await;
    let session = world.session("operator").await;
    let name = world.name(&session).await;
    world.signs_in_there(name).await;
    assert_eq!(world.sign_ins.forget_ended(), (1, 1));
    world.clock.advance(4 * MINUTE);
    assert_eq!(world.sign_ins.forget_ended(), (1, 1));
    assert!(world.looks(name).await);
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.sign_ins.forget_ended(), (1, 0), "a sign-in at a hospital");
    world.clock.advance(10 * MINUTE);
    assert_eq!(world.sign_ins.forget_ended(), (0, 0), "a session");
}

/// An issuer signs people in as strongly as their tokens are then asked to say (RFC 9470).
#[tokio::test]
async fn issuers_are_asked_for_the_strength_that_counts() {
    let world = world().await;
    let session = world.session("operator").await;
    let name = world.name(&session).await;
    let begun = world.sign_ins.begin("/panel/", false, soon()).await.expect("begin");
    assert!(begun.url.contains("acr_values=1"), "{}", begun.url);
    let (hospitals, tenant) = (world.issuer.realm_url("hospitals"), world.hospital.id);
    let at = LookAt { tenant, name: "north".to_owned(), kept: "kept".to_owned() };
    let url = world.sign_ins.begin_look(name, &hospitals, at, soon()).await.expect("begin");
    assert!(url.contains("acr_values=gold+silver"), "{url}");
}

/// What a sign-in at a hospital has to be besides good: of now, of one person, and of that hospital still.
#[tokio::test]
async fn a_sign_in_at_a_hospital_is_of_now_and_of_one_person() {
    let world = world().await;
    let session = world.session("operator").await;
    let name = world.name(&session).await;
    let finished = async |state: &str, code: &str| {
        let returned = world.sign_ins.returned(name, state).expect("a way back");
        world.sign_ins.finish_look(&returned, code, soon()).await.map_err(|fault| fault.reason())
    };
    // One that does not count ends the one before, too.
    world.signs_in_there(name).await;
    assert!(world.looks(name).await);
    // Whoever follows the link took `prompt=login` out of it, and the issuer knew somebody from before.
    let now = world.clock.now();
    let hospitals = world.issuer.realm_url("hospitals");
    let at =
        LookAt { tenant: world.hospital.id, name: "north".to_owned(), kept: "kept".to_owned() };
    let url = world.sign_ins.begin_look(name, &hospitals, at, soon()).await.expect("begin");
    world.clock.set(Timestamp::from_millis(now.as_millis() - 180_000));
    let (state, code) = world.at_issuer("clinician", &url).await;
    assert_eq!(finished(&state, &code).await, Err("not_signed_in_anew"));
    world.clock.set(now);
    assert!(!world.looks(name).await);

    // The access token is another person's than the ID token.
    let (state, code) = world.leaves(name).await;
    *world.swapped.lock().unwrap() = world.issuer.access_token("colleague");
    assert_eq!(finished(&state, &code).await, Err("tokens_of_two_subjects"));
    *world.swapped.lock().unwrap() = None;
    assert!(!world.looks(name).await);

    // What her token led to is another hospital's now.
    world.signs_in_there(name).await;
    assert!(world.looks(name).await);
    world.hospital.given_away.store(true, Ordering::SeqCst);
    assert!(!world.looks(name).await);
}
