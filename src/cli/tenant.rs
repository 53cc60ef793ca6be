//! `wardgate tenant …`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use super::args::{TenantAdd, TenantVerb, UrlSource};
use super::output::{Output, io_words, table};
use super::{Done, Refused, provisioned, tenant_settings};
use crate::app::Console;
use crate::base::SecretText;
use crate::config::Settings;
use crate::control::{
    CheckReport, ConnectionInput, IdentityView, NewTenant, TenantFilter, TenantView, UsageView,
};

pub(super) async fn run(verb: &TenantVerb, settings: Settings, output: &Output) -> Done {
    let console = Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))?;
    let control = console.control();
    let caller = console.caller();
    match verb {
        TenantVerb::Add(add) => {
            let tenant = control.add(&caller, new_tenant(add)?).await?;
            output.result(&tenant, one);
            note_unknown_issuer(&console, &add.issuer, output);
        }
        TenantVerb::Provision(new) => provisioned::provision(&console, new, output).await?,
        TenantVerb::Migrate(wanted) => provisioned::migrate(&console, wanted, output).await?,
        TenantVerb::RotatePassword { tenant, no_wait } => {
            provisioned::rotate(&console, tenant, *no_wait, output).await?;
        }
        TenantVerb::Offboard { tenant, confirm, no_wait } => {
            provisioned::offboard(&console, tenant, confirm.as_deref(), *no_wait, output).await?;
        }
        TenantVerb::List => list(&console, output).await?,
        TenantVerb::Show { tenant } => output.result(&control.show(&caller, tenant).await?, one),
        TenantVerb::Check { tenant } => {
            let report = control.check(&caller, tenant).await?;
            output.result(&report, steps);
            if !report.ok {
                let refused = Refused::new("the check failed");
                return Err(match report.hint {
                    Some(hint) => refused.hint(hint),
                    None => refused,
                });
            }
        }
        TenantVerb::SetConnection { tenant, url, ca_file, no_check } => {
            let input = connection(url, ca_file.as_deref(), *no_check)?;
            output.result(&control.set_connection(&caller, tenant, None, input).await?, one);
        }
        TenantVerb::Limits(wanted) => tenant_settings::limits(&console, wanted, output).await?,
        TenantVerb::Flags(wanted) => tenant_settings::flags(&console, wanted, output).await?,
        TenantVerb::Suspend { tenant, reason } => {
            output.result(&control.suspend(&caller, tenant, None, reason).await?, one);
        }
        TenantVerb::Resume { tenant } => {
            output.result(&control.resume(&caller, tenant, None).await?, one);
        }
        TenantVerb::RefuseTokens { tenant } => {
            output.result(&control.refuse_tokens(&caller, tenant, None).await?, one);
        }
        TenantVerb::Invalidate { tenant } => {
            output.result(&control.invalidate(&caller, tenant).await?, one);
        }
        TenantVerb::Usage { tenant, month } => {
            used(&console, tenant.as_deref(), month.as_deref(), output).await?;
        }
    }
    Ok(())
}

/// A slip in an issuer's URL would show as refused tokens only.
pub(super) fn note_unknown_issuer(console: &Console, issuer: &str, output: &Output) {
    if !console.control().knows_issuer(issuer) {
        let known: Vec<&str> =
            console.control().known_issuers().iter().map(|known| known.url.as_str()).collect();
        let those = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        output.note(&format!(
            "no [[issuers]] url of these settings is {issuer} (they are: {those}): gateways refuse its tokens until one is"
        ));
    }
}

