//! What is kept of one target.

use crate::record::{Record, Stamps};
use sidereal_time::Sample;

/// How many of the last samples are kept, for the best of them: as many as NTP's clock filter keeps (RFC 5905 §10).
pub const RECENT: usize = 8;

/// What was measured of one target: bounded, whatever comes.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The last ones, in the order in which they were written around.
    recent: [Option<Measured>; RECENT],
    count: u64,
    implausible: u64,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    sample: Sample,
    stamps: Stamps,
}

/// A hundred thousand targets in some tens of megabytes.
const _: () = assert!(size_of::<Target>() <= 640);

impl Target {
    /// Takes one record in, and returns its sample.
    pub(crate) fn take(&mut self, record: &Record) -> Sample {
        let sample = record.sample();
        if let Some(place) = self.recent.get_mut(place(self.count)) {
            *place = Some(Measured { sample, stamps: record.stamps() });
        }
        self.count += 1;
        self.implausible += u64::from(sample.delay.is_negative());
        sample
    }

    /// How many records were taken in.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them had a delay below zero, which shows that a stamp is wrong by at least as much.
    #[must_use]
    pub const fn implausible(&self) -> u64 {
        self.implausible
    }

    /// What the last record measured.
    #[must_use]
    pub fn last(&self) -> Option<Sample> {
        Some(self.last_measured()?.sample)
    }

    /// Who took our stamps of the last record.
    #[must_use]
    pub fn stamps(&self) -> Option<Stamps> {
        Some(self.last_measured()?.stamps)
    }

    /// Of the last [`RECENT`] the one with the shortest delay that can be true: the shorter the way, the less can hide in it.
    /// A delay below zero is worse than any that can be true. Of equals the newest.
    #[must_use]
    pub fn best(&self) -> Option<Sample> {
        let kept = self.count.min(RECENT as u64);
        let newest_first = (1..=kept).filter_map(|age| *self.recent.get(place(self.count - age))?);
        newest_first
            .map(|measured| measured.sample)
            .min_by_key(|sample| (sample.delay.is_negative(), sample.delay.abs()))
    }

    fn last_measured(&self) -> Option<Measured> {
        *self.recent.get(place(self.count.checked_sub(1)?))?
    }
}

/// Where the record of this number is kept.
#[expect(clippy::cast_possible_truncation, reason = "a remainder of eight")]
const fn place(number: u64) -> usize {
    (number % RECENT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sidereal_time::{Exchange, Instant, Span, StampSource, Utc};

    const STAMPS: Stamps = Stamps { transmit: StampSource::Software, receive: StampSource::Kernel };

    /// A round trip that took `delay`, with a clock that is `offset` ahead.
    fn record(offset: i64, delay: i64) -> Record {
        let at = |units: i64| Instant::<Utc>::from_secs(1_800_000_000) + Span::from_units(units.into());
        let exchange = Exchange { t1: at(0), t2: at(offset + delay), t3: at(offset + delay), t4: at(2 * delay) };
        Record::new(1, &exchange, Span::ZERO, STAMPS)
    }

    #[test]
    fn nothing_is_known_before_the_first_record() {
        let target = Target::default();
        assert_eq!((target.count(), target.last(), target.best(), target.stamps()), (0, None, None, None));
    }

    #[test]
    fn a_delay_below_zero_is_the_worst_of_all_and_counted() {
        let mut target = Target::default();
        for (offset, delay) in [(7, -1), (8, 1000), (9, -2)] {
            target.take(&record(offset, delay));
        }
        assert_eq!((target.count(), target.implausible()), (3, 2));
        assert_eq!(target.best().map(|sample| sample.offset), Some(Span::from_units(8)));
        assert_eq!(target.last().map(|sample| sample.offset), Some(Span::from_units(9)));
        assert_eq!(target.stamps(), Some(STAMPS));
    }

    proptest! {
        #[test]
        fn the_best_is_the_shortest_of_the_last_eight(trips in vec((-1000..1000_i64, -50..1000_i64), 1..40)) {
            let mut target = Target::default();
            for (offset, delay) in &trips {
                target.take(&record(*offset, *delay));
            }
            let last = &trips[trips.len().saturating_sub(RECENT)..];
            let rank = |delay: i64| (delay < 0, delay.abs());
            let (offset, delay) = last.iter().rev().min_by_key(|(_, delay)| rank(*delay)).unwrap();
            let best = target.best().unwrap();
            prop_assert_eq!(best.offset, Span::from_units((*offset).into()));
            prop_assert_eq!(best.delay, Span::from_units((2 * delay).into()));
            prop_assert_eq!(target.count(), trips.len() as u64);
            let below_zero = trips.iter().filter(|(_, delay)| *delay < 0).count();
            prop_assert_eq!(target.implausible(), below_zero as u64);
        }
    }
}
