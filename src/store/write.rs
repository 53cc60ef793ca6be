//! Statements that change rows.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Relation, Value};
use crate::mapping::{Change, ChangeKind, Set};

use super::statement::{Bind, Scope, Statement, Writer};
use super::{Flavour, WriteFault, compare, value};

const ALONE: Scope = Scope { depth: 0, relations: 1 };

/// The statement of a change. With `returning` an insert gives back that column, where the engine can.
pub fn change_sql(
    change: &Change,
    returning: Option<&ColumnRef>,
    flavour: Flavour,
) -> Result<Statement, WriteFault> {
    let mut w = Writer::new(flavour);
    let mut shape = Vec::new();
    match &change.kind {
        ChangeKind::Insert(sets) => {
            insert(&mut w, &change.table, sets)?;
            if let Some(column) = returning.filter(|_| !flavour.is_mysql()) {
                w.sql(" RETURNING ");
                w.ident(&column.name)?;
                if flavour.is_postgres() {
                    w.cast("text");
                }
                shape.push(column.ty);
            }
        }
        ChangeKind::Update { key, sets } => {
            w.sql("UPDATE ");
            w.relation(&change.table)?;
            w.sql(" AS t0 SET ");
            if sets.is_empty() {
                return Err(WriteFault::Plan);
            }
            w.list(sets, ", ", |w, set| {
                w.ident(&set.column.name)?;
                w.sql(" = ");
                assigned(w, set)
            })?;
            by_key(&mut w, key)?;
        }
        ChangeKind::Delete { key } => {
            // MySQL knows an alias there in its form for several tables only.
            w.sql(if flavour.is_mysql() { "DELETE t0 FROM " } else { "DELETE FROM " });
            w.relation(&change.table)?;
            w.sql(" AS t0");
            by_key(&mut w, key)?;
        }
    }
    w.finish(shape)
}

/// The statement that locks the row of a key until the transaction ends; `None` where the transaction
/// itself is the lock.
pub fn lock_sql(
    table: &Relation,
    key: &[(ColumnRef, Value)],
    flavour: Flavour,
) -> Result<Option<Statement>, WriteFault> {
    if flavour == Flavour::Sqlite {
        return Ok(None);
    }
    let mut w = Writer::new(flavour);
    w.sql("SELECT '1' FROM ");
    w.relation(table)?;
    w.sql(" AS t0");
    by_key(&mut w, key)?;
    w.sql(" FOR UPDATE");
    w.finish(vec![SqlType::Text]).map(Some)
}

fn insert(w: &mut Writer, table: &Relation, sets: &[Set]) -> Result<(), WriteFault> {
    w.sql("INSERT INTO ");
    w.relation(table)?;
    if sets.is_empty() {
        w.sql(if w.flavour.is_mysql() { " () VALUES ()" } else { " DEFAULT VALUES" });
        return Ok(());
    }
    w.sql(" (");
    w.list(sets, ", ", |w, set| w.ident(&set.column.name))?;
    w.sql(") VALUES (");
    w.list(sets, ", ", assigned)?;
    w.sql(")");
    Ok(())
}

/// A value as an assignment takes it.
fn assigned(w: &mut Writer, set: &Set) -> Result<(), WriteFault> {
    let Some(value) = &set.value else {
        w.sql("NULL");
        return Ok(());
    };
    if value.text.contains('\0') {
        return Err(WriteFault::Value);
    }
    match (w.flavour, value.ty) {
        // A type of the hospital's own: the server knows from the column what the text is.
        (Flavour::Postgres | Flavour::PostgresIn(_), SqlType::Enum | SqlType::Other) => {
            w.bind(Bind::Untyped(value.text.clone()));
            Ok(())
        }
        (Flavour::Postgres | Flavour::PostgresIn(_), SqlType::Float) => {
            let number = value.text.parse().map_err(|_| WriteFault::Value)?;
            w.bind(Bind::Float(number));
            w.cast("float8");
            Ok(())
        }
        _ => value::typed(w, value),
    }
}

fn by_key(w: &mut Writer, key: &[(ColumnRef, Value)]) -> Result<(), WriteFault> {
    if key.is_empty() {
        return Err(WriteFault::Plan);
    }
    w.sql(" WHERE ");
    w.list(key, " AND ", |w, (column, value)| {
        w.sql("(");
        compare::compare(w, ALONE, &Expr::Column(column.clone()), CompareOp::Eq, value)?;
        w.sql(")");
        Ok(())
    })
}
