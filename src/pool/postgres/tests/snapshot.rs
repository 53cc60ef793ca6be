//! Statements of several round trips in a transaction that no statement began.

use super::*;

const FLUSH: &[u8] = b"H\0\0\0\x04";
const SYNC: &[u8] = b"S\0\0\0\x04";

fn one(text: &str) -> Vec<u8> {
    [message(b'1', b""), message(b'2', b""), row(&[Some(text)]), done("SELECT 1")].concat()
}

async fn ask(
    session: &mut PostgresSession,
    sql: &str,
    last: bool,
) -> Result<(Ended, Vec<String>), sqlx::Error> {
    let mut rows = Vec::new();
    let each = |_, mut cells: Cells<'_>| {
        let text = String::from_utf8_lossy(cells.next().unwrap().unwrap()).into_owned();
        let stop = text == "stop";
        rows.push(text);
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let queries = [Query { sql, parameters: &[] }];
    let ended =
        tokio::time::timeout(Duration::from_secs(30), session.snapshot(&queries, last, each));
    ended.await.unwrap().map(|ended| (ended, rows))
}

fn count(heard: &[u8], what: &[u8]) -> usize {
    heard.windows(what.len()).filter(|bytes| *bytes == what).count()
}

#[tokio::test]
async fn only_the_last_statement_is_followed_by_a_sync() {
    let answer = [one("a"), one("b"), ready(), one_row(), ready()].concat();
    for piece in [1, 6, 4096] {
        let (mut session, heard) = session(answer.clone(), piece).await;
        assert_eq!(ask(&mut session, "SELECT a", false).await.unwrap().1, ["a"]);
        assert!(session.is_unclean(), "its transaction is open");
        assert_eq!(ask(&mut session, "SELECT b", true).await.unwrap().1, ["b"]);
        assert!(!session.open && session.status == b'I');
        select(&mut session, "SELECT c").await.unwrap();
        drop(session);
        let heard = heard.await.unwrap();
        assert_eq!((count(&heard, FLUSH), count(&heard, SYNC)), (1, 2));
    }
}

#[tokio::test]
async fn a_failure_is_told_at_once_and_the_transaction_ended_afterwards() {
    let answer = [one("a"), error("22P02"), ready(), one_row(), ready()].concat();
    let (mut session, heard) = session(answer, 5).await;
    ask(&mut session, "SELECT a", false).await.unwrap();
    assert!(ask(&mut session, "SELECT b", false).await.is_err());
    assert!(session.is_unclean());
    session.end().await.unwrap();
    assert!(!session.open && session.status == b'I');
    assert_eq!(select(&mut session, "SELECT c").await.unwrap().1.len(), 1);
    drop(session);
    assert_eq!(count(&heard.await.unwrap(), SYNC), 2);
}

#[tokio::test]
async fn whatever_comes_next_ends_a_transaction_that_was_left_open() {
    let answer = [one("a"), ready(), one_row(), ready()].concat();
    let (mut session, heard) = session(answer, 4096).await;
    ask(&mut session, "SELECT a", false).await.unwrap();
    assert_eq!(select(&mut session, "SELECT c").await.unwrap().1.len(), 1);
    drop(session);
    assert_eq!(count(&heard.await.unwrap(), SYNC), 2);
}

#[tokio::test]
async fn what_is_left_of_an_answer_is_passed_over_before_the_end() {
    let rest = [row(&[Some("foreign")]).repeat(3), done("SELECT 4")].concat();
    let first = [message(b'1', b""), message(b'2', b""), row(&[Some("stop")]), rest].concat();
    let (mut session, _) = session([first, ready(), one_row(), ready()].concat(), 7).await;
    assert_eq!(ask(&mut session, "SELECT a", false).await.unwrap().0, Ended::CutShort);
    session.end().await.unwrap();
    let (_, rows) = select(&mut session, "SELECT c").await.unwrap();
    assert_eq!(rows, [[Some("a".to_owned()), None, Some(String::new())]]);
}

#[tokio::test]
async fn an_empty_last_one_ends_it_as_well() {
    let (mut session, heard) = session([one("a"), ready()].concat(), 4096).await;
    ask(&mut session, "SELECT a", false).await.unwrap();
    session.snapshot(&[], true, |_, _| ControlFlow::Continue(())).await.unwrap();
    assert!(!session.open);
    drop(session);
    assert_eq!(count(&heard.await.unwrap(), SYNC), 1);
}

/// Whoever answers for two where one was asked would be a reply ahead from then on.
#[tokio::test]
async fn a_server_that_is_ready_before_it_was_asked_to_be_is_not_believed() {
    let (mut session, _) = session([message(b'1', b""), ready(), one("a")].concat(), 4096).await;
    let error = ask(&mut session, "SELECT a", false).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::Protocol(_)));
    assert!(session.is_unclean());
}

#[tokio::test]
async fn many_statements_of_one_moment_are_flushed_not_ended_in_between() {
    let one = [message(b'1', b""), row(&[Some("a")]), done("SELECT 1")].concat();
    let (mut session, heard) = session([one.repeat(40), ready()].concat(), 1 << 20).await;
    let texts: Vec<String> = (0..40).map(|number| format!("SELECT -- {number}")).collect();
    let queries: Vec<_> = texts.iter().map(|sql| Query { sql, parameters: &[] }).collect();
    let mut seen = Vec::new();
    let each = |number, _: Cells<'_>| {
        seen.push(number);
        ControlFlow::Continue(())
    };
    session.snapshot(&queries, true, each).await.unwrap();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    drop(session);
    let heard = heard.await.unwrap();
    assert_eq!((count(&heard, FLUSH), count(&heard, SYNC)), (2, 1));
}
