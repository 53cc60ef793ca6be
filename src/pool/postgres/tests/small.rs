//! Small answers that are none.

use super::*;

/// What is asked at every login must not fill the memory with what the server likes to answer.
#[tokio::test]
async fn a_small_answer_without_an_end_is_not_kept() {
    let (short, long) = (row(&[Some("a"), None]), row(&[Some(&"x".repeat(1 << 20))]));
    for (answer, taken) in
        [(short.repeat(100), true), (long.repeat(9), false), (short.repeat(200_000), false)]
    {
        let answer = [answer, message(b'C', b"SELECT\0"), ready()].concat();
        let (mut session, _) = session(answer, 1 << 20).await;
        assert_eq!(session.rows("SELECT").await.is_ok(), taken);
        assert_eq!(session.is_unclean(), !taken);
    }
}
