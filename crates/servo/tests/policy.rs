//! What a tracker does with measurements that somebody made up: steps, slews, lies, jumps.
#![allow(clippy::unwrap_used, reason = "a test says no by panicking")]

use sidereal_servo::{IntervalAdvice, Learned, Measurement, Offered, ServoOptions, Tracker, TrackerState};
use sidereal_time::{Counter, Instant, LocalClock, Rate, Reading, Span, Tai, Ticks};

const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -25 };
const SECOND: u64 = 1_000_000_000;

fn truth(ticks: Ticks) -> Instant<Tai> {
    Instant::from_secs(1_800_000_000) + Span::from_nanos(i128::from(ticks.0))
}

/// A source that is ahead by `offset`, at second `at`.
fn measured(at: u64, offset: Span) -> Measurement {
    let ticks = Ticks(at * SECOND);
    let window = Span::from_nanos(20_000);
    Measurement::new(Reading::new(ticks, truth(ticks) + offset, window), 1e-14, window.half())
}

/// Measured each second until `until`, without error.
fn locked(options: &ServoOptions, until: u64) -> Tracker {
    let mut tracker = Tracker::new(LOCAL, options, None, Ticks(0));
    for at in 1..=until {
        tracker.offer(&measured(at, Span::ZERO), Ticks(at * SECOND + 1_000));
    }
    assert_eq!(tracker.state(), TrackerState::Locked);
    tracker
}

fn error(tracker: &Tracker, at: Ticks) -> Span {
    tracker.model().unwrap().instant(at) - truth(at)
}

/// Lets time pass and runs what is due; the published time must never go back.
fn advance(tracker: &mut Tracker, from: Ticks, to: Ticks) {
    let mut shown = tracker.model().unwrap().instant(from);
    while let Some(due) = tracker.poll_timeout().filter(|due| due.0 <= to.0) {
        tracker.advance(due);
        let now = tracker.model().unwrap().instant(due);
        assert!(now >= shown, "{due:?}");
        shown = now;
    }
}

#[test]
fn the_first_measurement_sets_the_time() {
    let mut tracker = Tracker::new(LOCAL, &ServoOptions::default(), None, Ticks(0));
    assert_eq!((tracker.state(), tracker.model(), tracker.poll_timeout()), (TrackerState::Unlocked, None, None));
    assert_eq!(tracker.offer(&measured(5, Span::ZERO), Ticks(5 * SECOND)), Offered::First);
    assert_eq!(tracker.state(), TrackerState::Step);
    let model = tracker.model().unwrap();
    assert_eq!(model.generation, 1);
    assert!(error(&tracker, Ticks(5 * SECOND)).abs() < Span::from_nanos(2));
    assert_eq!(model.error, tracker.bound(model.reference_ticks).unwrap());
}

#[test]
fn what_all_measurements_share_is_part_of_bound_and_uncertainty() {
    let tracker = locked(&ServoOptions::default(), 100);
    let at = Ticks(100 * SECOND);
    let (bound, uncertainty) = (tracker.bound(at).unwrap(), tracker.uncertainty(at).unwrap());
    let common = Span::from_nanos(5_000);
    let mut sharing = Tracker::new(LOCAL, &ServoOptions::default(), None, Ticks(0));
    sharing.share(common);
    for second in 1..=100 {
        sharing.offer(&measured(second, Span::ZERO), Ticks(second * SECOND + 1_000));
    }
    assert!((sharing.bound(at).unwrap() - bound - common).abs() <= Span::from_nanos(2));
    let both = uncertainty.as_secs_f64().hypot(common.as_secs_f64());
    assert!((sharing.uncertainty(at).unwrap() - Span::from_secs_f64(both)).abs() <= Span::from_nanos(2));
    // Nor is it less where less is asked for.
    assert_eq!(sharing.uncertainty_or(at, Span::from_nanos(1)), sharing.uncertainty(at));
    assert!(sharing.model().unwrap().error >= common);
    sharing.share(Span::ZERO);
    assert!((sharing.bound(at).unwrap() - bound).abs() <= Span::from_nanos(2));
}

