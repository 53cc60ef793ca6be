//! What a hospital's own people do to its database while it is read and written: tables altered, sessions ended,
//! a standby in the primary's place, a full disk. Each is told as what it is, and no change is stored by half.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use wardgate::base::Engine;

use crate::harness::{Database, MariaDb, Postgres};
use crate::support::Reply;
use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, kind CHAR(1) NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, kind));
INSERT INTO people (id, family) VALUES (1, 'One'), (2, 'Two');
INSERT INTO contact VALUES (1, 'T', '555'), (2, 'T', '556');
CREATE VIEW slow AS SELECT id, family, SLEEPING AS slept FROM people;";

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      name: [{family: "$family"}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [kind]}
          item: {system: phone, value: "$value"}
    write: {update: {version_column: rev}}
  - type: Group
    from: {table: slow}
    key: id
    id: "$id"
    map: {type: person, actual: true, name: "$family", characteristic: [{code: {text: "$slept"}, valueBoolean: true, exclude: false}]}
"#;

async fn bed(database: Database) -> Bed {
    let sleeping = match database.engine {
        Engine::Postgres => "pg_sleep(1)::text",
        _ => "CAST(SLEEP(1) AS CHAR)",
    };
    let bed = Bed::open(Some(database), &TABLES.replace("SLEEPING", sleeping)).await;
    bed.gateway.publish("north", MAPPING).await;
    bed
}

async fn get(bed: &Bed, path: &str) -> Reply {
    bed.gateway.get(&bed.token, path).await
}

async fn put(bed: &Bed, family: &str) -> Reply {
    let rev = bed.rows("SELECT CAST(rev AS CHAR(9)) FROM people WHERE id = 1").await.remove(0);
    let patient = json!({ "resourceType": "Patient", "id": "1", "meta": { "versionId": rev.trim() },
        "name": [{ "family": family }], "telecom": [{ "system": "phone", "value": "555" }] });
    bed.send(Method::PUT, "/Patient/1", patient.to_string()).await
}

/// Told to come back, and when.
fn is_told_to_wait(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 503, "{what}: {reply:?}");
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0), "{what}");
}

async fn breaker(bed: &Bed) -> String {
    bed.gateway.view("tenants/north/breaker").await["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_table_altered_between_reads_is_read_on() {
    let bed = bed(Postgres::database().await).await;
    for (round, change) in [
        "ALTER TABLE people ALTER family TYPE VARCHAR(80)",
        "ALTER TABLE people ALTER family TYPE TEXT",
        "ALTER TABLE contact ALTER value TYPE TEXT",
        "ALTER TABLE people ADD extra INT, ALTER id TYPE BIGINT",
    ]
    .iter()
    .enumerate()
    {
        // Every session has its statements prepared.
        join_all((0..20).map(|n| bed.read(["/Patient/1", "/Patient?_id=2"][n % 2]))).await;
        bed.sql(&format!("DROP VIEW IF EXISTS slow; {change}")).await;
        for reply in
            join_all((0..20).map(|n| get(&bed, ["/Patient/1", "/Patient?_id=2"][n % 2]))).await
        {
            assert_eq!(reply.status, 200, "{round}: {reply:?}");
            assert!(reply.body.contains("555") || reply.body.contains("556"), "{reply:?}");
        }
        // A write that met the old plan has stored nothing and may be sent again.
        let mut reply = put(&bed, &format!("Name{round}")).await;
        if reply.status == 409 {
            reply = put(&bed, &format!("Name{round}")).await;
        }
        assert_eq!(reply.status, 200, "{round}: {reply:?}");
    }
    assert_eq!(breaker(&bed).await, "closed");
}

#[tokio::test]
async fn a_session_ended_by_the_administrator_in_the_middle_of_a_read() {
    for database in [Postgres::database().await, MariaDb::database().await] {
        let bed = bed(database).await;
        let user = bed.database().user.clone();
        let (reply, ()) = tokio::join!(get(&bed, "/Group"), async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            if bed.engine() == Engine::Postgres {
                let sql = format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
                );
                sqlx::raw_sql(&sql).execute(&mut Postgres::admin().await).await.unwrap();
            } else {
                let sql = format!("KILL HARD USER {user}");
                sqlx::raw_sql(&sql).execute(&mut MariaDb::admin().await).await.unwrap();
            }
        });
        is_told_to_wait(&reply, "ended");
        assert!(!reply.body.contains("One"), "{reply:?}");
        let next = get(&bed, "/Patient/1").await;
        assert_eq!(next.status, 200, "{next:?}");
        assert_eq!(breaker(&bed).await, "closed", "one session is not the server");
    }
}

/// What the server says, raised by a function of the hospital's where a real cause cannot be had: the words of
/// a standby that cancels a read, of a full disk, of a statement limit of its own.
#[tokio::test]
async fn each_refusal_is_told_as_what_it_is() {
    let bed = bed(Postgres::database().await).await;
    bed.sql(
        "CREATE TABLE says (code TEXT, reading BOOL);
         CREATE FUNCTION say() RETURNS TEXT LANGUAGE plpgsql AS $$ DECLARE c TEXT; BEGIN
           SELECT code INTO c FROM public.says WHERE reading; IF c IS NOT NULL THEN RAISE EXCEPTION 'x' USING ERRCODE = c; END IF; RETURN 'x'; END $$;
         CREATE OR REPLACE VIEW slow AS SELECT id, family, say() AS slept FROM people;
         CREATE FUNCTION say_too() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE c TEXT; BEGIN
           SELECT code INTO c FROM public.says WHERE NOT reading; IF c IS NOT NULL THEN RAISE EXCEPTION 'x' USING ERRCODE = c; END IF; RETURN NEW; END $$;
         CREATE TRIGGER say_too AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION say_too();",
    )
    .await;
    assert_eq!(get(&bed, "/Group").await.status, 200);
    for (code, status) in [("40001", 503), ("40P01", 503), ("57014", 504), ("53100", 503)] {
        bed.sql(&format!("DELETE FROM says; INSERT INTO says VALUES ('{code}', true)")).await;
        let reply = get(&bed, "/Group").await;
        assert_eq!(reply.status, status, "{code}: {reply:?}");
        assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0), "{code}");
        assert_eq!(breaker(&bed).await, "closed", "{code}");
        bed.read("/Patient/1").await;
    }
    for (code, status) in
        [("25006", 503), ("53100", 503), ("40001", 409), ("57014", 504), ("0A000", 500)]
    {
        bed.sql(&format!("DELETE FROM says; INSERT INTO says VALUES ('{code}', false)")).await;
        let reply = put(&bed, "Lost").await;
        assert_eq!(reply.status, status, "{code}: {reply:?}");
        assert_eq!(bed.rows("SELECT family FROM people WHERE id = 1").await, ["One"], "{code}");
        bed.read("/Patient/1").await;
    }
    bed.sql("DELETE FROM says").await;
    assert_eq!(put(&bed, "Kept").await.status, 200);
    assert_eq!(bed.rows("SELECT family FROM people WHERE id = 1").await, ["Kept"]);
}
