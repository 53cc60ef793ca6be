//! `wardgate mapping …`.

mod preview;
mod trial;

use std::io::Write as _;
use std::path::Path;

use super::args::MappingVerb;
use super::output::{Output, io_words, table};
use super::{Done, Refused, approval};
use crate::app::Console;
use crate::config::Settings;
use crate::control::{
    ChangeView, ControlFault, DiffView, DoubtfulTable, DraftView, DraftedTable, DriftChange,
    DriftView, MappingReport, MappingView, Ordered, Side,
};

pub(super) async fn run(verb: &MappingVerb, settings: Settings, output: &Output) -> Done {
    let public_url = settings.fhir.public_url.clone();
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
            output.result(&report, |r| problems(r, "the mapping cannot be used"));
            sound(&report)
        }
        MappingVerb::Preview { tenant, file, token_file, gateway, rows, id } => {
            let text = read(file)?;
            if let Some(token_file) = token_file {
                let asked = preview::Asked { tenant, text, token_file, rows: *rows, ids: id };
                let base = gateway.clone().unwrap_or(public_url);
                return preview::run(asked, &base, output).await;
            }
            let report = control.check_mapping(&caller, tenant, &text).await?;
            output.result(&report, |report| {
                let mut lines = problem_lines(report);
                lines.extend(report.trial.iter().flat_map(trial::whole));
                lines.join("\n")
            });
            sound(&report)
        }
        MappingVerb::Diff { tenant, before, after } => {
            let (before, after) = (side(before)?, side(after)?);
            let diff = control.diff_mapping(&caller, tenant, before, after).await?;
            output.result(&diff, differences);
            Ok(())
        }
        MappingVerb::Drift { tenant } => {
            let drift = control.check_drift(&caller, tenant).await?;
            output.result(&drift, drifted_lines);
            if drift.changes.iter().any(|change| change.breaks) {
                return Err(Refused::new(
                    "requests fail until the mapping or the database is mended",
                )
                .hint("write a mapping for the schema as it is, and publish it"));
            }
            Ok(())
        }
        MappingVerb::Import { tenant, file } => {
            let imported = control.import_mapping(&caller, tenant, &read(file)?).await?;
            imported.notes.iter().for_each(|note| output.note(note));
            output.result(&imported, |imported| imported.text.clone());
            Ok(())
        }
        // Needs no gateway; said before one is opened.
        MappingVerb::Schema => Ok(()),
        MappingVerb::Publish { tenant, file } => publish(&console, tenant, file, output).await,
        MappingVerb::List { tenant } => {
            let versions = control.mappings(&caller, tenant).await?;
            output.result(&versions, |versions| listed(versions));
            Ok(())
        }
        MappingVerb::Rollback { tenant } => roll_back(&console, tenant, output).await,
    }
}

async fn roll_back(console: &Console, tenant: &str, output: &Output) -> Done {
    match console.control().rollback_mapping(&console.caller(), tenant, None).await {
        Ok(Ordered::Waits(view)) => approval::waits(&view, output),
        Ok(Ordered::Done(view)) => output.result(&view.mapping, |mapping| {
            let active = mapping.active.map_or_else(|| "none".to_owned(), |n| n.to_string());
            format!("active: version {active}")
        }),
        Err(ControlFault::Mapping(found)) => {
            let report = MappingReport::faulty(found);
            output.result(&report, |r| problems(r, "nothing was changed"));
            return sound(&report);
        }
        Err(fault) => return Err(fault.into()),
    }
    Ok(())
}

async fn publish(console: &Console, tenant: &str, file: &Path, output: &Output) -> Done {
    let (control, caller) = (console.control(), console.caller());
    let report = control.store_mapping(&caller, tenant, &read(file)?).await?;
    if let Some(version) = report.version
        && let Ordered::Waits(view) =
            control.publish_mapping(&caller, tenant, version, None).await?
    {
        approval::waits(&view, output);
        return Ok(());
    }
    output.result(&report, |r| problems(r, "nothing was stored"));
    sound(&report)
}

fn listed(versions: &[MappingView]) -> String {
    let row = |v: &MappingView| {
        let active = if v.active { "active" } else { "" };
        vec![v.version.to_string(), v.created_at.clone(), v.created_by.clone(), active.to_owned()]
    };
    let rows: Vec<_> = versions.iter().map(row).collect();
    table(&["VERSION", "STORED", "BY", ""], &rows)
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

/// One side of a comparison: a version, the one in force, or a file.
fn side(named: &str) -> Result<Side, Refused> {
    if named == "active" {
        return Ok(Side::Active);
    }
    match named.parse() {
        Ok(version) => Ok(Side::Version(version)),
        Err(_) => read(Path::new(named)).map(Side::Text),
    }
}

fn differences(diff: &DiffView) -> String {
    let mut lines = Vec::new();
    let mut about = "";
    for change in &diff.changes {
        if change.about != about {
            about = &change.about;
            lines.push(about.to_owned());
        }
        let ChangeView { part, kind, before, after, .. } = change;
        let what = if part.is_empty() { kind.clone() } else { format!("{part} {kind}") };
        lines.push(match kind.as_str() {
            "changed" => format!("  {what}: {before} -> {after}"),
            "removed" => format!("  {what}: {before}"),
            _ => format!("  {what}: {after}"),
        });
    }
    if diff.changes.is_empty() {
        lines.push("the mappings are the same".to_owned());
    }
    match &diff.promises {
        None => lines
            .push("one of them does not compile, so what they promise is not compared".to_owned()),
        Some(promises) if promises.is_empty() => {
            lines.push("what is served and searched stays the same".to_owned());
        }
        Some(promises) => lines.extend(promises.iter().cloned()),
    }
    lines.join("\n")
}

fn drifted_lines(drift: &DriftView) -> String {
    if drift.changes.is_empty() {
        return format!("version {} fits the database as it is", drift.version);
    }
    let line = |change: &DriftChange| {
        let needed = change.paths.join(", ");
        let weight = if change.breaks { "BREAKS" } else { "slower or different" };
        format!("{weight}: {} Needed by: {needed}", change.message)
    };
    drift.changes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn problem_lines(report: &MappingReport) -> Vec<String> {
    let problems = report.problems.iter();
    problems
        .map(|p| {
            // The pointer to the whole document is empty.
            let place = if p.pointer.is_empty() { "the document" } else { &p.pointer };
            format!("{}: {} at {place}: {} — {}", p.severity, p.code, p.message, p.hint)
        })
        .collect()
}

fn problems(report: &MappingReport, otherwise: &str) -> String {
    let mut lines = problem_lines(report);
    if let Some(trial) = &report.trial {
        lines.extend(trial::lines(trial));
    }
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
