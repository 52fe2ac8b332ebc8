//! Oscillators: what a free-running counter counts.
//!
//! The fractional frequency deviation `y` is constant for one second of true time at a time and is the sum of an offset,
//! aging, temperature, and the three kinds of frequency noise of the power-law model (NIST SP 1065 §3.2): white, flicker
//! and random walk. Phase is kept as an integer, so that a run of any length loses nothing.

pub mod presets;

use std::collections::VecDeque;
use std::f64::consts::TAU;

use rand_distr::{Distribution, StandardNormal, Uniform};
use sidereal_time::{Instant, Span, Tai};

use crate::random::{Stream, stream};

/// How long the frequency stays as it is.
const STEP: Span = Span::SECOND;
/// Time constants of the relaxation processes that make flicker noise: 1 s, 4 s, ... 4^9 s (three days).
const FLICKER_STAGES: usize = 10;
/// How far ahead [`Oscillator::when`] looks, in steps: beyond, the caller asks again.
const HORIZON: usize = 16;
/// Steps that are kept behind the last one asked for.
const KEPT: usize = 4;
const DAY_S: f64 = 86_400.0;

/// What an oscillator is like. Frequencies are fractional (1e-6 is one part per million).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OscillatorOptions {
    /// By how much it is faster than it should be, the same in every run.
    pub frequency_offset: f64,
    /// Half the width of the interval from which each run draws a further offset.
    pub tolerance: f64,
    /// White frequency noise: its Allan deviation at 1 s, which falls with the square root of the time.
    pub white: f64,
    /// Flicker frequency noise: its Allan deviation, at times from some seconds to a day.
    pub flicker: f64,
    /// Random-walk frequency noise: the standard deviation of the change that is made each second. Its Allan deviation is
    /// that times the square root of a third of the time in seconds.
    pub random_walk: f64,
    /// How much the frequency changes in a day at most; each run draws its own, of either sign.
    pub aging_per_day: f64,
    /// Change of the frequency for each kelvin.
    pub per_kelvin: f64,
    /// How far the temperature swings about its mean, in kelvin: once a day, from a phase that each run draws.
    pub swing_kelvin: f64,
}

/// A counter's time base: turns true time into the counter's own and back.
#[derive(Debug, Clone)]
pub struct Oscillator {
    options: OscillatorOptions,
    /// What does not change in a run: both offsets together.
    offset: f64,
    /// Per second.
    aging: f64,
    temperature_phase: f64,
    flicker: [Relaxation; FLICKER_STAGES],
    random_walk: f64,
    noise: Stream,
    start: Instant<Tai>,
    /// Never empty; in order.
    steps: VecDeque<Step>,
    /// What the counter has jumped by.
    jumped: Span,
}

/// A second in which the frequency stays as it is.
#[derive(Debug, Clone, Copy)]
struct Step {
    start: Instant<Tai>,
    /// The counter's own time at `start`.
    phase: Span,
    frequency: f64,
}

/// A stationary process that forgets exponentially (Ornstein and Uhlenbeck), of variance 1.
#[derive(Debug, Clone, Copy, Default)]
struct Relaxation {
    value: f64,
    kept: f64,
    renewed: f64,
}

impl Oscillator {
    /// The oscillator `name` in the run `seed`, whose counter shows zero at `start`.
    #[must_use]
    pub fn new(options: &OscillatorOptions, seed: u64, name: &str, start: Instant<Tai>) -> Self {
        let mut noise = stream(seed, &format!("{name}/oscillator"));
        let mut uniform = |half: f64| Uniform::new_inclusive(-half, half).map_or(0.0, |drawn| drawn.sample(&mut noise));
        let offset = options.frequency_offset + uniform(options.tolerance);
        let aging = uniform(options.aging_per_day) / DAY_S;
        let temperature_phase = uniform(TAU / 2.0);
        let mut time_constant = 1.0_f64;
        let flicker = std::array::from_fn(|_| {
            let kept = (-1.0 / time_constant).exp();
            time_constant *= 4.0;
            Relaxation { value: StandardNormal.sample(&mut noise), kept, renewed: (1.0 - kept * kept).sqrt() }
        });
        let options = *options;
        let steps = VecDeque::with_capacity(HORIZON + KEPT);
        let jumped = Span::ZERO;
        let mut made =
            Self { options, offset, aging, temperature_phase, flicker, random_walk: 0.0, noise, start, steps, jumped };
        let frequency = made.next_frequency(Span::ZERO);
        made.steps.push_back(Step { start, phase: Span::ZERO, frequency });
        made
    }

    /// The counter's own time since its start when it is truly `at`. Times more than some seconds before the latest one
    /// asked for are told by the oldest frequency that is still known.
    pub fn phase(&mut self, at: Instant<Tai>) -> Span {
        while self.last().end() < at {
            self.extend();
        }
        let after = self.steps.partition_point(|step| step.start <= at);
        self.steps.get(after.saturating_sub(1)).map_or(Span::ZERO, |step| step.phase_at(at)) + self.jumped
    }

