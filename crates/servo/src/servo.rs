//! What a tracker is asked to do.

use sidereal_time::Span;

use crate::belief::{Belief, Observation, Wander};
use crate::kalman::Kalman;
use crate::pi::Pi;
use crate::regression::Regression;

/// How much of an oscillator's random walk of frequency is taken for white frequency noise, in seconds: below, the latter is
/// what is seen.
const WHITE_NOISE_S: f64 = 1.0;

/// So many deviations hold 99.99 of 100 errors in simulations of five kinds of path, 100 seeds each.
const COVERAGE: f64 = 5.5;
/// Of normal errors, known exactly, so many do.
const NORMAL_COVERAGE: f64 = 3.89;
/// The rest.
const MISSED: f64 = 1e-4;

/// Which servo turns measurements into phase and frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServoKind {
    /// Proportional and integral, in linuxptp's sense.
    Pi,
    /// Weighted linear regression over as many samples as lie on a line.
    Regression,
    /// A Kalman filter of phase, frequency and drift that learns its noise. The best of the three wherever they were
    /// measured.
    #[default]
    Kalman,
}

/// How a tracker follows its measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServoOptions {
    /// Which servo.
    pub kind: ServoKind,
    /// Corrections larger than this are made at once, where `step_updates` allows it; `None`: only the first is.
    pub step_threshold: Option<Span>,
    /// Steps are allowed in so many first measurements; `None`: always.
    pub step_updates: Option<u32>,
    /// How fast the published time may be slewed, in parts per million, 1 to 100 000.
    pub max_slew_ppm: f64,
    /// How far the counter's frequency may be from what it is known as (learned, or nominal), in parts per million.
    pub max_frequency_ppm: f64,
    /// How long holdover is served as synchronised at most; the bound decides too.
    pub holdover_limit: Span,
    /// With a larger bound than this the time is no longer served as synchronised.
    pub max_bound: Span,
    /// The gains of [`ServoKind::Pi`].
    pub pi: PiOptions,
}

impl Default for ServoOptions {
    fn default() -> Self {
        Self {
            kind: ServoKind::default(),
            step_threshold: Some(Span::from_nanos(128_000_000)),
            step_updates: None,
            max_slew_ppm: 500.0,
            max_frequency_ppm: 1_000.0,
            holdover_limit: Span::from_secs(86_400),
            max_bound: Span::SECOND,
            pi: PiOptions::default(),
        }
    }
}

/// The gains of the PI servo: each is `scale` times the interval to the power `exponent`, at most `norm_max` divided by the
/// interval. The names and the values are linuxptp's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PiOptions {
    /// `kp = proportional_scale * interval ^ proportional_exponent`.
    pub proportional_scale: f64,
    /// See `proportional_scale`.
    pub proportional_exponent: f64,
    /// `kp * interval` is at most this.
    pub proportional_norm_max: f64,
    /// `ki = integral_scale * interval ^ integral_exponent`.
    pub integral_scale: f64,
    /// See `integral_scale`.
    pub integral_exponent: f64,
    /// `ki * interval` is at most this.
    pub integral_norm_max: f64,
}

impl Default for PiOptions {
    fn default() -> Self {
        Self {
            proportional_scale: 0.1,
            proportional_exponent: -0.3,
            proportional_norm_max: 0.7,
            integral_scale: 0.001,
            integral_exponent: 0.4,
            integral_norm_max: 0.3,
        }
    }
}

impl ServoOptions {
    /// As a part of the time.
    pub(crate) fn max_slew(&self) -> f64 {
        sane(self.max_slew_ppm, 1.0, 1e5) * 1e-6
    }

    /// Whether the frequency is within the limit, and all of it is finite.
    pub(crate) fn allows(&self, belief: &Belief) -> bool {
        belief.mean[1].abs() <= self.frequency_limit()
            && belief.mean.iter().chain(belief.covariance.as_flattened()).all(|value| value.is_finite())
    }

    /// In s/s.
    pub(crate) fn frequency_limit(&self) -> f64 {
        sane(self.max_frequency_ppm, 1e-3, 5e5) * 1e-6
    }
}

/// One of the three.
#[derive(Debug, Clone)]
pub(crate) enum Servo {
    Pi(Pi),
    Regression(Regression),
    Kalman(Box<Kalman>),
}

impl Servo {
    /// Begins with a belief; `wander` is what was learned before, in s/s per square root of a second.
    pub(crate) fn new(options: &ServoOptions, belief: Belief, wander: Option<f64>) -> Self {
        match options.kind {
            ServoKind::Pi => Self::Pi(Pi::new(&options.pi, &belief)),
            ServoKind::Regression => Self::Regression(Regression::new(belief)),
            ServoKind::Kalman => Self::Kalman(Box::new(Kalman::new(belief, wander, WHITE_NOISE_S))),
        }
    }

    /// Lets `dt` seconds pass (at least zero).
    pub(crate) fn pass(&mut self, dt: f64) {
        match self {
            Self::Pi(pi) => pi.pass(dt),
            Self::Regression(regression) => regression.pass(dt),
            Self::Kalman(kalman) => kalman.pass(dt),
        }
    }

    /// Takes an observation of now into account.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        match self {
            Self::Pi(pi) => pi.observe(observation),
            Self::Regression(regression) => regression.observe(observation),
            Self::Kalman(kalman) => kalman.observe(observation),
        }
    }

    /// What is believed now.
    pub(crate) fn belief(&self) -> Belief {
        match self {
            Self::Pi(pi) => pi.belief(),
            Self::Regression(regression) => regression.belief(),
            Self::Kalman(kalman) => kalman.belief(),
        }
    }

    /// How far the truth is from `phase` in `dt` seconds, in all but one of 10 000 cases; or `at_least`, which is cheaper.
    /// `belief` is what is believed then.
    pub(crate) fn spread(&self, dt: f64, phase: f64, at_least: f64, belief: &Belief) -> f64 {
        match self {
            Self::Kalman(kalman) => kalman.spread(dt, phase, at_least, COVERAGE / NORMAL_COVERAGE, MISSED),
            Self::Pi(_) | Self::Regression(_) => {
                (COVERAGE * belief.deviation(0) + (belief.mean[0] - phase).abs()).max(at_least)
            }
        }
    }

    /// How the counter wanders.
    pub(crate) fn wander(&self) -> Wander {
        match self {
            Self::Pi(pi) => pi.wander(),
            Self::Regression(regression) => regression.wander(),
            Self::Kalman(kalman) => kalman.wander(),
        }
    }
}

/// `value` within `low` and `high`; the latter where it is not a number.
pub(crate) fn sane(value: f64, low: f64, high: f64) -> f64 {
    if value.is_nan() { high } else { value.clamp(low, high) }
}
