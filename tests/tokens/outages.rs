//! Rows 35 to 38: issuers that are away, answer nonsense, or contradict themselves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};
use wardgate::auth::{AuthConfig, AuthFault, Authority, IssuerConfig, OperatorsConfig};
use wardgate::base::{ManualClock, Timestamp};

use crate::directory::Bindings;
use crate::idp::{Answer as Says, Idp, SigningKey, discovery, keycloak_claims, logout_claims};
use crate::keys::until;
use crate::world::Answer::{Good, InvalidToken, Unavailable};
use crate::world::{NOW, World, bearer, deadline, expect};

async fn start(issuers: Vec<IssuerConfig>) -> (Result<Authority, AuthFault>, Arc<Bindings>) {
    let directory = Arc::new(Bindings::default());
    let config =
        AuthConfig { issuers, min_refetch: Duration::from_millis(100), ..AuthConfig::default() };
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    (Authority::start(config, clock, directory.clone()).await, directory)
}

#[tokio::test]
async fn an_issuer_away_at_the_start_is_tried_again() {
    // A port that stays ours, and nobody listens at yet.
    let place = TcpSocket::new_v4().unwrap();
    place.set_reuseaddr(true).unwrap();
    place.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = place.local_addr().unwrap();
    let issuer = format!("http://{address}/realms/late");
    let config = IssuerConfig::keycloak(&issuer, "wardgate-api");
    let (authority, directory) = start(vec![config]).await;
    let authority = authority.unwrap();
    directory.bind(&issuer, "hospital-a", &["emr-app"]);
    let key = SigningKey::generate("k", "ES256");
    let token = key.token(&key.header(), &keycloak_claims(&issuer, NOW));
    let present = || async { authority.authenticate(&bearer(&token), false, deadline()).await };
    expect("35", "not discovered", Unavailable, &present().await);
    assert!(!authority.readiness()[0].ready);
    assert_eq!(authority.readiness()[0].failing, Some("issuer_unreachable"));
    let junk = authority.authenticate(&bearer("a.b.c"), false, deadline()).await;
    expect("5", "bad form needs no issuer", InvalidToken, &junk);
    let idp = Idp::on(TcpListener::bind(address).await.unwrap());
    idp.realm("late", std::slice::from_ref(&key));
    until(async || present().await.is_ok()).await;
    let readiness = &authority.readiness()[0];
    assert_eq!((readiness.ready, readiness.keys, readiness.failing), (true, 1, None));
}

#[tokio::test]
async fn keys_outlive_an_outage_for_a_while() {
    let world = World::with(|config| {
        config.refresh = Duration::from_millis(200);
        config.max_stale = Duration::from_secs(6);
    })
    .await;
    let token = world.token(|_| {});
    expect("36", "before", Good, &world.present(&token).await);
    let new = SigningKey::generate("new", "RS256");
    let by_new = new.token(&new.header(), &world.claims());
    world.idp.change("a", |realm| {
        realm.keys.push(new.clone());
        realm.answer = Says::Status(503);
    });
    until(async || world.authority.readiness()[0].failing.is_some()).await;
    expect("36", "key held, token remembered", Good, &world.present(&token).await);
    expect("36", "key held", Good, &world.present(&world.token(|_| {})).await);
    expect("35", "key not held", Unavailable, &world.present(&by_new).await);
    until(async || world.present(&token).await.is_err()).await;
    expect("36", "too old", Unavailable, &world.present(&token).await);
    expect("36", "too old", Unavailable, &world.present(&world.token(|_| {})).await);
    world.idp.change("a", |realm| realm.answer = Says::Keys);
    until(async || world.present(&token).await.is_ok()).await;
    expect("36", "back", Good, &world.present(&by_new).await);
}

