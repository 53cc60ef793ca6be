//! Statements of which only the key differs from one request to the next: the text is written once and
//! kept beside the plan it belongs to.

use std::sync::Arc;

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{
    Child, ColumnRef, CompareOp, Expr, KeyedRead, Predicate, Select, Value, Written,
};
use crate::mapping::rows::Rows;

use super::statement::{Bind, Scope, Statement, Writer};
use super::value::canonical;
use super::{Flavour, WriteFault, compare, member, sql};

/// A statement with some of its binds taken from a key.
#[derive(Debug)]
pub(super) struct Prepared {
    pub text: String,
    pub shape: Vec<SqlType>,
    binds: Vec<Bind>,
    /// Which binds are of which part of the key. What stands in `binds` there says only how.
    parts: Vec<(usize, usize)>,
}

/// A statement ready to run: its text may be shared.
#[derive(Clone)]
pub(super) enum Ready {
    Shared(Arc<Prepared>, Vec<Bind>),
    Child(Arc<ChildTexts>, Vec<Bind>),
    Children(Arc<ChildTexts>, Vec<Bind>),
    Own(Statement),
}

impl Ready {
    pub(super) fn parts(&self) -> (&str, &[Bind], &[SqlType]) {
        match self {
            Self::Shared(prepared, binds) => (&prepared.text, binds, &prepared.shape),
            Self::Child(texts, binds) => (&texts.one.text, binds, &texts.one.shape),
            Self::Children(texts, binds) => (&texts.numbers, binds, &texts.one.shape),
            Self::Own(statement) => (&statement.text, &statement.binds, &statement.shape),
        }
    }
}

/// A child's statement in parts: all but the keys, and the whole for one key and, where these are whole
/// numbers and one array holds them, for many.
#[derive(Debug)]
pub(super) struct ChildTexts {
    head: Writer,
    tail: String,
    one: Prepared,
    numbers: String,
}

/// A value of a type, to find out how such values are bound.
const fn sample(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float => "1",
        SqlType::Uuid => "00000000-0000-0000-0000-000000000000",
        SqlType::Boolean => "true",
        SqlType::Date => "2000-01-01",
        SqlType::Time => "00:00:00",
        SqlType::DateTime => "2000-01-01T00:00:00",
        SqlType::Instant => "2000-01-01T00:00:00Z",
        SqlType::Binary => "00",
        SqlType::Text
        | SqlType::Char
        | SqlType::Json
        | SqlType::Enum
        | SqlType::Any
        | SqlType::Other => "a",
    }
}

/// Whether any value of a type in plain ASCII is written as the sample is, but for what is bound.
const fn uniform(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Integer { .. } | SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Uuid
    )
}

/// `column = key part` for each, the parts left open.
fn open_key(w: &mut Writer, scope: Scope, key: &[ColumnRef]) -> Result<(), WriteFault> {
    w.list(key.iter().enumerate(), " AND ", |w, (part, column)| {
        w.part = Some(part);
        w.sql("(");
        let value = Value { ty: column.ty, text: sample(column.ty).to_owned() };
        compare::compare(w, scope, &Expr::Column(column.clone()), CompareOp::Eq, &value)?;
        w.sql(")");
        w.part = None;
        Ok(())
    })
}

impl Prepared {
    fn new(w: Writer, shape: Vec<SqlType>) -> Self {
        Self { text: w.text, shape, binds: w.binds, parts: w.parts }
    }

    /// The binds for a key; `None` when one of its parts is written in another way.
    fn fill(&self, key: &[&str]) -> Option<Vec<Bind>> {
        if !key.iter().all(|text| is_plain(text)) {
            return None;
        }
        let mut binds = self.binds.clone();
        for (at, part) in &self.parts {
            let text = *key.get(*part)?;
            let bind = binds.get_mut(*at)?;
            *bind = match bind {
                Bind::Text(_) => Bind::Text(text.to_owned()),
                Bind::Bytes(_) => Bind::Bytes(text.as_bytes().to_vec()),
                Bind::Int(_) => Bind::Int(text.parse().ok()?),
                Bind::UInt(_)
                | Bind::Float(_)
                | Bind::Texts(_)
                | Bind::Ints(_)
                | Bind::Untyped(_) => return None,
            };
        }
        Some(binds)
    }
}

/// Whether a key says the same in a list of keys as by itself, on every engine: it is of types and letters
/// that all of them compare alike.
pub fn is_plain_key(read: &KeyedRead, key: &[Value]) -> bool {
    key.len() == read.key.len()
        && read.key.iter().zip(key).all(|(column, value)| {
            uniform(column.ty) && is_plain(&value.text) && canonical(value.ty, &value.text)
        })
}

fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.is_empty() && !text.contains('\0') && !text.ends_with(' ')
}

