//! How far the conditions of one search may look.

use super::support::{INT, catalog, compiled, rows, search_in, table};
use crate::base::Engine;
use crate::fhir::SearchQuery;
use crate::mapping::catalog::SqlType;
use crate::mapping::{
    Compiled, Document, PageRequest, PlanFault, RenderReport, SearchPlan, Shown, compile,
};

fn plan(compiled: &Compiled, ty: &str, query: &str) -> Result<SearchPlan, PlanFault> {
    let query = SearchQuery::parse(query).unwrap();
    compiled.plan_search(ty, &query, &PageRequest { count: 1, after: None, base: "" })
}

/// `Observation?patient._has:Observation:patient:patient._has:…`, so many references long.
fn back_and_forth(steps: usize) -> String {
    let mut text = String::new();
    for step in 0..steps {
        text += if step % 2 == 0 { "patient." } else { "_has:Observation:patient:" };
    }
    text + "_id=1"
}

#[test]
fn a_condition_follows_four_references_and_no_fifth() {
    let compiled = compiled();
    for steps in 1..=4 {
        let plan = plan(&compiled, "Observation", &back_and_forth(steps));
        assert!(plan.is_ok(), "{steps}: {:?}", plan.err());
    }
    for steps in 5..8 {
        let fault = plan(&compiled, "Observation", &back_and_forth(steps)).unwrap_err();
        assert!(matches!(fault, PlanFault::Deep { most: 4, .. }), "{steps}: {fault}");
    }
    // The other way round as well, and whatever stands at the end.
    let back = "_has:Observation:patient:patient._has:Observation:patient:patient.";
    assert!(plan(&compiled, "Patient", &format!("{back}gender=male")).is_ok());
    let fault = plan(&compiled, "Patient", &format!("{back}_has:Observation:patient:_id=1"));
    assert!(matches!(fault.unwrap_err(), PlanFault::Deep { .. }));
}

#[test]
fn a_search_looks_into_sixty_four_sources_and_no_more() {
    let compiled = compiled();
    let asked = |number: usize| vec!["patient.gender=male"; number].join("&");
    assert!(plan(&compiled, "Observation", &asked(64)).is_ok());
    let fault = plan(&compiled, "Observation", &asked(65)).unwrap_err();
    assert!(matches!(fault, PlanFault::Wide { most: 64, .. }), "{fault}");
    // Each step of a condition is a look of its own.
    let two = vec!["patient._has:Observation:patient:_id=1"; 32].join("&");
    assert!(plan(&compiled, "Observation", &two).is_ok());
    let one_more = format!("{two}&patient.gender=male");
    let fault = plan(&compiled, "Observation", &one_more).unwrap_err();
    assert!(matches!(fault, PlanFault::Wide { .. }), "{fault}");
    // What looks no further costs none.
    let many = format!("{}&code=1&status=final", asked(64));
    assert!(plan(&compiled, "Observation", &many).is_ok());
}

#[test]
fn values_count_once_for_every_source_they_are_asked_of() {
    let text = super::support::DOCUMENT;
    let (_, entry) = text.split_once("  - type: Observation\n").unwrap();
    let mut document = text.to_owned();
    for number in 2..=5 {
        let copy = entry.replace("id: \"med-$id\"", &format!("id: \"m{number}-$id\""));
        document.extend(["  - name: o", &number.to_string(), "\n    type: Observation\n", &copy]);
    }
    let five = compile(&Document::parse(&document).unwrap(), &catalog()).unwrap();
    let values = |count: usize| vec!["1"; count].join(",");
    let asked = |count: usize| format!("_has:Observation:patient:_id={}", values(count));
    // Five sources, 400 values: 2,000.
    assert!(plan(&five, "Patient", &asked(400)).is_ok());
    let fault = plan(&five, "Patient", &asked(401)).unwrap_err();
    assert!(matches!(fault, PlanFault::Wide { .. }), "{fault}");
}

#[test]
fn every_type_on_the_way_is_named() {
    let compiled = compiled();
    let reached = |ty: &str, query: &str| {
        let plan = plan(&compiled, ty, query).unwrap();
        plan.reached.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reached("Observation", "patient=1&code=x"), "");
    assert_eq!(reached("Observation", "patient.gender=male"), "Patient");
    assert_eq!(reached("Patient", "_has:Observation:patient:_id=1"), "Observation");
    let both = "patient._has:Observation:patient:_id=1";
    assert_eq!(reached("Observation", both), "Observation Patient");
}

/// What a mapping makes of one patient, and the elements that did not fit or lack.
fn made(codes: &str, family: &str, given: &str, cell: &str) -> (usize, Vec<String>, Vec<String>) {
    let text = format!(
        "mapping: 1\ncodes: {{{codes}}}\nresources:\n  - {{type: Patient, from: {{table: pacientes}}, key: [id], \
         id: \"$id\", map: {{name: [{{family: \"{family}\", given: [{given}]}}]}}}}\n"
    );
    let compiled = compile(&Document::parse(&text).unwrap(), &catalog()).unwrap();
    let (_, planned) = compiled.first_pages(1).pop().unwrap();
    let columns = &planned.plan.page.columns;
    let cells: Vec<_> = columns
        .iter()
        .map(|column| match column.name.as_str() {
            "id" => Some("1"),
            "nombre" => Some(cell),
            _ => Some("F"),
        })
        .collect();
    let rows = rows(columns.len(), &cells);
    let (mut out, mut report) = (Vec::new(), RenderReport::default());
    planned.page(&rows, &[]).write(0, &Shown::All, &mut out, &mut report);
    let paths = |of: Vec<(&str, u32)>| of.into_iter().map(|(path, _)| path.to_owned()).collect();
    (out.len(), paths(report.bad_cells().collect()), paths(report.rows_left_out().collect()))
}

