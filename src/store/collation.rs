//! Columns beside columns that compare letters by other rules.
//!
//! MySQL (error 1267) and PostgreSQL (42P22) compare no two columns that each have a collation of their own:
//! grown databases have tables of several. MySQL's own side takes the other's rules, whose index still serves;
//! PostgreSQL's both are compared letter by letter.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Expr};

use super::statement::{Scope, Writer};
use super::{Flavour, WriteFault};

/// What PostgreSQL compares letter by letter.
pub(super) const EXACT: &str = " COLLATE pg_catalog.\"C\"";

/// Whether an engine compares neither with the other.
pub(super) fn apart(flavour: Flavour, own: &ColumnRef, theirs: &ColumnRef) -> bool {
    let (Some(own), Some(theirs)) = (&own.collation, &theirs.collation) else { return false };
    if own == theirs {
        return false;
    }
    let charset = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    match flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => true,
        // Of two character sets the larger one's rules count, of one the binary ones.
        Flavour::MySql | Flavour::MariaDb => {
            let binary = |name: &str| name.ends_with("_bin") || name == "binary";
            charset(own) == charset(theirs) && !binary(own) && !binary(theirs)
        }
        Flavour::Sqlite => false,
    }
}

/// The column, as it stands before `=` and another.
pub(super) fn own(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    theirs: &ColumnRef,
) -> Result<(), WriteFault> {
    w.column(scope, column)?;
    if !apart(w.flavour, column, theirs) {
        return Ok(());
    }
    if w.flavour.is_postgres() {
        w.sql(EXACT);
        return Ok(());
    }
    let name = theirs.collation.as_deref().unwrap_or_default();
    // From the catalogue, and not trusted for that.
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(WriteFault::Identifier);
    }
    w.sql(" COLLATE ");
    w.sql(name);
    Ok(())
}

/// The other column.
pub(super) fn theirs(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    own: &ColumnRef,
) -> Result<(), WriteFault> {
    w.column(scope, column)?;
    if w.flavour.is_postgres() && apart(w.flavour, own, column) {
        w.sql(EXACT);
    }
    Ok(())
}

/// Whether PostgreSQL would join by rules of the own side that take several texts for the same (`citext`, collations
/// that are not deterministic): the joined rows are unique by their own rules, and one row would be joined with several.
fn looser(flavour: Flavour, own: &ColumnRef, theirs: &ColumnRef) -> bool {
    let text = matches!(theirs.ty, SqlType::Text | SqlType::Char);
    flavour.is_postgres() && matches!(own.ty, SqlType::Any | SqlType::Enum) && text
}

/// A join's condition: the column of the rows that are there, and that of the rows joined.
pub(super) fn joined(
    w: &mut Writer,
    (outer, own_column): (Scope, &ColumnRef),
    (inner, joined): (Scope, &ColumnRef),
) -> Result<(), WriteFault> {
    if w.flavour == Flavour::Sqlite {
        // The left side's rules count there.
        w.column(inner, joined)?;
        w.sql(" = ");
        return w.column(outer, own_column);
    }
    if looser(w.flavour, own_column, joined) {
        let rules =
            if joined.collation.is_some() { EXACT } else { " COLLATE pg_catalog.\"default\"" };
        w.column(outer, own_column)?;
        w.cast("text");
        w.sql(rules);
        w.operator("=");
        w.column(inner, joined)?;
        w.sql(if joined.collation.is_some() { EXACT } else { "" });
        return Ok(());
    }
    own(w, outer, own_column, joined)?;
    w.between("=", &[own_column.ty, joined.ty]);
    theirs(w, inner, joined, own_column)
}

/// Whether of these columns some two are apart.
pub(super) fn mixed(flavour: Flavour, parts: &[Expr]) -> bool {
    let mut columns = Vec::new();
    for part in parts {
        gather(part, &mut columns);
    }
    let (first, rest) = match columns.split_first() {
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    // Those without rules of their own are beside any.
    let of = |one: &&ColumnRef| one.collation.is_some();
    let first = std::iter::once(first).chain(rest.iter().copied()).find(of);
    first.is_some_and(|first| rest.iter().any(|other| apart(flavour, first, other)))
}

fn gather<'e>(expr: &'e Expr, columns: &mut Vec<&'e ColumnRef>) {
    match expr {
        Expr::Column(column) | Expr::Pieces { column, .. } => columns.push(column),
        Expr::Trimmed(inner) => gather(inner, columns),
        Expr::Joined { parts, .. } => parts.iter().for_each(|part| gather(part, columns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(collation: &str) -> ColumnRef {
        let collation = Some(collation).filter(|name| !name.is_empty()).map(Into::into);
        ColumnRef { relation: 0, name: "c".to_owned(), ty: SqlType::Text, collation }
    }

    #[test]
    fn only_what_an_engine_refuses_is_apart() {
        let apart = |flavour, a, b| apart(flavour, &of(a), &of(b));
        let my = Flavour::MariaDb;
        assert!(apart(my, "utf8mb4_general_ci", "utf8mb4_unicode_ci"));
        assert!(apart(my, "latin1_swedish_ci", "latin1_spanish_ci"));
        for (a, b) in [
            ("utf8mb4_general_ci", "utf8mb4_general_ci"),
            ("utf8mb4_general_ci", "utf8mb4_bin"),
            ("latin1_swedish_ci", "utf8mb4_unicode_ci"),
            ("", "utf8mb4_unicode_ci"),
        ] {
            assert!(!apart(my, a, b) && !apart(my, b, a), "{a} {b}");
        }
        let pg = Flavour::Postgres;
        assert!(apart(pg, "pg_catalog.C", "public.loose") && !apart(pg, "pg_catalog.C", ""));
        assert!(!apart(Flavour::Sqlite, "a", "b"));
        let columns =
            |names: &[&str]| names.iter().map(|n| Expr::Column(of(n))).collect::<Vec<_>>();
        assert!(mixed(pg, &columns(&["", "a", "", "b"])));
        assert!(!mixed(pg, &columns(&["", "a", "", "a"])) && !mixed(pg, &columns(&["", ""])));
    }

    #[test]
    fn a_collation_with_a_name_of_its_own_making_is_not_written() {
        let mut w = Writer::new(Flavour::MySql);
        let scope = Scope { depth: 0, relations: 1 };
        let evil = of("latin1_x; DROP");
        assert_eq!(own(&mut w, scope, &of("latin1_a"), &evil), Err(WriteFault::Identifier));
    }
}
