//! PostgreSQL databases that keep their texts in another encoding than UTF-8. The server refuses a whole statement
//! over one letter that the encoding lacks.

use reqwest::Method;
use serde_json::json;
use wardgate::store::Letters;

use crate::harness::{Database, Postgres};
use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, kind CHAR(4) NOT NULL, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, place INT NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, place));";

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      identifier: [{system: "urn:example:kind", value: "$kind"}]
      name: [{family: "$family"}]
      telecom:
        - each: {table: contact, match: {person: id}, filter: {value: {not: "Ж"}}, order: [place]}
          item: {system: phone, value: "$value"}
    write: {update: {version_column: rev}}
"#;

/// A fresh database in that encoding.
async fn database_in(encoding: &str) -> Database {
    let database = Postgres::database().await;
    let Database { name, user, .. } = &database;
    let mut admin = Postgres::admin().await;
    for statement in [
        format!("DROP DATABASE {name}"),
        format!(
            "CREATE DATABASE {name} OWNER {user} ENCODING '{encoding}' \
             LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ),
        format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
    ] {
        sqlx::raw_sql(&statement).execute(&mut admin).await.unwrap();
    }
    database
}

/// A gateway before such a database with these families.
async fn bed(encoding: &str, families: &[&str]) -> Bed {
    let bed = Bed::open(Some(database_in(encoding).await), TABLES).await;
    for (at, family) in families.iter().enumerate() {
        let first = family.chars().next().unwrap();
        let sql = format!(
            "INSERT INTO people (id, family, kind) VALUES ({at}, '{family}', '{first}'); \
             INSERT INTO contact VALUES ({at}, 1, 'tel {family}')"
        );
        bed.sql(&sql).await;
    }
    bed.gateway.publish("north", MAPPING).await;
    bed
}

/// The families that a search finds, each with what hangs off it.
async fn found(bed: &Bed, query: &str) -> Vec<String> {
    let bundle = bed.read(&format!("/Patient?{query}")).await;
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let family = |entry: &serde_json::Value| {
        let resource = &entry["resource"];
        let family = resource["name"][0]["family"].as_str().unwrap().to_owned();
        assert_eq!(resource["telecom"][0]["value"], format!("tel {family}"), "{query}");
        family
    };
    entries.iter().map(family).collect()
}

/// An encoding, families, and what searches find of them.
type Case =
    (&'static str, &'static [&'static str], &'static [(&'static str, &'static [&'static str])]);

#[tokio::test]
async fn names_are_found_whatever_the_encoding() {
    let cases: [Case; 6] = [
        (
            "LATIN1",
            &["Müller", "Nuñez", "Zoë Ng"],
            &[
                ("family=muller", &["Müller"]),
                ("family=MÜLL", &["Müller"]),
                ("name=nunez", &["Nuñez"]),
                ("family:contains=OE", &["Zoë Ng"]),
                ("family:contains=oë", &["Zoë Ng"]),
                ("family:exact=Müller", &["Müller"]),
                ("family:exact=muller", &[]),
                // Letters that cannot be there are in no name.
                ("family=Жук", &[]),
                ("family=Łu", &[]),
                ("family=Łuk,nuñ", &["Nuñez"]),
                ("family:exact=Łuk", &[]),
                ("family:exact=Łuk,Müller", &["Müller"]),
                ("family:contains=€", &[]),
                ("identifier=Ж", &[]),
                ("identifier=Ж,M", &["Müller"]),
            ],
        ),
        (
            "LATIN2",
            &["Łódź", "Šimák", "Müller"],
            &[
                ("family=lodz", &["Łódź"]),
                ("family=SIMA", &["Šimák"]),
                ("family=Mü", &["Müller"]),
                ("family:exact=Łódź", &["Łódź"]),
                ("family:exact=Nuñez", &[]),
            ],
        ),
        (
            "WIN1252",
            &["Šimic", "D’Œuvre"],
            &[("family=simic", &["Šimic"]), ("family=d’œ", &["D’Œuvre"]), ("family=ć", &[])],
        ),
        (
            "KOI8R",
            &["Жуков", "Zukov"],
            &[("family=жУ", &["Жуков"]), ("family=zu", &["Zukov"]), ("family=ü", &[])],
        ),
        // Of these the letters are not known one by one; what was asked for is looked for.
        ("EUC_JP", &["山田", "Yamada"], &[("family=山", &["山田"]), ("family=yam", &["Yamada"])]),
        (
            "SQL_ASCII",
            &["Müller", "Łódź"],
            &[
                ("family=muller", &["Müller"]),
                ("family:contains=ódz", &["Łódź"]),
                ("family:exact=Müller", &["Müller"]),
                ("family=mxller", &[]),
            ],
        ),
    ];
    for (encoding, families, asked) in cases {
        let bed = bed(encoding, families).await;
        for (query, wanted) in asked {
            assert_eq!(found(&bed, query).await, *wanted, "{encoding} {query}");
        }
        assert_eq!(bed.read("/Patient/0").await["name"][0]["family"], families[0], "{encoding}");
    }
}

/// `SQL_ASCII` takes any bytes, and programs of several times wrote there.
#[tokio::test]
async fn bytes_that_mean_nothing_cost_their_cell_and_no_page() {
    let bed = bed("SQL_ASCII", &["Müller", "Łódź"]).await;
    bed.sql("INSERT INTO people (id, family, kind) VALUES (2, E'M\\xfcller', 'M')").await;
    bed.sql("INSERT INTO contact VALUES (2, 1, 'tel 2'), (2, 2, E'tel \\xff')").await;
    let bundle = bed.read("/Patient?_sort=_id").await;
    let entries = bundle["entry"].as_array().unwrap();
    let families: Vec<_> = entries.iter().map(|e| &e["resource"]["name"][0]["family"]).collect();
    assert_eq!(families, [&json!("Müller"), &json!("Łódź"), &json!(null)], "{bundle}");
    let other = bed.read("/Patient/2").await;
    assert_eq!(other["identifier"][0]["value"], "M", "{other}");
    assert_eq!(other["telecom"], json!([{ "system": "phone", "value": "tel 2" }]), "{other}");
    // It is still written as what it is.
    let patient = json!({ "resourceType": "Patient", "id": "0", "meta": { "versionId": "1" },
        "identifier": [{ "system": "urn:example:kind", "value": "M" }],
        "name": [{ "family": "Жуков" }], "telecom": [{ "system": "phone", "value": "tel Müller" }] });
    let kept = bed.send(Method::PUT, "/Patient/0", patient.to_string()).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(bed.read("/Patient/0").await["name"][0]["family"], "Жуков");
}

#[tokio::test]
async fn what_the_encoding_lacks_is_not_stored() {
    let bed = bed("LATIN1", &["Müller"]).await;
    let put = async |family: &str, version: &str| {
        let patient = json!({ "resourceType": "Patient", "id": "0", "meta": { "versionId": version },
            "identifier": [{ "system": "urn:example:kind", "value": "M" }],
            "name": [{ "family": family }], "telecom": [{ "system": "phone", "value": "tel Müller" }] });
        bed.send(Method::PUT, "/Patient/0", patient.to_string()).await
    };
    let refused = put("Łuk", "1").await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(bed.rows("SELECT family FROM people").await, ["Müller"]);
    let kept = put("Nuñez", "1").await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(bed.rows("SELECT family FROM people").await, ["Nuñez"]);
}

/// The letters that are looked for are those that the server itself can convert.
#[tokio::test]
async fn an_encoding_has_the_letters_that_are_listed() {
    let mut admin = Postgres::admin().await;
    let encodings: Vec<String> = sqlx::query_scalar(
        "SELECT pg_encoding_to_char(n)::text FROM generate_series(0, 34) AS n \
         WHERE pg_encoding_to_char(n) <> ''",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let mut listed = 0;
    for encoding in encodings {
        let Some(Letters::These { letters, .. }) = Letters::of(&encoding) else { continue };
        listed += 1;
        // Marks and signs are in no pattern of a name.
        let letters: String = letters.chars().filter(|letter| letter.is_alphabetic()).collect();
        let bytes: Result<Vec<u8>, _> = sqlx::query_scalar("SELECT convert_to($1, $2::name)")
            .bind(&letters)
            .bind(&encoding)
            .fetch_one(&mut admin)
            .await;
        let bytes = bytes.unwrap_or_else(|error| panic!("{encoding}: {error}"));
        assert_eq!(bytes.len(), letters.chars().count(), "{encoding}: one byte each");
    }
    assert_eq!(listed, 27);
}
