//! A clock that runs beside the local counter: how well are its stamps located, and what is made of surprises?
#![allow(clippy::unwrap_used, reason = "a test that fails says so by panicking")]
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod rig;
mod simulated;

use proptest::prelude::*;
use rig::{LOCAL, Rig};
use sidereal_servo::{Adjustment, CrossOffered, CrossTracker, FrequencyOffset};
use sidereal_time::{ClockId, Counter, CrossStamp, LocalClock, Rate, Span, StampFault, Ticks};
use simulated::Random;

const SIXTEENTH: f64 = 1.0 / 16.0;

/// A NIC that is steered by nobody, read 16 times a second.
fn free(seed: u64) -> Rig {
    let mut rig = Rig::new(seed);
    rig.steered = false;
    rig.read();
    rig
}

/// How far stamps that are taken now are off where they are located, root mean square over so many readings, in seconds.
fn located_rms(rig: &mut Rig, interval: f64, readings: u32) -> f64 {
    let mut squares = 0.0;
    for _ in 0..readings {
        rig.turn(interval / 2.0);
        // Half-way to the next reading.
        rig.pass(interval / 2.0);
        let place = rig.tracker.model(rig.ticks()).unwrap().locate(rig.stamp(), rig.ticks()).unwrap();
        squares += (place.0.wrapping_sub(rig.ticks().0).cast_signed() as f64 * 1e-9).powi(2);
    }
    (squares / f64::from(readings)).sqrt()
}

#[test]
fn stamps_are_located_within_nanoseconds_on_a_wandering_noisy_clock() {
    // What can be reached, of white noise on a random walk of the frequency: the variance of the phase is
    // sqrt(2) * (noise² * interval)^(3/4) * wander^(1/2).
    for (interval, wander) in [(SIXTEENTH, 1e-9), (SIXTEENTH, 1e-8), (1.0 / 128.0, 1e-9), (1.0 / 128.0, 1e-8)] {
        let noise = 100e-9_f64;
        let best = (2.0_f64.sqrt() * (noise * noise * interval).powf(0.75) * f64::sqrt(wander)).sqrt();
        let mut squares = 0.0;
        for seed in 0..10 {
            let mut rig = free(seed);
            (rig.wander, rig.noise, rig.queue) = (wander, noise, 0.0);
            located_rms(&mut rig, interval, 2_000);
            let rms = located_rms(&mut rig, interval, 4_000);
            squares += rms * rms / 10.0;
            assert!(rms < 1.8 * best, "wander {wander:e}, every {interval} s, seed {seed}: {rms:e}, {best:e}");
            let learned = rig.tracker.noise().unwrap();
            assert!((0.7 * noise..1.4 * noise).contains(&learned), "{learned:e}");
        }
        let (rms, best) = (squares.sqrt() * 1e9, best * 1e9);
        println!("wander {wander:e}, {:.0} readings a second: {rms:.1} ns, at best {best:.1} ns", 1.0 / interval);
        assert!(rms < 1.4 * best, "wander {wander:e}: {rms} ns, {best} ns");
    }
}

#[test]
fn a_clock_on_the_same_oscillator_is_averaged_over_minutes() {
    for seed in 0..10 {
        let mut rig = free(seed);
        (rig.wander, rig.own, rig.noise, rig.queue) = (0.0, 0.0, 25e-9, 0.0);
        located_rms(&mut rig, SIXTEENTH, 4_000);
        let rms = located_rms(&mut rig, SIXTEENTH, 2_000);
        assert!(rms < 2.5e-9, "seed {seed}: {rms:e}");
    }
}

#[test]
fn a_clock_that_we_set_is_located_at_once() {
    for by in [5e-3, -5e-3, 40.0, -40.0] {
        let mut rig = free(1);
        located_rms(&mut rig, SIXTEENTH, 500);
        let before = rig.tracker.model(rig.ticks()).unwrap();
        let of_before = rig.stamp();
        rig.error += by;
        rig.tracker.adjusted(rig.ticks(), &Adjustment::Step(Span::from_secs_f64(by)));
        let model = rig.tracker.model(rig.ticks()).unwrap();
        assert_eq!(model.generation, before.generation + 1);
        // A stamp from before is recognised, wherever the clock went.
        rig.pass(20e-3);
        rig.read();
        let now = rig.ticks();
        assert!(rig.tracker.model(now).unwrap().locate(of_before, now).is_err(), "{by}");
        let place = rig.tracker.model(now).unwrap().locate(rig.stamp(), now);
        assert!(place.is_ok_and(|place| place.0.abs_diff(now.0) < 100) || by == -40.0, "{by}: {place:?}");
        rig.pass(1.0);
        rig.read();
        located_rms(&mut rig, SIXTEENTH, 100);
        let counts = rig.tracker.counts();
        assert_eq!((counts.jumped, counts.doubted), (0, 0), "{by}: {counts:?}");
    }
}

