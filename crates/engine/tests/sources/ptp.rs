//! The host speaks PTP.

mod arbitrary;
mod follow;
mod lead;
mod lies;

use sidereal_time::Span;

/// How well a grandmaster knows the time.
const NANOS_100: Span = Span::from_nanos(100);
