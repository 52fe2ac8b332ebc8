//! The stability measures against phases whose stability is known in closed form.
#![allow(dead_code, reason = "the simulation is shared with other tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

mod simulated;

use sidereal_servo::stability::{adev, mtie, tdev};
use simulated::Random;

const TAU0: f64 = 2.0;

fn phases(value: impl FnMut(f64) -> f64) -> Vec<f64> {
    (0..4_096).map(|n| f64::from(n) * TAU0).map(value).collect()
}

#[test]
fn a_drift_has_an_allan_deviation_that_grows_with_time() {
    // NIST SP 1065 §5.2.1: D tau / sqrt(2).
    for (tau, deviation) in adev(&phases(|t| 0.5 * 1e-9 * t * t), TAU0) {
        assert!((deviation / (1e-9 * tau / 2.0_f64.sqrt()) - 1.0).abs() < 1e-6, "{tau} {deviation:e}");
    }
}

#[test]
fn an_offset_of_frequency_is_seen_by_mtie_alone() {
    let phases = phases(|t| 1e-6 * t);
    assert!(adev(&phases, TAU0).iter().all(|(_, deviation)| *deviation < 1e-15));
    assert!(tdev(&phases, TAU0).iter().all(|(_, deviation)| *deviation < 1e-12));
    let mtie = mtie(&phases, TAU0);
    assert_eq!(mtie.len(), 12);
    for (tau, error) in mtie {
        assert!((error / (1e-6 * tau) - 1.0).abs() < 1e-9, "{tau} {error:e}");
    }
}

#[test]
fn white_phase_noise_has_its_slopes() {
    let mut random = Random(7);
    let phases = phases(|_| 1e-9 * random.normal());
    for (tau, deviation) in adev(&phases, TAU0).into_iter().filter(|(tau, _)| *tau <= 64.0) {
        // ADEV is sqrt(3) sigma / tau.
        assert!((deviation / (3.0_f64.sqrt() * 1e-9 / tau) - 1.0).abs() < 0.1, "{tau} {deviation:e}");
    }
    for (tau, deviation) in tdev(&phases, TAU0).into_iter().filter(|(tau, _)| *tau <= 64.0) {
        // TDEV is sigma at tau0 and falls by the square root.
        assert!((deviation / (1e-9 * (TAU0 / tau).sqrt()) - 1.0).abs() < 0.2, "{tau} {deviation:e}");
    }
}

#[test]
fn mtie_is_the_widest_excursion_of_any_window() {
    let phases = [0.0, 3.0, -1.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0];
    assert_eq!(mtie(&phases, 1.0), [(1.0, 5.0), (2.0, 5.0), (4.0, 6.0), (8.0, 6.0)]);
    assert!(mtie(&[1.0], 1.0).is_empty() && adev(&[1.0, 2.0], 1.0).is_empty() && tdev(&[], 1.0).is_empty());
}
