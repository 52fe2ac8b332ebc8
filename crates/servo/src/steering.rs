//! A clock of the host, made to follow the model.

use sidereal_time::{LocalClock, Span, Ticks};

use crate::belief::{Belief, Bracket, Observation};
use crate::filter::floor::Floor;
use crate::kalman::Kalman;

/// An error is to be gone after so many readings.
const PATIENCE: f64 = 2.0;
/// But no faster and no slower than if readings came at these intervals, in seconds.
const QUICKEST_S: f64 = 1.0 / 64.0;
/// See [`QUICKEST_S`].
const SLOWEST_S: f64 = 64.0;
/// So many windows are needed before the shortest tells anything.
const LEARNING: f64 = 4.0;
/// Windows longer than this count as this, in seconds.
const MAX_WINDOW_S: f64 = 10.0;
/// Errors larger than this count as this, in seconds: a thousand years.
const MAX_ERROR_S: f64 = 3.2e10;
/// How probable it is that a reading's error is that of its window.
const CREDIBLE: f64 = 0.99;
/// A reading further off than so many deviations is doubted once.
const PLAUSIBLE: f64 = 8.0;
/// How far a frequency may have changed when readings are far off, in s/s.
const SURPRISE: f64 = 1e-6;
/// A clock's own frequency is within this, in s/s, before it was seen.
const UNKNOWN_FREQUENCY: f64 = 2e-4;
/// A frequency further than this from what was asked for was set by somebody else, in s/s: clocks round to 1.5e-11 (scaled
/// ppm) or to 1e-9 (whole ppb).
const FOREIGN: f64 = 2e-9;
/// No clock takes more, in parts per billion.
const MAX_FREQUENCY_PPB: f64 = 1e9;
/// Where steps are not allowed, the first may be if the error is larger than this, in seconds.
const FIRST_STEP_S: f64 = 0.5;
/// The published model is slewed each time it is made anew, which looks like white frequency noise of the clock: so much for
/// each unit of random walk, in seconds.
const WHITE_NOISE_S: f64 = 30.0;

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

/// How well a clock follows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SteeringStatus {
    /// How far the clock is ahead of the model, as estimated from all readings.
    pub error: Option<Span>,
    /// The standard deviation of that, in seconds.
    pub deviation: f64,
    /// The offset that was asked for last.
    pub frequency: FrequencyOffset,
    /// How much faster than the model the clock would run by itself.
    pub own_frequency: FrequencyOffset,
    /// Adjustments of the frequency by somebody else, seen since the start.
    pub foreign_changes: u64,
    /// Steps that were asked for.
    pub steps: u64,
}

/// Keeps one clock on the model.
///
/// What is estimated, by the same Kalman filter that the local counter is tracked with, is how the clock would run by itself:
/// what was asked for is subtracted from what is read. So a correction does not look like noise, and the frequency that is
/// asked for can take the error away within two readings without any ringing. A reading is worth what its window is above the
/// shortest window.
#[derive(Debug, Clone)]
pub struct Steering {
    options: SteeringOptions,
    floor: Option<Floor>,
    clock: Option<Free>,
    /// The last reading told something impossible.
    suspected: bool,
    status: SteeringStatus,
}

/// A clock as it would run by itself.
#[derive(Debug, Clone)]
struct Free {
    kalman: Kalman,
    at: Ticks,
    /// What was steered so far, in seconds, and how fast, in s/s.
    steered: f64,
    speed: f64,
}

impl Steering {
    /// A controller that knows nothing of its clock.
    #[must_use]
    pub fn new(options: &SteeringOptions) -> Self {
        Self { options: *options, floor: None, clock: None, suspected: false, status: SteeringStatus::default() }
    }

