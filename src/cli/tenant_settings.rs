//! `wardgate tenant limits` and `wardgate tenant flags`.

use super::args::TenantSettings;
use super::output::{Output, table};
use super::{Done, Refused};
use crate::app::Console;
use crate::base::Generation;
use crate::control::{
    FlagsView, StoredLimits, TenantPatch, TenantView, flag_entries, limit_entries,
};

pub(super) async fn limits(console: &Console, wanted: &TenantSettings, output: &Output) -> Done {
    let (control, caller) = (console.control(), console.caller());
    let mut tenant = control.show(&caller, &wanted.tenant).await?;
    if let Some(changes) = changes(wanted)? {
        let mut limits = tenant.limits.clone();
        for (name, value) in changes {
            let value = value.map(str::parse::<u32>).transpose();
            let value = value.map_err(|_| Refused::new(format!("{name} takes a whole number")))?;
            if !limits.set(name, value) {
                let known: Vec<_> = limits.named().iter().map(|(name, _)| *name).collect();
                return Err(unknown("limit", name, &known));
            }
        }
        let patch = TenantPatch { limits: Some(limits), ..TenantPatch::default() };
        tenant = control.change(&caller, &wanted.tenant, Some(seen(&tenant)), patch).await?;
    }
    output.result(&tenant.limits, |limits: &StoredLimits| {
        let shown = |value: Option<u32>| value.map_or("the gateway's".into(), |n| n.to_string());
        let entries = limit_entries(limits);
        let rows: Vec<_> = entries.iter().map(|e| vec![e.name.into(), shown(e.value)]).collect();
        table(&["LIMIT", "VALUE"], &rows)
    });
    Ok(())
}

pub(super) async fn flags(console: &Console, wanted: &TenantSettings, output: &Output) -> Done {
    let (control, caller) = (console.control(), console.caller());
    let mut tenant = control.show(&caller, &wanted.tenant).await?;
    if let Some(changes) = changes(wanted)? {
        let mut flags = tenant.flags.clone();
        for (name, value) in changes {
            let known: Vec<_> = flag_entries(&flags).iter().map(|entry| entry.name).collect();
            if !known.contains(&name) {
                return Err(unknown("flag", name, &known));
            }
            flags.insert(name.to_owned(), value.unwrap_or("on").to_owned());
        }
        let patch = TenantPatch { flags: Some(flags), ..TenantPatch::default() };
        tenant = control.change(&caller, &wanted.tenant, Some(seen(&tenant)), patch).await?;
    }
    output.result(&tenant.flags, |flags: &FlagsView| {
        let row = |e: crate::control::FlagEntry| vec![e.name.into(), e.offer, e.title.into()];
        let rows: Vec<_> = flag_entries(flags).into_iter().map(row).collect();
        table(&["FLAG", "OFFERED", "SWITCHES"], &rows)
    });
    Ok(())
}

const fn seen(tenant: &TenantView) -> Generation {
    Generation(tenant.generation)
}

type Changes<'a> = Vec<(&'a str, Option<&'a str>)>;

/// What is to be changed; `None` when nothing is.
fn changes(wanted: &TenantSettings) -> Result<Option<Changes<'_>>, Refused> {
    let pair = |text: &'_ str| Refused::new(format!("--set takes NAME=VALUE, not {text}"));
    let set = wanted.set.iter().map(|text| {
        text.split_once('=').map(|(name, value)| (name, Some(value))).ok_or_else(|| pair(text))
    });
    let mut changes = set.collect::<Result<Vec<_>, _>>()?;
    changes.extend(wanted.unset.iter().map(|name| (name.as_str(), None)));
    Ok((!changes.is_empty()).then_some(changes))
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Refused {
    Refused::new(format!("there is no {what} {name}")).hint(format!("known: {}", known.join(", ")))
}
