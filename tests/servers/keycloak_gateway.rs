//! A whole gateway behind a real Keycloak: SMART scopes asked for and obeyed, and a hospital whose realm is
//! its own, bound by the issuer alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Keycloak;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping, sqlite_hospital};

const WRITE: &str = "    write: {create: {key: auto_increment}, update: {}, delete: hard}\n";

/// A realm that belongs to one hospital: no claim says which, and every user may be given any.
async fn own_realm(keycloak: &Keycloak, realm: &str) {
    let audience = json!({
        "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": "wardgate-api", "access.token.claim": "true"},
    });
    // A user attribute that names another hospital, as her own realm's administrator may set it.
    let liar = json!({
        "name": "liar", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "client_id", "claim.value": "hospital-north",
            "jsonType.label": "String", "access.token.claim": "true"},
    });
    let app = |name: &str, mappers: Value| {
        json!({"clientId": name, "publicClient": true, "directAccessGrantsEnabled": true,
            "standardFlowEnabled": false, "fullScopeAllowed": true, "protocolMappers": mappers})
    };
    let body = json!({
        "realm": realm, "enabled": true, "accessTokenLifespan": 300,
        "roles": {"realm": [{"name": "fhir-read"}, {"name": "fhir-write"}]},
        "clients": [
            {"clientId": "wardgate-api", "bearerOnly": true},
            app("ward-cli", json!([audience])),
            app("ward-liar", json!([audience, liar])),
            app("ward-other", json!([audience])),
        ],
        "users": [{"username": "nurse", "enabled": true, "email": "nurse@mercy.example",
            "emailVerified": true, "firstName": "Nurse", "lastName": "Sample",
            "realmRoles": ["fhir-read"]}],
    });
    let admin = keycloak.admin_token().await;
    let url = format!("{}/admin/realms", keycloak.base);
    let http = reqwest::Client::new();
    let _was_not_there = http.delete(format!("{url}/{realm}")).bearer_auth(&admin).send().await;
    let made = http.post(&url).bearer_auth(&admin).header("content-type", "application/json");
    let made = made.body(body.to_string()).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
}

/// Teaches the shipped realm SMART scopes, as its page says.
async fn teach(keycloak: &Keycloak, scopes: &[&str]) {
    let admin = keycloak.admin_token().await;
    let (base, http) =
        (format!("{}/admin/realms/hospitals", keycloak.base), reqwest::Client::new());
    let list = async |path: &str| -> Value {
        let asked = http.get(format!("{base}/{path}")).bearer_auth(&admin).send().await.unwrap();
        serde_json::from_str(&asked.text().await.unwrap()).unwrap()
    };
    let client = list("clients?clientId=ward-cli").await[0]["id"].as_str().unwrap().to_owned();
    for scope in scopes {
        let body = json!({"name": scope, "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "true"}});
        let made = http.post(format!("{base}/client-scopes")).bearer_auth(&admin);
        let made = made.header("content-type", "application/json").body(body.to_string());
        // Another test may have taught it already.
        assert!(matches!(made.send().await.unwrap().status().as_u16(), 201 | 409), "{scope}");
    }
    for known in list("client-scopes").await.as_array().unwrap() {
        if scopes.contains(&known["name"].as_str().unwrap()) {
            let id = known["id"].as_str().unwrap();
            let url = format!("{base}/clients/{client}/optional-client-scopes/{id}");
            let added = http.put(url).bearer_auth(&admin).send().await.unwrap();
            assert_eq!(added.status(), 204, "{known}");
        }
    }
}

struct World {
    keycloak: Keycloak,
    gateway: Gateway,
    _operators: TestIssuer,
}

impl World {
    /// Hospital north by a claim in the shipped realm, hospital mercy by its realm alone.
    async fn start(realm: &str) -> Self {
        let keycloak = Keycloak::from_env();
        own_realm(&keycloak, realm).await;
        let issuer = |realm: &str, more: &str| {
            let url = format!("{}/realms/{realm}", keycloak.base);
            format!("[[issuers]]\nurl = \"{url}\"\naudience = \"wardgate-api\"\n{more}\n")
        };
        let settings = issuer("hospitals", "") + &issuer(realm, "tenant_claim = \"\"");
        let operators = TestIssuer::for_tenants(&["nobody"]).await;
        let gateway = Gateway::start(&operators, Options { settings, ..Options::default() }).await;
        let world = Self { keycloak, gateway, _operators: operators };
        let north = json!({"issuer": world.issuer("hospitals"), "claim_value": "hospital-north",
            "azp": ["ward-cli"]});
        let mercy = json!({"issuer": world.issuer(realm), "azp": ["ward-cli", "ward-liar"]});
        for (name, identity, first) in [("north", north, 1001), ("mercy", mercy, 2001)] {
            let file = world.gateway.folder().join(format!("sqlite/{name}.db"));
            sqlite_hospital(&file, &format!("mark-{name}"), first..first + 5).await;
            let made = world.register(name, &[identity], &format!("sqlite:{name}.db")).await;
            assert_eq!(made.status, 201, "{made:?}");
            let plain = mapping("1").replace("    version: \"$id\"\n", "");
            world.gateway.publish(name, &(plain + WRITE)).await;
        }
        world
    }

    fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.keycloak.base)
    }

    async fn register(&self, name: &str, identities: &[Value], url: &str) -> Reply {
        let body = json!({"name": name, "identities": identities, "connection": {"url": url}});
        let body = Some(("application/json", body.to_string()));
        self.gateway.operate(Method::POST, "tenants", None, body).await
    }

    async fn put(&self, token: &str) -> Reply {
        let url = format!("{}/Patient/1001", self.gateway.fhir);
        let body = json!({"resourceType": "Patient", "id": "1001",
            "identifier": [{"system": "urn:mapping:1", "value": "mrn-mark-north-1001"}],
            "name": [{"family": "mark-north", "given": ["Changed"]}]});
        let request = self.gateway.http.put(url).bearer_auth(token);
        let request = request.header("content-type", "application/fhir+json");
        Reply::of(request.body(body.to_string())).await.unwrap()
    }
}

