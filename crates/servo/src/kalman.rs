//! A Kalman filter that learns how its counter wanders.

use arrayvec::ArrayVec;

use crate::belief::{Belief, Observation, Wander};
use crate::mixture::{Part, reach};

/// How many hypotheses of the wander are followed.
const HYPOTHESES: usize = 15;
/// The least wander that is considered, in s/s per square root of a second: a rubidium.
const LEAST_WANDER: f64 = 1e-13;
/// From one hypothesis to the next, wander grows by the square root of ten.
const LADDER: f64 = 3.162_277_660_168_379_5;
/// How probable it is, at each observation, that the wander has become that of the next rung, either way.
const RESTLESSNESS: f64 = 2e-3;
/// How probable it is that it has become any other.
const LEAP: f64 = 1e-5;
/// Drift noise for each unit of random walk, per second.
const DRIFT_SHARE: f64 = 1e-4;
/// What is less probable than this is not told.
const LIKELY: f64 = 1e-3;
/// A hypothesis with less than this part of the probability that is asked for has no say.
const NEGLIGIBLE: f64 = 1e-2;
/// How long a drift lasts, in seconds.
const DRIFT_MEMORY: f64 = 1e5;

/// One Kalman filter for each of a ladder of wanders, mixed by how well each foresees the observations (interacting multiple
/// models: Blom and Bar-Shalom 1988). So the wander is learned, with all that its uncertainty means for the estimate; and a
/// counter that begins to wander is followed at once.
#[derive(Debug, Clone)]
pub(crate) struct Kalman {
    hypotheses: [Hypothesis; HYPOTHESES],
    white: f64,
}

#[derive(Debug, Clone, Copy)]
struct Hypothesis {
    wander: Wander,
    probability: f64,
    belief: Belief,
}

impl Kalman {
    /// Begins with one belief; `wander` is what was learned before. `white` is the white frequency noise for each unit of
    /// random walk, in seconds.
    pub(crate) fn new(belief: Belief, wander: Option<f64>, white: f64) -> Self {
        let walk = |rungs: usize| LEAST_WANDER * LADDER.powi(i32::try_from(rungs).unwrap_or(0));
        let learned = wander.map(|learned| learned.clamp(walk(0), walk(HYPOTHESES - 1)));
        let hypotheses = core::array::from_fn(|i| {
            // Half as probable for each rung away from what was learned.
            let rungs = learned.map_or(0.0, |learned| ((learned / walk(i)).ln() / LADDER.ln()).abs());
            Hypothesis { wander: rung(walk(i), white), probability: (-rungs).exp2(), belief }
        });
        let mut kalman = Self { hypotheses, white };
        kalman.normalise();
        kalman
    }

    /// Lets `dt` seconds pass.
    pub(crate) fn pass(&mut self, dt: f64) {
        for hypothesis in &mut self.hypotheses {
            hypothesis.belief = hypothesis.belief.later(dt, &hypothesis.wander);
        }
    }

