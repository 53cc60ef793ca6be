//! Reads by id that meet: one statement fetches them all, each caller gets her own patient, and what
//! happens to one of them is nobody else's trouble. A lane of a single connection and a lock on the table
//! make them meet.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;

use crate::harness::{Database, Postgres};
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};

/// Patients in the table.
const PATIENTS: u64 = 30;

struct Bed {
    gateway: Gateway,
    token: String,
    database: Database,
    lock: PgConnection,
}

impl Bed {
    async fn new() -> Self {
        let issuer = TestIssuer::for_tenants(&["north"]).await;
        let options = Options {
            egress: vec![format!("127.0.0.1/32:{}", Postgres::server().port)],
            settings: "[pool]\nmax_connections = 1\nacquire_timeout = \"20s\"\n\
                       [limits]\nrequests_per_second = 10000\nconcurrent_requests = 64\n"
                .to_owned(),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        let database = Postgres::database().await;
        database.execute(&patients_sql("mark", 1..=PATIENTS)).await;
        gateway.register("north", database.connection(database.server.port)).await;
        gateway.publish("north", &mapping("1")).await;
        let token = issuer.token("north");
        // The lane is open and knows its statements.
        assert_eq!(gateway.get(&token, "/Patient/1").await.status, 200);
        let lock = database.postgres().await;
        let mut bed = Self { gateway, token, database, lock };
        bed.lock().await;
        bed
    }

    async fn lock(&mut self) {
        let sql = "BEGIN; LOCK TABLE patients IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(sql).execute(&mut self.lock).await.expect("lock the table");
    }

    async fn unlock(&mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.lock).await.expect("unlock the table");
    }

    /// Begins to read a patient.
    fn read(&self, id: u64) -> JoinHandle<Reply> {
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

    /// Returns when the lane's connection waits for the lock.
    async fn busy(&self) {
        let mut admin = Postgres::admin().await;
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
        for _ in 0..200 {
            let query = sqlx::query_scalar::<_, i64>(sql).bind(&self.database.name);
            if query.fetch_one(&mut admin).await.expect("look at the sessions") > 0 {
                return admin.close().await.expect("close the superuser's connection");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the first read does not wait for the lock");
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
    let mut bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    bed.unlock().await;
    all_have_their_own([first, host].into_iter().chain(guests), 1).await;
    let last = bed.last_statements().await;
    assert!(last.iter().any(|sql| sql.contains(" ANY (")), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_leaves_the_others_their_answers() {
    let mut bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    host.abort();
    assert!(host.await.is_err(), "the one who reads for all went away");
    bed.unlock().await;
    all_have_their_own([first], 1).await;
    all_have_their_own(guests, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_fails_for_all_is_tried_by_each() {
    let mut bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    // The statement in hand ends with an error, and so may the one that reads for all.
    let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    let mut admin = Postgres::admin().await;
    for _ in 0..2 {
        let query = sqlx::query(sql).bind(&bed.database.name);
        query.execute(&mut admin).await.expect("cancel");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bed.unlock().await;
    assert!(first.await.expect("the caller lives").status >= 500, "its own statement was stopped");
    all_have_their_own([host].into_iter().chain(guests), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_under_all_is_no_fault_of_anybody() {
    let mut bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 \
               AND wait_event_type = 'Lock' AND query LIKE $2";
    let mut admin = Postgres::admin().await;
    // The session of the first, then that of the statement that reads for all.
    for statement in ["%", "% ANY (%"] {
        for attempt in 0.. {
            let query = sqlx::query(end).bind(&bed.database.name).bind(statement);
            if query.execute(&mut admin).await.expect("end a session").rows_affected() > 0 {
                break;
            }
            assert!(attempt < 200, "{statement} does not wait for the lock");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    bed.unlock().await;
    assert_eq!(first.await.expect("the caller lives").status, 503, "its session was ended");
    all_have_their_own([host].into_iter().chain(guests), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_is_for_all_who_wait() {
    let mut bed = Bed::new().await;
    let (first, host, guests) = bed.meet().await;
    bed.gateway.suspend("north").await;
    bed.unlock().await;
    // The first had its connection before; the others had none.
    drop(first);
    for read in [host].into_iter().chain(guests) {
        let reply = read.await.expect("the caller lives");
        assert_ne!(reply.status, 200, "{}", reply.body);
    }
}
