//! What is believed of the counter: phase, frequency and drift, with their covariances.

use core::array::from_fn;

use crate::normal::{Cut, log_density};

/// How the counter wanders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wander {
    /// The random walk of the phase (white frequency noise), in s per square root of a second.
    pub(crate) phase: f64,
    /// The random walk of the frequency, in s/s per square root of a second.
    pub(crate) frequency: f64,
    /// The random walk of the drift, in s/s² per square root of a second.
    pub(crate) drift: f64,
    /// How fast the drift is forgotten, per second.
    pub(crate) forgetting: f64,
}

/// Three by three, of phase, frequency and drift.
type Matrix = [[f64; 3]; 3];

/// A normal distribution of phase (s), frequency (s/s) and drift (s/s²) of the truth against the counter's own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Belief {
    pub(crate) mean: [f64; 3],
    pub(crate) covariance: Matrix,
}

/// What a measurement says of the phase, in seconds against the counter's own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    pub(crate) phase: f64,
    pub(crate) variance: f64,
    /// The box that the truth is in, where the path's queues tell.
    pub(crate) bracket: Option<Bracket>,
}

/// Around an observation's phase, where the truth is as likely anywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) half_width: f64,
    /// The deviation with which its edges are known.
    pub(crate) edge: f64,
    /// How probable it is that there is such a box at all.
    pub(crate) credibility: f64,
}

/// A phase after an observation.
#[derive(Debug, Clone, Copy)]
struct Posterior {
    log_evidence: f64,
    mean: f64,
    variance: f64,
}

impl Wander {
    /// What the three random walks add to the covariances in `dt` seconds: their integrals.
    fn noise(&self, dt: f64) -> Matrix {
        let [walk, drift] = [self.frequency, self.drift].map(|deviation| deviation * deviation * dt);
        let square = dt * dt;
        let phase = self.phase_noise(dt);
        let phase_frequency = dt * (walk / 2.0 + square * drift / 8.0);
        let phase_drift = square * drift / 6.0;
        let frequency = walk + square * drift / 3.0;
        let frequency_drift = dt * drift / 2.0;
        [
            [phase, phase_frequency, phase_drift],
            [phase_frequency, frequency, frequency_drift],
            [phase_drift, frequency_drift, drift],
        ]
    }

    /// What they add to the variance of the phase.
    fn phase_noise(&self, dt: f64) -> f64 {
        let [white, walk, drift] = [self.phase, self.frequency, self.drift].map(|deviation| deviation * deviation * dt);
        let square = dt * dt;
        white + square * (walk / 3.0 + square * drift / 20.0)
    }
}

impl Belief {
    /// Nothing is known of the three together, but each has a deviation.
    pub(crate) fn new(mean: [f64; 3], deviation: [f64; 3]) -> Self {
        let mut covariance = [[0.0; 3]; 3];
        for (i, deviation) in deviation.iter().enumerate() {
            covariance[i][i] = deviation * deviation;
        }
        Self { mean, covariance }
    }

    pub(crate) fn phase_variance(&self) -> f64 {
        self.covariance[0][0]
    }

    /// The standard deviation of phase (0), frequency (1) or drift (2).
    pub(crate) fn deviation(&self, which: usize) -> f64 {
        self.covariance.get(which).and_then(|row| row.get(which)).map_or(0.0, |variance| variance.max(0.0).sqrt())
    }

    /// Adds a deviation to what is believed of phase (0), frequency (1) or drift (2).
    pub(crate) fn disturb(&mut self, which: usize, deviation: f64) {
        if let Some(variance) = self.covariance.get_mut(which).and_then(|row| row.get_mut(which)) {
            *variance += deviation * deviation;
        }
    }

    /// Whether an observation is within so many `deviations` of what may be.
    pub(crate) fn allows(&self, observation: &Observation, deviations: f64) -> bool {
        let off = (observation.phase - self.mean[0]).abs();
        let variance = self.phase_variance();
        let by_variance = deviations * (variance + observation.variance).sqrt();
        let by_bracket =
            observation.bracket.map_or(0.0, |b| b.half_width + deviations * (variance + b.edge * b.edge).sqrt());
        off <= by_variance.max(by_bracket)
    }

    /// The covariances if the phase were known.
    pub(crate) fn without_phase(&self) -> Matrix {
        let [_, [_, b, c], [_, d, e]] = self.covariance;
        [[0.0; 3], [0.0, b, c], [0.0, d, e]]
    }

    /// The belief `dt` seconds later (at least zero).
    pub(crate) fn later(&self, dt: f64, wander: &Wander) -> Self {
        let kept = (-wander.forgetting * dt).exp();
        let transition = [[1.0, dt, 0.5 * dt * dt], [0.0, 1.0, dt], [0.0, 0.0, kept]];
        let transposed = from_fn(|i| from_fn(|j| transition[j][i]));
        let moved = product(&product(&transition, &self.covariance), &transposed);
        let noise = wander.noise(dt);
        Self {
            mean: from_fn(|i| (0..3).map(|k| transition[i][k] * self.mean[k]).sum()),
            covariance: from_fn(|i| from_fn(|j| 0.5 * (moved[i][j] + moved[j][i]) + noise[i][j])),
        }
    }