#[test]
fn texts_that_grow_and_grow_do_not_become_values() {
    let grown = |letter: &str| letter.repeat(1000);
    let family =
        format!("$nombre | replace('a', '{}') | replace('b', '{}')", grown("b"), grown("c"));
    let (length, bad, _) = made("", &family, "x", "aaaaaaaaaa");
    assert!(length > 10_000_000 && bad.is_empty(), "{length} {bad:?}");
    let (length, bad, _) = made("", &family, "x", &"a".repeat(17));
    assert!(length < 1000 && bad == ["Patient.name.family"], "{length} {bad:?}");
    // Columns put together with a long text between them.
    let joined = format!("{} | join('{}')", vec!["$nombre"; 20].join(", "), "-".repeat(1_000_000));
    let (length, bad, _) = made("", &joined, "x", "a");
    assert!(length < 1000 && bad == ["Patient.name.family"], "{length} {bad:?}");
}

#[test]
fn a_resource_that_becomes_too_long_is_left_out() {
    let codes =
        format!("big: {{values: {{F: {{code: f, display: \"{}\"}}}}}}", "d".repeat(1_000_000));
    let given = |count: usize| vec!["\"$sexo | display(big)\""; count].join(", ");
    let (length, bad, left_out) = made(&codes, "$nombre", &given(30), "a");
    assert!(length > 30_000_000 && bad.is_empty() && left_out.is_empty(), "{length}");
    let (length, _, left_out) = made(&codes, "$nombre", &given(40), "a");
    assert_eq!((length, left_out), (0, vec!["(too long)".to_owned()]));
}

#[test]
fn leaves_do_so_much_and_no_more() {
    let problems = |count: usize| {
        let given = vec!["$nombre|trim"; count].join(", ");
        let text = format!(
            "mapping: 1\nresources:\n  - {{type: Patient, from: {{table: pacientes}}, key: [id], id: \"$id\", \
             map: {{name: [{{given: [{given}]}}]}}}}\n"
        );
        compile(&Document::parse(&text).unwrap(), &catalog()).map(drop)
    };
    assert_eq!(problems(10_000), Ok(()));
    let refused = problems(10_001).unwrap_err();
    assert_eq!(refused.iter().filter(|problem| problem.code == "too-many").count(), 1);
}

#[test]
fn a_value_takes_so_many_steps_and_no_more() {
    let problems = |steps: usize| {
        let text = format!(
            "mapping: 1\nresources:\n  - {{type: Patient, from: {{table: pacientes}}, key: [id], id: \"$id\", \
             map: {{name: [{{family: \"$nombre{}\"}}]}}}}\n",
            "|upper".repeat(steps)
        );
        compile(&Document::parse(&text).unwrap(), &catalog()).map(drop)
    };
    assert_eq!(problems(63), Ok(()));
    let refused = problems(64).unwrap_err();
    assert_eq!(refused.iter().filter(|problem| problem.code == "too-many").count(), 1);
}

/// Long texts that are shown by nobody cost as much as others.
#[test]
fn a_resource_that_is_too_much_work_is_left_out() {
    // 1 MiB at each step, and nothing that is known in the end.
    let none = "none: {values: {F: f}}";
    let steps = "|trim".repeat(39);
    let given = |count: usize| vec![format!("\"$nombre{steps}|code(none)\""); count].join(", ");
    let cell = "a".repeat(1 << 20);
    let (_, _, left_out) = made(none, "$sexo", &given(5), &cell);
    assert!(left_out.is_empty(), "{left_out:?}");
    let (length, _, left_out) = made(none, "$sexo", &given(7), &cell);
    assert_eq!((length, left_out), (0, vec!["(too long)".to_owned()]));
}

/// East of Greenwich the first day there is begins in a year that PostgreSQL and MySQL do not know.
#[test]
fn no_engine_is_asked_for_the_year_before_the_first() {
    for engine in [Engine::Postgres, Engine::MySql] {
        for ty in [SqlType::Instant, SqlType::DateTime, SqlType::Date] {
            let mut catalog = catalog();
            catalog.engine = engine;
            catalog.tables = vec![table("t", &[("id", INT), ("at", ty)], "id")];
            for zone in ["Asia/Tokyo", "America/Santiago"] {
                let document = format!(
                    "mapping: 1\ndatabase: {{timezone: {zone}}}\nresources:\n  - type: Encounter\n    from: {{table: t}}\n    \
                     key: id\n    id: \"$id\"\n    map: {{status: finished, class: {{code: AMB}}, period: {{start: \"$at\"}}}}\n"
                );
                let compiled = compile(&Document::parse(&document).unwrap(), &catalog).unwrap();
                for prefix in ["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"] {
                    for date in ["0001-01-01", "0001-01-01T00:00:00%2B14:00"] {
                        let query = format!("date={prefix}{date}");
                        let asked = search_in(&compiled, "Encounter", &query).unwrap();
                        let asked = format!("{asked:?}");
                        assert!(
                            !asked.contains("\"0000-"),
                            "{engine:?} {ty:?} {zone} {query}: {asked}"
                        );
                    }
                }
            }
        }
    }
}
