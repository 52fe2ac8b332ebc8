//! The fit against simulated counters and clocks: is it right, is its bound, and what does it make of surprises?
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::{CounterFit, Offer, Rejection};
use sidereal_time::{Counter, Instant, Rate, Reading, Span, Tai, Ticks};
use simulated::World;

const BRISK_S: f64 = 1.0 / 16.0;
const STEADY_S: f64 = 0.25;
/// How often the model is compared with the truth between two readings.
const LOOKS: u32 = 5;

/// A fit that follows a world, reading as often as the engine does.
struct Follower {
    world: World,
    fit: CounterFit,
    /// Errors of the model seen between readings, in seconds.
    errors: Vec<f64>,
    /// How often the truth lay outside the model's bound.
    outside: u32,
}

impl Follower {
    fn new(world: World) -> Self {
        // The nominal rate is what a processor tells of itself: some hundred ppm off.
        let nominal = Rate::from_hertz(world.hertz * 1.0003);
        let fit = CounterFit::new(Counter::Tsc, world.width, nominal);
        Self { world, fit, errors: Vec::new(), outside: 0 }
    }

    fn settled(seed: u64) -> Self {
        let mut follower = Self::new(World::new(seed));
        follower.run(20.0);
        assert!(follower.fit.is_settled(), "seed {seed}");
        follower.errors.clear();
        follower
    }

    fn read(&mut self) -> Offer {
        let reading = self.world.read();
        self.fit.offer(reading)
    }

    /// One reading and the time to the next.
    fn turn(&mut self) -> Offer {
        let offer = self.read();
        let period = if self.fit.is_settled() { STEADY_S } else { BRISK_S };
        for _ in 0..LOOKS {
            self.world.advance(period / f64::from(LOOKS));
            self.look();
        }
        offer
    }

    fn run(&mut self, seconds: f64) -> Vec<Offer> {
        let end = self.world.clock + Span::from_secs_f64(seconds);
        let mut offers = Vec::new();
        while self.world.clock < end {
            offers.push(self.turn());
        }
        offers
    }

    fn look(&mut self) {
        let Some(model) = self.fit.model() else { return };
        let error = (model.instant(self.world.ticks()) - self.world.clock).abs();
        self.errors.push(error.as_secs_f64());
        // A counter shows whole ticks.
        let tick = Span::from_secs_f64(1.0 / self.world.hertz);
        self.outside += u32::from(error > model.error_at(self.world.ticks()) + tick);
    }

    fn error_at_present(&self) -> Option<Span> {
        self.fit.model().map(|model| model.error_at(self.world.ticks()))
    }

    /// 0 while there is no model.
    fn generation(&self) -> u32 {
        self.fit.model().map_or(0, |model| model.generation)
    }

    fn quantile(&mut self, q: f64) -> f64 {
        self.errors.sort_by(f64::total_cmp);
        self.errors[((self.errors.len() - 1) as f64 * q) as usize]
    }
}

#[test]
fn the_truth_stays_within_the_bound() {
    for seed in 0..100 {
        for wander in [0.0, 1e-9, 1e-8] {
            let mut world = World::new(seed);
            world.wander = wander;
            let mut follower = Follower::new(world);
            follower.run(60.0);
            assert!(follower.errors.len() > 1_000, "seed {seed}");
            assert_eq!(follower.outside, 0, "seed {seed}, wander {wander}");
            assert_eq!(follower.generation(), 1, "seed {seed}, wander {wander}");
        }
    }
}

#[test]
fn the_bound_and_the_error_are_small() {
    for seed in 0..20 {
        let mut follower = Follower::settled(seed);
        let mut widest = Span::ZERO;
        for _ in 0..200 {
            follower.turn();
            widest = widest.max(follower.error_at_present().unwrap());
        }
        // Less than half a window, which is what one reading alone would leave open.
        assert!(follower.quantile(0.99) < 30e-9, "seed {seed}: {:e}", follower.quantile(0.99));
        assert!(widest < Span::from_nanos(150), "seed {seed}: {widest}");
    }
}

#[test]
fn interrupted_readings_are_left_out() {
    let mut follower = Follower::settled(1);
    follower.run(200.0);
    let counts = follower.fit.counts();
    assert!((2..40).contains(&counts.wide), "{counts:?}");
    assert_eq!((counts.steps, counts.slews, counts.outliers), (0, 0, 0), "{counts:?}");
}

#[test]
fn readings_that_are_always_slow_are_used_before_long() {
    let mut follower = Follower::settled(2);
    let used = (0..40).any(|_| {
        follower.world.advance(STEADY_S);
        let reading = follower.world.read();
        let slow = Reading::new(reading.ticks(), reading.at(), Span::from_nanos(20_000));
        follower.fit.offer(slow) == Offer::Accepted
    });
    assert!(used);
}

