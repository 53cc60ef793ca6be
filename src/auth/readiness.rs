use std::time::Duration;

/// The state of one issuer, for readiness checks and the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerReadiness {
    /// The issuer's exact name.
    pub issuer: String,
    /// Whether it vouches for operators instead of clinicians.
    pub operators: bool,
    /// Whether its tokens can be judged now.
    pub ready: bool,
    /// How many of its keys count.
    pub keys: usize,
    /// How long ago its keys were last fetched successfully.
    pub age: Option<Duration>,
    /// Why the newest fetch failed, as a code; none if it succeeded.
    pub failing: Option<&'static str>,
    /// How many key fetches were begun.
    pub fetches: u64,
}
