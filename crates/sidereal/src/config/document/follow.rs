//! Which sources are believed, how they are followed, and how leap seconds are told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::config::numbers::{Exponent, Gain, Ppm, Whole};
use crate::config::values::{Length, Threshold};

/// Which sources are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// How many sources must agree before any is followed.
    pub minimum_sources: Whole<1, 255>,
    /// How far off a source may be by its own account, and by the way to it, and still be selected.
    pub max_distance: Length,
    /// How much what is measured may scatter from one time to the next (standard deviation); without it as much as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jitter: Option<Length>,
    /// How much nearer another source must be to take the place of the one that speaks for all.
    pub reselect_distance: Length,
    /// What a key is worth.
    pub authentication: Authentication,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            minimum_sources: Whole::literal::<1>(),
            max_distance: Length(Duration::from_secs(1)),
            max_jitter: None,
            reselect_distance: Length(Duration::from_micros(100)),
            authentication: Authentication::Prefer,
        }
    }
}

/// What a key is worth, where some sources are authenticated and some are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Sources without a key count only while no source with one does.
    Prefer,
    /// Sources without a key are never selected.
    Require,
    /// Sources without a key count only where they agree with those that have one.
    Mix,
    /// Nothing.
    Ignore,
}

/// Which measurements of a source are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterKind {
    /// All, each with a weight: the longer it took, the less it counts.
    #[default]
    None,
    /// Of the last `filter_length` the one with the shortest delay.
    MinimumDelay,
    /// Of the last `filter_length` the one with the middle offset.
    MovingMedian,
    /// Those whose delay is among the shortest, by `quantile`, of the last `filter_length`.
    Quantile,
}

/// How the sources are followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Servo {
    /// How the time is estimated from what is measured.
    pub kind: ServoKind,
    /// Our time is set anew where it is wrong by more than this, and slewed where by less; "never" sets it at the start only.
    pub step_threshold: Threshold,
    /// It is set anew within the first so many measurements only; without it at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_updates: Option<Whole<1, { u32::MAX }>>,
    /// How fast our time is corrected at most.
    pub max_slew_ppm: Ppm,
    /// How far the counter's frequency may be from what is written on it, or from what was learned; measurements that say
    /// more are not believed.
    pub max_frequency_ppm: Ppm,
    /// How long we serve at most when no source is left.
    pub holdover_limit: Length,
    /// We serve no longer where our time may be further off than this.
    pub max_bound: Length,
    /// The controller of `kind = "pi"`.
    pub pi: Pi,
}

impl Default for Servo {
    fn default() -> Self {
        Self {
            kind: ServoKind::Kalman,
            step_threshold: Threshold(Some(Length(Duration::from_millis(128)))),
            step_updates: None,
            max_slew_ppm: Ppm::nearest(500.0),
            max_frequency_ppm: Ppm::nearest(1000.0),
            holdover_limit: Length(Duration::from_secs(86_400)),
            max_bound: Length(Duration::from_secs(1)),
            pi: Pi::default(),
        }
    }
}

/// How the time is estimated from what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServoKind {
    /// A proportional-integral controller, as linuxptp has it.
    Pi,
    /// A line through as many of the last measurements as lie on one.
    Regression,
    /// A Kalman filter that learns its noise from what is measured.
    Kalman,
}

/// The gains of a proportional-integral controller: each is a scale times the interval between measurements (in seconds)
/// to the power of its exponent, and at most `norm_max` divided by the interval. Names and values are linuxptp's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pi {
    /// The scale of what is corrected until the next measurement.
    pub proportional_scale: Gain,
    /// Its exponent.
    pub proportional_exponent: Exponent,
    /// The most of an offset that is corrected in one interval.
    pub proportional_norm_max: Gain,
    /// The scale of what goes into the frequency.
    pub integral_scale: Gain,
    /// Its exponent.
    pub integral_exponent: Exponent,
    /// The most of an offset that goes into the frequency in one interval.
    pub integral_norm_max: Gain,
}

impl Default for Pi {
    fn default() -> Self {
        Self {
            proportional_scale: Gain::nearest(0.1),
            proportional_exponent: Exponent::nearest(-0.3),
            proportional_norm_max: Gain::nearest(0.7),
            integral_scale: Gain::nearest(0.001),
            integral_exponent: Exponent::nearest(0.4),
            integral_norm_max: Gain::nearest(0.3),
        }
    }
}

/// How leap seconds are smeared, by ports that do so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Smear {
    /// How long it takes; its middle is the leap second.
    pub window: Length,
}

impl Default for Smear {
    fn default() -> Self {
        Self { window: Length(Duration::from_secs(86_400)) }
    }
}

/// How the clients of a port are told of a leap second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmearKind {
    /// It is announced, and made.
    #[default]
    Off,
    /// It is spread evenly over the window.
    Linear,
    /// It is spread over the window with a soft beginning and end.
    Cosine,
}
