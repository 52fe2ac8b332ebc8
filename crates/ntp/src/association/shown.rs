//! What an interleaved measurement rests on: two messages of one clock, of which the later tells when the earlier left.
//!
//! Both have to say that the clock is synchronised, and it must have run between them as clocks do: the header of the
//! later one says nothing of timestamps that were taken before the clock was set.

use super::measure::{MAX_FREQUENCY_PPM, precision_error};
use super::outcome::IgnoreReason;
use crate::message::SystemVariables;
use sidereal_time::{LocalClock, NtpTimestamp, Span, Ticks};

/// How much faster one clock may run than another, in parts per million: that has been slowed, this hastened.
const MAX_DIFFERENCE_PPM: i128 = 2 * MAX_FREQUENCY_PPM;

/// What the other clock showed at some moment between two of ours, and what it then said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// `None` where nothing is known that came before it.
    pub(super) from: Option<Ticks>,
    pub(super) until: Ticks,
    pub(super) at: NtpTimestamp,
    pub(super) server: SystemVariables,
}

impl Shown {
    /// What the clock said of itself at the worst, here and in the `later` message.
    pub(super) fn with(&self, later: &Self, clock: &LocalClock) -> Result<SystemVariables, IgnoreReason> {
        if !(self.server.is_synchronised() && later.server.is_synchronised()) {
            return Err(IgnoreReason::Unsynchronised);
        }
        if self.is_stepped_until(later, clock) {
            return Err(IgnoreReason::Stepped);
        }
        Ok(SystemVariables {
            precision: self.server.precision.max(later.server.precision),
            root_delay: self.server.root_delay.max(later.server.root_delay),
            root_dispersion: self.server.root_dispersion.max(later.server.root_dispersion),
            ..later.server
        })
    }

    /// Whether no clock that runs at its own pace can have shown both.
    fn is_stepped_until(&self, later: &Self, clock: &LocalClock) -> bool {
        let there = later.at.since(self.at);
        let shortest = later.from.map(|from| clock.passed(self.until, from));
        let longest = self.from.map(|from| clock.passed(from, later.until));
        let length = longest.unwrap_or_else(|| clock.passed(self.until, later.until)).abs();
        let drift = Span::from_units(length.units() * MAX_DIFFERENCE_PPM / 1_000_000);
        let error = drift + precision_error(self.server.precision) + precision_error(later.server.precision);
        shortest.is_some_and(|shortest| there + error < shortest)
            || longest.is_some_and(|longest| there > longest + error)
    }
}
