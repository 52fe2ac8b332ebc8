//! From two readings of the counters to rates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// Packets per second, over about the last second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Packets received.
    pub received: f64,
    /// Requests answered.
    pub replied: f64,
    /// Requests dropped, for whatever reason.
    pub dropped: f64,
    /// Packets handed to the kernel.
    pub to_kernel: f64,
}

/// What rates are made of, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Packets received so far.
    pub received: u64,
    /// Requests answered so far.
    pub replied: u64,
    /// Requests dropped so far.
    pub dropped: u64,
    /// Packets handed to the kernel so far.
    pub to_kernel: u64,
}

impl Add for Totals {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            received: self.received.wrapping_add(other.received),
            replied: self.replied.wrapping_add(other.replied),
            dropped: self.dropped.wrapping_add(other.dropped),
            to_kernel: self.to_kernel.wrapping_add(other.to_kernel),
        }
    }
}

/// Remembers the last reading, and makes rates of it and the next.
#[derive(Debug, Default)]
pub struct RateMeter {
    last: Option<(Duration, Totals)>,
    rates: Rates,
}

/// Readings closer together than this say too little, and leave the rates as they are.
const INTERVAL_MIN: Duration = Duration::from_millis(200);

impl RateMeter {
    /// Takes a reading made at `now`, on any clock that does not run backwards.
    pub fn update(&mut self, now: Duration, totals: Totals) {
        let Some((before, last)) = self.last else {
            self.last = Some((now, totals));
            return;
        };
        let interval = now.saturating_sub(before);
        if interval < INTERVAL_MIN {
            return;
        }
        let per_second = |now: u64, before: u64| now.wrapping_sub(before) as f64 / interval.as_secs_f64();
        self.rates = Rates {
            received: per_second(totals.received, last.received),
            replied: per_second(totals.replied, last.replied),
            dropped: per_second(totals.dropped, last.dropped),
            to_kernel: per_second(totals.to_kernel, last.to_kernel),
        };
        self.last = Some((now, totals));
    }

    /// The rates between the last two readings; zero before there are two.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_lie_between_two_readings() {
        let mut meter = RateMeter::default();
        let at =
            |seconds: f64, received: u64| (Duration::from_secs_f64(seconds), Totals { received, ..Totals::default() });
        for ((now, totals), expected) in [
            (at(10.0, 1000), 0.0),
            (at(12.0, 3000), 1000.0),
            // Too close to the last one: nothing changes, and nothing is lost for the next.
            (at(12.1, 9000), 1000.0),
            (at(12.5, 9000), 12_000.0),
            (at(12.0, 9000), 12_000.0),
            (at(13.5, 9000), 0.0),
        ] {
            meter.update(now, totals);
            assert_eq!(meter.rates().received, expected, "at {now:?}");
        }
    }

    #[test]
    fn a_counter_that_wraps_still_counts_forward() {
        let mut meter = RateMeter::default();
        meter.update(Duration::from_secs(1), Totals { dropped: u64::MAX, ..Totals::default() });
        meter.update(Duration::from_secs(2), Totals { dropped: 4, ..Totals::default() });
        assert_eq!(meter.rates().dropped, 5.0);
    }
}
