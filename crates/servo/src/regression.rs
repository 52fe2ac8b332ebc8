//! A straight line through as many observations as lie on one.

use std::collections::VecDeque;

use crate::belief::{Belief, Observation, Wander};

/// The most observations that one line is drawn through.
const MAX_POINTS: usize = 64;
/// The fewest.
const MIN_POINTS: usize = 4;
/// Fewer runs of residuals with one sign than expected, by so many deviations, are no accident (Wald and Wolfowitz 1940).
const TOO_FEW_RUNS: f64 = 1.65;
/// A third of the observations may be so many of its deviations away from the line.
const BEND: f64 = 1.8;
/// No line is steeper or known worse than this, in s/s.
const STEEPEST: f64 = 1e-3;

/// Weighted linear regression. Where the residuals of the line have too few runs, the counter did not run on a line, and the
/// oldest observations are left out.
#[derive(Debug, Clone)]
pub(crate) struct Regression {
    points: VecDeque<Point>,
    belief: Belief,
    wander: f64,
}

/// An observation, `age` seconds ago.
#[derive(Debug, Clone, Copy)]
struct Point {
    age: f64,
    phase: f64,
    weight: f64,
}

impl Regression {
    pub(crate) fn new(belief: Belief) -> Self {
        Self { points: VecDeque::with_capacity(MAX_POINTS), belief, wander: 0.0 }
    }

    pub(crate) fn pass(&mut self, dt: f64) {
        for point in &mut self.points {
            point.age += dt;
        }
        self.belief = self.belief.later(dt, &self.wander());
    }

    pub(crate) fn observe(&mut self, observation: &Observation) {
        if self.points.len() == MAX_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point { age: 0.0, phase: observation.phase, weight: 1.0 / observation.own_variance() });
        if self.points.len() < MIN_POINTS {
            self.belief.observe(&Observation { bracket: None, ..*observation });
            return;
        }
        while let Some(line) = Line::through(&self.points) {
            if self.points.len() > MIN_POINTS && (self.has_few_runs(&line) || self.bends(&line)) {
                self.points.drain(..self.points.len().div_ceil(8));
                continue;
            }
            let oldest = self.points.front().map_or(1.0, |point| point.age).max(f64::MIN_POSITIVE);
            self.belief = line.belief();
            // What the line does not know of the frequency is what it may have changed by within the observations.
            self.wander = (line.slope_variance / oldest).sqrt().min(STEEPEST);
            return;
        }
    }

    pub(crate) fn belief(&self) -> Belief {
        self.belief
    }

    pub(crate) fn wander(&self) -> Wander {
        Wander { phase: 0.0, frequency: self.wander, drift: 0.0, forgetting: 0.0 }
    }

    /// Whether a third of the observations, the oldest, the middle or the newest, lies beside the line. The test of runs counts
    /// signs alone, and does not see what the few good ones among many bad ones say.
    fn bends(&self, line: &Line) -> bool {
        let third = self.points.len().div_ceil(3);
        (0..3).any(|part| {
            let points = self.points.iter().skip(part * third).take(third);
            let weight: f64 = points.clone().map(|point| point.weight).sum();
            let off: f64 = points.map(|point| point.weight * line.residual(point)).sum();
            off * off > BEND * BEND * weight
        })
    }

    fn has_few_runs(&self, line: &Line) -> bool {
        let signs = || self.points.iter().map(|point| line.residual(point) > 0.0);
        let n = self.points.len() as f64;
        let above = signs().filter(|above| *above).count() as f64;
        let runs = 1.0 + signs().zip(signs().skip(1)).filter(|(a, b)| a != b).count() as f64;
        let expected = 2.0 * above * (n - above) / n + 1.0;
        let variance = ((expected - 1.0) * (expected - 2.0) / (n - 1.0)).max(0.0);
        runs < expected - TOO_FEW_RUNS * variance.sqrt()
    }
}

/// A least-squares line, at age zero.
struct Line {
    phase: f64,
    slope: f64,
    phase_variance: f64,
    slope_variance: f64,
    covariance: f64,
}

impl Line {
    /// `None` where all observations are of one time.
    fn through(points: &VecDeque<Point>) -> Option<Self> {
        let sum = |f: &dyn Fn(&Point) -> f64| points.iter().map(|p| p.weight * f(p)).sum::<f64>();
        let total = sum(&|_| 1.0);
        let mean_age = sum(&|p| p.age) / total;
        let mean_phase = sum(&|p| p.phase) / total;
        let spread = sum(&|p| (p.age - mean_age).powi(2));
        if !(spread > 0.0 && spread.is_finite()) {
            return None;
        }
        let slope = -sum(&|p| (p.age - mean_age) * (p.phase - mean_phase)) / spread;
        let phase = mean_phase + slope * mean_age;
        let mut line = Self { phase, slope, phase_variance: 0.0, slope_variance: 0.0, covariance: 0.0 };
        // Where the residuals are larger than the variances allow, those are believed too small; and a bend that goes
        // unnoticed is as large as `BEND` allows.
        let excess = sum(&|p| line.residual(p).powi(2)) / (points.len() as f64 - 2.0).max(1.0);
        let excess = excess.max(BEND * BEND);
        line.phase_variance = excess * (1.0 / total + mean_age * mean_age / spread);
        line.slope_variance = excess / spread;
        line.covariance = excess * mean_age / spread;
        Some(line)
    }

    fn residual(&self, point: &Point) -> f64 {
        point.phase - self.phase + self.slope * point.age
    }

    fn belief(&self) -> Belief {
        let slope_deviation = self.slope_variance.sqrt().min(STEEPEST);
        let mut belief = Belief::new([self.phase, self.slope, 0.0], [self.phase_variance.sqrt(), slope_deviation, 0.0]);
        belief.covariance[0][1] = self.covariance;
        belief.covariance[1][0] = self.covariance;
        belief
    }
}
