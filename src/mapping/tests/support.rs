//! What the tests of the language share: a small catalogue, a document over it, rows by hand.

use serde_json::Value as Json;

use crate::base::Engine;
use crate::fhir::SearchQuery;
use crate::mapping::catalog::{Catalog, Column, Index, SqlType, Table};
use crate::mapping::plan::Predicate;
use crate::mapping::rows::Rows;
use crate::mapping::{
    Compiled, Document, PageRequest, PlanFault, RenderReport, RowOutcome, Shown, compile,
};

pub const INT: SqlType = SqlType::Integer { bits: 64, unsigned: false };
pub const TEXT: SqlType = SqlType::Text;

pub fn table(name: &str, columns: &[(&str, SqlType)], key: &str) -> Table {
    let column = |(name, ty): &(&str, SqlType)| Column {
        name: (*name).to_owned(),
        ty: *ty,
        declared: String::new(),
        nullable: *name != "id",
        has_default: false,
        collation: None,
        comment: None,
    };
    Table {
        schema: None,
        name: name.to_owned(),
        view: false,
        heirs: false,
        columns: columns.iter().map(column).collect(),
        primary_key: vec![key.to_owned()],
        text_indexes: Vec::new(),
        indexes: vec![Index { columns: vec![key.to_owned()], unique: true }],
        foreign_keys: Vec::new(),
        estimated_rows: None,
    }
}

pub fn catalog() -> Catalog {
    Catalog {
        engine: Engine::Sqlite,
        version: "3".to_owned(),
        default_schema: None,
        named: Vec::new(),
        tables: vec![
            table(
                "pacientes",
                &[
                    ("id", INT),
                    ("nombre", TEXT),
                    ("ap1", TEXT),
                    ("ap2", TEXT),
                    ("sexo", TEXT),
                    ("nac", TEXT),
                    ("activo", TEXT),
                    ("clave_password", TEXT),
                ],
                "id",
            ),
            table(
                "contactos",
                &[("id", INT), ("paciente", INT), ("tipo", TEXT), ("valor", TEXT)],
                "id",
            ),
            table(
                "mediciones",
                &[
                    ("id", INT),
                    ("paciente", INT),
                    ("cod", TEXT),
                    ("valor", TEXT),
                    ("fecha", TEXT),
                    ("hora", TEXT),
                ],
                "id",
            ),
        ],
    }
}

pub const DOCUMENT: &str = r#"
mapping: 1
fhir: "4.0.1"
database: {timezone: America/Santiago}
codes:
  sexo: {values: {"F": female, "M": male}, otherwise: unknown}
  cod: {values: {"FC": "8867-4"}}
  tipo: {values: {"T": phone, "E": email}}
resources:
  - type: Patient
    from: {table: pacientes}
    key: id
    id: "$id"
    map:
      active: "$activo | bool('1', '0')"
      name:
        - {use: official, family: "$ap1, $ap2 | join(' ')", given: ["$nombre | split(' ')"]}
      telecom:
        - each: {table: contactos, match: {paciente: id}}
          item: {system: "$tipo | code(tipo)", value: "$valor"}
      gender: "$sexo | code(sexo)"
      birthDate: "$nac | date('dd/MM/yyyy')"
  - type: Observation
    from: {table: mediciones}
    key: id
    id: "med-$id"
    map:
      status: final
      code: {coding: [{system: "http://loinc.org", code: "$cod | code(cod)"}]}
      subject: "$paciente | ref(Patient)"
      effectiveDateTime: "$fecha, $hora | datetime('dd/MM/yyyy HH:mm')"
      valueQuantity: {value: "$valor | decimal(',')", unit: /min}
"#;

pub fn compiled() -> Compiled {
    compile(&Document::parse(DOCUMENT).unwrap(), &catalog()).unwrap()
}

pub fn rows(width: usize, cells: &[Option<&str>]) -> Rows {
    let mut rows = Rows::new(width);
    for cell in cells {
        rows.push(*cell).unwrap();
    }
    rows
}

/// Renders one row of the first source of a type; the number of bad cells with it.
pub fn render(
    resource: &str,
    id: &str,
    page: &[Option<&str>],
    children: &[Rows],
) -> (Option<Json>, u32) {
    render_with(&compiled(), (resource, id), &Shown::All, page, children)
}

pub fn render_with(
    compiled: &Compiled,
    (resource, id): (&str, &str),
    shown: &Shown,
    page: &[Option<&str>],
    children: &[Rows],
) -> (Option<Json>, u32) {
    let reads = compiled.plan_read(resource, id);
    let read = reads.first().unwrap();
    let page = rows(read.read.select.columns.len(), page);
    let (mut out, mut report) = (Vec::new(), RenderReport::default());
    let outcome = read.page(&page, children).write(0, shown, &mut out, &mut report);
    let written = matches!(outcome, Some(RowOutcome::Written { .. }));
    let json = written.then(|| serde_json::from_slice(&out).unwrap());
    (json, report.bad_cells().map(|(_, count)| count).sum())
}

pub fn search(resource: &str, query: &str) -> Result<Vec<Predicate>, PlanFault> {
    search_in(&compiled(), resource, query)
}

pub fn search_in(
    compiled: &Compiled,
    resource: &str,
    query: &str,
) -> Result<Vec<Predicate>, PlanFault> {
    let query = SearchQuery::parse(query).unwrap();
    let page = PageRequest { count: 10, after: None, base: "http://x/fhir" };
    let plan = compiled.plan_search(resource, &query, &page)?;
    Ok(plan.sources.iter().map(|p| p.plan.page.filter.clone()).collect())
}
