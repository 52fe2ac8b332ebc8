//! The normal distribution, cut off on both sides.

use core::f64::consts::{SQRT_2, TAU};

/// Beyond so many deviations from the mean a cut says no more than where it is.
const FAR: f64 = 30.0;
/// Between cuts closer than this (in deviations) the density is flat, and differences of its integral lose digits.
const NARROW: f64 = 1e-2;

/// The logarithm of the density of a normal distribution at `distance` from its mean.
pub(crate) fn log_density(distance: f64, variance: f64) -> f64 {
    -0.5 * (distance * distance / variance + (TAU * variance).ln())
}

/// What is left of the standard normal distribution between two cuts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// The logarithm of the probability of being between the cuts.
    pub(crate) log_mass: f64,
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

impl Cut {
    /// What is left between `low` and `high`.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        if low + high < 0.0 {
            let mirrored = Self::between(-high, -low);
            return Self { mean: -mirrored.mean, ..mirrored };
        }
        // From here on the nearer cut, if the two are on one side, is `low`, and tails lose no digits.
        let width = high - low;
        if width < NARROW || low > FAR {
            return Self::flat(low, width);
        }
        let mass = tail(low) - tail(high);
        let (at_low, at_high) = (density(low), density(high));
        let mean = (at_low - at_high) / mass;
        // At a cut that is far away, the density is zero and the product with infinity is not a number.
        let edge = |cut: f64, at: f64| if at > 0.0 { cut * at } else { 0.0 };
        let variance = 1.0 - mean * mean - (edge(high, at_high) - edge(low, at_low)) / mass;
        Self { log_mass: mass.ln(), mean, variance: variance.clamp(f64::EPSILON, 1.0) }
    }

    /// Between `low` and `low + width` where the density falls too steeply, or is too flat, to be integrated by differences:
    /// an exponential of the slope at the near cut, or a box.
    fn flat(low: f64, width: f64) -> Self {
        let log_at_low = -0.5 * (low * low + TAU.ln());
        let steepness = low.max(0.0) * width;
        if steepness < 1.0 {
            let variance = width * width / 12.0;
            let middle = low + width / 2.0;
            // The slope of the density moves the mean of the box.
            let mean = middle - middle * variance;
            return Self { log_mass: log_at_low + width.max(f64::MIN_POSITIVE).ln(), mean, variance };
        }
        let mean = low + 1.0 / low;
        Self { log_mass: log_at_low - low.ln(), mean, variance: low.powi(-2) }
    }
}

/// The density of the standard normal distribution.
pub(crate) fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// The probability that a standard normal value is more than `x`.
pub(crate) fn tail(x: f64) -> f64 {
    0.5 * libm::erfc(x / SQRT_2)
}

/// What a standard normal value exceeds with this `probability`, within 0.0005; nothing where that is below its mean
/// (Abramowitz and Stegun, 26.2.23).
pub(crate) fn quantile(probability: f64) -> Option<f64> {
    let t = (-2.0 * probability.ln()).sqrt();
    let (above, below) =
        (2.515_517 + t * (0.802_853 + t * 0.010_328), 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    (probability > 0.0 && probability < 0.5).then(|| t - above / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments by brute force.
    fn summed(low: f64, high: f64) -> (f64, f64, f64) {
        let n = 200_000;
        let step = (high - low) / f64::from(n);
        let points = (0..n).map(|i| low + (f64::from(i) + 0.5) * step);
        let sum = |f: &dyn Fn(f64) -> f64| points.clone().map(|x| f(x) * density(x) * step).sum::<f64>();
        let mass = sum(&|_| 1.0);
        let mean = sum(&|x| x) / mass;
        (mass.ln(), mean, sum(&|x| (x - mean).powi(2)) / mass)
    }

    #[test]
    fn moments_are_those_of_the_integral() {
        for (low, high) in [
            (-1.0, 1.0),
            (-8.0, 0.3),
            (0.5, 9.0),
            (2.0, 2.02),
            (-3.005, -3.0),
            (5.0, 7.0),
            (-12.0, -10.0),
            (0.0, 0.005),
        ] {
            let cut = Cut::between(low, high);
            let (log_mass, mean, variance) = summed(low, high);
            assert!((cut.log_mass - log_mass).abs() < 2e-2, "{low} {high}: {} {log_mass}", cut.log_mass);
            assert!((cut.mean - mean).abs() < 1e-4, "{low} {high}: {} {mean}", cut.mean);
            assert!((cut.variance / variance - 1.0).abs() < 1e-2, "{low} {high}: {} {variance}", cut.variance);
        }
    }

    #[test]
    fn quantiles_are_where_the_tail_is() {
        for probability in [0.499, 0.1, 1e-2, 1e-4, 1e-8, 1e-12] {
            let found = quantile(probability).unwrap();
            assert!(tail(found - 5e-4) > probability && tail(found + 5e-4) < probability, "{probability} {found}");
        }
        assert_eq!([quantile(0.0), quantile(0.5), quantile(2.0), quantile(f64::NAN)], [None; 4]);
    }

    #[test]
    fn far_cuts_stay_finite_and_between() {
        for low in [29.9, 30.1, 100.0, 1e6, 1e100] {
            for width in [1e-12, 1e-3, 1.0, 1e9] {
                let cut = Cut::between(low, low + width);
                assert!(cut.mean >= low && cut.mean <= low + width, "{low} {width} {}", cut.mean);
                assert!(cut.variance >= 0.0 && cut.variance <= 1.0 && cut.log_mass < 0.0);
                let mirrored = Cut::between(-low - width, -low);
                assert!((mirrored.mean + cut.mean).abs() < 1e-12 * low);
            }
        }
    }
}
