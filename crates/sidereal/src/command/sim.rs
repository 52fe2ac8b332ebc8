//! `sidereal sim`: how well would this do?

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use sidereal_servo::ServoKind;
use sidereal_sim::outcome::{HostOutcome, LimitOutcome, Outcome};
use sidereal_sim::run::RunOptions;
use sidereal_sim::scenario::Scenario;
use sidereal_sim::truth::Statistic;
use sidereal_sim::{csv, fuzz, plot, run};
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::words::{nanoseconds, table};
use super::{Failure, print, print_json};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The scenario: a file of TOML, such as those in tests/scenarios
    #[arg(required_unless_present = "fuzz", conflicts_with = "fuzz")]
    scenario: Option<PathBuf>,
    /// The seed of the first run; alone, it asks for one run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many runs, with this seed and those after it; as many as the scenario says where neither is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Follow with this servo, whatever the scenario says: to compare them on the same seeds
    #[arg(long, conflicts_with = "fuzz")]
    servo: Option<Servo>,
    /// Draw random scenarios, one for each seed, and check what must hold in all of them
    #[arg(long)]
    fuzz: bool,
    /// Print the random scenario of a seed instead of running it
    #[arg(long, requires = "fuzz", requires = "seed", conflicts_with_all = ["runs", "json"])]
    print: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Write every second of every run to a file of comma-separated values
    #[arg(long, value_name = "FILE", conflicts_with = "fuzz")]
    csv: Option<PathBuf>,
    /// Draw the first run
    #[arg(long, value_name = "FILE.svg", conflicts_with = "fuzz")]
    plot: Option<PathBuf>,
}

/// As `kind` of a host's `servo` in a scenario.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Servo {
    Pi,
    Regression,
    Kalman,
}

/// What is printed: its `schema` says in which version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "schema")]
pub(super) enum Document {
    /// The runs of a scenario.
    #[serde(rename = "sidereal.sim/1")]
    Sim(Outcome),
    /// Random scenarios.
    #[serde(rename = "sidereal.fuzz/1")]
    Fuzz(Fuzzed),
}

/// What became of random scenarios.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Fuzzed {
    /// How many were run.
    runs: u64,
    /// Those in which something did not hold.
    failures: Vec<Failed>,
}

/// A random scenario in which something did not hold.
#[derive(Debug, Serialize, JsonSchema)]
struct Failed {
    /// Its seed.
    seed: u64,
    /// What did not hold.
    complaints: Vec<String>,
    /// The command that repeats it.
    repeat: String,
}

pub(super) fn sim(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.scenario {
        Some(scenario) => simulate(scenario, arguments),
        None if arguments.print => print_random(arguments.seed.unwrap_or(FIRST_SEED)),
        None => fuzz(arguments),
    }
}

/// The seed of the first run where none is given.
const FIRST_SEED: u64 = 1;

fn seeds(arguments: &Arguments, usual_runs: u32) -> Vec<u64> {
    let usual_runs = if arguments.seed.is_some() { 1 } else { usual_runs };
    let first = arguments.seed.unwrap_or(FIRST_SEED);
    (0..u64::from(arguments.runs.unwrap_or(usual_runs))).map(|run| first.wrapping_add(run)).collect()
}

