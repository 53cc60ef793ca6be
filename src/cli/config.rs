//! `wardgate config check` and `config show`.

use std::path::Path;

use serde_json::json;

use super::args::ConfigVerb;
use super::output::{Output, table};
use super::{Done, Refused};

pub(super) fn run(verb: &ConfigVerb, file: Option<&Path>, output: &Output) -> Done {
    match crate::config::load(file) {
        Err(faults) => {
            if output.is_json() {
                let faults: Vec<_> = faults
                    .iter()
                    .map(|f| json!({ "key": f.key, "problem": f.problem, "hint": f.hint }))
                    .collect();
                output.line(&json!({ "ok": false, "faults": faults }).to_string());
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
            .hint("config/wardgate.toml is a commented example"))
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