#[test]
fn a_clock_that_somebody_else_sets_is_found_again() {
    for (by, jumps) in [(3.0, 1), (-3.0, 1), (2e-3, 0), (100e-6, 0), (-1_700_000_000.0, 1)] {
        let mut rig = free(2);
        located_rms(&mut rig, SIXTEENTH, 500);
        let generation = rig.tracker.model(rig.ticks()).unwrap().generation;
        rig.error += by;
        rig.pass(SIXTEENTH);
        let first = rig.read();
        if jumps == 1 {
            let CrossOffered::Jumped(told) = first else { panic!("{by}: {first:?}") };
            assert!((told.as_secs_f64() - by).abs() < 1e-6 * by.abs().max(1.0), "{by}: {told}");
        } else {
            // It may have been an accident: a second reading, at once, tells.
            assert_eq!(first, CrossOffered::Doubted, "{by}");
            rig.pass(20e-6);
            assert!(matches!(rig.read(), CrossOffered::Jumped(_)), "{by}");
        }
        rig.pass(20e-6);
        assert_eq!(rig.read(), CrossOffered::Taken, "{by}");
        assert_eq!(rig.tracker.model(rig.ticks()).unwrap().generation, generation + 1);
        rig.pass(1.0);
        // The simulation knows a clock that is far away to some hundred nanoseconds itself.
        assert!(located_rms(&mut rig, SIXTEENTH, 200) < 100e-9 + 1e-15 * by.abs(), "{by}");
        assert_eq!(rig.tracker.counts().jumped, 1);
    }
}

#[test]
fn a_little_push_is_followed_without_a_word() {
    let mut rig = free(3);
    located_rms(&mut rig, SIXTEENTH, 500);
    rig.error += 20e-6;
    rig.pass(SIXTEENTH);
    assert_eq!(rig.read(), CrossOffered::Doubted);
    rig.pass(20e-6);
    assert_eq!(rig.read(), CrossOffered::Taken);
    let counts = rig.tracker.counts();
    assert_eq!((counts.jumped, counts.nudged), (0, 1));
    located_rms(&mut rig, SIXTEENTH, 100);
    assert!(located_rms(&mut rig, SIXTEENTH, 200) < 100e-9);
}

#[test]
fn a_clock_that_is_reset_keeps_its_frequency() {
    let mut rig = free(4);
    located_rms(&mut rig, SIXTEENTH, 2_000);
    let generation = rig.tracker.model(rig.ticks()).unwrap().generation;
    rig.tracker.restart();
    assert_eq!(rig.tracker.model(rig.ticks()), None);
    // The driver has set it to the system's time meanwhile.
    rig.error += 1_600_000_000.0;
    rig.pass(3.0);
    assert_eq!(rig.read(), CrossOffered::Taken);
    assert_eq!(rig.tracker.model(rig.ticks()), None, "one reading may be an accident");
    rig.pass(20e-6);
    assert_eq!(rig.read(), CrossOffered::Taken);
    let model = rig.tracker.model(rig.ticks()).unwrap();
    assert_eq!(model.generation, generation + 1);
    assert!((rig.own_frequency() - rig.own).abs() < 100e-9);
    assert_eq!(rig.tracker.counts().jumped, 0);
}

#[test]
fn a_clock_that_stands_still_locates_nothing_until_it_runs_again() {
    let mut rig = free(5);
    located_rms(&mut rig, SIXTEENTH, 500);
    let still = rig.stamp();
    for i in 1..=20 {
        rig.pass(SIXTEENTH);
        let stamp = CrossStamp { nic: still, local: rig.ticks(), window: Span::from_nanos(40) };
        let offered = rig.tracker.offer(stamp);
        if i > 1 {
            assert_eq!(offered, CrossOffered::Stopped);
            assert_eq!(rig.tracker.model(rig.ticks()), None);
        }
    }
    // It goes on from where it stood.
    rig.error -= 20.0 * SIXTEENTH;
    for _ in 0..4 {
        rig.pass(SIXTEENTH);
        rig.read();
    }
    rig.pass(1.0);
    assert!(located_rms(&mut rig, SIXTEENTH, 100) < 200e-9);
    assert!(rig.tracker.counts().stopped >= 19);
}

#[test]
fn a_clock_whose_rate_is_not_as_was_said_is_learned_or_left_alone() {
    for (own, known) in [(0.01, true), (0.05, true), (-0.09, true)] {
        let mut rig = free(6);
        rig.own = own;
        for _ in 0..400 {
            rig.turn(SIXTEENTH);
        }
        let model = rig.tracker.model(rig.ticks());
        assert_eq!(model.is_some(), known, "{own}: {:?}", rig.tracker.counts());
        assert!((rig.own_frequency() - rig.own).abs() < 1e-6, "{own}: {:e}", rig.own_frequency());
    }
}

