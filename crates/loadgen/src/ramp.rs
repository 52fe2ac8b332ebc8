//! The search for the highest rate.

use serde::Serialize;

/// How many runs a search takes at the most.
pub const MAX_STEPS: u32 = 40;
/// Where no rate passes, the search ends below this many requests per second.
const LOWEST: f64 = 100.0;
/// The search ends when the lowest rate that failed is at most this much above the highest that passed.
const RESOLUTION: f64 = 1.02;
/// How often a rate must fail: one failure may be the host's other business.
const FAILURES: u32 = 2;

/// A search for the highest rate at which a run passes: doubled until one fails, then halved in.
#[derive(Debug, Clone)]
pub struct Ramp {
    maximum: f64,
    next: f64,
    passed: Option<f64>,
    failed: Option<(f64, Limit)>,
    failures: u32,
    steps: u32,
}

/// How a run at some rate went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The requests left at that rate and were answered.
    Passed,
    /// The requests left at that rate and too many were not answered.
    Lost,
    /// The generator could not send at that rate.
    Late,
}

/// What the highest rate is limited by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The server, or the way to it and back: more was lost at a higher rate.
    Server,
    /// The generator: it cannot send faster.
    Generator,
    /// The search: it was told to stop there, or had no steps left.
    Search,
}

impl Ramp {
    /// A search from `start` to at most `maximum` requests per second.
    #[must_use]
    pub fn new(start: f64, maximum: f64) -> Self {
        Self { maximum, next: start.min(maximum), passed: None, failed: None, failures: 0, steps: 0 }
    }

    /// The rate of the next run; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        let found = match (self.passed, self.failed) {
            (Some(passed), Some((failed, _))) => failed <= passed * RESOLUTION,
            (Some(passed), None) => passed >= self.maximum,
            (None, _) => self.next < LOWEST,
        };
        (!found && self.steps < MAX_STEPS).then_some(self.next)
    }

    /// Tells how the run at [`Self::next`] went.
    pub fn record(&mut self, step: Step) {
        self.steps += 1;
        match step {
            Step::Passed => self.passed = Some(self.next),
            Step::Lost | Step::Late if self.failures + 1 < FAILURES => {
                self.failures += 1;
                return;
            }
            Step::Lost => self.failed = Some((self.next, Limit::Server)),
            Step::Late => self.failed = Some((self.next, Limit::Generator)),
        }
        self.failures = 0;
        self.next = match (self.passed, self.failed) {
            (Some(passed), Some((failed, _))) => f64::midpoint(passed, failed),
            (Some(passed), None) => (passed * 2.0).min(self.maximum),
            (None, Some((failed, _))) => failed / 2.0,
            (None, None) => self.next,
        };
    }

    /// The highest rate that passed, and what kept it from being higher.
    #[must_use]
    pub fn highest(&self) -> Option<(f64, Limit)> {
        let limit = match self.failed {
            Some((failed, limit)) if self.passed.is_some_and(|passed| failed <= passed * RESOLUTION) => limit,
            _ => Limit::Search,
        };
        self.passed.map(|passed| (passed, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(mut ramp: Ramp, mut run: impl FnMut(f64) -> Step) -> (Option<(f64, Limit)>, u32) {
        let mut steps = 0;
        while let Some(rate) = ramp.next() {
            ramp.record(run(rate));
            steps += 1;
            assert!(steps <= MAX_STEPS);
        }
        (ramp.highest(), steps)
    }

    #[test]
    fn finds_the_limit_of_any_server() {
        for limit in [250.0, 999.0, 50_000.0, 363_000.0, 1_999_999.0] {
            let run = |rate| if rate <= limit { Step::Passed } else { Step::Lost };
            let (highest, steps) = search(Ramp::new(50_000.0, 2e6), run);
            let (found, by) = highest.unwrap();
            assert!(found <= limit && found * RESOLUTION >= limit, "{found} for {limit}");
            assert_eq!(by, Limit::Server);
            assert!(steps < MAX_STEPS, "{steps} steps for {limit}");
        }
    }

    #[test]
    fn stops_at_the_maximum() {
        let (highest, steps) = search(Ramp::new(50_000.0, 1e6), |_| Step::Passed);
        assert_eq!(highest, Some((1e6, Limit::Search)));
        assert_eq!(steps, 6);
    }

    #[test]
    fn a_single_failure_is_asked_again() {
        let mut runs = 0;
        let (highest, _) = search(Ramp::new(50_000.0, 100_000.0), |_| {
            runs += 1;
            if runs == 1 { Step::Lost } else { Step::Passed }
        });
        assert_eq!(highest, Some((100_000.0, Limit::Search)));
    }

    #[test]
    fn tells_its_own_limit_from_the_servers() {
        let (highest, _) =
            search(Ramp::new(50_000.0, 1e6), |rate| if rate <= 300_000.0 { Step::Passed } else { Step::Late });
        assert_eq!(highest.unwrap().1, Limit::Generator);
    }

    #[test]
    fn gives_up_on_a_server_that_never_answers() {
        let (highest, steps) = search(Ramp::new(50_000.0, 1e6), |_| Step::Lost);
        assert_eq!(highest, None);
        assert!(steps < MAX_STEPS);
    }

    #[test]
    fn ends_whatever_happens() {
        let mut runs = 0_u32;
        search(Ramp::new(50_000.0, 1e6), |_| {
            runs = runs.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if runs & 0x100 == 0 { Step::Passed } else { Step::Lost }
        });
    }
}
