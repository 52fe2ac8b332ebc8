//! The engine that follows its sources, in virtual time, against real NTP servers behind links of known delays.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod arbitrary;
mod clocks;
mod follow;
mod jumps;
mod lan;
mod leap;
mod lies;
mod names;
mod ptp;
mod reference_clocks;
mod world;
