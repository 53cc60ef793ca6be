//! What the named sources of a mapping give: each is prepared by the database itself, never run for
//! its rows, but for one question: whether its key is one.

use std::collections::BTreeSet;

use sqlx::{Column as _, Executor as _, Statement as _, TypeInfo as _};

use crate::base::Engine;
use crate::mapping::DeclaredSource;
use crate::mapping::catalog::{Catalog, Column, NamedSource, SqlType, Table};
use crate::mapping::plan::Relation;

use super::run::{Outcome, TenantConn, begin, command, select};
use super::statement::Writer;
use super::{Bind, Flavour, Statement, StoreFault, WriteFault, introspect};

/// Bytes of answers about a source.
const MAX_ANSWER: usize = 1024 * 1024;

/// Most columns a source may give.
const MAX_COLUMNS: usize = 1000;

/// A column's name, the name of its type, and what that holds.
type Described = (String, String, SqlType);

/// Puts the sources that the database can describe into the catalogue, each asked in a transaction that
/// cannot write. One whose statement it refuses is left out; one whose declared key is NULL somewhere,
/// or not unique, or could not be shown to be so in time, has no primary key.
pub async fn describe_on(
    conn: &mut TenantConn<'_>,
    sources: &[DeclaredSource],
    catalog: &mut Catalog,
) -> Outcome<()> {
    let flavour = match (&*conn, catalog.engine) {
        (TenantConn::Postgres(_) | TenantConn::PostgresByCell(_), _) => Flavour::Postgres,
        (TenantConn::MySql(_), Engine::MySql) => Flavour::MySql,
        (TenantConn::MySql(_), _) => Flavour::MariaDb,
        (TenantConn::Sqlite(_), _) => Flavour::Sqlite,
    };
    catalog.named.clear();
    for source in sources {
        command(conn, begin(flavour)).await?;
        let described = one(conn, flavour, source).await;
        let ended = command(conn, "ROLLBACK").await;
        match described {
            Ok(Ok(Some(named))) => catalog.named.push(named),
            Ok(Ok(None)) | Err(sqlx::Error::Database(_)) => {}
            Ok(Err(fault)) => return Ok(Err(fault)),
            Err(error) => return Err(error),
        }
        ended?;
    }
    Ok(Ok(()))
}

/// The statement around a source's text.
fn around(
    flavour: Flavour,
    source: &DeclaredSource,
    write: impl FnOnce(&mut Writer) -> Result<(), WriteFault>,
    from: impl FnOnce(&mut Writer) -> Result<(), WriteFault>,
) -> Result<String, WriteFault> {
    let mut w = Writer::new(flavour);
    w.sql("SELECT ");
    write(&mut w)?;
    w.sql(" FROM ");
    w.relation(&Relation::Query { name: source.name.clone(), sql: source.sql.clone() })?;
    w.sql(" AS t0");
    from(&mut w)?;
    Ok(w.text)
}

