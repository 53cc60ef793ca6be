//! `wardgate audit …`.

use super::args::AuditVerb;
use super::output::Output;
use super::{Done, Refused};
use crate::app::{AccessLogFault, Console};
use crate::config::Settings;

pub(super) async fn run(verb: &AuditVerb, settings: Settings, output: &Output) -> Done {
    let console = Console::open(settings).await.map_err(|f| Refused::new(&f).hint(f.hint()))?;
    let refused = |fault| match fault {
        AccessLogFault::Control(fault) => Refused::from(fault),
        AccessLogFault::Audit(fault) => Refused::new(fault),
    };
    match verb {
        AuditVerb::Verify { tenant } => {
            let report = console.verify_access_log(tenant).await.map_err(refused)?;
            output.result(&report, ToString::to_string);
            if report.sound() {
                Ok(())
            } else {
                Err(Refused::new("the access log does not verify")
                    .hint("keep the files as they are and compare with the last backup"))
            }
        }
        AuditVerb::Export { tenant } => {
            let mut print = |line: &str| output.line(line);
            console.export_access_log(tenant, &mut print).await.map_err(refused)
        }
    }
}
