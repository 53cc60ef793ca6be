//! Rows 30, 31 and 34: roles, scopes, operators, step-up.

use axum::http::HeaderMap;
use serde_json::{Value, json};
use wardgate::auth::{
    AuthFault, FhirAdmin, FhirRead, FhirWrite, Interaction, OperatorSource, Right, Shape,
};

use crate::idp::keycloak_claims;
use crate::world::{NOW, World, bearer, deadline, status, without};

async fn permitted<R: Right>(
    world: &World,
    shape: Shape<'_>,
    how: impl FnOnce(&mut Value),
) -> Result<(), (u16, String)> {
    let principal = world.present(&world.token(how)).await.unwrap();
    let answer = world.authority.permit::<R>(&principal, shape);
    answer.map(|permit| assert_eq!(permit.tenant(), world.tenant)).map_err(|fault| wire(&fault))
}

fn wire(fault: &AuthFault) -> (u16, String) {
    (status(fault), fault.www_authenticate().map(String::from).unwrap_or_default())
}

fn scope(needed: &str) -> Result<(), (u16, String)> {
    Err((403, format!(r#"Bearer error="insufficient_scope", scope="{needed}""#)))
}

fn roles(names: Value) -> impl Fn(&mut Value) {
    move |claims| claims["realm_access"] = json!({ "roles": names })
}

#[tokio::test]
async fn roles_are_exact_and_from_one_place() {
    let world = World::new().await;
    let any = Shape::Any;
    assert_eq!(permitted::<FhirRead>(&world, any, |_| {}).await, Ok(()));
    assert_eq!(permitted::<FhirWrite>(&world, any, |_| {}).await, scope("fhir-write"));
    assert_eq!(permitted::<FhirAdmin>(&world, any, |_| {}).await, scope("fhir-admin"));
    let writer = || roles(json!(["fhir-write"]));
    assert_eq!(permitted::<FhirWrite>(&world, any, writer()).await, Ok(()));
    assert_eq!(permitted::<FhirRead>(&world, any, writer()).await, scope("fhir-read"));
    assert_eq!(permitted::<FhirAdmin>(&world, any, writer()).await, scope("fhir-admin"));
    let admin = || roles(json!(["fhir-admin"]));
    assert_eq!(permitted::<FhirAdmin>(&world, any, admin()).await, Ok(()));
    assert_eq!(permitted::<FhirRead>(&world, any, admin()).await, scope("fhir-read"));
    for names in [
        json!([]),
        json!(["FHIR-READ"]),
        json!(["fhir-read-all"]),
        json!(["xfhir-read"]),
        json!(["fhir-read "]),
        json!(["fhir"]),
        json!("fhir-read"),
        json!({"fhir-read": true}),
        json!([["fhir-read"]]),
        json!(null),
        json!(7),
    ] {
        let answer = permitted::<FhirRead>(&world, any, roles(names.clone())).await;
        assert_eq!(answer, scope("fhir-read"), "row 30: {names}");
    }
    let none = permitted::<FhirRead>(&world, any, |c| without(c, "realm_access")).await;
    assert_eq!(none, scope("fhir-read"), "row 30: a lightweight token");
    let elsewhere = permitted::<FhirRead>(&world, any, |claims| {
        roles(json!([]))(claims);
        claims["resource_access"] = json!({"emr-app": {"roles": ["fhir-read"]}});
        claims["roles"] = json!(["fhir-read"]);
        claims["realm_access.roles.x"] = json!(["fhir-read"]);
    });
    assert_eq!(elsewhere.await, scope("fhir-read"), "row 31");
}

#[tokio::test]
async fn scopes_narrow_roles() {
    let world = World::new().await;
    let patient = |interaction| Shape::Resource { resource_type: "Patient", interaction };
    let scoped = |text: &'static str| move |claims: &mut Value| claims["scope"] = json!(text);
    let read = |shape, text| permitted::<FhirRead>(&world, shape, scoped(text));
    assert_eq!(read(patient(Interaction::Read), "openid user/Patient.read").await, Ok(()));
    assert_eq!(read(patient(Interaction::Search), "user/*.rs").await, Ok(()));
    assert_eq!(
        read(patient(Interaction::Search), "system/Patient.r").await,
        scope("user/Patient.s")
    );
    assert_eq!(
        read(patient(Interaction::Read), "user/Observation.read").await,
        scope("user/Patient.r")
    );
    assert_eq!(read(Shape::Any, "user/Patient.cud").await, scope("fhir-read"));
    assert_eq!(read(Shape::Any, "patient/*.read launch/patient").await, scope("fhir-read"));
    // Scopes give nothing without the role.
    let unroled = permitted::<FhirRead>(&world, patient(Interaction::Read), |claims| {
        roles(json!([]))(claims);
        claims["scope"] = json!("user/*.*");
    });
    assert_eq!(unroled.await, scope("fhir-read"));
    let create = permitted::<FhirRead>(&world, patient(Interaction::Create), |_| {});
    assert_eq!(create.await, scope("user/Patient.c"), "a right to read is none to create");
}

#[tokio::test]
async fn administration_may_need_a_stronger_sign_in() {
    let world = World::with(|config| {
        config.issuers[0].admin_acr_values = vec!["2".to_owned(), "3".to_owned()];
    })
    .await;
    let with_acr = |acr: Option<&'static str>| {
        move |claims: &mut Value| {
            roles(json!(["fhir-admin", "fhir-read"]))(claims);
            match acr {
                Some(acr) => claims["acr"] = json!(acr),
                None => without(claims, "acr"),
            }
        }
    };
    let step_up = r#"Bearer error="insufficient_user_authentication", acr_values="2 3""#;
    for acr in [None, Some("1"), Some("23"), Some("2 3")] {
        let answer = permitted::<FhirAdmin>(&world, Shape::Any, with_acr(acr)).await;
        assert_eq!(answer, Err((401, step_up.to_owned())), "row 34: {acr:?}");
    }
    assert_eq!(permitted::<FhirAdmin>(&world, Shape::Any, with_acr(Some("3"))).await, Ok(()));
    assert_eq!(permitted::<FhirRead>(&world, Shape::Any, with_acr(None)).await, Ok(()));
}

fn operator_claims(world: &World) -> Value {
    let mut claims = keycloak_claims(&world.issuer_ops, NOW);
    claims["aud"] = json!("wardgate-admin");
    claims["azp"] = json!("wardgate-panel");
    claims["realm_access"] = json!({"roles": ["operator"]});
    without(&mut claims, "client_id");
    claims
}

async fn operator(world: &World, how: impl FnOnce(&mut Value)) -> Result<(), (u16, String)> {
    let mut claims = operator_claims(world);
    how(&mut claims);
    let token = world.operator.token(&world.operator.header(), &claims);
    let permit = world.authority.operator(&bearer(&token), deadline()).await;
    permit
        .map(|permit| {
            assert_eq!(permit.source(), OperatorSource::Token);
            assert_eq!(permit.issuer(), Some(&*world.issuer_ops));
            assert_eq!(permit.subject(), claims["sub"].as_str().unwrap());
        })
        .map_err(|fault| wire(&fault))
}

#[tokio::test]
async fn operators_and_clinicians_are_strangers() {
    let world = World::with(|config| {
        let operators = config.operators.as_mut().unwrap();
        operators.azp = vec!["wardgate-panel".to_owned()];
        operators.acr_values = vec!["1".to_owned()];
    })
    .await;
    let invalid = Err((401, r#"Bearer error="invalid_token""#.to_owned()));
    assert_eq!(operator(&world, |_| {}).await, Ok(()));
    assert_eq!(operator(&world, |c| c["aud"] = json!("wardgate-api")).await, invalid);
    assert_eq!(operator(&world, |c| c["typ"] = json!("ID")).await, invalid);
    assert_eq!(operator(&world, |c| c["exp"] = json!(NOW - 40)).await, invalid);
    assert_eq!(operator(&world, roles(json!(["Operator", "fhir-admin"]))).await, scope("operator"));
    assert_eq!(operator(&world, |c| c["azp"] = json!("other")).await, Err((403, String::new())));
    let step_up = r#"Bearer error="insufficient_user_authentication", acr_values="1""#;
    assert_eq!(operator(&world, |c| c["acr"] = json!("0")).await, Err((401, step_up.to_owned())));

    let clinician = world.token(|claims| {
        claims["aud"] = json!(["wardgate-admin", "wardgate-api"]);
        claims["realm_access"] = json!({"roles": ["operator", "fhir-admin"]});
    });
    let refused = world.authority.operator(&bearer(&clinician), deadline()).await.unwrap_err();
    assert_eq!(refused.reason(), "iss_unknown");
    let mut claims = operator_claims(&world);
    claims["aud"] = json!(["wardgate-admin", "wardgate-api"]);
    claims["client_id"] = json!("hospital-a");
    let token = world.operator.token(&world.operator.header(), &claims);
    assert!(world.authority.operator(&bearer(&token), deadline()).await.is_ok());
    assert_eq!(world.present(&token).await.unwrap_err().reason(), "iss_unknown");
    let none = world.authority.operator(&HeaderMap::new(), deadline()).await;
    assert_eq!(wire(&none.unwrap_err()), (401, "Bearer".to_owned()));
}