fn simulate(file: &Path, arguments: &Arguments) -> Result<(), Failure> {
    let mut scenario =
        Scenario::load(file).map_err(|error| Failure::Usage(format!("the scenario cannot be used\n{error}")))?;
    if let Some(servo) = arguments.servo {
        scenario.follow_with(match servo {
            Servo::Pi => ServoKind::Pi,
            Servo::Regression => ServoKind::Regression,
            Servo::Kalman => ServoKind::Kalman,
        });
    }
    let seeds = seeds(arguments, scenario.runs);
    let bar = progress_bar(scenario.duration.as_secs_f64(), seeds.len());
    let options = RunOptions {
        keep_samples: arguments.csv.is_some() || arguments.plot.is_some(),
        progress: &|seconds| bar.inc(seconds),
        ..RunOptions::default()
    };
    let runs = run::run_all(&scenario, &seeds, options);
    bar.finish_and_clear();
    if let Some(path) = &arguments.csv {
        write(path, &csv::csv(&runs))?;
    }
    if let (Some(path), Some(first)) = (&arguments.plot, runs.first()) {
        write(path, &plot::svg(first).map_err(|error| Failure::Failed(error.to_string()))?)?;
    }
    let outcome = Outcome::new(&scenario, runs);
    let passed = outcome.passed;
    if arguments.json {
        print_json(&Document::Sim(outcome))?;
    } else {
        print(words(&outcome))?;
    }
    if passed { Ok(()) } else { Err(Failure::Told(ExitCode::FAILURE)) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar's length; `as` saturates")]
fn progress_bar(seconds: f64, runs: usize) -> ProgressBar {
    // Drawn on standard error, and only where that is a terminal.
    let bar = ProgressBar::new((seconds * runs as f64) as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent} % of {len} s, {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

fn words(outcome: &Outcome) -> String {
    let header = [
        "host",
        "rms",
        "p99",
        "max",
        "system clock",
        "lock",
        "bound",
        "uncertainty",
        "in bound",
        "in uncertainty",
        "bound/rms",
    ];
    let right = [false, true, true, true, true, true, true, true, true, true, true];
    let rows: Vec<Vec<String>> = outcome.hosts.iter().map(host_row).collect();
    let runs = outcome.runs.len();
    let mut text =
        format!("{}: {runs} run{} of {} s\n", outcome.scenario, if runs == 1 { "" } else { "s" }, outcome.duration_s);
    text += &table(&header, &right, &rows);
    for run in &outcome.runs {
        for breach in &run.breaches {
            text += &format!("seed {}: {breach}\n", run.seed);
        }
    }
    if !outcome.limits.is_empty() {
        let header = ["limit", "of", "value", "", ""];
        let rows: Vec<Vec<String>> = outcome.limits.iter().map(limit_row).collect();
        text += &format!("\n{}", table(&header, &[false, false, true, true, false], &rows));
    }
    text
}

fn host_row(host: &HostOutcome) -> Vec<String> {
    let share = |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{:.3} %", share * 100.0));
    vec![
        host.name.clone(),
        time(host.rms_error_s),
        time(host.p99_error_s),
        time(host.max_error_s),
        time(host.clock_rms_error_s),
        host.lock_s.map_or_else(|| "-".into(), |lock| format!("{lock} s")),
        time(host.median_bound_s),
        time(host.median_uncertainty_s),
        share(host.bound_coverage),
        share(host.uncertainty_coverage),
        host.bound_over_rms.map_or_else(|| "-".into(), |ratio| format!("{ratio:.1}")),
    ]
}

fn limit_row(limit: &LimitOutcome) -> Vec<String> {
    let value = |value: f64| value_words(limit.statistic, value);
    let most = limit.at_most.map(|most| format!("at most {}", value(most)));
    let least = limit.at_least.map(|least| format!("at least {}", value(least)));
    vec![
        format!("{} {}", limit.host, limit.statistic.name()),
        limit.of.word().into(),
        limit.value.map_or_else(|| "-".into(), value),
        [least, most].into_iter().flatten().collect::<Vec<_>>().join(", "),
        if limit.holds { "pass" } else { "FAIL" }.into(),
    ]
}

fn value_words(statistic: Statistic, value: f64) -> String {
    match statistic {
        Statistic::LockS => format!("{value} s"),
        Statistic::UncertaintyOverRms => format!("{value:.1}"),
        statistic if statistic.is_time() => time(Some(value)),
        _ if value.abs() < 1e-3 && value != 0.0 => format!("{value:.2e}"),
        _ => format!("{value}"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "nanoseconds for people; `as` saturates")]
fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".into(),
        Some(short) if short.abs() < 1e-7 => format!("{:.1} ns", short * 1e9),
        Some(seconds) => nanoseconds((seconds * 1e9) as i64),
    }
}

fn print_random(seed: u64) -> Result<(), Failure> {
    let text = fuzz::text(seed).map_err(|error| Failure::Failed(error.to_string()))?;
    print(text)
}

fn fuzz(arguments: &Arguments) -> Result<(), Failure> {
    let seeds = seeds(arguments, 1);
    let bar = ProgressBar::new(seeds.len() as u64);
    let running = Arc::new(AtomicU64::new(0));
    tell_panics(&running);
    let mut failures = Vec::new();
    for seed in &seeds {
        running.store(*seed, Ordering::Relaxed);
        let complaints = fuzz::check(*seed).unwrap_or_else(|error| vec![error.to_string()]);
        if !complaints.is_empty() {
            let failed = Failed { seed: *seed, complaints, repeat: repeat(*seed) };
            if !arguments.json {
                bar.suspend(|| print(failed_words(&failed)))?;
            }
            failures.push(failed);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let passed = failures.is_empty();
    let runs = seeds.len() as u64;
    if arguments.json {
        print_json(&Document::Fuzz(Fuzzed { runs, failures }))?;
    } else {
        print(format_args!("{runs} random scenarios, {} failed\n", failures.len()))?;
    }
    if passed { Ok(()) } else { Err(Failure::Told(ExitCode::FAILURE)) }
}

fn failed_words(failed: &Failed) -> String {
    let lines: Vec<String> = failed.complaints.iter().map(|complaint| format!("  {complaint}\n")).collect();
    format!("seed {}:\n{}  repeat: {}\n", failed.seed, lines.concat(), failed.repeat)
}

fn repeat(seed: u64) -> String {
    format!("sidereal sim --fuzz --seed {seed}")
}

/// A panic ends the program where it is built so: what led to it is told before that.
fn tell_panics(running: &Arc<AtomicU64>) {
    let running = Arc::clone(running);
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let seed = running.load(Ordering::Relaxed);
        eprintln!("seed {seed}: panicked\n  repeat: {}", repeat(seed));
        usual(panic);
    }));
}
