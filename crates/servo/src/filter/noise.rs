//! How far readings are off, and what that has to do with their delay.

use crate::normal::{Cut, log_density};

/// What two queues with the same mean give: with an excess of x, an error that is uniform within x/2.
const UNIFORM: f64 = 1.0 / 12.0;
/// So many readings are held to have shown [`UNIFORM`] before the first.
const PRIOR: f64 = 32.0;
/// Noise is learned from the last so many readings.
const MEMORY: f64 = 256.0;
/// The trend follows the last so many.
const TREND_MEMORY: f64 = 32.0;
/// One reading speaks for or against a shape by at most so many nats.
const MOST_SAID: f64 = 2.0;
/// What is held of the shape before the first reading, in nats.
const TRUST: f64 = 3.0;
/// No more is ever held for or against a shape, so that it is not too late to learn: a thousand to one, in nats.
const SURE: f64 = 6.9;
/// The square of a residual counts as at most so many times its variance.
const FAR_OFF: f64 = 25.0;
/// The least variance that residuals are weighted with, in squared units.
const LEAST_EXPECTED: f64 = 1e-2;
/// The least unit, in seconds.
const FINEST_S: f64 = 1e-9;

/// Learns the variance of a reading as `floor + factor * excess²`, and whether the error has the shape of queues.
///
/// The squares of residuals are fitted to the squares of the excess, each weighted by what its own variance leaves it to tell.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    /// Weighted sums, with x the square of the excess and y that of the residual, in units of the usual excess.
    weights: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    /// The unit, in seconds.
    unit: f64,
    /// For queues, against a normal distribution, in nats.
    evidence: f64,
}

impl Noise {
    /// Before the first residual; `usual` is the mean excess.
    pub(super) fn new(usual: f64) -> Self {
        let unit = usual.max(FINEST_S);
        let mut noise = Self { weights: 0.0, x: 0.0, y: 0.0, xx: 0.0, xy: 0.0, unit, evidence: TRUST };
        for x in [0.25, 0.5, 1.0, 2.0] {
            noise.add(x, UNIFORM * x, UNIFORM * x, PRIOR / 4.0);
        }
        noise
    }

    /// Takes a residual into account, of a reading whose delay was `excess` above the floor; `edge` is the deviation with
    /// which the half of that is known. All in seconds.
    pub(super) fn learn(&mut self, residual: f64, excess: f64, edge: f64) {
        let variance = self.variance(excess, edge);
        let gaussian = log_density(residual, variance);
        let (floor, _) = self.line();
        let softness = edge.hypot(self.unit * floor.sqrt());
        let half_width = (excess / 2.0).max(1e-3 * softness);
        let cut = Cut::between((residual - half_width) / softness, (residual + half_width) / softness);
        let queues = cut.log_mass - (2.0 * half_width).ln();
        let said = (queues - gaussian).clamp(-MOST_SAID, MOST_SAID) - self.evidence / MEMORY;
        self.evidence = (self.evidence + said).clamp(-SURE, SURE);

        let square = |value: f64| (value / self.unit).powi(2);
        // One reading that is far off must not decide.
        let (x, y, expected) = (square(excess), square(residual), variance / self.unit.powi(2));
        for sum in [&mut self.weights, &mut self.x, &mut self.y, &mut self.xx, &mut self.xy] {
            *sum *= 1.0 - 1.0 / MEMORY;
        }
        self.add(x, y.min(FAR_OFF * expected), expected, 1.0);
    }

    /// Of a reading, in s².
    pub(super) fn variance(&self, excess: f64, edge: f64) -> f64 {
        let (floor, factor) = self.line();
        factor * excess * excess + floor * self.unit * self.unit + edge * edge
    }

    /// How probable it is that the error is made by queues.
    pub(super) fn credibility(&self) -> f64 {
        1.0 / (1.0 + (-self.evidence).exp())
    }

    fn add(&mut self, x: f64, y: f64, expected: f64, count: f64) {
        let weight = count / (expected + LEAST_EXPECTED).powi(2);
        self.weights += weight;
        self.x += weight * x;
        self.y += weight * y;
        self.xx += weight * x * x;
        self.xy += weight * x * y;
    }

    /// The floor, in squared units, and the factor: both at least zero.
    fn line(&self) -> (f64, f64) {
        let determinant = self.weights * self.xx - self.x * self.x;
        let factor = (self.weights * self.xy - self.x * self.y) / determinant;
        let factor = if factor.is_finite() { factor.clamp(0.0, 1.0) } else { UNIFORM };
        (((self.y - factor * self.x) / self.weights).max(0.0), factor)
    }
}

/// The offsets of a source against the model, smoothed: mean, slope and variance, with exponential forgetting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trend {
    weight: f64,
    mean_age: f64,
    mean: f64,
    age_variance: f64,
    covariance: f64,
    variance: f64,
}

impl Trend {
    /// Takes an offset into account, `dt` seconds after the last.
    pub(super) fn learn(&mut self, dt: f64, offset: f64) {
        self.weight = (self.weight + 1.0).min(TREND_MEMORY);
        let share = 1.0 / self.weight;
        self.mean_age += dt;
        // Seen from the mean: the new offset is `mean_age` later, and `off` away.
        let (age, off) = (self.mean_age, offset - self.mean);
        let kept = 1.0 - share;
        self.age_variance = kept * (self.age_variance + share * age * age);
        self.covariance = kept * (self.covariance + share * age * off);
        self.variance = kept * (self.variance + share * off * off);
        self.mean += share * off;
        self.mean_age *= kept;
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    pub(super) fn deviation(&self) -> f64 {
        self.variance.max(0.0).sqrt()
    }

    /// In seconds per second.
    pub(super) fn slope(&self) -> f64 {
        if self.age_variance > 0.0 { self.covariance / self.age_variance } else { 0.0 }
    }

    pub(super) fn is_begun(&self) -> bool {
        self.weight > 0.0
    }

    pub(super) fn is_settled(&self) -> bool {
        self.weight >= 8.0
    }
}
