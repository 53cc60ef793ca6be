//! Rows 17, 20, 26 to 29 and 32: whose token it is.

use serde_json::{Value, json};
use wardgate::base::Timestamp;

use crate::claims::{all, claim_rows};
use crate::idp::keycloak_claims;
use crate::world::Answer::{Good, InvalidToken, NoAccess, Unavailable};
use crate::world::{NOW, World, bearer, expect, without};

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
