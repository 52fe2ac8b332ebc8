//! What all runs of a scenario come to, as one document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limit::{Limit, Of};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::truth::{Statistic, Statistics};

/// All runs of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// What the scenario is called.
    pub scenario: String,
    /// How long each run lasted, in seconds.
    pub duration_s: f64,
    /// How much of that the statistics leave out.
    pub settle_s: f64,
    /// The runs.
    pub runs: Vec<Run>,
    /// Each measured host over all runs.
    pub hosts: Vec<HostOutcome>,
    /// The limits, and whether they hold.
    pub limits: Vec<LimitOutcome>,
    /// Whether all of them hold, and no host did what no policy allows.
    pub passed: bool,
}

/// A host over all runs: medians of what [`Statistics`] says of each, but for the last four.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostOutcome {
    /// The host.
    pub name: String,
    /// See [`Statistics::rms_error_s`].
    pub rms_error_s: Option<f64>,
    /// See [`Statistics::p99_error_s`].
    pub p99_error_s: Option<f64>,
    /// See [`Statistics::clock_rms_error_s`].
    pub clock_rms_error_s: Option<f64>,
    /// See [`Statistics::lock_s`].
    pub lock_s: Option<f64>,
    /// See [`Statistics::median_bound_s`].
    pub median_bound_s: Option<f64>,
    /// See [`Statistics::median_uncertainty_s`].
    pub median_uncertainty_s: Option<f64>,
    /// The largest error of all runs.
    pub max_error_s: Option<f64>,
    /// The share of all seconds in which the bound contained the truth.
    pub bound_coverage: Option<f64>,
    /// The same of uncertainty and declared asymmetry limits.
    pub uncertainty_coverage: Option<f64>,
    /// The median of the bound over the root mean square of the error.
    pub bound_over_rms: Option<f64>,
}

/// What became of a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitOutcome {
    /// Of which host.
    pub host: String,
    /// What is limited.
    pub statistic: Statistic,
    /// What was made of the values of all runs.
    pub of: Of,
    /// What that came to; nothing where it is no number.
    pub value: Option<f64>,
    /// It may not be larger.
    pub at_most: Option<f64>,
    /// It may not be smaller.
    pub at_least: Option<f64>,
    /// From when on, in seconds.
    pub from_s: f64,
    /// Until when, in seconds.
    pub until_s: f64,
    /// Whether it holds.
    pub holds: bool,
}

impl Outcome {
    /// Of `runs`, at least one, of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario, runs: Vec<Run>) -> Self {
        let limits: Vec<LimitOutcome> = scenario
            .limits
            .iter()
            .enumerate()
            .map(|(index, limit)| {
                let values: Vec<Option<f64>> =
                    runs.iter().map(|run| run.limited.get(index).copied().flatten()).collect();
                judge(scenario, limit, &values)
            })
            .collect();
        let measured = runs.first().map_or(0, |run| run.hosts.len());
        let hosts = (0..measured).filter_map(|host| {
            let statistics: Vec<&Statistics> = runs.iter().filter_map(|run| run.hosts.get(host)).collect();
            HostOutcome::new(&statistics)
        });
        Self {
            scenario: scenario.name.clone(),
            duration_s: scenario.duration.as_secs_f64(),
            settle_s: scenario.settle.as_secs_f64(),
            hosts: hosts.collect(),
            passed: limits.iter().all(|limit| limit.holds) && runs.iter().all(|run| run.breaches.is_empty()),
            limits,
            runs,
        }
    }
}

impl HostOutcome {
    fn new(statistics: &[&Statistics]) -> Option<Self> {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let over = |of: Of, statistic: Statistic| {
            finite(of.all(&statistics.iter().map(|one| one.value(statistic)).collect::<Vec<_>>()))
        };
        let seconds: u64 = statistics.iter().map(|one| one.seconds).sum();
        let coverage = |outside: fn(&Statistics) -> u64| {
            let outside: u64 = statistics.iter().map(|one| outside(one)).sum();
            (seconds > 0).then(|| 1.0 - outside as f64 / seconds as f64)
        };
        let rms_error_s = over(Of::Median, Statistic::RmsErrorS);
        let median_bound_s = over(Of::Median, Statistic::MedianBoundS);
        Some(Self {
            name: statistics.first()?.name.clone(),
            rms_error_s,
            p99_error_s: over(Of::Median, Statistic::P99ErrorS),
            clock_rms_error_s: over(Of::Median, Statistic::ClockRmsErrorS),
            lock_s: over(Of::Median, Statistic::LockS),
            median_bound_s,
            median_uncertainty_s: over(Of::Median, Statistic::MedianUncertaintyS),
            max_error_s: over(Of::Largest, Statistic::MaxErrorS),
            bound_coverage: coverage(|one| one.seconds_outside_bound),
            uncertainty_coverage: coverage(|one| one.seconds_outside_uncertainty),
            bound_over_rms: rms_error_s.zip(median_bound_s).map(|(rms, bound)| bound / rms),
        })
    }
}

fn judge(scenario: &Scenario, limit: &Limit, values: &[Option<f64>]) -> LimitOutcome {
    let value = limit.of.all(values);
    LimitOutcome {
        host: scenario.hosts.get(limit.host).map(|host| host.name.clone()).unwrap_or_default(),
        statistic: limit.statistic,
        of: limit.of,
        value: value.filter(|value| value.is_finite()),
        at_most: limit.at_most,
        at_least: limit.at_least,
        from_s: limit.from.as_secs_f64(),
        until_s: limit.until.as_secs_f64(),
        holds: limit.holds(value),
    }
}
