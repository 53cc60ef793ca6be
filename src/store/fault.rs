use std::borrow::Cow;

use crate::base::{Fault, FaultKind};

/// A plan that cannot be written as SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// A table or column name the engine cannot hold.
    #[error("a name is empty, too long, or holds a forbidden character")]
    Identifier,
    /// A value that is not in the canonical form of its type.
    #[error("a value is not in the canonical form of its type")]
    Value,
    /// A column compared with a value of another kind.
    #[error("a column is compared with a value of another kind")]
    Kinds,
    /// A plan that contradicts itself: a relation that is not there, lists of different lengths.
    #[error("the plan contradicts itself")]
    Plan,
    /// A search text or key list longer than one statement may carry.
    #[error("a search text or a list of values is too long")]
    TooLong,
    /// More values than one statement may bind.
    #[error("the statement would bind too many values")]
    TooMany,
    /// A value with a letter that the database's encoding lacks.
    #[error("a value has a letter that the database's encoding lacks")]
    Letters,
}

/// How long a server that takes no changes is left alone, in seconds: another becomes the one that does, and
/// nobody can say when.
const CLOSED: u64 = 10;

/// What can go wrong between a plan and its rows.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The plan cannot be written.
    #[error(transparent)]
    Write(#[from] WriteFault),
    /// The rows of one answer exceed the limit.
    #[error("the rows of one answer exceed {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The database shows more tables than a catalogue may hold.
    #[error("the database shows more than {limit} tables")]
    TooManyTables {
        /// The limit.
        limit: usize,
    },
    /// The catalogue answered something that is not its documented shape.
    #[error("the database's own catalogue gave an unexpected answer")]
    Catalogue,
    /// A change broke a rule of the database; nothing was stored.
    #[error("a change broke a rule of the database ({:?})", .0.kind)]
    Rule(super::rule::Breach),
    /// Somebody else was changing the same rows; nothing was stored.
    #[error("another transaction was in the way")]
    Contended,
    /// The server is a standby, or closed to changes; nothing was stored.
    #[error("the server takes no changes")]
    ReadOnly,
    /// A change reached more than one row; nothing was stored.
    #[error("a change reached several rows")]
    Several,
    /// A table's engine cannot take a change back.
    #[error("a table of the database cannot roll back")]
    CannotUndo,
    /// Dialling, leasing or the database itself failed.
    #[error("the database did not answer the query: {}", .0.kind().as_str())]
    Database(Box<dyn Fault + Send + Sync>),
}

impl Fault for StoreFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Write(WriteFault::TooLong | WriteFault::TooMany | WriteFault::Letters)
            | Self::TooLarge { .. }
            | Self::Rule(_) => FaultKind::Invalid,
            Self::Write(WriteFault::Identifier)
            | Self::TooManyTables { .. }
            | Self::Several
            | Self::CannotUndo => FaultKind::Mapping,
            Self::Contended => FaultKind::Conflict,
            Self::ReadOnly => FaultKind::Unavailable,
            // Values and shapes are checked before a plan is made.
            Self::Write(_) | Self::Catalogue => FaultKind::Internal,
            Self::Database(fault) => fault.kind(),
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Write(WriteFault::TooLong) => "a search value is too long".into(),
            Self::Write(WriteFault::Letters) => {
                "a search value has a letter that the organisation's database cannot hold".into()
            }
            Self::Write(WriteFault::TooMany) => {
                "the search has too many values, or its page too many rows; ask for fewer".into()
            }
            Self::Write(_) | Self::TooManyTables { .. } | Self::Catalogue => {
                "the query could not be run".into()
            }
            Self::Rule(_) => "the change breaks a rule of the organisation's database".into(),
            Self::Contended => {
                "somebody else was changing the same records; nothing was stored, try again".into()
            }
            Self::ReadOnly => {
                "the organisation's database takes no changes at present; nothing was stored".into()
            }
            Self::Several => {
                "more than one row of the organisation's database has this key; nothing was stored".into()
            }
            Self::CannotUndo => {
                "a table of the organisation's database cannot take changes back, so it is not written".into()
            }
            Self::TooLarge { .. } => "the answer is too large; ask for a smaller page".into(),
            Self::Database(fault) => fault.client_message(),
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Database(fault) => fault.retry_after_secs(),
            Self::ReadOnly => Some(CLOSED),
            _ => None,
        }
    }
}
