//! Keycloak, a pooler, and the server that MariaDB stands for elsewhere.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Database, MariaDb, MySqlConnection, Server, answer, from_env, mariadb};

/// The PgBouncer before the PostgreSQL server.
pub struct PgBouncer;

/// The server of MySQL itself.
pub struct MySql;

impl PgBouncer {
    /// The port, from `WARDGATE_TEST_PGBOUNCER`.
    pub fn port() -> u16 {
        from_env::<Server>("WARDGATE_TEST_PGBOUNCER").port
    }
}

impl MySql {
    /// From `WARDGATE_TEST_MYSQL`.
    pub fn server() -> Server {
        from_env("WARDGATE_TEST_MYSQL")
    }

    /// A connection of the superuser.
    pub async fn admin() -> MySqlConnection {
        let server = Self::server();
        mariadb(&server, &server.user, &server.password, "mysql").await
    }

    /// A fresh database.
    pub async fn database() -> Database {
        MariaDb::database_on(Self::server()).await
    }
}

/// The running Keycloak and its first administrator.
#[derive(Clone, Deserialize)]
pub struct Keycloak {
    /// `http://127.0.0.1:PORT`, no slash at the end. Realms `hospitals` and `operators` are imported.
    pub base: String,
    /// Administrator of the realm `master`, through the client `admin-cli`.
    pub admin_user: String,
    /// That administrator's password.
    pub admin_password: String,
    /// Where its programs are: `bin/kcadm.sh`.
    pub home: PathBuf,
}

impl Keycloak {
    /// From `WARDGATE_TEST_KEYCLOAK`.
    pub fn from_env() -> Self {
        from_env("WARDGATE_TEST_KEYCLOAK")
    }

    /// An access token of a sample user, through a client that takes passwords (`ward-cli`). The shipped
    /// realms know no passwords, so this sets one first; the realm `hostile` knows `hostile` for all.
    pub async fn user_token(&self, realm: &str, client: &str, user: &str) -> String {
        self.scoped_token(realm, client, user, "openid").await
    }

    /// The same with a `scope`.
    pub async fn scoped_token(&self, realm: &str, client: &str, user: &str, scope: &str) -> String {
        // While a password is set, its user cannot sign in, and tests run side by side.
        static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _alone = ONE.lock().await;
        let mut password = "hostile".to_owned();
        if realm != "hostile" {
            // The same each time, so that tests that run side by side do not undo each other's.
            password = format!("{}-{user}", self.admin_password);
            let admin = self.admin_token().await;
            let users = format!("{}/admin/realms/{realm}/users", self.base);
            let http = reqwest::Client::new();
            let found = http.get(format!("{users}?exact=true&username={user}")).bearer_auth(&admin);
            let found = answer(found).await;
            let id = found[0]["id"].as_str().expect("a user of that name");
            let credential = serde_json::json!({"type": "password", "value": password});
            let set = http
                .put(format!("{users}/{id}/reset-password"))
                .bearer_auth(&admin)
                .header("content-type", "application/json")
                .body(credential.to_string());
            set.send().await.and_then(reqwest::Response::error_for_status).expect("set a password");
        }
        let who = format!("client_id={client}&username={user}&password={password}");
        let scope = scope.replace(' ', "+");
        self.token(realm, &format!("grant_type=password&{who}&scope={scope}")).await
    }

    /// The token endpoint's access token for a form, which the caller has encoded.
    pub async fn token(&self, realm: &str, form: &str) -> String {
        let request = reqwest::Client::new()
            .post(format!("{}/realms/{realm}/protocol/openid-connect/token", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let granted = answer(request).await;
        granted["access_token"].as_str().expect("an access token").to_owned()
    }

    /// A token of the administrator, good for a minute, for `{base}/admin/realms/…`.
    pub async fn admin_token(&self) -> String {
        let (user, password) = (&self.admin_user, &self.admin_password);
        let form = "grant_type=password&client_id=admin-cli";
        self.token("master", &format!("{form}&username={user}&password={password}")).await
    }
}
