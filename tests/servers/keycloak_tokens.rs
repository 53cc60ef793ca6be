//! The matrix of good and bad on tokens that a real Keycloak issued.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use wardgate::auth::{
    AuthConfig, AuthFault, Authority, FhirAdmin, FhirRead, FhirWrite, IssuerConfig,
    OperatorsConfig, Principal, Shape,
};
use wardgate::base::{Deadline, Fault as _, FaultKind, SystemClock, TenantId};

use super::bindings::Bindings;
use super::harness::Keycloak;

struct World {
    keycloak: Keycloak,
    authority: Authority,
    bindings: Arc<Bindings>,
    north: TenantId,
    south: TenantId,
}

async fn world() -> World {
    let keycloak = Keycloak::from_env();
    let realm = |name: &str| format!("{}/realms/{name}", keycloak.base);
    let bindings = Arc::new(Bindings::default());
    let azp = ["ward-app", "ward-cli"];
    let north = bindings.bind(&realm("hospitals"), "hospital-north", &azp);
    let south = bindings.bind(&realm("hospitals"), "hospital-south", &azp);
    // The hostile realm is registered as well: what stops its tokens must be the rules, not its absence.
    bindings.bind(&realm("hostile"), "hospital-north", &azp);
    bindings.bind(&realm("hostile"), "hospital-south", &azp);
    let config = AuthConfig {
        issuers: vec![
            IssuerConfig::keycloak(realm("hospitals"), "wardgate-api"),
            IssuerConfig::keycloak(realm("hostile"), "wardgate-api"),
        ],
        operators: Some(OperatorsConfig::keycloak(
            realm("operators"),
            "wardgate-admin",
            "wardgate-operator",
        )),
        ..AuthConfig::default()
    };
    let directory = Arc::clone(&bindings);
    let authority = Authority::start(config, Arc::new(SystemClock), directory).await.unwrap();
    World { keycloak, authority, bindings, north, south }
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    headers
}

impl World {
    async fn principal(&self, token: &str) -> Result<Principal, AuthFault> {
        let deadline = Deadline::after(Duration::from_secs(10));
        self.authority.authenticate(&bearer(token), false, deadline).await
    }

    async fn kind(&self, token: &str) -> FaultKind {
        self.principal(token).await.unwrap_err().kind()
    }

    /// `(read, write, admin)` of a sample user.
    async fn rights(&self, user: &str) -> (TenantId, [bool; 3]) {
        let token = self.keycloak.user_token("hospitals", "ward-cli", user).await;
        let who = self.principal(&token).await.unwrap();
        let rights = [
            self.authority.permit::<FhirRead>(&who, Shape::Any).is_ok(),
            self.authority.permit::<FhirWrite>(&who, Shape::Any).is_ok(),
            self.authority.permit::<FhirAdmin>(&who, Shape::Any).is_ok(),
        ];
        (who.tenant(), rights)
    }
}

#[tokio::test]
async fn each_user_has_her_own_hospital_and_her_own_rights() {
    let world = world().await;
    assert_eq!(world.rights("reader.north").await, (world.north, [true, false, false]));
    assert_eq!(world.rights("writer.north").await, (world.north, [true, true, false]));
    assert_eq!(world.rights("reader.south").await, (world.south, [true, false, false]));
}

#[tokio::test]
async fn a_hospital_without_a_binding_is_forbidden() {
    let world = world().await;
    let token = world.keycloak.user_token("hospitals", "ward-cli", "reader.west").await;
    assert_eq!(world.kind(&token).await, FaultKind::Forbidden);
}

#[tokio::test]
async fn a_suspended_hospital_is_forbidden_at_once_and_an_absent_directory_is_not_a_bad_token() {
    let world = world().await;
    let token = world.keycloak.user_token("hospitals", "ward-cli", "reader.south").await;
    assert!(world.principal(&token).await.is_ok());
    world.bindings.set_down(true);
    assert_eq!(world.kind(&token).await, FaultKind::Unavailable);
    world.bindings.set_down(false);
    let issuer = format!("{}/realms/hospitals", world.keycloak.base);
    world.bindings.change(&issuer, "hospital-south", |binding| binding.active = false);
    assert_eq!(world.kind(&token).await, FaultKind::Forbidden);
}

#[tokio::test]
async fn a_service_account_named_like_a_hospital_gets_nothing() {
    let world = world().await;
    let form = "grant_type=client_credentials&client_id=hospital-south&client_secret=hostile";
    let token = world.keycloak.token("hostile", form).await;
    assert_eq!(world.kind(&token).await, FaultKind::Forbidden);
}

#[tokio::test]
async fn tokens_without_our_audience_or_with_several_hospitals_are_invalid() {
    let world = world().await;
    let no_audience = world.keycloak.user_token("hostile", "no-audience", "wanderer").await;
    assert_eq!(world.kind(&no_audience).await, FaultKind::Unauthenticated);
    let several = world.keycloak.user_token("hostile", "many-hospitals", "everywhere").await;
    assert_eq!(world.kind(&several).await, FaultKind::Unauthenticated);
}

#[tokio::test]
async fn an_operators_token_is_no_clinicians_and_the_other_way_round() {
    let world = world().await;
    let clinician = world.keycloak.user_token("hospitals", "ward-cli", "reader.north").await;
    let deadline = Deadline::after(Duration::from_secs(10));
    let refused = world.authority.operator(&bearer(&clinician), deadline).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Unauthenticated);
    let admin = world.keycloak.admin_token().await;
    assert_eq!(world.kind(&admin).await, FaultKind::Unauthenticated);
}

#[tokio::test]
async fn a_real_token_with_another_signature_is_invalid() {
    let world = world().await;
    let access = world.keycloak.user_token("hospitals", "ward-cli", "reader.north").await;
    assert!(world.principal(&access).await.is_ok());
    let (signed, signature) = access.rsplit_once('.').unwrap();
    let swapped: String = signature.chars().rev().collect();
    for bad in [format!("{signed}."), format!("{access}A"), format!("{signed}.{swapped}")] {
        assert_eq!(world.kind(&bad).await, FaultKind::Unauthenticated);
    }
}
