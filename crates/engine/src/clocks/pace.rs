//! How often a clock may be steered.

use sidereal_time::{LocalClock, Span, Ticks};

/// At most 128 times a second.
const INTERVAL: Span = Span::from_nanos(7_812_500);
/// But for so long a time at this many at once: a measurement need not wait because something else has just been done.
const AHEAD: Span = Span::from_nanos(4 * 7_812_500);

/// Lets so many adjustments pass, and no more (a leaky bucket).
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// When all that was done would have been done, one at a time.
    until: Ticks,
}

impl Pace {
    pub(super) const fn new(now: Ticks) -> Self {
        Self { until: now }
    }

    /// Whether something may be done now.
    pub(super) fn allows(&self, local: &LocalClock, now: Ticks) -> bool {
        local.passed(now, self.until) <= AHEAD - INTERVAL
    }

    /// When something may be done again.
    pub(super) fn next(&self, local: &LocalClock) -> Ticks {
        local.later(self.until, INTERVAL - AHEAD)
    }

    /// Something is done.
    pub(super) fn take(&mut self, local: &LocalClock, now: Ticks) {
        let from = if local.passed(now, self.until) > Span::ZERO { self.until } else { now };
        self.until = local.later(from, INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use sidereal_time::{Counter, Rate};

    use super::*;

    const LOCAL: LocalClock = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -24 };

    #[test]
    fn a_hundred_and_twenty_eight_a_second_pass() {
        let mut pace = Pace::new(Ticks(0));
        let mut passed = 0;
        for millisecond in 0..10_000 {
            let now = Ticks(millisecond * 1_000_000);
            if pace.allows(&LOCAL, now) {
                pace.take(&LOCAL, now);
                passed += 1;
            } else {
                assert!(LOCAL.passed(now, pace.next(&LOCAL)) > Span::ZERO);
            }
        }
        assert!((1_280..=1_284).contains(&passed), "{passed}");
    }
}
