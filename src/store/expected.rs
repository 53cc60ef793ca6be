//! The SQL of typical plans, word for word, in `tests/expected/sql`. `UPDATE_EXPECTED=1` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::mapping::catalog::SqlType;
use crate::mapping::plan::*;
use crate::mapping::rows::Rows;

const INT: SqlType = SqlType::Integer { bits: 32, unsigned: false };

fn col(relation: usize, name: &str, ty: SqlType) -> ColumnRef {
    ColumnRef { relation, name: name.to_owned(), ty, collation: None }
}

fn value(ty: SqlType, text: &str) -> Value {
    Value { ty, text: text.to_owned() }
}

fn table(name: &str) -> Relation {
    Relation::Table { schema: Some("clinic".into()), name: name.to_owned() }
}

fn base(filter: Predicate) -> Select {
    Select {
        from: table("patient").into(),
        joins: [].into(),
        columns: [
            col(0, "id", INT),
            col(0, "surname", SqlType::Text),
            col(0, "seen", SqlType::Instant),
        ]
        .into(),
        filter,
        order: vec![Order { column: col(0, "id", INT), descending: false }],
        after: None,
        limit: Some(51),
    }
}

fn compare(name: &str, op: CompareOp, right: Value) -> Predicate {
    Predicate::Compare { left: Expr::Column(col(0, name, right.ty)), op, right }
}

fn text(how: TextMatch, alike: Alike) -> Predicate {
    let left = Expr::Column(col(0, "surname", SqlType::Text));
    Predicate::Text { left, how, text: "Xy".into(), alike }
}

/// Each with the name of its file.
fn pages() -> Vec<(&'static str, Select)> {
    let surname = Expr::Column(col(0, "surname", SqlType::Text));
    let texts = ["a", "b", "c"].map(|t| value(SqlType::Text, t)).to_vec();
    let among = Predicate::In { left: surname.clone(), values: texts };
    let numbers = ["1", "2", "3"].map(|t| value(INT, t)).to_vec();
    let numbers = Predicate::In { left: Expr::Column(col(0, "id", INT)), values: numbers };
    let mut walk = base(Predicate::Not(Box::new(Predicate::IsNull(surname.clone()))));
    walk.order.insert(0, Order { column: col(0, "born", SqlType::Date), descending: true });
    walk.after = Some(vec![Some(value(SqlType::Date, "2001-02-03")), Some(value(INT, "7"))]);
    let mut joined = base(Predicate::Always);
    joined.joins = [Join {
        relation: table("ward"),
        on: vec![
            JoinOn::Columns(col(0, "ward_id", INT), col(1, "id", INT)),
            JoinOn::Value(col(1, "kind", SqlType::Text), value(SqlType::Text, "bed")),
        ],
    }]
    .into();
    let amount = [col(1, "amount", SqlType::Decimal)];
    joined.columns = joined.columns.iter().cloned().chain(amount).collect();
    let parts = Expr::Joined { parts: vec![surname.clone(), surname], separator: " ".into() };
    joined.filter = Predicate::Text {
        left: parts,
        how: TextMatch::Equals,
        text: "a b".into(),
        alike: Alike::Exact,
    };
    let sub = Select {
        columns: [col(0, "patient_id", INT)].into(),
        limit: None,
        order: vec![],
        from: table("identifier").into(),
        ..base(compare("value", CompareOp::Eq, value(SqlType::Text, "A-1")))
    };
    let inside = Predicate::InSelect { columns: vec![col(0, "id", INT)], select: Box::new(sub) };
    vec![
        ("read", base(compare("id", CompareOp::Eq, value(INT, "12")))),
        ("walk", walk),
        ("join", joined),
        ("sub_select", base(Predicate::Not(Box::new(inside)))),
        ("in_texts", base(among)),
        ("in_numbers", base(numbers)),
        ("folded_prefix", base(text(TextMatch::StartsWith, Alike::Folded))),
        (
            "lowered_prefix",
            base(Predicate::Lowered {
                column: col(0, "surname", SqlType::Text),
                begins: "Ob'é".into(),
            }),
        ),
        ("exact_prefix", base(text(TextMatch::StartsWith, Alike::Exact))),
        ("word", base(text(TextMatch::StartsWord { separator: ' ' }, Alike::Folded))),
        (
            "dates",
            base(Predicate::All(vec![
                compare("born", CompareOp::Lt, value(SqlType::Date, "2001-02-03")),
                compare("seen", CompareOp::Ge, value(SqlType::Instant, "2001-02-03T00:00:00Z")),
                compare("weight", CompareOp::Gt, value(SqlType::Float, "3.14")),
            ])),
        ),
    ]
}

fn print(statement: &Statement) -> String {
    let mut out = statement.text.replace(" FROM ", "\nFROM ").replace(" WHERE ", "\nWHERE ");
    out = out.replace(" ORDER BY ", "\nORDER BY ");
    out.push_str(";\n");
    for (index, bind) in statement.binds.iter().enumerate() {
        let shown = match bind {
            Bind::Text(text) => format!("text {text:?}"),
            Bind::Int(number) => format!("integer {number}"),
            Bind::UInt(number) => format!("unsigned {number}"),
            Bind::Float(number) => format!("float {number}"),
            Bind::Bytes(bytes) => format!("bytes {:?}", String::from_utf8_lossy(bytes)),
            Bind::Texts(texts) => format!("texts {texts:?}"),
            Bind::Ints(numbers) => format!("ints {numbers:?}"),
            Bind::Untyped(text) => format!("untyped {text:?}"),
        };
        writeln!(out, "-- {}: {shown}", index + 1).unwrap();
    }
    out
}

#[test]
fn statements_are_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected/sql");
    for (flavour, folder) in [
        (Flavour::Postgres, "postgres"),
        (Flavour::MySql, "mysql"),
        (Flavour::MariaDb, "mariadb"),
        (Flavour::Sqlite, "sqlite"),
    ] {
        let mut all: Vec<(&str, Statement)> =
            pages().iter().map(|(n, s)| (*n, page_sql(s, flavour).unwrap())).collect();
        let mut page = Rows::new(2);
        for cell in ["1", "a", "2", "b", "3", "c"] {
            page.push(Some(cell)).unwrap();
        }
        let own = [col(0, "patient_id", INT), col(0, "site", SqlType::Text)];
        for (name, keys) in [("child", 1), ("child_of_two", 2)] {
            let mut select = base(Predicate::Always);
            select.limit = None;
            let (parent, own) = ((0..keys).collect(), own[..keys].to_vec());
            let child = Child { select, of: None, parent, own, written: Written::default() };
            all.push((name, child_sql(&child, &page, flavour).unwrap().unwrap()));
        }
        for (name, statement) in all {
            let path = root.join(folder).join(format!("{name}.sql"));
            let got = print(&statement);
            if update {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, got).unwrap();
                continue;
            }
            let want = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(got, want, "{} (UPDATE_EXPECTED=1 rewrites it)", path.display());
        }
    }
}
