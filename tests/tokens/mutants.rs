//! Row 40: 100,000 tokens that are nearly good.

use axum::http::HeaderValue;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use wardgate::base::Deadline;

use crate::world::{World, authorization};

/// Presents the bytes as a bearer token where a header can hold them. Never waits for keys.
async fn accepted(world: &World, token: &[u8]) -> bool {
    let value = [b"Bearer ", token].concat();
    if HeaderValue::from_bytes(&value).is_err() {
        return false;
    }
    let at_once = Deadline::after(std::time::Duration::ZERO);
    world.authority.authenticate(&authorization(&value), false, at_once).await.is_ok()
}

#[tokio::test]
async fn no_mutant_is_accepted() {
    let world = World::with(|config| {
        config.min_refetch = std::time::Duration::from_hours(1);
    })
    .await;
    let tokens: Vec<_> = [&world.rsa, &world.pss, &world.ec, &world.ed]
        .into_iter()
        .map(|key| world.token_with_header(key, |_| {}).into_bytes())
        .collect();
    let mut tried = 0_usize;
    for token in &tokens {
        // The answer for the good one depends on no wait either, or the test would show nothing.
        let good = authorization([b"Bearer ", &token[..]].concat());
        assert!(world.authority.authenticate(&good, false, crate::world::deadline()).await.is_ok());
        for at in 0..token.len() {
            for other in other_bytes(token[at]) {
                let mut mutant = token.clone();
                mutant[at] = other;
                assert!(!accepted(&world, &mutant).await, "byte {at} as {other}");
                tried += 1;
            }
            for (name, mutant) in [
                ("without", [&token[..at], &token[at + 1..]].concat()),
                ("doubled", [&token[..=at], &token[at..]].concat()),
                ("cut", token[..at].to_vec()),
                ("tail", token[at + 1..].to_vec()),
            ] {
                assert!(!accepted(&world, &mutant).await, "byte {at} {name}");
                tried += 1;
            }
        }
    }
    tried += splices(&world, &tokens, 100_000_usize.saturating_sub(tried).max(20_000)).await;
    assert!(tried >= 100_000, "{tried}");
}

/// Every single-bit flip, the neighbours in the base64url alphabet, and a few troublemakers.
fn other_bytes(byte: u8) -> impl Iterator<Item = u8> {
    let flips = (0..8).map(move |bit| byte ^ (1 << bit));
    let near = [byte.wrapping_add(1), byte.wrapping_sub(1)];
    flips.chain(near).chain(*b"A_-.=+/ %").filter(move |other| *other != byte)
}

/// Random pieces of good tokens put together.
async fn splices(world: &World, tokens: &[Vec<u8>], count: usize) -> usize {
    let mut runner = TestRunner::new(Config { rng_seed: RngSeed::Fixed(7), ..Config::default() });
    let pieces = proptest::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        2..5,
    );
    for _ in 0..count {
        let mut mutant = Vec::new();
        for (which, from, to) in pieces.new_tree(&mut runner).unwrap().current() {
            let token = which.get(tokens);
            let (from, to) = (from.index(token.len()), to.index(token.len()));
            mutant.extend_from_slice(&token[from.min(to)..=from.max(to)]);
        }
        if !tokens.contains(&mutant) {
            assert!(!accepted(world, &mutant).await, "{}", String::from_utf8_lossy(&mutant));
        }
    }
    count
}

#[tokio::test]
async fn segments_of_two_good_tokens_do_not_mix() {
    let world = World::new().await;
    let one = world.token(|_| {});
    let two = world.token(|claims| claims["realm_access"]["roles"] = serde_json::json!([]));
    let parts: Vec<Vec<_>> = [&one, &two].iter().map(|token| token.split('.').collect()).collect();
    for (header, payload, signature) in [(0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 0, 1)] {
        let mixed = format!("{}.{}.{}", parts[header][0], parts[payload][1], parts[signature][2]);
        assert!(!accepted(&world, mixed.as_bytes()).await);
    }
}
