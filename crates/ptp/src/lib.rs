//! PTP as pure functions of bytes and times (IEEE 1588-2019): messages and TLVs, data sets, the best master clock algorithm,
//! ports and the instance that has them, management.
//!
//! Nothing here reads a clock, opens a socket or draws a random number.
#![forbid(unsafe_code)]

mod address;
mod identity;

pub use address::{Address, Destination, MessageClass, PortKey, Transport};
pub use identity::{ClockIdentity, IdentityError, PortIdentity};
