//! A clock of the host, made to follow the model.

use sidereal_time::Span;

/// A correction is spread over this, or longer.
const SLEW_S: f64 = 0.0625;
/// Corrections up to this are left to the next one, in seconds.
const NEGLIGIBLE_S: f64 = 0.25e-9;
/// The frequency is known once its deviation is below this, in s/s.
const KNOWN_FREQUENCY: f64 = 1e-5;
/// Only what is off by so many deviations is stepped.
const CERTAIN: f64 = 4.0;
/// No clock takes more, in parts per billion.
const MAX_FREQUENCY_PPB: f64 = 1e9;
/// Where steps are not allowed, the first may be if the error is larger than this, in seconds.
const FIRST_STEP_S: f64 = 0.5;
/// Changes below this are not told, in parts per billion: clocks round to 0.0153 (scaled ppm) or more.
const LEAST_CHANGE_PPB: f64 = 0.004;

/// How much faster a clock runs than it does by itself, in parts per billion: what `clock_adjtime(2)` is told (times 65.536
/// in its `freq`).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct FrequencyOffset(f64);

impl FrequencyOffset {
    /// As it comes from the factory.
    pub const ZERO: Self = Self(0.0);

    /// An offset of `ppb` parts per billion; not a number becomes zero.
    #[must_use]
    pub const fn from_ppb(ppb: f64) -> Self {
        Self(if ppb.is_nan() { 0.0 } else { ppb })
    }

    /// In parts per billion.
    #[must_use]
    pub const fn as_ppb(self) -> f64 {
        self.0
    }
}

/// What a clock is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Adjustment {
    /// Move the time shown by this.
    Step(Span),
    /// Run at this offset from now on.
    Frequency(FrequencyOffset),
}

/// How a clock is steered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteeringOptions {
    /// The clock takes no larger offset than this, in parts per billion.
    pub max_frequency_ppb: f64,
    /// Errors larger than this are stepped away; `None`: only the first is, if it is larger than half a second.
    pub step_threshold: Option<Span>,
}

impl Default for SteeringOptions {
    fn default() -> Self {
        Self { max_frequency_ppb: 500_000.0, step_threshold: Some(Span::from_nanos(1_000_000)) }
    }
}

/// How a clock stands to the model: what is known of the clock by a [`crate::CrossTracker`], less what the model says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// How far the clock is ahead of the model.
    pub error: Span,
    /// The standard deviation of that, in seconds.
    pub deviation: f64,
    /// The offset with which the clock would run as the model does.
    pub even: FrequencyOffset,
    /// The standard deviation of that, in s/s.
    pub frequency_deviation: f64,
}

/// What a clock is to be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// What it is told now.
    pub adjustment: Adjustment,
    /// After this long its error will be gone, and it is to be told something else; `None`: it can go on like this.
    pub lasts: Option<Span>,
}

/// How well a clock follows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SteeringStatus {
    /// How the clock stood last.
    pub standing: Option<Standing>,
    /// The offset that was asked for last.
    pub frequency: Option<FrequencyOffset>,
    /// Steps that were asked for.
    pub steps: u64,
}

/// Keeps one clock on the model: what is known of how it stands is taken away as fast as the model itself is corrected, so that
/// it shows what the model says.
#[derive(Debug, Clone)]
pub struct Steering {
    options: SteeringOptions,
    /// Nothing has been asked of the clock.
    first: bool,
    status: SteeringStatus,
}

impl Steering {
    /// A control law that has not been asked.
    #[must_use]
    pub fn new(options: &SteeringOptions) -> Self {
        Self { options: *options, first: true, status: SteeringStatus::default() }
    }

    /// Says what to tell the clock, which is taken to be done at once; nothing where it can go on as it was told, or while too
    /// little is known of it.
    pub fn decide(&mut self, standing: &Standing) -> Option<Told> {
        self.status.standing = Some(*standing);
        let error = standing.error.as_secs_f64();
        if error.abs() > self.step_threshold() && error.abs() > CERTAIN * standing.deviation {
            self.first = false;
            self.status.steps += 1;
            return Some(Told { adjustment: Adjustment::Step(-standing.error), lasts: None });
        }
        // Written so that no number at all is not known.
        let known = standing.frequency_deviation <= KNOWN_FREQUENCY;
        if !known {
            return None;
        }
        self.first = false;
        let even = self.options.within_limit(standing.even.as_ppb());
        let correction = if error.abs() > NEGLIGIBLE_S { -error } else { 0.0 };
        let told = self.options.within_limit(even + correction / SLEW_S * 1e9);
        let corrected = (told - even) * 1e-9;
        let lasts = (corrected != 0.0).then(|| Span::from_secs_f64((correction / corrected).max(SLEW_S)));
        let frequency = FrequencyOffset::from_ppb(told);
        if let Some(before) = self.status.frequency
            && (before.as_ppb() - told).abs() < LEAST_CHANGE_PPB
        {
            return None;
        }
        self.status.frequency = Some(frequency);
        Some(Told { adjustment: Adjustment::Frequency(frequency), lasts })
    }

    /// What was asked for last was not done.
    pub fn refused(&mut self) {
        self.status.frequency = None;
    }

    /// How well the clock follows.
    #[must_use]
    pub fn status(&self) -> SteeringStatus {
        self.status
    }

    /// In seconds.
    fn step_threshold(&self) -> f64 {
        match self.options.step_threshold {
            Some(threshold) => threshold.as_secs_f64().max(0.0),
            None if self.first => FIRST_STEP_S,
            None => f64::INFINITY,
        }
    }
}

impl SteeringOptions {
    /// In parts per billion.
    fn within_limit(&self, ppb: f64) -> f64 {
        let limit = self.max_frequency_ppb.abs();
        let limit = if limit.is_finite() { limit.min(MAX_FREQUENCY_PPB) } else { MAX_FREQUENCY_PPB };
        if ppb.is_nan() { 0.0 } else { ppb.clamp(-limit, limit) }
    }
}
