//! A clock that is tracked beside the local counter and steered to a model, in a simulation: how closely does it follow, and
//! what is made of surprises?
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod rig;
mod simulated;

use rig::Rig;
use sidereal_servo::{Adjustment, CrossOffered, FrequencyOffset, Standing, Steering, SteeringOptions};
use sidereal_time::Span;

#[test]
fn a_clock_follows_within_nanoseconds() {
    for interval in [1.0 / 16.0, 0.25] {
        for seed in 0..20 {
            let mut rig = Rig::new(seed);
            rig.run(interval, 400);
            let rms = rig.run(interval, 2_000);
            assert!(rms < 20e-9, "seed {seed}, every {interval} s: {rms:e}");
            let own = rig.own_frequency();
            assert!((own - rig.own).abs() < 50e-9, "seed {seed}: {own:e} {:e}", rig.own);
        }
    }
}

#[test]
fn a_clock_that_is_steered_128_times_a_second_follows_as_well() {
    for seed in 0..5 {
        let mut rig = Rig::new(seed);
        rig.steers_between = 7;
        rig.run(1.0 / 16.0, 400);
        let before = rig.told_count;
        let rms = rig.run(1.0 / 16.0, 1_600);
        assert!(rms < 20e-9, "seed {seed}: {rms:e}");
        assert!(rig.told_count - before > 6_000, "{}", rig.told_count - before);
    }
}

#[test]
fn what_is_told_of_the_estimate_is_true() {
    for seed in 0..20 {
        let mut rig = Rig::new(seed);
        rig.run(0.25, 400);
        let mut outside = 0;
        for _ in 0..1_000 {
            rig.turn(0.25);
            let estimate = rig.tracker.estimate(rig.ticks()).unwrap();
            let off = (estimate.shown.as_secs_f64() - rig.shown_exactly()).abs();
            outside += u32::from(off > 4.0 * estimate.deviation + 1e-9);
        }
        assert!(outside <= 5, "seed {seed}: {outside}");
    }
}

#[test]
fn a_large_error_is_stepped_and_a_small_one_is_not() {
    let mut rig = Rig::new(1);
    rig.error = 2.0;
    rig.run(0.25, 400);
    assert_eq!(rig.steps.len(), 1);
    assert!((rig.steps[0].as_secs_f64() + 2.0).abs() < 1e-4, "{:?}", rig.steps);
    assert!(rig.run(0.25, 100) < 50e-9);
    // Somebody sets the clock: it is set back.
    rig.error += 1.0;
    assert!(matches!(rig.turn(0.25), CrossOffered::Jumped(by) if (by.as_secs_f64() - 1.0).abs() < 1e-6));
    rig.run(0.25, 100);
    assert!(rig.run(0.25, 100) < 50e-9);
    assert_eq!(rig.steps.len(), 2);
    // A little is slewed.
    rig.error += 100e-6;
    rig.run(0.25, 100);
    assert!(rig.run(0.25, 100) < 50e-9);
    assert_eq!(rig.steps.len(), 2);
}

#[test]
fn without_steps_an_error_is_slewed_within_the_limit() {
    let mut rig = Rig::new(2);
    rig.steering = Steering::new(&SteeringOptions { step_threshold: None, ..SteeringOptions::default() });
    rig.error = 10e-3;
    rig.run(0.25, 800);
    assert!(rig.steps.is_empty());
    assert!(rig.most_told <= 500_000.0, "{}", rig.most_told);
    assert!(rig.run(0.25, 100) < 20e-9);
}

#[test]
fn a_frequency_that_somebody_else_has_set_is_noticed_and_made_good() {
    let mut rig = Rig::new(3);
    rig.run(0.25, 400);
    let before = rig.tracker.counts();
    assert_eq!((before.nudged, before.jumped), (0, 0));
    rig.own += 5e-6;
    rig.run(0.25, 100);
    let after = rig.tracker.counts();
    assert!(after.nudged >= 1 && after.jumped == 0, "{after:?}");
    assert!(rig.run(0.25, 100) < 20e-9);
}

#[test]
fn one_wild_reading_moves_nothing() {
    let mut rig = Rig::new(4);
    rig.run(0.25, 400);
    let told = rig.told;
    rig.error += 50e-6;
    assert_eq!(rig.turn(0.25), CrossOffered::Doubted);
    rig.error -= 50e-6;
    assert_eq!(rig.turn(0.25), CrossOffered::Taken);
    assert!((rig.told.as_ppb() - told.as_ppb()).abs() < 500.0, "{told:?} {:?}", rig.told);
    assert!(rig.run(0.25, 100) < 20e-9);
}

#[test]
fn a_clock_of_which_little_is_known_is_left_alone() {
    let mut steering = Steering::new(&SteeringOptions::default());
    let standing = Standing {
        error: Span::from_nanos(500_000),
        deviation: 1e-7,
        even: FrequencyOffset::from_ppb(20_000.0),
        frequency_deviation: 1e-4,
    };
    assert_eq!(steering.decide(&standing), None);
    let far = Standing { error: Span::from_nanos(5_000_000), ..standing };
    assert_eq!(steering.decide(&Standing { deviation: 5e-3, ..far }), None, "it may be right");
    let told = steering.decide(&far).unwrap();
    assert_eq!(told.adjustment, Adjustment::Step(Span::from_nanos(-5_000_000)));
    let told = steering.decide(&Standing { frequency_deviation: 1e-7, ..standing }).unwrap();
    assert_eq!(told.adjustment, Adjustment::Frequency(FrequencyOffset::from_ppb(-500_000.0)));
    assert!((told.lasts.unwrap().as_secs_f64() - 500e-6 / 520e-6).abs() < 1e-9, "{told:?}");
}
