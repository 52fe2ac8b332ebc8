//! A clock that is steered to a model, in a simulation: how closely does it follow, and what does it make of surprises?
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::{Adjustment, FrequencyOffset, Steering, SteeringOptions};
use sidereal_time::{Counter, LocalClock, Rate, Span, Ticks};
use simulated::Random;

/// A clock, read beside a perfect model.
struct Host {
    random: Random,
    steering: Steering,
    local: LocalClock,
    seconds: f64,
    /// How far the clock is ahead.
    error: f64,
    /// How fast it runs by itself, and what it was told, in s/s.
    own: f64,
    told: FrequencyOffset,
    wander: f64,
    /// The mean of what a reading takes beyond the shortest, in seconds.
    queue: f64,
}

impl Host {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x5eed);
        let own = random.normal() * 20e-6;
        let local = LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };
        let steering = Steering::new(&SteeringOptions::default());
        Self {
            random,
            steering,
            local,
            seconds: 1_000.0,
            error: 300e-6,
            own,
            told: FrequencyOffset::ZERO,
            wander: 1e-9,
            queue: 100e-9,
        }
    }

    /// Lets time pass, reads the clock and does what is said.
    fn turn(&mut self, interval: f64) -> Option<Adjustment> {
        self.own += self.random.normal() * self.wander * interval.sqrt();
        self.error += (self.own + self.told.as_ppb() * 1e-9) * interval;
        self.seconds += interval;
        // A call takes 40 ns, and now and then longer, before or after the clock was looked at.
        let (before, after) =
            (20e-9 + self.random.exponential(self.queue), 20e-9 + self.random.exponential(self.queue));
        let read = Span::from_secs_f64(self.error + (before - after) / 2.0);
        let at = Ticks((self.seconds * 1e9) as u64);
        let told = self.steering.offer(at, read, Span::from_secs_f64(before + after), &self.local, self.told);
        match told {
            Some(Adjustment::Step(by)) => self.error += by.as_secs_f64(),
            Some(Adjustment::Frequency(frequency)) => self.told = frequency,
            None => {}
        }
        told
    }

    /// The root mean square of the error over so many readings.
    fn rms(&mut self, interval: f64, readings: u32) -> f64 {
        let mut squares = 0.0;
        for _ in 0..readings {
            self.turn(interval);
            squares += self.error * self.error;
        }
        (squares / f64::from(readings)).sqrt()
    }
}

#[test]
fn a_clock_follows_within_nanoseconds() {
    for interval in [1.0 / 16.0, 0.25] {
        for seed in 0..20 {
            let mut host = Host::new(seed);
            host.rms(interval, 400);
            let rms = host.rms(interval, 2_000);
            assert!(rms < 20e-9, "seed {seed}, every {interval} s: {rms:e}");
            let own = host.steering.status().own_frequency.as_ppb() * 1e-9;
            assert!((own - host.own).abs() < 50e-9, "seed {seed}: {own:e} {:e}", host.own);
        }
    }
}

#[test]
fn its_status_tells_the_truth() {
    for seed in 0..20 {
        let mut host = Host::new(seed);
        host.rms(0.25, 400);
        let mut outside = 0;
        for _ in 0..1_000 {
            host.turn(0.25);
            let status = host.steering.status();
            let off = (status.error.unwrap().as_secs_f64() - host.error).abs();
            outside += u32::from(off > 4.0 * status.deviation + 1e-9);
        }
        assert!(outside <= 5, "seed {seed}: {outside}");
    }
}

#[test]
fn a_large_error_is_stepped_and_a_small_one_is_not() {
    let mut host = Host::new(1);
    host.error = 2.0;
    assert!(matches!(host.turn(0.25), Some(Adjustment::Step(by)) if (by.as_secs_f64() + 2.0).abs() < 1e-4));
    host.rms(0.25, 400);
    assert_eq!(host.steering.status().steps, 1);
    // Somebody sets the clock: doubted once, then stepped back.
    host.error += 1.0;
    assert_eq!(host.turn(0.25), None);
    assert!(matches!(host.turn(0.25), Some(Adjustment::Step(_))));
    host.rms(0.25, 100);
    assert!(host.rms(0.25, 100) < 50e-9);
    assert_eq!(host.steering.status().steps, 2);
    // A little is slewed.
    host.error += 100e-6;
    host.rms(0.25, 100);
    assert!(host.rms(0.25, 100) < 50e-9);
    assert_eq!(host.steering.status().steps, 2);
}

#[test]
fn without_steps_an_error_is_slewed_within_the_limit() {
    let mut host = Host::new(2);
    host.steering = Steering::new(&SteeringOptions { step_threshold: None, ..SteeringOptions::default() });
    host.error = 10e-3;
    for _ in 0..800 {
        let told = host.turn(0.25);
        assert!(!matches!(told, Some(Adjustment::Step(_))), "{told:?}");
        assert!(host.told.as_ppb().abs() <= 500_000.0);
    }
    assert!(host.rms(0.25, 100) < 20e-9);
}

#[test]
fn a_rival_is_noticed_and_made_good() {
    let mut host = Host::new(3);
    host.rms(0.25, 400);
    assert_eq!(host.steering.status().foreign_changes, 0);
    host.told = FrequencyOffset::from_ppb(host.told.as_ppb() + 5_000.0);
    host.rms(0.25, 100);
    assert_eq!(host.steering.status().foreign_changes, 1);
    assert!(host.rms(0.25, 100) < 20e-9);
}

#[test]
fn one_wild_reading_moves_nothing() {
    let mut host = Host::new(4);
    host.rms(0.25, 400);
    let told = host.told;
    host.error += 50e-6;
    assert_eq!(host.turn(0.25), None);
    host.error -= 50e-6;
    assert!(
        matches!(host.turn(0.25), Some(Adjustment::Frequency(now)) if (now.as_ppb() - told.as_ppb()).abs() < 500.0)
    );
}