#[test]
fn one_liar_moves_nothing_and_several_are_believed() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    let lie = Span::from_nanos(50_000_000);
    let before = error(&tracker, Ticks(101 * SECOND));
    assert_eq!(tracker.offer(&measured(101, lie), Ticks(101 * SECOND)), Offered::Outlier);
    assert!((error(&tracker, Ticks(101 * SECOND)) - before).abs() < Span::from_nanos(100));
    // It might be right: the bound covers it.
    assert!(tracker.bound(Ticks(101 * SECOND)).unwrap() >= lie);
    assert!(tracker.uncertainty(Ticks(101 * SECOND)).unwrap() >= Span::from_nanos(49_000_000));
    assert_eq!(tracker.offer(&measured(102, Span::ZERO), Ticks(102 * SECOND)), Offered::Accepted);
    assert!(tracker.uncertainty(Ticks(102 * SECOND)).unwrap() < Span::from_nanos(10_000));
    // Three that agree are no accident; below the threshold they are slewed to, and never faster than allowed.
    for at in 103..105 {
        assert_eq!(tracker.offer(&measured(at, lie), Ticks(at * SECOND)), Offered::Outlier);
    }
    assert_eq!(tracker.offer(&measured(105, lie), Ticks(105 * SECOND)), Offered::Accepted);
    let after = error(&tracker, Ticks(106 * SECOND)) - error(&tracker, Ticks(105 * SECOND));
    assert!(after > Span::from_nanos(400_000) && after < Span::from_nanos(600_000), "{after}");
    assert_eq!(tracker.model().unwrap().generation, 1);
}

#[test]
fn what_is_beyond_the_threshold_is_stepped_if_that_is_allowed() {
    let by = Span::from_secs(-3);
    for (step_threshold, step_updates, steps) in [
        (Some(Span::from_nanos(128_000_000)), None, true),
        (Some(Span::from_nanos(128_000_000)), Some(3), false),
        (None, None, false),
    ] {
        let options = ServoOptions { step_threshold, step_updates, ..ServoOptions::default() };
        let mut tracker = locked(&options, 100);
        tracker.offer(&measured(101, by), Ticks(101 * SECOND));
        tracker.offer(&measured(102, by), Ticks(102 * SECOND));
        let offered = tracker.offer(&measured(103, by), Ticks(103 * SECOND));
        if steps {
            assert!(matches!(offered, Offered::Stepped { by: told } if (told - by).abs() < Span::from_nanos(1_000)));
            assert_eq!((tracker.model().unwrap().generation, tracker.state()), (2, TrackerState::Step));
            assert!((error(&tracker, Ticks(103 * SECOND)) - by).abs() < Span::from_nanos(1_000));
        } else {
            assert_eq!(offered, Offered::Accepted);
            advance(&mut tracker, Ticks(103 * SECOND), Ticks(8_000 * SECOND));
            assert!((error(&tracker, Ticks(8_000 * SECOND)) - by).abs() < Span::from_nanos(100_000_000));
            assert_eq!(tracker.model().unwrap().generation, 1);
        }
    }
}

#[test]
fn a_frequency_beyond_the_limit_is_insane() {
    let options = ServoOptions { max_frequency_ppm: 20.0, ..ServoOptions::default() };
    let mut tracker = locked(&options, 100);
    let mut insane = 0;
    for at in 101..200 {
        let offset = Span::from_nanos(i128::from(at - 100) * 40_000);
        insane += u32::from(tracker.offer(&measured(at, offset), Ticks(at * SECOND)) == Offered::Insane);
        let rate = tracker.model().unwrap().rate.as_hertz();
        assert!((rate / 1e9 - 1.0).abs() < 520e-6, "{rate}");
    }
    let frequency = tracker.estimate(Ticks(200 * SECOND)).unwrap().rate.as_hertz() / 1e9 - 1.0;
    assert!(insane > 0 && frequency.abs() <= 20.1e-6, "{insane} {frequency:e}");
}

#[test]
fn a_time_scale_that_is_moved_moves_the_model() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    let before = tracker.model().unwrap();
    tracker.relabel(Span::SECOND);
    let after = tracker.model().unwrap();
    assert_eq!((after.reference, after.generation), (before.reference + Span::SECOND, before.generation + 1));
    assert_eq!(tracker.offer(&measured(101, Span::SECOND), Ticks(101 * SECOND)), Offered::Accepted);
    assert_eq!(tracker.model().unwrap().generation, after.generation);
    assert!((error(&tracker, Ticks(101 * SECOND)) - Span::SECOND).abs() < Span::from_nanos(100));
}

