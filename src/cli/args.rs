//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use super::fleet_args::{
    ApprovalVerb, OperationVerb, ServerVerb, TenantMigrate, TenantProvision,
};
pub use super::mapping_args::{AuditVerb, MappingVerb};

/// A FHIR R4 gateway in front of many hospitals' own databases.
#[derive(Debug, Parser)]
#[command(name = "wardgate", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file [default: config/wardgate.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the gateway
    Serve,
    /// Run everything on embedded parts with three sample hospitals
    Demo(DemoArgs),
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigVerb),
    /// The control-plane database
    #[command(subcommand)]
    Registry(RegistryVerb),
    /// Key-encryption keys and data keys
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Hospitals
    #[command(subcommand)]
    Tenant(TenantVerb),
    /// Servers on which hospitals' databases are made
    #[command(subcommand)]
    Server(ServerVerb),
    /// Long-running work
    #[command(subcommand)]
    Operation(OperationVerb),
    /// What waits for a second person
    #[command(subcommand)]
    Approval(ApprovalVerb),
    /// Mappings from schema to FHIR
    #[command(subcommand)]
    Mapping(MappingVerb),
    /// The access log
    #[command(subcommand)]
    Audit(AuditVerb),
}

/// `demo`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArgs {
    /// Where the demo keeps its data [default: wardgate-demo]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Port of the FHIR API; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub fhir_port: u16,
    /// Port of the admin API; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 8081)]
    pub admin_port: u16,
    /// A database server of your own that hospitals may be on, as in `[egress] allow`; repeat for several
    #[arg(long, value_name = "ADDRESS/BITS:PORT")]
    pub allow: Vec<String>,
    /// A hospital of your own to make users for, reader.NAME, writer.NAME and admin.NAME; repeat for several
    #[arg(long, value_name = "NAME")]
    pub hospital: Vec<String>,
    /// Something else than running it
    #[command(subcommand)]
    pub verb: Option<DemoVerb>,
}

/// `demo …`.
#[derive(Debug, Subcommand)]
pub enum DemoVerb {
    /// Print an access token of the running demo
    Token {
        /// One of the demo's users
        user: String,
        /// Where the demo keeps its data [default: wardgate-demo]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
}

/// `config …`.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Report all faults of the settings
    Check,
    /// Print the resolved settings, secrets as ***
    Show,
}

/// `registry …`.
#[derive(Debug, Subcommand)]
pub enum RegistryVerb {
    /// Bring the registry and the key store to this version
    Migrate,
    /// What is applied, pending or unknown
    Status,
}

/// `keys …`.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Make the file of key-encryption keys, and the platform's data key
    Init,
    /// List key-encryption keys and how many data keys each wraps
    List,
    /// Open every wrapped key and every sealed record
    Check,
    /// Rotate the key-encryption key, or with --data-keys the tenants' data keys
    Rotate {
        /// Give tenants new data keys and reseal their records
        #[arg(long)]
        data_keys: bool,
        /// Forget a key-encryption key nothing refers to any more
        #[arg(long, value_name = "ID", conflicts_with = "data_keys")]
        drop: Option<String>,
    },
}

/// A connection URL, from a file or standard input; never an argument.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct UrlSource {
    /// File that holds the connection URL
    #[arg(long, value_name = "FILE")]
    pub url_file: Option<PathBuf>,
    /// `-`: read the connection URL from standard input
    #[arg(value_name = "-", value_parser = ["-"])]
    pub stdin: Option<String>,
}

/// `tenant …`. A tenant is named by its slug or its UUID.
#[derive(Debug, Subcommand)]
pub enum TenantVerb {
    /// Register a hospital
    Add(TenantAdd),
    /// Make a hospital with a database of its own on a registered server
    Provision(TenantProvision),
    /// Bring provisioned hospitals' schemas to a release, canaries first
    Migrate(TenantMigrate),
    /// Give a provisioned hospital's role a new password
    RotatePassword {
        /// Name or UUID
        tenant: String,
        /// Only order it; a serving gateway carries it out
        #[arg(long)]
        no_wait: bool,
    },
    /// End a hospital; the database of a provisioned one is destroyed, an attached one's never touched
    Offboard {
        /// Name or UUID
        tenant: String,
        /// The hospital's name, where its database is destroyed
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// Only order it; a serving gateway carries it out
        #[arg(long)]
        no_wait: bool,
    },
    /// List hospitals
    List,
    /// Show one hospital
    Show {
        /// Name or UUID
        tenant: String,
    },
    /// Connect step by step and say how each step went
    Check {
        /// Name or UUID
        tenant: String,
    },
    /// Replace a hospital's connection
    SetConnection {
        /// Name or UUID
        tenant: String,
        /// Where the URL comes from
        #[command(flatten)]
        url: UrlSource,
        /// PEM certificates of the hospital's own authority
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// Seal it without connecting first
        #[arg(long)]
        no_check: bool,
    },
    /// Show a hospital's own limits, or change some
    Limits(TenantSettings),
    /// Show what a hospital's users are offered, or switch features
    Flags(TenantSettings),
    /// Stop serving a hospital
    Suspend {
        /// Name or UUID
        tenant: String,
        /// Why; operators see it, callers do not
        #[arg(long)]
        reason: String,
    },
    /// Serve a suspended or draft hospital
    Resume {
        /// Name or UUID
        tenant: String,
    },
    /// Refuse every token of a hospital's users that was issued before now; there is no way back
    RefuseTokens {
        /// Name or UUID
        tenant: String,
    },
    /// Make every gateway read a hospital's configuration again
    Invalidate {
        /// Name or UUID
        tenant: String,
    },
    /// What hospitals used: requests, rows, bytes, seconds of their databases
    Usage {
        /// Name or UUID; without it every hospital, in one month
        tenant: Option<String>,
        /// Only that month, such as 2026-11 (UTC) [default: every month; of all hospitals the present one]
        #[arg(long, value_name = "YYYY-MM")]
        month: Option<String>,
    },
}

/// `tenant limits` and `tenant flags`. Names and values are those of the admin API.
#[derive(Debug, Args)]
pub struct TenantSettings {
    /// Name or UUID
    pub tenant: String,
    /// For example page_size=20, or fhir.export=25%; repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Back to the gateway's own limit, or on; repeat for several
    #[arg(long, value_name = "NAME")]
    pub unset: Vec<String>,
}

/// `tenant add`.
#[derive(Debug, Args)]
pub struct TenantAdd {
    /// Slug: 1 to 63 of a-z, 0-9 and -
    pub name: String,
    /// Issuer that vouches for its users, exactly as in `iss`
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// Value of the tenant claim in its users' tokens. Leave it out for an issuer with
    /// `tenant_claim = ""`, which is bound to this hospital alone
    #[arg(long, value_name = "VALUE")]
    pub claim: Option<String>,
    /// OAuth clients whose tokens count; repeat for several
    #[arg(long, value_name = "CLIENT", required = true)]
    pub azp: Vec<String>,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,
    /// Where the URL comes from
    #[command(flatten)]
    pub url: UrlSource,
    /// PEM certificates of the hospital's own authority
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Register it as draft without connecting
    #[arg(long)]
    pub no_check: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_connection_url_is_never_an_argument() {
        let words = ["wardgate", "tenant", "set-connection", "a", "postgres://u:p@h/d"];
        assert!(Cli::try_parse_from(words).is_err());
        assert!(Cli::try_parse_from(["wardgate", "tenant", "set-connection", "a", "-"]).is_ok());
        assert!(Cli::try_parse_from(["wardgate", "tenant", "set-connection", "a"]).is_err());
    }
}
