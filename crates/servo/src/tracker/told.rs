//! What a tracker tells.

use sidereal_time::{Instant, Rate, Span, Tai};

/// How far a tracker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackerState {
    /// There is no time.
    Unlocked,
    /// The time was just set; the frequency is still being learned.
    Step,
    /// Time and frequency are followed.
    Locked,
    /// No source is left: time runs on by what was learned.
    Holdover,
}

/// What became of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offered {
    /// It is part of the estimate.
    Accepted,
    /// It set the time.
    First,
    /// The published time was moved at once.
    Stepped {
        /// By this much.
        by: Span,
    },
    /// It is far from what the estimate allows, and waits for others that say the same.
    Outlier,
    /// It would make the counter run at a frequency beyond the limit.
    Insane,
    /// It is too old to say anything.
    Stale,
}

/// Whether a source should be asked more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalAdvice {
    /// The clock wanders away between two measurements.
    Shorter,
    /// Noise and wander are balanced.
    Keep,
    /// The next measurement would tell nothing new.
    Longer,
}

/// The best knowledge at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// What time it is.
    pub at: Instant<Tai>,
    /// The length of the counter's tick.
    pub rate: Rate,
    /// The standard deviation of `at`, in seconds.
    pub offset_deviation: f64,
    /// The standard deviation of the frequency, in seconds per second.
    pub frequency_deviation: f64,
    /// How much the frequency changes: aging, in seconds per second each second.
    pub drift: f64,
    /// The random walk of the frequency, in seconds per second each square root of a second.
    pub wander: f64,
    /// What the published model still has to be slewed by.
    pub correction: Span,
}

/// What is saved, and used at the next start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    /// The frequency of the counter, in hertz.
    pub counter_hertz: f64,
    /// The standard deviation of that, relative.
    pub frequency_deviation: f64,
    /// The random walk of the frequency, in seconds per second each square root of a second.
    pub wander: f64,
    /// How much the frequency changes, in seconds per second each second.
    pub aging: f64,
}

impl Learned {
    /// Itself, if it can be believed.
    pub(super) fn sane(self) -> Option<Self> {
        let all = [self.counter_hertz, self.frequency_deviation, self.wander, self.aging];
        let sane = all.iter().all(|value| value.is_finite())
            && (1e4..1e13).contains(&self.counter_hertz)
            && (0.0..1e-2).contains(&self.frequency_deviation)
            && (0.0..1e-3).contains(&self.wander)
            && self.aging.abs() < 1e-9;
        sane.then_some(self)
    }
}
