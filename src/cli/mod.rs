//! One file per command.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 done, 1 refused or
//! failed (one line with the reason and a hint), 2 usage. To add a command: a variant in [`args`], a file
//! beside this one, and an arm in `run`.

mod approval;
mod args;
mod audit;
mod config;
mod demo;
#[cfg(test)]
mod documented;
mod fleet_args;
mod keys;
mod mapping;
mod mapping_args;
mod operation;
mod output;
mod provisioned;
mod registry;
mod serve;
mod tenant;
mod tenant_settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Verb};
use self::output::Output;
use crate::app::{Format, quiet_panics, subscriber};
use crate::base::Fault as _;
use crate::config::Settings;

/// Why a command did not do what was asked: one line, with a hint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    message: String,
    hint: Option<String>,
    /// More for those who read JSON.
    details: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Refused {
    pub(crate) fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, details: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what only the JSON document holds.
    fn detail(mut self, name: &str, value: serde_json::Value) -> Self {
        self.details.get_or_insert_default().insert(name.to_owned(), value);
        self
    }
}

impl From<crate::control::ControlFault> for Refused {
    fn from(fault: crate::control::ControlFault) -> Self {
        let refused = Self::new(&fault).detail("kind", fault.kind().as_str().into());
        match fault.hint() {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }
}

type Done = Result<(), Refused>;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    // A command line that cannot be parsed ends here with status 2 and clap's own explanation.
    let cli = Cli::parse();
    quiet_panics();
    let output = Output::new(cli.json, cli.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.refused(&Refused::new(format!("no runtime: {}", error.kind())));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(run(&cli, &output));
    // A plain drop would wait for whatever still runs on a blocking thread.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            output.refused(&refused);
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli, output: &Output) -> Done {
    if !matches!(cli.verb, Verb::Serve) {
        log_to_terminal(cli);
    }
    match &cli.verb {
        Verb::Serve => serve::run(settings(cli)?, output).await,
        Verb::Demo(args) => demo::run(args, output).await,
        Verb::Config(verb) => config::run(verb, settings_file(cli).as_deref(), output),
        Verb::Registry(verb) => registry::run(verb, settings(cli)?, output).await,
        Verb::Keys(verb) => keys::run(verb, settings(cli)?, output).await,
        Verb::Tenant(verb) => tenant::run(verb, settings(cli)?, output).await,
        Verb::Mapping(args::MappingVerb::Schema) => {
            output.line(&crate::app::mapping_schema());
            Ok(())
        }
        Verb::Server(verb) => operation::servers(verb, settings(cli)?, output).await,
        Verb::Operation(verb) => operation::run(verb, settings(cli)?, output).await,
        Verb::Approval(verb) => approval::run(verb, settings(cli)?, output).await,
        Verb::Mapping(verb) => mapping::run(verb, settings(cli)?, output).await,
        Verb::Audit(verb) => audit::run(verb, settings(cli)?, output).await,
    }
}

/// The settings file: the one named, else `config/wardgate.toml` where it exists.
fn settings_file(cli: &Cli) -> Option<PathBuf> {
    let usual = PathBuf::from("config/wardgate.toml");
    cli.config.clone().or_else(|| usual.exists().then_some(usual))
}

fn settings(cli: &Cli) -> Result<Settings, Refused> {
    let file = settings_file(cli);
    config::examine(file.as_deref()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Refused::new(format!("the settings cannot be used:\n  {}", lines.join("\n  ")))
            .hint(match file {
                Some(_) => {
                    "`wardgate config check` shows the same; config/wardgate.toml is an example"
                }
                None => config::NO_FILE,
            })
            .detail("faults", config::listed(&faults))
    })
}

fn log_to_terminal(cli: &Cli) {
    use tracing::level_filters::LevelFilter;
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::TRACE,
    };
    let subscriber = subscriber(Format::Text, level, std::io::stderr);
    let _already_set = tracing::subscriber::set_global_default(subscriber).is_err();
}
