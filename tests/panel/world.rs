//! Sessions without a gateway: the library's sign-ins at the demo's issuer, by a clock of the test's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderValue;
use wardgate::app::demo::issuer::{
    ADMIN_AUDIENCE, AUDIENCE, DemoUser, Issuer, PANEL_CLIENT, PREVIEW_CLIENT,
};
use wardgate::auth::{
    AuthConfig, Authority, Binding, Directory, DirectoryFuture, IssuerConfig, OperatorsConfig,
    SignInSettings, SignIns,
};
use wardgate::base::{Clock, Deadline, Generation, ManualClock, SecretText, SystemClock, TenantId};

/// Sign-ins, the issuers they are at, and a clock that is moved.
pub struct World {
    pub sign_ins: SignIns,
    pub clock: Arc<ManualClock>,
    pub issuer: Issuer,
    /// The one hospital, and whether it is served.
    pub hospital: Hospital,
    /// The access token that its issuer gives to whoever redeems a code, when it is not her own.
    pub swapped: Arc<Mutex<Option<String>>>,
    http: reqwest::Client,
    _issuing: tokio::task::JoinHandle<()>,
}

/// The directory of one hospital.
#[derive(Clone)]
pub struct Hospital {
    pub id: TenantId,
    pub active: Arc<AtomicBool>,
    /// Whether its claim value is another hospital's by now.
    pub given_away: Arc<AtomicBool>,
}

impl Directory for Hospital {
    fn binding<'a>(&'a self, _: &'a str, value: &'a str) -> DirectoryFuture<'a> {
        let given_away = self.given_away.load(Ordering::SeqCst);
        let binding = Binding {
            tenant: if given_away { TenantId::random() } else { self.id },
            azp: vec![PREVIEW_CLIENT.to_owned(), "ward-app".to_owned()],
            active: self.active.load(Ordering::SeqCst),
            not_before: None,
            generation: Generation(1),
        };
        Box::pin(async move { Ok((value == "north").then_some(binding)) })
    }
}

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub const MINUTE: Duration = Duration::from_mins(1);

/// Stands between the gateway and a realm, and says what the realm says but for access tokens that are to be others.
/// Gives its address.
async fn in_between(realm: String, swapped: Arc<Mutex<Option<String>>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let (origin, path) = realm.split_at(realm.find("/realms").expect("a realm"));
    let (origin, here) = (origin.to_owned(), format!("{address}{path}"));
    let forward = move |request: axum::extract::Request| {
        let (http, origin, swapped) = (http.clone(), origin.clone(), Arc::clone(&swapped));
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
            let mut onward =
                http.request(parts.method, format!("{origin}{}", parts.uri)).body(body);
            for name in ["content-type", "authorization", "accept"] {
                if let Some(value) = parts.headers.get(name) {
                    onward = onward.header(name, value);
                }
            }
            let answer = onward.send().await.expect("the issuer");
            let kind = answer.headers().get("content-type").cloned();
            let kind = kind.unwrap_or(HeaderValue::from_static("text/plain"));
            let status = answer.status();
            let mut text = answer.text().await.expect("a text");
            if let Some(other) = swapped.lock().unwrap().clone()
                && let Ok(mut tokens) = serde_json::from_str::<serde_json::Value>(&text)
                && tokens.get("access_token").is_some()
            {
                tokens["access_token"] = other.into();
                text = tokens.to_string();
            }
            (status, [("content-type", kind)], text)
        }
    };
    let router = axum::Router::new().fallback(forward);
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serve") });
    here
}

pub async fn world() -> World {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let user = |name: &str, role: &str| DemoUser {
        username: name.to_owned(),
        password: name.to_owned(),
        tenant: None,
        roles: vec![role.to_owned()],
    };
    let clinician = DemoUser { tenant: Some("north".to_owned()), ..user("clinician", "fhir-read") };
    let colleague = DemoUser { username: "colleague".to_owned(), ..clinician.clone() };
    let users = vec![
        user("operator", "wardgate-operator"),
        user("approver", "wardgate-approver"),
        clinician,
        colleague,
    ];
    let issuer = Issuer::new(base, users, Arc::clone(&clock) as Arc<dyn Clock>).expect("an issuer");
    let router = issuer.router();
    let issuing = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve") });
    let operators = OperatorsConfig {
        // What the issuer's tokens say.
        acr_values: vec!["1".to_owned()],
        ..OperatorsConfig::keycloak(
            issuer.realm_url("operators"),
            ADMIN_AUDIENCE,
            "wardgate-operator",
        )
    };
    let swapped = Arc::new(Mutex::new(None));
    let internal = in_between(issuer.realm_url("hospitals"), Arc::clone(&swapped)).await;
    let hospitals = IssuerConfig {
        admin_acr_values: vec!["gold".to_owned(), "silver".to_owned()],
        internal_url: Some(internal),
        ..IssuerConfig::keycloak(issuer.realm_url("hospitals"), AUDIENCE)
    };
    let config = AuthConfig {
        operators: Some(operators.clone()),
        issuers: vec![hospitals.clone()],
        ..AuthConfig::default()
    };
    let hospital = Hospital {
        id: TenantId::random(),
        active: Arc::new(AtomicBool::new(true)),
        given_away: Arc::default(),
    };
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let authority = Authority::start(config, Arc::clone(&shared), Arc::new(hospital.clone()))
        .await
        .expect("an authority");
    let settings = SignInSettings {
        client_id: PANEL_CLIENT.to_owned(),
        client_secret: SecretText::new(issuer.panel_secret().to_owned()),
        redirect_url: "http://127.0.0.1:1/panel/callback".to_owned(),
        signed_out_url: Some("http://127.0.0.1:1/panel/welcome".to_owned()),
    };
    let look = SignInSettings {
        client_id: PREVIEW_CLIENT.to_owned(),
        redirect_url: "http://127.0.0.1:1/panel/look".to_owned(),
        signed_out_url: None,
        ..settings.clone()
    };
    let sign_ins =
        SignIns::new(authority, &operators, settings.clone(), vec![(hospitals, look)], shared)
            .expect("sign-ins");
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    World { sign_ins, clock, issuer, hospital, swapped, http, _issuing: issuing }
}

impl World {
    pub async fn way_back(&self, user: &str) -> (String, String, String) {
        let begun = self.sign_ins.begin("/panel/", false, soon()).await.expect("begin");
        let (state, code) = self.at_issuer(user, &begun.url).await;
        (begun.cookie.expose().to_owned(), state, code)
    }

    /// Is that user at the issuer; gives state and code.
    pub async fn at_issuer(&self, user: &str, url: &str) -> (String, String) {
        let chosen = url.replacen("/auth?", &format!("/auth/{user}?"), 1);
        let there = self.http.get(chosen).send().await.expect("the issuer");
        let back = there.headers()["location"].to_str().unwrap().to_owned();
        let part = |name: &str| {
            let (_, rest) = back.split_once(&format!("{name}=")).expect("a parameter");
            rest.split('&').next().unwrap().to_owned()
        };
        (part("state"), part("code"))
    }

    pub async fn session(&self, user: &str) -> String {
        let (cookie, state, code) = self.way_back(user).await;
        let opened =
            self.sign_ins.finish(&cookie, &state, &code, None, soon()).await.expect("finish");
        opened.cookie.expose().to_owned()
    }

    /// Whether the session lives.
    pub async fn lives(&self, session: &str, active: bool) -> bool {
        self.sign_ins.visit(session, active, soon()).await.expect("an answer").is_some()
    }
}
