//! Rows 17 to 29 and 32: what the claims say, and whose token it is.

use serde_json::{Value, json};
use wardgate::auth::{IssuerConfig, TokenProfile};
use wardgate::base::Timestamp;

use crate::idp::keycloak_claims;
use crate::world::Answer::{Good, InvalidToken, NoAccess, Unavailable};
use crate::world::{Answer, NOW, World, bearer, expect, without};

/// Rows made of a good token with one claim replaced; `null` in the list of values is JSON's.
fn claim_rows<'n>(
    world: &World,
    row: &'n str,
    claim: &'n str,
    values: impl IntoIterator<Item = (Value, Answer)>,
) -> Vec<(&'n str, &'n str, String, Answer)> {
    values
        .into_iter()
        .map(|(value, answer)| (row, claim, world.token(|c| c[claim] = value), answer))
        .collect()
}

fn all<const N: usize>(values: [Value; N], answer: Answer) -> Vec<(Value, Answer)> {
    values.into_iter().map(|value| (value, answer)).collect()
}

#[tokio::test]
async fn issuer_and_audience() {
    let world = World::new().await;
    let issuer = &world.issuer;
    let mut rows = claim_rows(
        &world,
        "18",
        "iss",
        all(
            [
                json!("https://evil.example/realms/a"),
                json!(format!("{issuer}/")),
                json!(issuer.replace("127.0.0.1", "localhost")),
                json!(issuer.replace("http:", "HTTP:")),
                json!(issuer.replace("http:", "https:")),
                json!(issuer.replace("/realms/a", ":1/realms/a")),
                json!(issuer.replace("realms", "REALMS")),
                json!(["https://evil.example", issuer]),
                json!([issuer]),
                json!({"iss": issuer}),
                json!(null),
                json!(""),
                json!(world.issuer_ops),
            ],
            InvalidToken,
        ),
    );
    rows.push(("18", "missing", world.token(|c| without(c, "iss")), InvalidToken));
    rows.extend(claim_rows(
        &world,
        "19",
        "aud",
        [
            (json!([]), InvalidToken),
            (json!("account"), InvalidToken),
            (json!(["account"]), InvalidToken),
            (json!("other-service"), InvalidToken),
            (json!(["other-service", "wardgate-api"]), Good),
            (json!("wardgate-api"), Good),
            (json!(7), InvalidToken),
            (json!(null), InvalidToken),
            (json!([["wardgate-api"]]), InvalidToken),
            (json!(["wardgate-api", 7]), InvalidToken),
            (json!({"wardgate-api": 1}), InvalidToken),
            (json!("wardgate-api-evil"), InvalidToken),
            (json!("WARDGATE-API"), InvalidToken),
            (json!("wardgate-api "), InvalidToken),
            (json!("account wardgate-api"), InvalidToken),
            (json!("wardgate-admin"), InvalidToken),
        ],
    ));
    rows.push(("19", "missing", world.token(|c| without(c, "aud")), InvalidToken));
    world.table(&rows).await;
}

#[tokio::test]
async fn times() {
    let world = World::new().await;
    let at = |iat: i64, exp: i64| {
        world.token(|c| {
            c["iat"] = json!(iat);
            c["exp"] = json!(exp);
        })
    };
    let mut rows = vec![
        ("21", "expired 29 s ago", at(NOW - 300, NOW - 29), Good),
        ("21", "expired 30 s ago", at(NOW - 300, NOW - 30), InvalidToken),
        ("21", "expired 31 s ago", at(NOW - 300, NOW - 31), InvalidToken),
        ("21", "missing", world.token(|c| without(c, "exp")), InvalidToken),
        ("22", "iat missing", world.token(|c| without(c, "iat")), InvalidToken),
        ("22", "issued in 29 s", at(NOW + 29, NOW + 300), Good),
        ("22", "issued in 31 s", at(NOW + 31, NOW + 300), InvalidToken),
        ("22", "lives an hour", at(NOW, NOW + 3600), Good),
        ("22", "lives an hour and a second", at(NOW, NOW + 3601), InvalidToken),
        ("22", "lives ten years", at(NOW, NOW + 315_360_000), InvalidToken),
        ("22", "ends before it begins", at(NOW + 20, NOW + 10), InvalidToken),
        ("22", "iat of 1970", at(0, NOW + 300), InvalidToken),
        ("21", "greatest exp", at(NOW, i64::MAX), InvalidToken),
        ("22", "nbf in 29 s", world.token(|c| c["nbf"] = json!(NOW + 29)), Good),
        ("22", "nbf in 31 s", world.token(|c| c["nbf"] = json!(NOW + 31)), InvalidToken),
        ("22", "nbf long ago", world.token(|c| c["nbf"] = json!(0)), Good),
    ];
    for claim in ["exp", "iat", "nbf"] {
        let row = if claim == "exp" { "21" } else { "22" };
        rows.extend(claim_rows(
            &world,
            row,
            claim,
            all(
                [
                    json!((NOW + 10).to_string()),
                    json!(null),
                    json!(-1),
                    json!(1e20),
                    json!(1_800_000_010.5),
                    json!([NOW + 10]),
                    json!({}),
                    json!(true),
                    json!(u64::MAX),
                ],
                InvalidToken,
            ),
        ));
    }
    world.table(&rows).await;
}

