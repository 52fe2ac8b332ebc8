//! What a source says of the local counter, and how well.

use sidereal_time::{ClockModel, Reading, Span, Tai};

use crate::belief::{Bracket, Observation};
use crate::servo::sane;

/// The least deviation that is believed of a measurement, in seconds.
pub(crate) const FINEST_S: f64 = 1e-10;
/// No variance is larger than this, in s²: a thousand years.
pub(crate) const LARGEST_VARIANCE: f64 = 1e21;
/// The least weight a measurement can have.
const MIN_WEIGHT: f64 = 1e-6;
/// What is off by more than this, in seconds, is off by this.
const LARGEST_S: f64 = 1e9;

/// A reading of the truth beside the local counter, with its error budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Where the counter stood, and what it was then.
    pub reading: Reading<Tai>,
    /// The variance of `reading.at()`, in s².
    pub variance: f64,
    /// Hard: how far `reading.at()` may be from the truth, the source's own root distance included.
    pub bound: Span,
    /// What is known of the shape of the error beyond its variance; `None`: taken as Gaussian.
    pub queueing: Option<Queueing>,
    /// Who says so: measurements of one source share a number. Where several sources are followed, one alone cannot talk
    /// a [`crate::Tracker`] out of what it believes.
    pub witness: u16,
}

/// An error made by two queues, one on the way to the source and one on the way back.
///
/// What each queue added to its way is never negative and, above the floor of the round trip, both together are
/// `excess`. So the truth is within `excess / 2` of the reading, and of two exponential queues with
/// the same mean, anywhere within alike. A variance alone would waste the edges, which are what a wide interval tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queueing {
    /// How much longer the round trip took than its floor, in seconds.
    pub excess: f64,
    /// The deviation with which the two edges are known: noise of the stamps and of the floor, in seconds.
    pub edge: f64,
    /// How probable it is that the error is of this kind; if not, it is taken as Gaussian. Above 0 and below 1.
    pub credibility: f64,
}

impl Measurement {
    /// A measurement with Gaussian error.
    #[must_use]
    pub const fn new(reading: Reading<Tai>, variance: f64, bound: Span) -> Self {
        Self { reading, variance, bound, queueing: None, witness: 0 }
    }

    /// The measurement as one of several that share what a single one would say: `weight`, above 0 and at most 1 (others
    /// are taken as the nearest of these), divides the variance and widens the shape alike.
    #[must_use]
    pub fn weighted(self, weight: f64) -> Self {
        let weight = if weight.is_finite() { weight.clamp(MIN_WEIGHT, 1.0) } else { 1.0 };
        let widened = 1.0 / weight.sqrt();
        let queueing = self.queueing.map(|q| Queueing { excess: q.excess * widened, edge: q.edge * widened, ..q });
        Self { variance: self.variance / weight, queueing, ..self }
    }

    /// What it says of the phase against the counter's own time.
    pub(crate) fn observation(&self, own: &ClockModel, later_by: f64) -> Observation {
        let phase = (self.reading.at() - own.instant(self.reading.ticks())).as_secs_f64() + later_by;
        let variance = sane(self.variance, FINEST_S * FINEST_S, LARGEST_VARIANCE);
        let bracket = self.queueing.map(|queueing| {
            let edge = sane(queueing.edge, FINEST_S, LARGEST_S);
            // An edge wider than the bracket still is one.
            let half_width = sane(queueing.excess / 2.0, edge * 1e-3, LARGEST_S);
            Bracket { half_width, edge, credibility: sane(queueing.credibility, 1e-6, 1.0 - 1e-6) }
        });
        Observation { phase, variance, bracket }
    }
}
