//! A hospital on a real PostgreSQL: what her operator is told when a password was changed, and what she does, with
//! the panel alone; the same of the account with which hospitals are made on the server.

use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use crate::driver::{Browser, Driver, given};
use crate::pictures::looks;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};
use crate::tending::signed_in;

struct Server {
    known: Value,
    /// A role with a database of its own, and one that may make both.
    names: [String; 2],
}

impl Server {
    async fn prepare() -> Self {
        let known = given("WARDGATE_TEST_POSTGRES").expect("a PostgreSQL; run tests/run browser");
        let known = serde_json::from_str(&known).expect("JSON");
        let id = std::process::id();
        let server = Self { known, names: [format!("own{id}"), format!("maker{id}")] };
        let [own, maker] = &server.names;
        for sql in [
            format!("CREATE ROLE {own} LOGIN PASSWORD 'first-one'"),
            format!("CREATE DATABASE {own} OWNER {own}"),
            format!("CREATE ROLE {maker} LOGIN CREATEDB CREATEROLE PASSWORD 'first-one'"),
        ] {
            server.execute("postgres", &sql).await;
        }
        let grant = format!("GRANT SELECT ON patients TO {own};");
        server.execute(own, &(patients_sql("mark", 1..6) + &grant)).await;
        server
    }

    fn text(&self, part: &str) -> &str {
        self.known[part].as_str().expect("a text")
    }

    fn port(&self) -> u16 {
        self.known["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    async fn execute(&self, database: &str, sql: &str) {
        let (user, password) = (self.text("user"), self.text("password"));
        let options = PgConnectOptions::new().host(self.text("host")).port(self.port());
        let options = options.username(user).password(password).database(database);
        let mut superuser = options.connect().await.expect("connect as superuser");
        superuser.execute(sqlx::raw_sql(sql)).await.expect("SQL of the superuser");
    }

    fn authority(&self) -> String {
        std::fs::read_to_string(self.text("ca_file")).expect("the test authority")
    }

    fn account(&self, password: &str) -> String {
        let [_, maker] = &self.names;
        format!("postgres://{maker}:{password}@127.0.0.1:{}/postgres", self.port())
    }
}

async fn fill(browser: &Browser, form: &str, fields: &[(&str, &str)]) {
    for (name, text) in fields {
        browser.set(&format!("form[action='{form}'] [name={name}]"), text).await;
    }
}

async fn send(browser: &Browser, form: &str) {
    browser.click(&format!("form[action='{form}'] button")).await;
}

#[tokio::test]
async fn a_changed_password_is_told_in_words_and_mended_from_the_panel() {
    let server = Server::prepare().await;
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let egress = vec![format!("127.0.0.1/32:{}", server.port())];
    let gateway =
        Gateway::start(&issuer, Options { panel: true, egress, ..Options::default() }).await;
    let driver = Driver::start();
    let browser = signed_in(&driver, &gateway, "operator").await;
    own_database(&browser, &gateway, &issuer, &server).await;
    servers_account(&browser, &gateway, &server).await;
    assert_eq!(browser.complaints(&gateway.admin).await, Vec::<String>::new());
    browser.close().await;
}

async fn own_database(browser: &Browser, gateway: &Gateway, issuer: &TestIssuer, server: &Server) {
    let (port, authority, own) =
        (server.port().to_string(), server.authority(), server.names[0].as_str());
    let place = [
        ("engine", "postgres"),
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("database", own),
        ("user", own),
        ("ca_pem", authority.as_str()),
    ];
    browser.go(&format!("{}/panel/add", gateway.admin)).await;
    let hospital = [("name", "north"), ("claim", "north"), ("azp", "ward-app")];
    fill(browser, "/panel/add", &hospital).await;
    fill(browser, "/panel/add", &place).await;
    fill(browser, "/panel/add", &[("password", "first-one")]).await;
    browser.click("button[name=verb][value=add]").await;
    browser.wait_for_text("Registered; its database answers.").await;
    gateway.publish("north", &mapping("1")).await;
    let token = issuer.token("north");
    assert_eq!(gateway.get(&token, "/Patient").await.status, 200);

    server.execute("postgres", &format!("ALTER ROLE {own} PASSWORD 'second-one'")).await;
    browser.go(&format!("{}/panel/tenants/north", gateway.admin)).await;
    browser.click("form[action$='/drain'] button").await;
    browser.wait_for_text("The lane was retired").await;
    for _ in 0..8 {
        assert_eq!(gateway.get(&token, "/Patient").await.status, 503);
    }
    browser.wait_for_text("The breaker is open: the role or its password is refused.").await;
    browser.wait_for_text("Replace the connection with the role and password").await;
    looks(browser, "real-refused").await;
    browser.click("a[href$='/connection']").await;
    let form = "/panel/tenants/north/connection";
    fill(browser, form, &place).await;
    fill(browser, form, &[("password", "second-one")]).await;
    browser.click("button[name=verb][value=replace]").await;
    browser.wait_for_text("is in force.").await;
    assert_eq!(gateway.get(&token, "/Patient").await.status, 200);
}

async fn servers_account(browser: &Browser, gateway: &Gateway, server: &Server) {
    let page = format!("{}/panel/servers", gateway.admin);
    let (authority, maker) = (server.authority(), &server.names[1]);
    let (first, second) = (server.account("first-one"), server.account("second-one"));
    browser.go(&page).await;
    let new = [("server_name", "main"), ("url", first.as_str()), ("ca_pem", &authority)];
    fill(browser, "/panel/servers", &new).await;
    send(browser, "/panel/servers").await;
    browser.wait_for_text("hospitals can be made on it").await;
    server.execute("postgres", &format!("ALTER ROLE {maker} PASSWORD 'second-one'")).await;

    // The page of what fails for it names the way out.
    let hospital = [("name", "made"), ("claim", "made"), ("azp", "ward-app")];
    fill(browser, "/panel/provision", &hospital).await;
    send(browser, "/panel/provision").await;
    browser.wait_for_text("Make a hospital").await;
    browser.wait_for_text("or Servers on the panel; then retry").await;
    let operation = browser.address().await;
    let form = "/panel/servers/connection";
    browser.go(&page).await;
    fill(browser, form, &[("url", &first), ("account_ca", &authority)]).await;
    send(browser, form).await;
    browser.wait_for("[role=alert]").await;
    let typed = browser.value(&format!("form[action='{form}'] [name=account_ca]")).await;
    assert_eq!(typed.trim(), authority.trim(), "what was typed stays");
    let url = browser.value(&format!("form[action='{form}'] [name=url]")).await;
    assert_eq!(url, "", "but for the password");
    looks(browser, "account-refused").await;
    fill(browser, form, &[("url", &second)]).await;
    send(browser, form).await;
    browser.wait_for_text("The account was tried, sealed, and is used from now on.").await;
    looks(browser, "account").await;
    browser.go(&operation).await;
    browser.click("form[action$='/retry'] button").await;
    browser.wait_for_text("succeeded").await;
}
