//! The runbooks of `docs/OPERATIONS.md`, command by command as they stand there, on real servers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fault_proxy::FaultProxy;
use crate::harness::{Keycloak, MariaDb, Postgres, Server};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};

const PAGE: &str = include_str!("../../docs/OPERATIONS.md");
const ISSUER: &str = "https://sso.example.org/realms/hospitals";

/// The commands under a heading, block by block, without the indentation of a list.
fn blocks(heading: &str) -> Vec<String> {
    let (_, section) = PAGE.split_once(&format!("# {heading}\n")).expect("a heading of the page");
    let section = section.split("\n#").next().unwrap();
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for line in section.lines() {
        let text = line.trim_start();
        match (&mut block, text) {
            (None, "```sh") => block = Some((line.len() - text.len(), String::new())),
            (Some((_, commands)), "```") => {
                found.push(std::mem::take(commands));
                block = None;
            }
            (Some((depth, commands)), _) => {
                commands.push_str(line.get(*depth..).unwrap_or_default());
                commands.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(!found.is_empty(), "{heading}: no commands");
    found
}

/// Somebody at a gateway's machine who does what the page says.
struct Desk {
    folder: PathBuf,
    issuer: String,
    programs: String,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    fn at(gateway: &Gateway, issuer: &TestIssuer) -> Self {
        let folder = gateway.folder().to_owned();
        for inside in ["config", "secrets"] {
            std::fs::create_dir_all(folder.join(inside)).unwrap();
        }
        std::fs::copy(folder.join("wardgate.toml"), folder.join("config/wardgate.toml")).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_wardgate")).parent().unwrap();
        let programs = format!("{}:/usr/bin:/bin", program.display());
        Self { folder, issuer: issuer.hospitals(), programs, variables: Vec::new() }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
    }

    /// Whether the commands did what was asked, and all they said.
    fn run(&self, commands: &str) -> (bool, String) {
        let secrets = format!("{}/", self.folder.join("secrets").display());
        let commands = commands.replace("/run/secrets/", &secrets).replace(ISSUER, &self.issuer);
        let done = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &commands])
            .env_clear()
            .env("PATH", &self.programs)
            .env("HOME", &self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        (done.status.success(), said.into_owned())
    }

    fn does(&self, commands: &str) -> String {
        let (done, said) = self.run(commands);
        assert!(done, "{commands}\n{said}");
        said
    }

    fn fails(&self, commands: &str) -> String {
        let (done, said) = self.run(commands);
        assert!(!done, "{commands}\n{said}");
        said
    }

    /// What somebody else writes into its registry.
    async fn registry(&self, sql: &str) {
        use sqlx::ConnectOptions as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.folder.join("registry.db"))
            .busy_timeout(Duration::from_secs(10));
        let mut registry = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut registry).await.unwrap();
    }

    /// All commands under a heading.
    fn follows(&self, heading: &str) -> String {
        blocks(heading).iter().map(|block| self.does(block)).collect()
    }
}

