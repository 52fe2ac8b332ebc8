//! What happens to a reply between being handed over and the wire.

use sidereal_time::Ticks;

/// The way to the wire: a latency, then a queue that drains at the speed of the wire. Both are calibrated by TX stamps.
///
/// A reply leaves when it has come through ([`Self::latency`] after it was handed over) and all that is ahead of it has left.
/// When that will be follows from an anchor: a time at which the wire was at a known byte of all that was ever handed over,
/// because a stamp showed it there or because the queue was empty then. While the queue is never empty, a stamp thus tells
/// the time of all that follows, and two of them the true speed of the wire.
#[derive(Debug)]
pub(super) struct TxModel {
    /// Ticks.
    latency: f64,
    /// Ticks for a byte on the wire.
    per_byte: f64,
    /// How well both are known: variances, and the covariance between them.
    known: Known,
    /// The variance of what stamps differ by from what is modelled, in square ticks.
    noise: f64,
    samples: u32,
    /// A stamp further away than this is not believed, in ticks.
    near: f64,
    /// `latency` and `per_byte` (in 2^-32 ticks) as the packet path uses them.
    latency_ticks: u64,
    per_byte_scaled: u64,
    anchor: Anchor,
    /// Bytes handed over since ever.
    bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    latency: f64,
    both: f64,
    per_byte: f64,
}

/// The wire was, or will be, at byte `bytes` at `ticks`.
#[derive(Debug, Clone, Copy, Default)]
struct Anchor {
    ticks: Ticks,
    bytes: u64,
}

/// What a reply waits for last before it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Its own way to the wire.
    Way,
    /// What is ahead of it.
    Queue,
}

/// When the first reply of a burst leaves, by the model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    ticks: Ticks,
    bytes: u64,
    waits: Waits,
}

/// A reply by the model: when it leaves, and why then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Ticks,
    /// Which byte of all it begins with.
    byte: u64,
    waits: Waits,
    /// How many bytes are between it and what its time was told from.
    bytes: u64,
}

/// How much less a stamp is believed that is later than the model has it: what the model does not know (other queues, the
/// bus) makes replies late and never early.
const HESITATION: f64 = 4.0;
/// A stamp counts as if it were at most so many standard deviations away, once there were some.
const OUTLIER: f64 = 4.0;
const WARM: u32 = 16;
/// The part of the noise's variance that the latency may wander by from sample to sample.
const WANDERING: f64 = 1.0 / 1024.0;
/// How far a wire may be off its nominal speed (IEEE 802.3 has 1e-4), and how far that wanders from sample to sample.
const SPEED_ERROR: f64 = 2e-4;
const SPEED_WANDERING: f64 = 1e-8;
/// The slowest wire, in ticks for a byte.
const SLOWEST: f64 = 4096.0;

impl Default for TxModel {
    /// Everything leaves at once.
    fn default() -> Self {
        Self {
            latency: 0.0,
            per_byte: 0.0,
            known: Known::default(),
            noise: 1.0,
            samples: 0,
            near: 0.0,
            latency_ticks: 0,
            per_byte_scaled: 0,
            anchor: Anchor::default(),
            bytes: 0,
        }
    }
}

impl TxModel {
    /// Begins anew, with a wire of this speed (0: not known, and nothing waits until stamps have shown that it does) and a
    /// counter of `hertz`.
    pub(super) fn set_speed(&mut self, megabits: u32, hertz: f64) {
        let per_byte = if megabits > 0 { 8e-6 * hertz / f64::from(megabits) } else { 0.0 };
        // Without a speed, a gigabit a second is near enough to begin a search from.
        let doubt = if megabits > 0 { per_byte * SPEED_ERROR } else { 8e-9 * hertz };
        let near = hertz / 1000.0;
        *self = Self {
            per_byte,
            known: Known { latency: near * near, both: 0.0, per_byte: doubt * doubt },
            noise: (hertz * 1e-6) * (hertz * 1e-6),
            near,
            anchor: self.anchor,
            bytes: self.bytes,
            ..Self::default()
        };
        self.scale();
    }