    /// When the counter's own time will be `phase`; or some seconds from now, if that is earlier. `now` where it is so late
    /// already.
    pub fn when(&mut self, phase: Span, now: Instant<Tai>) -> Instant<Tai> {
        self.forget(now);
        let phase = phase - self.jumped;
        while self.last().phase_at(self.last().end()) < phase {
            if self.steps.len() > HORIZON {
                return self.last().end();
            }
            self.extend();
        }
        let after = self.steps.partition_point(|step| step.phase <= phase);
        self.steps.get(after.saturating_sub(1)).map_or(now, |step| step.when(phase)).max(now)
    }

    /// The fractional frequency deviation when it is truly `at`.
    pub fn frequency(&mut self, at: Instant<Tai>) -> f64 {
        let _ = self.phase(at);
        let after = self.steps.partition_point(|step| step.start <= at);
        self.steps.get(after.saturating_sub(1)).map_or(0.0, |step| step.frequency)
    }

    /// From now on the counter shows `by` more: it was set, stood still, or is another machine's.
    pub fn jump(&mut self, by: Span) {
        self.jumped += by;
    }

    fn last(&self) -> Step {
        let none = Step { start: self.start, phase: Span::ZERO, frequency: 0.0 };
        self.steps.back().copied().unwrap_or(none)
    }

    fn extend(&mut self) {
        let last = self.last();
        let start = last.end();
        let frequency = self.next_frequency(start - self.start);
        self.steps.push_back(Step { start, phase: last.phase_at(start), frequency });
        if self.steps.len() > 2 * HORIZON {
            self.steps.pop_front();
        }
    }

    /// Drops the steps that nobody will ask for.
    fn forget(&mut self, now: Instant<Tai>) {
        while self.steps.len() > KEPT && self.steps.get(KEPT - 1).is_some_and(|step| step.end() < now) {
            self.steps.pop_front();
        }
    }

    fn next_frequency(&mut self, elapsed: Span) -> f64 {
        let options = self.options;
        let elapsed = elapsed.as_secs_f64();
        let warmth = options.swing_kelvin * (TAU * elapsed / DAY_S + self.temperature_phase).sin();
        let mut frequency = self.offset + self.aging * elapsed + options.per_kelvin * warmth;
        // Numbers are drawn for the noises that there are only: most oscillators of scenarios have few.
        if options.white > 0.0 {
            frequency += options.white * self.normal();
        }
        if options.flicker > 0.0 {
            let mut sum = 0.0;
            for stage in &mut self.flicker {
                let fresh: f64 = StandardNormal.sample(&mut self.noise);
                stage.value = stage.kept * stage.value + stage.renewed * fresh;
                sum += stage.value;
            }
            // Relaxations whose time constants are a factor of 4 apart, each of variance s^2, have together the spectral
            // density s^2 / (f ln 4), which is that of flicker noise with an Allan variance of 2 ln 2 * s^2 / ln 4 = s^2.
            frequency += options.flicker * sum;
        }
        if options.random_walk > 0.0 {
            frequency += self.random_walk;
            self.random_walk += options.random_walk * self.normal();
        }
        frequency
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.noise)
    }
}

impl Step {
    fn end(&self) -> Instant<Tai> {
        self.start + STEP
    }

    fn phase_at(&self, at: Instant<Tai>) -> Span {
        let elapsed = at - self.start;
        self.phase + elapsed + Span::from_secs_f64(elapsed.as_secs_f64() * self.frequency)
    }

