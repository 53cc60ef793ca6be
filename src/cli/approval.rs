//! `wardgate approval …`.

use std::path::Path;

use serde_json::Value as Json;
use uuid::Uuid;

use super::args::ApprovalVerb;
use super::output::{Output, io_words, table};
use super::{Done, Refused};
use crate::app::{Console, Token, post_text};
use crate::config::Settings;
use crate::control::ApprovalView;

pub(super) async fn run(verb: &ApprovalVerb, settings: Settings, output: &Output) -> Done {
    if let ApprovalVerb::Approve { id, token_file, gateway } = verb {
        let base = gateway.clone().unwrap_or_else(|| settings.admin.public_url.clone());
        return approve(id_of(id)?, token_file, &base, output).await;
    }
    let console = Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))?;
    let (control, caller) = (console.control(), console.caller());
    match verb {
        ApprovalVerb::List { all } => {
            output.result(&control.approvals(&caller, *all).await?, |all| {
                let row = |v: &ApprovalView| {
                    let (id, state) = (v.id.to_string(), v.state.clone());
                    vec![id, state, v.requested_by.clone(), v.expires_at.clone(), v.what.clone()]
                };
                let rows: Vec<_> = all.iter().map(row).collect();
                table(&["ID", "STATE", "ASKED BY", "UNTIL", "WHAT"], &rows)
            });
        }
        ApprovalVerb::Show { id } => {
            output.result(&control.approval(&caller, id_of(id)?).await?, one);
        }
        ApprovalVerb::Refuse { id } => {
            output.result(&control.refuse(&caller, id_of(id)?).await?, one);
        }
        // Asked of a gateway above: here nobody proves who she is.
        ApprovalVerb::Approve { .. } => {}
    }
    Ok(())
}

fn id_of(text: &str) -> Result<Uuid, Refused> {
    text.parse().map_err(|_| {
        Refused::new("a request is named by its UUID").hint("`wardgate approval list` shows all")
    })
}

/// A request in lines.
pub(super) fn one(view: &ApprovalView) -> String {
    let mut lines = vec![
        format!("{}  {}", view.id, view.state),
        format!("  what        {}", view.what),
        format!("  asked by    {} at {}", view.requested_by, view.requested_at),
        format!("  until       {}", view.expires_at),
    ];
    if let (Some(by), Some(at)) = (&view.decided_by, &view.decided_at) {
        lines.push(format!("  decided by  {by} at {at}"));
    }
    for source in &view.sources {
        lines.push(format!("  source      {}: {}", source.name, source.sql));
    }
    lines.join("\n")
}

/// Says that an order waits, and for what.
pub(super) fn waits(view: &ApprovalView, output: &Output) {
    output.note("nothing was changed: this needs a second person");
    output.result(view, |view| {
        format!(
            "{}\n  approve     wardgate approval approve {} --token-file FILE",
            one(view),
            view.id
        )
    });
}

/// The gateway checks the token, which says who approves.
async fn approve(id: Uuid, token_file: &Path, base: &str, output: &Output) -> Done {
    let token = std::fs::read_to_string(token_file)
        .map_err(|e| Refused::new(format!("the token file cannot be read: {}", io_words(&e))))?;
    let url = format!("{}/admin/v1/approvals/{id}/approve", base.trim_end_matches('/'));
    let token = Token::new(token.trim().to_owned());
    let (status, body) = post_text(&url, &token, String::new())
        .await
        .map_err(|fault| Refused::new(&fault).hint("name the gateway with --gateway URL"))?;
    let answer: Json = serde_json::from_str(&body).unwrap_or_default();
    if status != 200 {
        let detail = answer.get("detail").and_then(Json::as_str).unwrap_or("no reason given");
        return Err(Refused::new(format!("the gateway refused ({status}): {detail}")));
    }
    output.result(&answer, |answer| {
        let text = |name: &str| answer.get(name).and_then(Json::as_str).unwrap_or("-").to_owned();
        format!("approved: {}\n  operation   {}", text("what"), text("operation"))
    });
    Ok(())
}
