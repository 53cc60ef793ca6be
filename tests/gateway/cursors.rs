//! Page cursors: only the very one that was given out, for the very search, goes on.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Options, TestIssuer};
use crate::world;

#[tokio::test]
async fn no_other_cursor_leads_anywhere() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let settings = "[limits]\nrequests_per_second = 100000\n".to_owned();
    let options = Options { settings, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let token = issuer.token("north");
    let next = gateway.get(&token, "/Patient?_count=2").await.next().expect("a next page");
    let (query, good) = next.split_once("_cursor=").expect("a cursor in the link");
    let (good, tail) = good.split_once('&').unwrap_or((good, ""));
    let ask =
        async |cursor: &str| gateway.get(&token, &format!("{query}_cursor={cursor}&{tail}")).await;
    assert_eq!(ask(good).await.status, 200, "the cursor as given");
    let of_another = gateway.get(&token, "/Patient?family=mark&_count=2").await.next().unwrap();
    let of_another =
        of_another.split_once("_cursor=").unwrap().1.split('&').next().unwrap().to_owned();
    assert_eq!(ask(&of_another).await.status, 400, "of another search");

    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = proptest::sample::select(&alphabet[..]);
    let at = any::<prop::sample::Index>;
    let change = (0_u8..5, at(), at(), letter);
    let damaged = proptest::collection::vec(change, 1..4);
    let config = Config { failure_persistence: None, ..Config::default() };
    let (cases, mut runner) = (config.cases, TestRunner::new(config));
    let other = of_another.as_bytes();
    for _ in 0..cases {
        let mut cursor = good.as_bytes().to_vec();
        for (kind, from, to, letter) in damaged.new_tree(&mut runner).unwrap().current() {
            if cursor.is_empty() {
                break;
            }
            let (from, to) = (from.index(cursor.len()), to.index(cursor.len()));
            match kind {
                0 => cursor[from] = letter,
                1 => cursor.insert(from, letter),
                2 => drop(cursor.drain(from.min(to)..from.max(to))),
                3 => cursor.swap(from, to),
                // Another search's, from here on.
                _ => {
                    cursor.truncate(from);
                    cursor.extend(other.get(from..).unwrap_or_default());
                }
            }
        }
        let cursor = String::from_utf8(cursor).expect("letters");
        if cursor != good && !cursor.is_empty() {
            let reply = ask(&cursor).await;
            assert_eq!(reply.status, 400, "{cursor}: {reply:?}");
            assert!(!reply.body.contains("mark-"), "{cursor}: {reply:?}");
        }
    }
}
