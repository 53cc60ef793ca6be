//! PostgreSQL databases that keep their texts in another encoding than UTF-8. The server refuses a whole statement
//! over one letter that the encoding lacks.

use reqwest::Method;
use serde_json::json;
use wardgate::store::Letters;

use crate::harness::{Database, Postgres};
use crate::support::Reply;
use crate::write_bed::Bed;

pub const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, kind CHAR(4) NOT NULL, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, place INT NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, place));";

pub const MAPPING: &str = r#"
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
pub async fn database_in(encoding: &str) -> Database {
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

/// How many cells were left out by now.
pub async fn lost(bed: &Bed) -> u64 {
    let metrics = bed.gateway.http.get(format!("{}/metrics", bed.gateway.admin));
    let metrics = Reply::of(metrics).await.unwrap().body;
    let lines = metrics.lines().filter(|line| line.starts_with("wardgate_bad_cells_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
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
    assert_eq!(lost(&bed).await, 4, "two cells, read twice");
    // It is still written as what it is.
    let patient = json!({ "resourceType": "Patient", "id": "0", "meta": { "versionId": "1" },
        "identifier": [{ "system": "urn:example:kind", "value": "M" }],
        "name": [{ "family": "Жуков" }], "telecom": [{ "system": "phone", "value": "tel Müller" }] });
    let kept = bed.send(Method::PUT, "/Patient/0", patient.to_string()).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(bed.read("/Patient/0").await["name"][0]["family"], "Жуков");
}

/// Names in the table, and what the bytes of a hospital's old programs leave of them.
async fn with_bytes_that_mean_nothing(encoding: &str, byte: u8) {
    let bed = bed(encoding, &["Ng", "Vu"]).await;
    // What a client sends as UTF-8 is never such a byte; those who wrote it spoke the database's own encoding.
    let insert = format!(
        "INSERT INTO people (id, family, kind) VALUES (2, 'M' || chr({byte}) || 'ller', 'M'); \
         INSERT INTO contact VALUES (2, 1, 'tel 2'), (2, 2, 'tel ' || chr({byte}))"
    );
    bed.sql(&insert).await;
    let bundle = bed.read("/Patient?_sort=_id").await;
    let entries = bundle["entry"].as_array().unwrap();
    let families: Vec<_> = entries.iter().map(|e| &e["resource"]["name"][0]["family"]).collect();
    assert_eq!(families, [&json!("Ng"), &json!("Vu"), &json!(null)], "{encoding} {bundle}");
    let other = bed.read("/Patient/2").await;
    assert_eq!(other["identifier"][0]["value"], "M", "{encoding} {other}");
    assert_eq!(other["telecom"], json!([{ "system": "phone", "value": "tel 2" }]), "{encoding}");
    assert_eq!(lost(&bed).await, 4, "{encoding}: two cells, read twice");
    assert_eq!(found(&bed, "family=vu").await, ["Vu"], "{encoding}");
}

#[tokio::test]
async fn bytes_that_mean_nothing_in_an_encoding_cost_their_cell_and_no_page() {
    for (encoding, byte) in [("WIN1252", 0x81), ("WIN1250", 0x90), ("ISO_8859_7", 0xff)] {
        with_bytes_that_mean_nothing(encoding, byte).await;
    }
}

/// Of a letter that UTF-8 lacks, or that the server does not know in UTF-8, nobody outside can be told: hospitals
/// of East Asia have made such letters for names.
#[tokio::test]
async fn letters_that_utf_8_lacks_cost_their_cell_and_no_page() {
    for (encoding, own, name) in [
        ("EUC_JP", "a9a1", "山田"),
        ("EUC_TW", "ada1", "王"),
        ("EUC_KR", "c9a1", "김"),
        ("EUC_CN", "fefe", "王"),
    ] {
        let bed = bed(encoding, &["Ng", name]).await;
        // Not each of them has Cyrillic letters.
        bed.gateway.publish("north", &MAPPING.replace('Ж', "-")).await;
        let word = |digits: &str| format!("convert_from('\\x{digits}', '{encoding}')");
        bed.sql(&format!(
            "INSERT INTO people (id, family, kind) VALUES (2, 'X' || {0}, 'M'), (3, 'Vu', 'V'), (4, {0}, 'M'); \
             INSERT INTO contact VALUES (2, 1, 'tel 2'), (2, 2, {0}), (3, 1, 'tel {name}'), (4, 1, 'tel 4')",
            word(own)
        ))
        .await;
        let bundle = bed.read("/Patient?_sort=_id").await;
        let entries = bundle["entry"].as_array().unwrap();
        let of = |pointer: &str| -> Vec<_> {
            let told = |entry: &serde_json::Value| entry["resource"].pointer(pointer).cloned();
            entries.iter().map(|entry| told(entry).unwrap_or_default()).collect()
        };
        let families = [json!("Ng"), json!(name), json!(null), json!("Vu"), json!(null)];
        assert_eq!(of("/name/0/family"), families, "{encoding} {bundle}");
        let phones = ["tel Ng".to_owned(), format!("tel {name}"), "tel 2".to_owned()];
        assert_eq!(of("/telecom/0/value")[..3], phones.map(|phone| json!(phone)), "{encoding}");
        assert_eq!(of("/telecom/0/value")[3], format!("tel {name}"), "{encoding}");
        assert_eq!(entries[2]["resource"]["telecom"].as_array().unwrap().len(), 1, "{encoding}");
        assert_eq!(bed.read("/Patient/2").await["identifier"][0]["value"], "M", "{encoding}");
        assert_eq!(lost(&bed).await, 5, "{encoding}: three cells, two of them read twice");
        assert_eq!(found(&bed, &format!("family={name}")).await, [name], "{encoding}");
        for query in ["family=😀", "family:exact=😀", "family:exact=😀&_summary=count"] {
            let reply = bed.gateway.get(&bed.token, &format!("/Patient?{query}")).await;
            assert_eq!(reply.status, 400, "{encoding} {query}: {reply:?}");
        }
        // Page by page, none is left out and none comes twice.
        let (mut ids, mut path) = (Vec::new(), Some("/Patient?_count=2".to_owned()));
        for _ in 0..9 {
            let Some(at) = path.take() else { break };
            let page = bed.gateway.get(&bed.token, &at).await;
            assert_eq!(page.status, 200, "{encoding} {page:?}");
            let entries = page.json()["entry"].as_array().cloned().unwrap_or_default();
            let own = entries.iter().filter_map(|entry| entry["resource"]["id"].as_str());
            ids.extend(own.map(str::to_owned));
            path = page.next();
        }
        assert_eq!(ids, ["0", "1", "2", "3", "4"], "{encoding}");
    }
}

/// A key that does not read ends no list: its row is in none, and what follows it is on the next page.
#[tokio::test]
async fn a_page_that_would_end_at_a_key_of_other_bytes_ends_before_it() {
    let tables = "CREATE TABLE wards (tag VARCHAR(9) PRIMARY KEY)";
    let bed = Bed::open(Some(database_in("SQL_ASCII").await), tables).await;
    bed.sql("INSERT INTO wards VALUES ('a'), (E'a\\xff'), ('b'), ('c'), (E'c\\xfe'), ('d')").await;
    let mapping = r#"
mapping: 1
resources:
  - {type: Location, from: {table: wards}, key: tag, id: "$tag", map: {name: "$tag"}}
"#;
    bed.gateway.publish("north", mapping).await;
    let (mut found, mut path) = (Vec::new(), Some("/Location?_count=2".to_owned()));
    for _ in 0..9 {
        let Some(at) = path.take() else { break };
        let page = bed.gateway.get(&bed.token, &at).await;
        assert_eq!(page.status, 200, "{page:?}");
        let entries = page.json()["entry"].as_array().cloned().unwrap_or_default();
        // That a row was left out is an entry of its own.
        let ids = entries.iter().filter_map(|entry| entry["resource"]["id"].as_str());
        found.extend(ids.map(str::to_owned));
        path = page.next();
    }
    assert_eq!(path, None, "no end");
    assert_eq!(found, ["a", "b", "c", "d"]);
}

/// Tables and columns are named, and rules broken, in the hospital's own letters.
#[tokio::test]
async fn names_in_the_encoding_are_understood() {
    let tables = TABLES.replace("family VARCHAR(40) NOT NULL", "größe VARCHAR(40) UNIQUE NOT NULL");
    let bed = Bed::open(Some(database_in("WIN1252").await), &tables).await;
    bed.sql(
        "INSERT INTO people (id, größe, kind) VALUES (0, 'Šimić’s €', 'S')"
            .replace('ć', "c")
            .as_str(),
    )
    .await;
    bed.sql("INSERT INTO people (id, größe, kind) VALUES (1, 'Müller', 'M')").await;
    bed.gateway.publish("north", &MAPPING.replace("$family", "$größe")).await;
    assert_eq!(bed.read("/Patient/0").await["name"][0]["family"], "Šimic’s €");
    let put = async |family: &str| {
        let patient = json!({ "resourceType": "Patient", "id": "0", "meta": { "versionId": "1" },
            "identifier": [{ "system": "urn:example:kind", "value": "S" }],
            "name": [{ "family": family }] });
        bed.send(Method::PUT, "/Patient/0", patient.to_string()).await
    };
    let lacking = put("Łuk").await;
    assert_eq!(lacking.status, 422, "{lacking:?}");
    let double = put("Müller").await;
    assert_eq!(double.status, 409, "{double:?}");
    assert!(double.body.contains("name[0].family"), "{double:?}");
    assert_eq!(put("Œuvre").await.status, 200);
    assert_eq!(bed.read("/Patient/0").await["name"][0]["family"], "Œuvre");
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

/// A byte that the server could not convert means none here, and every other what the server takes it for.
#[tokio::test]
async fn the_letters_are_listed_in_the_order_of_their_bytes() {
    let mut admin = Postgres::admin().await;
    let convert = "CREATE FUNCTION pg_temp.meant(byte int, encoding text) RETURNS text LANGUAGE plpgsql AS $$ \
        BEGIN RETURN pg_catalog.convert_from(pg_catalog.set_byte('\\x00', 0, byte), encoding::name); \
        EXCEPTION WHEN untranslatable_character OR character_not_in_repertoire THEN RETURN U&'\\FFFD'; END $$";
    sqlx::raw_sql(convert).execute(&mut admin).await.unwrap();
    let encodings: Vec<String> =
        sqlx::query_scalar("SELECT pg_encoding_to_char(n)::text FROM generate_series(0, 34) AS n")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    for encoding in encodings {
        let Some(Letters::These { letters, controls }) = Letters::of(&encoding) else { continue };
        let meant: String = sqlx::query_scalar(
            "SELECT string_agg(pg_temp.meant(byte, $1), '' ORDER BY byte) FROM generate_series(128, 255) AS byte",
        )
        .bind(&encoding)
        .fetch_one(&mut admin)
        .await
        .unwrap();
        let before: String = if controls { ('\u{80}'..='\u{9f}').collect() } else { String::new() };
        assert_eq!(before + letters, meant, "{encoding}");
    }
}