#[tokio::test]
async fn a_realm_of_ones_own_needs_no_claim_and_gives_no_other_hospital() {
    let world = World::start("mercy").await;
    let gateway = &world.gateway;
    let nurse = async |client: &str| world.keycloak.user_token("mercy", client, "nurse").await;
    let token = nurse("ward-cli").await;
    let found = gateway.get(&token, "/Patient").await;
    assert_eq!(found.resources().len(), 5, "{found:?}");
    assert!(found.body.contains("mark-mercy") && !found.body.contains("mark-north"), "{found:?}");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 404);
    // A claim of that realm that names another hospital says nothing.
    let lied = gateway.get(&nurse("ward-liar").await, "/Patient").await;
    assert!(lied.body.contains("mark-mercy") && !lied.body.contains("mark-north"), "{lied:?}");
    // A client that is not bound is none of the hospital's.
    assert_eq!(gateway.get(&nurse("ward-other").await, "/Patient").await.status, 403);
    // The other realm's users stay where they are.
    let north = world.keycloak.user_token("hospitals", "ward-cli", "reader.north").await;
    let found = gateway.get(&north, "/Patient").await;
    assert!(found.body.contains("mark-north") && !found.body.contains("mark-mercy"), "{found:?}");
    let south = world.keycloak.user_token("hospitals", "ward-cli", "reader.south").await;
    assert_eq!(gateway.get(&south, "/Patient").await.status, 403);

    // An issuer is bound by claim values or as a whole, and as a whole to one hospital.
    let (mercy, hospitals) = (world.issuer("mercy"), world.issuer("hospitals"));
    for (name, identity) in [
        ("second", json!({"issuer": mercy, "azp": ["ward-cli"]})),
        ("third", json!({"issuer": mercy, "claim_value": "hospital-x", "azp": ["ward-cli"]})),
        ("fourth", json!({"issuer": hospitals, "azp": ["ward-cli"]})),
    ] {
        let refused = world.register(name, &[identity], "sqlite:north.db").await;
        assert!((400..500).contains(&refused.status), "{name}: {refused:?}");
    }
    gateway.suspend("mercy").await;
    assert_eq!(gateway.get(&token, "/Patient").await.status, 403);
    gateway.resume("mercy").await;
    assert_eq!(gateway.get(&token, "/Patient").await.status, 200);
}

#[tokio::test]
async fn scopes_are_asked_for_at_keycloak_and_obeyed() {
    let world = World::start("scopes").await;
    let cases = [
        ("openid", 200, 200),
        ("user/Patient.read", 200, 403),
        ("user/Patient.rs", 200, 403),
        ("user/Patient.write", 403, 200),
        ("user/Patient.cud", 403, 200),
        ("user/Patient.cruds", 200, 200),
        ("user/*.write", 403, 200),
        ("user/*.*", 200, 200),
        ("user/Observation.cruds", 403, 403),
        ("user/Observation.rs user/Patient.cud", 403, 200),
    ];
    let scopes: Vec<&str> = cases.iter().flat_map(|(claim, ..)| claim.split(' ')).collect();
    let scopes: Vec<&str> = scopes.into_iter().filter(|scope| scope.contains('/')).collect();
    teach(&world.keycloak, &scopes).await;
    for (scope, reads, writes) in cases {
        let keycloak = &world.keycloak;
        let token = keycloak.scoped_token("hospitals", "ward-cli", "writer.north", scope).await;
        let read = world.gateway.get(&token, "/Patient/1001").await;
        let written = world.put(&token).await;
        assert_eq!((read.status, written.status), (reads, writes), "{scope}: {read:?} {written:?}");
        assert_eq!(written.body.contains("Changed"), written.status == 200 && read.status == 200);
        // Scopes take away and never give: the reader's role leaves her nothing to write.
        let token = keycloak.scoped_token("hospitals", "ward-cli", "reader.north", scope).await;
        let read = world.gateway.get(&token, "/Patient/1001").await;
        assert_eq!((read.status, world.put(&token).await.status), (reads, 403), "{scope}");
    }
}
