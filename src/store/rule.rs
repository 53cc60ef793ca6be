//! Which rule of the hospital's database a change broke, told from the error without its words going
//! anywhere: only names of columns and constraints are taken from it, and only to be compared with names
//! that are known.

use sqlx::mysql::MySqlDatabaseError;

use crate::pool::postgres::ServerError;

/// What kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// A column may not be NULL.
    Required,
    /// Something is there already.
    Duplicate,
    /// Something points to what is not there, or to what should go.
    Reference,
    /// A check or a trigger.
    Check,
    /// A column cannot hold the value.
    Value,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What kind.
    pub kind: RuleKind,
    /// The columns it is about, as far as the database tells.
    pub columns: Vec<String>,
}

/// A breach, and the constraint by name where its columns have still to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub kind: RuleKind,
    pub columns: Vec<String>,
    pub constraint: Option<String>,
}

/// The rule an error of the driver is about; `None` when it is about something else.
pub(super) fn told(error: &sqlx::Error) -> Option<Told> {
    let sqlx::Error::Database(error) = error else { return None };
    if let Some(pg) = error.try_downcast_ref::<ServerError>() {
        let kind = postgres(pg.sqlstate())?;
        let columns = pg.column().map(str::to_owned).into_iter().collect();
        return Some(Told { kind, columns, constraint: pg.constraint().map(str::to_owned) });
    }
    if let Some(my) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return mysql(my.number(), error.message());
    }
    sqlite(error.code()?.parse().ok()?, error.message())
}

