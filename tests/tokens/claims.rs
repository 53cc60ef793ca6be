//! Rows 18, 19 and 21 to 25: what the claims say.

use serde_json::{Value, json};
use wardgate::auth::{IssuerConfig, TokenProfile};

use crate::world::Answer::{Good, InvalidToken, NoAccess};
use crate::world::{Answer, NOW, World, expect, without};

/// Rows made of a good token with one claim replaced.
pub fn claim_rows<'n>(
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

pub fn all<const N: usize>(values: [Value; N], answer: Answer) -> Vec<(Value, Answer)> {
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
