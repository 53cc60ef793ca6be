//! Reads by id that meet: one statement fetches them all, each caller gets her own patient, and what
//! happens to one of them is nobody else's trouble. A lane of a single connection and a view that sleeps while
//! a gate is shut make them meet.

use std::time::Duration;

use sqlx::Connection as _;
use tokio::task::JoinHandle;

use crate::harness::{Database, Postgres};
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};

/// Patients in the table.
const PATIENTS: u64 = 30;
/// Whoever reads while the gate is shut sleeps until it is open. A lock is waited for two seconds at most, and
/// of a table a statement sees the moment it began; a sequence is seen by all as it is.
const GATE: &str = "
CREATE SEQUENCE gate;
CREATE FUNCTION passes(opens BOOL) RETURNS BOOL LANGUAGE plpgsql VOLATILE AS $$ BEGIN
  WHILE (SELECT last_value FROM public.gate) > 1 LOOP PERFORM pg_sleep(0.02); END LOOP;
  RETURN opens; END $$;";
/// The gateway's sessions that sleep there.
const ASLEEP: &str =
    "FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep' AND query LIKE $2";

struct Bed {
    gateway: Gateway,
    token: String,
    database: Database,
}

impl Bed {
    /// Patients behind the gate.
    async fn new() -> Self {
        let tables = format!(
            "{} ALTER TABLE patients RENAME TO kept; {GATE}
             CREATE VIEW patients AS SELECT * FROM kept WHERE passes(true)",
            patients_sql("mark", 1..=PATIENTS)
        );
        let bed = Self::over(&tables, &mapping("1")).await;
        // The lane is open and knows its statements.
        assert_eq!(bed.gateway.get(&bed.token, "/Patient/1").await.status, 200);
        bed.shut().await;
        bed
    }

