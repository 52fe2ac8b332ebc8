//! Associations in conversation: with our own server, with each other, with broadcasts, and with forgers.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking")]

mod broadcast;
mod client;
mod forged;
mod interleaved;
mod lab;
mod over_ptp;
mod pace;
mod symmetric;
