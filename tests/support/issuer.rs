//! The loopback issuer and its users.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wardgate::app::demo::issuer::{DemoUser, Issuer};
use wardgate::base::{Clock, SystemClock};

/// The operators' user.
pub const OPERATOR: &str = "operator";

/// A running issuer with the realms `hospitals` and `operators`.
pub struct TestIssuer {
    issuer: Issuer,
    task: JoinHandle<()>,
}

/// A user of that name whose tokens carry this tenant claim and these roles.
pub fn clinician(name: &str, claim: &str, roles: &[&str]) -> DemoUser {
    user(name, Some(claim), roles)
}

fn user(name: &str, claim: Option<&str>, roles: &[&str]) -> DemoUser {
    DemoUser {
        username: name.to_owned(),
        password: name.to_owned(),
        tenant: claim.map(str::to_owned),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

impl TestIssuer {
    /// Starts one with these users and an operator.
    pub async fn start(users: Vec<DemoUser>) -> Self {
        Self::of(users, Arc::new(SystemClock)).await
    }

    /// The same by that clock.
    pub async fn of(mut users: Vec<DemoUser>, clock: Arc<dyn Clock>) -> Self {
        users.push(user(OPERATOR, None, &["wardgate-operator"]));
        users.push(user("approver", None, &["wardgate-approver"]));
        users.push(user("viewer", None, &["wardgate-viewer"]));
        users.push(user("stranger", None, &["offline_access"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the issuer");
        let base = format!("http://{}", listener.local_addr().expect("the issuer's address"));
        let issuer = Issuer::new(base, users, clock).expect("make an issuer");
        let router = issuer.router();
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serve the issuer");
        });
        Self { issuer, task }
    }

    /// An issuer with one reader for each of these tenants, named like the tenant.
    pub async fn for_tenants<S: AsRef<str>>(tenants: &[S]) -> Self {
        let reader = |name: &S| clinician(name.as_ref(), name.as_ref(), &["fhir-read"]);
        Self::start(tenants.iter().map(reader).collect()).await
    }

    /// A fresh access token.
    pub fn token(&self, user: &str) -> String {
        self.issuer.access_token(user).expect("a user of that name")
    }

    /// The secret of the panel's client.
    pub fn panel_secret(&self) -> &str {
        self.issuer.panel_secret()
    }

    /// The issuer of clinicians' tokens, as in `iss`.
    pub fn hospitals(&self) -> String {
        self.issuer.realm_url("hospitals")
    }

    /// The issuer of operators' tokens, as in `iss`.
    pub fn operators(&self) -> String {
        self.issuer.realm_url("operators")
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
