//! `wardgate tenant provision|migrate|rotate-password|offboard`: what takes longer than an answer.

use super::fleet_args::{TenantMigrate, TenantProvision};
use super::operation::follow;
use super::output::{Output, table};
use super::tenant::note_unknown_issuer;
use super::{Done, Refused, approval};
use crate::app::Console;
use crate::control::{
    ControlFault, IdentityView, MigrationPlan, NewMigration, NewProvision, OperationView, Ordered,
    SchemaReport, SchemaView,
};

pub(super) async fn provision(console: &Console, new: &TenantProvision, output: &Output) -> Done {
    let order = NewProvision {
        name: new.name.clone(),
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
