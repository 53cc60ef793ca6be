//! The network is cut, the session or the gateway ends, before, while and after a change is made last. The
//! database holds all of it or nothing, and no answer claims what is not so.

mod killed;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, Row as _};
use wardgate::base::Engine;

use crate::fault_proxy::{Fault, FaultProxy, Side};
use crate::harness::{Database, MariaDb, Postgres, number_from_env};
use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "p-$id"
    map:
      name: [{family: "$family"}]
    write: {create: {key: auto_increment}, update: {}, delete: hard}
"#;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

struct Ward {
    gateway: Gateway,
    token: String,
    /// Without one, a SQLite file.
    database: Option<(Database, FaultProxy)>,
    _issuer: TestIssuer,
}

/// What an answer says of what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Stored,
    Nothing,
    Unknown,
}

impl Ward {
    async fn open(database: Option<Database>) -> Self {
        let issuer =
            TestIssuer::start(vec![clinician("both", "north", &["fhir-read", "fhir-write"])]).await;
        let settings = "[pool]\nmax_connections = 1\nconnect_timeout = \"2s\"\nacquire_timeout = \"4s\"\nstatement_timeout = \"4s\"\n\
                        [breaker]\nfailures = 1000\n[limits]\nrequests_per_second = 100000\nrequest_timeout = \"6s\"\n";
        let mut egress = Vec::new();
        let database = match database {
            Some(database) => {
                let proxy = FaultProxy::start(([127, 0, 0, 1], database.server.port).into()).await;
                for port in [database.server.port, proxy.address().port()] {
                    egress.push(format!("127.0.0.1/32:{port}"));
                }
                Some((database, proxy))
            }
            None => None,
        };
        // What it writes beyond a limit is refused like on a full disk, without the signal.
        let through = &["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
        let settings = settings.to_owned();
        let options = Options { egress, settings, through, ..Options::default() };
        let gateway = Gateway::start(&issuer, options).await;
        let token = issuer.token("both");
        let ward = Self { gateway, token, database, _issuer: issuer };
        let key = match ward.engine() {
            Engine::Postgres => "SERIAL PRIMARY KEY",
            Engine::MySql => "INT AUTO_INCREMENT PRIMARY KEY",
            Engine::Sqlite => "INTEGER PRIMARY KEY",
        };
        ward.sql(&format!("CREATE TABLE people (id {key}, family VARCHAR(40) NOT NULL)")).await;
        let connection = match &ward.database {
            Some((database, proxy)) => database.connection(proxy.address().port()),
            None => json!({ "url": "sqlite:north.db" }),
        };
        ward.gateway.register("north", connection).await;
        ward.gateway.publish("north", MAPPING).await;
        ward
    }

    fn engine(&self) -> Engine {
        self.database.as_ref().map_or(Engine::Sqlite, |(database, _)| database.engine)
    }

    fn proxy(&self) -> &FaultProxy {
        &self.database.as_ref().expect("a server").1
    }

    async fn sqlite(&self) -> sqlx::SqliteConnection {
        let file = self.gateway.folder().join("sqlite/north.db");
        let url = format!("sqlite:{}?mode=rwc", file.display());
        sqlx::SqliteConnection::connect(&url).await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        match &self.database {
            Some((database, _)) => database.execute(sql).await,
            None => drop(self.sqlite().await.execute(sqlx::raw_sql(sql)).await.unwrap()),
        }
    }

    /// Family names that begin like this.
    async fn stored(&self, word: &str) -> Vec<String> {
        let sql = format!("SELECT family FROM people WHERE family LIKE '{word}%' ORDER BY family");
        match &self.database {
            Some((d, _)) if d.engine == Engine::Postgres => {
                let rows = sqlx::query(&sql).fetch_all(&mut d.postgres().await).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Some((d, _)) => {
                let rows = sqlx::query(&sql).fetch_all(&mut d.mariadb().await).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            None => {
                let rows = sqlx::query(&sql).fetch_all(&mut self.sqlite().await).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Waits until no session of the hospital's is at work in the server: what a cut left is decided then.
    async fn at_rest(&self) {
        let Some((database, _)) = &self.database else { return };
        let begun = Instant::now();
        loop {
            let user = &database.user;
            let busy: i64 = if database.engine == Engine::Postgres {
                let mut admin = Postgres::admin().await;
                let sql =
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'";
                sqlx::query_scalar(sql).bind(user).fetch_one(&mut admin).await.unwrap()
            } else {
                let mut admin = MariaDb::admin().await;
                let sql = "SELECT count(*) FROM information_schema.INNODB_TRX AS t JOIN information_schema.PROCESSLIST AS p \
                           ON p.ID = t.trx_mysql_thread_id WHERE p.USER = ?";
                sqlx::query_scalar(sql).bind(user).fetch_one(&mut admin).await.unwrap()
            };
            if busy == 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{busy} sessions are still at work");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Option<Reply> {
        let url = format!("{}{path}", self.gateway.fhir);
        let request = self.gateway.http.request(method, url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/fhir+json");
        Reply::of(request.body(body.to_string())).await
    }

    async fn post(&self, order: &Sent) -> Option<Reply> {
        self.send(Method::POST, order.path(), &order.body()).await
    }

    /// Served again, by a lane that lost nothing.
    async fn recovers(&self) {
        let begun = Instant::now();
        loop {
            let read = self.gateway.get(&self.token, "/Patient?_count=1").await;
            if read.status == 200 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{read:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What is sent: one resource, or several together.
#[derive(Debug, Clone)]
struct Sent {
    word: String,
    several: bool,
}

impl Sent {
    fn names(&self) -> Vec<String> {
        let count = if self.several { 3 } else { 1 };
        (0..count).map(|at| format!("{}{at}", self.word)).collect()
    }

    const fn path(&self) -> &'static str {
        if self.several { "" } else { "/Patient" }
    }

    fn body(&self) -> Value {
        let patient =
            |name: &String| json!({"resourceType": "Patient", "name": [{"family": name}]});
        let names = self.names();
        if !self.several {
            return patient(&names[0]);
        }
        let entry = |name: &String| json!({"resource": patient(name), "request": {"method": "POST", "url": "Patient"}});
        let entries: Vec<Value> = names.iter().map(entry).collect();
        json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    }
}

fn claim(reply: &Reply) -> Claim {
    match reply.status {
        200 | 201 => Claim::Stored,
        503 | 504 | 429 => Claim::Nothing,
        500 if reply.body.contains("Nobody knows whether it was") => Claim::Unknown,
        _ => panic!("{reply:?}"),
    }
}

/// All or nothing, and as was claimed. Gives back whether it is there.
fn agrees(order: &Sent, claim: Option<Claim>, stored: &[String], at: &str) -> bool {
    let whole = stored == order.names();
    assert!(whole || stored.is_empty(), "{at}: by halves: {stored:?}");
    match claim {
        Some(Claim::Stored) => assert!(whole, "{at}: {order:?} was said to be stored"),
        Some(Claim::Nothing) => assert!(!whole, "{at}: {order:?} was said not to be stored"),
        Some(Claim::Unknown) | None => {}
    }
    whole
}

/// Cuts the connection after every so many bytes of the exchange, on either side.
async fn cut_everywhere(ward: &Ward) {
    let step = number_from_env("WARDGATE_CUT_STEP", 19);
    let mut seen: BTreeMap<(Claim, bool), u32> = BTreeMap::new();
    for (several, side) in
        [(false, Side::Client), (false, Side::Server), (true, Side::Client), (true, Side::Server)]
    {
        let mut after = 1;
        loop {
            ward.recovers().await;
            let at = format!("{:?} {side:?} {after} several {several}", ward.engine());
            let word =
                format!("w{}-{}-{after}-", u8::from(several), u8::from(side == Side::Server));
            let order = Sent { word, several };
            ward.proxy().set(Fault::Cut { side, after }).await;
            let reply = ward.post(&order).await.expect("an answer");
            ward.proxy().heal().await;
            ward.at_rest().await;
            let claim = claim(&reply);
            let whole = agrees(&order, Some(claim), &ward.stored(&order.word).await, &at);
            *seen.entry((claim, whole)).or_default() += 1;
            if claim == Claim::Stored {
                break;
            }
            after += step;
            assert!(after < 200_000, "the exchange has no end: {seen:?}");
        }
    }
    for wanted in [
        (Claim::Stored, true),
        (Claim::Nothing, false),
        (Claim::Unknown, true),
        (Claim::Unknown, false),
    ] {
        assert!(seen.contains_key(&wanted), "{wanted:?} was never met: {seen:?}");
    }
    let begun = Instant::now();
    loop {
        let pool = ward.gateway.view("tenants/north/pool").await;
        if pool["in_use"] == 0 && pool["waiting"] == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "permits are lost: {pool}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_cut_anywhere_in_a_change() {
    cut_everywhere(&Ward::open(Some(Postgres::database().await)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_cut_anywhere_in_a_change() {
    cut_everywhere(&Ward::open(Some(MariaDb::database().await)).await).await;
}
