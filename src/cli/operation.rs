//! `wardgate operation …` and `wardgate server …`, and what waits for an operation to end.

use uuid::Uuid;

use super::args::{OperationVerb, ServerVerb};
use super::output::{Output, table};
use super::tenant::connection;
use super::{Done, Refused};
use crate::app::Console;
use crate::config::Settings;
use crate::control::{NewServer, OperationQuery, OperationView, ServerConnection, ServerView};

async fn console(settings: Settings) -> Result<Console, Refused> {
    Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))
}

pub(super) async fn run(verb: &OperationVerb, settings: Settings, output: &Output) -> Done {
    let console = console(settings).await?;
    let (control, caller) = (console.control(), console.caller());
    match verb {
        OperationVerb::List { state, tenant, limit } => {
            let (state, tenant) = (state.clone(), tenant.clone());
            let query = OperationQuery { state, tenant, ..OperationQuery::default() };
            let page = control.operations(&caller, &query, None, *limit).await?;
            output.result(&page.operations, |all| {
                let rows: Vec<_> = all.iter().map(row).collect();
                table(&["ID", "KIND", "ABOUT", "STATE", "STEP", "ORDERED BY"], &rows)
            });
        }
        OperationVerb::Show { id } => {
            output.result(&control.operation(&caller, id_of(id)?).await?, one);
        }
        OperationVerb::Retry { id, wait } => {
            let view = control.retry_operation(&caller, id_of(id)?).await?;
            after(&console, view, *wait, output).await?;
        }
        OperationVerb::Cancel { id, wait } => {
            let view = control.cancel_operation(&caller, id_of(id)?).await?;
            after(&console, view, *wait, output).await?;
        }
        OperationVerb::Freeze { id } => {
            output.result(&control.freeze_operation(&caller, id_of(id)?, true).await?, one);
        }
        OperationVerb::Resume { id } => {
            output.result(&control.freeze_operation(&caller, id_of(id)?, false).await?, one);
        }
        OperationVerb::Run { id } => {
            let view = control.operation(&caller, id_of(id)?).await?;
            follow(&console, view, output).await?;
        }
    }
    Ok(())
}

async fn after(console: &Console, view: OperationView, wait: bool, output: &Output) -> Done {
    if wait {
        return follow(console, view, output).await;
    }
    output.result(&view, one);
    Ok(())
}

/// Carries an ordered operation out here, or watches whoever does, until it is over.
pub(super) async fn follow(console: &Console, view: OperationView, output: &Output) -> Done {
    let control = console.control();
    let names = view.of;
    control
        .drive(view.id, |now| {
            let tenants = now.progress.get("tenants");
            let figures = tenants.map(|t| format!("  {t}")).unwrap_or_default();
            output.progress(&format!(
                "{} {}: step {} of {names}{figures}",
                now.kind, now.state, now.step
            ));
        })
        .await?;
    let ended = control.operation(&console.caller(), view.id).await?;
    output.result(&ended, one);
    match (ended.state.as_str(), ended.frozen) {
        ("succeeded" | "cancelled", _) | (_, true) => Ok(()),
        _ => {
            let text = ended.error.as_ref().map_or("it failed", |error| error.message.as_str());
            let hint = format!(
                "`wardgate operation retry {0}` goes on, `operation cancel {0}` takes it back",
                ended.id
            );
            Err(Refused::new(text).hint(hint))
        }
    }
}

fn id_of(text: &str) -> Result<Uuid, Refused> {
    text.parse().map_err(|_| {
        Refused::new("an operation is named by its UUID")
            .hint("`wardgate operation list` shows all")
    })
}

fn row(view: &OperationView) -> Vec<String> {
    let step = view.step.clone().unwrap_or_else(|| "-".to_owned());
    let (kind, subject, state) = (view.kind.clone(), view.subject.clone(), view.state.clone());
    vec![view.id.to_string(), kind, subject, state, step, view.ordered_by.clone()]
}

fn one(view: &OperationView) -> String {
    let mut lines = vec![format!("{}  {}  {}", view.id, view.kind, view.subject)];
    lines.push(format!("  state       {}", view.state));
    lines.push(format!("  ordered by  {}", view.ordered_by));
    if view.frozen {
        lines.push("  frozen      until `operation resume`".to_owned());
    }
    for step in &view.steps {
        let note = step.note.as_deref().unwrap_or_default();
        let undo = if step.undo { " (back)" } else { "" };
        lines.push(format!("  {:<8} {}{undo}  {note}", step.state, step.name));
    }
    if let Some(error) = &view.error {
        lines.push(format!("  {}: {}", error.code, error.message));
        if let Some(hint) = &error.hint {
            lines.push(format!("  hint: {hint}"));
        }
        if let Some(more) = &error.more {
            let text = serde_json::to_string_pretty(more).unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("  {line}")));
        }
    }
    if let Some(result) = &view.result {
        let text = serde_json::to_string_pretty(result).unwrap_or_default();
        lines.extend(text.lines().map(|line| format!("  {line}")));
    }
    lines.join("\n")
}

pub(super) async fn servers(verb: &ServerVerb, settings: Settings, output: &Output) -> Done {
    let console = console(settings).await?;
    let (control, caller) = (console.control(), console.caller());
    match verb {
        ServerVerb::Add { name, url_file, stdin, sqlite_folder, ca_file } => {
            let connection = if *sqlite_folder {
                None
            } else {
                let url =
                    super::args::UrlSource { url_file: url_file.clone(), stdin: stdin.clone() };
                Some(connection(&url, ca_file.as_deref(), false)?)
            };
            let new = NewServer { name: name.clone(), connection };
            let added = control.add_server(&caller, &new).await?;
            output.result(&added, |s| format!("{}  {}  {}", s.name, s.engine, s.id));
        }
        ServerVerb::SetConnection { name, url, ca_file, another_server } => {
            let connection = connection(url, ca_file.as_deref(), false)?;
            let new = ServerConnection { connection, another_server: *another_server };
            let changed = control.replace_server(&caller, name, &new).await?;
            output.result(&changed, |s| format!("{}: its account is in force", s.name));
        }
        ServerVerb::List => {
            let servers = control.servers(&caller).await?;
            output.result(&servers, |servers| {
                let row = |s: &ServerView| {
                    vec![s.name.clone(), s.engine.clone(), s.tls.clone(), s.tenants.to_string()]
                };
                let rows: Vec<_> = servers.iter().map(row).collect();
                table(&["NAME", "ENGINE", "TLS", "TENANTS"], &rows)
            });
        }
        ServerVerb::Remove { name } => {
            control.remove_server(&caller, name).await?;
            output.result(&serde_json::json!({"removed": name}), |_| format!("removed {name}"));
        }
    }
    Ok(())
}
