//! How fast the local counter runs by the messages of another clock (syntonization, IEEE 1588-2019 12.2).
//!
//! A Sync and a Delay_Req are up to seconds apart. What the counter's nominal rate is off over that time, tens of
//! microseconds, would look like delay. So would what it is off while a neighbour holds a Pdelay_Req.

use arrayvec::ArrayVec;
use sidereal_time::{LocalClock, Rate, Span, Ticks};

use crate::port::sync::SyncTimes;

/// The luckiest Syncs that the rate is told from, and the fewest.
const MAX_POINTS: usize = 12;
const MIN_POINTS: usize = 4;
/// One Sync is kept of each second, or each one where they are rarer.
const STRIDE: Span = Span::SECOND;
/// How far a counter's rate is from nominal at most: the limit of most kernels and of RFC 5905 §7.2 (MAXFREQ).
const MAX_FREQUENCY: f64 = 500e-6;
/// What a crystal in a room wanders while the Syncs are collected, in seconds per second.
const WANDER: f64 = 50e-9;

/// The rate of the local counter by one other clock.
#[derive(Debug, Clone)]
pub(crate) struct RemoteRate {
    /// Oldest first, one of each stride.
    points: ArrayVec<SyncTimes, MAX_POINTS>,
    /// When the stride of the last point began.
    since: Option<Ticks>,
    /// The local clock, as its rate was told, and as it has been found.
    told: LocalClock,
    found: LocalClock,
    /// How far the rate found may be off, in seconds per second.
    uncertainty: f64,
}

impl RemoteRate {
    pub(crate) fn new(clock: &LocalClock) -> Self {
        Self { points: ArrayVec::new(), since: None, told: *clock, found: *clock, uncertainty: MAX_FREQUENCY }
    }

    /// The local clock at the rate found.
    pub(crate) const fn clock(&self) -> &LocalClock {
        &self.found
    }

    /// How far spans by [`Self::clock`] may be off, of a span of this length.
    pub(crate) fn error(&self, length: Span) -> Span {
        Span::from_secs_f64(length.abs().as_secs_f64() * self.uncertainty)
    }

    /// How much longer than the luckiest of late a message was on the way, for certain; at least zero.
    pub(crate) fn lateness(&self, sync: &SyncTimes) -> Span {
        let behind = |lucky: &SyncTimes| {
            let here = self.found.passed(lucky.arrived.ticks, sync.arrived.ticks);
            here - (sync.left - lucky.left) - self.error(here)
        };
        self.points.iter().map(behind).fold(Span::ZERO, Span::max)
    }

    /// Learns from a message: a Sync, or whatever else tells when it left.
    pub(crate) fn learn(&mut self, sync: SyncTimes, clock: &LocalClock) {
        if clock.rate != self.told.rate || clock.counter != self.told.counter {
            *self = Self { points: self.points.clone(), since: self.since, ..Self::new(clock) };
            self.find();
        }
        let ticks = sync.arrived.ticks;
        let passed = self.since.map(|since| clock.passed(since, ticks));
        if passed.is_some_and(|passed| !passed.is_negative() && passed < STRIDE) {
            if let Some(last) = self.points.last_mut()
                && luckier(&sync, last, &self.found)
            {
                *last = sync;
            }
            return;
        }
        if passed.is_some_and(Span::is_negative) {
            return;
        }
        if self.points.is_full() {
            self.points.remove(0);
        }
        self.points.push(sync);
        self.since = Some(ticks);
        self.find();
    }

    /// The median of the slopes between all points: a Sync that was held up does not move it.
    fn find(&mut self) {
        // The last point is not yet the luckiest of its stride, but where strides have one Sync each.
        let Some((first, rest)) = self.points.split_first() else { return };
        if rest.len() + 1 < MIN_POINTS {
            return;
        }
        let slope = |a: &SyncTimes, b: &SyncTimes| {
            let here = self.told.passed(a.arrived.ticks, b.arrived.ticks).as_secs_f64();
            ((b.left - a.left).as_secs_f64() - here) / here
        };
        let mut slopes: ArrayVec<f64, { MAX_POINTS * MAX_POINTS }> = ArrayVec::new();
        for (index, a) in self.points.iter().enumerate() {
            for b in self.points.iter().skip(index + 1) {
                let _ = slopes.try_push(slope(a, b));
            }
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let Some(median) = slopes.get(slopes.len() / 2).copied().filter(|slope| slope.abs() <= MAX_FREQUENCY) else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and this is far from where it would")]
        let bits = self.told.rate.to_bits().saturating_add_signed((self.told.rate.to_bits() as f64 * median) as i64);
        self.found = LocalClock { rate: Rate::from_bits(bits), ..self.told };
        // What the ways of the Syncs differed by, over the time between the first and the last of them.
        let transit = |sync: &SyncTimes| {
            let here = self.found.passed(first.arrived.ticks, sync.arrived.ticks);
            (here - (sync.left - first.left)).as_secs_f64()
        };
        let (least, most) = self
            .points
            .iter()
            .map(transit)
            .fold((0.0_f64, 0.0_f64), |(least, most), transit| (least.min(transit), most.max(transit)));
        let length =
            rest.last().map_or(0.0, |last| self.told.passed(first.arrived.ticks, last.arrived.ticks).as_secs_f64());
        self.uncertainty = (WANDER + 2.0 * (most - least) / length).min(MAX_FREQUENCY);
    }
}

/// Whether `a` was on the way for less time than `b`.
pub(crate) fn luckier(a: &SyncTimes, b: &SyncTimes, clock: &LocalClock) -> bool {
    clock.passed(b.arrived.ticks, a.arrived.ticks) < a.left - b.left
}

#[cfg(test)]
mod tests {
    use sidereal_time::{Arrived, Counter, Instant, StampSource};

    use super::*;

    const CLOCK: LocalClock =
        LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -24 };

    /// One that left after `left` ms, by a clock that is 20 ppm slower than ours, and was 5 us and `late` ns on the way.
    fn sync(left: u64, late: u64) -> SyncTimes {
        let ticks = Ticks(left * 1_000_020 + 5_000 + late);
        SyncTimes {
            left: Instant::from_nanos(i128::from(left) * 1_000_000),
            arrived: Arrived { ticks, source: StampSource::Kernel },
        }
    }

    #[test]
    fn who_is_late_is_seen_once_the_rate_is_known() {
        let mut rate = RemoteRate::new(&CLOCK);
        for number in 0..100 {
            rate.learn(sync(number * 125, 0), &CLOCK);
            assert_eq!(rate.lateness(&sync(number * 125, 0)), Span::ZERO, "who is as quick as the others is not late");
        }
        let late = rate.lateness(&sync(12_500, 400_000));
        assert!((Span::from_nanos(399_000)..=Span::from_nanos(400_000)).contains(&late), "{late}");
    }
}
