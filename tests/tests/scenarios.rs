//! Every scenario keeps its limits, and a hundred random ones keep what must hold in all of them.
//!
//! `cargo test -p sidereal-tests --test scenarios -- --nocapture` prints how well each did.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot be read fails the test")]

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sidereal_sim::fuzz;
use sidereal_sim::limit::{Limit, Of};
use sidereal_sim::outcome::Outcome;
use sidereal_sim::run::{self, RunOptions};
use sidereal_sim::scenario::Scenario;
use sidereal_sim::truth::Statistic;
use sidereal_time::Span;

/// Random scenarios that are run here; `sidereal sim --fuzz` runs more.
const RANDOM: u64 = 100;

/// Seeds of one scenario that are run here; the tables of bench/README.md are of all that a scenario asks for.
const SEEDS: u32 = 5;

/// The rows of chrony's table.
const ROWS: [&str; 5] = ["busy", "lan", "lan-poll4", "quiet", "wan"];

/// The rows of ptp4l's table, and the RMS that it reaches with its better servo, in seconds.
const PTP_ROWS: [(&str, f64); 5] = [
    ("ptp-quiet", 0.29e-6),
    ("ptp-lan", 1.48e-6),
    ("ptp-lan8", 1.33e-6),
    ("ptp-hw8", 13.6e-9),
    ("ptp-hw8-quiet", 2.9e-9),
];

#[test]
fn every_scenario_keeps_its_limits() {
    let mut broken = Vec::new();
    println!(
        "{:<24} {:<16} {:>10} {:>12} {:>12} {:>10} {:>10}",
        "scenario", "host", "rms", "in bound", "in uncert.", "bound/rms", "unc./rms"
    );
    for file in files() {
        let scenario = Scenario::load(&file).unwrap();
        let seeds: Vec<u64> = (1..=u64::from(scenario.runs.min(SEEDS))).collect();
        let options = RunOptions { stability: false, ..RunOptions::default() };
        let outcome = Outcome::new(&scenario, run::run_all(&scenario, &seeds, options));
        let name = name(&file);
        tell(&name, &outcome);
        for limit in outcome.limits.iter().filter(|limit| !limit.holds) {
            broken.push(format!("{name}: {} {} {:?}: {:?}", limit.host, limit.statistic.name(), limit.of, limit.value));
        }
        let breaches = outcome.runs.iter().flat_map(|run| run.breaches.iter().map(move |what| (run.seed, what)));
        broken.extend(breaches.map(|(seed, what)| format!("{name}, seed {seed}: {what}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_rows_of_the_table_are_there_with_twenty_seeds() {
    for row in ROWS {
        let scenario = Scenario::load(&file(row)).unwrap();
        assert!(scenario.runs >= 20 && !scenario.limits.is_empty(), "{row}");
    }
}

#[test]
fn the_rows_of_ptp4l_are_to_be_beaten_by_a_tenth() {
    for (row, reached) in PTP_ROWS {
        let scenario = Scenario::load(&file(row)).unwrap();
        let limited = |limit: &&Limit| limit.statistic == Statistic::RmsErrorS && limit.of == Of::Median;
        let limit = scenario.limits.iter().find(limited).and_then(|limit| limit.at_most).unwrap();
        assert!(limit <= 0.9 * reached, "{row}");
        assert_eq!((scenario.duration, scenario.settle), (Span::from_secs(4000), Span::from_secs(500)), "{row}");
    }
}

#[test]
fn one_seed_gives_one_run() {
    let scenario = Scenario::load(&file("rough")).unwrap();
    let run = |seed| run::run(&scenario, seed, RunOptions { keep_samples: true, ..RunOptions::default() });
    let first = run(7);
    assert_eq!(first, run(7), "to the bit");
    assert_ne!(first.samples, run(8).samples);
}

#[test]
fn random_scenarios_keep_what_must_hold() {
    let next = AtomicU64::new(1);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > RANDOM {
                break;
            }
            let checked = panic::catch_unwind(AssertUnwindSafe(|| fuzz::check(seed).unwrap()));
            let complaints = checked.unwrap_or_else(|_| vec!["panicked".into()]);
            if !complaints.is_empty() {
                let text =
                    format!("seed {seed}: {}\n  repeat: sidereal sim --fuzz --seed {seed}", complaints.join("; "));
                failed.lock().unwrap().push(text);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn tell(name: &str, outcome: &Outcome) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}"));
    let share = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.3} %", 100.0 * value));
    for host in &outcome.hosts {
        let uncertainty_over_rms = host.median_uncertainty_s.zip(host.rms_error_s).map(|(median, rms)| median / rms);
        println!(
            "{name:<24} {:<16} {:>10} {:>12} {:>12} {:>10} {:>10}",
            host.name,
            host.rms_error_s.map_or_else(|| "-".into(), |rms| format!("{rms:.2e}")),
            share(host.bound_coverage),
            share(host.uncertainty_coverage),
            number(host.bound_over_rms),
            number(uncertainty_over_rms),
        );
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("toml")
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}
