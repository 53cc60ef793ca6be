//! Search by text: case and accents, foreign letters, computed texts.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use wardgate::mapping::catalog::SqlType;
use wardgate::mapping::plan::{CompareOp, Expr, Piece, Predicate, Relation, TextMatch};
use wardgate::store::fold;

use crate::store_bed::{Bed, INT, among, column, compare, matching, not, query, value};

fn naive(how: TextMatch, cell: &str, text: &str) -> bool {
    let (cell, text) = (fold(cell), fold(text));
    match how {
        TextMatch::Equals => cell == text,
        TextMatch::StartsWith => cell.starts_with(&text),
        TextMatch::Contains => cell.contains(&text),
        TextMatch::StartsWord { separator } => {
            cell.starts_with(&text)
                || cell.contains(&format!("{}{text}", fold(&separator.to_string())))
        }
    }
}

/// Whole match, prefix, word and substring, with letters of the Latin blocks and pattern characters.
#[tokio::test]
async fn folded_search_answers_the_same_everywhere() {
    let mut runner = TestRunner::deterministic();
    let letters = "[a-cA-CnñÑáÁàÀäÄłŁøØđćÇşŞșßæÆőŰýžŽıİ%_.*?!^$(|)\\[\\]\\\\ ;'\"\u{1ea4}\u{1ec7}]";
    let mut draw = |pattern: String| {
        let strategy = proptest::string::string_regex(&pattern).expect("a pattern");
        strategy.new_tree(&mut runner).expect("a text").current()
    };
    let mut cells: Vec<String> = (0..300).map(|_| draw(format!("{letters}{{1,6}}"))).collect();
    cells.extend(["MUÑOZ", "Munoz", "muñoz garcía", "Peña\nMUÑOZ", "Munoz\n"].map(str::to_owned));
    let mut needles: Vec<String> = (0..60).map(|_| draw(format!("{letters}{{1,2}}"))).collect();
    needles.extend(["muñoz", "MUNOZ", "mun\u{303}oz", "", "ł", "%", "\\"].map(str::to_owned));
    needles.extend(cells.iter().take(10).cloned().collect::<Vec<_>>());
    for mut bed in Bed::all().await {
        let charset = if bed.flavour.is_mysql() { " CHARACTER SET utf8mb4" } else { "" };
        bed.execute(&format!("CREATE TABLE f (id INT PRIMARY KEY, v VARCHAR(40){charset})")).await;
        for (id, cell) in (1..).zip(&cells) {
            bed.insert("f", id, Some(cell)).await;
        }
        bed.insert("f", 0, None).await;
        let left = Expr::Column(column("v", SqlType::Text));
        for needle in &needles {
            for how in [
                TextMatch::Equals,
                TextMatch::StartsWith,
                TextMatch::Contains,
                TextMatch::StartsWord { separator: ' ' },
            ] {
                let want: Vec<i64> = (1_i64..)
                    .zip(&cells)
                    .filter(|(_, cell)| naive(how, cell, needle))
                    .map(|(id, _)| id)
                    .collect();
                let got = bed.ids("f", matching(left.clone(), how, needle, true)).await;
                assert_eq!(got, want, "{:?} {how:?} {needle:?}", bed.flavour);
                let exact = bed.ids("f", matching(left.clone(), how, needle, false)).await;
                let want: Vec<i64> = (1_i64..)
                    .zip(&cells)
                    .filter(|(_, cell)| match how {
                        TextMatch::Equals => *cell == needle,
                        TextMatch::StartsWith => cell.starts_with(needle),
                        TextMatch::Contains => cell.contains(needle),
                        TextMatch::StartsWord { .. } => {
                            cell.starts_with(needle) || cell.contains(&format!(" {needle}"))
                        }
                    })
                    .map(|(id, _)| id)
                    .collect();
                assert_eq!(exact, want, "exact {:?} {how:?} {needle:?}", bed.flavour);
            }
        }
    }
}