    /// The mean and the variance of the phase alone, `dt` seconds later (at least zero).
    pub(crate) fn phase_later(&self, dt: f64, wander: &Wander) -> (f64, f64) {
        let row = [1.0, dt, 0.5 * dt * dt];
        let dot = |of: &[f64; 3]| row[0] * of[0] + row[1] * of[1] + row[2] * of[2];
        let moved = dot(&self.covariance.each_ref().map(dot));
        (dot(&self.mean), moved + wander.phase_noise(dt))
    }

    /// Takes an observation into account, and says the logarithm of how probable it was.
    pub(crate) fn observe(&mut self, observation: &Observation) -> f64 {
        let prior = self.phase_variance();
        let posterior = observation.posterior(self.mean[0], prior);
        let gain = self.covariance.map(|row| row[0] / prior);
        let moved = posterior.mean - self.mean[0];
        let learned = prior - posterior.variance;
        self.mean = from_fn(|i| self.mean[i] + gain[i] * moved);
        self.covariance = from_fn(|i| {
            from_fn(|j| match (i, j) {
                // Not by a difference: a good measurement after a bad one would lose all digits.
                (0, _) => gain[j] * posterior.variance,
                (_, 0) => gain[i] * posterior.variance,
                _ if i == j => (self.covariance[i][j] - gain[i] * gain[j] * learned).max(0.0),
                _ => self.covariance[i][j] - gain[i] * gain[j] * learned,
            })
        });
        posterior.log_evidence
    }

    /// The moments of a mixture of beliefs.
    pub(crate) fn mixture<'a>(parts: impl Iterator<Item = (f64, &'a Self)> + Clone) -> Self {
        let mut mean = [0.0; 3];
        for (weight, part) in parts.clone() {
            for (mean, of_part) in mean.iter_mut().zip(part.mean) {
                *mean += weight * of_part;
            }
        }
        let mut covariance = [[0.0; 3]; 3];
        for (weight, part) in parts {
            let off: [f64; 3] = from_fn(|i| part.mean[i] - mean[i]);
            for i in 0..3 {
                for j in 0..3 {
                    covariance[i][j] += weight * (part.covariance[i][j] + off[i] * off[j]);
                }
            }
        }
        Self { mean, covariance }
    }
}

impl Observation {
    /// The variance that the error has by itself. `variance` was learned from residuals against the published time and, where
    /// that is off, is too large; who follows a line by it would never notice.
    pub(crate) fn own_variance(&self) -> f64 {
        self.bracket.map_or(self.variance, |bracket| {
            let boxed = bracket.half_width * bracket.half_width / 3.0 + bracket.edge * bracket.edge;
            bracket.credibility * boxed + (1.0 - bracket.credibility) * self.variance
        })
    }

    /// The phase that was believed to be normal, after this.
    fn posterior(&self, mean: f64, variance: f64) -> Posterior {
        let gaussian = self.by_variance(mean, variance);
        let Some(bracket) = self.bracket else { return gaussian };
        let bracketed = self.by_bracket(&bracket, mean, variance);
        Posterior::mixture(bracketed, gaussian, bracket.credibility)
    }

    fn by_variance(&self, mean: f64, variance: f64) -> Posterior {
        let total = variance + self.variance;
        let innovation = self.phase - mean;
        Posterior {
            log_evidence: log_density(innovation, total),
            mean: mean + variance / total * innovation,
            variance: variance * self.variance / total,
        }
    }

    /// The product of a normal distribution and a box with soft edges is, but for its tails, the one that is left of a normal
    /// distribution between two cuts: softness adds to the variance before the cut (Rasmussen and Williams 2006, §3.9, has the
    /// same with one edge).
    fn by_bracket(&self, bracket: &Bracket, mean: f64, variance: f64) -> Posterior {
        let total = variance + bracket.edge.powi(2);
        let deviation = total.sqrt();
        let innovation = self.phase - mean;
        let cut =
            Cut::between((innovation - bracket.half_width) / deviation, (innovation + bracket.half_width) / deviation);
        Posterior {
            log_evidence: cut.log_mass - (2.0 * bracket.half_width).max(f64::MIN_POSITIVE).ln(),
            mean: mean + variance / deviation * cut.mean,
            // Not by a difference: a narrow bracket would lose all digits.
            variance: variance * (bracket.edge.powi(2) + variance * cut.variance) / total,
        }
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    from_fn(|i| from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

impl Posterior {
    /// Two explanations of one observation, the first with the prior probability `credibility`.
    fn mixture(first: Self, second: Self, credibility: f64) -> Self {
        let a = first.log_evidence + credibility.ln();
        let b = second.log_evidence + (1.0 - credibility).ln();
        let most = a.max(b);
        let (a, b) = ((a - most).exp(), (b - most).exp());
        let share = a / (a + b);
        let apart = first.mean - second.mean;
        Self {
            log_evidence: most + (a + b).ln(),
            mean: second.mean + share * apart,
            variance: share * first.variance + (1.0 - share) * second.variance + share * (1.0 - share) * apart * apart,
        }
    }
}
