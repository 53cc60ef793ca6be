use crate::base::Engine;
use crate::mapping::catalog::SqlType;
use crate::mapping::fold::translation;

use super::{Bind, Draft, Flavour, Outcome, StoreFault, TenantConn, ask, flag, rows, table_limit};

const ABOUT: &str = "SELECT current_setting('server_version')::text, current_schema()::text, \
current_setting('server_version_num')::text, current_setting('server_encoding')::text";

/// What these statements ask of the catalogue that came with a later version, as `server_version_num` counts
/// it, and what was so before that.
const SINCE: [(u32, &str, &str); 5] = [
    (12_00_00, "a.attgenerated <> ''", "false"),
    (12_00_00, "co.collisdeterministic", "true"),
    (11_00_00, "i.indnkeyatts", "i.indnatts"),
    (10_00_00, "a.attidentity <> ''", "false"),
    (10_00_00, "c.relispartition", "false"),
];

/// Tables, views, materialized views, foreign and partitioned tables the role may read from. Partitions share
/// the keys of their table; tables that inherit do not.
const TABLES: &str = "\
SELECT n.nspname::text, c.relname::text, (c.relkind IN ('v', 'm'))::text, c.reltuples::int8::text, \
(c.relkind <> 'p' AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid))::text \
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)' \
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') \
ORDER BY 1, 2 LIMIT $1";

/// Columns; a domain counts as what it stands on.
const COLUMNS: &str = "\
WITH RECURSIVE base (oid, under, typname, typtype) AS (\
SELECT t.oid, t.typbasetype, t.typname, t.typtype FROM pg_catalog.pg_type AS t \
UNION ALL SELECT b.oid, t.typbasetype, t.typname, t.typtype FROM base AS b \
JOIN pg_catalog.pg_type AS t ON t.oid = b.under WHERE b.typtype = 'd') \
SELECT n.nspname::text, c.relname::text, a.attname::text, (NOT a.attnotnull)::text, \
(a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '')::text, \
pg_catalog.format_type(a.atttypid, a.atttypmod), b.typname::text, b.typtype::text, \
CASE WHEN co.collname <> 'default' THEN pg_catalog.concat(cn.nspname, '.', co.collname) END, \
(NOT co.collisdeterministic)::text, pg_catalog.col_description(c.oid, a.attnum) \
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
JOIN base AS b ON b.oid = a.atttypid AND b.typtype <> 'd' \
LEFT JOIN pg_catalog.pg_collation AS co ON co.oid = a.attcollation \
LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = co.collnamespace \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
AND a.attnum > 0 AND NOT a.attisdropped \
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)' \
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') \
ORDER BY 1, 2, a.attnum";

/// Types by their object ids.
pub(in crate::store) const TYPES: &str = "\
SELECT t.oid::text, t.typname::text, t.typtype::text FROM pg_catalog.pg_type AS t \
WHERE t.oid::text = ANY ($1)";

/// Indexes that hold for every row, are ready and find equal values; a column beyond the key (`INCLUDE`) is
/// left out.
const INDEXES: &str = "\
SELECT n.nspname::text, c.relname::text, i.indexrelid::text, i.indisunique::text, \
i.indisprimary::text, a.attname::text \
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid \
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid \
JOIN pg_catalog.pg_am AS m ON m.oid = x.relam AND m.amname IN ('btree', 'hash') \
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k (place) \
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[k.place] \
AND a.attnum > 0 \
WHERE i.indpred IS NULL AND i.indisvalid AND NOT c.relispartition \
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)' \
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
ORDER BY 1, 2, i.indisprimary DESC, i.indexrelid, k.place";

/// Columns of which an index holds the text in small letters, or folded, in the order of bytes, for every
/// row. `$1` and `$2` are what `translate` is given where it is folded.
const TEXT_INDEXES: &str = "\
SELECT DISTINCT n.nspname::text, c.relname::text, a.attname::text, k.kind \
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid \
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0] \
JOIN pg_catalog.pg_opfamily AS f ON f.oid = o.opcfamily AND f.opfname = 'text_pattern_ops' \
JOIN pg_catalog.pg_am AS m ON m.oid = f.opfmethod AND m.amname = 'btree' \
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
CROSS JOIN LATERAL (VALUES ('lowered', 'lower(%1$s)'), ('folded', 'translate(%1$s, %2$L::text, %3$L::text)'), \
('folded_trimmed', 'translate(btrim(%1$s), %2$L::text, %3$L::text)')) AS k (kind, form) \
WHERE i.indkey[0] = 0 AND i.indpred IS NULL AND i.indisvalid AND NOT c.relispartition \
AND pg_catalog.pg_get_indexdef(i.indexrelid, 1, false) \
IN (pg_catalog.format(k.form, pg_catalog.quote_ident(a.attname), $1::text, $2::text), \
pg_catalog.format(k.form, pg_catalog.format('(%I)::text', a.attname), $1::text, $2::text)) \
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)' \
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
ORDER BY 1, 2, 3";