async fn until(gateway: &Gateway, token: &str, status: u16) {
    let begun = Instant::now();
    loop {
        let reply = gateway.get(token, "/Patient").await;
        if reply.status == status {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "never {status}: {reply:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An account of the server that may make databases and roles and no more; `password` when it is there already.
async fn account(engine: &str, name: &str, password: &str, made: bool) {
    if engine == "postgres" {
        let verb = if made { "ALTER" } else { "CREATE" };
        let sql = format!("{verb} ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'");
        sqlx::raw_sql(&sql).execute(&mut Postgres::admin().await).await.unwrap();
        return;
    }
    let rights =
        "CREATE, DROP, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE, CREATE USER";
    let sql = if made {
        format!("ALTER USER {name}@'%' IDENTIFIED BY '{password}'")
    } else {
        format!(
            "CREATE USER {name}@'%' IDENTIFIED BY '{password}'; \
             GRANT {rights} ON *.* TO {name}@'%' WITH GRANT OPTION"
        )
    };
    sqlx::raw_sql(&sql).execute(&mut MariaDb::admin().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_made_on_postgresql_from_its_first_day_to_its_last() {
    from_first_to_last("postgres", Postgres::server()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_made_on_mariadb_from_its_first_day_to_its_last() {
    from_first_to_last("mysql", MariaDb::server()).await;
}

/// Onboarded, migrated, its server's account exchanged and its address with it, its password rotated, ended.
async fn from_first_to_last(engine: &str, server: Server) {
    let _shared = crate::provisioning::SERVERS.read().await;
    let address = format!("{}:{}", server.host, server.port).parse().unwrap();
    let proxy = FaultProxy::start(address).await;
    let issuer = TestIssuer::for_tenants(&["st-mary"]).await;
    let allowed = [server.port, proxy.address().port()].map(|port| format!("127.0.0.1/32:{port}"));
    let options = Options { egress: allowed.to_vec(), ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    let desk = Desk::at(&gateway, &issuer);
    desk.write("ca.pem", &std::fs::read_to_string(&server.ca_file).unwrap());
    let name = format!("rb{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let database = if engine == "postgres" { "postgres" } else { "mysql" };
    let url = |port: u16, password: &str| {
        format!("{engine}://{name}:{password}@127.0.0.1:{port}/{database}")
    };
    account(engine, &name, "first-one", false).await;
    desk.write("secrets/main-admin-url", &url(proxy.address().port(), "first-one"));

    desk.write("hospitals.csv", "mercy\nhope,Hope Clinic,hope-1\n");
    let said = desk.follows("Onboard a hospital");
    for part in ["succeeded", "mercy", "hope"] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    let token = issuer.token("st-mary");
    until(&gateway, &token, 200).await;

    for ward in ["ward-1", "ward-2"] {
        desk.does(&format!(
            "wardgate tenant provision {ward} --on main --issuer {ISSUER} --claim {ward} --azp ward-app --release 1"
        ));
    }
    let said = desk.follows("Roll a schema change over the fleet");
    for part in ["at release 1: 2 hospitals", "2 hospitals to release 2", "CREATE", "succeeded"] {
        assert!(said.contains(part), "no {part:?}: {said}");
    }
    let said = desk.does("wardgate tenant migrate --report");
    assert!(said.contains("at release 2: 3 hospitals"), "{said}");

    // Another password, and the old address is gone.
    account(engine, &name, "second-one", true).await;
    let port = proxy.address().port();
    desk.write("secrets/main-admin-url", &url(port, "first-one"));
    let said = desk.fails("wardgate server set-connection main --url-file /run/secrets/main-admin-url --ca-file ca.pem");
    assert!(!said.contains("first-one"), "{said}");
    let said = desk.fails("wardgate tenant rotate-password st-mary");
    assert!(said.contains("server set-connection"), "{said}");
    let (_, rest) = said.split_once("operation retry ").unwrap_or_else(|| panic!("{said}"));
    let operation = rest.split('`').next().unwrap().to_owned();
    drop(proxy);
    desk.write("secrets/main-admin-url", &url(server.port, "second-one"));
    if engine == "mysql" {
        // Another server than the registered one is taken for it only when that is said.
        desk.registry(
            "UPDATE servers SET server_identity = json_set(server_identity, '$.system', 'x')",
        )
        .await;
        let change = blocks("A server's account changed, or the server moved")[0].clone();
        let said = desk.fails(&change);
        assert!(said.contains("another server than the one registered"), "{said}");
        desk.does(&change.replace("ca.pem\n", "ca.pem --another-server\n"));
    }
    let said = desk.follows("A server's account changed, or the server moved");
    assert!(said.contains("in force") && !said.contains("second-one"), "{said}");
    // Its new role's record was made for the old address: that order is taken back, and given anew.
    desk.does(&format!("wardgate operation cancel {operation} --wait"));
    let said = desk.follows("Rotate a password");
    assert!(said.contains("\"old_refused\": true"), "{said}");
    until(&gateway, &token, 200).await;

    let said = desk.follows("Offboard a hospital");
    assert!(said.contains("succeeded") && said.contains("signature"), "{said}");
    until(&gateway, &token, 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_with_its_own_database_goes_down_and_comes_back() {
    let database = Postgres::database().await;
    database.execute(&patients_sql("mark", 1..4)).await;
    let issuer = TestIssuer::for_tenants(&["mercy"]).await;
    let port = database.server.port;
    let options = Options { egress: vec![format!("127.0.0.1/32:{port}")], ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    let desk = Desk::at(&gateway, &issuer);
    desk.write("ca.pem", &database.ca_pem);
    desk.write("mercy.yaml", &mapping("1"));
    let (user, name) = (&database.user, &database.name);
    let url = |password: &str| format!("postgres://{user}:{password}@127.0.0.1:{port}/{name}");
    desk.write("secrets/mercy-url", &url(&database.password));
    // The certificates of these servers are of an authority of their own.
    let register = &blocks("Setting up")[0];
    desk.does(&register.replace("mercy-url\n", "mercy-url --ca-file ca.pem\n"));
    let token = issuer.token("mercy");
    until(&gateway, &token, 200).await;

    let sql = format!("ALTER ROLE {user} PASSWORD 'another-one'");
    sqlx::raw_sql(&sql).execute(&mut Postgres::admin().await).await.unwrap();
    gateway.operate(reqwest::Method::POST, "tenants/mercy/pool/drain", None, None).await;
    until(&gateway, &token, 503).await;
    let steps = blocks("One hospital is down");
    let said = desk.fails(&steps[0]);
    assert!(said.contains("the role or its password was refused"), "{said}");
    desk.write("secrets/mercy-url", &url("another-one"));
    desk.does(&steps[1].replace("mercy-url\n", "mercy-url --ca-file ca.pem\n"));
    desk.does(&steps[0]);
    until(&gateway, &token, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_leaves() {
    let keycloak = Keycloak::from_env();
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { two_persons: true, ..Options::default() };
    let gateway = Gateway::start(&issuer, options).await;
    gateway.register("north", json!({ "url": "sqlite:north.db", "check": false })).await;
    let mut desk = Desk::at(&gateway, &issuer);
    desk.programs = format!("{}:{}", keycloak.home.join("bin").display(), desk.programs);
    let name = format!("leaver-{}", uuid::Uuid::new_v4().simple());
    let (base, user, password) = (&keycloak.base, &keycloak.admin_user, &keycloak.admin_password);
    desk.does(&format!(
        "kcadm.sh config credentials --server {base} --realm master --user {user} --password '{password}'
         kcadm.sh create users -r operators -s username={name} -s enabled=true -s email={name}@example.org \
             -s firstName=Sample -s lastName=Leaver -s emailVerified=true
         kcadm.sh set-password -r operators --username {name} --new-password going"
    ));
    let her = desk.does(&format!(
        "kcadm.sh get users -r operators -q exact=true -q username={name} --fields id"
    ));
    let her: Value = serde_json::from_str(&her).unwrap();
    desk.variables.push(("HER_ID", her[0]["id"].as_str().unwrap().to_owned()));
    let url = format!("{base}/realms/operators/protocol/openid-connect/token");
    let ask = async |form: String| {
        let http = reqwest::Client::new();
        let asked = http.post(&url).header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.body(form).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let sign_in = format!("grant_type=password&client_id=admin-cli&username={name}&password=going");
    let (status, granted) = ask(sign_in.clone()).await;
    assert_eq!(status, 200, "{granted}");
    let refresh = granted["refresh_token"].as_str().unwrap();

    let steps = blocks("An operator leaves");
    desk.does(&steps[0]);
    let renewed = format!("grant_type=refresh_token&client_id=admin-cli&refresh_token={refresh}");
    assert_eq!(ask(renewed).await.0, 400, "her session goes on");
    assert!(matches!(ask(sign_in).await.0, 400 | 401), "she signs in");

    // What somebody ordered waits; it is found and refused.
    let ordered = desk.does("wardgate tenant offboard north --confirm north");
    assert!(ordered.contains("needs a second person"), "{ordered}");
    let listed = desk.does(&steps[1]);
    let line = listed.lines().find(|line| line.contains("offboard")).expect("what waits");
    let id = line.split_whitespace().next().unwrap();
    desk.does(&format!("wardgate approval refuse {id}"));

    let before = gateway.view("tenants/north").await["connection"].clone();
    let listed = desk.does(&steps[2]);
    let after = gateway.view("tenants/north").await["connection"].clone();
    assert_ne!((&before["kek"], &before["dek"]), (&after["kek"], &after["dek"]));
    assert_ne!(before["dek"], after["dek"]);
    assert!(listed.contains(after["kek"].as_str().unwrap()), "{listed}");
    desk.does("wardgate keys check");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_put_back() {
    let (registry, keys) = (Postgres::database().await, Postgres::database().await);
    let setting = |database: &crate::harness::Database| {
        let Server { host, port, ca_file, .. } = &database.server;
        let (user, password, name) = (&database.user, &database.password, &database.name);
        format!(
            "postgres://{user}:{password}@{host}:{port}/{name}?sslrootcert={}",
            ca_file.display()
        )
    };
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let kept = tempfile::tempdir().unwrap();
    let stores =
        Stores { registry: setting(&registry), keys: setting(&keys), kek: kept.path().join("kek") };
    let hospital = Postgres::database().await;
    hospital.execute(&patients_sql("mark", 1..4)).await;
    let port = hospital.server.port;
    let options = |fresh| Options {
        egress: vec![format!("127.0.0.1/32:{port}")],
        stores: Some(stores.clone()),
        fresh,
        ..Options::default()
    };
    let first = Gateway::start(&issuer, options(true)).await;
    first.register("north", hospital.connection(port)).await;
    first.publish("north", &mapping("1")).await;
    let token = issuer.token("north");
    until(&first, &token, 200).await;
    let mut desk = Desk::at(&first, &issuer);
    desk.variables = vec![("REGISTRY", stores.registry.clone()), ("KEYS", stores.keys.clone())];
    let steps = blocks("Restore the registry");
    desk.does(&steps[0]);

    // The day after: changed, and then lost.
    desk.does("wardgate tenant suspend north --reason moving");
    until(&first, &token, 403).await;
    desk.does(&format!("kill {}", first.pid()));
    while first.runs() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    registry
        .execute("DELETE FROM bindings; DELETE FROM limits; DROP TABLE publications CASCADE")
        .await;
    desk.fails("wardgate tenant show north");
    let said = desk.does(&steps[1]);
    assert!(said.contains("1 records open; 0 do not"), "{said}");
    let second = Gateway::start(&issuer, options(false)).await;
    assert_eq!(second.view("tenants/north").await["state"], "active", "suspended after the backup");
    until(&second, &token, 200).await;
}