#[test]
fn after_a_jump_of_the_counter_the_phase_is_new_and_the_rate_is_kept() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    let rate = tracker.model().unwrap().rate;
    tracker.counter_jumped(Ticks(7));
    assert_eq!((tracker.state(), tracker.model(), tracker.bound(Ticks(7))), (TrackerState::Unlocked, None, None));
    let reading = Reading::new(Ticks(1_000), truth(Ticks(500 * SECOND)), Span::from_nanos(20_000));
    let again = Measurement::new(reading, 1e-14, Span::from_nanos(10_000));
    assert_eq!(tracker.offer(&again, Ticks(1_500)), Offered::First);
    let model = tracker.model().unwrap();
    assert_eq!(model.generation, 2);
    assert!((model.rate.as_hertz() / rate.as_hertz() - 1.0).abs() < 1e-9);
}

#[test]
fn without_measurements_it_is_holdover_and_with_one_it_is_locked() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    advance(&mut tracker, Ticks(100 * SECOND + 1_000), Ticks(150 * SECOND));
    assert_eq!(tracker.state(), TrackerState::Locked);
    advance(&mut tracker, Ticks(150 * SECOND), Ticks(170 * SECOND));
    assert_eq!(tracker.state(), TrackerState::Holdover);
    assert!(tracker.is_synchronised(Ticks(170 * SECOND)));
    assert!(!tracker.is_synchronised(Ticks(90_000 * SECOND)));
    assert_eq!(tracker.offer(&measured(171, Span::ZERO), Ticks(171 * SECOND)), Offered::Accepted);
    assert_eq!(tracker.state(), TrackerState::Locked);
    tracker.hold(Ticks(172 * SECOND));
    assert_eq!(tracker.state(), TrackerState::Holdover);
}

#[test]
fn the_model_is_as_wrong_as_the_bound_says_until_it_is_made_anew() {
    let tracker = locked(&ServoOptions::default(), 100);
    let model = tracker.model().unwrap();
    for seconds in [0, 1, 4, 16] {
        let at = Ticks(model.reference_ticks.0 + seconds * SECOND);
        assert!(model.error_at(at) >= tracker.bound(at).unwrap(), "{seconds}");
        assert!(tracker.bound(at).unwrap() >= tracker.uncertainty(at).unwrap(), "{seconds}");
    }
}

#[test]
fn measurements_may_come_a_little_late() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    assert_eq!(tracker.offer(&measured(99, Span::ZERO), Ticks(101 * SECOND)), Offered::Accepted);
    assert!(error(&tracker, Ticks(101 * SECOND)).abs() < Span::from_nanos(200));
    let mut tracker = locked(&ServoOptions::default(), 2_000);
    assert_eq!(tracker.offer(&measured(5, Span::ZERO), Ticks(2_000 * SECOND)), Offered::Stale);
}

#[test]
fn what_was_learned_of_another_counter_is_not_believed() {
    let learned = |counter_hertz| Learned { counter_hertz, frequency_deviation: 1e-9, wander: 1e-10, aging: 0.0 };
    for (hertz, expected) in [(1.000_3e9, 1.000_3e9), (3e9, 1e9), (f64::INFINITY, 1e9)] {
        let mut tracker = Tracker::new(LOCAL, &ServoOptions::default(), Some(&learned(hertz)), Ticks(0));
        tracker.offer(&measured(1, Span::ZERO), Ticks(SECOND));
        let rate = tracker.model().unwrap().rate.as_hertz();
        assert!((rate / expected - 1.0).abs() < 1e-9, "{hertz} {rate}");
    }
}

#[test]
fn a_noisy_source_may_be_asked_less_often_than_a_quiet_one() {
    let tracker = locked(&ServoOptions::default(), 1_000);
    assert_eq!(tracker.interval_advice(1e-6, Span::SECOND), IntervalAdvice::Longer);
    assert_eq!(tracker.interval_advice(1e-18, Span::from_secs(1_024)), IntervalAdvice::Shorter);
}