    /// A lane of a single connection.
    async fn over(tables: &str, mapping: &str) -> Self {
        let issuer = TestIssuer::for_tenants(&["north"]).await;
        let options = Options {
            egress: vec![format!("127.0.0.1/32:{}", Postgres::server().port)],
            settings: "[pool]\nmax_connections = 1\nacquire_timeout = \"20s\"\n\
                       statement_timeout = \"60s\"\n\
                       [limits]\nrequests_per_second = 10000\nconcurrent_requests = 64\n\
                       request_timeout = \"60s\"\n"
                .to_owned(),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        let database = Postgres::database().await;
        database.execute(tables).await;
        gateway.register("north", database.connection(database.server.port)).await;
        gateway.publish("north", mapping).await;
        let token = issuer.token("north");
        Self { gateway, token, database }
    }

    async fn shut(&self) {
        self.database.execute("SELECT setval('gate', 2)").await;
    }

    async fn open(&self) {
        self.database.execute("SELECT setval('gate', 1)").await;
    }

    /// Begins to read a patient.
    fn read(&self, id: impl std::fmt::Display) -> JoinHandle<Reply> {
        let url = format!("{}/Patient/{id}", self.gateway.fhir);
        let request = self.gateway.http.get(url).bearer_auth(&self.token);
        tokio::spawn(async move { Reply::of(request).await.expect("an answer") })
    }

    /// Returns when so many callers wait for a connection of the lane.
    async fn waiting(&self, wanted: u64) {
        for _ in 0..200 {
            let pool = self.gateway.view("tenants/north/pool").await;
            if pool["waiting"].as_u64() >= Some(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody waits for a connection");
    }

    /// One caller holds the connection, the next waits for it, and the others join that one.
    async fn meet(&self) -> (JoinHandle<Reply>, JoinHandle<Reply>, Vec<JoinHandle<Reply>>) {
        let first = self.read(1);
        self.busy().await;
        let host = self.read(2);
        self.waiting(1).await;
        let guests = (3..=PATIENTS).map(|id| self.read(id)).collect();
        // Nobody can be asked whether they have joined; that they have is seen by the statement at the end.
        tokio::time::sleep(Duration::from_millis(700)).await;
        (first, host, guests)
    }

    /// Does something to a session that sleeps at the gate, executing a statement like that; waits until there
    /// is one.
    async fn to_the_sleeper(&self, what: &str, statement: &str) {
        let mut admin = Postgres::admin().await;
        let sql = format!("SELECT {what} {ASLEEP}");
        for _ in 0..1000 {
            let query = sqlx::query(&sql).bind(&self.database.name).bind(statement);
            if query.execute(&mut admin).await.expect("look at the sessions").rows_affected() > 0 {
                return admin.close().await.expect("close the superuser's connection");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody waits at the gate with {statement}");
    }

    /// Returns when the lane's connection is at the gate.
    async fn busy(&self) {
        self.to_the_sleeper("pid", "%").await;
    }

    /// What the gateway's sessions executed last.
    async fn last_statements(&self) -> Vec<String> {
        let mut admin = Postgres::admin().await;
        let sql = "SELECT query FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'wardgate%'";
        let query = sqlx::query_scalar(sql).bind(&self.database.name);
        let all = query.fetch_all(&mut admin).await.expect("look at the sessions");
        admin.close().await.expect("close the superuser's connection");
        all
    }
}

/// Every one of these is answered with the patient that was asked for.
async fn all_have_their_own(reads: impl IntoIterator<Item = JoinHandle<Reply>>, from: u64) {
    for (read, id) in reads.into_iter().zip(from..) {
        let reply = read.await.expect("the caller lives");
        assert_eq!(reply.status, 200, "{id}: {}", reply.body);
        let patient = reply.json();
        assert_eq!(patient["id"], id.to_string());
        assert_eq!(patient["identifier"][0]["value"], format!("mrn-mark-{id}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_statement_reads_for_all_who_meet() {
    let bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    bed.open().await;
    all_have_their_own([first, host].into_iter().chain(guests), 1).await;
    let last = bed.last_statements().await;
    assert!(last.iter().any(|sql| sql.contains(" ANY (")), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_leaves_the_others_their_answers() {
    let bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    host.abort();
    assert!(host.await.is_err(), "the one who reads for all went away");
    bed.open().await;
    all_have_their_own([first], 1).await;
    all_have_their_own(guests, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_fails_for_all_is_tried_by_each() {
    let bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    // The statement in hand ends with an error, and then the one that reads for all.
    for statement in ["%", "% ANY (%"] {
        bed.to_the_sleeper("pg_cancel_backend(pid)", statement).await;
    }
    bed.open().await;
    assert!(first.await.expect("the caller lives").status >= 500, "its own statement was stopped");
    all_have_their_own([host].into_iter().chain(guests), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_under_all_is_no_fault_of_anybody() {
    let bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    // The session of the first, then that of the statement that reads for all.
    for statement in ["%", "% ANY (%"] {
        bed.to_the_sleeper("pg_terminate_backend(pid)", statement).await;
    }
    bed.open().await;
    assert_eq!(first.await.expect("the caller lives").status, 503, "its session was ended");
    all_have_their_own([host].into_iter().chain(guests), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_is_for_all_who_wait() {
    let bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    bed.gateway.suspend("north").await;
    bed.open().await;
    // The first had its connection before; the others had none.
    drop(first);
    for read in [host].into_iter().chain(guests) {
        let reply = read.await.expect("the caller lives");
        assert_ne!(reply.status, 200, "{}", reply.body);
    }
}

/// An id may stand for several keys, which are tried one after the other.
const SEVERAL_KEYS: &str = r#"mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: [ward, bed]
    id: "$ward-$bed"
    map: {name: [{family: "$family"}]}
"#;

/// Whoever has the only connection, and still has to look for another key, must not wait for somebody who waits
/// for the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_others_keeps_no_connection_from_them() {
    let tables = format!(
        "{GATE} CREATE TABLE kept (ward TEXT, bed TEXT, family TEXT, PRIMARY KEY (ward, bed));
         INSERT INTO kept VALUES ('x-y', 'z', 'Hidden'), ('x', 'y-z', 'Second'), ('q', 'r', 'Other');
         CREATE VIEW people AS SELECT * FROM kept WHERE ward <> 'x-y' OR passes(false)"
    );
    let bed = Bed::over(&tables, SEVERAL_KEYS).await;
    bed.shut().await;
    // The first of its keys is at the gate, where nothing is found of it.
    let holder = bed.read("x-y-z");
    bed.busy().await;
    let host = bed.read("q-r");
    bed.waiting(1).await;
    bed.open().await;
    for (read, family) in [(holder, "Second"), (host, "Other")] {
        let reply = read.await.expect("the caller lives");
        assert_eq!(reply.status, 200, "{family}: {}", reply.body);
        assert_eq!(reply.json()["name"][0]["family"], family);
    }
}