    /// Takes an observation of now into account.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        self.interact();
        let mut evidence = [0.0; HYPOTHESES];
        for (hypothesis, evidence) in self.hypotheses.iter_mut().zip(&mut evidence) {
            *evidence = hypothesis.belief.observe(observation);
        }
        let most = evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (hypothesis, evidence) in self.hypotheses.iter_mut().zip(evidence) {
            hypothesis.probability *= (evidence - most).exp();
        }
        self.normalise();
    }

    /// What is believed now, by the hypotheses that are likely.
    pub(crate) fn belief(&self) -> Belief {
        let total = self.likely().map(|hypothesis| hypothesis.probability).sum::<f64>();
        Belief::mixture(self.likely().map(|hypothesis| (hypothesis.probability / total, &hypothesis.belief)))
    }

    /// How far the phase may be from `phase` in `dt` seconds, or `at_least`, but for the share `missed` of all cases, where each
    /// deviation is `widened` times what it is told to be. An unlikely hypothesis adds little to the variance of all, but all there is to
    /// their tails.
    pub(crate) fn spread(&self, dt: f64, phase: f64, at_least: f64, widened: f64, missed: f64) -> f64 {
        // What is less probable than this could not change the answer.
        let heard = self.hypotheses.iter().filter(|hypothesis| hypothesis.probability > NEGLIGIBLE * missed);
        let parts: ArrayVec<Part, HYPOTHESES> = heard
            .map(|hypothesis| {
                let (mean, variance) = hypothesis.belief.phase_later(dt, &hypothesis.wander);
                let deviation = (widened * variance.max(0.0).sqrt()).max(f64::MIN_POSITIVE);
                Part { probability: hypothesis.probability, mean: mean - phase, deviation }
            })
            .collect();
        reach(&parts, missed, at_least)
    }

    /// The wander that explains the observations: the root of the mean square of the likely hypotheses.
    pub(crate) fn wander(&self) -> Wander {
        let total = self.likely().map(|hypothesis| hypothesis.probability).sum::<f64>();
        let square: f64 = self.likely().map(|h| h.probability * h.wander.frequency.powi(2)).sum();
        rung((square / total).sqrt(), self.white)
    }

    /// What is less likely has no say in what is told: a wander of a million times as much that is held for as good as
    /// impossible would still make most of what may happen in some hours.
    fn likely(&self) -> impl Iterator<Item = &Hypothesis> + Clone {
        self.hypotheses.iter().filter(|hypothesis| hypothesis.probability >= LIKELY)
    }

    /// Adds a deviation to what is believed of phase (0), frequency (1) or drift (2).
    pub(crate) fn disturb(&mut self, which: usize, deviation: f64) {
        for hypothesis in &mut self.hypotheses {
            hypothesis.belief.disturb(which, deviation);
        }
    }

    /// The phase, and all that is believed of it, is `by` more: what it is told by has moved.
    pub(crate) fn shift(&mut self, by: f64) {
        for hypothesis in &mut self.hypotheses {
            hypothesis.belief.mean[0] += by;
        }
    }

    /// The phase is known, within a deviation, whatever was believed of it; frequency and drift are as before.
    pub(crate) fn place(&mut self, phase: f64, deviation: f64) {
        for Hypothesis { belief, .. } in &mut self.hypotheses {
            belief.mean[0] = phase;
            belief.covariance = belief.without_phase();
            belief.disturb(0, deviation);
        }
    }

    /// Lets a little of each hypothesis become another: each goes on from what those believe that may have become it.
    fn interact(&mut self) {
        let before = self.hypotheses;
        let all = Belief::mixture(before.iter().map(|hypothesis| (hypothesis.probability, &hypothesis.belief)));
        let all = (LEAP / HYPOTHESES as f64, all);
        for (i, hypothesis) in self.hypotheses.iter_mut().enumerate() {
            let other = |j: usize, share: f64| before.get(j).map(|of| (share * of.probability, of.belief));
            let below = i.checked_sub(1).and_then(|below| other(below, RESTLESSNESS));
            let parts = [other(i, 1.0 - 2.0 * RESTLESSNESS - LEAP), below, other(i + 1, RESTLESSNESS), Some(all)];
            let parts = parts.iter().flatten();
            let probability: f64 = parts.clone().map(|(share, _)| share).sum();
            hypothesis.belief = Belief::mixture(parts.map(|(share, belief)| (share / probability, belief)));
            hypothesis.probability = probability;
        }
    }

    fn normalise(&mut self) {
        let total: f64 = self.hypotheses.iter().map(|h| h.probability).sum();
        for hypothesis in &mut self.hypotheses {
            hypothesis.probability /= total;
        }
    }
}

fn rung(walk: f64, white: f64) -> Wander {
    Wander { phase: walk * white, frequency: walk, drift: walk * DRIFT_SHARE, forgetting: 1.0 / DRIFT_MEMORY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_has_the_tails_of_what_is_unlikely() {
        let mut kalman = Kalman::new(Belief::new([0.0; 3], [1e-6, 0.0, 0.0]), None, 0.0);
        let alike = kalman.spread(0.0, 0.0, 0.0, 1.0, 1e-4);
        assert!((alike / 3.89e-6 - 1.0).abs() < 5e-3, "{alike:e}");
        // What was published and what is believed are apart: there is one tail alone.
        let apart = kalman.spread(0.0, 1e-3, 0.0, 1.0, 1e-4);
        assert!((apart / 1.003_72e-3 - 1.0).abs() < 5e-3, "{apart:e}");
        for (i, hypothesis) in kalman.hypotheses.iter_mut().enumerate() {
            hypothesis.probability = [0.99, 0.01].get(i).copied().unwrap_or(0.0);
        }
        kalman.hypotheses[1].belief = Belief::new([0.0; 3], [10e-6, 0.0, 0.0]);
        // One in a hundred of those that are one in a hundred.
        let unlikely = kalman.spread(0.0, 0.0, 0.0, 1.0, 1e-4);
        assert!((unlikely / 25.76e-6 - 1.0).abs() < 5e-3, "{unlikely:e}");
        assert!(unlikely > 5.5 * kalman.belief().deviation(0));
    }
}
