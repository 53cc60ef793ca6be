use super::{Running, Step, StepFault, WAVES_UNDO};
use crate::control::{migrate, offboard, provision, rotate};

/// What operations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Kind {
    Provision,
    ProvisionSeveral,
    Migrate,
    MigrateFleet,
    Rotate,
    Offboard,
    /// Panics at its second step.
    #[cfg(test)]
    Broken,
}

impl Kind {
    pub(in crate::control) const ALL: [Self; 6] = [
        Self::Provision,
        Self::ProvisionSeveral,
        Self::Migrate,
        Self::MigrateFleet,
        Self::Rotate,
        Self::Offboard,
    ];

    pub(in crate::control) const fn as_str(self) -> &'static str {
        match self {
            Self::Provision => "tenant.provision",
            Self::ProvisionSeveral => "fleet.provision",
            Self::Migrate => "tenant.migrate",
            Self::MigrateFleet => "fleet.migrate",
            Self::Rotate => "tenant.rotate-password",
            Self::Offboard => "tenant.offboard",
            #[cfg(test)]
            Self::Broken => "test.broken",
        }
    }

    pub(in crate::control) fn parse(text: &str) -> Option<Self> {
        #[cfg(test)]
        if text == Self::Broken.as_str() {
            return Some(Self::Broken);
        }
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    pub(in crate::control) const fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Provision => provision::STEPS,
            Self::ProvisionSeveral => provision::several::STEPS,
            Self::Migrate => migrate::STEPS,
            Self::MigrateFleet => migrate::fleet::STEPS,
            Self::Rotate => rotate::STEPS,
            Self::Offboard => offboard::STEPS,
            #[cfg(test)]
            Self::Broken => &["begin", "break"],
        }
    }

    /// The way back, in the order it is gone.
    pub(in crate::control) const fn undo(self) -> &'static [&'static str] {
        match self {
            Self::Provision => provision::UNDO,
            Self::Rotate => rotate::UNDO,
            Self::MigrateFleet | Self::ProvisionSeveral => WAVES_UNDO,
            Self::Migrate | Self::Offboard => &[],
            #[cfg(test)]
            Self::Broken => &[],
        }
    }

    /// Before which step there still is a way back.
    pub(in crate::control) const fn way_back_before(self) -> u64 {
        match self {
            Self::Provision => provision::STEPS.len() as u64 - 1,
            Self::ProvisionSeveral => provision::several::STEPS.len() as u64,
            Self::Migrate => 1,
            Self::MigrateFleet => migrate::fleet::STEPS.len() as u64,
            Self::Rotate => rotate::WAY_BACK_BEFORE,
            Self::Offboard => 0,
            #[cfg(test)]
            Self::Broken => 2,
        }
    }

    pub(super) async fn carry_out(self, step: &'static str, at: &mut Running<'_>) -> Step {
        match self {
            Self::Provision => provision::carry_out(step, at).await,
            Self::ProvisionSeveral => provision::several::carry_out(step, at).await,
            Self::Migrate => migrate::carry_out(step, at).await,
            Self::MigrateFleet => migrate::fleet::carry_out(step, at).await,
            Self::Rotate => rotate::carry_out(step, at).await,
            Self::Offboard => offboard::carry_out(step, at).await,
            #[cfg(test)]
            Self::Broken => super::tests::carry_out(step, at),
        }
    }

    /// After it has failed for good: what is to be written down elsewhere.
    pub(super) async fn failed(self, at: &mut Running<'_>, fault: &StepFault) {
        if self == Self::Migrate {
            migrate::failed(at, fault).await;
        }
        #[cfg(test)]
        assert!(self != Self::Broken, "writing it down breaks off, too");
    }
}
