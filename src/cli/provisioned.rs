//! `wardgate tenant provision|migrate|rotate-password|offboard`: what takes longer than an answer.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::fleet_args::{TenantMigrate, TenantProvision};
use super::operation::follow;
use super::output::{Output, io_words, table};
use super::tenant::note_unknown_issuer;
use super::{Done, Refused, approval};
use crate::app::Console;
use crate::control::{
    ControlFault, IdentityView, MigrationPlan, NewMigration, NewProvision, NewProvisions,
    OperationView, Ordered, PlannedTenant, ProvisionPlan, SchemaReport, SchemaView, faults_by_line,
    read_list,
};

pub(super) async fn provision(console: &Console, new: &TenantProvision, output: &Output) -> Done {
    if let Some(file) = &new.from {
        return several(console, file, new, output).await;
    }
    let order = NewProvision {
        name: new.name.clone().unwrap_or_default(),
        display_name: new.display_name.clone(),
        identities: vec![IdentityView {
            issuer: new.issuer.clone(),
            claim_value: new.claim.clone(),
            azp: new.azp.clone(),
        }],
        limits: None,
        server: new.on.clone(),
        release: new.release,
    };
    let view = console.control().provision(&console.caller(), order).await?;
    note_unknown_issuer(console, &new.issuer, output);
    ordered(console, view, new.no_wait, output).await
}

/// Makes all hospitals of a list, or nothing when something is wrong with it.
async fn several(console: &Console, file: &Path, new: &TenantProvision, output: &Output) -> Done {
    let (lines, unread) = read_list(&text_of(file)?);
    if !unread.is_empty() {
        return Err(wrong(unread.into_iter().map(|(line, why)| (line, why.to_owned()))));
    }
    let order = NewProvisions {
        server: new.on.clone(),
        tenants: lines.iter().map(|line| line.tenant(&new.issuer, &new.azp)).collect(),
        limits: None,
        release: new.release,
        parallel: Some(new.parallel),
        stop_at_percent: Some(new.stop_at),
    };
    let (control, caller) = (console.control(), console.caller());
    let refused = |fault: ControlFault| match faults_by_line(&lines, &fault) {
        faults if faults.is_empty() => Refused::from(fault),
        faults => wrong(faults.into_iter()),
    };
    if new.dry_run {
        let plan = control.plan_provisions(&caller, &order).await.map_err(refused)?;
        output.result(&plan, planned);
        return Ok(());
    }
    let view = control.provision_several(&caller, &order).await.map_err(refused)?;
    note_unknown_issuer(console, &new.issuer, output);
    ordered(console, view, new.no_wait, output).await
}

fn text_of(file: &Path) -> Result<String, Refused> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(1024 * 1024).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(1024 * 1024).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Refused::new(format!("the list cannot be read: {}", io_words(&error)))),
    }
}

/// All that is wrong with a list, by its lines.
fn wrong(faults: impl Iterator<Item = (usize, String)>) -> Refused {
    let said: Vec<_> = faults.map(|(line, why)| format!("line {line}: {why}")).collect();
    Refused::new(format!("nothing was ordered: {}", said.join("; ")))
}

fn planned(plan: &ProvisionPlan) -> String {
    let row = |one: &PlannedTenant| {
        let claims = one.identities.iter().filter_map(|identity| identity.claim_value.clone());
        vec![one.name.clone(), one.display_name.clone(), claims.collect::<Vec<_>>().join(", ")]
    };
    let rows: Vec<_> = plan.tenants.iter().map(row).collect();
    let head = format!(
        "{} hospitals on {} ({}) with release {}; nothing was made",
        rows.len(),
        plan.server,
        plan.engine,
        plan.release
    );
    [head, table(&["NAME", "DISPLAY NAME", "CLAIM"], &rows)].join("\n")
}

async fn ordered(console: &Console, view: OperationView, only: bool, output: &Output) -> Done {
    if only {
        output.result(&view, |view| format!("ordered: operation {}", view.id));
        return Ok(());
    }
    follow(console, view, output).await
}

pub(super) async fn rotate(console: &Console, named: &str, no_wait: bool, output: &Output) -> Done {
    let view = console.control().rotate_password(&console.caller(), named).await?;
    ordered(console, view, no_wait, output).await
}

pub(super) async fn offboard(
    console: &Console,
    named: &str,
    confirm: Option<&str>,
    no_wait: bool,
    output: &Output,
) -> Done {
    let view = console.control().offboard(&console.caller(), named, None, confirm).await;
    let view = view.map_err(|fault| {
        let unconfirmed = matches!(fault, ControlFault::Invalid(_)) && confirm.is_none();
        let refused = Refused::from(fault);
        if unconfirmed { refused.hint(format!("add `--confirm {named}`")) } else { refused }
    })?;
    match view {
        Ordered::Done(view) => ordered(console, view, no_wait, output).await,
        Ordered::Waits(view) => {
            approval::waits(&view, output);
            Ok(())
        }
    }
}

pub(super) async fn migrate(console: &Console, wanted: &TenantMigrate, output: &Output) -> Done {
    let (control, caller) = (console.control(), console.caller());
    if wanted.report {
        output.result(&control.schemas(&caller).await?, report);
        return Ok(());
    }
    let order = NewMigration {
        tenants: (!wanted.all).then(|| wanted.tenants.clone()),
        release: wanted.release,
        canary: (!wanted.canary.is_empty()).then(|| wanted.canary.clone()),
        parallel: Some(wanted.parallel),
        stop_at_percent: Some(wanted.stop_at),
    };
    if wanted.dry_run {
        output.result(&control.plan_migration(&caller, &order).await?, plan);
        return Ok(());
    }
    let view = control.migrate(&caller, &order).await?;
    ordered(console, view, wanted.no_wait, output).await
}

fn report(report: &SchemaReport) -> String {
    let row = |t: &SchemaView| {
        vec![
            t.name.clone(),
            t.engine.clone(),
            t.release.to_string(),
            t.migration.clone(),
            t.trouble.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<_> = report.tenants.iter().map(row).collect();
    let mut lines = vec![format!("newest release: {}", report.newest)];
    for count in &report.at_release {
        lines.push(format!("at release {}: {} hospitals", count.release, count.tenants));
    }
    lines.push(table(&["NAME", "ENGINE", "RELEASE", "MIGRATION", "TROUBLE"], &rows));
    lines.join("\n")
}

fn plan(plan: &MigrationPlan) -> String {
    let first = match plan.canary.join(", ") {
        none if none.is_empty() => none,
        names => format!("; first: {names}"),
    };
    let mut lines = vec![format!(
        "{} hospitals to release {}, {} are there already{first}",
        plan.tenants.len(),
        plan.release,
        plan.already,
    )];
    for migration in &plan.migrations {
        lines.push(format!(
            "\n-- {} {} (on {} hospitals)\n{}",
            migration.engine, migration.name, migration.tenants, migration.sql
        ));
    }
    lines.join("\n")
}
