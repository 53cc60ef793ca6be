use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::base::{Fault, FaultKind};

/// Why a connection could not be opened, coarse enough for a metric label, a breaker and an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialClass {
    /// The host name has no address, or the name servers did not answer.
    Resolve,
    /// The egress rules do not allow the address.
    Egress,
    /// Nobody listens there, the network is unreachable, or the server turned the session away.
    Refused,
    /// The deadline passed.
    Timeout,
    /// No TLS, a certificate that does not verify, or a policy that no longer holds.
    Tls,
    /// The login was refused, or asks for a method this gateway does not do.
    Auth,
    /// The server has no such database.
    NoSuchDatabase,
    /// The server has no free connection slot.
    Full,
    /// The server is starting up or shutting down.
    NotReady,
    /// The peer broke off or does not speak the engine's protocol.
    Protocol,
    /// The peer did what only an attacker or a broken server does.
    Hostile,
    /// A SQLite file that is absent, outside its folder or not a plain file.
    File,
    /// A defect or shortage on the gateway's own side; says nothing of the database.
    Internal,
}

impl DialClass {
    /// The label in metrics, logs and the control plane's answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Egress => "egress",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::NoSuchDatabase => "no_such_database",
            Self::Full => "full",
            Self::NotReady => "not_ready",
            Self::Protocol => "protocol",
            Self::Hostile => "hostile",
            Self::File => "file",
            Self::Internal => "internal",
        }
    }
}

/// A connection that could not be opened. Holds a class, a fixed sentence and at most the server's
/// error code; never an address, a name, a secret or the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialFault {
    class: DialClass,
    why: &'static str,
    code: Option<String>,
}

impl DialFault {
    pub(crate) const fn new(class: DialClass, why: &'static str) -> Self {
        Self { class, why, code: None }
    }

    /// `code` is a SQLSTATE, an error number or a SQLite result code, already known to be one.
    pub(crate) fn with_code(class: DialClass, why: &'static str, code: String) -> Self {
        Self { class, why, code: Some(code) }
    }

    pub(crate) const fn hostile(why: &'static str) -> Self {
        Self::new(DialClass::Hostile, why)
    }

    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self::new(DialClass::Protocol, why)
    }

    pub(crate) const fn internal(why: &'static str) -> Self {
        Self::new(DialClass::Internal, why)
    }

    pub(crate) const fn timeout(why: &'static str) -> Self {
        Self::new(DialClass::Timeout, why)
    }

    /// A failure of reading or writing once the connection stood.
    pub(crate) fn io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::timeout("the server stopped answering"),
            _ => Self::protocol("the server broke the connection off"),
        }
    }

    /// The coarse reason.
    pub const fn class(&self) -> DialClass {
        self.class
    }

    /// The fixed sentence that says more.
    pub const fn why(&self) -> &'static str {
        self.why
    }

    /// The server's error code: a SQLSTATE, a MySQL error number or a SQLite result code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl fmt::Display for DialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), self.why)?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DialFault {}

impl Fault for DialFault {
    fn kind(&self) -> FaultKind {
        match self.class {
            DialClass::Timeout => FaultKind::Timeout,
            DialClass::Internal => FaultKind::Internal,
            _ => FaultKind::Unavailable,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed("the organisation's database cannot be reached at present")
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self.class {
            DialClass::Full | DialClass::NotReady | DialClass::Timeout => Some(5),
            DialClass::Internal => None,
            _ => Some(30),
        }
    }
}
