//! `wardgate registry …`.

use super::args::RegistryVerb;
use super::output::Output;
use super::{Done, Refused};
use crate::app::{migrate_stores, store_status};
use crate::config::Settings;

pub(super) async fn run(verb: &RegistryVerb, settings: Settings, output: &Output) -> Done {
    let refused = |fault: crate::app::StartFault| Refused::new(&fault).hint(fault.hint());
    match verb {
        RegistryVerb::Migrate => {
            let status = migrate_stores(&settings).await.map_err(refused)?;
            output.result(&status, ToString::to_string);
            Ok(())
        }
        RegistryVerb::Status => {
            let status = store_status(&settings).await.map_err(refused)?;
            output.result(&status, ToString::to_string);
            if status.is_current() {
                Ok(())
            } else {
                Err(Refused::new("the control-plane databases are not at this version")
                    .hint("run `wardgate registry migrate`"))
            }
        }
    }
}
