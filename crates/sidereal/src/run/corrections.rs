//! How soon measurements lead to corrections of clocks.

use hdrhistogram::Histogram;
use sidereal_ops::CorrectionStatus;
use sidereal_time::{ClockId, Rate, Ticks};

/// What takes longer counts as this: ten seconds, in nanoseconds.
const LONGEST_NS: u64 = 10_000_000_000;
/// Times are told apart by this many decimal digits.
const DIGITS: u8 = 2;

/// For each clock that was corrected, or would have been, how long that took since the measurement arrived.
#[derive(Debug)]
pub(super) struct Corrections {
    /// How long a tick of the local counter is.
    tick: Rate,
    clocks: Vec<(ClockId, Histogram<u64>)>,
}

impl Corrections {
    /// None, by a counter of this rate.
    pub(super) const fn new(tick: Rate) -> Self {
        Self { tick, clocks: Vec::new() }
    }

    /// `clock` was corrected when the counter stood at `now`, because of what had arrived at `cause`.
    pub(super) fn note(&mut self, clock: ClockId, cause: Ticks, now: Ticks) {
        // A stamp may be placed a little late.
        let passed = self.tick.span(now.0.wrapping_sub(cause.0).cast_signed().max(0));
        let nanos = u64::try_from(passed.as_nanos_rounded()).unwrap_or(LONGEST_NS);
        let place = self.clocks.iter().position(|(known, _)| *known == clock).unwrap_or_else(|| {
            self.clocks.push((clock, histogram()));
            self.clocks.len() - 1
        });
        if let Some((_, histogram)) = self.clocks.get_mut(place) {
            histogram.saturating_record(nanos);
        }
    }

    /// How long the corrections of `clock` took; nothing where there were none.
    pub(super) fn of(&self, clock: ClockId) -> Option<CorrectionStatus> {
        let (_, histogram) = self.clocks.iter().find(|(known, _)| *known == clock)?;
        Some(CorrectionStatus {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are constants that hdrhistogram accepts; a test makes one")]
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("constant bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clock_has_its_own_times() {
        let mut corrections = Corrections::new(Rate::from_hertz(2e9));
        for ticks in 1..=100 {
            corrections.note(ClockId(1), Ticks(u64::MAX - 50), Ticks((u64::MAX - 50).wrapping_add(ticks * 2_000)));
        }
        corrections.note(ClockId(2), Ticks(7), Ticks(5));
        corrections.note(ClockId(2), Ticks(0), Ticks(1 << 62));
        let first = corrections.of(ClockId(1)).unwrap();
        assert_eq!(first.count, 100);
        for (is, should) in [(first.p50, 50_000), (first.p99, 99_000), (first.max, 100_000)] {
            assert!(is.abs_diff(should) <= should / 100, "{first:?}");
        }
        let second = corrections.of(ClockId(2)).unwrap();
        assert!(second.count == 2 && second.p50 == 0 && second.max >= LONGEST_NS, "{second:?}");
        assert_eq!(corrections.of(ClockId::SYSTEM), None);
    }
}
