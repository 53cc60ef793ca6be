//! The session against a server that answers by script, in pieces as small as one byte.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::*;

mod outdated;
mod small;
mod snapshot;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn row(cells: &[Option<&str>]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
    for cell in cells {
        let length = cell.map_or(-1, |text| i32::try_from(text.len()).unwrap());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(cell.unwrap_or_default().as_bytes());
    }
    message(b'D', &body)
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0Mvalue 'Weber' is bad\0\0").as_bytes())
}

/// A session whose server says `answer`, `piece` bytes at a time, and then hangs up; the task gives back
/// all that the session said.
async fn session(answer: Vec<u8>, piece: usize) -> (PostgresSession, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from, mut to) = server.into_split();
    let heard = tokio::spawn(async move {
        for piece in answer.chunks(piece) {
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(to);
        let mut heard = Vec::new();
        let _ = from.read_to_end(&mut heard).await;
        heard
    });
    (PostgresSession::new(Wire::plain(stream), b"", TaskTracker::new().token()), heard)
}

type Row = Vec<Option<String>>;

async fn select(session: &mut PostgresSession, sql: &str) -> Result<(Ended, Vec<Row>), String> {
    let mut rows = Vec::new();
    let each = |cells: Cells<'_>| {
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        rows.push(cells.map(|cell| cell.map(text)).collect::<Row>());
        ControlFlow::Continue(())
    };
    let ended = session.select(sql, &[Parameter::Text("x"), Parameter::Int(7)], each);
    match tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap() {
        Ok(ended) => Ok((ended, rows)),
        Err(sqlx::Error::Database(error)) => Err(error.code().unwrap().into_owned()),
        Err(sqlx::Error::Protocol(_)) => Err("protocol".to_owned()),
        Err(sqlx::Error::Io(_)) => Err("io".to_owned()),
        Err(other) => panic!("{other}"),
    }
}

fn one_row() -> Vec<u8> {
    let notice = message(b'N', b"SNOTICE\0\0");
    let setting = message(b'S', b"TimeZone\0UTC\0");
    let done = message(b'C', b"SELECT 1\0");
    [
        message(b'1', b""),
        notice,
        message(b'2', b""),
        row(&[Some("a"), None, Some("")]),
        setting,
        done,
    ]
    .concat()
}

#[tokio::test]
async fn rows_come_whole_however_the_bytes_are_cut() {
    for piece in [1, 2, 3, 7, 4096] {
        let (mut session, _) = session([one_row(), ready()].concat(), piece).await;
        let (ended, rows) = select(&mut session, "SELECT").await.unwrap();
        assert_eq!(ended, Ended::Complete);
        assert_eq!(rows, [[Some("a".to_owned()), None, Some(String::new())]]);
        assert!(!session.is_unclean());
    }
}

#[tokio::test]
async fn a_statement_is_prepared_once() {
    let again = [message(b'2', b""), message(b'C', b"SELECT 0\0"), ready()].concat();
    let (mut session, heard) = session([one_row(), ready(), again].concat(), 4096).await;
    select(&mut session, "SELECT one").await.unwrap();
    assert_eq!(select(&mut session, "SELECT one").await.unwrap().1.len(), 0);
    drop(session);
    let heard = heard.await.unwrap();
    assert_eq!(heard.windows(10).filter(|bytes| bytes == b"SELECT one").count(), 1);
    assert_eq!(heard.windows(9).filter(|bytes| bytes == b"E\0\0\0\x09\0\0\0\0").count(), 2);
}

#[tokio::test]
async fn a_failed_statement_leaves_its_code_and_a_usable_session() {
    let answer = [error("22P02"), ready(), one_row(), ready()].concat();
    let (mut session, _) = session(answer, 5).await;
    assert_eq!(select(&mut session, "SELECT").await.unwrap_err(), "22P02");
    assert_eq!(select(&mut session, "SELECT").await.unwrap().1.len(), 1);
}

fn done(what: &str) -> Vec<u8> {
    message(b'C', format!("{what}\0").as_bytes())
}

