//! The servos against simulated counters and networks: how far off is the published time, and does it know?
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::ServoKind;
use simulated::network::{Conditions, Outcome, ROWS, Row, median, run};

const SEEDS: u64 = 20;
const QUIET: Row = ROWS[0];
const LAN: Row = ROWS[1];
const WAN: Row = ROWS[4];

/// What the looks of `SEEDS` runs show: those of each second of `seconds`.
fn outcomes(
    row: &Row,
    seconds: core::ops::Range<u32>,
    conditions: impl Fn(u32, Conditions) -> Conditions,
) -> Vec<Outcome> {
    let run = |seed| {
        let mut looks = run(row, ServoKind::Kalman, seed, &conditions);
        looks.retain(|look| seconds.contains(&look.second));
        Outcome::of(&looks)
    };
    (0..SEEDS).map(run).collect()
}

fn typical(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> f64 {
    median(&mut outcomes.iter().map(value).collect::<Vec<f64>>())
}

fn total(outcomes: &[Outcome], value: impl Fn(&Outcome) -> usize) -> usize {
    outcomes.iter().map(value).sum()
}

/// Uncertainty covers 99.99 of 100 seconds, the hard bound all of them.
fn assert_honest(what: &str, outcomes: &[Outcome]) {
    let seconds = total(outcomes, |outcome| outcome.seconds);
    assert!(total(outcomes, |outcome| outcome.outside_uncertainty) * 10_000 <= seconds, "{what}: {outcomes:?}");
    assert_eq!(total(outcomes, |outcome| outcome.outside_bound), 0, "{what}: {outcomes:?}");
}

#[test]
fn the_rows_reach_their_aims_and_know_it() {
    for row in ROWS {
        let outcomes = outcomes(&row, 0..u32::MAX, |_, conditions| conditions);
        let rms = typical(&outcomes, |outcome| outcome.rms);
        assert!(rms < row.aim && rms < row.chrony, "{}: {rms:e}", row.name);
        assert_honest(row.name, &outcomes);
        let ratio = typical(&outcomes, |outcome| outcome.median_uncertainty / outcome.rms);
        assert!(ratio < 8.0, "{}: {ratio}", row.name);
    }
}

#[test]
fn the_other_servos_hold_the_time_too() {
    for row in ROWS {
        for (kind, limit) in [(ServoKind::Pi, 14.0), (ServoKind::Regression, 2.5)] {
            let run = |seed| Outcome::of(&run(&row, kind, seed, |_, conditions| conditions));
            let outcomes: Vec<Outcome> = (0..5).map(run).collect();
            let rms = typical(&outcomes, |outcome| outcome.rms);
            assert!(rms < limit * row.aim, "{} {kind:?}: {rms:e}", row.name);
        }
    }
}

#[test]
fn more_jitter_makes_the_uncertainty_grow_by_itself() {
    let row = Row { until: 8_000, ..LAN };
    let noisy = |second, calm: Conditions| Conditions {
        jitter: if second >= 4_000 { 10.0 * calm.jitter } else { calm.jitter },
        ..calm
    };
    let before = outcomes(&row, 500..4_000, noisy);
    let after = outcomes(&row, 4_000..8_000, noisy);
    assert_honest("before", &before);
    assert_honest("after", &after);
    let uncertainty = |outcomes: &[Outcome]| typical(outcomes, |outcome| outcome.median_uncertainty);
    assert!(uncertainty(&after) > 3.0 * uncertainty(&before));
    assert!(typical(&after, |outcome| outcome.rms) < 1.5e-6);
}

#[test]
fn gaussian_jitter_is_learned() {
    let row = Row { until: 6_000, ..LAN };
    let outcomes = outcomes(&row, 2_000..6_000, |_, calm| Conditions { gaussian: true, ..calm });
    assert_honest("gaussian", &outcomes);
    // What a Kalman filter that is told all of it reaches.
    let rms = typical(&outcomes, |outcome| outcome.rms);
    assert!(rms < 1.2 * 535e-9, "{rms:e}");
}

#[test]
fn a_ramp_of_temperature_is_followed() {
    let row = Row { until: 6_000, ..LAN };
    let ramp = |second, calm| Conditions { drift: if (2_000..4_000).contains(&second) { 1e-9 } else { 0.0 }, ..calm };
    let outcomes = outcomes(&row, 2_000..6_000, ramp);
    assert_honest("ramp", &outcomes);
    let rms = typical(&outcomes, |outcome| outcome.rms);
    assert!(rms < LAN.aim, "{rms:e}");
}

#[test]
fn a_jump_of_frequency_is_found_within_seconds() {
    let row = Row { until: 4_000, ..QUIET };
    let jump = |second, calm| Conditions { drift: if second == 2_000 { 15e-6 } else { 0.0 }, ..calm };
    for (when, rms) in [(1_000..2_000, 50e-9), (2_010..4_000, 60e-9)] {
        let outcomes = outcomes(&row, when.clone(), jump);
        assert!(typical(&outcomes, |outcome| outcome.rms) < rms, "{when:?}: {outcomes:?}");
        assert_eq!(total(&outcomes, |outcome| outcome.outside_bound), 0, "{when:?}");
    }
    // Until it is seen, nothing can tell; then the bound covers it, and the time is never more than a few jumps off.
    let outcomes = outcomes(&row, 2_000..2_010, jump);
    assert!(outcomes.iter().all(|outcome| outcome.outside_bound <= 4 && outcome.rms < 100e-6), "{outcomes:?}");
}

#[test]
fn bursts_of_lost_exchanges_are_bridged() {
    let row = Row { until: 6_000, ..LAN };
    let outcomes = outcomes(&row, 1_000..6_000, |second, calm| Conditions { lost: second / 100 % 3 != 0, ..calm });
    assert_honest("bursts", &outcomes);
    assert!(typical(&outcomes, |outcome| outcome.rms) < 2e-6);
}

#[test]
fn a_longer_path_stays_within_the_hard_bound() {
    let row = Row { until: 6_000, ..LAN };
    let detour =
        |second, calm| Conditions { detour: if (2_000..4_000).contains(&second) { 100e-6 } else { 0.0 }, ..calm };
    let all = outcomes(&row, 0..6_000, detour);
    assert_eq!(total(&all, |outcome| outcome.outside_bound), 0);
    // What only one way is longer cannot be told from a clock that is off by half.
    assert!(all.iter().all(|outcome| outcome.rms < 60e-6), "{all:?}");
    assert!(typical(&outcomes(&row, 4_200..6_000, detour), |outcome| outcome.rms) < LAN.aim);
}
