//! Rows 14, 16 and 39: keys that come and go, and keys that never were.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use wardgate::base::{Deadline, Fault};

use crate::idp::SigningKey;
use crate::world::Answer::{Good, InvalidToken};
use crate::world::{World, bearer, expect, status};

#[tokio::test]
async fn a_new_key_is_fetched_once_and_waited_for() {
    let world = World::new().await;
    let new = SigningKey::generate("new", "RS256");
    let unpublished = new.named("unpublished", "RS256");
    let token = unpublished.token(&unpublished.header(), &world.claims());
    expect("16", "never published", InvalidToken, &world.present(&token).await);
    world.idp.change("a", |realm| realm.keys.push(new.clone()));
    let token = new.token(&new.header(), &world.claims());
    let before = world.idp.key_fetches("a");
    let (world, token) = (&world, &token);
    let answers: Vec<_> = futures_util::stream::iter(0..50)
        .map(|_| async move { world.present(token).await })
        .buffer_unordered(50)
        .collect()
        .await;
    for answer in &answers {
        expect("16", "after it is published", Good, answer);
    }
    assert_eq!(world.idp.key_fetches("a"), before + 1, "one fetch for all who wait");
    expect("16", "old key", Good, &world.present(&world.token(|_| {})).await);
}

#[tokio::test]
async fn a_new_key_is_not_taken_for_a_bad_one_when_it_cannot_be_fetched_in_time() {
    let world = World::with(|config| config.min_refetch = Duration::from_hours(1)).await;
    let new = SigningKey::generate("new", "RS256");
    world.idp.change("a", |realm| realm.keys.push(new.clone()));
    let token = new.token(&new.header(), &world.claims());
    let short = Deadline::after(Duration::from_secs(5));
    let fault = world.authority.authenticate(&bearer(&token), false, short).await.unwrap_err();
    assert_eq!((status(&fault), fault.reason()), (503, "key_fetch_after_deadline"));
    assert!(fault.retry_after_secs().unwrap() > 3000);
    assert_eq!(world.idp.key_fetches("a"), 1, "only the one at the start");
}

#[tokio::test]
async fn a_removed_key_stops_at_once() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let by_pss = world.token_with_header(&world.pss, |_| {});
    expect("16", "present", Good, &world.present(&token).await);
    expect("16", "present", Good, &world.present(&by_pss).await);
    world.idp.change("a", |realm| realm.keys.retain(|key| key.kid != "rsa"));
    refetch(&world).await;
    expect("16", "removed, token remembered", InvalidToken, &world.present(&token).await);
    expect("16", "removed", InvalidToken, &world.present(&world.token(|_| {})).await);
    expect("16", "its neighbour", Good, &world.present(&by_pss).await);
    // The same name for another key.
    let again = SigningKey::generate("rsa", "RS256");
    world.idp.change("a", |realm| realm.keys.push(again.clone()));
    refetch(&world).await;
    expect("16", "name given anew", InvalidToken, &world.present(&token).await);
    let token = again.token(&again.header(), &world.claims());
    expect("16", "the new bearer of the name", Good, &world.present(&token).await);
}

/// Makes the gateway fetch realm `a`'s keys, by a key id nobody has.
async fn refetch(world: &World) {
    let kid = uuid::Uuid::new_v4().to_string();
    let token = world.token_with_header(&world.rsa, |header| header["kid"] = json!(kid));
    expect("13", "unknown kid", InvalidToken, &world.present(&token).await);
}

#[tokio::test]
async fn nothing_passes_after_the_switch_under_replay() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let (world, token) = (&world, &token);
    let replay = |count: usize| {
        futures_util::stream::iter(0..count)
            .map(move |_| async move { world.present(token).await.is_ok() })
            .buffer_unordered(16)
            .collect::<Vec<_>>()
    };
    assert_eq!(replay(500).await, [true; 500]);
    world.idp.change("a", |realm| realm.keys.retain(|key| key.kid != "rsa"));
    let (during, ()) = tokio::join!(replay(500), refetch(world));
    // Once one is refused, the switch has happened; the order within the 16 in flight is open.
    if let Some(first) = during.iter().position(|good| !good) {
        assert!(!during[(first + 32).min(500)..].contains(&true));
    }
    assert_eq!(replay(1000).await, [false; 1000]);
}

#[tokio::test]
async fn a_changed_set_of_keys_is_noticed_on_the_timer() {
    let world = World::with(|config| config.refresh = Duration::from_millis(300)).await;
    let token = world.token(|_| {});
    expect("16", "present", Good, &world.present(&token).await);
    world.idp.change("a", |realm| realm.keys.retain(|key| key.kid != "rsa"));
    until(async || world.present(&token).await.is_err()).await;
    expect("16", "removed", InvalidToken, &world.present(&token).await);
}