    /// A reading of the clock: at `at` it was `error` ahead of the model, read within `window`, and it ran at
    /// `frequency_now`. Says what to tell the clock, which is taken to be done at once; nothing after a reading that tells
    /// nothing.
    pub fn offer(
        &mut self,
        at: Ticks,
        error: Span,
        window: Span,
        local: &LocalClock,
        frequency_now: FrequencyOffset,
    ) -> Option<Adjustment> {
        let window = window.as_secs_f64().clamp(0.0, MAX_WINDOW_S);
        let floor = self.floor.get_or_insert_with(|| Floor::new(window));
        floor.learn(window);
        let (excess, edge) = (floor.excess(window), floor.edge());
        let variance = (if floor.samples() < LEARNING { window } else { excess }).powi(2) / 12.0 + edge * edge;
        let bracket = (floor.samples() >= LEARNING).then_some(Bracket {
            half_width: (excess / 2.0).max(1e-3 * edge),
            edge,
            credibility: CREDIBLE,
        });
        let speed = self.options.within_limit(frequency_now) * 1e-9;
        let shown = error.as_secs_f64().clamp(-MAX_ERROR_S, MAX_ERROR_S);

        let first = self.clock.is_none();
        let clock = self.clock.get_or_insert_with(|| Free::new(at, shown, variance, speed));
        let dt = local.passed(clock.at, at).as_secs_f64();
        if !first && dt <= 0.0 {
            return None;
        }
        let before = clock.clone();
        if (speed - clock.speed).abs() > FOREIGN {
            self.status.foreign_changes += 1;
            // Nobody knows when it was changed.
            clock.kalman.disturb(0, (speed - clock.speed).abs() * dt);
            clock.speed = speed;
        }
        clock.pass(at, dt);
        let observation = Observation { phase: shown - clock.steered, variance, bracket };
        if !clock.kalman.belief().allows(&observation, PLAUSIBLE) {
            if !self.suspected {
                // It may be an accident: the next one tells. The model, or the clock, may as well have been stepped.
                self.suspected = true;
                self.clock = Some(Free { speed, ..before });
                return None;
            }
            clock.kalman.disturb(0, (observation.phase - clock.kalman.belief().mean[0]).abs());
            clock.kalman.disturb(1, SURPRISE);
        }
        self.suspected = false;
        clock.kalman.observe(&observation);
        let adjustment = self.decide(dt, first);
        self.report();
        adjustment
    }

    /// How well the clock follows.
    #[must_use]
    pub fn status(&self) -> SteeringStatus {
        self.status
    }

    /// What takes the error away.
    fn decide(&mut self, dt: f64, first: bool) -> Option<Adjustment> {
        let clock = self.clock.as_mut()?;
        let belief = clock.kalman.belief();
        let error = belief.mean[0] + clock.steered;
        let threshold = self.options.step_threshold.map_or(FIRST_STEP_S, Span::as_secs_f64);
        if (first || self.options.step_threshold.is_some()) && error.abs() > threshold {
            let step = Span::from_secs_f64(-error);
            clock.steered += step.as_secs_f64();
            self.status.steps += 1;
            return Some(Adjustment::Step(step));
        }
        if first {
            return None;
        }
        let wanted = -belief.mean[1] - error / (PATIENCE * dt.clamp(QUICKEST_S, SLOWEST_S));
        let told = FrequencyOffset::from_ppb(self.options.within_limit(FrequencyOffset::from_ppb(wanted * 1e9)));
        clock.speed = told.as_ppb() * 1e-9;
        self.status.frequency = told;
        Some(Adjustment::Frequency(told))
    }

    fn report(&mut self) {
        let Some(clock) = &self.clock else { return };
        let belief = clock.kalman.belief();
        self.status.error = Some(Span::from_secs_f64(belief.mean[0] + clock.steered));
        self.status.deviation = belief.deviation(0);
        self.status.own_frequency = FrequencyOffset::from_ppb(belief.mean[1] * 1e9);
    }
}

impl Free {
    fn new(at: Ticks, error: f64, variance: f64, speed: f64) -> Self {
        let belief = Belief::new([error, 0.0, 0.0], [variance.sqrt(), UNKNOWN_FREQUENCY, 0.0]);
        Self { kalman: Kalman::new(belief, None, WHITE_NOISE_S), at, steered: 0.0, speed }
    }

    fn pass(&mut self, at: Ticks, dt: f64) {
        self.kalman.pass(dt);
        self.steered += self.speed * dt;
        self.at = at;
    }
}

impl SteeringOptions {
    /// In parts per billion.
    fn within_limit(&self, frequency: FrequencyOffset) -> f64 {
        let limit = self.max_frequency_ppb.abs();
        let limit = if limit.is_finite() { limit.min(MAX_FREQUENCY_PPB) } else { MAX_FREQUENCY_PPB };
        frequency.as_ppb().clamp(-limit, limit)
    }
}
