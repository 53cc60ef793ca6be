//! Plans written as SQL and run: the same answers on every engine.

use wardgate::mapping::catalog::SqlType;
use wardgate::mapping::plan::{
    Child, CompareOp, Expr, Order, Predicate, SourcePlan, TextMatch, Written,
};
use wardgate::store::run::fetch_page_on;
use wardgate::store::{Flavour, WriteFault, page_sql};

use crate::store_bed::{Bed, INT, among, column, compare, matching, not, query, value};

#[tokio::test]
async fn zero_dates_are_text_and_come_before_nothing() {
    let mut bed = Bed::mariadb().await;
    bed.execute("SET SESSION sql_mode = ''").await;
    bed.execute(
        "CREATE TABLE z (id INT PRIMARY KEY, d DATE, t DATETIME);
         INSERT INTO z VALUES (1, '0000-00-00', '0000-00-00'), (2, '1985-06-00', NULL), (3, '1990-01-01', '1990-01-01')",
    )
    .await;
    let columns = [column("d", SqlType::Date), column("t", SqlType::DateTime)];
    let page = bed.page(&query(bed.flavour, "z", &columns, Predicate::Always)).await;
    assert_eq!(page[0], [Some("0000-00-00".into()), Some("0000-00-00T00:00:00".into())]);
    assert_eq!(page[1][0].as_deref(), Some("1985-06-00"));
    let before = compare("d", SqlType::Date, CompareOp::Lt, "2000-01-01");
    assert_eq!(bed.ids("z", before).await, [2, 3]);
    // Paging over them neither stops nor repeats.
    walk(&mut bed, "z", "d", SqlType::Date, 1, 3).await;
}

/// Walks a table page by page in the given order; every row must come exactly once.
async fn walk(bed: &mut Bed, name: &str, by: &str, ty: SqlType, size: u32, rows: usize) {
    for descending in [false, true] {
        let mut what =
            query(bed.flavour, name, &[column("id", INT), column(by, ty)], Predicate::Always);
        what.order.insert(0, Order { column: column(by, ty), descending });
        what.limit = None;
        let whole = bed.page(&what).await;
        assert_eq!(whole.len(), rows);
        let first_null = whole.iter().position(|row| row[1].is_none()).unwrap_or(rows);
        assert!(whole[first_null..].iter().all(|row| row[1].is_none()), "NULLs come last");
        what.limit = Some(size);
        let mut walked = Vec::new();
        loop {
            let page = bed.page(&what).await;
            let Some(last) = page.last() else { break };
            let position = |i: usize, ty| last[i].as_deref().map(|text| value(ty, text));
            what.after = Some(vec![position(1, ty), position(0, INT)]);
            walked.extend(page);
            assert!(walked.len() <= rows, "{:?} {by}: a row came twice", bed.flavour);
        }
        assert_eq!(walked, whole, "{:?} {by} {descending}", bed.flavour);
    }
}

#[tokio::test]
async fn keyset_paging_walks_every_row_once() {
    for mut bed in Bed::all().await {
        bed.execute(
            "CREATE TABLE k (id INT PRIMARY KEY, i INT, f REAL, d DATE, v VARCHAR(20), n DECIMAL(8,2))",
        )
        .await;
        let texts = ["'a'", "'A'", "'á'", "'b '", "'b'", "NULL", "''", "'Ö'", "'z%'"];
        let floats = ["0.1", "3.14", "NULL", "-2.5", "1000000"];
        for id in 0..60 {
            let pick = |list: &[&str], by: usize| list[id * by % list.len()].to_owned();
            let row = [
                id.to_string(),
                pick(&["1", "2", "NULL", "-7"], 3),
                pick(&floats, 2),
                pick(&["'2020-01-01'", "NULL", "'1999-12-31'"], 1),
                pick(&texts, 5),
                pick(&["1.50", "1.5", "NULL", "22.00"], 1),
            ];
            bed.execute(&format!("INSERT INTO k VALUES ({})", row.join(", "))).await;
        }
        for (by, ty) in [
            ("i", SqlType::Integer { bits: 32, unsigned: false }),
            ("f", SqlType::Float),
            ("d", SqlType::Date),
            ("v", SqlType::Text),
            ("n", SqlType::Decimal),
        ] {
            for size in [1, 7] {
                walk(&mut bed, "k", by, ty, size, 60).await;
            }
        }
    }
}