async fn list(console: &Console, output: &Output) -> Done {
    let (mut tenants, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let filter = TenantFilter::default();
        let page =
            console.control().list(&console.caller(), filter, cursor.as_deref(), 200).await?;
        tenants.extend(page.tenants);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    output.result(&tenants, |tenants| {
        let row = |t: &TenantView| {
            let engine = t.connection.as_ref().map_or("-", |c| c.engine.as_str());
            let mapping = t.mapping.active.map_or_else(|| "-".to_owned(), |n| n.to_string());
            vec![
                t.name.clone(),
                if t.damaged.is_some() { "damaged".to_owned() } else { t.state.clone() },
                engine.to_owned(),
                mapping,
                t.generation.to_string(),
            ]
        };
        let rows: Vec<_> = tenants.iter().map(row).collect();
        table(&["NAME", "STATE", "ENGINE", "MAPPING", "GENERATION"], &rows)
    });
    Ok(())
}

async fn used(
    console: &Console,
    tenant: Option<&str>,
    month: Option<&str>,
    output: &Output,
) -> Done {
    let (control, caller) = (console.control(), console.caller());
    let mut found = Vec::new();
    if let Some(tenant) = tenant {
        found = control.usage(&caller, tenant, month).await?.months;
    } else {
        let mut cursor = None::<String>;
        loop {
            let page = control.usage_of_all(&caller, month, cursor.as_deref()).await?;
            found.extend(page.tenants);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    output.result(&found, |found| {
        let row = |u: &UsageView| {
            let seconds = format!("{:.3}", u.database_seconds);
            let numbers = [u.requests, u.rows, u.bytes].map(|n| n.to_string());
            let mut row = vec![u.name.clone(), u.month.clone()];
            row.extend(numbers);
            row.push(seconds);
            row
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        table(&["NAME", "MONTH", "REQUESTS", "ROWS", "BYTES", "DATABASE SECONDS"], &rows)
    });
    Ok(())
}

fn new_tenant(add: &TenantAdd) -> Result<NewTenant, Refused> {
    Ok(NewTenant {
        name: add.name.clone(),
        display_name: add.display_name.clone(),
        identities: vec![IdentityView {
            issuer: add.issuer.clone(),
            claim_value: add.claim.clone(),
            azp: add.azp.clone(),
        }],
        limits: None,
        connection: Some(connection(&add.url, add.ca_file.as_deref(), add.no_check)?),
    })
}

/// Reads the connection URL from where it was said to be; never from the command line, which others see.
pub(super) fn connection(
    source: &UrlSource,
    ca_file: Option<&Path>,
    no_check: bool,
) -> Result<ConnectionInput, Refused> {
    let unreadable = |what: &str, error: &std::io::Error| {
        Refused::new(format!("{what} cannot be read: {}", io_words(error)))
    };
    let text = if let Some(file) = &source.url_file {
        std::fs::read_to_string(file).map_err(|e| unreadable("the file of --url-file", &e))?
    } else {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(64 * 1024)
            .read_to_string(&mut text)
            .map_err(|e| unreadable("standard input", &e))?;
        text
    };
    let ca_pem = match ca_file {
        None => None,
        Some(file) => Some(
            std::fs::read_to_string(file).map_err(|e| unreadable("the file of --ca-file", &e))?,
        ),
    };
    Ok(ConnectionInput::url(SecretText::new(text.trim().to_owned()), ca_pem, !no_check))
}

fn one(tenant: &TenantView) -> String {
    let mut lines = vec![
        format!("{}  {}", tenant.name, tenant.id),
        format!("  state       {}", tenant.state),
        format!("  generation  {}", tenant.generation),
    ];
    if let Some(reason) = &tenant.reason {
        lines.push(format!("  reason      {reason}"));
    }
    if let Some(damaged) = &tenant.damaged {
        lines.push(format!("  damaged     its stored {damaged} does not read; it is not served"));
    }
    if let Some(connection) = &tenant.connection {
        let (engine, tls) = (&connection.engine, &connection.tls);
        lines.push(format!("  connection  {engine}, tls {tls}, revision {}", connection.revision));
    }
    if !tenant.same_database.is_empty() {
        let others = tenant.same_database.join(", ");
        lines.push(format!(
            "  WARNING     {others}: served from this very database; one hospital's users are given"
        ));
        lines.push("              the other's records unless roles and schemas of their own keep them apart".to_owned());
    }
    for identity in &tenant.identities {
        let azp = identity.azp.join(", ");
        let issuer = &identity.issuer;
        lines.push(match &identity.claim_value {
            Some(value) => format!("  identity    {issuer} = {value} for {azp}"),
            None => format!("  identity    {issuer} alone for {azp}"),
        });
    }
    if let Some(since) = &tenant.tokens_since {
        lines.push(format!("  tokens      refused if issued before {since}"));
    }
    let mapping =
        tenant.mapping.active.map_or_else(|| "none".to_owned(), |n| format!("version {n}"));
    lines.push(format!("  mapping     {mapping}"));
    if let Some(drift) = tenant.mapping.drift.as_ref().filter(|drift| !drift.changes.is_empty()) {
        lines.push(format!("  DRIFT       as of {}:", drift.checked_at));
        let said = drift.changes.iter().map(|change| format!("              {}", change.message));
        lines.extend(said);
    }
    lines.join("\n")
}

fn steps(report: &CheckReport) -> String {
    let row = |s: &crate::control::CheckStep| {
        vec![s.step.clone(), format!("{} ms", s.millis), s.outcome.clone()]
    };
    let rows: Vec<_> = report.steps.iter().map(row).collect();
    let mut text = table(&["STEP", "TIME", "OUTCOME"], &rows);
    if let Some(version) = &report.version {
        text.push_str("\nserver: ");
        text.push_str(version);
    }
    for finding in &report.findings {
        let _infallible = write!(text, "\n{}: {}", finding.what, finding.found);
        if let Some(warning) = &finding.warning {
            let _infallible = write!(text, "  (warning: {warning})");
        }
    }
    text
}
