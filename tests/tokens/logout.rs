//! Rows 32 and 33: back-channel logout.

use std::time::Duration;

use serde_json::{Value, json};
use wardgate::auth::Principal;
use wardgate::base::{Clock as _, Fault, FaultKind};

use crate::idp::{Answer as Says, SigningKey, logout_claims};
use crate::world::Answer::{Good, InvalidToken};
use crate::world::{NOW, World, deadline, expect, without};

fn body(token: &str) -> Vec<u8> {
    format!("logout_token={token}").into_bytes()
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.alg, "typ": "logout+jwt", "kid": key.kid})
}

async fn log_out(world: &World, how: impl FnOnce(&mut Value)) -> Result<(), &'static str> {
    let mut claims = logout_claims(&world.issuer, world.now());
    how(&mut claims);
    post(world, &world.rsa.token(&header(&world.rsa), &claims)).await
}

async fn post(world: &World, token: &str) -> Result<(), &'static str> {
    world.authority.back_channel_logout(&body(token), deadline()).await.map_err(|fault| {
        assert_eq!(fault.kind(), FaultKind::Invalid, "{fault}");
        fault.reason()
    })
}

#[tokio::test]
async fn a_session_ends_at_once() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let other_session = world.token(|claims| claims["sid"] = json!("another-session"));
    let no_session = world.token(|claims| without(claims, "sid"));
    for token in [&token, &other_session, &no_session] {
        expect("32", "before", Good, &world.present(token).await);
    }
    assert_eq!(log_out(&world, |_| {}).await, Ok(()));
    expect("32", "remembered", InvalidToken, &world.present(&token).await);
    expect("32", "fresh", InvalidToken, &world.present(&world.token(|_| {})).await);
    expect("32", "another session", Good, &world.present(&other_session).await);
    expect("32", "no session", Good, &world.present(&no_session).await);
}

#[tokio::test]
async fn a_subject_ends_for_what_was_issued_before() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let somebody = world.token(|claims| claims["sub"] = json!("somebody-else"));
    assert_eq!(log_out(&world, |claims| without(claims, "sid")).await, Ok(()));
    expect("32", "issued before", InvalidToken, &world.present(&token).await);
    expect("32", "somebody else", Good, &world.present(&somebody).await);
    world.clock.advance(std::time::Duration::from_secs(1));
    expect("32", "signed in again", Good, &world.present(&world.token(|_| {})).await);
}

/// Of a long answer under way: what ends a token from outside ends it at once, its own end a while later.
#[tokio::test]
async fn an_answer_under_way_is_its_callers_while_she_would_be_let_in() {
    let world = World::new().await;
    let caller = world.present(&world.token(|_| {})).await.unwrap();
    let other = world.token(|claims| claims["sid"] = json!("another-session"));
    let other = world.present(&other).await.unwrap();
    let hour = Duration::from_hours(1);
    let stands = async |caller: &Principal| {
        let outcome = world.authority.still_stands(caller, hour, deadline()).await;
        outcome.map_err(|fault| fault.reason())
    };
    let life = caller.expires_at().since(world.clock.now());
    world.clock.advance(life + Duration::from_mins(59));
    expect(
        "-",
        "expired",
        InvalidToken,
        &world
            .present(&world.token(|claims| {
                claims["exp"] = json!(caller.expires_at().as_secs());
            }))
            .await,
    );
    assert_eq!((stands(&caller).await, stands(&other).await), (Ok(()), Ok(())));
    assert_eq!(log_out(&world, |_| {}).await, Ok(()));
    assert_eq!((stands(&caller).await, stands(&other).await), (Err("logged_out"), Ok(())));
    let azp = |azp: &str| {
        let azp = vec![azp.to_owned()];
        world.directory.change(&world.issuer, "hospital-a", |b| b.azp = azp.into_iter().collect());
    };
    azp("another-app");
    assert_eq!(stands(&other).await, Err("azp_not_bound"));
    azp("emr-app");
    assert_eq!(stands(&other).await, Ok(()));
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(stands(&other).await, Err("expired"));
}

