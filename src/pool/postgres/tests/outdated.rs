//! Prepared statements that the server no longer has as they were.

use super::*;

/// All that a session says whose server gives a row, refuses the same statement with that message, and
/// gives `again` when it comes a third time.
async fn said_around(refusal: Vec<u8>, again: &[u8]) -> Vec<u8> {
    let refused = [message(b'2', b""), refusal, ready()].concat();
    let answer = [one_row(), ready(), refused, again.to_vec(), ready()].concat();
    let (mut session, heard) = session(answer, 4096).await;
    select(&mut session, "SELECT one").await.unwrap();
    assert_eq!(select(&mut session, "SELECT one").await.unwrap_err(), "0A000");
    select(&mut session, "SELECT one").await.unwrap();
    drop(session);
    heard.await.unwrap()
}

fn times_prepared(heard: &[u8]) -> usize {
    heard.windows(10).filter(|bytes| bytes == b"SELECT one").count()
}

#[tokio::test]
async fn a_plan_that_no_longer_fits_is_prepared_anew() {
    let outdated = message(b'E', b"C0A000\0RRevalidateCachedQuery\0\0");
    let closed = message(b'3', b"");
    let heard = said_around(outdated, &[closed, one_row()].concat()).await;
    assert_eq!(times_prepared(&heard), 2);
    assert!(heard.windows(9).any(|bytes| bytes == b"C\0\0\0\x08Ss1\0"), "and the old one closed");
}

#[tokio::test]
async fn what_the_server_cannot_do_leaves_what_is_prepared() {
    // Without the word that it was prepared, which comes first.
    let heard = said_around(error("0A000"), &one_row()[5..]).await;
    assert_eq!(times_prepared(&heard), 1);
}
