//! What was measured of all targets together.

use hdrhistogram::Histogram;
use sidereal_time::{Sample, Span};

/// The longest that the histograms tell apart, in nanoseconds; what is longer counts as this long.
const LONGEST_NS: u64 = 1_000_000_000_000;
/// How many decimal digits they tell apart: percentiles are right to a part in a hundred, and both fit into a cache.
const DIGITS: u8 = 2;

/// Counts and histograms of all targets together.
#[derive(Debug, Clone)]
pub struct Totals {
    /// Records that were taken in.
    pub exchanges: u64,
    /// Of those, the ones with a delay below zero. They are in no histogram.
    pub implausible: u64,
    /// Records of targets that there are not.
    pub unknown_target: u64,
    offsets: Histogram<u64>,
    delays: Histogram<u64>,
}

/// How values are spread, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of them are at most this.
    pub p50: u64,
    /// 99 in 100.
    pub p99: u64,
    /// All of them.
    pub max: u64,
}

impl Totals {
    pub(crate) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "constants within what hdrhistogram allows")]
        let empty = || Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("bounds of a histogram");
        Self { exchanges: 0, implausible: 0, unknown_target: 0, offsets: empty(), delays: empty() }
    }

    pub(crate) fn take(&mut self, sample: &Sample) {
        self.exchanges += 1;
        if sample.delay.is_negative() {
            self.implausible += 1;
        } else {
            self.offsets.saturating_record(nanos(sample.offset.abs()));
            self.delays.saturating_record(nanos(sample.delay));
        }
    }

    /// How far off the targets' clocks were, whichever way; `None` without samples.
    #[must_use]
    pub fn offsets(&self) -> Option<Percentiles> {
        Percentiles::of(&self.offsets)
    }

    /// How long the ways took, both directions together; `None` without samples.
    #[must_use]
    pub fn delays(&self) -> Option<Percentiles> {
        Percentiles::of(&self.delays)
    }
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let quantile = |share| histogram.value_at_quantile(share);
        (!histogram.is_empty()).then(|| Self { p50: quantile(0.5), p99: quantile(0.99), max: histogram.max() })
    }
}

/// A length that is not below zero.
fn nanos(span: Span) -> u64 {
    u64::try_from(span.as_nanos_rounded()).unwrap_or(u64::MAX)
}
