//! Mapping documents: whatever they say, reading and compiling them ends; whatever compiles gives JSON for
//! any row.

use proptest::prelude::*;
use serde_json::Value;
use wardgate::base::Engine;
use wardgate::fhir::query::SearchQuery;
use wardgate::mapping::catalog::{Catalog, Column, Index, SqlType, Table};
use wardgate::mapping::plan::Select;
use wardgate::mapping::rows::Rows;
use wardgate::mapping::{
    Compiled, Document, PageRequest, RenderReport, RowOutcome, Shown, compile,
};

use crate::{damage, edits, holds};

/// The demo's hospitals: a mapping and the schema it is for.
const HOSPITALS: [(&str, &str); 3] = [
    (
        include_str!("../../src/app/demo/hospitals/north.yaml"),
        include_str!("../../src/app/demo/hospitals/north.sql"),
    ),
    (
        include_str!("../../src/app/demo/hospitals/lakes.yaml"),
        include_str!("../../src/app/demo/hospitals/lakes.sql"),
    ),
    (
        include_str!("../../src/app/demo/hospitals/sur.yaml"),
        include_str!("../../src/app/demo/hospitals/sur.sql"),
    ),
];

/// The tables of a script, read just well enough for these three.
fn catalog(sql: &str) -> Catalog {
    let mut tables = Vec::new();
    for script in sql.split("CREATE TABLE ").skip(1) {
        let (name, body) = script.split_once(" (").unwrap();
        let body = body.split_once("\n)").unwrap().0;
        let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
        let (mut columns, mut primary_key) = (Vec::new(), Vec::new());
        for line in lines {
            let mut words = line.split_whitespace();
            let (name, declared) = (words.next().unwrap(), words.next().unwrap());
            let integer = SqlType::Integer { bits: 64, unsigned: false };
            columns.push(Column {
                name: name.to_owned(),
                ty: if declared.starts_with("INTEGER") { integer } else { SqlType::Text },
                declared: declared.trim_end_matches(',').to_owned(),
                nullable: true,
                has_default: false,
                collation: None,
                comment: None,
            });
            if line.contains("PRIMARY KEY") {
                primary_key.push(name.to_owned());
            }
        }
        tables.push(Table {
            schema: None,
            name: name.to_owned(),
            view: false,
            heirs: false,
            columns,
            text_indexes: Vec::new(),
            indexes: vec![Index { columns: primary_key.clone(), unique: true }],
            primary_key,
            foreign_keys: Vec::new(),
            estimated_rows: None,
        });
    }
    Catalog {
        engine: Engine::Sqlite,
        version: "3".to_owned(),
        default_schema: None,
        tables,
        named: Vec::new(),
    }
}

/// Every resource type is asked for, and a row of such cells rendered by every plan.
fn use_it(compiled: &Compiled, cells: &[Option<String>], query: &str) -> Result<(), TestCaseError> {
    let page = PageRequest { count: 10, after: None, base: "http://x/fhir" };
    for ty in compiled.resource_types() {
        let _reads = compiled.plan_read(ty, "1");
        if let Ok(query) = SearchQuery::parse(query) {
            let _plan_or_refusal = compiled.plan_search(ty, &query, &page);
        }
        let Ok(all) = compiled.plan_search(ty, &SearchQuery::default(), &page) else { continue };
        for source in &all.sources {
            let rows = filled(&source.plan.page, cells);
            let children = &source.plan.children;
            let children: Vec<Rows> = children.iter().map(|c| filled(&c.select, cells)).collect();
            let (mut out, mut report) = (Vec::new(), RenderReport::default());
            let outcome =
                source.page(&rows, &children).write(0, &Shown::All, &mut out, &mut report);
            let Some(RowOutcome::Written { id }) = outcome else { continue };
            let resource: Value = serde_json::from_slice(&out).map_err(|fault| {
                TestCaseError::fail(format!("{fault}: {}", String::from_utf8_lossy(&out)))
            })?;
            prop_assert_eq!(&resource["resourceType"], ty);
            prop_assert_eq!(resource["id"].as_str().map(str::as_bytes), out.get(id));
        }
    }
    Ok(())
}

/// One row of what is selected.
fn filled(select: &Select, cells: &[Option<String>]) -> Rows {
    let width = select.columns.len();
    let mut rows = Rows::new(width);
    for at in 0..width {
        rows.push(cells.get(at % cells.len().max(1)).and_then(Option::as_deref)).unwrap();
    }
    rows
}

