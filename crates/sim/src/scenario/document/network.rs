//! Links, switches and what packets wait for.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::super::values::{Length, Probability};
use super::is_default;

/// A link; its first host is where the way "there" begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTable {
    /// The two hosts.
    pub between: Spanned<[String; 2]>,
    /// Whose numbers hold where none are given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<LinkPreset>,
    /// The shortest way in each direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Length>,
    /// How much longer the way there is than the way back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asymmetry: Length,
    /// What packets wait beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<JitterTable>,
    /// The same for the way back, where that is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_back: Option<JitterTable>,
    /// How often a packet is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Probability>,
    /// How often a packet arrives twice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub duplication: Probability,
    /// How often a packet is held back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reordering: Probability,
    /// How long it is held back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reordering_delay: Length,
    /// The switches that it leads through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Spanned<String>>,
}

impl LinkTable {
    /// The link between `a` and `b`, of which nothing else is said.
    #[must_use]
    pub fn between(a: &str, b: &str) -> Self {
        Self {
            between: Spanned::new(0..0, [a.to_owned(), b.to_owned()]),
            preset: None,
            delay: None,
            asymmetry: Length::default(),
            jitter: None,
            jitter_back: None,
            loss: None,
            duplication: Probability::default(),
            reordering: Probability::default(),
            reordering_delay: Length::default(),
            through: Vec::new(),
        }
    }
}

/// See [`crate::link::presets::Preset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPreset {
    /// A local network with little traffic.
    QuietLan,
    /// A local network under load.
    BusyLan,
    /// A path through the internet.
    Wan,
}

/// A switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchTable {
    /// Its name.
    pub name: Spanned<String>,
    /// Whether it tells packets how long they stayed.
    #[serde(default)]
    pub kind: SwitchKind,
    /// How long a packet stays at least.
    #[serde(default)]
    pub delay: Length,
    /// What it waits beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<JitterTable>,
    /// The unit in which a transparent one counts.
    #[serde(default = "eight_nanoseconds")]
    pub granularity: Length,
    /// How wrong its own frequency is.
    #[serde(default)]
    pub frequency_offset_ppm: f64,
}

fn eight_nanoseconds() -> Length {
    Length(sidereal_time::Span::from_nanos(8))
}

/// What a switch does with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchKind {
    /// Nothing.
    #[default]
    Plain,
    /// It measures how long each packet stays and tells it in the packet (IEEE 1588-2019 10.2), as packets of NTP inside
    /// PTP messages are told.
    Transparent,
}

/// A distribution of waits; see [`crate::link::Jitter`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Copy)]
#[serde(deny_unknown_fields)]
pub struct JitterTable {
    /// Its kind, which says what else must be given.
    pub kind: JitterKind,
    /// The mean: exponential, gamma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Length>,
    /// The shape: gamma, Weibull, Pareto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<f64>,
    /// The scale: Weibull, Pareto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Length>,
    /// The median: log-normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<Length>,
    /// The deviation of the logarithm: log-normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
}

/// See [`crate::link::Jitter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterKind {
    /// No wait.
    None,
    /// Exponential.
    Exponential,
    /// Gamma.
    Gamma,
    /// Weibull.
    Weibull,
    /// Log-normal.
    LogNormal,
    /// Pareto.
    Pareto,
}
