//! Every type of every engine: out in its canonical form, and in again.

use wardgate::mapping::catalog::SqlType;
use wardgate::mapping::plan::{CompareOp, Predicate};

use crate::store_bed::{Bed, INT, among, column, compare, not, query};

/// Every type goes out in its canonical form and finds its row again by that form.
async fn round_trips(bed: &mut Bed, columns: &[(&str, SqlType, &str, &str)]) {
    let declared: Vec<String> =
        columns.iter().enumerate().map(|(i, (sql, ..))| format!("c{i} {sql}")).collect();
    bed.execute(&format!("CREATE TABLE types (id INT PRIMARY KEY, {})", declared.join(", "))).await;
    let literals: Vec<&str> = columns.iter().map(|(_, _, literal, _)| *literal).collect();
    bed.execute(&format!("INSERT INTO types VALUES (1, {})", literals.join(", "))).await;
    let nulls = vec!["NULL"; columns.len()].join(", ");
    bed.execute(&format!("INSERT INTO types VALUES (2, {nulls})")).await;
    for (index, (sql, ty, _, want)) in columns.iter().enumerate() {
        let name = format!("c{index}");
        let page =
            bed.page(&query(bed.flavour, "types", &[column(&name, *ty)], Predicate::Always)).await;
        assert_eq!(page, [vec![Some((*want).to_owned())], vec![None]], "{:?} {sql}", bed.flavour);
        if *ty == SqlType::Other {
            continue;
        }
        for op in [CompareOp::Eq, CompareOp::Le, CompareOp::Ge] {
            let found = bed.ids("types", compare(&name, *ty, op, want)).await;
            assert_eq!(found, [1], "{:?} {sql} {op:?}", bed.flavour);
        }
        for op in [CompareOp::Ne, CompareOp::Lt, CompareOp::Gt] {
            let found = bed.ids("types", compare(&name, *ty, op, want)).await;
            assert!(found.is_empty(), "{:?} {sql} {op:?}", bed.flavour);
        }
        let found = bed.ids("types", among(&name, *ty, &[want, want, want])).await;
        assert_eq!(found, [1], "{:?} {sql} IN", bed.flavour);
        let others = bed.ids("types", not(compare(&name, *ty, CompareOp::Eq, want))).await;
        assert_eq!(others, [2], "{:?} {sql} NOT", bed.flavour);
    }
}

const fn int(bits: u8, unsigned: bool) -> SqlType {
    SqlType::Integer { bits, unsigned }
}