#[tokio::test]
async fn kinds_of_tokens() {
    let world = World::new().await;
    let mut rows = claim_rows(
        &world,
        "23",
        "typ",
        all(
            [
                json!("ID"),
                json!("Refresh"),
                json!("Offline"),
                json!("Logout"),
                json!("Serialized-ID"),
                json!("RegistrationAccessToken"),
                json!("InitialAccessToken"),
                json!("DPoP"),
                json!("bearer"),
                json!("BEARER"),
                json!(""),
                json!(null),
                json!(["Bearer"]),
            ],
            InvalidToken,
        ),
    );
    rows.push(("23", "typ missing", world.token(|c| without(c, "typ")), InvalidToken));
    rows.push(("23", "sub missing", world.token(|c| without(c, "sub")), InvalidToken));
    rows.push(("23", "jti missing", world.token(|c| without(c, "jti")), InvalidToken));
    rows.push(("20", "azp missing", world.token(|c| without(c, "azp")), InvalidToken));
    for claim in ["sub", "jti", "azp", "sid"] {
        rows.extend(claim_rows(
            &world,
            "23",
            claim,
            all(
                [
                    json!(""),
                    json!(null),
                    json!(7),
                    json!(["x"]),
                    json!("x".repeat(256)),
                    json!("a\u{0}b"),
                ],
                InvalidToken,
            ),
        ));
    }
    rows.extend(claim_rows(
        &world,
        "25",
        "cnf",
        all(
            [
                json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
                json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
                json!({}),
                json!(null),
            ],
            InvalidToken,
        ),
    ));
    rows.extend(claim_rows(
        &world,
        "30",
        "scope",
        all([json!(7), json!(["user/Patient.read"]), json!(null)], InvalidToken),
    ));
    rows.push(("23", "sid missing", world.token(|c| without(c, "sid")), Good));
    world.table(&rows).await;
}

#[tokio::test]
async fn tenant_claims() {
    let world = World::new().await;
    let mut rows = claim_rows(
        &world,
        "26",
        "client_id",
        all(
            [
                json!(""),
                json!(null),
                json!(42),
                json!(["hospital-a", "hospital-b"]),
                json!(["hospital-a"]),
                json!({"hospital-a": true}),
                json!("h".repeat(10 * 1024)),
                json!("hospital-a\u{0}"),
                json!("hospital-a "),
                json!(" hospital-a"),
                json!("hospitаl-a"),
                json!("HOSPITAL-A"),
                json!("hospital-a/../hospital-b"),
                json!("*"),
                json!("%"),
                json!("hospital-%"),
                json!("hospital-a\n"),
                json!(true),
            ],
            InvalidToken,
        ),
    );
    rows.push(("26", "missing", world.token(|c| without(c, "client_id")), InvalidToken));
    rows.extend(claim_rows(
        &world,
        "27",
        "client_id",
        all(
            [
                json!("hospital-c"),
                json!("hospital-b"),
                json!("hospital"),
                json!("hospital-a-"),
                json!("emr-app"),
                json!("account"),
            ],
            NoAccess,
        ),
    ));
    rows.extend(claim_rows(
        &world,
        "20",
        "azp",
        [
            (json!("second-app"), Good),
            (json!("unknown-app"), NoAccess),
            (json!("EMR-APP"), NoAccess),
            (json!("emr-app "), NoAccess),
            (json!("hospital-a"), NoAccess),
        ],
    ));
    // A service account of an OAuth client somebody named like a hospital.
    rows.push((
        "28",
        "service account named like a tenant",
        world.token(|c| {
            without(c, "sid");
            c["client_id"] = json!("hospital-a");
            c["azp"] = json!("hospital-a");
            c["clientHost"] = json!("10.0.0.1");
            c["preferred_username"] = json!("service-account-hospital-a");
        }),
        NoAccess,
    ));
    world.table(&rows).await;
}