#[tokio::test]
async fn a_realms_not_before_is_polled() {
    let world = World::with(|config| config.refresh = Duration::from_millis(300)).await;
    let token = world.token(|_| {});
    expect("32", "before", Good, &world.present(&token).await);
    let now = world.now();
    world.idp.change("a", |realm| realm.not_before = now + 1);
    until(async || world.present(&token).await.is_err()).await;
    expect("32", "revoked", InvalidToken, &world.present(&token).await);
    world.clock.advance(Duration::from_secs(1));
    expect("32", "issued since", Good, &world.present(&world.token(|_| {})).await);
}

/// Tries until it holds, a minute at most.
pub async fn until(holds: impl AsyncFn() -> bool) {
    let end = Deadline::after(Duration::from_mins(1));
    while !holds().await {
        assert!(!end.passed(), "it never came to hold");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_flood_of_invented_kids() {
    const FLOOD: usize = 10_000;
    let world = World::with(|config| {
        config.min_refetch = Duration::from_secs(1);
        config.max_waiting = 64;
    })
    .await;
    let begun = std::time::Instant::now();
    // One signature for all: it is never looked at.
    let template = world.token(|_| {});
    let (_, rest) = template.split_once('.').unwrap();
    let (world, rest) = (&world, rest);
    let answers: Vec<_> = futures_util::stream::iter(0..FLOOD)
        .map(|n| async move {
            if n % 100 == 0 {
                expect("14", "good meanwhile", Good, &world.present(&world.token(|_| {})).await);
            }
            let kid = format!("invented-{n}");
            let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
            let token = format!("{}.{rest}", crate::idp::b64(header.to_string()));
            world.present(&token).await
        })
        .buffer_unordered(200)
        .collect()
        .await;
    let mut count = std::collections::BTreeMap::new();
    for answer in answers {
        *count.entry(status(&answer.unwrap_err())).or_insert(0) += 1;
    }
    assert!(count.keys().all(|status| [401, 503].contains(status)), "{count:?}");
    assert!(count[&401] > 0, "those who waited were told: {count:?}");
    let allowed = 2 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    let fetches = world.idp.key_fetches("a");
    assert!(fetches <= allowed, "{fetches} fetches, at most {allowed} in that time");
    assert_eq!(world.idp.key_fetches("b"), 1, "the other realm has no part in it");
}

/// Row 14 and the figure beside it: invented key ids keep nobody out whose key is new and real.
#[tokio::test]
async fn a_new_key_is_waited_for_in_a_flood_of_invented_kids() {
    let world = World::with(|config| {
        config.min_refetch = Duration::from_secs(2);
        config.max_waiting = 8;
    })
    .await;
    let template = world.token(|_| {});
    let (_, rest) = template.split_once('.').unwrap();
    let invented = |n: usize| {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": format!("invented-{n}")});
        format!("{}.{rest}", crate::idp::b64(header.to_string()))
    };
    let new = SigningKey::generate("new", "RS256");
    world.idp.change("a", |realm| realm.keys.push(new.clone()));
    let real = new.token(&new.header(), &world.claims());
    // Polled in this order: more invented ids than there are places, then many callers with the new key,
    // then more invented ids.
    let flood = |from| {
        futures_util::future::join_all((from..from + 300).map(|n| {
            let token = invented(n);
            let world = &world;
            async move { world.present(&token).await }
        }))
    };
    let callers = futures_util::future::join_all((0..300).map(|_| world.present(&real)));
    let (before, callers, after) = futures_util::join!(flood(0), callers, flood(1000));
    for answer in &callers {
        expect("14", "a new real key in a flood", Good, answer);
    }
    for answer in before.into_iter().chain(after) {
        assert!(matches!(status(&answer.unwrap_err()), 401 | 503));
    }
    assert!(world.idp.key_fetches("a") <= 3, "the one at the start and those waited for");
}

#[tokio::test]
async fn a_kid_proven_absent_is_not_asked_for_again_at_once() {
    let world = World::with(|config| config.min_refetch = Duration::from_secs(2)).await;
    let token = world.token_with_header(&world.rsa, |header| header["kid"] = json!("absent"));
    expect("14", "first", InvalidToken, &world.present(&token).await);
    let fetches = world.idp.key_fetches("a");
    for _ in 0..100 {
        let at_once = Deadline::after(Duration::from_millis(500));
        let answer = world.authority.authenticate(&bearer(&token), false, at_once).await;
        // A 503 would mean that it wanted another fetch.
        assert_eq!(answer.unwrap_err().reason(), "kid_unknown");
    }
    assert_eq!(world.idp.key_fetches("a"), fetches);
}
