//! How long a session lasts, with a clock that is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wardgate::app::demo::issuer::{
    ADMIN_AUDIENCE, AUDIENCE, DemoUser, Issuer, PANEL_CLIENT, PREVIEW_CLIENT,
};
use wardgate::auth::{
    AuthConfig, Authority, Binding, Directory, DirectoryFuture, IssuerConfig, LookAt, OperatorRank,
    OperatorsConfig, SessionName, SignInSettings, SignIns,
};
use wardgate::base::{Clock, Deadline, Generation, ManualClock, SecretText, SystemClock, TenantId};

struct World {
    sign_ins: SignIns,
    clock: Arc<ManualClock>,
    issuer: Issuer,
    /// The one hospital, and whether it is served.
    hospital: Hospital,
    http: reqwest::Client,
    _issuing: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Hospital {
    id: TenantId,
    active: Arc<AtomicBool>,
}

impl Directory for Hospital {
    fn binding<'a>(&'a self, _: &'a str, value: &'a str) -> DirectoryFuture<'a> {
        let binding = Binding {
            tenant: self.id,
            azp: vec![PREVIEW_CLIENT.to_owned()],
            active: self.active.load(Ordering::SeqCst),
            not_before: None,
            generation: Generation(1),
        };
        Box::pin(async move { Ok((value == "north").then_some(binding)) })
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
    let clinician = DemoUser { tenant: Some("north".to_owned()), ..user("clinician", "fhir-read") };
    let users = vec![
        user("operator", "wardgate-operator"),
        user("approver", "wardgate-approver"),
        clinician,
    ];
    let issuer = Issuer::new(base, users, Arc::clone(&clock) as Arc<dyn Clock>).expect("an issuer");
    let router = issuer.router();
    let issuing = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve") });
    let operators = OperatorsConfig::keycloak(
        issuer.realm_url("operators"),
        ADMIN_AUDIENCE,
        "wardgate-operator",
    );
    let hospitals = IssuerConfig::keycloak(issuer.realm_url("hospitals"), AUDIENCE);
    let config = AuthConfig {
        operators: Some(operators.clone()),
        issuers: vec![hospitals.clone()],
        ..AuthConfig::default()
    };
    let hospital = Hospital { id: TenantId::random(), active: Arc::new(AtomicBool::new(true)) };
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
    World { sign_ins, clock, issuer, hospital, http, _issuing: issuing }
}

impl World {
    async fn way_back(&self, user: &str) -> (String, String, String) {
        let begun = self.sign_ins.begin("/panel/", false, soon()).await.expect("begin");
        let (state, code) = self.at_issuer(user, &begun.url).await;
        (begun.cookie.expose().to_owned(), state, code)
    }

    /// Is that user at the issuer; gives state and code.
    async fn at_issuer(&self, user: &str, url: &str) -> (String, String) {
        let chosen = url.replacen("/auth?", &format!("/auth/{user}?"), 1);
        let there = self.http.get(chosen).send().await.expect("the issuer");
        let back = there.headers()["location"].to_str().unwrap().to_owned();
        let part = |name: &str| {
            let (_, rest) = back.split_once(&format!("{name}=")).expect("a parameter");
            rest.split('&').next().unwrap().to_owned()
        };
        (part("state"), part("code"))
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

impl World {
    async fn name(&self, session: &str) -> SessionName {
        let visit = self.sign_ins.visit(session, true, soon()).await.expect("an answer");
        visit.expect("a session").session
    }

    /// Leaves for the hospital's issuer; gives state and code of the way back.
    async fn leaves(&self, session: SessionName) -> (String, String) {
        let hospitals = self.issuer.realm_url("hospitals");
        let (name, kept) = ("north".to_owned(), "kept".to_owned());
        let at = LookAt { tenant: self.hospital.id, name, kept };
        let url = self.sign_ins.begin_look(session, &hospitals, at, soon()).await.expect("begin");
        self.at_issuer("clinician", &url).await
    }

    async fn signs_in_there(&self, session: SessionName) {
        let (state, code) = self.leaves(session).await;
        let returned = self.sign_ins.returned(session, &state).expect("a way back");
        self.sign_ins.finish_look(&returned, &code, soon()).await.expect("signed in");
    }

    async fn looks(&self, session: SessionName) -> bool {
        let looker = self.sign_ins.looker(session, self.hospital.id, soon()).await;
        looker.expect("an answer").is_some()
    }
}

#[tokio::test]
async fn a_way_back_from_a_hospitals_issuer_is_open_for_ten_minutes() {
    let world = world().await;
    let session = world.session("operator").await;
    let name = world.name(&session).await;
    let (state, _) = world.leaves(name).await;
    world.clock.advance(11 * MINUTE);
    assert!(world.lives(&session, true).await);
    assert!(world.sign_ins.returned(name, &state).is_none());
    let (state, _) = world.leaves(name).await;
    world.clock.advance(9 * MINUTE);
    assert!(world.sign_ins.returned(name, &state).is_some());
    assert!(world.sign_ins.returned(name, &state).is_none(), "it counts once");
}

#[tokio::test]
async fn a_sign_in_at_a_hospital_is_held_five_minutes_for_that_hospital_and_session() {
    let world = world().await;
    let (ada, ben) = (world.session("operator").await, world.session("operator").await);
    let (ada_name, ben_name) = (world.name(&ada).await, world.name(&ben).await);
    world.signs_in_there(ada_name).await;
    assert!(world.looks(ada_name).await && !world.looks(ben_name).await);
    let other = world.sign_ins.looker(ada_name, TenantId::random(), soon()).await;
    assert!(other.expect("an answer").is_none(), "it counts for one hospital");
    world.clock.advance(4 * MINUTE);
    assert!(world.looks(ada_name).await);
    // The token itself lives for half an hour.
    world.clock.advance(2 * MINUTE);
    assert!(!world.looks(ada_name).await);

    // It is judged at each look: a hospital that is suspended shows nothing any more.
    world.signs_in_there(ada_name).await;
    world.hospital.active.store(false, Ordering::SeqCst);
    assert!(!world.looks(ada_name).await);
    world.hospital.active.store(true, Ordering::SeqCst);
    assert!(!world.looks(ada_name).await, "what was refused is forgotten");

    world.signs_in_there(ada_name).await;
    world.sign_ins.end(&ada, soon()).await;
    assert!(!world.looks(ada_name).await, "it ends with the session");
}
