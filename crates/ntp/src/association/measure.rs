//! From four times to a reading of the other clock, and the filters of its delay.

use super::outcome::IgnoreReason;
use crate::message::SystemVariables;
use crate::over_ptp::{Corrected, NetworkCorrections};
use core::cmp::min;
use sidereal_time::{Arrived, Instant, LocalClock, NtpTimestamp, Reading, Span, StampSource, Ticks, Utc};

/// PHI of RFC 5905 §7.2, in parts per million: how fast two clocks drift apart at most while an exchange lasts.
const DRIFT_PPM: i128 = 15;
/// How fast a clock's rate may differ from nominal, in parts per million: the limit of most kernels and of RFC 5905 §7.2
/// (MAXFREQ). A clock that two readings show further off has been set.
pub(super) const MAX_FREQUENCY_PPM: i128 = 500;
/// Delays over which [`DelayFilter`] looks for the shortest, at most twice as many.
const FLOOR_LENGTH: u32 = 32;

/// The four times of a round trip, or of two halves of it: T1 and T4 by our counter, T2 and T3 by the other clock. The two
/// directions belong to one round trip, or to neighbouring ones: then T4 may be before T1, and T3 before T2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoundTrip {
    pub(super) t1: Departed,
    pub(super) t2: NtpTimestamp,
    pub(super) t3: NtpTimestamp,
    pub(super) t4: Arrived,
    /// What the other side said of its clock: where its times came in two messages, the worse of both.
    pub(super) server: SystemVariables,
    /// Whether T3 is the true one of interleaved mode.
    pub(super) interleaved: bool,
    /// What transparent clocks say of both ways, where PTP carried the messages.
    pub(super) network: Option<NetworkCorrections>,
}

/// When a message went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departed {
    pub(super) ticks: Ticks,
    pub(super) source: StampSource,
}

/// What is known of when a message went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Departure {
    /// Its stamp has not come.
    Awaited,
    /// It left then.
    At(Departed),
    /// Nobody will ever know.
    Lost,
}

impl Departure {
    pub(super) const fn new(left: Option<Ticks>, source: StampSource) -> Self {
        match left {
            Some(ticks) => Self::At(Departed { ticks, source }),
            None => Self::Lost,
        }
    }
}

/// A reading, how far it may be off beyond its window, and the worse of its two stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quality {
    pub(super) reading: Reading<Utc>,
    pub(super) dispersion: Span,
    /// How much further it may be off where what transparent clocks say is not true: nobody vouches for them.
    pub(super) unvouched: Span,
    /// Whether it is corrected by what transparent clocks say; `None` where that was not believed.
    pub(super) corrected: Option<bool>,
    pub(super) stamps: StampSource,
}

impl Quality {
    /// How far the reading may be off, either way.
    pub(super) fn error(&self) -> Span {
        self.reading.error() + self.dispersion + self.unvouched
    }
}

impl RoundTrip {
    /// The other clock in the middle of the round trip; its window is the delay. `pivot` is an instant within 68
    /// years of the truth.
    pub(super) fn measure(&self, local: &LocalClock, pivot: Instant<Utc>) -> Result<Quality, IgnoreReason> {
        let precision = self.server.precision;
        let here = local.passed(self.t1.ticks, self.t4.ticks);
        let there = self.t3.since(self.t2);
        if !here.is_negative() {
            check_order(self.t2, self.t3, precision)?;
        }
        let dispersion = dispersion(precision, local, here);
        let delay = here - there;
        if (delay + dispersion).is_negative() {
            return Err(IgnoreReason::NegativeDelay);
        }
        let middle = local.later(self.t1.ticks, here.half());
        // A tick may be long: what rounding to one has shifted in our time, is shifted in theirs.
        let rounded = local.passed(self.t1.ticks, middle) - here.half();
        let at = self.t2.near(pivot) + there.half() + rounded;
        let stamps = min(self.t1.source, self.t4.source);
        let as_it_is = |corrected| Quality {
            reading: Reading::new(middle, at, delay),
            dispersion,
            unvouched: Span::ZERO,
            corrected,
            stamps,
        };
        Ok(match self.network.map_or(Corrected::Nothing, |network| network.apply(delay)) {
            Corrected::Nothing => as_it_is(Some(false)),
            Corrected::Refused => as_it_is(None),
            Corrected::By { offset, delay: corrected } => Quality {
                reading: Reading::new(middle, at + offset, corrected),
                // The truth is within the whole delay of what was measured, wherever that is moved to.
                unvouched: (delay - corrected).half() + offset.abs(),
                ..as_it_is(Some(true))
            },
        })
    }
}

/// Checks that a clock of this precision did not send at `transmit` the answer to what it received at `receive`, if that is
/// later. By less than its precision it may be: what lies below that is noise, or tells two kinds of timestamps apart.
pub(super) fn check_order(receive: NtpTimestamp, transmit: NtpTimestamp, precision: i8) -> Result<(), IgnoreReason> {
    let held = transmit.since(receive) + precision_error(precision);
    if held.is_negative() { Err(IgnoreReason::TransmitBeforeReceive) } else { Ok(()) }
}

/// What two clocks of these precisions may be off after `length`: the precision of both, and 15 ppm of the length
/// (RFC 5905 §8).
pub(super) fn dispersion(precision: i8, local: &LocalClock, length: Span) -> Span {
    precision_error(precision)
        + precision_error(local.precision)
        + Span::from_units(length.abs().units() * DRIFT_PPM / 1_000_000)
}

/// How far a clock of the precision 2^`exponent` s may be off by that: as much, rounded up; beyond 2^17 s, that.
pub(super) fn precision_error(exponent: i8) -> Span {
    const LONGEST: i8 = 17;
    let second = Span::SECOND.units();
    Span::from_units(if exponent >= 0 {
        second << exponent.min(LONGEST)
    } else {
        // The exponents of one byte shift by less than 128 bits.
        (second >> exponent.unsigned_abs().min(127)) + 1
    })
}

/// Refuses exchanges that took too long, by an absolute limit and by one that is relative to the shortest delay of late.
#[derive(Debug, Clone, Copy)]
pub(super) struct DelayFilter {
    longest: Option<Span>,
    ratio: Option<f64>,
    /// The shortest delay since `count` was zero, and the one of the time before: a path that has become longer is
    /// believed at last.
    shortest: Option<Span>,
    shortest_before: Option<Span>,
    count: u32,
}

impl DelayFilter {
    pub(super) const fn new(longest: Option<Span>, ratio: Option<f64>) -> Self {
        Self { longest, ratio, shortest: None, shortest_before: None, count: 0 }
    }

    /// Whether an exchange of this delay may pass; it is remembered either way. Delays below `dispersion` are all alike.
    pub(super) fn check(&mut self, delay: Span, dispersion: Span) -> Result<(), IgnoreReason> {
        let floor = [self.shortest, self.shortest_before].into_iter().flatten().min();
        self.remember(delay);
        if self.longest.is_some_and(|longest| delay > longest) {
            return Err(IgnoreReason::DelayTooLong);
        }
        if let (Some(ratio), Some(floor)) = (self.ratio, floor)
            && delay.as_secs_f64() > floor.max(dispersion).as_secs_f64() * ratio.max(1.0)
        {
            return Err(IgnoreReason::DelayRatio);
        }
        Ok(())
    }

    fn remember(&mut self, delay: Span) {
        if self.count >= FLOOR_LENGTH {
            (self.shortest_before, self.shortest, self.count) = (self.shortest, None, 0);
        }
        self.shortest = Some(self.shortest.map_or(delay, |shortest| shortest.min(delay)));
        self.count += 1;
    }
}
