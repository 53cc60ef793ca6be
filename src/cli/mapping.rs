//! `wardgate mapping …`.

use std::path::Path;

use super::args::MappingVerb;
use super::output::{Output, io_words, table};
use super::{Done, Refused};
use crate::app::Console;
use crate::config::Settings;
use crate::control::{MappingReport, MappingView};

pub(super) async fn run(verb: &MappingVerb, settings: Settings, output: &Output) -> Done {
    let console = Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))?;
    let control = console.control();
    let caller = console.caller();
    match verb {
        MappingVerb::Check { tenant, file } => {
            let report = control.check_mapping(&caller, tenant, &read(file)?).await?;
            output.result(&report, |r| problems(r, "the mapping cannot be used"));
            sound(&report)
        }
        MappingVerb::Publish { tenant, file } => {
            let report = control.store_mapping(&caller, tenant, &read(file)?).await?;
            if let Some(version) = report.version {
                control.publish_mapping(&caller, tenant, version, None).await?;
            }
            output.result(&report, |r| problems(r, "nothing was stored"));
            sound(&report)
        }
        MappingVerb::List { tenant } => {
            let versions = control.mappings(&caller, tenant).await?;
            output.result(&versions, |versions| {
                let row = |v: &MappingView| {
                    let active = if v.active { "active" } else { "" };
                    vec![
                        v.version.to_string(),
                        v.created_at.clone(),
                        v.created_by.clone(),
                        active.to_owned(),
                    ]
                };
                let rows: Vec<_> = versions.iter().map(row).collect();
                table(&["VERSION", "STORED", "BY", ""], &rows)
            });
            Ok(())
        }
        MappingVerb::Rollback { tenant } => {
            let view = control.rollback_mapping(&caller, tenant, None).await?;
            output.result(&view.mapping, |m| {
                format!(
                    "active: version {}",
                    m.active.map_or_else(|| "none".to_owned(), |n| n.to_string())
                )
            });
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<String, Refused> {
    std::fs::read_to_string(file).map_err(|error| {
        Refused::new(format!("{} cannot be read: {}", file.display(), io_words(&error)))
            .hint("FILE is the mapping, YAML or JSON")
    })
}

fn sound(report: &MappingReport) -> Done {
    if report.ok {
        return Ok(());
    }
    let faults = report.problems.iter().filter(|p| p.severity == "error").count();
    let plural = if faults == 1 { "" } else { "s" };
    Err(Refused::new(format!("{faults} fault{plural} in the mapping"))
        .hint("docs/mapping/LANGUAGE.md describes the language"))
}

fn problems(report: &MappingReport, otherwise: &str) -> String {
    let mut lines: Vec<String> = report
        .problems
        .iter()
        .map(|p| {
            // The pointer to the whole document is empty.
            let place = if p.pointer.is_empty() { "the document" } else { &p.pointer };
            format!("{}: {} at {place}: {} — {}", p.severity, p.code, p.message, p.hint)
        })
        .collect();
    let searches = report.searches.iter().filter(|_| report.version.is_none());
    for of in searches {
        lines.push(format!("{} is searched by {}", of.resource_type, of.served.join(", ")));
        for group in &of.unserved {
            lines.push(format!("  not by {}: {}", group.parameters.join(", "), group.reason));
        }
    }
    lines.push(match report.version {
        Some(version) => format!("stored as version {version}"),
        None if report.ok => "the mapping is sound".to_owned(),
        None => otherwise.to_owned(),
    });
    lines.join("\n")
}
