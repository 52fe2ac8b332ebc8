//! The table that the servos are compared by: `cargo run --release -p sidereal-servo --example rows [SEEDS]`.
#![allow(dead_code, reason = "the simulation is shared with the tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation with numbers of its own choice"
)]

#[path = "../tests/simulated/mod.rs"]
mod simulated;

use sidereal_servo::ServoKind;
use simulated::network::{Outcome, ROWS, median, run};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(20);
    println!(
        "{:10} {:10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>12} {:>9} {:>9} {:>9}",
        "row",
        "servo",
        "chrony/ns",
        "aim/ns",
        "median/ns",
        "min/ns",
        "max/ns",
        "outside u",
        "outside b",
        "u / RMS",
        "b / RMS"
    );
    for row in ROWS {
        for kind in [ServoKind::Pi, ServoKind::Regression, ServoKind::Kalman] {
            let outcomes: Vec<Outcome> =
                (0..seeds).map(|seed| Outcome::of(&run(&row, kind, seed, |_, conditions| conditions))).collect();
            let mut rms: Vec<f64> = outcomes.iter().map(|outcome| outcome.rms).collect();
            let typical = median(&mut rms);
            let ratio = |value: fn(&Outcome) -> f64| {
                median(&mut outcomes.iter().map(|outcome| value(outcome) / outcome.rms).collect::<Vec<f64>>())
            };
            let seconds: usize = outcomes.iter().map(|outcome| outcome.seconds).sum();
            let outside: usize = outcomes.iter().map(|outcome| outcome.outside_uncertainty).sum();
            println!(
                "{:10} {:10} {:10.0} {:10.0} {:10.1} {:10.1} {:10.1} {:11.5}% {:9} {:9.1} {:9.1}",
                row.name,
                format!("{kind:?}"),
                row.chrony * 1e9,
                row.aim * 1e9,
                typical * 1e9,
                rms[0] * 1e9,
                rms[rms.len() - 1] * 1e9,
                100.0 * outside as f64 / seconds as f64,
                outcomes.iter().map(|outcome| outcome.outside_bound).sum::<usize>(),
                ratio(|outcome| outcome.median_uncertainty),
                ratio(|outcome| outcome.median_bound),
            );
        }
    }
}
