//! What goes wrong, and what must hold all the same.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::super::values::Length;

/// Something that goes wrong; see [`crate::fault::FaultKind`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultTable {
    /// What.
    pub kind: Spanned<FaultKindName>,
    /// When, from the beginning of the run.
    pub at: Spanned<Length>,
    /// For how long; to the end of the run where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Length>,
    /// To which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Spanned<String>>,
    /// To which link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Spanned<[String; 2]>>,
    /// By how much time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Length>,
    /// How fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppm: Option<f64>,
    /// By which factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
}

/// See [`crate::fault::FaultKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKindName {
    /// A reference is wrong by `by`.
    LieStep,
    /// A reference runs away at `ppm`.
    LieRamp,
    /// A reference or a server says that it is not synchronised.
    Unsynchronised,
    /// A reference that leads by PTP has lost what its time comes from, says so, and stays right.
    Degraded,
    /// A host is silent and deaf.
    Down,
    /// A link is cut.
    LinkDown,
    /// Both ways take `by` longer.
    Delay,
    /// The way there takes `by` longer.
    Asymmetry,
    /// Waits are `factor` times as long.
    Jitter,
    /// A counter jumps by `by`.
    CounterJump,
    /// A host sleeps: its counter stands still, its system clock does not.
    Suspend,
    /// Somebody sets a system clock `by` ahead.
    SetClock,
    /// The program ends and begins again with what it saved.
    Restart,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitTable {
    /// Of which host.
    pub host: Spanned<String>,
    /// Which statistic.
    pub statistic: crate::truth::Statistic,
    /// What is made of the values of all runs.
    #[serde(default)]
    pub of: crate::limit::Of,
    /// It may not be larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// It may not be smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// From when on, from the beginning of the run; the end of `settle` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Length>,
    /// Until when; the end of the run where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Length>,
}
