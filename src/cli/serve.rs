//! `wardgate serve`.

use super::output::Output;
use super::{Done, Refused};
use crate::app::{Application, Format, keep_memory_private, stop_signal, subscriber};
use crate::config::Settings;

pub(super) async fn run(settings: Settings, output: &Output) -> Done {
    let format = if settings.log.json { Format::Json } else { Format::Text };
    let subscriber = subscriber(format, settings.log.level, std::io::stderr);
    let _already_set = tracing::subscriber::set_global_default(subscriber).is_err();
    keep_memory_private();
    let application = Application::build(settings)
        .await
        .map_err(|fault| Refused::new(&fault).hint(fault.hint()))?;
    output.note(&format!(
        "serving FHIR on {} and the admin API on {}",
        application.fhir_address(),
        application.admin_address()
    ));
    application.run(stop_signal()).await.map_err(|fault| Refused::new(&fault).hint(fault.hint()))
}