/// The statement that reads the row of a key.
pub(super) fn read(read: &KeyedRead, key: &[Value], flavour: Flavour) -> Result<Ready, WriteFault> {
    if key.len() != read.key.len() || key.is_empty() {
        return Err(WriteFault::Plan);
    }
    if read.key.iter().all(|column| uniform(column.ty)) {
        let make = || {
            let mut w = Writer::new(flavour);
            sql::page(&mut w, &read.select, |w, scope| open_key(w, scope, &read.key))?;
            Ok(Prepared::new(w, sql::shape(&read.select)))
        };
        let texts: Vec<&str> = key.iter().map(|value| value.text.as_str()).collect();
        let fits = key.iter().all(|value| canonical(value.ty, &value.text));
        let kept = match flavour.place() {
            Some(place) => read.written.get_or_try::<_, WriteFault>(place, make)?,
            None => None,
        };
        if let Some(prepared) = kept.filter(|_| fits)
            && let Some(binds) = prepared.fill(&texts)
        {
            return Ok(Ready::Shared(prepared, binds));
        }
    }
    let parts = read.key.iter().zip(key).map(|(column, value)| Predicate::Compare {
        left: Expr::Column(column.clone()),
        op: CompareOp::Eq,
        right: value.clone(),
    });
    let filter = Predicate::All(parts.chain([read.select.filter.clone()]).collect());
    let select = Select { filter, ..read.select.clone() };
    sql::page_sql(&select, flavour).map(Ready::Own)
}

/// The statement that reads the rows of many keys, each a row of `keys`; `None` when there are none.
pub(super) fn many(
    read: &KeyedRead,
    keys: &Rows,
    flavour: Flavour,
) -> Result<Option<Ready>, WriteFault> {
    let child = Child {
        select: Select { limit: None, ..read.select.clone() },
        parent: (0..read.key.len()).collect(),
        own: read.key.clone(),
        of: None,
        written: Written::default(),
    };
    keyed(&child, &read.many, keys, flavour)
}

/// The statement of a one-to-many table for the rows of `page`; `None` when no row has a key.
pub(super) fn child(
    child: &Child,
    page: &Rows,
    flavour: Flavour,
) -> Result<Option<Ready>, WriteFault> {
    keyed(child, &child.written, page, flavour)
}

fn keyed(
    child: &Child,
    written: &Written,
    page: &Rows,
    flavour: Flavour,
) -> Result<Option<Ready>, WriteFault> {
    if child.own.is_empty() || child.own.len() != child.parent.len() {
        return Err(WriteFault::Plan);
    }
    let make = || {
        let (head, tail) = sql::child_ends(Writer::new(flavour), child)?;
        let (mut w, scope) = (head.clone(), sql::scope(&child.select));
        open_key(&mut w, scope, &child.own)?;
        w.sql(&tail);
        let one = Prepared::new(w, sql::shape(&child.select));
        let mut numbers = head.clone();
        if let [column] = child.own.as_slice() {
            numbers.column(scope, column)?;
            member::whole_numbers(&mut numbers, Vec::new());
            numbers.sql(&tail);
        }
        Ok(ChildTexts { head, tail, one, numbers: numbers.text })
    };
    let texts = match flavour.place() {
        Some(place) => written.get_or_try::<_, WriteFault>(place, make)?,
        None => Some(Arc::new(make()?)),
    };
    let Some(texts) = texts else { return Err(WriteFault::Plan) };
    if flavour.is_postgres()
        && let Some(numbers) = whole_numbers(child, page)
    {
        let mut binds = Vec::with_capacity(texts.head.binds.len() + 1);
        binds.extend_from_slice(&texts.head.binds);
        binds.push(Bind::Ints(numbers));
        return Ok(Some(Ready::Children(texts, binds)));
    }
    let mut keys: Vec<Vec<&str>> = page
        .iter()
        .filter_map(|row| child.parent.iter().map(|cell| row.get(*cell)).collect())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(None);
    }
    if let [key] = keys.as_slice()
        && child.own.iter().zip(key).all(|(c, text)| uniform(c.ty) && canonical(c.ty, text))
        && let Some(binds) = texts.one.fill(key)
    {
        return Ok(Some(Ready::Child(texts, binds)));
    }
    let mut w = texts.head.clone();
    member::keys(&mut w, sql::scope(&child.select), &child.own, &keys)?;
    w.sql(&texts.tail);
    w.finish(sql::shape(&child.select)).map(|statement| Some(Ready::Own(statement)))
}

/// The keys of the rows of `page`, each once, where they are two or more and all of them whole numbers; those
/// of no row that could be are left out.
fn whole_numbers(child: &Child, page: &Rows) -> Option<Vec<i64>> {
    let ([column], [cell]) = (child.own.as_slice(), child.parent.as_slice()) else { return None };
    if !matches!(column.ty, SqlType::Integer { .. }) {
        return None;
    }
    let keys = page.iter().filter_map(|row| row.get(*cell));
    let keys = keys.filter(|text| canonical(column.ty, text)).map(|text| text.parse().ok());
    let mut numbers: Vec<i64> = keys.collect::<Option<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    (numbers.len() > 1).then_some(numbers)
}