/// Whether somebody else's work was in the way, so that trying again makes sense.
pub(super) fn contended(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    if let Some(pg) = error.try_downcast_ref::<ServerError>() {
        return matches!(pg.sqlstate(), "40001" | "40P01" | "55P03");
    }
    if let Some(my) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(my.number(), 1205 | 1213 | 1020);
    }
    let code: Option<i32> = error.code().and_then(|code| code.parse().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether the server takes no changes: a standby, or one that its operators have closed to them.
pub(super) fn takes_no_changes(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    if let Some(pg) = error.try_downcast_ref::<ServerError>() {
        return pg.sqlstate() == "25006";
    }
    let my = error.try_downcast_ref::<MySqlDatabaseError>();
    my.is_some_and(|my| matches!(my.number(), 1290 | 1792 | 1836))
}

/// Whether a server refuses so much as to begin a change: PostgreSQL says of a standby that it lacks the
/// feature.
pub(super) fn begins_no_change(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(found) = error else { return false };
    let pg = found.try_downcast_ref::<ServerError>();
    pg.is_some_and(|pg| pg.sqlstate() == "0A000") || takes_no_changes(error)
}

/// Whether the server has lost a prepared statement, or its plan no longer fits the tables since somebody
/// altered one. Preparing it anew helps.
pub(super) fn outdated(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let pg = error.try_downcast_ref::<ServerError>();
    pg.is_some_and(ServerError::is_outdated)
}

/// Whether an error at COMMIT says for sure that nothing was stored.
pub(super) fn surely_undone(error: &sqlx::Error) -> bool {
    told(error).is_some() || contended(error)
}

fn postgres(state: &str) -> Option<RuleKind> {
    Some(match state {
        "23502" => RuleKind::Required,
        "23505" | "23P01" => RuleKind::Duplicate,
        "23503" | "23001" => RuleKind::Reference,
        // Checks, checks of views, and what a trigger raises by itself.
        "44000" | "P0001" => RuleKind::Check,
        state if state.starts_with("23") => RuleKind::Check,
        state if state.starts_with("22") => RuleKind::Value,
        _ => return None,
    })
}

fn mysql(number: u16, message: &str) -> Option<Told> {
    let mut told = Told { kind: RuleKind::Check, columns: Vec::new(), constraint: None };
    // What the message quotes of values comes before the name, so the last place counts.
    let quoted = |mark: &str| {
        let (_, rest) = message.rsplit_once(mark)?;
        let name = rest.trim_start_matches(['\'', '`']);
        let name = name.split(['\'', ' ']).next().unwrap_or_default().trim_end_matches('`');
        let name = name.rsplit(['.', '`']).next().unwrap_or_default();
        (!name.is_empty()).then(|| name.to_owned())
    };
    match number {
        1048 | 1364 => {
            told.kind = RuleKind::Required;
            told.columns = quoted("ield ").or_else(|| quoted("olumn ")).into_iter().collect();
        }
        1062 | 1169 | 1557 | 1586 => {
            (told.kind, told.constraint) = (RuleKind::Duplicate, quoted("for key "));
        }
        1216 | 1217 | 1451 => told.kind = RuleKind::Reference,
        1452 => {
            told.kind = RuleKind::Reference;
            let list =
                message.rsplit_once("FOREIGN KEY (").and_then(|(_, rest)| rest.split_once(')'));
            let list = list.map_or("", |(list, _)| list).split(", ");
            told.columns = list.map(|name| name.trim_matches('`').to_owned()).collect();
        }
        1644 | 3819 | 4025 => {}
        1264 | 1265 | 1267 | 1292 | 1300 | 1366 | 1406 | 1411 | 1690 | 3140 | 3988 => {
            (told.kind, told.columns) = (RuleKind::Value, quoted("olumn ").into_iter().collect());
        }
        _ => return None,
    }
    Some(told)
}

/// By extended result code.
fn sqlite(code: i32, message: &str) -> Option<Told> {
    let kind = match code {
        1299 => RuleKind::Required,
        2067 | 1555 | 2579 => RuleKind::Duplicate,
        787 => RuleKind::Reference,
        code if code & 0xff == 19 => RuleKind::Check,
        code if matches!(code & 0xff, 18 | 20 | 25) => RuleKind::Value,
        _ => return None,
    };
    let named = matches!(kind, RuleKind::Required | RuleKind::Duplicate);
    let list = message.rsplit_once("failed: ").map_or("", |(_, list)| list);
    let columns = list.split(", ").filter_map(|name| name.rsplit('.').next());
    let columns = columns.filter(|name| named && !name.is_empty()).map(str::to_owned).collect();
    Some(Told { kind, columns, constraint: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_names_the_column_last() {
        let of = |number, message: &str| {
            let told = mysql(number, message).unwrap();
            (told.kind, told.columns.join(","), told.constraint.unwrap_or_default())
        };
        for (number, message, kind, columns, constraint) in [
            (1048, "Column 'mrn' cannot be null", RuleKind::Required, "mrn", ""),
            (1364, "Field 'mrn' doesn't have a default value", RuleKind::Required, "mrn", ""),
            (
                1062,
                "Duplicate entry 'for key 'x'' for key 'patients.mrn_u'",
                RuleKind::Duplicate,
                "",
                "mrn_u",
            ),
            (1062, "Duplicate entry '1' for key 'PRIMARY'", RuleKind::Duplicate, "", "PRIMARY"),
            (1406, "Data too long for column 'family' at row 1", RuleKind::Value, "family", ""),
            (
                1366,
                "Incorrect string value: '\\xF0' for column `db`.`t`.`fam` at row 1",
                RuleKind::Value,
                "fam",
                "",
            ),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `c` FOREIGN KEY (`a`, `b`) REFERENCES `p` (`id`))",
                RuleKind::Reference,
                "a,b",
                "",
            ),
        ] {
            assert_eq!(
                of(number, message),
                (kind, columns.to_owned(), constraint.to_owned()),
                "{message}"
            );
        }
        assert!(mysql(2013, "gone").is_none());
    }

    #[test]
    fn sqlite_names_columns_for_two_kinds() {
        let told = sqlite(2067, "UNIQUE constraint failed: t.a, t.b").unwrap();
        assert_eq!((told.kind, told.columns.join(",").as_str()), (RuleKind::Duplicate, "a,b"));
        assert_eq!(sqlite(787, "FOREIGN KEY constraint failed").unwrap().kind, RuleKind::Reference);
        assert!(sqlite(275, "CHECK constraint failed: a.b").unwrap().columns.is_empty());
        assert!(sqlite(11, "x").is_none());
    }
}