#[test]
fn stamps_that_are_32_bits_off_are_named() {
    let mut rig = free(7);
    located_rms(&mut rig, SIXTEENTH, 100);
    let (model, now) = (rig.tracker.model(rig.ticks()).unwrap(), rig.ticks());
    let stamp = rig.stamp().0;
    assert_eq!(model.locate(Ticks(stamp.wrapping_add(1 << 32)), now), Err(StampFault::Off2To32Ns));
    assert_eq!(model.locate(Ticks(stamp.wrapping_sub(1 << 32)), now), Err(StampFault::Off2To32Ns));
    // A reading that is, is a jump, and the way back another.
    let mut beside = |nic: u64, after: f64| {
        rig.pass(after);
        let nic = Ticks(rig.stamp().0.wrapping_add(nic));
        rig.tracker.offer(CrossStamp { nic, local: rig.ticks(), window: Span::from_nanos(40) })
    };
    let CrossOffered::Jumped(by) = beside(1 << 32, SIXTEENTH) else { panic!("no jump") };
    assert!((by - Span::from_units(1 << 48)).abs() < Span::from_nanos(500), "{by}");
    assert_eq!(beside(1 << 32, SIXTEENTH), CrossOffered::Taken);
    assert!(matches!(beside(0, SIXTEENTH), CrossOffered::Jumped(_)));
    assert_eq!(beside(0, SIXTEENTH), CrossOffered::Taken);
}

#[test]
fn a_narrow_raw_counter_beside_a_fast_one_is_located_across_its_wraps() {
    let local = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::from_hertz(3e9), precision: -30 };
    // 40 bits of 156.25 MHz wrap after two hours.
    let mut tracker = CrossTracker::new(ClockId(2), 40, Rate::from_hertz(156.25e6), local);
    let mut random = Random(9);
    let (own, mut worst) = (3e-6, 0.0_f64);
    for i in 0..40_000_u32 {
        let seconds = f64::from(i) * 0.5;
        let nic_at = |seconds: f64| Ticks(((seconds * 156.25e6 * (1.0 + own)) as u64 + 7) & ((1 << 40) - 1));
        let local_at = |seconds: f64| Ticks((seconds * 3e9) as u64 + 1_000);
        let noise = 5e-9 * random.normal();
        tracker.offer(CrossStamp {
            nic: nic_at(seconds + noise),
            local: local_at(seconds),
            window: Span::from_nanos(100),
        });
        if i > 200 {
            let at = seconds + 0.1;
            let place = tracker.model(local_at(at)).unwrap().locate(nic_at(at), local_at(at)).unwrap();
            worst = worst.max(place.0.abs_diff(local_at(at).0) as f64 / 3.0);
        }
    }
    assert_eq!(tracker.counts().jumped, 0);
    assert!(worst < 20.0, "{worst} ns");
}

#[test]
fn old_readings_tell_nothing() {
    let mut rig = free(8);
    located_rms(&mut rig, SIXTEENTH, 10);
    let before = rig.tracker.model(rig.ticks());
    for ago in [0, 1_000_000] {
        let stamp = CrossStamp {
            nic: Ticks(5),
            local: LOCAL.later(rig.ticks(), Span::from_nanos(-100_000_000 - ago)),
            window: Span::ZERO,
        };
        assert_eq!(rig.tracker.offer(stamp), CrossOffered::Stale);
    }
    assert_eq!(rig.tracker.model(rig.ticks()), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_stamps_are_survived(
        width in any::<u8>(),
        nominal in prop_oneof![any::<u64>(), Just(1 << 56), Just(0)],
        rate in prop_oneof![any::<u64>(), Just(1 << 56), Just(0)],
        stamps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<i64>(), 0_u8..16, any::<f64>()), 0..80),
        near: bool,
    ) {
        let local = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::from_bits(rate), precision: -20 };
        let mut tracker = CrossTracker::new(ClockId(1), width, Rate::from_bits(nominal), local);
        let (mut nic, mut at) = (0_u64, 0_u64);
        for (far_nic, far_local, window, what, number) in stamps {
            if near {
                nic = nic.wrapping_add(far_nic >> 34);
                at = at.wrapping_add(far_local >> 34);
            } else {
                (nic, at) = (far_nic, far_local);
            }
            match what {
                0 => tracker.restart(),
                1 => tracker.lost(),
                2 => tracker.adjusted(Ticks(at), &Adjustment::Step(Span::from_units(i128::from(window) << 20))),
                3 => tracker.adjusted(Ticks(at), &Adjustment::Frequency(FrequencyOffset::from_ppb(number))),
                _ => {
                    let window = Span::from_units(window.into());
                    tracker.offer(CrossStamp { nic: Ticks(nic), local: Ticks(at), window });
                }
            }
            for now in [at, at.wrapping_add(far_nic >> 30), far_nic] {
                if let Some(estimate) = tracker.estimate(Ticks(now)) {
                    let numbers =
                        [estimate.deviation, estimate.speed, estimate.own_frequency, estimate.frequency_deviation];
                    prop_assert!(numbers.iter().all(|number| number.is_finite()), "{estimate:?}");
                }
                if let Some(model) = tracker.model(Ticks(now)) {
                    let _ = model.locate(Ticks(far_nic), Ticks(now));
                    prop_assert!(!model.uncertainty.is_negative() && (1..=64).contains(&model.width));
                }
            }
        }
        let counts = tracker.counts();
        let sum = counts.taken + counts.doubted + counts.jumped + counts.stale + counts.stopped;
        prop_assert!(sum <= 80);
    }
}