#[tokio::test]
async fn a_row_value_position_walks_a_composite_key() {
    for mut bed in Bed::all().await {
        bed.execute("CREATE TABLE c (a INT NOT NULL, id INT NOT NULL, PRIMARY KEY (a, id))").await;
        for n in 0..20 {
            bed.execute(&format!("INSERT INTO c VALUES ({}, {n})", n % 3)).await;
        }
        let sure = not(Predicate::IsNull(Expr::Column(column("a", INT))));
        let mut what = query(bed.flavour, "c", &[column("a", INT), column("id", INT)], sure);
        what.order.insert(0, Order { column: column("a", INT), descending: false });
        what.limit = Some(6);
        let mut walked = Vec::new();
        while let Some(last) = {
            let page = bed.page(&what).await;
            walked.extend(page.iter().cloned());
            page.last().cloned()
        } {
            what.after = Some(last.iter().map(|c| Some(value(INT, c.as_ref().unwrap()))).collect());
        }
        assert_eq!(walked.len(), 20);
        walked.dedup();
        assert_eq!(walked.len(), 20);
    }
}

#[tokio::test]
async fn no_text_is_taken_for_a_number() {
    for mut bed in Bed::all().await {
        bed.execute(
            "CREATE TABLE j (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO j VALUES (12, 'abc')",
        )
        .await;
        let number = |text| {
            query(bed.flavour, "j", &[column("id", INT)], compare("id", INT, CompareOp::Eq, text))
        };
        for text in ["12abc", "12 ", "", "0x0c", "1.2e1", "12.0"] {
            assert_eq!(page_sql(&number(text), bed.flavour), Err(WriteFault::Value), "{text:?}");
        }
        let mixed = Predicate::Compare {
            left: Expr::Column(column("id", INT)),
            op: CompareOp::Eq,
            right: value(SqlType::Text, "12abc"),
        };
        let mixed = query(bed.flavour, "j", &[column("id", INT)], mixed);
        assert_eq!(page_sql(&mixed, bed.flavour), Err(WriteFault::Kinds));
        assert_eq!(bed.ids("j", compare("id", INT, CompareOp::Eq, "12")).await, [12]);
        for big in ["99999999999", "99999999999999999999", "-99999999999999999999"] {
            assert!(bed.ids("j", compare("id", INT, CompareOp::Eq, big)).await.is_empty());
        }
        assert!(bed.ids("j", compare("v", SqlType::Text, CompareOp::Eq, "0")).await.is_empty());
    }
}