    /// How long a reply takes that nothing is ahead of, in ticks.
    pub(super) const fn latency(&self) -> u64 {
        self.latency_ticks
    }

    /// A byte on the wire in 2^-48 s; `rate` is that of an NTP clock.
    #[inline]
    pub(super) fn ntp_per_byte(&self, rate: u64) -> u64 {
        ((u128::from(self.per_byte_scaled) * u128::from(rate)) >> 64) as u64
    }

    /// When what is handed over at `at` begins to leave, and whether it waits for what is ahead of it until then.
    #[inline]
    pub(super) fn start(&self, at: Ticks) -> (Ticks, bool) {
        let through = Ticks(at.0.wrapping_add(self.latency_ticks));
        let free = self.free_at(self.bytes);
        let is_queued = free.0.wrapping_sub(through.0).cast_signed() > 0;
        (if is_queued { free } else { through }, is_queued)
    }

    /// When a reply leaves that has `ahead` bytes between it and the first, which leaves at `first`.
    #[inline]
    pub(super) fn after(&self, first: Ticks, ahead: u64) -> Ticks {
        Ticks(first.0.wrapping_add(self.ticks_of(ahead)))
    }

    /// A burst of so many bytes was handed over at `at`; the NIC holds it until `held`, if that is told and not past.
    #[inline]
    pub(super) fn handed_over(&mut self, at: Ticks, held: Option<Ticks>, bytes: u64) -> Start {
        let (mut ticks, is_queued) = self.start(at);
        if let Some(held) = held
            && held.0.wrapping_sub(at.0).cast_signed() >= 0
        {
            ticks = held;
        }
        if !is_queued {
            self.anchor = Anchor { ticks, bytes: self.bytes };
        }
        let waits = if is_queued || held.is_some() { Waits::Queue } else { Waits::Way };
        let start = Start { ticks, bytes: self.bytes, waits };
        self.bytes = self.bytes.wrapping_add(bytes);
        start
    }

    /// Something of so many bytes was handed over as well.
    pub(super) const fn also(&mut self, bytes: u64) {
        self.bytes = self.bytes.wrapping_add(bytes);
    }

    /// The reply of a burst that has `ahead` bytes between it and the first.
    pub(super) fn place(&self, start: Start, ahead: u64) -> Place {
        let byte = start.bytes.wrapping_add(ahead);
        let bytes = match start.waits {
            Waits::Way => ahead,
            Waits::Queue => byte.wrapping_sub(self.anchor.bytes),
        };
        Place { at: self.after(start.ticks, ahead), byte, waits: start.waits, bytes }
    }

    /// A reply left `error` ticks after the model had it leave. Returns whether that is believed.
    pub(super) fn learn(&mut self, place: &Place, error: f64) -> bool {
        if error.is_nan() || error.abs() > self.near {
            return false;
        }
        let most = if self.samples < WARM { self.near } else { OUTLIER * self.noise.sqrt() };
        let error = error.clamp(-most, most);
        self.follow(place, error);
        self.noise = (self.noise + (error * error - self.noise) / 32.0).max(1.0);
        self.samples = self.samples.saturating_add(1);
        self.scale();
        self.see(place, error);
        true
    }

    /// One step of a Kalman filter of latency and speed.
    fn follow(&mut self, place: &Place, error: f64) {
        let Known { latency, both, per_byte } = self.known;
        let bytes = place.bytes as f64;
        // What was told from the wire itself says nothing of the latency.
        let way = if place.waits == Waits::Way { 1.0 } else { 0.0 };
        let noise = self.noise * if error > 0.0 { HESITATION } else { 1.0 };
        let (a, b) = (way * latency + bytes * both, way * both + bytes * per_byte);
        let total = way * a + bytes * b + noise;
        self.latency = (self.latency + a / total * error).clamp(0.0, self.near);
        self.per_byte = (self.per_byte + b / total * error).clamp(0.0, SLOWEST);
        let speed = SPEED_WANDERING * self.per_byte;
        self.known = Known {
            latency: latency - a * a / total + self.noise * WANDERING,
            both: both - a * b / total,
            per_byte: per_byte - b * b / total + speed * speed,
        };
    }

