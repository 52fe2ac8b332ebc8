//! How far readings of a clock are off.

use arrayvec::ArrayVec;

use crate::belief::{Bracket, Observation};
use crate::filter::floor::Floor;
use crate::measurement::FINEST_S;

/// So many windows are needed before the shortest tells anything.
const LEARNING: f64 = 4.0;
/// Windows longer than this count as this, in seconds.
const MAX_WINDOW_S: f64 = 10.0;
/// The first window is held for so many readings' worth of evidence.
const PRIOR: f64 = 2.0;
/// Noise is learned from the last so many readings.
const MEMORY: f64 = 128.0;
/// One reading that is far off counts as at most so many times the variance.
const FAR_OFF: f64 = 25.0;
/// Of three readings, the last two may be further apart than the first two by this factor: else they tell little.
const UNEVEN: f64 = 2.0;
/// How probable it is that the error of a reading is within its window.
const CREDIBLE: f64 = 0.99;

/// Learns how noisy readings are, and says what one is worth.
///
/// Of three readings in a row, the last is foreseen by the first two: over the fraction of a second that they span every
/// oscillator runs evenly, so what is off is the noise of the three. What a window is longer than the shortest adds an error
/// that may be anywhere within.
#[derive(Debug, Clone)]
pub(super) struct ReadNoise {
    floor: Floor,
    /// Of a reading with the shortest window, in s².
    variance: f64,
    evidence: f64,
    recent: ArrayVec<Seen, 2>,
}

/// A reading.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// In seconds.
    age: f64,
    phase: f64,
    /// The variance that its window adds, in s².
    spread: f64,
}

impl ReadNoise {
    /// After the first reading, within `window` seconds.
    pub(super) fn new(window: f64) -> Self {
        let window = sane(window);
        let variance = (window * window / 12.0).max(FINEST_S * FINEST_S);
        let mut recent = ArrayVec::new();
        recent.push(Seen { age: 0.0, phase: 0.0, spread: 0.0 });
        Self { floor: Floor::new(window), variance, evidence: PRIOR, recent }
    }

    pub(super) fn first_deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Of a reading with the shortest window, in seconds.
    pub(super) fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Lets `dt` seconds pass.
    pub(super) fn pass(&mut self, dt: f64) {
        for seen in &mut self.recent {
            seen.age += dt;
        }
    }

    /// What phases are told by has moved.
    pub(super) fn shift(&mut self, by: f64) {
        for seen in &mut self.recent {
            seen.phase += by;
        }
    }

    /// The readings before cannot be compared with those to come.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }

    /// Takes note of a reading of now, and says what it is worth.
    pub(super) fn learn(&mut self, phase: f64, window: f64) -> Observation {
        let window = sane(window);
        self.floor.learn(window);
        let known = self.floor.samples() >= LEARNING;
        let excess = if known { self.floor.excess(window) } else { window };
        let spread = excess * excess / 12.0;
        self.compare(phase, spread);
        let edge = self.variance.sqrt().hypot(self.floor.edge());
        let bracket =
            known.then(|| Bracket { half_width: (excess / 2.0).max(1e-3 * edge), edge, credibility: CREDIBLE });
        Observation { phase, variance: spread + edge * edge, bracket }
    }

    fn compare(&mut self, phase: f64, spread: f64) {
        if let [first, second] = self.recent[..] {
            let stretch = second.age / (first.age - second.age);
            if stretch.is_finite() && (0.0..=UNEVEN).contains(&stretch) {
                let off = phase - second.phase - stretch * (second.phase - first.phase);
                let [a, b] = [stretch * stretch, (1.0 + stretch).powi(2)];
                let share = 1.0 + a + b;
                let by_windows = spread + b * second.spread + a * first.spread;
                let seen = ((off * off - by_windows) / share).clamp(-self.variance, FAR_OFF * self.variance);
                // Long windows hide the noise of short ones.
                let weight = (self.variance * share / (self.variance * share + by_windows)).powi(2);
                self.evidence = (self.evidence + weight).min(MEMORY);
                self.variance += weight * (seen - self.variance) / self.evidence.max(2.0 * PRIOR);
                self.variance = self.variance.max(FINEST_S * FINEST_S);
            }
            self.recent.remove(0);
        }
        self.recent.push(Seen { age: 0.0, phase, spread });
    }
}

fn sane(window: f64) -> f64 {
    window.clamp(0.0, MAX_WINDOW_S)
}
