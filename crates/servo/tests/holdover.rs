//! A tracker without sources: how far does the time go astray, and what does it keep for the next start?
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::{ServoOptions, TrackerState};
use simulated::network::{Client, Conditions, Look, ROWS};

const DAY_S: u32 = 86_400;
const FOUR_HOURS_S: u32 = 14_400;
const HALF_MINUTE_S: u32 = 32;

/// An oscillator, locked for a day over the path of `lan`, and then alone for four hours.
fn held(seed: u64, wander: f64, aging_per_day: f64) -> (Vec<Look>, Client) {
    let mut client = Client::new(seed, HALF_MINUTE_S, &ServoOptions::default(), None);
    let calm = Conditions { wander, drift: aging_per_day / f64::from(DAY_S), ..ROWS[1].conditions() };
    for _ in 0..DAY_S {
        client.step(&calm);
    }
    let alone = Conditions { lost: true, ..calm };
    let looks = (0..FOUR_HOURS_S).filter_map(|_| client.step(&alone)).collect();
    (looks, client)
}

fn worst(looks: &[Look]) -> f64 {
    looks.iter().map(|look| look.error.abs()).fold(0.0, f64::max)
}

#[test]
fn an_ocxo_stays_within_five_microseconds() {
    for seed in 0..5 {
        // At 10 000 s this walks 10^-12, where OCXOs have their flicker floor, and more beyond.
        let (looks, client) = held(seed, 1e-14, 1e-10);
        assert!(worst(&looks) < 5e-6, "seed {seed}: {:e}", worst(&looks));
        assert!(looks.iter().all(|look| look.error.abs() <= look.bound.min(look.uncertainty)), "seed {seed}");
        let last = looks.last().unwrap();
        assert_eq!(last.state, TrackerState::Holdover);
        assert!(last.bound < 1e-3, "seed {seed}: {:e}", last.bound);
        assert!(client.tracker.is_synchronised(client.ticks(0.0)));
    }
}

#[test]
fn a_tcxo_stays_within_a_tenth_of_a_millisecond_and_knows_it() {
    for seed in 0..5 {
        // At 100 s this walks 10^-10, at an hour 6 * 10^-10.
        let (looks, _) = held(seed, 1e-11, 5e-9);
        assert!(worst(&looks) < 100e-6, "seed {seed}: {:e}", worst(&looks));
        assert!(looks.iter().all(|look| look.error.abs() <= look.bound.min(look.uncertainty)), "seed {seed}");
    }
}

#[test]
fn the_bound_grows_alone_and_shrinks_with_the_first_measurement() {
    let (looks, mut client) = held(0, 1e-11, 5e-9);
    assert!(looks.windows(2).all(|pair| pair[1].bound >= pair[0].bound * 0.999));
    let grown = looks.last().unwrap().bound;
    let calm = Conditions { wander: 1e-11, ..ROWS[1].conditions() };
    let after: Vec<Look> = (0..200).filter_map(|_| client.step(&calm)).collect();
    assert_eq!(after.last().unwrap().state, TrackerState::Locked);
    assert!(after.last().unwrap().bound < grown.min(20e-6));
    assert!(after.iter().all(|look| look.error.abs() <= look.bound));
}

#[test]
fn what_was_learned_is_used_at_the_next_start() {
    let (_, client) = held(0, 1e-11, 0.0);
    let learned = client.tracker.learned(client.ticks(0.0)).unwrap();
    assert!((learned.counter_hertz / 1e9 - 1.0 - client.frequency).abs() < 1e-9, "{learned:?}");
    assert!(learned.wander < 1e-9, "{learned:?}");
    let settled = |learned: Option<&sidereal_servo::Learned>| {
        let mut fresh = Client::new(0, 16, &ServoOptions::default(), learned);
        fresh.frequency = client.frequency;
        let calm = Conditions { wander: 1e-11, ..ROWS[1].conditions() };
        let looks: Vec<Look> = (0..100).filter_map(|_| fresh.step(&calm)).collect();
        assert!(looks.iter().all(|look| look.error.abs() <= look.bound));
        worst(&looks)
    };
    assert!(settled(Some(&learned)) < settled(None));
    // Nonsense is not believed.
    let nonsense = sidereal_servo::Learned { counter_hertz: f64::NAN, ..learned };
    assert!(settled(Some(&nonsense)) < 1e-3);
}