/// The rows of several statements sent together, each with its statement's number.
async fn batch(
    session: &mut PostgresSession,
    queries: &[&str],
) -> Result<(Ended, Vec<(usize, String)>), sqlx::Error> {
    let mut rows = Vec::new();
    let each = |number, mut cells: Cells<'_>| {
        let text = String::from_utf8_lossy(cells.next().unwrap().unwrap()).into_owned();
        let stop = text == "stop";
        rows.push((number, text));
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let query = |sql| Query { sql, parameters: &[] };
    let queries: Vec<Query<'_>> = queries.iter().copied().map(query).collect();
    session.batch(&queries, each).await.map(|ended| (ended, rows))
}

#[tokio::test]
async fn statements_sent_together_are_answered_one_after_the_other() {
    let two = |a: &str, b: &str| [row(&[Some(a)]), row(&[Some(b)]), done("SELECT 2")].concat();
    let answer = [done("BEGIN"), two("a", "b"), done("SELECT 0"), two("c", "d"), ready()].concat();
    let parsed = message(b'1', b"").repeat(4);
    for piece in [1, 5, 4096] {
        let whole = [parsed.clone(), answer.clone(), answer.clone()].concat();
        let (mut session, heard) = session(whole, piece).await;
        let asked = ["BEGIN", "SELECT one", "SELECT two", "SELECT three"];
        for _ in 0..2 {
            let (ended, rows) = batch(&mut session, &asked).await.unwrap();
            assert_eq!(ended, Ended::Complete);
            let rows: Vec<_> = rows.iter().map(|(number, text)| (*number, text.as_str())).collect();
            assert_eq!(rows, [(1, "a"), (1, "b"), (3, "c"), (3, "d")]);
        }
        assert!(!session.is_unclean());
        drop(session);
        let heard = heard.await.unwrap();
        let count = |what: &[u8]| heard.windows(what.len()).filter(|w| *w == what).count();
        assert_eq!((count(b"SELECT two"), count(b"S\0\0\0\x04")), (1, 2), "prepared, synced");
    }
}

#[tokio::test]
async fn of_statements_sent_together_the_first_that_fails_ends_it() {
    let failed = [message(b'1', b""), done("BEGIN"), error("42P01"), message(b'Z', b"E")].concat();
    let (mut session, heard) = session([failed.clone(), failed].concat(), 4096).await;
    let outcome = batch(&mut session, &["BEGIN", "SELECT one", "SELECT two"]).await;
    assert!(matches!(outcome, Err(sqlx::Error::Database(_))));
    assert!(session.is_unclean(), "the transaction is open");
    let _ = batch(&mut session, &["BEGIN", "SELECT one", "SELECT two"]).await;
    drop(session);
    let heard = heard.await.unwrap();
    let count = |what: &[u8]| heard.windows(what.len()).filter(|w| *w == what).count();
    assert_eq!((count(b"BEGIN"), count(b"SELECT one"), count(b"SELECT two")), (1, 2, 2));
}

#[tokio::test]
async fn fewer_ends_than_statements_are_no_answer() {
    let (mut session, _) = session([done("BEGIN"), ready()].concat(), 4096).await;
    let outcome = batch(&mut session, &["BEGIN", "SELECT"]).await;
    assert!(matches!(outcome, Err(sqlx::Error::Protocol(_))));
}

#[tokio::test]
async fn what_is_left_of_statements_sent_together_is_passed_over() {
    let stop = [row(&[Some("stop")]), row(&[Some("x")]), done("SELECT 2")].concat();
    let answer = [stop.clone(), stop, done("ROLLBACK"), ready(), one_row(), ready()].concat();
    let (mut session, _) = session(answer, 4096).await;
    let outcome = batch(&mut session, &["SELECT one", "SELECT two", "ROLLBACK"]).await.unwrap();
    assert_eq!(outcome, (Ended::CutShort, vec![(0, "stop".to_owned())]));
    assert_eq!(select(&mut session, "SELECT 2").await.unwrap().1.len(), 1);
}

