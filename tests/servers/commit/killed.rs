//! Sessions and gateways that end at a bad moment.

use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::Executor as _;
use wardgate::base::Engine;

use super::{Claim, PATIENCE, Sent, Ward, agrees, claim};
use crate::harness::{Database, MariaDb, Postgres};
use crate::support::Gateway;

/// A trigger that waits for a lock of the test's, in the statement or at COMMIT.
async fn hold(database: &Database, at_commit: bool) -> sqlx::PgConnection {
    let kind = if at_commit { "CONSTRAINT TRIGGER" } else { "TRIGGER" };
    let when = if at_commit { "DEFERRABLE INITIALLY DEFERRED" } else { "" };
    database
        .execute(&format!(
            "CREATE OR REPLACE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$; \
             DROP TRIGGER IF EXISTS waits ON people; \
             CREATE {kind} waits AFTER INSERT ON people {when} FOR EACH ROW EXECUTE FUNCTION waits()"
        ))
        .await;
    let mut holder = database.postgres().await;
    holder.execute("SELECT pg_advisory_lock(7)").await.unwrap();
    holder
}

/// The process of the session that waits for the lock.
async fn waiting(database: &Database) -> i32 {
    let begun = Instant::now();
    loop {
        let sql =
            "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
        let mut admin = Postgres::admin().await;
        let found: Option<i32> =
            sqlx::query_scalar(sql).bind(&database.name).fetch_optional(&mut admin).await.unwrap();
        if let Some(pid) = found {
            return pid;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_ended_or_cut_while_it_waits() {
    let ward = Ward::open(Some(Postgres::database().await)).await;
    let (database, proxy) = ward.database.as_ref().unwrap();
    for several in [false, true] {
        for at_commit in [false, true] {
            for ended in [false, true] {
                ward.recovers().await;
                let mut holder = hold(database, at_commit).await;
                let at = format!("several {several}, at COMMIT {at_commit}, ended {ended}");
                let word =
                    format!("k{}{}{}-", u8::from(several), u8::from(at_commit), u8::from(ended));
                let order = Sent { word, several };
                let sent = ward.post(&order);
                let fault = async {
                    let pid = waiting(database).await;
                    if ended {
                        let mut admin = Postgres::admin().await;
                        let sql = "SELECT pg_terminate_backend($1)";
                        sqlx::query(sql).bind(pid).execute(&mut admin).await.unwrap();
                    } else {
                        // The server goes on when the lock is free, and has nobody left to tell.
                        proxy.reset_open().await;
                    }
                };
                let (reply, ()) = tokio::join!(sent, fault);
                holder.execute("SELECT pg_advisory_unlock(7)").await.unwrap();
                ward.at_rest().await;
                let claim = claim(&reply.expect("an answer"));
                let whole = agrees(&order, Some(claim), &ward.stored(&order.word).await, &at);
                let expected = if at_commit { Claim::Unknown } else { Claim::Nothing };
                assert_eq!(claim, expected, "{at}");
                // Cut at COMMIT, it depends on whether the gateway can still stop it.
                assert!(!whole || (at_commit && !ended), "{at}");
            }
        }
    }
    ward.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_dies_at_commit_leaves_a_trace() {
    let ward = Ward::open(Some(Postgres::database().await)).await;
    let database = &ward.database.as_ref().unwrap().0;
    let mut holder = hold(database, true).await;
    let order = Sent { word: "dead-".to_owned(), several: true };
    let fault = async {
        waiting(database).await;
        kill(&ward.gateway);
    };
    let (reply, ()) = tokio::join!(ward.post(&order), fault);
    assert!(reply.is_none(), "{reply:?}");
    holder.execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    ward.at_rest().await;
    let whole = agrees(&order, None, &ward.stored(&order.word).await, "dead");
    assert!(whole, "the server had been told");
    let log = everything_below(&ward.gateway.folder().join("audit"));
    // Once where it was made durable, and perhaps once more where it was filed.
    let creates: Vec<&str> =
        log.lines().filter(|line| line.contains("\"action\":\"create\"")).collect();
    assert!(creates.len() >= 3, "{log}");
    assert!(creates.iter().all(|line| line.contains("\"outcome\":\"begun\"")), "{creates:?}");
}

/// How long a file the gateway may write.
fn files_at_most(gateway: &Gateway, bytes: &str) {
    let (pid, limit) = (gateway.pid().to_string(), format!("--fsize={bytes}:"));
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().expect("run prlimit");
    assert!(set.success());
}

/// The disk is full when the database has said that the change is stored, or has gone while it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_have_changed_something_is_never_told_to_try_again() {
    let ward = Ward::open(Some(Postgres::database().await)).await;
    let database = &ward.database.as_ref().unwrap().0;
    for (ended, several) in [(false, false), (false, true), (true, false)] {
        ward.recovers().await;
        let mut holder = hold(database, true).await;
        let word = format!("l{}{}-", u8::from(ended), u8::from(several));
        let order = Sent { word, several };
        let fault = async {
            let pid = waiting(database).await;
            files_at_most(&ward.gateway, "10");
            if ended {
                let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(pid);
                end.execute(&mut Postgres::admin().await).await.unwrap();
            }
            holder.execute("SELECT pg_advisory_unlock(7)").await.unwrap();
        };
        let (reply, ()) = tokio::join!(ward.post(&order), fault);
        files_at_most(&ward.gateway, "unlimited");
        ward.at_rest().await;
        let (reply, stored) = (reply.expect("an answer"), ward.stored(&order.word).await);
        assert_eq!((reply.status, reply.header("retry-after")), (500, ""), "{reply:?}");
        let said = ["The change was stored", "Nobody knows whether it was"][usize::from(ended)];
        assert!(reply.body.contains(said), "{reply:?}");
        assert_eq!(stored == order.names(), !ended, "{stored:?}");
    }
    ward.recovers().await;
}

fn kill(gateway: &Gateway) {
    let pid = i32::try_from(gateway.pid()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill the gateway");
}

fn everything_below(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            text.push_str(&everything_below(&entry));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&entry).unwrap()));
        }
    }
    text
}

/// Killed in the middle of many changes, whatever it was doing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_leaves_whole_changes_only() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MySql] {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::database().await),
            Engine::MySql => Some(MariaDb::database().await),
        };
        let ward = Ward::open(database).await;
        let mut orders = (0..400).map(|n| Sent { word: format!("n{n:03}-"), several: n % 2 == 0 });
        let mut told = Vec::new();
        for order in orders.by_ref().take(12) {
            let reply = ward.post(&order).await.expect("an answer");
            told.push((order, Some(claim(&reply))));
        }
        let many = async {
            let mut told = Vec::new();
            for order in orders {
                let reply = ward.post(&order).await;
                let gone = reply.is_none();
                told.push((order, reply.as_ref().map(claim)));
                if gone {
                    break;
                }
            }
            told
        };
        let death = async {
            tokio::time::sleep(Duration::from_millis(173)).await;
            kill(&ward.gateway);
        };
        let (more, ()) = tokio::join!(many, death);
        told.extend(more);
        assert!(told.last().is_some_and(|(_, claim)| claim.is_none()), "it was not killed at work");
        ward.at_rest().await;
        for (order, claim) in &told {
            agrees(order, *claim, &ward.stored(&order.word).await, &format!("{engine:?}"));
        }
    }
}
