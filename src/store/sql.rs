//! Whole statements.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{
    Child, ColumnRef, Count, Join, JoinOn, Order, Predicate, Relation, Select,
};
use crate::mapping::rows::Rows;

use super::keyset::Nulls;
use super::statement::{Bind, Scope, Statement, Writer};
use super::{Flavour, WriteFault, collation, compare, first, keyset, predicate, prepared};

/// Deepest nesting of selects: each step of a chain takes up to three, its condition some more.
pub(super) const MAX_NESTING: usize = 16;

/// The statement of a page.
pub fn page_sql(select: &Select, flavour: Flavour) -> Result<Statement, WriteFault> {
    let mut w = Writer::new(flavour);
    page(&mut w, select, |_, _| Ok(()))?;
    w.finish(shape(select))
}

/// Writes a page; `key` may write a condition that comes before all others.
pub(super) fn page(
    w: &mut Writer,
    select: &Select,
    key: impl FnOnce(&mut Writer, Scope) -> Result<(), WriteFault>,
) -> Result<(), WriteFault> {
    let scope = head(w, select, 0)?;
    tail(w, scope, select, |w| {
        let before = w.text.len();
        key(w, scope)?;
        Ok(w.text.len() > before)
    })?;
    if !select.order.is_empty() {
        let sure = keyset::never_null(&select.filter);
        w.sql(" ORDER BY ");
        keyset::order(w, scope, &select.order, &Nulls { sure: &sure, keyed: true })?;
    }
    limit(w, select);
    Ok(())
}

/// What each fetched column holds.
pub(super) fn shape(select: &Select) -> Vec<SqlType> {
    select.columns.iter().map(|c| c.ty).collect()
}

/// The relations of a statement of its own.
pub(super) fn scope(select: &Select) -> Scope {
    Scope { depth: 0, relations: select.joins.len() + 1 }
}

/// The statement of a one-to-many table for the rows of `page`; `None` when no row has a key.
pub fn child_sql(
    child: &Child,
    page: &Rows,
    flavour: Flavour,
) -> Result<Option<Statement>, WriteFault> {
    let ready = prepared::child(child, page, flavour)?;
    Ok(ready.map(|ready| {
        let (text, binds, shape) = ready.parts();
        let (binds, shape) = (binds.to_vec(), shape.to_vec());
        Statement { flavour, text: text.to_owned(), binds, shape }
    }))
}

/// A child's statement up to its keys, and what follows them.
pub(super) fn child_ends(mut w: Writer, child: &Child) -> Result<(Writer, String), WriteFault> {
    let select = &child.select;
    if select.limit.is_some() || select.after.is_some() {
        return Err(WriteFault::Plan);
    }
    let scope = head(&mut w, select, 0)?;
    w.sql(" WHERE ");
    if select.filter != Predicate::Always {
        predicate::predicate(&mut w, scope, &select.filter, 0)?;
        w.sql(" AND ");
    }
    w.sql("(");
    let mut end = Writer::new(w.flavour);
    end.sql(") ORDER BY ");
    end.list(&child.own, ", ", |w, column| w.column(scope, column))?;
    let rest: Vec<Order> =
        select.order.iter().filter(|o| !child.own.contains(&o.column)).cloned().collect();
    if !rest.is_empty() {
        end.sql(", ");
        keyset::order(&mut end, scope, &rest, &Nulls { sure: &[], keyed: false })?;
    }
    Ok((w, end.text))
}

/// The statement that counts rows.
pub fn count_sql(count: &Count, flavour: Flavour) -> Result<Statement, WriteFault> {
    let mut w = Writer::new(flavour);
    w.sql(match flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => "SELECT pg_catalog.count(*)::pg_catalog.text",
        Flavour::MySql | Flavour::MariaDb => "SELECT CAST(count(*) AS CHAR CHARACTER SET utf8mb4)",
        Flavour::Sqlite => "SELECT count(*)",
    });
    let scope = relations(&mut w, &count.from, &count.joins, 0)?;
    if count.filter != Predicate::Always {
        w.sql(" WHERE ");
        predicate::predicate(&mut w, scope, &count.filter, 0)?;
    }
    w.finish(vec![SqlType::Integer { bits: 64, unsigned: true }])
}

/// A select inside a condition: bare columns, no order.
pub(super) fn sub_select(w: &mut Writer, select: &Select, depth: usize) -> Result<(), WriteFault> {
    // MySQL has no LIMIT there, and a limited set of matches would be an arbitrary one.
    if depth > MAX_NESTING || select.limit.is_some() || select.after.is_some() {
        return Err(WriteFault::Plan);
    }
    let scope = head(w, select, depth)?;
    tail(w, scope, select, |_| Ok(false))
}

/// `SELECT columns FROM relations`.
fn head(w: &mut Writer, select: &Select, depth: usize) -> Result<Scope, WriteFault> {
    if select.columns.is_empty() {
        return Err(WriteFault::Plan);
    }
    let scope = Scope { depth, relations: select.joins.len() + 1 };
    w.sql("SELECT ");
    w.list(select.columns.iter(), ", ", |w, column| {
        if depth == 0 { fetched(w, scope, column) } else { w.column(scope, column) }
    })?;
    relations(w, &select.from, &select.joins, depth)
}

