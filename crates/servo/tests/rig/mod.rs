//! A clock on an oscillator of its own, read beside a local counter that is also the model it is to follow.
#![allow(clippy::unwrap_used, reason = "a test that fails")]

use sidereal_servo::{Adjustment, CrossOffered, CrossTracker, FrequencyOffset, Standing, Steering, SteeringOptions};
use sidereal_time::{ClockId, Counter, CrossStamp, LocalClock, Rate, Span, Ticks};

use crate::simulated::Random;

/// The local counter: nanoseconds, or a third of one.
pub(crate) const LOCAL: LocalClock =
    LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -25 };
/// The latest that a step of the rig's may begin, in ticks.
const ORIGIN: u64 = 1_000_000_000_000;

pub(crate) struct Rig {
    random: Random,
    pub(crate) tracker: CrossTracker,
    pub(crate) steering: Steering,
    pub(crate) steered: bool,
    /// In nanoseconds, since the local counter stood at `ORIGIN`.
    pub(crate) elapsed: u64,
    /// How far the clock is ahead of the local counter, in seconds.
    pub(crate) error: f64,
    /// How fast it runs by itself, in s/s.
    pub(crate) own: f64,
    pub(crate) told: FrequencyOffset,
    pub(crate) wander: f64,
    /// The mean of what a reading takes beyond the shortest, in seconds.
    pub(crate) queue: f64,
    /// What a reading is off beyond that, one standard deviation, in seconds.
    pub(crate) noise: f64,
    /// How often it is steered between two readings.
    pub(crate) steers_between: u32,
    pub(crate) steps: Vec<Span>,
    pub(crate) told_count: u32,
    pub(crate) most_told: f64,
}

impl Rig {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x5eed);
        let own = random.normal() * 20e-6;
        Self {
            random,
            tracker: CrossTracker::new(ClockId(1), 64, Rate::NANOSECOND, LOCAL),
            steering: Steering::new(&SteeringOptions::default()),
            steered: true,
            elapsed: 0,
            error: 300e-6,
            own,
            told: FrequencyOffset::ZERO,
            wander: 1e-9,
            queue: 100e-9,
            noise: 0.0,
            steers_between: 0,
            steps: Vec::new(),
            told_count: 0,
            most_told: 0.0,
        }
    }

    pub(crate) fn ticks(&self) -> Ticks {
        Ticks(ORIGIN + self.elapsed)
    }

    /// What the clock shows, in seconds since it stood at zero.
    pub(crate) fn shown_exactly(&self) -> f64 {
        (ORIGIN + self.elapsed) as f64 * 1e-9 + self.error
    }

    pub(crate) fn own_frequency(&self) -> f64 {
        self.tracker.estimate(self.ticks()).unwrap().own_frequency
    }

    /// A stamp that the clock takes now.
    pub(crate) fn stamp(&self) -> Ticks {
        self.shows(0.0)
    }

    fn shows(&self, off: f64) -> Ticks {
        let nanos = i128::from(ORIGIN + self.elapsed) + ((self.error + off) * 1e9).round() as i128;
        Ticks(nanos as u64)
    }

    pub(crate) fn pass(&mut self, interval: f64) {
        self.own += self.random.normal() * self.wander * interval.sqrt();
        let nanos = (interval * 1e9).round();
        self.error += (self.own + self.told.as_ppb() * 1e-9 * (1.0 + self.own)) * nanos * 1e-9;
        self.elapsed += nanos as u64;
    }

    pub(crate) fn read(&mut self) -> CrossOffered {
        // A call takes 40 ns, and now and then longer, before or after the clock was looked at.
        let before = 20e-9 + self.random.exponential(self.queue);
        let after = 20e-9 + self.random.exponential(self.queue);
        let off = (before - after) / 2.0 + self.noise * self.random.normal();
        let window = Span::from_secs_f64(before + after);
        self.tracker.offer(CrossStamp { nic: self.shows(off), local: self.ticks(), window })
    }

    pub(crate) fn steer(&mut self) {
        let now = self.ticks();
        let Some(estimate) = self.tracker.estimate(now) else { return };
        let right = Span::from_nanos((ORIGIN + self.elapsed).into());
        let even = 1.0 / (1.0 + estimate.own_frequency) - 1.0;
        let told = self.steering.decide(&Standing {
            error: estimate.shown - right,
            deviation: estimate.deviation,
            even: FrequencyOffset::from_ppb(even * 1e9),
            frequency_deviation: estimate.frequency_deviation,
        });
        let Some(told) = told else { return };
        self.tracker.adjusted(now, &told.adjustment);
        match told.adjustment {
            Adjustment::Step(by) => {
                self.error += by.as_secs_f64();
                self.steps.push(by);
            }
            Adjustment::Frequency(frequency) => {
                self.told = frequency;
                self.told_count += 1;
                self.most_told = self.most_told.max(frequency.as_ppb().abs());
            }
        }
    }

    /// Lets time pass, reads the clock and does what is said; half a correction's time later, it is told what then is right.
    pub(crate) fn turn(&mut self, interval: f64) -> CrossOffered {
        let parts = f64::from(self.steers_between + 1).max((interval / 0.0625).round());
        let mut passed = 0.0;
        while passed < interval * (1.0 - 1e-9) {
            if passed > 0.0 && self.steered {
                self.steer();
            }
            self.pass(interval / parts);
            passed += interval / parts;
        }
        let offered = self.read();
        if self.steered {
            self.steer();
        }
        offered
    }

    /// The root mean square of the error over so many readings.
    pub(crate) fn run(&mut self, interval: f64, readings: u32) -> f64 {
        let mut squares = 0.0;
        for _ in 0..readings {
            self.turn(interval);
            squares += self.error * self.error;
        }
        (squares / f64::from(readings)).sqrt()
    }
}
