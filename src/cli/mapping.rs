//! `wardgate mapping …`.

mod trial;

use std::io::Write as _;
use std::path::Path;

use super::args::MappingVerb;
use super::output::{Output, table};
use super::{Done, Refused};
use crate::app::Console;
use crate::config::Settings;
use crate::control::{DoubtfulTable, DraftView, DraftedTable, MappingReport, MappingView};

pub(super) async fn run(verb: &MappingVerb, settings: Settings, output: &Output) -> Done {
    let console = Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))?;
    let control = console.control();
    let caller = console.caller();
    match verb {
        MappingVerb::Draft { tenant, output: file } => {
            let draft = control.draft_mapping(&caller, tenant).await?;
            drafted(&draft, file.as_deref(), output)
        }
        MappingVerb::Check { tenant, file } => {
            let report = control.check_mapping(&caller, tenant, &read(file)?).await?;
            output.result(&report, problems);
            sound(&report)
        }
        MappingVerb::Publish { tenant, file } => {
            let report = control.store_mapping(&caller, tenant, &read(file)?).await?;
            if let Some(version) = report.version {
                control.publish_mapping(&caller, tenant, version, None).await?;
            }
            output.result(&report, problems);
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

fn drafted(draft: &DraftView, file: Option<&Path>, output: &Output) -> Done {
    if let Some(file) = file {
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).open(file);
        let written = opened.and_then(|mut opened| opened.write_all(draft.text.as_bytes()));
        written.map_err(|error| {
            Refused::new(format!("{} cannot be written: {}", file.display(), error.kind()))
        })?;
    } else if !output.is_json() {
        output.line(draft.text.trim_end());
    }
    for DraftedTable { resource_type, table } in &draft.mapped {
        output.note(&format!("{resource_type} from {table}"));
    }
    for DoubtfulTable { table, why } in &draft.switched_off {
        output.note(&format!("{table} is commented out: {why}"));
    }
    if draft.unrecognised > 0 {
        output.note(&format!(
            "{} tables were not recognised; the draft lists them",
            draft.unrecognised
        ));
    }
    if output.is_json() {
        output.result(draft, |_| String::new());
    }
    if draft.mapped.is_empty() {
        return Err(Refused::new("no table could be mapped as it stands")
            .hint("the draft says of each table why"));
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Refused> {
    std::fs::read_to_string(file).map_err(|error| {
        Refused::new(format!("{} cannot be read: {}", file.display(), error.kind()))
    })
}

fn sound(report: &MappingReport) -> Done {
    if report.ok {
        return Ok(());
    }
    let faults = report.problems.iter().filter(|p| p.severity == "error").count();
    Err(Refused::new(format!(
        "{faults} fault{} in the mapping",
        if faults == 1 { "" } else { "s" }
    )))
}

fn problems(report: &MappingReport) -> String {
    let mut lines: Vec<String> = report
        .problems
        .iter()
        .map(|p| format!("{}: {} at {}: {} — {}", p.severity, p.code, p.pointer, p.message, p.hint))
        .collect();
    if let Some(trial) = &report.trial {
        lines.extend(trial::lines(trial));
    }
    lines.push(match report.version {
        Some(version) => format!("stored as version {version}"),
        None if report.ok => "the mapping is sound".to_owned(),
        None => "nothing was stored".to_owned(),
    });
    lines.join("\n")
}