    /// The wire was seen at the byte that the reply begins with.
    fn see(&mut self, place: &Place, error: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "an error is less than a millisecond")]
        let seen = Anchor { ticks: Ticks(place.at.0.wrapping_add_signed(error as i64)), bytes: place.byte };
        let is_same_queue = place.byte.wrapping_sub(self.anchor.bytes).cast_signed() >= 0;
        let free = Ticks(seen.ticks.0.wrapping_add(self.ticks_of(self.bytes.wrapping_sub(seen.bytes))));
        let is_later = free.0.wrapping_sub(self.free_at(self.bytes).0).cast_signed() > 0;
        if is_same_queue || is_later {
            self.anchor = seen;
        }
    }

    #[inline]
    fn free_at(&self, bytes: u64) -> Ticks {
        Ticks(self.anchor.ticks.0.wrapping_add(self.ticks_of(bytes.wrapping_sub(self.anchor.bytes))))
    }

    #[inline]
    fn ticks_of(&self, bytes: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "wrapping is what counters do")]
        let ticks = ((u128::from(bytes) * u128::from(self.per_byte_scaled)) >> 32) as u64;
        ticks
    }

    fn scale(&mut self) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN is 0")]
        let scaled = (self.latency as u64, (self.per_byte * (1u64 << 32) as f64) as u64);
        (self.latency_ticks, self.per_byte_scaled) = scaled;
    }
}

#[cfg(test)]
mod tests {
    use super::TxModel;
    use proptest::prelude::*;
    use sidereal_time::Ticks;

    const HERTZ: f64 = 1e9;

    fn gigabit() -> TxModel {
        let mut model = TxModel::default();
        model.set_speed(1000, HERTZ);
        model
    }

    #[test]
    fn a_queue_is_waited_for_and_then_forgotten() {
        let mut model = gigabit();
        assert_eq!(model.start(Ticks(1000)), (Ticks(1000), false));
        model.handed_over(Ticks(1000), None, 500);
        model.also(125);
        assert_eq!(model.start(Ticks(1500)), (Ticks(6000), true));
        assert_eq!(model.start(Ticks(6001)), (Ticks(6001), false));
        assert_eq!(model.after(Ticks(6001), 1000), Ticks(14_001));
    }

    #[test]
    fn stamps_move_the_queue_and_wild_ones_do_not() {
        let mut model = gigabit();
        let start = model.handed_over(Ticks(1000), None, 1000);
        let place = model.place(start, 0);
        assert!(model.learn(&place, 700.0));
        assert_eq!(model.start(Ticks(1000)), (Ticks(9700), true));
        for wild in [2e6, -2e6, f64::NAN, f64::INFINITY] {
            assert!(!model.learn(&place, wild), "{wild}");
        }
        assert_eq!(model.start(Ticks(1000)), (Ticks(9700), true));
    }

    proptest! {
        #[test]
        fn no_stamp_makes_a_time_that_is_nowhere(
            stamps in proptest::collection::vec((any::<u64>(), 1..100_000_u64, any::<bool>(), -1.1e6..1.1e6_f64), 1..200),
        ) {
            let mut model = gigabit();
            let mut now = 0_u64;
            for (gap, bytes, held, error) in stamps {
                now = now.wrapping_add(gap % 10_000_000);
                let start = model.handed_over(Ticks(now), held.then_some(Ticks(now + 500)), bytes);
                let place = model.place(start, bytes / 2);
                model.learn(&place, error);
                prop_assert!(model.latency() <= 1_000_000);
                // Never before it was handed over.
                prop_assert!(model.start(Ticks(now)).0.0 >= now);
            }
        }
    }
}
