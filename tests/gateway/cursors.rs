//! Page cursors: only the very one that was given out, for the very search, goes on.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::{Options, Reply, TestIssuer, mapping};
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

fn ids(reply: &Reply) -> Vec<String> {
    let bundle = reply.json();
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_page_of_another_mapping_is_refused_and_says_what_to_do() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let first = gateway.get(&token, "/Patient?_count=2").await;
    let next = first.next().expect("a next page");
    assert_eq!(ids(&gateway.get(&token, &next).await), ["1003", "1004"]);
    gateway.publish("north", &mapping("2")).await;
    let refused = gateway.get(&token, &next).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let outcome = refused.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{refused:?}");
    let said = outcome["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(said.contains("search again"), "{said}");
    // A search that begins anew is of the mapping in force, page by page.
    let again = gateway.get(&token, "/Patient?_count=2").await.next().expect("a next page");
    let page = gateway.get(&token, &again).await;
    assert_eq!(ids(&page), ["1003", "1004"]);
    assert!(page.body.contains("urn:mapping:2"), "{page:?}");
    // Where the mapping is the first one again, so is what its links lead to.
    gateway.change(Method::POST, "north", "mappings/rollback", json!({})).await;
    assert_eq!(gateway.get(&token, &again).await.status, 400);
    let page = gateway.get(&token, &next).await;
    assert_eq!(ids(&page), ["1003", "1004"], "{page:?}");
    assert!(!page.body.contains("urn:mapping:2"), "{page:?}");
}

#[tokio::test]
async fn rows_that_come_and_go_between_pages_move_no_others() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let first = gateway.get(&token, "/Patient?_count=2").await;
    assert_eq!(ids(&first), ["1001", "1002"]);
    let file = SqliteConnectOptions::new().filename(gateway.folder().join("sqlite/north.db"));
    let mut hospital = file.connect().await.unwrap();
    let changes = "
        DELETE FROM patients WHERE id IN (1002, 1003);
        INSERT INTO patients VALUES (999, 'a', 'before', 'x'), (1090, 'b', 'behind', 'x');
        UPDATE patients SET family_name = 'changed' WHERE id = 1004;";
    sqlx::raw_sql(changes).execute(&mut hospital).await.unwrap();
    hospital.close().await.unwrap();
    let second = gateway.get(&token, &first.next().expect("a next page")).await;
    assert_eq!(ids(&second), ["1004", "1005"], "{second:?}");
    assert!(second.body.contains("changed"), "{second:?}");
    let third = gateway.get(&token, &second.next().expect("a next page")).await;
    assert_eq!(ids(&third), ["1090"], "{third:?}");
    assert!(third.next().is_none(), "{third:?}");
}