#[tokio::test]
async fn realms_do_not_mix() {
    let world = World::new().await;
    let b = keycloak_claims(&world.issuer_b, NOW);
    let with = |mut claims: Value, value: &str| {
        claims["client_id"] = json!(value);
        claims
    };
    // Both realms have a key called `rsa`.
    let good = world.other.token(&world.other.header(), &with(b.clone(), "hospital-b"));
    let principal = world.present(&good).await.unwrap();
    assert_eq!(principal.tenant(), world.tenant_b);
    let rows = vec![
        (
            "17",
            "A's key for B's issuer",
            world.rsa.token(&world.rsa.header(), &with(b.clone(), "hospital-b")),
            InvalidToken,
        ),
        (
            "17",
            "B's key for A's issuer",
            world.other.token(&world.other.header(), &world.claims()),
            InvalidToken,
        ),
        (
            "17",
            "realm B says A's tenant",
            world.other.token(&world.other.header(), &with(b, "hospital-a")),
            NoAccess,
        ),
        (
            "17",
            "realm A says B's tenant",
            world.token(|c| c["client_id"] = json!("hospital-b")),
            NoAccess,
        ),
    ];
    world.table(&rows).await;
}

#[tokio::test]
async fn only_the_token_decides_the_tenant() {
    let world = World::new().await;
    let mut headers = bearer(&world.token(|_| {}));
    for (name, value) in [
        ("x-tenant", "hospital-b"),
        ("x-tenant-id", "hospital-b"),
        ("host", "hospital-b.example"),
        ("x-forwarded-host", "hospital-b.example"),
        ("forwarded", "host=hospital-b.example"),
        ("x-forwarded-user", "root"),
        ("x-is-multi-tenant-query", "true"),
        ("cookie", "client_id=hospital-b"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let principal = world.ask(&headers).await.unwrap();
    assert_eq!(principal.tenant(), world.tenant);
}

#[tokio::test]
async fn refused_tenants_look_alike_and_at_once() {
    let world = World::new().await;
    let token = world.token(|_| {});
    let principal = world.present(&token).await.unwrap();
    assert_eq!((principal.tenant(), principal.generation().0), (world.tenant, 1));
    assert_eq!(principal.azp(), "emr-app");
    assert_eq!(principal.issuer(), world.issuer);
    assert_eq!(principal.token_id().len(), 32);
    world.directory.change(&world.issuer, "hospital-a", |binding| binding.active = false);
    let suspended = world.present(&token).await.unwrap_err();
    let unknown = world.present(&world.token(|c| c["client_id"] = json!("nobody"))).await;
    let unknown = unknown.unwrap_err();
    let outside = |fault: &wardgate::auth::AuthFault| {
        use wardgate::base::Fault;
        (fault.kind(), fault.client_message(), fault.www_authenticate(), fault.retry_after_secs())
    };
    assert_eq!(outside(&suspended), outside(&unknown));
    assert_ne!(suspended.reason(), unknown.reason());
    world.directory.change(&world.issuer, "hospital-a", |binding| binding.active = true);
    assert_eq!(world.present(&token).await.unwrap().generation().0, 3);
    world.directory.change(&world.issuer, "hospital-a", |binding| binding.azp.clear());
    expect("20", "client taken away", NoAccess, &world.present(&token).await);
    world.directory.set_down(true);
    expect("-", "directory away", Unavailable, &world.present(&token).await);
}

#[tokio::test]
async fn not_before_of_tenant_and_issuer() {
    let world = World::new().await;
    let token = world.token(|_| {});
    expect("32", "before", Good, &world.present(&token).await);
    world.directory.change(&world.issuer, "hospital-a", |binding| {
        binding.not_before = Some(Timestamp::from_secs(NOW));
    });
    expect("32", "issued in the same second", Good, &world.present(&token).await);
    world.directory.change(&world.issuer, "hospital-a", |binding| {
        binding.not_before = Some(Timestamp::from_secs(NOW + 1));
    });
    expect("32", "tenant's not-before", InvalidToken, &world.present(&token).await);

    let world = World::with(|config| {
        config.issuers[0].not_before = Some(Timestamp::from_secs(NOW));
    })
    .await;
    let old = world.token(|c| c["iat"] = json!(NOW - 1));
    let rows = vec![("32", "issuer's not-before", old, InvalidToken)];
    world.table(&rows).await;
}

#[tokio::test]
async fn a_token_ends_while_it_is_remembered() {
    let world = World::new().await;
    let token = world.token(|c| c["exp"] = json!(NOW + 10));
    expect("21", "alive", Good, &world.present(&token).await);
    world.clock.advance(std::time::Duration::from_secs(39));
    expect("21", "within the leeway", Good, &world.present(&token).await);
    world.clock.advance(std::time::Duration::from_secs(1));
    expect("21", "over", InvalidToken, &world.present(&token).await);
}

#[tokio::test]
async fn claims_by_name_by_path_and_by_issuer() {
    let world = World::with(|config| {
        config.issuers[0].tenant_claim = "https://wardgate.example/tenant.id".to_owned();
        config.issuers[1].tenant_claim = String::new();
        config.issuers[1].roles_claim = "resource_access.wardgate.api.roles".to_owned();
    })
    .await;
    let named = world.token(|c| c["https://wardgate.example/tenant.id"] = json!("hospital-a"));
    assert_eq!(world.present(&named).await.unwrap().tenant(), world.tenant);
    expect("26", "default claim", InvalidToken, &world.present(&world.token(|_| {})).await);

    let tenant = world.directory.bind(&world.issuer_b, "", &["emr-app"]);
    let mut claims = keycloak_claims(&world.issuer_b, NOW);
    claims["client_id"] = json!(["ignored"]);
    claims["resource_access"] = json!({"wardgate.api": {"roles": ["fhir-write"]}});
    let token = world.other.token(&world.other.header(), &claims);
    let principal = world.present(&token).await.unwrap();
    assert_eq!(principal.tenant(), tenant);
    assert_eq!(principal.roles().names().collect::<Vec<_>>(), ["fhir-write"]);
}

#[tokio::test]
async fn rfc_9068_tokens_of_other_issuers() {
    let world = World::with(|config| {
        let settings: &mut IssuerConfig = &mut config.issuers[0];
        settings.profile = TokenProfile::Rfc9068;
        settings.tenant_claim = "tenant".to_owned();
    })
    .await;
    let token = |typ: &str, how: &dyn Fn(&mut Value)| {
        let mut claims = world.claims();
        without(&mut claims, "typ");
        without(&mut claims, "azp");
        claims["client_id"] = json!("emr-app");
        claims["tenant"] = json!("hospital-a");
        how(&mut claims);
        world.rsa.token(&json!({"alg": "RS256", "typ": typ, "kid": "rsa"}), &claims)
    };
    for (name, token, answer) in [
        ("at+jwt", token("at+jwt", &|_| {}), Good),
        ("JWT", token("JWT", &|_| {}), InvalidToken),
        ("JWT that says Bearer", token("JWT", &|c| c["typ"] = json!("Bearer")), InvalidToken),
        ("an ID token", token("at+jwt", &|c| c["typ"] = json!("ID")), InvalidToken),
        ("another client", token("at+jwt", &|c| c["client_id"] = json!("x")), NoAccess),
        ("azp decides when there", token("at+jwt", &|c| c["azp"] = json!("x")), NoAccess),
    ] {
        expect("23", name, answer, &world.present(&token).await);
    }
}