#[tokio::test]
async fn values_and_names_are_never_sql() {
    let nasty =
        ["' OR 1=1 --", "\"; DROP TABLE x; --", "`x`", "\\' OR ''='", "$1", "?", "%", "\u{2019}"];
    for mut bed in Bed::all().await {
        let quote = if bed.flavour.is_mysql() { '`' } else { '"' };
        let name = "we\"ird`; DROP TABLE x; -- $1 ? '";
        let quoted = format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")));
        bed.execute(&format!(
            "CREATE TABLE {quoted} (id INT PRIMARY KEY, {quoted} VARCHAR(40)); \
             INSERT INTO {quoted} VALUES (1, 'plain')"
        ))
        .await;
        let left = Expr::Column(column(name, SqlType::Text));
        let parts =
            Expr::Joined { parts: vec![left.clone(), left.clone()], separator: "'?$1".into() };
        for text in nasty {
            let mut filters = vec![
                compare(name, SqlType::Text, CompareOp::Eq, text),
                among(name, SqlType::Text, &[text, "y", "z"]),
            ];
            for how in [
                TextMatch::Equals,
                TextMatch::StartsWith,
                TextMatch::Contains,
                TextMatch::StartsWord { separator: '\'' },
            ] {
                for folded in [false, true] {
                    filters.push(matching(left.clone(), how, text, folded));
                    if !"plain'?$1plain".contains(text) {
                        filters.push(matching(parts.clone(), how, text, folded));
                    }
                }
            }
            for filter in filters {
                assert!(
                    bed.ids(name, filter.clone()).await.is_empty(),
                    "{:?} {filter:?}",
                    bed.flavour
                );
            }
        }
        let whole = matching(parts, TextMatch::Equals, "plain'?$1plain", false);
        assert_eq!(bed.ids(name, whole).await, [1]);
        let by_name = compare(name, SqlType::Text, CompareOp::Eq, "plain");
        assert_eq!(bed.ids(name, by_name).await, [1]);
    }
}

#[tokio::test]
async fn key_equality_and_keyset_use_an_index() {
    for mut bed in [Bed::postgres().await, Bed::mariadb().await] {
        let (numbers, analyze) = if bed.flavour == Flavour::Postgres {
            ("generate_series(1, 20000) AS g (seq)", "ANALYZE x")
        } else {
            // MariaDB's own sequences are no tables of MySQL's.
            bed.execute("CREATE TABLE digit (d INT)").await;
            bed.execute("INSERT INTO digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)").await;
            let numbers = "(SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS seq
                    FROM digit a, digit b, digit c, digit e, digit f WHERE f.d < 2) AS numbers";
            (numbers, "ANALYZE TABLE x")
        };
        bed.execute("CREATE TABLE x (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)").await;
        bed.execute(&format!("INSERT INTO x SELECT seq, CONCAT('n', seq) FROM {numbers}")).await;
        bed.execute("CREATE INDEX x_v ON x (v)").await;
        bed.execute(analyze).await;
        let columns = [column("id", INT), column("v", SqlType::Text)];
        let mut downwards = query(bed.flavour, "x", &columns, Predicate::Always);
        downwards.order[0].descending = true;
        downwards.after = Some(vec![Some(value(INT, "15000"))]);
        downwards.limit = Some(51);
        let mut keyset = query(bed.flavour, "x", &columns, Predicate::Always);
        keyset.after = Some(vec![Some(value(INT, "15000"))]);
        keyset.limit = Some(51);
        for what in [
            query(bed.flavour, "x", &columns, compare("id", INT, CompareOp::Eq, "77")),
            query(bed.flavour, "x", &columns, among("id", INT, &["77", "78", "79"])),
            query(bed.flavour, "x", &columns, compare("v", SqlType::Text, CompareOp::Eq, "n77")),
            query(bed.flavour, "x", &columns, among("v", SqlType::Text, &["n77", "n78"])),
            keyset,
            downwards,
        ] {
            let plan = bed.explain(&what).await;
            let used = match bed.flavour {
                Flavour::Postgres => plan.contains("Index Cond") && !plan.contains("Seq Scan"),
                _ => {
                    (plan.contains("PRIMARY") || plan.contains("x_v"))
                        && ["const", "range", "ref"]
                            .iter()
                            .any(|t| plan.contains(&format!("Some({t:?})")))
                }
            };
            assert!(used, "{:?} {plan}", bed.flavour);
            // What is found by the key comes in the key's order.
            let sorted = plan.contains("filesort") || plan.contains("Sort");
            assert!(!sorted || plan.contains("x_v") || plan.contains("Bitmap"), "{plan}");
        }
    }
}

