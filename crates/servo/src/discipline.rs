//! What the kernel says of a clock.

use sidereal_time::Span;

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
