//! Resources of a mapping that is not in force, from a running gateway: it checks the token, and writes the
//! look down in the hospital's access log.

use std::fmt::Write as _;
use std::path::Path;

use crate::app::{RemoteFault, Token, post_text};
use crate::cli::output::Output;
use crate::cli::{Done, Refused};

/// What is asked for.
pub(super) struct Asked<'a> {
    pub tenant: &'a str,
    pub text: String,
    pub token_file: &'a Path,
    pub rows: u32,
    pub ids: &'a [String],
}

pub(super) async fn run(asked: Asked<'_>, base: &str, output: &Output) -> Done {
    let Asked { tenant, text, token_file, rows, ids } = asked;
    let token = std::fs::read_to_string(token_file).map_err(|error| {
        Refused::new(format!("{} cannot be read: {}", token_file.display(), error.kind()))
    })?;
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/fhir").unwrap_or(base);
    let mut url = format!("{base}/tenant/v1/mappings/preview?rows={rows}");
    if !ids.is_empty() {
        let _infallible = write!(url, "&ids={}", ids.join(","));
    }
    let token = Token::new(token.trim().to_owned());
    let (status, body) = post_text(&url, &token, text).await.map_err(unreachable)?;
    if status != 200 {
        return Err(refusal(status, &body));
    }
    let Ok(answer) = serde_json::from_str::<serde_json::Value>(&body) else {
        return Err(Refused::new("the gateway's answer is no preview"));
    };
    let of = answer.get("tenant").and_then(serde_json::Value::as_str).unwrap_or_default();
    if of != tenant {
        return Err(Refused::new(format!("the token is of another hospital than {tenant}"))
            .hint("a preview shows the hospital of the token; name that one"));
    }
    if output.is_json() {
        output.line(&body);
    } else {
        output.line(&serde_json::to_string_pretty(&answer).unwrap_or(body));
    }
    if answer.get("ok").and_then(serde_json::Value::as_bool) == Some(true) {
        Ok(())
    } else {
        Err(Refused::new("the mapping has faults").hint("`mapping check` lists them"))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err takes")]
fn unreachable(fault: RemoteFault) -> Refused {
    Refused::new(&fault).hint("name the gateway with --gateway URL")
}

fn refusal(status: u16, body: &str) -> Refused {
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let detail = problem.as_ref().and_then(|p| p.get("detail")).and_then(serde_json::Value::as_str);
    let refused = Refused::new(format!(
        "the gateway refused ({status}): {}",
        detail.unwrap_or("no reason given")
    ));
    match status {
        401 => refused.hint("the token is no longer valid; sign in again"),
        403 => refused.hint("the token needs the roles fhir-admin and fhir-read"),
        _ => refused,
    }
}
