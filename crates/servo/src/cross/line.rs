//! How a clock runs: from where, how fast by itself, and how much faster because we want it.

use sidereal_time::{CrossStamp, LocalClock, Rate, Span, Ticks};

use super::CrossEstimate;
use super::noise::ReadNoise;
use crate::belief::{Belief, Observation};
use crate::kalman::Kalman;

/// The shortest tick of a clock: a picosecond.
pub(super) const FINEST_TICK: Rate = Rate::from_bits(1 << 46);
/// A clock's own frequency is within this, in s/s, before it was seen.
const UNKNOWN_FREQUENCY: f64 = 2e-4;
/// No clock is further off than this, in seconds.
const FURTHEST_S: f64 = 1e13;
/// How much of an oscillator's random walk of frequency is taken for white frequency noise, in seconds.
const WHITE_NOISE_S: f64 = 1.0;

/// A clock as it runs.
#[derive(Debug, Clone)]
pub(super) struct Line {
    width: u8,
    nominal: Rate,
    /// The length of a tick, in seconds.
    tick: f64,
    /// When the local counter stood at `at`, the clock stood at `nic` and, in seconds, what the filter believes beyond that.
    at: Ticks,
    nic: Ticks,
    kalman: Kalman,
    /// How much faster it was made to run, in s/s; `None`: as somebody else has left it.
    steered: Option<f64>,
    noise: ReadNoise,
}

impl Line {
    /// The clock at its first reading, or at the first after it was reset: `before` is the line of before.
    pub(super) fn begin(stamp: CrossStamp, width: u8, nominal: Rate, before: Option<Self>) -> Self {
        let window = stamp.window.as_secs_f64();
        let noise = ReadNoise::new(window);
        let deviation = noise.first_deviation();
        let (mut kalman, doubt) = match before {
            Some(before) => (before.kalman, before.steered.unwrap_or_default().abs()),
            None => {
                let belief = Belief::new([0.0; 3], [deviation, UNKNOWN_FREQUENCY, 0.0]);
                (Kalman::new(belief, None, WHITE_NOISE_S), 0.0)
            }
        };
        kalman.place(0.0, deviation);
        kalman.disturb(1, doubt);
        let tick = 1.0 / nominal.as_hertz();
        Self { width, nominal, tick, at: stamp.local, nic: stamp.nic, kalman, steered: None, noise }
    }

    pub(super) fn at(&self) -> Ticks {
        self.at
    }

    pub(super) fn belief(&self) -> Belief {
        self.kalman.belief()
    }

    pub(super) fn noise(&self) -> f64 {
        self.noise.deviation()
    }

    /// Goes on until the local counter stands at `to`, which is later by less than [`super::LONGEST_GAP`].
    pub(super) fn pass(&mut self, local: &LocalClock, to: Ticks) {
        let passed = local.passed(self.at, to);
        let (whole, rest) = self.ticks_in(passed);
        let dt = passed.as_secs_f64();
        self.at = to;
        self.nic = self.later(whole);
        self.kalman.pass(dt);
        self.noise.pass(dt);
        self.shift(rest + self.steered.unwrap_or_default() * dt);
    }

    /// How far the clock is beyond `self.nic` where it shows `nic`, in seconds, the short way round.
    pub(super) fn phase_of(&self, nic: Ticks) -> f64 {
        let unused = 64_u32.saturating_sub(u32::from(self.width));
        let difference = nic.0.wrapping_sub(self.nic.0).wrapping_shl(unused).cast_signed().wrapping_shr(unused);
        difference as f64 * self.tick
    }

    /// What a reading is worth that shows the clock at `phase`; noise is learned from it.
    pub(super) fn observe_noise(&mut self, phase: f64, window: Span) -> Observation {
        self.noise.learn(phase, window.as_secs_f64())
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        self.kalman.observe(observation);
        self.settle();
    }

    /// Less is known than was thought, of phase (s) and frequency (s/s).
    pub(super) fn disturb(&mut self, phase: f64, frequency: f64) {
        self.kalman.disturb(0, phase);
        self.kalman.disturb(1, frequency);
    }