#[test]
fn a_step_is_followed_after_four_readings() {
    for (seed, by) in [1e-3, -1e-3, 0.5, 1.0, -1.0, 3600.0, -86_400.0, 4e9, -3e9].into_iter().enumerate() {
        let mut follower = Follower::settled(seed as u64);
        let by = Span::from_secs_f64(by);
        follower.world.clock += by;
        let mut offers = Vec::new();
        while !matches!(offers.last(), Some(Offer::Stepped { .. })) {
            offers.push(follower.read());
            follower.world.advance(BRISK_S);
            assert!(offers.len() < 8, "{by}: {offers:?}");
        }
        assert_eq!(follower.generation(), 2, "{by}");
        let Some(Offer::Stepped { by: seen }) = offers.pop() else { panic!("{by}") };
        assert!((seen - by).abs() < Span::from_nanos(1_000), "{by} was seen as {seen}");
        assert!(offers.iter().all(|offer| matches!(offer, Offer::Suspected | Offer::Rejected(Rejection::Wide))));
        follower.outside = 0;
        follower.run(10.0);
        assert_eq!((follower.outside, follower.generation()), (0, 2), "{by}");
    }
}

#[test]
fn while_a_step_is_suspected_the_error_says_so() {
    let mut follower = Follower::settled(3);
    let before = follower.error_at_present().unwrap();
    follower.world.clock += Span::from_secs(2);
    while follower.read() != Offer::Suspected {}
    assert!(before < Span::from_nanos(150));
    assert!(follower.error_at_present().unwrap() > Span::from_secs(2));
    follower.world.clock -= Span::from_secs(2);
    follower.world.advance(BRISK_S);
    while follower.read() != Offer::Accepted {}
    assert!(follower.error_at_present().unwrap() < Span::from_nanos(150));
    assert_eq!((follower.generation(), follower.fit.counts().outliers), (1, 1));
}

#[test]
fn suspects_that_contradict_each_other_change_nothing() {
    let mut follower = Follower::settled(4);
    let before = follower.fit.model().unwrap();
    for n in 0..50_i64 {
        follower.world.advance(BRISK_S);
        let truth = follower.world.read();
        let lie = Span::from_secs(1 + (n * n) % 17);
        let offer = follower.fit.offer(Reading::new(truth.ticks(), truth.at() + lie, Span::from_nanos(50)));
        assert_eq!(offer, Offer::Suspected);
    }
    let after = follower.fit.model().unwrap();
    assert_eq!((after.reference, after.rate, after.generation), (before.reference, before.rate, 1));
}

#[test]
fn a_slew_is_followed_without_a_step() {
    for (seed, slew) in [2e-6, -10e-6, 100e-6, -500e-6, 2e-3, -0.02].into_iter().enumerate() {
        let mut follower = Follower::settled(seed as u64);
        follower.world.frequency += slew;
        follower.run(2.0);
        assert_eq!(follower.generation(), 1, "slew of {slew:e}");
        follower.errors.clear();
        follower.outside = 0;
        follower.run(10.0);
        assert_eq!(follower.outside, 0, "slew of {slew:e}");
        assert!(follower.quantile(1.0) < 200e-9, "slew of {slew:e}: {:e}", follower.quantile(1.0));
    }
}

#[test]
fn a_nominal_rate_that_is_far_off_is_corrected() {
    for wrong in [0.76, 1.24] {
        let mut follower = Follower::new(World::new(8));
        follower.fit = CounterFit::new(Counter::Tsc, 64, Rate::from_hertz(follower.world.hertz * wrong));
        follower.run(20.0);
        assert_eq!((follower.outside, follower.generation()), (0, 1), "{wrong}");
        // The guest wakes up on another host.
        follower.world.hertz *= 1.2;
        follower.run(1.0);
        follower.outside = 0;
        follower.errors.clear();
        follower.run(10.0);
        assert_eq!(follower.outside, 0, "{wrong}");
        assert!(follower.quantile(1.0) < 200e-9, "{wrong}: {:e}", follower.quantile(1.0));
    }
}

#[test]
fn after_a_long_silence_the_model_is_good_at_once() {
    for seed in 0..20 {
        let mut follower = Follower::settled(seed);
        follower.world.wander = 0.0;
        follower.world.advance(86_400.0);
        follower.run(10.0);
        assert_eq!((follower.outside, follower.generation()), (0, 1), "seed {seed}");
        assert!(follower.error_at_present().unwrap() < Span::from_nanos(200), "seed {seed}");
    }
}