/// Our own schema can be created, and the catalogue read back holds its keys, indexes and references.
#[tokio::test]
async fn our_own_schema_comes_back_as_a_catalogue() {
    for mut bed in Bed::all().await {
        let engine = match bed.flavour {
            Flavour::Postgres => "postgres",
            Flavour::Sqlite => "sqlite",
            _ => "mysql",
        };
        let folder = format!("{}/tenant-migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            bed.execute(&std::fs::read_to_string(file).unwrap()).await;
        }
        let catalog = bed.catalog().await;
        let names: Vec<&str> = catalog.tables.iter().map(|t| t.name.as_str()).collect();
        let want = [
            "allergies",
            "appointments",
            "conditions",
            "documents",
            "encounters",
            "medications",
            "observations",
            "organisations",
            "patient_contacts",
            "patient_identifiers",
            "patients",
            "practitioners",
            "procedures",
            "reference_codes",
            "wardgate_identity",
        ];
        assert_eq!(names, want, "{engine}");
        let table = |name| catalog.table(None, name).unwrap();
        assert_eq!(table("patients").primary_key, ["id"]);
        assert!(table("patients").indexed(&["id"]));
        assert_eq!(table("patient_contacts").primary_key, ["patient_id", "position"]);
        assert!(table("patient_identifiers").unique(&["system", "value"]));
        assert!(table("observations").indexed(&["patient_id", "code"]));
        let mut far: Vec<_> =
            table("observations").foreign_keys.iter().map(|f| f.table.as_str()).collect();
        far.sort_unstable();
        assert_eq!(far, ["encounters", "patients", "practitioners"]);
        assert!(table("observations").foreign_keys.iter().all(|f| f.references == ["id"]));
        let born = table("patients").column("birth_date").unwrap();
        assert_eq!((born.ty, born.nullable), (SqlType::Date, true));
        let version = table("patients").column("version").unwrap();
        assert_eq!((version.ty, version.nullable, version.has_default), (INT, false, true));
        let family = table("practitioners").column("family").unwrap();
        assert_eq!((family.ty, family.nullable, family.has_default), (SqlType::Text, false, false));
    }
}

/// One-to-many rows by a key of two columns, with keys that fit no row among them.
#[tokio::test]
async fn children_of_a_composite_key() {
    for mut bed in Bed::all().await {
        let narrow =
            if bed.flavour.is_mysql() { "VARCHAR(9) CHARACTER SET latin1" } else { "VARCHAR(9)" };
        bed.execute(
            &format!("CREATE TABLE p (id INT PRIMARY KEY, a INT, b VARCHAR(9));
             INSERT INTO p VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 2, 'x'), (4, NULL, 'x'), (5, 1, 'Łódź');
             CREATE TABLE k (id INT PRIMARY KEY, a INT, b {narrow}, v VARCHAR(9));
             INSERT INTO k VALUES (1, 1, 'y', 'one'), (2, 2, 'x', 'two'), (3, 2, 'y', 'no'), (4, 1, 'y', 'far')"))
        .await;
        let own = vec![column("a", INT), column("b", SqlType::Text)];
        let mut columns = own.clone();
        columns.push(column("v", SqlType::Text));
        let mut child = query(bed.flavour, "k", &columns, Predicate::Always);
        child.limit = None;
        child.order = vec![Order { column: column("v", SqlType::Text), descending: false }];
        let plan = SourcePlan {
            page: query(
                bed.flavour,
                "p",
                &[column("id", INT), own[0].clone(), own[1].clone()],
                Predicate::Always,
            ),
            children: [Child {
                of: None,
                select: child,
                parent: vec![1, 2],
                own,
                written: Written::default(),
            }]
            .into(),
        };
        let (mut conn, flavour) = bed.conn();
        let got = fetch_page_on(&mut conn, &plan, flavour, 1 << 20).await.unwrap().unwrap();
        let values: Vec<_> = got.children[0].iter().map(|row| row.get(2).unwrap()).collect();
        assert_eq!(values, ["far", "one", "two"], "{flavour:?}");
    }
}
