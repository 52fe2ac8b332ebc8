//! How far a mixture of normal distributions reaches.

use crate::normal::{density, quantile, tail};

/// Nothing is further away than so many deviations.
const FARTHEST: f64 = 10.0;
/// How exactly a reach is found, relative.
const RESOLUTION: f64 = 1e-3;
/// Newton's method takes three or four steps; halving, which secures it, fewer than these.
const MAX_STEPS: usize = 100;

/// A part of a mixture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) probability: f64,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// How far from zero the mixture is at most, but for the share `missed` of all cases; `at_least` where it is not so far, which
/// is found at a glance.
pub(crate) fn reach(parts: &[Part], missed: f64, at_least: f64) -> f64 {
    let beyond =
        |distance: f64| parts.iter().map(|part| part.beyond(distance)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    if at_least > 0.0 && beyond(at_least).0 <= missed {
        return at_least;
    }
    let (mut low, mut high) = (0.0, parts.iter().map(Part::farthest).fold(0.0, f64::max));
    // One part alone already misses so much there; together they seldom reach much further.
    let mut distance = parts.iter().map(|part| part.reach(missed)).fold(0.0, f64::max);
    for _ in 0..MAX_STEPS {
        let (share, slope) = beyond(distance);
        if share > missed {
            low = distance;
        } else {
            high = distance;
        }
        if high <= low * (1.0 + RESOLUTION) {
            break;
        }
        // On the logarithm, which is all but a parabola; and a little further, to have the answer between two.
        let step = (share / missed).ln() * share / slope;
        let next = distance + step + (0.4 * RESOLUTION * distance).copysign(step);
        distance = if next > low && next < high { next } else { 0.5 * (low + high) };
    }
    high
}

impl Part {
    fn farthest(&self) -> f64 {
        self.mean.abs() + FARTHEST * self.deviation
    }

    /// Where it would have the share `missed` of all cases beyond it on its side of zero, about.
    fn reach(&self, missed: f64) -> f64 {
        quantile(missed / self.probability).map_or(0.0, |deviations| self.mean.abs() + deviations * self.deviation)
    }

    /// What it has beyond `distance`, on both sides, and how fast that falls with distance.
    fn beyond(&self, distance: f64) -> (f64, f64) {
        let side = |mean: f64| {
            let cut = (distance - mean) / self.deviation;
            if cut > FARTHEST { (0.0, 0.0) } else { (tail(cut), density(cut) / self.deviation) }
        };
        let (near, far) = (side(self.mean), side(-self.mean));
        (self.probability * (near.0 + far.0), self.probability * (near.1 + far.1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Part> {
        let log = |from: f64, to: f64| (from..to).prop_map(|exponent| 10_f64.powf(exponent));
        (log(-6.0, 0.0), log(-12.0, -3.0), any::<bool>(), log(-12.0, -3.0)).prop_map(
            |(probability, mean, ahead, deviation)| Part {
                probability,
                mean: if ahead { mean } else { -mean },
                deviation,
            },
        )
    }

    proptest! {
        /// Just so much is beyond it.
        #[test]
        fn what_is_missed_is_beyond(mut parts in proptest::collection::vec(part(), 1..15), missed in 1e-6..0.2) {
            let total: f64 = parts.iter().map(|part| part.probability).sum();
            parts.iter_mut().for_each(|part| part.probability /= total);
            let reach = reach(&parts, missed, 0.0);
            for at_least in [0.5 * reach, 1.5 * reach] {
                prop_assert_eq!(super::reach(&parts, missed, at_least), reach.max(at_least));
            }
            let beyond = |distance: f64| parts.iter().map(|part| part.beyond(distance).0).sum::<f64>();
            prop_assert!(beyond(reach * (1.0 - 2.0 * RESOLUTION)) >= missed, "{reach:e}");
            prop_assert!(beyond(reach * (1.0 + 2.0 * RESOLUTION)) <= missed, "{reach:e}");
        }

        /// Whatever it is given, it ends.
        #[test]
        fn nonsense_has_an_end(probability: f64, mean: f64, deviation: f64, missed: f64) {
            let _ = reach(&[Part { probability, mean, deviation }], missed, mean);
        }
    }
}
