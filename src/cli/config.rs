//! `wardgate config check` and `config show`.

use std::path::Path;

use serde_json::json;

use super::args::ConfigVerb;
use super::output::{Output, table};
use super::{Done, Refused};
use crate::app::check_settings;
use crate::config::{SettingFault, Settings};

/// What to do where settings are missing altogether.
pub(super) const NO_FILE: &str = "no settings file was read: there is no config/wardgate.toml below this folder; name \
                                  yours with --config FILE";

/// The settings, or all faults: of their form, and what the rooms would stumble over.
pub(super) fn examine(file: Option<&Path>) -> Result<Settings, Vec<SettingFault>> {
    let (settings, mut faults) = crate::config::examine(file);
    if let Some(settings) = &settings {
        // What was not given is not also called unusable.
        let given = |fault: &SettingFault| !faults.iter().any(|known| known.key == fault.key);
        let more: Vec<_> = check_settings(settings).into_iter().filter(given).collect();
        faults.extend(more);
    }
    settings.filter(|_| faults.is_empty()).ok_or(faults)
}

/// Faults as JSON.
pub(super) fn listed(faults: &[SettingFault]) -> serde_json::Value {
    let listed = faults.iter();
    listed.map(|f| json!({ "key": f.key, "problem": f.problem, "hint": f.hint })).collect()
}

pub(super) fn run(verb: &ConfigVerb, file: Option<&Path>, output: &Output) -> Done {
    match examine(file) {
        Err(faults) => {
            if output.is_json() {
                output.line(&json!({ "ok": false, "faults": listed(&faults) }).to_string());
            } else {
                for fault in &faults {
                    output.line(&fault.to_string());
                }
            }
            let count = faults.len();
            Err(Refused::new(format!(
                "{count} fault{} in the settings",
                if count == 1 { "" } else { "s" }
            ))
            .hint(if file.is_some() {
                "config/wardgate.toml is a commented example"
            } else {
                NO_FILE
            }))
        }
        Ok(settings) => {
            match verb {
                ConfigVerb::Check => {
                    output.result(&json!({ "ok": true }), |_| "the settings are sound".to_owned());
                }
                ConfigVerb::Show => {
                    let shown: Vec<_> = settings
                        .shown
                        .iter()
                        .map(|s| json!({ "key": s.key, "value": s.value, "origin": s.origin.as_str() }))
                        .collect();
                    output.result(&shown, |_| {
                        let rows: Vec<Vec<String>> = settings
                            .shown
                            .iter()
                            .map(|s| {
                                vec![s.key.clone(), s.value.clone(), s.origin.as_str().to_owned()]
                            })
                            .collect();
                        table(&["SETTING", "VALUE", "FROM"], &rows)
                    });
                }
            }
            Ok(())
        }
    }
}
