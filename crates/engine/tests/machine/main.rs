//! The engine on a simulated host.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod arbitrary;
mod clock;
mod host;
mod leap_seconds;
