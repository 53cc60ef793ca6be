//! What can be typed of servers, provisioned hospitals and long-running work.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `server …`: where hospitals' databases are made.
#[derive(Debug, Subcommand)]
pub enum ServerVerb {
    /// Register a server, or the gateway's folder of SQLite files
    Add {
        /// Slug: 1 to 63 of a-z, 0-9 and -
        name: String,
        /// File that holds the connection URL of an account that may make databases and roles
        #[arg(long, value_name = "FILE", required_unless_present_any = ["stdin", "sqlite_folder"])]
        url_file: Option<PathBuf>,
        /// `-`: read the connection URL from standard input
        #[arg(value_name = "-", value_parser = ["-"], conflicts_with = "url_file")]
        stdin: Option<String>,
        /// The folder of `[egress] sqlite_dir`
        #[arg(long, conflicts_with_all = ["url_file", "stdin", "ca_file"])]
        sqlite_folder: bool,
        /// PEM certificates of the server's authority
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
    },
    /// Exchange a server's account: its password was changed, or the server moved
    SetConnection {
        /// Name or UUID
        name: String,
        /// Where the URL comes from
        #[command(flatten)]
        url: super::args::UrlSource,
        /// PEM certificates of the server's authority
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// It may be another server than the one registered: all its databases were moved there
        #[arg(long)]
        another_server: bool,
    },
    /// List servers
    List,
    /// Forget a server on which no hospital's database is
    Remove {
        /// Name or UUID
        name: String,
    },
}

/// `approval …`: orders that wait for a second person (`[admin] two_persons`), named by their UUID.
#[derive(Debug, Subcommand)]
pub enum ApprovalVerb {
    /// List what waits, newest first
    List {
        /// Also what was decided or has expired
        #[arg(long)]
        all: bool,
    },
    /// Show a request
    Show {
        /// UUID
        id: String,
    },
    /// Approve a request at a running gateway, as another person than whoever ordered it
    Approve {
        /// UUID
        id: String,
        /// File that holds an access token of an operator with the approver's role
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
        /// The gateway's admin address; without it `[admin] public_url`
        #[arg(long, value_name = "URL")]
        gateway: Option<String>,
    },
    /// Refuse a request, or take it back
    Refuse {
        /// UUID
        id: String,
    },
}

/// `operation …`: long-running work, named by its UUID.
#[derive(Debug, Subcommand)]
pub enum OperationVerb {
    /// List operations, newest first
    List {
        /// Only in this state
        #[arg(long)]
        state: Option<String>,
        /// Only about this hospital
        #[arg(long, value_name = "T")]
        tenant: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show an operation with its steps
    Show {
        /// UUID
        id: String,
    },
    /// Let a failed operation go on where it stopped
    Retry {
        /// UUID
        id: String,
        /// Carry it out here, or watch whoever does, until it ends
        #[arg(long)]
        wait: bool,
    },
    /// End an operation and take away what it made
    Cancel {
        /// UUID
        id: String,
        /// Carry it out here, or watch whoever does, until it ends
        #[arg(long)]
        wait: bool,
    },
    /// Let an operation rest after what is under way
    Freeze {
        /// UUID
        id: String,
    },
    /// Let a frozen operation go on
    Resume {
        /// UUID
        id: String,
    },
    /// Carry an operation out here, or watch whoever does, until it ends
    Run {
        /// UUID
        id: String,
    },
}

/// `tenant provision`.
#[derive(Debug, Args)]
pub struct TenantProvision {
    /// Slug: 1 to 63 of a-z, 0-9 and -
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub name: Option<String>,
    /// Make all hospitals of a list, the first of them first: names one a line, or a table of names, names for people
    /// and claim values with tabs, semicolons or commas; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["claim", "display_name"])]
    pub from: Option<PathBuf>,
    /// Of a list: only say what would be made, or all that is wrong with it
    #[arg(long, requires = "from")]
    pub dry_run: bool,
    /// Of a list: hospitals at once
    #[arg(long, value_name = "N", default_value_t = 4, requires = "from")]
    pub parallel: u32,
    /// Of a list: stop when more than this share of them failed, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, requires = "from")]
    pub stop_at: u32,
    /// The server its database is made on
    #[arg(long, value_name = "SERVER")]
    pub on: String,
    /// Issuer that vouches for its users, exactly as in `iss`
    #[arg(long, value_name = "URL")]
    pub issuer: String,
    /// Value of the tenant claim in its users' tokens
    #[arg(long, value_name = "VALUE")]
    pub claim: Option<String>,
    /// OAuth clients whose tokens count; repeat for several
    #[arg(long, value_name = "CLIENT", required = true)]
    pub azp: Vec<String>,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,
    /// Release of the schema it begins with [default: the newest]
    #[arg(long, value_name = "N")]
    pub release: Option<u64>,
    /// Only order it; a serving gateway carries it out
    #[arg(long)]
    pub no_wait: bool,
}

/// `tenant migrate`.
#[derive(Debug, Args)]
pub struct TenantMigrate {
    /// Names or UUIDs
    #[arg(value_name = "T", required_unless_present_any = ["all", "report"])]
    pub tenants: Vec<String>,
    /// All provisioned hospitals
    #[arg(long, conflicts_with = "tenants")]
    pub all: bool,
    /// Only say how far each hospital's schema is
    #[arg(long)]
    pub report: bool,
    /// Only say what would be done, with the SQL
    #[arg(long)]
    pub dry_run: bool,
    /// Release of the schema [default: the newest]
    #[arg(long, value_name = "N")]
    pub release: Option<u64>,
    /// Hospitals that go first; repeat for several [default: the first of each engine]
    #[arg(long, value_name = "T")]
    pub canary: Vec<String>,
    /// Hospitals at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub parallel: u32,
    /// Stop when more than this share of them failed, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10)]
    pub stop_at: u32,
    /// Only order it; a serving gateway carries it out
    #[arg(long)]
    pub no_wait: bool,
}