#[tokio::test]
async fn nonsense_leaves_the_set_as_it_was() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let unknown = world.token_with_header(&world.rsa, |h| h["kid"] = json!("unknown"));
    let elsewhere = Idp::start().await;
    let target = elsewhere.realm("a", &[]);
    for (name, says) in [
        ("HTML", Says::Html),
        ("100 MB", Says::Huge(100 << 20)),
        ("a byte too many", Says::Huge(64 * 1024)),
        ("not JSON", Says::Text("{".to_owned())),
        ("no keys", Says::Text("{}".to_owned())),
        ("keys twice", Says::Text(r#"{"keys":[],"keys":[]}"#.to_owned())),
        ("404", Says::Status(404)),
        ("redirect", Says::Redirect(format!("{target}/protocol/openid-connect/certs"))),
        ("redirect to metadata", Says::Redirect("http://169.254.169.254/latest".to_owned())),
    ] {
        world.idp.change("a", |realm| realm.answer = says);
        expect("37", name, Unavailable, &world.present(&unknown).await);
        assert!(world.authority.readiness()[0].failing.is_some(), "{name}");
        expect("37", name, Good, &world.present(&token).await);
        expect("37", name, Good, &world.present(&world.token(|_| {})).await);
    }
    assert_eq!(elsewhere.key_fetches("a"), 0, "no redirect is followed");
    world.idp.change("a", |realm| realm.answer = Says::Keys);
    expect("37", "sense again", InvalidToken, &world.present(&unknown).await);
}

#[tokio::test]
async fn a_slow_answer_ends_in_time() {
    let world = World::new().await;
    let unknown = world.token_with_header(&world.rsa, |h| h["kid"] = json!("unknown"));
    for says in [Says::Drip, Says::Hang] {
        world.idp.change("a", |realm| realm.answer = says);
        let begun = tokio::time::Instant::now();
        expect("37", "slow", Unavailable, &world.present(&unknown).await);
        assert!(begun.elapsed() < Duration::from_secs(9), "well before the request's ten seconds");
        expect("37", "others", Good, &world.present(&world.token(|_| {})).await);
    }
}

#[tokio::test]
async fn bad_entries_are_dropped_one_by_one() {
    let world = World::new().await;
    let weak = {
        let mut jwk = SigningKey::generate("private", "RS256").jwk();
        jwk["d"] = json!("AQAB");
        jwk
    };
    let twin = SigningKey::generate("pss", "PS256");
    world.idp.change("a", |realm| {
        realm.extra_keys = vec![
            weak,
            twin.jwk(),
            json!({"kty": "oct", "kid": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
            json!({"kty": "RSA", "kid": "small", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AA"}),
            json!({"kty": "RSA", "use": "enc", "kid": "enc", "alg": "RSA-OAEP"}),
            json!("not a key"),
        ];
    });
    let unknown = world.token_with_header(&world.rsa, |h| h["kid"] = json!("unknown"));
    expect("37", "fetch", InvalidToken, &world.present(&unknown).await);
    assert_eq!(world.authority.readiness()[0].keys, 3, "rsa, ec and ed; both called pss are gone");
    expect("37", "good entry", Good, &world.present(&world.token(|_| {})).await);
    for key in [&world.pss, &twin] {
        let token = world.token_with_header(key, |_| {});
        expect("37", "kid twice", InvalidToken, &world.present(&token).await);
    }
}

#[tokio::test]
async fn a_contradiction_refuses_the_start() {
    let idp = Idp::start().await;
    let elsewhere = Idp::start().await;
    let foreign = elsewhere.realm("a", &[]);
    let issuer = idp.realm("a", &[SigningKey::generate("k", "ES256")]);
    for (name, member, value) in [
        ("other issuer", "issuer", format!("{issuer}x")),
        ("trailing slash", "issuer", format!("{issuer}/")),
        ("upper case", "issuer", issuer.replace("realms", "Realms")),
        ("foreign host", "jwks_uri", format!("{foreign}/protocol/openid-connect/certs")),
        ("metadata address", "jwks_uri", "http://169.254.169.254/latest/meta-data".to_owned()),
        ("user before host", "jwks_uri", issuer.replace("http://", "http://x@evil.example:80/")),
    ] {
        let mut document = discovery(&issuer);
        document[member] = json!(value);
        idp.change("a", |realm| realm.discovery = Some(document));
        let (started, _) = start(vec![IssuerConfig::keycloak(&issuer, "wardgate-api")]).await;
        let fault = started.map(|_| ()).unwrap_err();
        assert!(matches!(fault, AuthFault::Contradiction { .. }), "row 38: {name}: {fault:?}");
    }
    assert_eq!(elsewhere.key_fetches("a"), 0, "a foreign host is not asked");
}

#[tokio::test]
async fn an_internal_url_moves_the_connection_and_not_the_name() {
    let idp = Idp::start().await;
    let key = SigningKey::generate("k", "ES256");
    let internal = idp.realm("a", std::slice::from_ref(&key));
    let name = "https://sso.example.org/realms/public";
    let mut document = discovery(name);
    idp.change("a", |realm| realm.discovery = Some(document.clone()));
    let config = IssuerConfig {
        internal_url: Some(internal.clone()),
        ..IssuerConfig::keycloak(name, "wardgate-api")
    };
    let (started, directory) = start(vec![config.clone()]).await;
    let authority = started.unwrap();
    directory.bind(name, "hospital-a", &["emr-app"]);
    let present = |issuer: &str| {
        let token = key.token(&key.header(), &keycloak_claims(issuer, NOW));
        let authority = authority.clone();
        async move { authority.authenticate(&bearer(&token), false, deadline()).await }
    };
    expect("18", "by its name", Good, &present(name).await);
    expect("18", "by the address", InvalidToken, &present(&internal).await);
    document["issuer"] = json!(internal);
    idp.change("a", |realm| realm.discovery = Some(document));
    let (started, _) = start(vec![config]).await;
    assert!(matches!(started.map(|_| ()), Err(AuthFault::Contradiction { .. })));
}

#[tokio::test]
async fn settings_that_cannot_work_refuse_the_start() {
    let plain = IssuerConfig::keycloak("http://sso.example.org/realms/a", "wardgate-api");
    let twice = IssuerConfig::keycloak("http://127.0.0.1:1/realms/a", "wardgate-api");
    let nobody = IssuerConfig::keycloak("http://127.0.0.1:1/realms/a", "");
    for issuers in [vec![plain], vec![twice.clone(), twice.clone()], vec![nobody]] {
        let (started, _) = start(issuers).await;
        assert!(matches!(started.map(|_| ()), Err(AuthFault::Configuration { .. })));
    }
    let config = AuthConfig {
        operators: Some(OperatorsConfig::keycloak(&twice.url, "wardgate-admin", "operator")),
        issuers: vec![twice],
        ..AuthConfig::default()
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let started = Authority::start(config, clock, Arc::new(Bindings::default())).await;
    assert!(matches!(started.map(|_| ()), Err(AuthFault::Configuration { .. })));
}

#[tokio::test]
async fn issuers_come_and_go_while_running() {
    let world = World::new().await;
    let key = SigningKey::generate("k", "ES256");
    let issuer = world.idp.realm("c", std::slice::from_ref(&key));
    world.directory.bind(&issuer, "hospital-c", &["emr-app"]);
    let token = {
        let mut claims = keycloak_claims(&issuer, NOW);
        claims["client_id"] = json!("hospital-c");
        key.token(&key.header(), &claims)
    };
    expect("18", "before", InvalidToken, &world.present(&token).await);
    let config = IssuerConfig::keycloak(&issuer, "wardgate-api");
    world.authority.add_issuer(config.clone()).await.unwrap();
    expect("18", "added", Good, &world.present(&token).await);
    world.authority.add_issuer(config.clone()).await.unwrap();
    expect("18", "replaced", Good, &world.present(&token).await);
    let mut logout = logout_claims(&issuer, NOW);
    logout["aud"] = json!("wardgate-api");
    logout["sid"] = json!("ended-session");
    let logout = key.token(&json!({"alg": "ES256", "typ": "logout+jwt", "kid": "k"}), &logout);
    let body = format!("logout_token={logout}");
    world.authority.back_channel_logout(body.as_bytes(), deadline()).await.unwrap();
    let ended = {
        let mut claims = keycloak_claims(&issuer, NOW);
        claims["client_id"] = json!("hospital-c");
        claims["sid"] = json!("ended-session");
        key.token(&key.header(), &claims)
    };
    expect("32", "logged out", InvalidToken, &world.present(&ended).await);
    world.authority.add_issuer(config).await.unwrap();
    expect("32", "logged out and issuer replaced", InvalidToken, &world.present(&ended).await);
    expect("18", "replaced again", Good, &world.present(&token).await);
    assert!(world.authority.remove_issuer(&issuer));
    assert!(!world.authority.remove_issuer(&issuer));
    expect("18", "removed", InvalidToken, &world.present(&token).await);
    expect("18", "others", Good, &world.present(&world.token(|_| {})).await);
    let operators = IssuerConfig::keycloak(&world.issuer_ops, "wardgate-api");
    assert!(world.authority.add_issuer(operators).await.is_err());
}
