//! The vocabulary of time that every other crate speaks: an [`Instant`] on a named [`Scale`], a [`Span`] between two of
//! them, raw [`Ticks`] of one [`Counter`], a [`Stamp`] that says where it came from, and the [`ClockModel`] that turns
//! ticks into instants.
//!
//! Instants and spans count 2^-16 ns, the unit of PTP's correctionField (IEEE 1588-2019 13.3.2.9), in 128 bits: every
//! instant that PTP's 48 bits of seconds can tell fits, eras and leap seconds included, and floating point appears only where a caller asks for it.
#![forbid(unsafe_code)]

mod cross;
mod exchange;
mod instant;
mod leap;
mod local;
mod model;
mod ntp;
mod ptp;
mod reading;
mod stamp;

pub use cross::{CrossModel, CrossStamp, StampFault};
pub use exchange::{Exchange, Sample};
pub use instant::{Instant, Scale, Span, Tai, Utc};
pub use leap::{LeapError, LeapSecond, LeapTable};
pub use local::LocalClock;
pub use model::{ClockModel, Rate};
pub use ntp::{NtpClock, NtpShort, NtpTimestamp};
pub use ptp::{PtpTimestamp, PtpTimestampError};
pub use reading::Reading;
pub use stamp::{Arrived, ClockId, Counter, Stamp, StampPriority, StampSource, Ticks, TxStamp, TxToken};
