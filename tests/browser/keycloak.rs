//! The panel with a real Keycloak: its sign-in page, its sessions, its logout.

use serde_json::{Value, json};

use crate::driver::{Browser, Driver, given};
use crate::support::{Gateway, Options, TestIssuer};

pub const USER: &str = "operator.sample";
const VISITOR: &str = "visitor.sample";
const PASSWORD: &str = "a password for tests";

/// The panel's client has one address for logouts, so those who use it go one after the other.
pub static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Keycloak's administration, as much of it as is needed.
pub struct Keycloak {
    pub base: String,
    /// The realm that is asked about.
    realm: &'static str,
    token: String,
    http: reqwest::Client,
}

impl Keycloak {
    /// Signed in as its administrator.
    pub async fn open() -> Self {
        let known = given("WARDGATE_TEST_KEYCLOAK").expect("a Keycloak; run tests/run browser");
        let known: Value = serde_json::from_str(&known).expect("JSON");
        let part = |name: &str| known[name].as_str().expect("a text").to_owned();
        let (base, user, password) = (part("base"), part("admin_user"), part("admin_password"));
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let form =
            format!("grant_type=password&client_id=admin-cli&username={user}&password={password}");
        let url = format!("{base}/realms/master/protocol/openid-connect/token");
        let request = http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.expect("Keycloak").text().await.expect("text");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Self { base, realm: "operators", token, http }
    }

    /// The same for another realm.
    pub fn of(&self, realm: &'static str) -> Self {
        Self { base: self.base.clone(), realm, token: self.token.clone(), http: self.http.clone() }
    }

    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/admin/realms/{}/{path}", self.base, self.realm);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("Keycloak");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(reqwest::Method::GET, path, None).await
    }

    async fn user(&self, name: &str) -> String {
        let found = self.get(&format!("users?exact=true&username={name}")).await;
        found[0]["id"].as_str().expect("a user").to_owned()
    }

    /// Lets the sample users in; gives the panel's client and its secret.
    async fn prepare(&self) -> (Value, String) {
        self.let_in(&[USER, VISITOR]).await;
        self.client("wardgate-panel").await
    }

    /// Gives these users the tests' password.
    pub async fn let_in(&self, users: &[&str]) {
        for name in users {
            let credential = json!({ "type": "password", "value": PASSWORD, "temporary": false });
            let path = format!("users/{}/reset-password", self.user(name).await);
            self.ask(reqwest::Method::PUT, &path, Some(credential)).await;
        }
    }

    /// A client and its secret.
    pub async fn client(&self, name: &str) -> (Value, String) {
        let client = self.get(&format!("clients?clientId={name}")).await[0].clone();
        let id = client["id"].as_str().expect("a client").to_owned();
        let secret = self.get(&format!("clients/{id}/client-secret")).await;
        (client, secret["value"].as_str().expect("a secret").to_owned())
    }

    /// Tells the panel's client where the panel is, besides where it was: others use the realm as well.
    async fn place(&self, mut client: Value, panel: &str) {
        client["attributes"]["backchannel.logout.url"] =
            json!(format!("{panel}/panel/backchannel-logout"));
        self.lead_back(client, &format!("{panel}/panel/*")).await;
    }

    /// Lets a client lead people back to that address as well.
    pub async fn lead_back(&self, mut client: Value, address: &str) {
        let places = client["redirectUris"].as_array_mut().expect("a list");
        places.push(json!(address));
        let path = format!("clients/{}", client["id"].as_str().expect("an id"));
        self.ask(reqwest::Method::PUT, &path, Some(client)).await;
    }
}

/// A gateway whose operators are those of that Keycloak, and the issuer of its clinicians.
pub async fn panel(keycloak: &Keycloak) -> (TestIssuer, Gateway) {
    let (client, secret) = keycloak.prepare().await;
    let operators = format!(
        "issuer = \"{}/realms/operators\"\naudience = \"wardgate-admin\"\n\
         client_id = \"wardgate-panel\"\nclient_secret = \"{secret}\"",
        keycloak.base
    );
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { panel: true, operators: Some(operators), ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    keycloak.place(client, &gateway.admin).await;
    (issuer, gateway)
}

/// On the page of whoever is not signed in.
const SIGNED_OUT: &str = "A session ends after 15 minutes without use.";

/// Signs in at its page.
pub async fn type_in(browser: &Browser, user: Option<&str>) {
    if let Some(user) = user {
        browser.fill("#username", user).await;
    }
    browser.fill("#password", PASSWORD).await;
    browser.click("#kc-login").await;
}

#[tokio::test]
async fn an_operator_signs_in_confirms_is_logged_out_and_signs_out() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let keycloak = Keycloak::open().await;
    let (_issuer, gateway) = panel(&keycloak).await;
    let driver = Driver::start();
    let start = format!("{}/panel/", gateway.admin);

    let browser = driver.open(1280, 900).await;
    browser.go(&start).await;
    browser.click("a.button").await;
    type_in(&browser, Some(VISITOR)).await;
    browser.wait_for_text("hold no role here").await;
    browser.close().await;

    let browser = driver.open(1280, 900).await;
    browser.go(&format!("{start}keys")).await;
    browser.click("a.button").await;
    type_in(&browser, Some(USER)).await;
    browser.wait_for_text("Key-encryption keys").await;
    assert!(browser.text().await.contains(USER));
    assert_eq!(browser.address().await, format!("{start}keys"));
    // Keycloak asks again although it knows her, and what needs it then works.
    browser.go(&format!("{start}confirm?to=%2Fpanel%2Fkeys")).await;
    type_in(&browser, None).await;
    browser.click("form[action='/panel/keys'] button").await;
    browser.wait_for_text("Every data key is under the current key-encryption key.").await;
    assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());

    // An administrator ends her session at Keycloak; the logout token ends it here. Of a user who has
    // other sessions (of runs before this) Keycloak 26 was seen to end all and to tell of some; then she has one.
    let path = format!("users/{}/logout", keycloak.user(USER).await);
    let mut ended = false;
    for _ in 0..3 {
        keycloak.ask(reqwest::Method::POST, &path, None).await;
        browser.go(&start).await;
        ended = !browser.text().await.contains(USER);
        if ended {
            break;
        }
        browser.click("form.who button").await;
        browser.wait_for_text(SIGNED_OUT).await;
        browser.click("a.button").await;
        type_in(&browser, Some(USER)).await;
        browser.wait_for_text("No hospital is registered yet.").await;
    }
    assert!(ended, "no logout token ended the session");
    browser.wait_for_text(SIGNED_OUT).await;

    browser.click("a.button").await;
    type_in(&browser, Some(USER)).await;
    browser.wait_for_text("No hospital is registered yet.").await;
    browser.click("form.who button").await;
    browser.wait_for_text(SIGNED_OUT).await;
    // Signed out there as well: the password is asked for again.
    browser.click("a.button").await;
    type_in(&browser, Some(USER)).await;
    browser.wait_for_text("No hospital is registered yet.").await;
    browser.close().await;
}