/// ` FROM relations`.
pub(super) fn relations(
    w: &mut Writer,
    from: &Relation,
    joins: &[Join],
    depth: usize,
) -> Result<Scope, WriteFault> {
    let scope = Scope { depth, relations: joins.len() + 1 };
    w.sql(" FROM ");
    relation(w, from, depth)?;
    w.sql(" AS ");
    w.alias(scope, 0)?;
    for (index, join) in joins.iter().enumerate() {
        w.sql(" LEFT JOIN ");
        w.relation(&join.relation)?;
        w.sql(" AS ");
        w.alias(scope, index + 1)?;
        w.sql(" ON ");
        if join.on.is_empty() {
            return Err(WriteFault::Plan);
        }
        w.list(&join.on, " AND ", |w, on| match on {
            JoinOn::Columns(left, right) => collation::joined(w, (scope, left), (scope, right)),
            JoinOn::Value(column, value) => {
                let left = crate::mapping::plan::Expr::Column(column.clone());
                w.sql("(");
                compare::compare(w, scope, &left, crate::mapping::plan::CompareOp::Eq, value)?;
                w.sql(")");
                Ok(())
            }
            JoinOn::First { key, order } => first::of_join(w, scope, join, key, order),
        })?;
    }
    Ok(scope)
}

/// A relation as it stands after FROM or JOIN.
pub(super) fn relation(w: &mut Writer, from: &Relation, depth: usize) -> Result<(), WriteFault> {
    let Relation::Distinct { of, columns, filter } = from else { return w.relation(from) };
    if depth > MAX_NESTING || columns.is_empty() {
        return Err(WriteFault::Plan);
    }
    let inner = Scope { depth: depth + 1, relations: 1 };
    w.sql("(SELECT DISTINCT ");
    w.list(columns, ", ", |w, column| w.column(inner, column))?;
    w.sql(" FROM ");
    relation(w, of, depth + 1)?;
    w.sql(" AS ");
    w.alias(inner, 0)?;
    w.sql(" WHERE ");
    predicate::predicate(w, inner, filter, 0)?;
    w.sql(")");
    Ok(())
}

/// `WHERE filter AND extra AND position`.
fn tail(
    w: &mut Writer,
    scope: Scope,
    select: &Select,
    extra: impl FnOnce(&mut Writer) -> Result<bool, WriteFault>,
) -> Result<(), WriteFault> {
    let start = w.text.len();
    w.sql(" WHERE ");
    let mut any = extra(w)?;
    if select.filter != Predicate::Always {
        if any {
            w.sql(" AND ");
        }
        predicate::predicate(w, scope, &select.filter, 0)?;
        any = true;
    }
    if let Some(position) = &select.after {
        if any {
            w.sql(" AND ");
        }
        let sure = keyset::never_null(&select.filter);
        let nulls = Nulls { sure: &sure, keyed: true };
        keyset::after(w, scope, &select.order, position, &nulls)?;
        any = true;
    }
    if !any {
        w.text.truncate(start);
    }
    Ok(())
}

fn limit(w: &mut Writer, select: &Select) {
    let Some(limit) = select.limit else { return };
    w.sql(" LIMIT ");
    if w.flavour.is_postgres() && is_usual(limit) {
        w.sql(&limit.to_string());
    } else {
        w.bind(Bind::Int(i64::from(limit)));
    }
}

/// Whether it is the limit of a page of usual size, which has one row more. PostgreSQL takes an unknown
/// limit for a tenth of the rows. Where rows are walked in the order of their key it then plans each page
/// anew; and in a search the plan it keeps looks ten times cheaper than it is, so that a patient's fifty
/// observations were looked for by walking the whole table instead of the index on patients. A text for
/// every size would be one more statement to keep for every size that somebody asks for.
fn is_usual(limit: u32) -> bool {
    let rows = limit.saturating_sub(1);
    rows <= 1
        || rows.is_power_of_two()
        || (rows <= 100 && rows.is_multiple_of(5))
        || (rows <= 1000 && rows.is_multiple_of(50))
}

/// A column in the select list, as text or as what the driver gives without loss.
fn fetched(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    let (before, after) = match (w.flavour, column.ty) {
        (Flavour::Postgres | Flavour::PostgresIn(_), SqlType::Binary) => {
            ("pg_catalog.encode(", ", 'hex')")
        }
        (Flavour::Postgres | Flavour::PostgresIn(_), SqlType::Instant) => {
            ("(", " AT TIME ZONE 'UTC')")
        }
        // Its own text is not the text of what it holds: `t`, blanks at the end, or who knows.
        (
            Flavour::Postgres | Flavour::PostgresIn(_),
            SqlType::Boolean | SqlType::Char | SqlType::Any | SqlType::Other,
        ) => ("", "::pg_catalog.text"),
        // PostgreSQL's rows come as text in any case, and SQLite's cells say themselves what they hold. CAST
        // prints six digits of a MySQL FLOAT; the driver has them all.
        (Flavour::Postgres | Flavour::PostgresIn(_) | Flavour::Sqlite, _)
        | (Flavour::MySql | Flavour::MariaDb, SqlType::Float) => ("", ""),
        (_, SqlType::Binary) => ("LOWER(HEX(", "))"),
        // Adding nothing makes a number of BIT and YEAR and drops ZEROFILL.
        (_, SqlType::Integer { .. }) => ("CAST(", " + 0 AS CHAR CHARACTER SET utf8mb4)"),
        (_, _) => ("CAST(", " AS CHAR CHARACTER SET utf8mb4)"),
    };
    w.sql(before);
    w.column(scope, column)?;
    w.sql(after);
    Ok(())
}