fn cells() -> impl Strategy<Value = Vec<Option<String>>> {
    let cell = prop_oneof![
        "\\PC{0,30}",
        "[0-9]{1,4}[-/.][0-9]{1,4}[-/.][0-9]{1,4}",
        "-?[0-9]{1,30}([.,][0-9]{0,30})?(e-?[0-9]{1,9})?",
        proptest::sample::select(
            &["1", "0", "F", "M", "Y", "N", "", " ", "\u{0}", "\"", "\\", "\u{2028}"][..]
        )
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(proptest::option::weighted(0.9, cell), 1..12)
}

#[test]
fn the_demos_mappings_compile_and_render_anything() {
    let compiled: Vec<Compiled> = HOSPITALS
        .iter()
        .map(|(yaml, sql)| compile(&Document::parse(yaml).unwrap(), &catalog(sql)).unwrap())
        .collect();
    let query = "[a-z_]{1,12}(:[a-z]{1,8})?=[ -~]{0,30}";
    holds(&(0..HOSPITALS.len(), cells(), query), |(which, cells, query)| {
        use_it(&compiled[which], &cells, &query)
    });
}

#[test]
fn a_damaged_document_is_reported_or_works() {
    const PIECES: &[&str] = &[
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "|",
        "$",
        "$id",
        "$$",
        " | ",
        "date('",
        "code(",
        "join(' ')",
        "ref(Patient)",
        "each:",
        "table: ",
        "match: {id: id}",
        "key: []",
        "id: \"$id\"",
        "&a",
        "*a",
        "!!binary",
        "---\n",
        "mapping: 2",
        "<<: *a",
        "9999999999999999999",
        ".inf",
        "~",
        "\t",
        "\u{feff}",
    ];
    let inputs = (0..HOSPITALS.len(), proptest::collection::vec(edits(PIECES), 0..6), cells());
    holds(&inputs, |(which, edits, cells)| {
        let (yaml, sql) = HOSPITALS[which];
        let mut bytes = yaml.as_bytes().to_vec();
        damage(&mut bytes, &edits);
        read(&String::from_utf8_lossy(&bytes), &catalog(sql), &cells)
    });
}

fn read(text: &str, catalog: &Catalog, cells: &[Option<String>]) -> Result<(), TestCaseError> {
    let problems = match Document::parse(text) {
        Err(problems) => problems,
        Ok(document) => {
            // What is kept is the document as JSON; it reads back as itself.
            let kept = document.to_json();
            let again = Document::parse(&kept).map(|again| again.to_json());
            prop_assert_eq!(again.ok(), Some(kept));
            match compile(&document, catalog) {
                Err(problems) => problems,
                Ok(compiled) => return use_it(&compiled, cells, "family=a"),
            }
        }
    };
    // Whoever wrote it is told where it is wrong and what to do.
    prop_assert!(!problems.is_empty());
    for problem in &problems {
        prop_assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'));
        prop_assert!(!problem.message.is_empty() && !problem.code.is_empty());
    }
    Ok(())
}

/// A value in place of another, somewhere in the tree.
#[test]
fn a_document_of_another_shape_is_reported_or_works() {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (any::<i32>(), 0..5)
            .prop_map(|(n, digits)| Value::from(f64::from(n) / 10_f64.powi(digits))),
        "[$]?[a-z_]{0,12}( \\| [a-z]{1,8}(\\('?[a-z/ ]{0,8}'?\\))?)?".prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-zA-Z]{1,10}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    });
    let inputs =
        (0..HOSPITALS.len(), proptest::collection::vec((any::<usize>(), tree), 1..4), cells());
    holds(&inputs, |(which, changes, cells)| {
        let (yaml, sql) = HOSPITALS[which];
        let kept = Document::parse(yaml).unwrap().to_json();
        let mut tree: Value = serde_json::from_str(&kept).unwrap();
        for (at, value) in changes {
            let places = count(&tree);
            replace(&mut tree, &mut (at % places), value);
        }
        read(&tree.to_string(), &catalog(sql), &cells)
    });
}

fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// Puts a value at the place of that number, counted depth first.
fn replace(tree: &mut Value, at: &mut usize, value: Value) -> Option<Value> {
    if *at == 0 {
        *tree = value;
        return None;
    }
    *at -= 1;
    let mut value = Some(value);
    let mut go = |child: &mut Value| {
        if let Some(given) = value.take() {
            value = replace(child, at, given);
        }
    };
    match tree {
        Value::Array(all) => all.iter_mut().for_each(&mut go),
        Value::Object(all) => all.values_mut().for_each(&mut go),
        _ => {}
    }
    value
}