    /// The clock stands at `nic` now, whatever was thought before; its frequency may have changed.
    pub(super) fn place(&mut self, nic: Ticks, deviation: f64, frequency: f64) {
        self.nic = nic;
        self.kalman.place(0.0, deviation);
        self.kalman.disturb(1, frequency);
        self.noise.forget();
    }

    /// It was set `by` ahead; about `doubt` seconds, it may be elsewhere.
    pub(super) fn step(&mut self, by: Span, doubt: f64) {
        let (whole, rest) = self.ticks_in(by);
        self.nic = self.later(whole);
        self.shift(rest);
        self.kalman.disturb(0, doubt);
        self.noise.forget();
    }

    /// From now on it runs faster by this part of what it does by itself.
    pub(super) fn steer(&mut self, frequency: f64) {
        let belief = self.kalman.belief();
        if self.steered.is_none() {
            // It may have been told something else before.
            self.kalman.disturb(1, UNKNOWN_FREQUENCY);
        }
        self.steered = Some(frequency.clamp(-1.0, 1.0) * (1.0 + belief.mean[1]));
    }

    /// How it is when the local counter stands at `now`.
    pub(super) fn at_time(&self, local: &LocalClock, now: Ticks) -> CrossEstimate {
        let passed = local.passed(self.at, now);
        let dt = passed.as_secs_f64();
        let belief = self.kalman.belief();
        let [phase, own, _] = belief.mean;
        let frequency = own + self.steered.unwrap_or_default();
        let (_, variance) = belief.phase_later(dt.max(0.0), &self.kalman.wander());
        let beyond = Span::from_secs_f64((phase + frequency * dt).clamp(-FURTHEST_S, FURTHEST_S));
        CrossEstimate {
            shown: self.nominal.span(self.nic.0.cast_signed()) + passed + beyond,
            deviation: variance.max(0.0).sqrt(),
            speed: 1.0 + frequency,
            own_frequency: own,
            frequency_deviation: belief.deviation(1),
        }
    }

    /// Where the clock stood when the local counter stood where, and local ticks in one of its own.
    pub(super) fn reference(&self, local: &LocalClock) -> (Ticks, Ticks, f64) {
        let [phase, own, _] = self.kalman.belief().mean;
        let speed = (1.0 + own + self.steered.unwrap_or_default()).max(f64::MIN_POSITIVE);
        let rate = self.nominal.to_bits() as f64 / (local.rate.to_bits().max(1) as f64 * speed);
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; it is about a tick")]
        let beyond = (phase / self.tick * rate).round() as i64;
        (self.nic, Ticks(self.at.0.wrapping_sub(beyond.cast_unsigned())), rate)
    }

    /// Moves the filter's phase, and all that is compared with it.
    fn shift(&mut self, by: f64) {
        self.kalman.shift(by);
        self.noise.shift(by);
    }

    /// Takes whole ticks out of the phase, so that no digits get lost.
    fn settle(&mut self) {
        let ticks = (self.kalman.belief().mean[0] / self.tick).round();
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; the phase was told by ticks of 64 bits")]
        let whole = ticks as i64;
        self.nic = self.later(whole);
        self.shift(-ticks * self.tick);
    }

    fn later(&self, ticks: i64) -> Ticks {
        let mask = u64::MAX.wrapping_shr(64_u32.saturating_sub(u32::from(self.width)));
        Ticks(self.nic.0.wrapping_add(ticks.cast_unsigned()) & mask)
    }

    /// Whole ticks in `span`, and the rest in seconds.
    fn ticks_in(&self, span: Span) -> (i64, f64) {
        let tick = i128::from(self.nominal.to_bits());
        // In 2^-56 ns; steps of more than 10^12 years are none.
        let bits = span.units().clamp(-(1 << 86), 1 << 86) << 40;
        #[expect(clippy::cast_possible_truncation, reason = "ticks wrap")]
        let whole = bits.div_euclid(tick) as i64;
        (whole, bits.rem_euclid(tick) as f64 / (1_u64 << 56) as f64 * 1e-9)
    }
}