const FOREIGN_KEYS: &str = "\
SELECT n.nspname::text, c.relname::text, f.oid::text, a.attname::text, \
fn.nspname::text, fc.relname::text, fa.attname::text \
FROM pg_catalog.pg_constraint AS f JOIN pg_catalog.pg_class AS c ON c.oid = f.conrelid \
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_class AS fc ON fc.oid = f.confrelid \
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = fc.relnamespace \
CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.cardinality(f.conkey)) AS k (place) \
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = f.conkey[k.place] \
JOIN pg_catalog.pg_attribute AS fa ON fa.attrelid = fc.oid AND fa.attnum = f.confkey[k.place] \
WHERE f.contype = 'f' AND NOT c.relispartition \
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
ORDER BY 1, 2, f.oid, k.place";

pub(super) async fn read(conn: &mut TenantConn<'_>) -> Outcome<Draft> {
    let pg = Flavour::Postgres;
    let about = rows!(ask(conn, pg, ABOUT, 4, Vec::new()));
    let Some(about) = about.row(0) else { return Ok(Err(StoreFault::Catalogue)) };
    let version = about.get(0).unwrap_or_default();
    let mut draft = Draft::new(Engine::Postgres, version, about.get(1));
    let number = about.get(2).and_then(|number| number.parse().ok()).unwrap_or(u32::MAX);
    let known = |sql| known_to(sql, number);
    for row in rows!(ask(conn, pg, &known(TABLES), 5, table_limit())).iter() {
        draft.add_table(row);
    }
    for row in rows!(ask(conn, pg, &known(COLUMNS), 11, Vec::new())).iter() {
        let ty = match sql_type(row.get(6).unwrap_or(""), row.get(7).unwrap_or("")) {
            // Its collation takes several texts for the same (`deterministic = false`), as citext does.
            SqlType::Text | SqlType::Char if flag(row, 9) => SqlType::Enum,
            ty => ty,
        };
        draft.add_column(row, ty, row.get(8));
        draft.add_comment(row, row.get(10));
    }
    draft.add_indexes(&rows!(ask(conn, pg, &known(INDEXES), 6, Vec::new())));
    // A database in another encoding cannot even be asked for these letters, and has no such index.
    let (from, to) = if about.get(3) == Some("UTF8") { translation() } else { Default::default() };
    let letters = vec![Bind::Text(from), Bind::Text(to)];
    draft.add_text_indexes(&rows!(ask(conn, pg, &known(TEXT_INDEXES), 4, letters)));
    draft.add_foreign_keys(&rows!(ask(conn, pg, &known(FOREIGN_KEYS), 7, Vec::new())));
    Ok(Ok(draft))
}

/// The statement in the words a server of that version knows.
fn known_to(sql: &str, number: u32) -> String {
    SINCE
        .iter()
        .filter(|(since, ..)| number < *since)
        .fold(sql.to_owned(), |sql, (_, new, old)| sql.replace(new, old))
}

/// From `pg_type.typname` and `typtype`.
pub(in crate::store) fn sql_type(name: &str, kind: &str) -> SqlType {
    let integer = |bits| SqlType::Integer { bits, unsigned: false };
    match name {
        _ if kind == "e" => SqlType::Enum,
        "int2" => integer(16),
        "int4" => integer(32),
        "int8" => integer(64),
        "numeric" => SqlType::Decimal,
        "float4" | "float8" => SqlType::Float,
        "text" | "varchar" => SqlType::Text,
        // Their own comparisons and order are not those of text: compared as text they are exact.
        "citext" | "name" => SqlType::Enum,
        "bpchar" => SqlType::Char,
        "bool" => SqlType::Boolean,
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "timestamp" => SqlType::DateTime,
        "timestamptz" => SqlType::Instant,
        "uuid" => SqlType::Uuid,
        "bytea" => SqlType::Binary,
        "json" | "jsonb" => SqlType::Json,
        _ => SqlType::Other,
    }
}