#[test]
fn outliers_on_a_line_are_believed_at_whatever_frequency() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    let offset = |at: u64| Span::from_nanos(100_000 * i128::from(at - 100));
    let offered: Vec<Offered> =
        (101..120).map(|at| tracker.offer(&measured(at, offset(at)), Ticks(at * SECOND))).collect();
    assert_eq!(offered.iter().filter(|offered| **offered == Offered::Outlier).count(), 5, "{offered:?}");
    let frequency = tracker.estimate(Ticks(120 * SECOND)).unwrap().rate.as_hertz() / 1e9;
    assert!(((frequency - 1.0).abs() - 100e-6).abs() < 1e-6, "{frequency}");
}

#[test]
fn a_tracker_is_never_deaf() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    let offer = |at: u64| {
        tracker.offer(&measured(at, Span::from_nanos(i128::from(1 + at * at % 17) * 9_000_000)), Ticks(at * SECOND))
    };
    let offered: Vec<Offered> = (101..=116).map(offer).collect();
    assert!(offered.iter().any(|offered| !matches!(offered, Offered::Outlier)), "{offered:?}");
}

#[test]
fn a_jump_is_no_drift_and_good_measurements_bring_the_bound_back() {
    for by in [Span::from_secs(180), Span::from_secs(-1), Span::from_nanos(20_000_000)] {
        let mut tracker = locked(&ServoOptions::default(), 100);
        for at in 101..=103 {
            tracker.offer(&measured(at, by), Ticks(at * SECOND));
        }
        advance(&mut tracker, Ticks(103 * SECOND), Ticks(200 * SECOND));
        for at in 200..=220 {
            assert_eq!(tracker.offer(&measured(at, by), Ticks(at * SECOND)), Offered::Accepted, "{by}");
        }
        let bound = tracker.bound(Ticks(221 * SECOND)).unwrap();
        assert!(bound < Span::from_nanos(30_000), "{by}: {bound}");
    }
}

#[test]
fn one_outlier_leaves_no_trace_in_the_bound() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    tracker.offer(&measured(101, Span::from_secs(2)), Ticks(101 * SECOND));
    assert_eq!(tracker.offer(&measured(102, Span::ZERO), Ticks(102 * SECOND)), Offered::Accepted);
    assert!(tracker.bound(Ticks(103 * SECOND)).unwrap() < Span::from_nanos(30_000));
}

#[test]
fn the_bound_allows_for_a_source_that_is_itself_slewed() {
    const INTERVAL: u64 = 4;
    let (behind, slew) = (-7_000_000, 175_000);
    let mut tracker = Tracker::new(LOCAL, &ServoOptions::default(), None, Ticks(0));
    for at in 1..200_u64 {
        let now = Ticks(at * SECOND);
        if at % INTERVAL == 1 {
            let offset = Span::from_nanos((behind + slew * i128::from(at)).min(0));
            let measurement = measured(at, offset);
            tracker.offer(&Measurement { bound: measurement.bound + offset.abs(), ..measurement }, now);
        }
        advance(&mut tracker, now, Ticks(now.0 + SECOND - 1));
        for at in [now, Ticks(now.0 + SECOND - 1)] {
            let (error, bound) = (error(&tracker, at), tracker.bound(at).unwrap());
            assert!(error.abs() <= bound, "{at:?}: {error} {bound}");
        }
    }
    assert!(tracker.bound(Ticks(200 * SECOND)).unwrap() < Span::from_nanos(40_000));
}

#[test]
fn of_several_sources_one_alone_is_not_believed() {
    let mut tracker = locked(&ServoOptions::default(), 100);
    tracker.follow(3);
    let lie = |at: u64, witness| Measurement { witness, ..measured(at, Span::from_nanos(1_000_000)) };
    // The others are silent for longer than it would take to believe one.
    for at in 101..110 {
        assert_eq!(tracker.offer(&lie(at, 1), Ticks(at * SECOND)), Offered::Outlier, "{at}");
    }
    // A second one says the same: they are more than half of three.
    assert_ne!(tracker.offer(&lie(110, 2), Ticks(110 * SECOND)), Offered::Outlier);
}