#[test]
fn a_time_scale_that_is_moved_moves_the_model() {
    let mut follower = Follower::settled(9);
    let before = follower.fit.model().unwrap();
    follower.fit.relabel(Span::SECOND);
    follower.world.clock += Span::SECOND;
    let after = follower.fit.model().unwrap();
    assert_eq!((after.reference, after.generation), (before.reference + Span::SECOND, before.generation + 1));
    follower.run(10.0);
    assert_eq!((follower.outside, follower.generation(), follower.fit.counts().steps), (0, 2, 0));
}

#[test]
fn unrest_widens_the_bound_and_calms_down() {
    let mut follower = Follower::settled(5);
    let calm = follower.fit.model().unwrap().drift_ppb;
    follower.world.frequency += 5e-6;
    follower.run(5.0);
    let restless = follower.fit.model().unwrap().drift_ppb;
    follower.run(300.0);
    let calmed = follower.fit.model().unwrap().drift_ppb;
    assert!(restless > 5_000 && restless < 20_000, "{restless}");
    assert!(calmed < calm + 50, "{calmed} after {calm}");
}

#[test]
fn a_host_that_slept_is_followed() {
    // CLOCK_MONOTONIC_RAW stands still while the host sleeps; the clock does not.
    let mut follower = Follower::settled(6);
    follower.world.clock += Span::from_secs(7_200);
    let offers = follower.run(0.5);
    assert!(offers.iter().any(
        |offer| matches!(offer, Offer::Stepped { by } if (*by - Span::from_secs(7_200)).abs() < Span::from_nanos(1_000))
    ));
    // A counter that is reset by it, and forgets all it counted.
    follower.world.set_ticks(12);
    let offers = follower.run(0.5);
    assert!(offers.iter().any(|offer| matches!(offer, Offer::Stepped { .. })), "{offers:?}");
    follower.outside = 0;
    follower.run(10.0);
    assert_eq!((follower.outside, follower.generation()), (0, 3));
}

#[test]
fn a_counter_of_32_bits_may_wrap() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.width = 32;
        world.hertz = 1e9;
        // A minute is fourteen wraps.
        let mut follower = Follower::new(world);
        follower.run(60.0);
        assert_eq!((follower.outside, follower.generation()), (0, 1), "seed {seed}");
        assert!(follower.fit.model().unwrap().reference_ticks.0 <= u64::from(u32::MAX), "seed {seed}");
        assert!(follower.quantile(0.99) < 50e-9, "seed {seed}: {:e}", follower.quantile(0.99));
    }
}

#[test]
fn readings_that_repeat_or_come_late_are_left_out() {
    let mut follower = Follower::settled(7);
    let late = follower.world.read();
    follower.world.advance(STEADY_S);
    let reading = follower.world.read();
    assert_eq!(follower.fit.offer(reading), Offer::Accepted);
    let model = follower.fit.model();
    assert_eq!(follower.fit.offer(reading), Offer::Rejected(Rejection::Repeated));
    assert_eq!(follower.fit.offer(late), Offer::Rejected(Rejection::Repeated));
    assert_eq!((follower.fit.model(), follower.fit.counts().repeated), (model, 2));
}

#[test]
fn a_new_model_continues_the_old_one() {
    let mut backwards = Vec::new();
    for seed in 0..20 {
        let mut follower = Follower::settled(seed);
        for _ in 0..400 {
            let old = follower.fit.model().unwrap();
            if follower.read() == Offer::Accepted {
                let new = follower.fit.model().unwrap();
                let back = old.instant(new.reference_ticks) - new.reference;
                assert!(back.abs() <= old.error_at(new.reference_ticks) + new.error, "seed {seed}: {back}");
                backwards.push(back.max(Span::ZERO));
            }
            follower.world.advance(STEADY_S);
        }
    }
    backwards.sort();
    let p99 = backwards[backwards.len() * 99 / 100];
    assert!(p99 < Span::from_nanos(10), "{p99}");
}

#[test]
fn a_clock_without_noise_is_followed_exactly() {
    // What a simulator that preloads libc shows: time stands still while it is read.
    let mut fit = CounterFit::new(Counter::MonotonicRaw, 64, Rate::NANOSECOND);
    for n in 0..200 {
        let at: Instant<Tai> = Instant::from_secs(1_800_000_000) + Span::from_nanos(n * 250_000_000);
        let ticks = Ticks(5_000_000_000 + n as u64 * 250_000_000);
        fit.offer(Reading::new(ticks, at, Span::ZERO));
    }
    let model = fit.model().unwrap();
    assert_eq!((model.rate, model.generation), (Rate::NANOSECOND, 1));
    assert!(model.error <= Span::from_nanos(3), "{}", model.error);
}