#[tokio::test]
async fn what_is_no_logout_token_touches_nobody() {
    let world = World::new().await;
    let cases: [(&str, Result<(), &str>); 16] = [
        ("wrong audience", log_out(&world, |c| c["aud"] = json!("other-app")).await),
        ("no audience", log_out(&world, |c| without(c, "aud")).await),
        ("nonce", log_out(&world, |c| c["nonce"] = json!("n")).await),
        ("null nonce", log_out(&world, |c| c["nonce"] = json!(null)).await),
        ("no events", log_out(&world, |c| without(c, "events")).await),
        ("other event", log_out(&world, |c| c["events"] = json!({"x": {}})).await),
        (
            "event is no object",
            log_out(&world, |c| {
                c["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": 1});
            })
            .await,
        ),
        (
            "nobody",
            log_out(&world, |c| {
                without(c, "sid");
                without(c, "sub");
            })
            .await,
        ),
        ("no jti", log_out(&world, |c| without(c, "jti")).await),
        ("no iat", log_out(&world, |c| without(c, "iat")).await),
        ("no exp", log_out(&world, |c| without(c, "exp")).await),
        (
            "over",
            log_out(&world, |c| {
                c["iat"] = json!(NOW - 200);
                c["exp"] = json!(NOW - 31);
            })
            .await,
        ),
        (
            "in the future",
            log_out(&world, |c| {
                c["iat"] = json!(NOW + 60);
            })
            .await,
        ),
        ("lives long", log_out(&world, |c| c["exp"] = json!(NOW + 4000)).await),
        ("unknown issuer", log_out(&world, |c| c["iss"] = json!(world.issuer_b)).await),
        ("typ Bearer", log_out(&world, |c| c["typ"] = json!("Bearer")).await),
    ];
    for (name, answer) in cases {
        assert!(answer.is_err(), "row 33: {name}");
    }
    let claims = logout_claims(&world.issuer, NOW);
    let (good, attacker) = (header(&world.rsa), SigningKey::generate("rsa", "RS256"));
    let signed = world.rsa.token(&good, &claims);
    let (unsigned, _) = signed.rsplit_once('.').unwrap();
    let none = world.rsa.token(&json!({"alg": "none", "typ": "logout+jwt", "kid": "rsa"}), &claims);
    for (name, token, why) in [
        ("unsigned", format!("{unsigned}."), "empty_segment"),
        ("alg none", none, "alg_refused"),
        ("another's signature", attacker.token(&good, &claims), "signature_wrong"),
        ("access token", world.token(|_| {}), "header_typ_is_not_logout"),
        (
            "header typ JWT",
            world.rsa.token(&world.rsa.header(), &claims),
            "header_typ_is_not_logout",
        ),
        ("of realm B", world.other.token(&good, &claims), "signature_wrong"),
        ("empty", String::new(), "not_three_segments"),
    ] {
        assert_eq!(post(&world, &token).await, Err(why), "row 33: {name}");
    }
    expect("33", "session untouched", Good, &world.present(&world.token(|_| {})).await);
    // A logout token is no access token either.
    expect("24", "logout token as bearer", InvalidToken, &world.present(&signed).await);
    assert_eq!(post(&world, &signed).await, Ok(()), "and the good one still works");
    assert_eq!(post(&world, &signed).await, Err("replayed"));
}

#[tokio::test]
async fn keys_away_is_not_a_refusal() {
    let world = World::new().await;
    let new = SigningKey::generate("new", "ES256");
    world.idp.change("a", |realm| {
        realm.keys.push(new.clone());
        realm.answer = Says::Status(503);
    });
    let token = new.token(&header(&new), &logout_claims(&world.issuer, NOW));
    let fault = world.authority.back_channel_logout(&body(&token), deadline()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert!(fault.retry_after_secs().is_some());
}

#[tokio::test]
async fn an_operators_session_ends_too() {
    let world = World::with(|config| {
        config.operators.as_mut().unwrap().logout_audiences = vec!["wardgate-panel".to_owned()];
    })
    .await;
    let mut claims = crate::idp::keycloak_claims(&world.issuer_ops, NOW);
    claims["aud"] = json!("wardgate-admin");
    claims["realm_access"] = json!({"roles": ["operator"]});
    let token = world.operator.token(&world.operator.header(), &claims);
    let headers = crate::world::bearer(&token);
    assert!(world.authority.operator(&headers, deadline()).await.is_ok());
    let mut logout = logout_claims(&world.issuer_ops, NOW);
    logout["aud"] = json!("wardgate-panel");
    let logout = world.operator.token(&header(&world.operator), &logout);
    assert_eq!(post(&world, &logout).await, Ok(()));
    let refused = world.authority.operator(&headers, deadline()).await.unwrap_err();
    assert_eq!(refused.reason(), "logged_out");
    expect("32", "same sid, other issuer", Good, &world.present(&world.token(|_| {})).await);
}
