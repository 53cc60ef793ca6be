//! SQLite keeps whatever a cell was given, whatever its column says: what can be shown is shown, what is
//! shown can be read and paged through, and what cannot spoils nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::{Gateway, Options, Reply, TestIssuer};

const SCHEMA: &str = "
CREATE TABLE person (id INTEGER PRIMARY KEY, \"name.family\" TEXT, born DATE, seen DATETIME, picture BLOB, proof TEXT);
INSERT INTO person VALUES
  (1, 'Soto', '05/03/1985', 1714989600, x'00ff10', 'aGk='),
  (2, CAST('Muñoz' AS BLOB), '31/02/1985', 'soon', 'no bytes', 'no base64!'),
  (3, x'ff00', 20240506, NULL, x'', NULL);
CREATE TABLE ward (code INT PRIMARY KEY, label TEXT);
INSERT INTO ward VALUES (1, 'one'), ('1x', 'a word'), (1.5, 'a fraction'), (x'33', 'bytes'), (NULL, 'none'),
  (NULL, 'none again'), (2, 'two'), (-3, 'below');
CREATE TABLE bed (ward TEXT, number INT, label TEXT, PRIMARY KEY (ward, number)) WITHOUT ROWID;
INSERT INTO bed VALUES ('a', 1, 'a-1'), ('', 2, 'no ward'), ('a', 'x', 'no number'), (x'61', 3, 'bytes'), ('b', 4, 'b-4');
";

const MAPPING: &str = r#"mapping: 1
resources:
  - type: Patient
    from: {table: person}
    key: id
    id: "$id"
    map:
      name: [{family: "${name.family}"}]
      birthDate: "$born | date('dd/MM/yyyy', 'yyyyMMdd')"
      deceasedDateTime: "$seen | datetime(epoch)"
      photo: [{data: "$picture"}, {data: "$proof"}]
  - type: Location
    from: {table: ward}
    key: code
    id: "$code"
    map: {name: "$label"}
  - type: Organization
    from: {table: bed}
    key: [ward, number]
    id: "$ward-$number"
    map: {name: "$label"}
"#;

async fn start() -> (Gateway, String) {
    let issuer = TestIssuer::for_tenants(&["loose"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let file = gateway.folder().join("sqlite/loose.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let tenant = gateway.register("loose", json!({"url": "sqlite:loose.db"})).await;
    assert_eq!(tenant["state"], "active", "{tenant}");
    gateway.publish("loose", MAPPING).await;
    let token = issuer.token("loose");
    (gateway, token)
}

fn ids(reply: &Reply) -> Vec<String> {
    let id = |resource: &Value| resource["id"].as_str().map(str::to_owned);
    reply.resources().iter().filter_map(id).collect()
}

#[tokio::test]
async fn every_row_that_is_shown_is_found_again_on_pages_of_every_size() {
    let (gateway, token) = start().await;
    let wanted = [("Location", vec!["-3", "1", "2"]), ("Organization", vec!["a-1", "b-4"])];
    for (ty, wanted) in wanted {
        for count in 1..=4 {
            let (mut seen, mut path) = (Vec::new(), Some(format!("/{ty}?_count={count}")));
            while let Some(next) = path {
                let page = gateway.get(&token, &next).await;
                assert_eq!(page.status, 200, "{next}: {page:?}");
                seen.extend(ids(&page));
                path = page.next();
            }
            assert_eq!(seen, wanted, "{ty} by {count}");
        }
        for id in wanted {
            assert_eq!(gateway.get(&token, &format!("/{ty}/{id}")).await.status, 200, "{ty}/{id}");
        }
    }
    for absent in
        ["Location/1x", "Location/1.5", "Location/33", "Organization/-2", "Organization/a-3"]
    {
        assert_eq!(gateway.get(&token, &format!("/{absent}")).await.status, 404, "{absent}");
    }
    let all = gateway.get(&token, "/Location?_summary=count").await;
    assert_eq!(all.json()["total"], 3, "{all:?}");
}

#[tokio::test]
async fn a_format_says_what_a_declared_type_does_not() {
    let (gateway, token) = start().await;
    let read = async |id: u8| gateway.get(&token, &format!("/Patient/{id}")).await.json();
    let first = read(1).await;
    assert_eq!(first["birthDate"], "1985-03-05", "{first}");
    assert_eq!(first["deceasedDateTime"], "2024-05-06T10:00:00+00:00", "{first}");
    assert_eq!(read(2).await["birthDate"], Value::Null);
    assert_eq!(read(3).await["birthDate"], "2024-05-06");
    for (query, wanted) in [
        ("birthdate=1985-03-05", vec!["1"]),
        ("birthdate=2024-05", vec!["3"]),
        ("birthdate=ge1980", vec!["1", "3"]),
        ("death-date=2024-05-06", vec!["1"]),
        ("death-date=lt2025", vec!["1"]),
        ("family=soto", vec!["1"]),
        ("family=munoz", vec!["2"]),
    ] {
        let found = gateway.get(&token, &format!("/Patient?{query}")).await;
        assert_eq!(found.status, 200, "{query}: {found:?}");
        let found: BTreeSet<String> = ids(&found).into_iter().collect();
        assert_eq!(found, wanted.into_iter().map(str::to_owned).collect(), "{query}");
    }
}

#[tokio::test]
async fn bytes_are_base64_where_fhir_wants_base64_and_texts_where_it_wants_texts() {
    let (gateway, token) = start().await;
    let read = async |id: u8| gateway.get(&token, &format!("/Patient/{id}")).await.json();
    assert_eq!(read(1).await["photo"], json!([{"data": "AP8Q"}, {"data": "aGk="}]));
    let second = read(2).await;
    assert_eq!(second["photo"], Value::Null, "neither bytes nor base64");
    assert_eq!(second["name"][0]["family"], "Muñoz");
    assert_eq!(read(3).await["name"], Value::Null, "these bytes are no text");
}
