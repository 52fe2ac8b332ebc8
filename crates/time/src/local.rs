//! The counter that a machine tells its own time by.

use crate::{ClockModel, Counter, Instant, Rate, Span, Ticks};

/// The counter that `now` and all stamps are told in: free-running, never steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalClock {
    /// Which one it is.
    pub counter: Counter,
    /// How many bits it has, 1 to 64.
    pub width: u8,
    /// How long a tick is: nominally, or as it has been measured since.
    pub rate: Rate,
    /// How long reading it takes, as the next power of two of a second: what clients are told as precision.
    pub precision: i8,
}

impl LocalClock {
    /// A model that knows nothing but the counter's rate: it stood at `now` at the epoch, or anywhere else.
    #[must_use]
    pub fn unknown(&self, now: Ticks) -> ClockModel {
        ClockModel {
            counter: self.counter,
            width: self.width.clamp(1, 64),
            reference_ticks: now,
            reference: Instant::EPOCH,
            rate: self.rate,
            error: Span::from_secs(i64::MAX),
            drift_ppb: u32::MAX,
            generation: 0,
        }
    }

    /// The time from `from` to `to`, the short way round; rounded to nearest.
    #[must_use]
    pub fn passed(&self, from: Ticks, to: Ticks) -> Span {
        let model = self.unknown(from);
        model.instant(to) - model.reference
    }

    /// Where the counter stands `span` after `ticks`; before it, where `span` is negative.
    #[must_use]
    pub fn later(&self, ticks: Ticks, span: Span) -> Ticks {
        let model = self.unknown(ticks);
        model.ticks(model.reference + span)
    }
}
