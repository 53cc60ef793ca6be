//! Prepared statements that the server no longer has as they were.

use super::*;

#[tokio::test]
async fn a_plan_that_no_longer_fits_is_prepared_anew() {
    let outdated = message(b'E', b"C0A000\0RRevalidateCachedQuery\0\0");
    let gone = [message(b'2', b""), outdated, ready()].concat();
    let answer = [one_row(), ready(), gone, message(b'3', b""), one_row(), ready()].concat();
    let (mut session, heard) = session(answer, 4096).await;
    select(&mut session, "SELECT one").await.unwrap();
    assert_eq!(select(&mut session, "SELECT one").await.unwrap_err(), "0A000");
    select(&mut session, "SELECT one").await.unwrap();
    drop(session);
    let heard = heard.await.unwrap();
    assert_eq!(heard.windows(10).filter(|bytes| bytes == b"SELECT one").count(), 2);
    assert!(heard.windows(9).any(|bytes| bytes == b"C\0\0\0\x08Ss1\0"), "and the old one closed");
}

#[tokio::test]
async fn what_the_server_cannot_do_leaves_what_is_prepared() {
    let cannot = [message(b'2', b""), error("0A000"), ready()].concat();
    let answer = [one_row(), ready(), cannot, one_row()[5..].to_vec(), ready()].concat();
    let (mut session, heard) = session(answer, 4096).await;
    select(&mut session, "SELECT one").await.unwrap();
    assert_eq!(select(&mut session, "SELECT one").await.unwrap_err(), "0A000");
    select(&mut session, "SELECT one").await.unwrap();
    drop(session);
    let heard = heard.await.unwrap();
    assert_eq!(heard.windows(10).filter(|bytes| bytes == b"SELECT one").count(), 1);
}
