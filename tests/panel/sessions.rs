//! How long a session lasts, with a clock that is moved.

use std::sync::Arc;
use std::time::Duration;

use wardgate::app::demo::issuer::{ADMIN_AUDIENCE, DemoUser, Issuer, PANEL_CLIENT};
use wardgate::auth::{
    AuthConfig, Authority, Binding, Directory, DirectoryFuture, OperatorRank, OperatorsConfig,
    SignInSettings, SignIns,
};
use wardgate::base::{Clock, Deadline, ManualClock, SecretText, SystemClock};

struct World {
    sign_ins: SignIns,
    clock: Arc<ManualClock>,
    http: reqwest::Client,
    _issuing: tokio::task::JoinHandle<()>,
}

struct Nobody;

impl Directory for Nobody {
    fn binding<'a>(&'a self, _: &'a str, _: &'a str) -> DirectoryFuture<'a> {
        Box::pin(async { Ok(None::<Binding>) })
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

const MINUTE: Duration = Duration::from_mins(1);

async fn world() -> World {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let user = |name: &str, role: &str| DemoUser {
        username: name.to_owned(),
        password: name.to_owned(),
        tenant: None,
        roles: vec![role.to_owned()],
    };
    let users = vec![user("operator", "wardgate-operator"), user("approver", "wardgate-approver")];
    let issuer = Issuer::new(base, users, Arc::clone(&clock) as Arc<dyn Clock>).expect("an issuer");
    let router = issuer.router();
    let issuing = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve") });
    let operators = OperatorsConfig::keycloak(
        issuer.realm_url("operators"),
        ADMIN_AUDIENCE,
        "wardgate-operator",
    );
    let config = AuthConfig { operators: Some(operators.clone()), ..AuthConfig::default() };
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let authority = Authority::start(config, Arc::clone(&shared), Arc::new(Nobody))
        .await
        .expect("an authority");
    let settings = SignInSettings {
        client_id: PANEL_CLIENT.to_owned(),
        client_secret: SecretText::new(issuer.panel_secret().to_owned()),
        redirect_url: "http://127.0.0.1:1/panel/callback".to_owned(),
        signed_out_url: "http://127.0.0.1:1/panel/welcome".to_owned(),
    };
    let sign_ins = SignIns::new(authority, &operators, settings, shared).expect("sign-ins");
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    World { sign_ins, clock, http, _issuing: issuing }
}

impl World {
    async fn way_back(&self, user: &str) -> (String, String, String) {
        let begun = self.sign_ins.begin("/panel/", false, soon()).await.expect("begin");
        let chosen = begun.url.replacen("/auth?", &format!("/auth/{user}?"), 1);
        let there = self.http.get(chosen).send().await.expect("the issuer");
        let back = there.headers()["location"].to_str().unwrap().to_owned();
        let part = |name: &str| {
            let (_, rest) = back.split_once(&format!("{name}=")).expect("a parameter");
            rest.split('&').next().unwrap().to_owned()
        };
        (begun.cookie.expose().to_owned(), part("state"), part("code"))
    }

    async fn session(&self, user: &str) -> String {
        let (cookie, state, code) = self.way_back(user).await;
        let opened =
            self.sign_ins.finish(&cookie, &state, &code, None, soon()).await.expect("finish");
        opened.cookie.expose().to_owned()
    }

    /// Whether the session lives.
    async fn lives(&self, session: &str, active: bool) -> bool {
        self.sign_ins.visit(session, active, soon()).await.expect("an answer").is_some()
    }
}

#[tokio::test]
async fn a_session_ends_after_fifteen_minutes_without_use() {
    let world = world().await;
    let session = world.session("operator").await;
    for _ in 0..5 {
        world.clock.advance(14 * MINUTE);
        assert!(world.lives(&session, true).await);
    }
    // What a page asks by itself is no use.
    world.clock.advance(8 * MINUTE);
    assert!(world.lives(&session, false).await);
    world.clock.advance(8 * MINUTE);
    assert!(!world.lives(&session, false).await);
    assert!(!world.lives(&session, true).await);
    assert!(!world.lives("anything", true).await);
}

/// A page that refreshes itself is left in the middle of it.
#[tokio::test]
async fn a_visit_cut_off_anywhere_ends_no_session() {
    for steps in 1..60 {
        let world = world().await;
        let session = world.session("operator").await;
        // The access token ends after half an hour.
        for minutes in [14, 14] {
            world.clock.advance(minutes * MINUTE);
            assert!(world.lives(&session, true).await);
        }
        world.clock.advance(3 * MINUTE);
        let mut visit = Box::pin(world.sign_ins.visit(&session, true, soon()));
        for _ in 0..steps {
            if futures_util::poll!(&mut visit).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(visit);
        assert!(world.lives(&session, true).await, "cut off after {steps} steps");
    }
}

#[tokio::test]
async fn a_session_ends_after_eight_hours_whatever_happens() {
    let world = world().await;
    let session = world.session("operator").await;
    // The access token ends every half hour and is refreshed on the way.
    for minute in (10..480).step_by(10) {
        world.clock.advance(10 * MINUTE);
        assert!(world.lives(&session, true).await, "minute {minute}");
    }
    world.clock.advance(10 * MINUTE);
    assert!(!world.lives(&session, true).await);
}

#[tokio::test]
async fn a_sign_in_is_fresh_for_five_minutes() {
    let world = world().await;
    let session = world.session("approver").await;
    let fresh = async || world.sign_ins.visit(&session, true, soon()).await.unwrap().unwrap().fresh;
    assert!(fresh().await);
    world.clock.advance(4 * MINUTE);
    assert!(fresh().await);
    world.clock.advance(MINUTE);
    assert!(!fresh().await);
    let visit = world.sign_ins.visit(&session, true, soon()).await.unwrap().unwrap();
    assert_eq!(visit.permit.rank(), OperatorRank::Approver);
    assert_eq!(world.sign_ins.name_of(visit.permit.subject()).as_deref(), Some("approver"));
}

#[tokio::test]
async fn a_sign_in_must_be_ended_within_ten_minutes_and_once() {
    let world = world().await;
    let (cookie, state, code) = world.way_back("operator").await;
    assert!(world.sign_ins.finish(&cookie, "another", &code, None, soon()).await.is_err());
    assert!(world.sign_ins.finish(&cookie, &state, &code, None, soon()).await.is_err());
    let (cookie, state, code) = world.way_back("operator").await;
    world.clock.advance(11 * MINUTE);
    assert!(world.sign_ins.finish(&cookie, &state, &code, None, soon()).await.is_err());
    let first = world.session("operator").await;
    assert!(
        world.sign_ins.end(&first, soon()).await.is_some_and(|url| url.contains("id_token_hint"))
    );
    assert!(!world.lives(&first, true).await);
    assert!(world.sign_ins.end(&first, soon()).await.is_none());
}
