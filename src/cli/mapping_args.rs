//! What can be typed of mappings and access logs.

use std::path::PathBuf;

use clap::Subcommand;

/// `mapping …`.
#[derive(Debug, Subcommand)]
pub enum MappingVerb {
    /// Propose a first mapping from the hospital's live schema, as YAML with comments
    Draft {
        /// Name or UUID
        tenant: String,
        /// Write it there instead of to standard output; never over a file that is there
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Report all faults of a mapping against the hospital's live schema
    Check {
        /// Name or UUID
        tenant: String,
        /// YAML or JSON
        file: PathBuf,
    },
    /// Try a mapping on live rows that nobody sees yet. Without a token: what became of each element, in
    /// numbers, and what each statement costs. With a token of the hospital's own administrator who may
    /// read patients: the resources
    Preview {
        /// Name or UUID
        tenant: String,
        /// YAML or JSON
        file: PathBuf,
        /// File that holds an access token; asks a running gateway for resources
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// The gateway to ask; without it the settings' `public_url`
        #[arg(long, value_name = "URL", requires = "token_file")]
        gateway: Option<String>,
        /// Rows of each source, 1 to 20
        #[arg(long, value_name = "N", default_value_t = 3, requires = "token_file")]
        rows: u32,
        /// Only these, such as Patient/1; repeat for several
        #[arg(long, value_name = "TYPE/ID", requires = "token_file")]
        id: Vec<String>,
    },
    /// Say what changes from one mapping to another, and of what is promised
    Diff {
        /// Name or UUID
        tenant: String,
        /// A version's number, or `active`, or a file
        before: String,
        /// A version's number, or `active`, or a file
        after: String,
    },
    /// Compare the hospital's live schema with its mapping in force
    Drift {
        /// Name or UUID
        tenant: String,
    },
    /// Turn the flat two-table form (JSON) into a mapping document
    Import {
        /// Name or UUID
        tenant: String,
        /// The flat form: `table_mappings` and `field_mappings`
        file: PathBuf,
    },
    /// Print the JSON Schema of mapping documents, for editors
    Schema,
    /// Check a mapping, store it as a new version and make it the active one
    Publish {
        /// Name or UUID
        tenant: String,
        /// YAML or JSON
        file: PathBuf,
    },
    /// List a hospital's versions
    List {
        /// Name or UUID
        tenant: String,
    },
    /// Make the previously active version active again
    Rollback {
        /// Name or UUID
        tenant: String,
    },
}

/// `audit …`.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Verify a hospital's access log
    Verify {
        /// Name or UUID
        tenant: String,
    },
    /// Print a hospital's access log, one JSON event a line
    Export {
        /// Name or UUID
        tenant: String,
    },
}
