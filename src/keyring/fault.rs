use std::borrow::Cow;

use super::material::NoRandomness;
use super::source::KekFault;
use super::{DataKeyId, KekId, WrappedKeysUnavailable};
use crate::base::{Fault, FaultKind};

/// What can go wrong with keys and seals.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyFault {
    /// A sealed record does not open where it was found. One answer for every cause; the cause is in
    /// the integrity log.
    #[error("a sealed record does not open")]
    DoesNotOpen,
    /// The key store is empty.
    #[error(
        "the key store has no platform key: run `wardgate keys init` if this is a new installation, \
         otherwise check that `keys.store` names the right database"
    )]
    NotInitialised,
    /// The key store has keys of tenants and no platform key.
    #[error(
        "the key store has data keys but no platform key: it is damaged or half restored; restore it \
         as a whole"
    )]
    PlatformKeyLost,
    /// A key-encryption key that wrapped keys need is not at hand.
    #[error(
        "the {kind} has no key-encryption key {kek}, under which data keys are wrapped: add it back, \
         or check that `keys.kek_file` and `keys.store` belong together"
    )]
    KekMissing {
        /// The kind of key source.
        kind: &'static str,
        /// The key that is missing.
        kek: KekId,
    },
    /// A key-encryption key is not the one that data keys were wrapped under.
    #[error(
        "data key {key} does not unwrap: key-encryption key {kek} in the {kind} is not the one it was \
         wrapped under, or the key store was changed"
    )]
    KekWrong {
        /// The kind of key source.
        kind: &'static str,
        /// The key that does not fit.
        kek: KekId,
        /// The data key tried.
        key: DataKeyId,
    },
    /// The store of wrapped keys.
    #[error(transparent)]
    Store(#[from] WrappedKeysUnavailable),
    /// The source of key-encryption keys.
    #[error(transparent)]
    Source(#[from] KekFault),
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// There is no such data key to seal under.
    #[error("there is no data key {0}")]
    NoSuchKey(DataKeyId),
    /// The data key belongs to another tenant than the place.
    #[error("data key {0} is another tenant's")]
    ForeignKey(DataKeyId),
    /// The platform's own key holds up everything derived from it.
    #[error("the platform key cannot be destroyed")]
    PlatformKey,
    /// A data key has sealed as often as one may.
    #[error("data key {0} has sealed as often as one key may: give the tenant a new one")]
    Exhausted(DataKeyId),
    /// The record is larger than a seal holds.
    #[error("the connection record is larger than 128 KiB")]
    TooLarge,
    /// Data keys are still wrapped under it.
    #[error("key-encryption key {kek} still has {references} data keys wrapped under it")]
    KekInUse {
        /// The key.
        kek: KekId,
        /// How many.
        references: u64,
    },
    /// A defect of ours.
    #[error("defect in the keyring: {0}")]
    Defect(&'static str),
}

impl Fault for KeyFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::DoesNotOpen | Self::PlatformKeyLost | Self::KekWrong { .. } => {
                FaultKind::Integrity
            }
            Self::NotInitialised
            | Self::KekMissing { .. }
            | Self::Store(_)
            | Self::Source(_)
            | Self::NoRandomness(_) => FaultKind::Unavailable,
            Self::NoSuchKey(_) => FaultKind::NotFound,
            Self::TooLarge => FaultKind::TooLarge,
            Self::PlatformKey | Self::Exhausted(_) | Self::KekInUse { .. } => FaultKind::Conflict,
            Self::ForeignKey(_) | Self::Defect(_) => FaultKind::Internal,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.kind() {
            FaultKind::Unavailable => "The gateway's keys cannot be reached at the moment.",
            FaultKind::Integrity => "The stored configuration of this hospital cannot be trusted.",
            FaultKind::TooLarge => "The connection record is too large.",
            FaultKind::Conflict => "The key is still needed or can no longer be used.",
            FaultKind::NotFound => "There is no such key.",
            _ => "The gateway could not complete a key operation.",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        (self.kind() == FaultKind::Unavailable).then_some(5)
    }
}