#[tokio::test]
async fn every_postgres_type_out_and_in() {
    let mut bed = Bed::postgres().await;
    bed.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')").await;
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    round_trips(
        &mut bed,
        &[
            ("int2", int(16, false), "-32768", "-32768"),
            ("int4", int(32, false), "-5", "-5"),
            ("int8", INT, "-9066461348710750663", "-9066461348710750663"),
            ("numeric(10,0)", SqlType::Decimal, "42", "42"),
            ("numeric", SqlType::Decimal, "13.50", "13.50"),
            ("float4", SqlType::Float, "3.14", "3.14"),
            ("float8", SqlType::Float, "0.1", "0.1"),
            ("text", SqlType::Text, "'Łukasz 😀'", "Łukasz 😀"),
            ("varchar(20)", SqlType::Text, "'a '", "a "),
            ("char(5)", SqlType::Char, "'ab'", "ab"),
            ("bool", SqlType::Boolean, "true", "true"),
            ("date", SqlType::Date, "'1985-02-28'", "1985-02-28"),
            ("date", SqlType::Date, "'infinity'", "infinity"),
            ("time", SqlType::Time, "'23:59:59.5'", "23:59:59.5"),
            ("timestamp", SqlType::DateTime, "'2020-01-02 03:04:05.25'", "2020-01-02T03:04:05.25"),
            ("timestamp", SqlType::DateTime, "'infinity'", "infinity"),
            ("timestamptz", SqlType::Instant, "'2020-01-02 03:04:05+02'", "2020-01-02T01:04:05Z"),
            ("timestamptz", SqlType::Instant, "'-infinity'", "-infinity"),
            ("uuid", SqlType::Uuid, "'0F8FAD5B-D9CB-469F-A165-70867728950E'", uuid),
            ("bytea", SqlType::Binary, "'\\x00ff'", "00ff"),
            ("jsonb", SqlType::Json, "'{\"a\":1}'", "{\"a\": 1}"),
            ("mood", SqlType::Enum, "'ok'", "ok"),
            ("inet", SqlType::Other, "'10.0.0.1'", "10.0.0.1/32"),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_mariadb_type_out_and_in() {
    let mut bed = Bed::mariadb().await;
    bed.execute("SET SESSION sql_mode = ''").await;
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let year = int(16, true);
    round_trips(
        &mut bed,
        &[
            ("TINYINT(1)", int(8, false), "-1", "-1"),
            ("INT(8) UNSIGNED ZEROFILL", int(32, true), "12", "12"),
            ("BIGINT", INT, "-9066461348710750663", "-9066461348710750663"),
            ("BIGINT UNSIGNED", int(64, true), "18446744073709551615", "18446744073709551615"),
            ("BIT(10)", int(16, true), "513", "513"),
            ("YEAR", year, "1985", "1985"),
            ("DECIMAL(10,2)", SqlType::Decimal, "13.50", "13.50"),
            ("FLOAT", SqlType::Float, "3.14", "3.14"),
            ("FLOAT", SqlType::Float, "123456.78", "123456.78"),
            ("DOUBLE", SqlType::Float, "0.1", "0.1"),
            ("VARCHAR(20) CHARACTER SET utf8mb4", SqlType::Text, "'Łukasz 😀'", "Łukasz 😀"),
            ("VARCHAR(20) CHARACTER SET latin1", SqlType::Text, "'Muñoz'", "Muñoz"),
            ("VARCHAR(20) CHARACTER SET utf8mb3", SqlType::Text, "'a '", "a "),
            ("CHAR(5) CHARACTER SET latin1", SqlType::Char, "'ab'", "ab"),
            ("DATE", SqlType::Date, "'1985-02-28'", "1985-02-28"),
            ("TIME(1)", SqlType::Time, "'-838:59:58.5'", "-838:59:58.5"),
            (
                "DATETIME(2)",
                SqlType::DateTime,
                "'2020-01-02 03:04:05.25'",
                "2020-01-02T03:04:05.25",
            ),
            ("TIMESTAMP", SqlType::Instant, "'2020-01-02 03:04:05'", "2020-01-02T03:04:05Z"),
            ("UUID", SqlType::Uuid, "'0F8FAD5B-D9CB-469F-A165-70867728950E'", uuid),
            ("BINARY(2)", SqlType::Binary, "x'00ff'", "00ff"),
            ("JSON", SqlType::Json, "'{\"a\": 1}'", "{\"a\": 1}"),
            ("ENUM('x','ok')", SqlType::Enum, "'ok'", "ok"),
            ("SET('x','ok')", SqlType::Enum, "'x,ok'", "x,ok"),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_sqlite_type_out_and_in() {
    let mut bed = Bed::sqlite().await;
    round_trips(
        &mut bed,
        &[
            ("INTEGER", INT, "-9066461348710750663", "-9066461348710750663"),
            ("DECIMAL(10,2)", SqlType::Decimal, "13.25", "13.25"),
            ("REAL", SqlType::Float, "0.1", "0.1"),
            ("TEXT", SqlType::Text, "'Łukasz 😀'", "Łukasz 😀"),
            ("TEXT COLLATE NOCASE", SqlType::Text, "'ab'", "ab"),
            ("DATE", SqlType::Date, "'1985-02-28'", "1985-02-28"),
            ("DATETIME", SqlType::DateTime, "'2020-01-02 03:04:05'", "2020-01-02T03:04:05"),
            ("DATETIME", SqlType::DateTime, "'2020-01-02T03:04:05'", "2020-01-02T03:04:05"),
            ("BLOB", SqlType::Binary, "x'00ff'", "00ff"),
            ("", SqlType::Any, "'ab'", "ab"),
            ("", SqlType::Any, "12", "12"),
        ],
    )
    .await;
    bed.execute("CREATE TABLE a (id INT, v); INSERT INTO a VALUES (1, '0012'), (2, 12), (3, '12')")
        .await;
    for (text, want) in [("0012", vec![1]), ("12", vec![2, 3]), ("012", vec![])] {
        let found = bed.ids("a", compare("v", SqlType::Any, CompareOp::Eq, text)).await;
        assert_eq!(found, want, "{text}");
    }
}
