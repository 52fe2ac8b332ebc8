//! What is learned from looking at a clock.

use sidereal_time::{Instant, Scale, Span, Ticks};

/// The furthest a reading may be from the epoch, and the longest its window may be: 2^86 of 2^-16 ns, 34 000 years. Within
/// it, no sum or difference of instants overflows.
const HORIZON: i128 = 1 << 86;

/// A counter and a clock read together.
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

    /// How long the reading took; at least zero.
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

/// What the kernel says of how it steers a clock (`adjtimex(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discipline {
    /// Whether somebody keeps the clock synchronised (`STA_UNSYNC` is not set).
    pub synchronised: bool,
    /// How wrong the clock may be, as whoever steers it says (`maxerror`).
    pub max_error: Span,
    /// TAI - UTC as the kernel was told it, in seconds; `None` where nobody told it (the kernel says 0).
    pub tai_offset_s: Option<i32>,
    /// What the kernel will add to UTC at the end of this UTC day, in seconds: -1 where it inserts a leap second, +1
    /// where it deletes one, 0 where it is not armed.
    pub leap_step: i8,
}