#[tokio::test]
async fn letters_a_column_cannot_hold_are_no_row_and_no_error() {
    let mut bed = Bed::mariadb().await;
    for charset in ["latin1", "utf8mb3", "ascii", "latin2", "ucs2"] {
        bed.execute(&format!(
            "CREATE TABLE n_{charset} (id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET {charset});
             INSERT INTO n_{charset} VALUES (1, 'abc'), (2, 'ABC'), (3, 'abc ')"
        ))
        .await;
        let table = format!("n_{charset}");
        let left = Expr::Column(column("v", SqlType::Text));
        for text in ["Łukasz", "😀", "Ω", "ñ"] {
            for op in [CompareOp::Eq, CompareOp::Lt, CompareOp::Ne] {
                bed.ids(&table, compare("v", SqlType::Text, op, text)).await;
            }
            assert!(
                bed.ids(&table, compare("v", SqlType::Text, CompareOp::Eq, text)).await.is_empty()
            );
            assert!(bed.ids(&table, among("v", SqlType::Text, &[text, "x"])).await.is_empty());
            for folded in [true, false] {
                for how in [TextMatch::Equals, TextMatch::StartsWith, TextMatch::Contains] {
                    let found = bed.ids(&table, matching(left.clone(), how, text, folded)).await;
                    assert!(found.is_empty(), "{charset} {text} {how:?}");
                }
            }
        }
        assert_eq!(bed.ids(&table, compare("v", SqlType::Text, CompareOp::Eq, "abc")).await, [1]);
        assert_eq!(bed.ids(&table, among("v", SqlType::Text, &["abc ", "ABC"])).await, [2, 3]);
    }
}

#[tokio::test]
async fn computed_texts_and_negations_agree() {
    for mut bed in Bed::all().await {
        bed.execute(
            "CREATE TABLE e (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20));
             INSERT INTO e VALUES (1, ' Ana ', '31/12/1985'), (2, NULL, '01/02/1990'), (3, '  ', NULL)",
        )
        .await;
        let a = Expr::Column(column("a", SqlType::Text));
        let pieces = Expr::Pieces {
            column: column("b", SqlType::Text),
            pieces: vec![
                Piece::Slice { start: 7, length: 4 },
                Piece::Literal("-".into()),
                Piece::Slice { start: 4, length: 2 },
                Piece::Literal("-".into()),
                Piece::Slice { start: 1, length: 2 },
            ],
        };
        let before = |op, text| Predicate::Compare {
            left: pieces.clone(),
            op,
            right: value(SqlType::Text, text),
        };
        assert_eq!(bed.ids("e", before(CompareOp::Lt, "1986-01-01")).await, [1]);
        assert_eq!(bed.ids("e", before(CompareOp::Eq, "1990-02-01")).await, [2]);
        assert_eq!(bed.ids("e", not(before(CompareOp::Lt, "1986-01-01"))).await, [2, 3]);
        let trimmed = Expr::Trimmed(Box::new(a.clone()));
        let ana = matching(trimmed, TextMatch::Equals, "Ana", false);
        assert_eq!(bed.ids("e", ana.clone()).await, [1]);
        assert_eq!(bed.ids("e", not(ana.clone())).await, [2, 3]);
        assert_eq!(bed.ids("e", not(not(ana))).await, [1]);
        let joined = Expr::Joined { parts: vec![a], separator: " ".into() };
        assert_eq!(bed.ids("e", Predicate::IsNull(joined)).await, [2, 3]);
        let sub = query(bed.flavour, "e", &[column("a", SqlType::Text)], Predicate::Always);
        let inside = Predicate::InSelect {
            columns: vec![column("a", SqlType::Text)],
            select: Box::new(wardgate::mapping::plan::Select { limit: None, ..sub }),
        };
        assert_eq!(bed.ids("e", inside.clone()).await, [1, 3]);
        assert_eq!(bed.ids("e", not(inside)).await, [2]);
        let source =
            Relation::Query { name: "q".into(), sql: "SELECT id, a FROM e -- all;\n;".into() };
        let mut what = query(bed.flavour, "e", &[column("id", INT)], Predicate::Always);
        what.from = source.into();
        assert_eq!(bed.page(&what).await.len(), 3);
    }
}
