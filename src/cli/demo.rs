//! `wardgate demo` and `demo token`.

use std::path::{Path, PathBuf};

use super::args::{DemoArgs, DemoVerb};
use super::output::Output;
use super::{Done, Refused};
use crate::app::demo::{Demo, DemoOptions, running_issuer_token};
use crate::app::{StartFault, stop_signal};

const FOLDER: &str = "wardgate-demo";

pub(super) async fn run(args: &DemoArgs, output: &Output) -> Done {
    let folder =
        |dir: &Option<PathBuf>| dir.clone().unwrap_or_else(|| Path::new(FOLDER).to_owned());
    if let Some(DemoVerb::Token { user, data_dir }) = &args.verb {
        let token = running_issuer_token(&folder(data_dir), user).await.map_err(|fault| {
            let hint = if fault.starts_with("there is no demo user") {
                "reader.north, writer.sur, admin.lakes and the like, and operator; `wardgate demo --hospital NAME` makes some for a hospital of your own"
            } else {
                "start `wardgate demo` first, with the same --data-dir"
            };
            Refused::new(fault).hint(hint)
        })?;
        output.line(&token);
        return Ok(());
    }
    output.note("starting the demo; Ctrl-C ends it");
    let options = DemoOptions {
        data_dir: folder(&args.data_dir),
        fhir_port: args.fhir_port,
        admin_port: args.admin_port,
        allow: args.allow.clone(),
        hospitals: args.hospital.clone(),
    };
    let demo = Demo::start(options).await.map_err(|f| {
        let ports = "choose others with --fhir-port and --admin-port; 0 takes a free one";
        let hint = if matches!(f, StartFault::Listen(_)) { ports } else { f.hint() };
        Refused::new(&f).hint(hint)
    })?;
    if output.is_json() {
        output.line(&demo.ready_line());
    } else {
        output.line(&demo.welcome());
    }
    demo.run(stop_signal()).await.map_err(|f| Refused::new(&f).hint(f.hint()))
}
