//! Runs: one, or many at a time.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sidereal_time::Span;

use crate::scenario::{HostKind, Scenario};
use crate::truth::{Sample, Statistics};
use crate::world::World;

/// How much of a run passes between two reports of its progress.
const STRIDE: Span = Span::from_secs(600);

/// What became of one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The hosts that are measured, in the order of the scenario.
    pub hosts: Vec<Statistics>,
    /// What hosts did that no policy allows.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub breaches: Vec<String>,
    /// For each limit of the scenario, the value in this run.
    #[serde(skip)]
    pub limited: Vec<Option<f64>>,
    /// Name and samples of each host that is measured, where they were asked for.
    #[serde(skip)]
    pub samples: Vec<(String, Vec<Sample>)>,
}

/// What to do with runs.
#[derive(Clone, Copy)]
pub struct RunOptions<'p> {
    /// Whether to keep the samples.
    pub keep_samples: bool,
    /// Whether to compute the measures of stability.
    pub stability: bool,
    /// Is told of each second of simulated time that has passed, in strides.
    pub progress: &'p (dyn Fn(u64) + Sync),
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self { keep_samples: false, stability: true, progress: &|_| {} }
    }
}

/// The run `seed` of `scenario`: the same in every respect each time.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64, options: RunOptions<'_>) -> Run {
    let mut world = World::new(scenario, seed);
    let mut until = Span::ZERO;
    while until < scenario.duration {
        let next = (until + STRIDE).min(scenario.duration);
        world.run_until(next);
        (options.progress)(whole_seconds(next - until));
        until = next;
    }
    let measured = scenario.hosts.iter().enumerate().filter(|(_, host)| matches!(host.kind, HostKind::Engine(_)));
    let mut outcome = Run { seed, breaches: world.breaches(), ..Run::default() };
    for (number, host) in measured {
        let samples = world.samples(number);
        let settled = between(samples, scenario.settle, scenario.duration);
        let mut statistics = Statistics::of(&host.name, settled);
        // Locking is what happens while things settle.
        statistics.lock_s = Statistics::of(&host.name, samples).lock_s;
        if options.stability {
            statistics = statistics.with_stability(settled);
        }
        outcome.hosts.push(statistics);
        if options.keep_samples {
            outcome.samples.push((host.name.clone(), samples.to_vec()));
        }
    }
    let limited = scenario.limits.iter().map(|limit| {
        let samples = between(world.samples(limit.host), limit.from, limit.until);
        Statistics::of("", samples).value(limit.statistic)
    });
    outcome.limited = limited.collect();
    outcome
}

/// Several runs, on as many cores as there are; in the order of `seeds`.
#[must_use]
pub fn run_all(scenario: &Scenario, seeds: &[u64], options: RunOptions<'_>) -> Vec<Run> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![None; seeds.len()]);
    let work = || {
        while let Some((place, seed)) = take(&next, seeds) {
            let outcome = run(scenario, seed, options);
            if let Ok(mut done) = done.lock()
                && let Some(slot) = done.get_mut(place)
            {
                *slot = Some(outcome);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(seeds.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    done.into_inner().unwrap_or_default().into_iter().flatten().collect()
}

fn take(next: &AtomicUsize, seeds: &[u64]) -> Option<(usize, u64)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    seeds.get(place).map(|seed| (place, *seed))
}

/// The samples after `from` and up to `until`.
fn between(samples: &[Sample], from: Span, until: Span) -> &[Sample] {
    let after = |span: Span| samples.partition_point(|sample| Span::from_secs(sample.second.into()) <= span);
    samples.get(after(from)..after(until)).unwrap_or(&[])
}

fn whole_seconds(span: Span) -> u64 {
    u64::try_from(span.as_nanos_rounded() / 1_000_000_000).unwrap_or(0)
}
