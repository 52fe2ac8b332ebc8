//! Where the truth is for certain.

/// How many deviations of the frequency the counter may be off it, to be hard.
const CERTAIN: f64 = 10.0;
/// What is seen of unforeseen drift is expected again, times this.
const UNREST_MARGIN: f64 = 2.0;
/// Half of the unrest that was seen is forgotten in this many seconds.
const CALMING_S: f64 = 1_000.0;
/// How far a frequency may be off that nothing has confirmed, in s/s: a source that is itself slewed, as fast as is usual, shows
/// one that is not the counter's. What drifts faster than this is no drift, but has jumped.
const UNCONFIRMED: f64 = 5e-4;
/// Two bounds with time between them confirm the mean frequency; at times it may have been off by so many times as much.
const CONFIRMATION_MARGIN: f64 = 2.0;

/// The interval that the truth is in, in seconds of phase. Each measurement says that it is within its bound; between two the
/// interval moves with the frequency and grows by what that may be wrong; what holds is in all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct HardBound {
    low: f64,
    high: f64,
    /// Drift that was seen and not foreseen, decaying, in s/s.
    unrest: f64,
    /// Since the last measurement, in seconds.
    age: f64,
    /// How far the frequency may be off by what bounds have confirmed of it, in s/s.
    tolerance: f64,
    /// The bound of the measurement that later ones confirm the frequency with.
    anchor: f64,
    /// Since that measurement, in seconds.
    anchor_age: f64,
}

impl HardBound {
    pub(super) fn new(phase: f64, bound: f64) -> Self {
        Self {
            low: phase - bound,
            high: phase + bound,
            unrest: 0.0,
            age: 0.0,
            tolerance: UNCONFIRMED,
            anchor: bound,
            anchor_age: 0.0,
        }
    }

    /// `dt` seconds later: the truth has moved by `moved`, known within `deviation`.
    pub(super) fn later(&self, dt: f64, moved: f64, deviation: f64) -> Self {
        let grown = (CERTAIN * deviation).max(self.tolerance * dt) + self.unrest * dt;
        Self {
            low: self.low + moved - grown,
            high: self.high + moved + grown,
            unrest: self.unrest * (-dt * core::f64::consts::LN_2 / CALMING_S).exp(),
            age: self.age + dt,
            anchor_age: self.anchor_age + dt,
            ..*self
        }
    }

    /// The truth is also within `bound` of `phase`. Where that cannot be, the counter drifted more than was foreseen, or has
    /// jumped: the new interval is believed, and more drift is expected if it was one.
    pub(super) fn meet(&mut self, phase: f64, bound: f64) {
        let (low, high) = (phase - bound, phase + bound);
        let gap = (low - self.high).max(self.low - high);
        if gap > 0.0 {
            let seen = UNREST_MARGIN * gap / self.age.max(f64::MIN_POSITIVE);
            if seen <= UNCONFIRMED {
                self.unrest = self.unrest.max(seen);
            }
            (self.low, self.high, self.anchor, self.anchor_age) = (low, high, bound, 0.0);
        } else {
            (self.low, self.high) = (self.low.max(low), self.high.min(high));
            self.confirm(bound);
        }
        self.age = 0.0;
    }

    /// A measurement says that the truth is within `bound` of `phase`, and is not believed; but it may be right.
    pub(super) fn doubt(&mut self, phase: f64, bound: f64) {
        (self.low, self.high) = (self.low.min(phase - bound), self.high.max(phase + bound));
    }

    /// How far `phase` may be from the truth.
    pub(super) fn around(&self, phase: f64) -> f64 {
        (self.high - phase).max(phase - self.low).max(0.0)
    }

    /// The truth was within the bound of the anchor, and is within this one: between them the frequency was as it is believed,
    /// but for both.
    fn confirm(&mut self, bound: f64) {
        if self.anchor_age > 0.0 {
            let tolerance = CONFIRMATION_MARGIN * (self.anchor + bound) / self.anchor_age;
            self.tolerance = self.tolerance.min(tolerance);
        }
        // A better one is the anchor from now on.
        if bound < self.anchor / 2.0 {
            (self.anchor, self.anchor_age) = (bound, 0.0);
        }
    }
}
