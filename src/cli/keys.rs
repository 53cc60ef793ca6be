//! `wardgate keys …`.

use serde_json::json;

use super::args::KeysVerb;
use super::output::{Output, table};
use super::{Done, Refused};
use crate::app::{Console, InitialKeys, init_keys};
use crate::config::Settings;

pub(super) async fn run(verb: &KeysVerb, settings: Settings, output: &Output) -> Done {
    let refused = |fault: crate::app::StartFault| Refused::new(&fault).hint(fault.hint());
    if matches!(verb, KeysVerb::Init) {
        let keys = init_keys(&settings).await.map_err(refused)?;
        output.result(&keys, |InitialKeys { kek, made }| {
            if *made {
                format!("made key-encryption key {kek}")
            } else {
                format!("nothing was made: key-encryption key {kek} is in use already")
            }
        });
        return Ok(());
    }
    let console = Console::open(settings).await.map_err(refused)?;
    let control = console.control();
    let caller = console.caller();
    match verb {
        KeysVerb::Init => {}
        KeysVerb::List => {
            let keys = control.keys(&caller).await?;
            output.result(&keys, |keys| {
                let row = |k: &crate::control::KekView| {
                    let current = if k.current { "current" } else { "" };
                    vec![k.id.clone(), k.data_keys.to_string(), current.to_owned()]
                };
                let rows: Vec<_> = keys.keks.iter().map(row).collect();
                let table = table(&["KEK", "DATA KEYS", ""], &rows);
                match keys.unreferenced {
                    0 => table,
                    n => format!("{table}\n{n} data keys no record is sealed under; replaced ones go after a day"),
                }
            });
        }
        KeysVerb::Check => {
            let report = control.check_keys(&caller).await?;
            output.result(&report, |r| {
                format!(
                    "{} data keys and {} records open; {} do not; no record is sealed under {} more data keys",
                    r.data_keys, r.records, r.faults, r.unreferenced
                )
            });
            if report.faults > 0 {
                return Err(Refused::new("something does not open")
                    .hint("compare with the last backup before you write anything"));
            }
        }
        KeysVerb::Rotate { data_keys: true, .. } => {
            let done = control.renew_data_keys(&caller).await?;
            output.result(&done, |d| {
                format!("resealed {} records, {} left as they were", d.changed, d.unchanged)
            });
        }
        KeysVerb::Rotate { drop: Some(id), .. } => {
            control.drop_kek(&caller, id).await?;
            output.result(&json!({ "dropped": id }), |_| format!("dropped {id}"));
        }
        KeysVerb::Rotate { .. } => {
            let done = control.rotate_kek(&caller).await?;
            output.result(&done, |d| {
                format!("rewrapped {} data keys, {} were current", d.changed, d.unchanged)
            });
        }
    }
    Ok(())
}
