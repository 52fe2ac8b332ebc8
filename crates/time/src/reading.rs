//! A clock, looked at beside a counter.

use crate::{Instant, Scale, Span, Ticks};

/// The furthest a reading may be from the epoch, and the longest its window may be: 2^86 of 2^-16 ns, 34 000 years. Within
/// it, no sum or difference of instants overflows.
const HORIZON: i128 = 1 << 86;

/// A counter and a clock read together. Whatever shows a clock gives readings: a system call between two looks at the
/// counter, a round trip to a server, the edge of a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<S: Scale> {
    ticks: Ticks,
    at: Instant<S>,
    window: Span,
}

impl<S: Scale> Reading<S> {
    /// The clock showed `at` within half of `window`, either way, from when the counter stood at `ticks`. An instant more
    /// than 34 000 years from the epoch becomes the last one within; a negative window becomes none.
    #[must_use]
    pub fn new(ticks: Ticks, at: Instant<S>, window: Span) -> Self {
        Self {
            ticks,
            at: Instant::from_units(at.units().clamp(-HORIZON, HORIZON)),
            window: Span::from_units(window.units().clamp(0, HORIZON)),
        }
    }

    /// Where the counter stood.
    #[must_use]
    pub const fn ticks(&self) -> Ticks {
        self.ticks
    }

    /// What the clock showed.
    #[must_use]
    pub const fn at(&self) -> Instant<S> {
        self.at
    }

    /// How long the reading took, a round trip's delay; at least zero.
    #[must_use]
    pub const fn window(&self) -> Span {
        self.window
    }

    /// How far the reading may be off, either way: half its window.
    #[must_use]
    pub const fn error(&self) -> Span {
        self.window.half()
    }
}
