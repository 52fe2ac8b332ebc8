//! The delay of a path without queues.

use std::collections::VecDeque;

/// So many delays in a row decide whether the path has become longer.
const RECENT: usize = 64;
/// Where even the least of the recent delays is further above the floor than this part of what they are on average, that is no
/// queue: of 64 exponential queues, one in 10^7 leaves less.
const LIFTED: f64 = 0.5;
/// The mean excess follows the last so many delays.
const MEMORY: f64 = 64.0;
/// The least of n sums of two exponential waits is above the floor by this part of their mean, divided by the square root of n
/// (half the square root of pi / 2).
const LEAST_OF_ONE: f64 = 0.627;
/// An edge is never known better than this part of the mean excess: queues are only nearly exponential.
const EDGE_SHARE: f64 = 0.005;
/// Nor better than this, in seconds: stamps count nanoseconds.
const GRANULARITY_S: f64 = 1e-9;
/// The least of n sums of two exponential waits is above the floor by more than `CERTAIN / (sqrt(n) - UNSURE)` of their mean
/// excess over it once in 10^9: the least r that, for all m, leaves `((1 + m) e^-m)^n` no more probable together with a mean
/// excess below m / r (Chernoff's bound of that, for n from 24 on, is fitted from above).
const CERTAIN: f64 = 3.3;
/// See [`CERTAIN`].
const UNSURE: f64 = 4.4;

/// Learns the least delay, and forgets it when the path has become longer.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    least: f64,
    /// Delays since the floor was learned.
    samples: f64,
    /// Lately.
    mean_excess: f64,
    /// Of all delays since the floor was learned.
    whole_excess: f64,
    recent: VecDeque<f64>,
}

impl Floor {
    /// Begins with the first delay, in seconds.
    pub(crate) fn new(delay: f64) -> Self {
        let mut recent = VecDeque::with_capacity(RECENT);
        recent.push_back(delay);
        Self { least: delay, samples: 1.0, mean_excess: 0.0, whole_excess: 0.0, recent }
    }

    pub(crate) fn learn(&mut self, delay: f64) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(delay);
        self.samples += 1.0;
        if delay < self.least {
            self.mean_excess += self.least - delay;
            self.whole_excess += self.least - delay;
            self.least = delay;
        }
        self.mean_excess += (self.excess(delay) - self.mean_excess) / self.samples.min(MEMORY);
        self.whole_excess += (self.excess(delay) - self.whole_excess) / self.samples;
        let least_recent = self.recent.iter().copied().fold(f64::INFINITY, f64::min);
        let lifted = least_recent - self.least;
        if self.recent.len() == RECENT && lifted > LIFTED * self.mean_excess + GRANULARITY_S {
            self.least = least_recent;
            self.samples = RECENT as f64;
            self.mean_excess = self.recent.iter().map(|delay| delay - least_recent).sum::<f64>() / RECENT as f64;
            self.whole_excess = self.mean_excess;
        }
    }

    /// In seconds.
    pub(crate) fn least(&self) -> f64 {
        self.least
    }

    pub(crate) fn samples(&self) -> f64 {
        self.samples
    }

    /// How much longer than the floor, in seconds.
    pub(crate) fn excess(&self, delay: f64) -> f64 {
        (delay - self.least).max(0.0)
    }

    /// The mean of that, lately.
    pub(crate) fn mean_excess(&self) -> f64 {
        self.mean_excess
    }

    /// The deviation with which half an excess is known, in seconds.
    pub(crate) fn edge(&self) -> f64 {
        let floor_error = 0.5 * LEAST_OF_ONE * self.mean_excess / self.samples.sqrt();
        floor_error + EDGE_SHARE * self.mean_excess + GRANULARITY_S
    }

    /// By how much the least delay may be above the path's own, for certain, in seconds; infinite while too few are known.
    ///
    /// Queues that were longer or shorter at times do no harm: together they tell at least as much as if all had been as long as
    /// they were on average.
    pub(crate) fn margin(&self) -> f64 {
        let surplus = self.samples.sqrt() - UNSURE;
        if surplus > 0.0 { CERTAIN / surplus * self.whole_excess + GRANULARITY_S } else { f64::INFINITY }
    }
}
