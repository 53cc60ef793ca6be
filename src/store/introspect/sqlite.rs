use crate::base::Engine;
use crate::mapping::catalog::SqlType;

use super::{Bind, Draft, Flavour, Outcome, StoreFault, TenantConn, ask, rows, table_limit};

const VERSION: &str = "SELECT sqlite_version()";

const TABLES: &str = "\
SELECT '', name, type = 'view', NULL FROM sqlite_schema \
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name LIMIT ?";

const COLUMNS: &str = "\
SELECT '', m.name, x.name, x.\"notnull\" = 0 AND NOT (x.pk > 0 AND x.type = 'INTEGER'), \
x.dflt_value IS NOT NULL OR x.\"notnull\" = 0 OR x.hidden > 1, x.type \
FROM sqlite_schema AS m JOIN pragma_table_xinfo(m.name) AS x \
WHERE m.type IN ('table', 'view') AND x.hidden <> 1 ORDER BY m.name, x.cid";

/// The rowid alias is a key without an index of its own.
const ROWID_KEYS: &str = "\
SELECT '', m.name, 'rowid', 1, 1, x.name FROM sqlite_schema AS m \
JOIN pragma_table_info(m.name) AS x \
WHERE m.type = 'table' AND x.pk > 0 AND NOT EXISTS \
(SELECT 1 FROM pragma_index_list(m.name) AS l WHERE l.origin = 'pk') ORDER BY m.name, x.pk";

const INDEXES: &str = "\
SELECT '', m.name, l.name, l.\"unique\", l.origin = 'pk', i.name FROM sqlite_schema AS m \
JOIN pragma_index_list(m.name) AS l JOIN pragma_index_info(l.name) AS i \
WHERE m.type = 'table' AND l.partial = 0 ORDER BY m.name, l.origin <> 'pk', l.seq, i.seqno";

/// Without named columns the far table's primary key is meant.
const FOREIGN_KEYS: &str = "\
SELECT '', m.name, f.id, f.\"from\", NULL, f.\"table\", coalesce(f.\"to\", \
(SELECT x.name FROM pragma_table_info(f.\"table\") AS x WHERE x.pk = f.seq + 1)) \
FROM sqlite_schema AS m JOIN pragma_foreign_key_list(m.name) AS f \
WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq";

/// `ANALYZE` leaves the number of rows as the first word of `stat`.
const HAS_ESTIMATES: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'";
const ESTIMATES: &str = "\
SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl";

pub(super) async fn read(conn: &mut TenantConn<'_>) -> Outcome<Draft> {
    let lite = Flavour::Sqlite;
    let version = rows!(ask(conn, lite, VERSION, 1, Vec::new()));
    let Some(version) = version.row(0).and_then(|row| row.get(0)) else {
        return Ok(Err(StoreFault::Catalogue));
    };
    let mut draft = Draft::new(Engine::Sqlite, version, None);
    for row in rows!(ask(conn, lite, TABLES, 4, table_limit())).iter() {
        draft.add_table(row);
    }
    for row in rows!(ask(conn, lite, COLUMNS, 6, Vec::<Bind>::new())).iter() {
        draft.add_column(row, sql_type(row.get(5).unwrap_or_default()), None);
    }
    draft.add_indexes(&rows!(ask(conn, lite, ROWID_KEYS, 6, Vec::new())));
    draft.add_indexes(&rows!(ask(conn, lite, INDEXES, 6, Vec::new())));
    draft.add_foreign_keys(&rows!(ask(conn, lite, FOREIGN_KEYS, 7, Vec::new())));
    if !rows!(ask(conn, lite, HAS_ESTIMATES, 1, Vec::new())).is_empty() {
        for row in rows!(ask(conn, lite, ESTIMATES, 2, Vec::new())).iter() {
            let key = (String::new(), row.get(0).unwrap_or_default().to_owned());
            if let Some(table) = draft.tables.get_mut(&key) {
                table.estimated_rows = row.get(1).and_then(|count| count.parse().ok());
            }
        }
    }
    Ok(Ok(draft))
}

/// From the declared type, by SQLite's own rules of affinity where the word says nothing more exact.
pub(in crate::store) fn sql_type(declared: &str) -> SqlType {
    let upper = declared.trim().to_ascii_uppercase();
    let word = upper.split(['(', ' ']).next().unwrap_or_default();
    let integer = |bits| SqlType::Integer { bits, unsigned: false };
    match word {
        // A boolean is 1 and 0 by custom, and whatever else was put there.
        "" | "BOOLEAN" | "BOOL" => SqlType::Any,
        "DATE" => SqlType::Date,
        "TIME" => SqlType::Time,
        "DATETIME" | "TIMESTAMP" => SqlType::DateTime,
        "TINYINT" => integer(8),
        "SMALLINT" => integer(16),
        _ if upper.contains("INT") => integer(64),
        "JSON" | "UUID" => SqlType::Any,
        _ if ["CHAR", "CLOB", "TEXT"].iter().any(|part| upper.contains(part)) => SqlType::Text,
        _ if upper.contains("BLOB") => SqlType::Binary,
        _ if ["REAL", "FLOA", "DOUB"].iter().any(|part| upper.contains(part)) => SqlType::Float,
        "NUMERIC" | "DECIMAL" | "NUMBER" => SqlType::Decimal,
        // Numeric affinity under a name that promises nothing: cells say what they are.
        _ => SqlType::Any,
    }
}