#[tokio::test]
async fn long_and_many_statements_are_not_sent_all_at_once() {
    let syncs = |heard: &[u8]| heard.windows(5).filter(|w| w == b"S\0\0\0\x04").count();
    let long = format!("SELECT '{}'", "x".repeat(TOGETHER * 2 / 3));
    for (sql, count, most) in [(long.as_str(), 3, 1), ("SELECT", 40, TOGETHER_MOST)] {
        let texts: Vec<String> = (0..count).map(|number| format!("{sql} -- {number}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let one = [message(b'1', b""), row(&[Some("a")]), done("SELECT 1")].concat();
        let answer: Vec<u8> = (0..count)
            .flat_map(|at| {
                let last = at + 1 == count || (at + 1) % most == 0;
                [one.clone(), if last { ready() } else { Vec::new() }].concat()
            })
            .collect();
        let (mut session, heard) = session(answer, 1 << 20).await;
        let (_, rows) = batch(&mut session, &texts).await.unwrap();
        assert_eq!(
            rows.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            (0..count).collect::<Vec<_>>()
        );
        drop(session);
        assert_eq!(syncs(&heard.await.unwrap()), 3);
    }
}

#[tokio::test]
async fn a_server_that_says_farewell_is_heard_before_it_is_gone() {
    let (mut session, _) = session(error("57P01"), 4096).await;
    assert_eq!(select(&mut session, "SELECT").await.unwrap_err(), "57P01");
}

#[tokio::test]
async fn what_is_not_wanted_any_more_is_passed_over() {
    let many = row(&[Some("x")]).repeat(1000);
    let answer =
        [message(b'1', b""), message(b'2', b""), many, ready(), one_row(), ready()].concat();
    let (mut session, _) = session(answer, 4096).await;
    let stop = |_: Cells<'_>| ControlFlow::Break(());
    assert_eq!(session.select("SELECT", &[], stop).await.unwrap(), Ended::CutShort);
    assert!(session.is_unclean(), "not to be given to anybody like this");
    assert_eq!(select(&mut session, "SELECT 2").await.unwrap().1.len(), 1);
    assert!(!session.is_unclean());
}

#[tokio::test]
async fn a_row_beyond_all_bounds_is_not_kept() {
    let long = "x".repeat(18 << 20);
    let answer = [message(b'2', b""), row(&[Some(&long)]), ready(), one_row(), ready()].concat();
    let (mut session, _) = session(answer, 1 << 20).await;
    assert_eq!(select(&mut session, "SELECT").await.unwrap(), (Ended::CutShort, vec![]));
    assert_eq!(select(&mut session, "SELECT 2").await.unwrap().1.len(), 1);
    assert!(session.input.capacity() < 1 << 20, "{}", session.input.capacity());
}

/// Leftover rows read as the next statement's would be another patient's.
#[tokio::test]
async fn nothing_of_a_reply_with_two_rows_beyond_all_bounds_answers_the_next_statement() {
    let long = row(&[Some(&"x".repeat(18 << 20))]);
    let foreign = row(&[Some("foreign")]);
    let first = [message(b'2', b""), long.clone(), long, foreign, ready()].concat();
    let (mut session, _) = session([first, one_row(), ready()].concat(), 1 << 20).await;
    assert_eq!(select(&mut session, "SELECT").await.unwrap(), (Ended::CutShort, vec![]));
    let (ended, rows) = select(&mut session, "SELECT 2").await.unwrap();
    assert_eq!(ended, Ended::Complete);
    assert_eq!(rows, [[Some("a".to_owned()), None, Some(String::new())]]);
}

/// A server one reply ahead would answer every later statement with its predecessor's rows.
#[tokio::test]
async fn a_session_with_a_reply_nobody_asked_for_is_not_clean() {
    let foreign = [message(b'2', b""), row(&[Some("foreign")]), ready()].concat();
    let answer = [one_row(), ready(), foreign].concat();
    let (mut session, _) = session(answer, 4096).await;
    select(&mut session, "SELECT").await.unwrap();
    assert!(session.is_unclean(), "not to be given to anybody like this");
}

#[tokio::test]
async fn a_server_that_speaks_or_hangs_up_between_statements_is_not_quiet() {
    let late = [message(b'2', b""), row(&[Some("foreign")]), ready()].concat();
    for after in [Some(late), Some(message(b'N', b"SNOTICE\0\0")), None] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let token = TaskTracker::new().token();
        let mut session = PostgresSession::new(Wire::plain(stream), b"", token);
        server.write_all(&[one_row(), ready()].concat()).await.unwrap();
        select(&mut session, "SELECT").await.unwrap();
        assert!(session.is_quiet() && !session.is_unclean());
        // Nobody reads it, and the runtime need not have heard of it.
        match &after {
            Some(bytes) => server.write_all(bytes).await.unwrap(),
            None => server.shutdown().await.unwrap(),
        }
        assert!(!session.is_quiet(), "{after:?}");
    }
}

#[tokio::test]
async fn a_statement_that_could_not_be_written_leaves_none_open_in_the_server() {
    let prepared = [one_row(), ready()].concat();
    let answer = prepared.repeat(STATEMENTS + 2);
    let (mut session, heard) = session(answer, 1 << 20).await;
    for number in 0..STATEMENTS {
        select(&mut session, &format!("SELECT {number}")).await.unwrap();
    }
    // Makes room by closing the first statement, and cannot be written.
    let broken = session.select("SELECT '\0'", &[], |_| ControlFlow::Continue(())).await;
    assert!(matches!(broken, Err(sqlx::Error::Encode(_))));
    select(&mut session, "SELECT last").await.unwrap();
    drop(session);
    let heard = heard.await.unwrap();
    let closed = heard.windows(9).filter(|bytes| bytes == b"C\0\0\0\x08Ss1\0").count();
    assert_eq!(closed, 1);
}

#[tokio::test]
async fn hostile_replies_end_with_a_fault() {
    let lengths = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
    for answer in [
        lengths(b'D', 3),
        lengths(b'C', u32::MAX),
        lengths(b'Z', 2 << 20),
        message(b'D', b""),
        message(b'D', b"\0\x01\0\0\0\x05abc"),
        message(b'D', b"\0\x01\xff\xff\xff\xfe"),
        message(b'D', b"\0\0left over"),
        message(b'D', b"\xff\xff\0\0\0\0"),
        message(b'Z', b"X"),
        message(b'Z', b""),
        message(b'R', &[0; 4]),
        message(b'G', b""),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
    ] {
        let (mut session, _) = session([answer.clone(), ready()].concat(), 4096).await;
        assert_eq!(select(&mut session, "SELECT").await.unwrap_err(), "protocol", "{answer:?}");
        assert!(session.is_unclean());
    }
    let (mut session, _) = session(row(&[Some("a")]), 4096).await;
    assert_eq!(select(&mut session, "SELECT").await.unwrap_err(), "io");
}

#[tokio::test]
async fn a_statement_without_a_word_of_its_end_is_not_answered() {
    for rows in [0, 1] {
        let answer = [message(b'2', b""), row(&[Some("a")]).repeat(rows), ready()].concat();
        let (mut session, _) = session(answer, 4096).await;
        assert_eq!(select(&mut session, "SELECT").await.unwrap_err(), "protocol", "{rows}");
    }
}

#[tokio::test]
async fn an_open_transaction_shows() {
    let answer = [message(b'C', b"BEGIN\0"), message(b'Z', b"T"), message(b'Z', b"E")].concat();
    let (mut session, _) = session(answer, 4096).await;
    session.command("BEGIN").await.unwrap();
    assert!(session.is_unclean());
    session.ping().await.unwrap();
    assert!(session.is_unclean());
    assert!(session.command("SELECT '\0'").await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the server says, the session ends with an answer or a fault.
    #[test]
    fn no_reply_is_beyond_it(bytes in prop::collection::vec(any::<u8>(), 0..200), kinds in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = if kinds {
            // Well-formed messages of random kinds and bodies come deeper.
            bytes.chunks(9).flat_map(|c| message(b"DEZ12C"[usize::from(c[0]) % 6], &c[1..])).collect()
        } else {
            bytes
        };
        runtime.block_on(async {
            let (mut session, _) = session(answer, 64).await;
            let _ = select(&mut session, "SELECT").await;
            let _ = select(&mut session, "SELECT").await;
        });
    }
}
