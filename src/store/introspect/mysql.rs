use crate::base::Engine;
use crate::mapping::catalog::SqlType;

use super::{Draft, Flavour, Outcome, StoreFault, TenantConn, ask, rows, table_limit};

const ABOUT: &str = "SELECT CAST(VERSION() AS CHAR), CAST(DATABASE() AS CHAR)";

const TABLES: &str = "\
SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), \
CAST(TABLE_TYPE LIKE '%VIEW%' AS CHAR), CAST(TABLE_ROWS AS CHAR) FROM information_schema.TABLES \
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') ORDER BY 1, 2 LIMIT ?";

const COLUMNS: &str = "\
SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR), \
CAST(IS_NULLABLE AS CHAR), \
CAST(COLUMN_DEFAULT IS NOT NULL OR IS_NULLABLE = 'YES' OR EXTRA <> '' AS CHAR), \
CAST(COLUMN_TYPE AS CHAR), CAST(DATA_TYPE AS CHAR), CAST(NUMERIC_PRECISION AS CHAR), \
CAST(COLLATION_NAME AS CHAR), CAST(COLUMN_COMMENT AS CHAR) FROM information_schema.COLUMNS \
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION";

/// A part over a prefix or an expression counts as no column.
const INDEXES: &str = "\
SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(INDEX_NAME AS CHAR), \
CAST(NON_UNIQUE = 0 AS CHAR), CAST(INDEX_NAME = 'PRIMARY' AS CHAR), \
CAST(IF(SUB_PART IS NULL, COLUMN_NAME, NULL) AS CHAR) FROM information_schema.STATISTICS \
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
AND INDEX_TYPE = 'BTREE' \
ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX";

const FOREIGN_KEYS: &str = "\
SELECT CAST(TABLE_SCHEMA AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(CONSTRAINT_NAME AS CHAR), \
CAST(COLUMN_NAME AS CHAR), CAST(REFERENCED_TABLE_SCHEMA AS CHAR), \
CAST(REFERENCED_TABLE_NAME AS CHAR), CAST(REFERENCED_COLUMN_NAME AS CHAR) \
FROM information_schema.KEY_COLUMN_USAGE \
WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
AND REFERENCED_TABLE_NAME IS NOT NULL \
ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";

pub(super) async fn read(conn: &mut TenantConn<'_>) -> Outcome<Draft> {
    let my = Flavour::MySql;
    let about = rows!(ask(conn, my, ABOUT, 2, Vec::new()));
    let Some(about) = about.row(0) else { return Ok(Err(StoreFault::Catalogue)) };
    let version = about.get(0).unwrap_or_default();
    let mut draft = Draft::new(Engine::MySql, version, about.get(1));
    for row in rows!(ask(conn, my, TABLES, 4, table_limit())).iter() {
        draft.add_table(row);
    }
    for row in rows!(ask(conn, my, COLUMNS, 10, Vec::new())).iter() {
        let part = |index| row.get(index).unwrap_or_default();
        draft.add_column(row, sql_type(part(6), part(5), part(7)), row.get(8));
        draft.add_comment(row, row.get(9));
    }
    draft.add_indexes(&rows!(ask(conn, my, INDEXES, 6, Vec::new())));
    draft.add_foreign_keys(&rows!(ask(conn, my, FOREIGN_KEYS, 7, Vec::new())));
    Ok(Ok(draft))
}

/// From `DATA_TYPE`, `COLUMN_TYPE` and `NUMERIC_PRECISION`.
pub(in crate::store) fn sql_type(data: &str, declared: &str, precision: &str) -> SqlType {
    let integer = |bits| SqlType::Integer {
        bits,
        unsigned: declared.to_ascii_lowercase().contains("unsigned"),
    };
    match data.to_ascii_lowercase().as_str() {
        "tinyint" => integer(8),
        "smallint" => integer(16),
        "mediumint" => integer(24),
        "int" | "integer" => integer(32),
        "bigint" => integer(64),
        "year" => SqlType::Integer { bits: 16, unsigned: true },
        "bit" => {
            let width: u8 = precision.parse().unwrap_or(64);
            let bits = [8, 16, 24, 32].into_iter().find(|bits| width <= *bits).unwrap_or(64);
            SqlType::Integer { bits, unsigned: true }
        }
        "decimal" | "numeric" => SqlType::Decimal,
        "float" | "double" | "real" => SqlType::Float,
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => SqlType::Text,
        "char" => SqlType::Char,
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "datetime" => SqlType::DateTime,
        "timestamp" => SqlType::Instant,
        "uuid" => SqlType::Uuid,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => SqlType::Binary,
        "json" => SqlType::Json,
        "enum" | "set" => SqlType::Enum,
        _ => SqlType::Other,
    }
}