    /// The first instant, to the unit of [`Span`], at which the phase has been reached.
    fn when(&self, phase: Span) -> Instant<Tai> {
        let elapsed = (phase - self.phase).as_secs_f64() / (1.0 + self.frequency);
        let mut at = self.start + Span::from_secs_f64(elapsed);
        while self.phase_at(at) < phase {
            at += Span::from_units(1);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::presets::Preset;
    use super::{Oscillator, OscillatorOptions};
    use proptest::prelude::*;
    use sidereal_time::{Instant, Span, Tai};

    const START: Instant<Tai> = Instant::from_secs(1_700_000_000);

    /// Phase errors in seconds, one a second.
    fn errors(options: &OscillatorOptions, seed: u64, seconds: i64) -> Vec<f64> {
        let mut oscillator = Oscillator::new(options, seed, "test", START);
        let error = |second| {
            let elapsed = Span::from_secs(second);
            (oscillator.phase(START + elapsed) - elapsed).as_secs_f64()
        };
        (0..=seconds).map(error).collect()
    }

    /// The overlapping Allan deviation at `tau` seconds (NIST SP 1065 §5.2.4).
    fn adev(errors: &[f64], tau: usize) -> f64 {
        let differences: Vec<f64> =
            errors.windows(2 * tau + 1).map(|w| w[2 * tau] - 2.0 * w[tau] + w[0]).map(|d| d * d).collect();
        (differences.iter().sum::<f64>() / differences.len() as f64 / 2.0).sqrt() / tau as f64
    }

    #[track_caller]
    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!((value / expected - 1.0).abs() < tolerance, "{value:e} instead of {expected:e}");
    }

    #[test]
    fn white_noise_falls_with_the_root_of_time() {
        let errors = errors(&OscillatorOptions { white: 1e-10, ..OscillatorOptions::default() }, 1, 100_000);
        for tau in [1, 10, 100, 1000] {
            near(adev(&errors, tau), 1e-10 / (tau as f64).sqrt(), 0.15);
        }
    }

    #[test]
    fn flicker_noise_is_flat() {
        let runs: Vec<Vec<f64>> = (0..4)
            .map(|seed| errors(&OscillatorOptions { flicker: 1e-11, ..OscillatorOptions::default() }, seed, 200_000))
            .collect();
        for tau in [4, 16, 64, 256, 1024, 4096] {
            let mean = runs.iter().map(|run| adev(run, tau).powi(2)).sum::<f64>() / 4.0;
            near(mean.sqrt(), 1e-11, 0.12);
        }
    }

    #[test]
    fn random_walk_rises_with_the_root_of_time() {
        let errors = errors(&OscillatorOptions { random_walk: 1e-9, ..OscillatorOptions::default() }, 3, 200_000);
        for tau in [8, 32, 128, 512] {
            near(adev(&errors, tau), 1e-9 * (tau as f64 / 3.0).sqrt(), 0.15);
        }
    }

    #[test]
    fn aging_and_temperature_move_the_frequency() {
        let options = OscillatorOptions { aging_per_day: 1e-9, ..OscillatorOptions::default() };
        let mut extremes = (f64::MAX, f64::MIN);
        for seed in 0..50 {
            let mut oscillator = Oscillator::new(&options, seed, "test", START);
            let drift = oscillator.frequency(START + Span::from_secs(864)) * 100.0;
            extremes = (extremes.0.min(drift), extremes.1.max(drift));
        }
        assert!((-1e-9..-7e-10).contains(&extremes.0) && (7e-10..1e-9).contains(&extremes.1), "{extremes:?}");

        let warm = OscillatorOptions { per_kelvin: 1e-7, swing_kelvin: 2.0, ..OscillatorOptions::default() };
        let mut oscillator = Oscillator::new(&warm, 1, "test", START);
        let day: Vec<f64> = (0..1440).map(|m| oscillator.frequency(START + Span::from_secs(60 * m))).collect();
        near(day.iter().copied().fold(f64::MIN, f64::max), 2e-7, 0.01);
        near(day.iter().copied().fold(f64::MAX, f64::min), -2e-7, 0.01);
    }

    /// Each preset has, at 1 s and at 1000 s, what its source says (see [`Preset`]); its aging and its temperature are slow
    /// and left out here.
    #[test]
    fn presets_are_as_good_as_they_say() {
        for preset in Preset::ALL {
            let options = OscillatorOptions { per_kelvin: 0.0, aging_per_day: 0.0, ..preset.options() };
            let runs: Vec<Vec<f64>> = (0..3).map(|seed| errors(&options, seed, 100_000)).collect();
            let (at_1_s, at_1000_s) = preset.allan_deviation();
            for (tau, expected) in [(1, at_1_s), (1000, at_1000_s)] {
                let mean = runs.iter().map(|run| adev(run, tau).powi(2)).sum::<f64>() / 3.0;
                assert!((mean.sqrt() / expected - 1.0).abs() < 0.2, "{preset:?} at {tau} s: {:e}", mean.sqrt());
            }
        }
    }

    #[test]
    fn one_seed_and_name_give_one_run() {
        let run = |seed, name| {
            let mut oscillator = Oscillator::new(&Preset::Crystal.options(), seed, name, START);
            (0..100).map(|s| oscillator.phase(START + Span::from_secs(s)).units()).collect::<Vec<_>>()
        };
        assert_eq!(run(5, "a"), run(5, "a"));
        assert_ne!(run(5, "a"), run(6, "a"));
        assert_ne!(run(5, "a"), run(5, "b"));
    }

    #[test]
    fn a_jump_moves_the_counter_at_once() {
        let mut oscillator = Oscillator::new(&OscillatorOptions::default(), 1, "test", START);
        let at = START + Span::from_secs(10);
        assert_eq!(oscillator.phase(at), Span::from_secs(10));
        oscillator.jump(Span::from_secs(-4));
        assert_eq!(oscillator.phase(at), Span::from_secs(6));
        assert_eq!(oscillator.when(Span::from_secs(7), at), at + Span::SECOND);
    }

    proptest! {
        /// The way back leads to where it came from, and no counter runs backwards.
        #[test]
        fn phase_and_its_inverse_agree(seed: u64, steps in proptest::collection::vec(0.0..3.0_f64, 1..50)) {
            let mut oscillator = Oscillator::new(&Preset::Crystal.options(), seed, "test", START);
            let (mut at, mut before) = (START, Span::from_units(-1));
            for step in steps {
                at += Span::from_secs_f64(step);
                let phase = oscillator.phase(at);
                prop_assert!(phase >= before);
                before = phase;
                let ahead = phase + Span::from_secs_f64(step * 2.0);
                let when = oscillator.when(ahead, at);
                prop_assert!(oscillator.phase(when) >= ahead);
                prop_assert!(when == at || oscillator.phase(when - Span::from_units(2)) < ahead);
            }
        }
    }
}