/// The catalogue of a database with what these sources give there.
pub async fn catalog_on(conn: &mut TenantConn<'_>, sources: &[DeclaredSource]) -> Outcome<Catalog> {
    let mut catalog = match introspect::introspect_on(conn).await? {
        Ok(catalog) => catalog,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(describe_on(conn, sources, &mut catalog).await?.map(|()| catalog))
}

async fn one(
    conn: &mut TenantConn<'_>,
    flavour: Flavour,
    source: &DeclaredSource,
) -> Outcome<Option<NamedSource>> {
    let all = |w: &mut Writer| {
        w.sql("t0.*");
        Ok(())
    };
    let text = match around(flavour, source, all, |_| Ok(())) {
        Ok(text) => text,
        Err(fault) => return Ok(Err(fault.into())),
    };
    let described = match columns(conn, flavour, &text).await? {
        Ok(columns) => columns,
        Err(fault) => return Ok(Err(fault)),
    };
    let names: BTreeSet<String> = described.iter().map(|(name, ..)| name.to_lowercase()).collect();
    if names.len() < described.len() || described.is_empty() || described.len() > MAX_COLUMNS {
        return Ok(Ok(None));
    }
    let known = source.key.iter().all(|name| names.contains(&name.to_lowercase()));
    let keyed = known && !source.key.is_empty() && unique(conn, flavour, source).await?;
    let column = |(name, declared, ty): Described| {
        let nullable = !(keyed && source.key.iter().any(|key| key.eq_ignore_ascii_case(&name)));
        Column { name, ty, declared, nullable, has_default: false, collation: None, comment: None }
    };
    let table = Table {
        schema: None,
        name: source.name.clone(),
        view: true,
        heirs: false,
        columns: described.into_iter().map(column).collect(),
        primary_key: if keyed { source.key.clone() } else { Vec::new() },
        text_indexes: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        estimated_rows: None,
    };
    let (name, sql) = (source.name.clone(), source.sql.clone());
    Ok(Ok(Some(NamedSource { name, sql, table })))
}

/// The columns a statement gives, from its being prepared.
async fn columns(
    conn: &mut TenantConn<'_>,
    flavour: Flavour,
    text: &str,
) -> Outcome<Vec<Described>> {
    match conn {
        TenantConn::Postgres(session) | TenantConn::PostgresByCell(session) => {
            let fields = session.describe(text).await?;
            let oids: BTreeSet<String> = fields.iter().map(|(_, oid)| oid.to_string()).collect();
            let statement = Statement {
                flavour,
                text: introspect::POSTGRES_TYPES.to_owned(),
                binds: vec![Bind::Texts(oids.into_iter().collect())],
                shape: vec![SqlType::Text; 3],
            };
            let rows = match select(conn, &statement, MAX_ANSWER).await? {
                Ok(fetched) => fetched.rows,
                Err(fault) => return Ok(Err(fault)),
            };
            let of = |oid: u32| {
                let oid = oid.to_string();
                let row = rows.iter().find(|row| row.get(0) == Some(oid.as_str()))?;
                let (name, kind) = (row.get(1)?, row.get(2)?);
                Some((name.to_owned(), introspect::postgres_type(name, kind)))
            };
            let described = fields.into_iter().map(|(name, oid)| {
                let (declared, ty) = of(oid)?;
                Some((name, declared, ty))
            });
            Ok(described.collect::<Option<_>>().ok_or(StoreFault::Catalogue))
        }
        TenantConn::MySql(conn) => {
            let statement = (&mut **conn).prepare(text).await?;
            let one = |column: &sqlx::mysql::MySqlColumn| {
                let declared = column.type_info().name().to_owned();
                let word = declared.split([' ', '(']).next().unwrap_or_default();
                let word = if word == "BOOLEAN" { "TINYINT" } else { word };
                let ty = introspect::mysql_type(word, &declared, "");
                (column.name().to_owned(), declared, ty)
            };
            Ok(Ok(statement.columns().iter().map(one).collect()))
        }
        TenantConn::Sqlite(conn) => {
            let statement = (&mut **conn).describe(text).await?;
            let one = |column: &sqlx::sqlite::SqliteColumn| {
                let declared = column.type_info().name().to_owned();
                let ty = match declared.as_str() {
                    "NULL" => SqlType::Any,
                    declared => introspect::sqlite_type(declared),
                };
                (column.name().to_owned(), declared, ty)
            };
            Ok(Ok(statement.columns().iter().map(one).collect()))
        }
    }
}

/// Whether a source's key is never NULL and never there twice. `false` when the database did not say in
/// the time a statement has.
async fn unique(
    conn: &mut TenantConn<'_>,
    flavour: Flavour,
    source: &DeclaredSource,
) -> Result<bool, sqlx::Error> {
    let column = |w: &mut Writer, name: &String| {
        w.sql("t0.");
        w.ident(name)
    };
    let constant = |w: &mut Writer| {
        w.sql(if flavour.is_postgres() { "'1'::pg_catalog.text" } else { "'1'" });
        Ok(())
    };
    let text = around(flavour, source, constant, |w| {
        w.sql(" GROUP BY ");
        w.list(&source.key, ", ", column)?;
        w.sql(" HAVING ");
        w.call("count");
        w.sql("*)");
        w.operator(">");
        w.sql("1");
        for name in &source.key {
            w.sql(" OR ");
            column(w, name)?;
            w.sql(" IS NULL");
        }
        w.sql(" LIMIT 1");
        Ok(())
    });
    let Ok(text) = text else { return Ok(false) };
    let statement = Statement { flavour, text, binds: Vec::new(), shape: vec![SqlType::Text] };
    match select(conn, &statement, MAX_ANSWER).await {
        Ok(found) => Ok(found.is_ok_and(|fetched| fetched.rows.is_empty())),
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
