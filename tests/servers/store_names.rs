//! Searches by the beginning of a text that ignore case and accents, and the indexes that serve them.

use wardgate::mapping::catalog::{IndexedText, SqlType, TextIndex};
use wardgate::mapping::plan::{Alike, Expr, Predicate, TextMatch};
use wardgate::store::run::TenantConn;

use crate::store_bed::{Bed, INT, column, query};

/// A search that ignores case and accents uses an index of folded texts, and finds the same without one.
#[tokio::test]
async fn a_folded_search_uses_an_index_of_folded_texts() {
    let mut bed = Bed::postgres().await;
    bed.execute("CREATE TABLE x (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL)").await;
    bed.execute(
        "INSERT INTO x SELECT n, (ARRAY['Müller ', 'MULLER ', 'Muñoz ', 'Петров ', 'ΠΕΤΡΟΥ '])[1 + n % 5] || n \
         FROM generate_series(1, 20000) AS n",
    )
    .await;
    bed.execute("ANALYZE x").await;
    let columns = [column("id", INT), column("v", SqlType::Text)];
    let texts = ["muller 1000", "MUÑOZ 77", "петров 1003", "Πετρου 14", "x"];
    let flavour = bed.flavour;
    let asked = |text: &str, how| {
        let left = Expr::Column(column("v", SqlType::Text));
        let text = text.to_owned();
        let near = Predicate::Folded { left: left.clone(), begins: text.clone() };
        let shown = Predicate::Text { left, how, text, alike: Alike::Folded };
        query(flavour, "x", &columns, Predicate::All(vec![shown, near]))
    };
    let mut found = Vec::new();
    for indexed in [false, true] {
        if indexed {
            let (from, to) = wardgate::mapping::fold::translation();
            let index =
                format!("CREATE INDEX ON x (translate(v, '{from}', '{to}') text_pattern_ops)");
            bed.execute(&index).await;
            bed.execute("ANALYZE x").await;
        }
        let mut all = Vec::new();
        for (text, how) in texts
            .iter()
            .flat_map(|t| [TextMatch::StartsWith, TextMatch::Equals].map(|how| (*t, how)))
        {
            let what = asked(text, how);
            let plan = bed.explain(&what).await;
            assert_eq!(plan.contains("Index Cond"), indexed, "{text} {plan}");
            all.push(bed.page(&what).await);
        }
        found.push(all);
    }
    assert_eq!(found[0], found[1]);
    assert!(found[0].iter().step_by(2).take(4).all(|rows| !rows.is_empty()), "{found:?}");
}

/// A search that ignores case and accents uses an index of small letters that the hospital has, and finds
/// the same as without: letters whose small one is of ASCII, texts of which `lower` makes something else,
/// blanks in front.
#[tokio::test]
async fn a_folded_search_uses_an_index_of_small_letters() {
    let mut bed = Bed::postgres().await;
    bed.execute(
        "CREATE TABLE x (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL); \
         INSERT INTO x SELECT n, (ARRAY['Müller ', 'MULLER ', 'mULLer ', '  Müller ', E'M\\u016Bller ', 'Muñoz ', 'Łukasz ', \
         E'\\u212Aim ', 'KIM ', E'\\u0130nan ', 'inan ', E'I\\u0307nan ', 'Ğarcia ', 'O''Brien ', 'Петров ', E'\\tMuller ', '~x '])[1 + n % 17] || n \
         FROM generate_series(1, 34000) AS n; ANALYZE x",
    )
    .await;
    let columns = [column("id", INT), column("v", SqlType::Text)];
    let texts = [
        "muller 1000",
        "M",
        "mul",
        "MÜLLER",
        "muñoz 5",
        "lukasz 6",
        "kim",
        "İnan",
        "inan 2",
        "garcia",
        "o'brien",
        "~x 1",
        "петров",
    ];
    let flavour = bed.flavour;
    let asked = |text: &str, near: bool| {
        let v = column("v", SqlType::Text);
        let left = Expr::Trimmed(Box::new(Expr::Column(v.clone())));
        let (how, text) = (TextMatch::StartsWith, text.to_owned());
        let lowered = Predicate::Lowered { column: v, begins: text.clone() };
        let shown = Predicate::Text { left, how, text, alike: Alike::Folded };
        let all = [Some(shown), near.then_some(lowered)].into_iter().flatten().collect();
        query(flavour, "x", &columns, Predicate::All(all))
    };
    assert!(bed.catalog().await.tables[0].text_indexes.is_empty());
    let mut without = Vec::new();
    for text in texts {
        without.push(bed.page(&asked(text, false)).await);
    }
    bed.execute("CREATE INDEX ON x (lower(v) text_pattern_ops); ANALYZE x").await;
    let lowered = TextIndex { column: "v".to_owned(), of: IndexedText::Lowered };
    assert_eq!(bed.catalog().await.tables[0].text_indexes, [lowered]);
    let (TenantConn::Postgres(session), _) = bed.conn() else { panic!("no session") };
    session.command("SET enable_seqscan = off").await.unwrap();
    session.command("SET enable_indexscan = off").await.unwrap();
    for (text, without) in texts.into_iter().zip(without) {
        assert!(!without.is_empty(), "{text}");
        let what = asked(text, true);
        let plan = bed.explain(&what).await;
        assert_eq!(plan.contains("Index Cond"), text != "петров", "{text} {plan}");
        assert_eq!(bed.page(&what).await, without, "{text}");
    }
}
