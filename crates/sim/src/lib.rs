//! A deterministic simulator of clocks, networks and hosts: one seed gives one run, to the bit.
#![forbid(unsafe_code)]

pub mod link;
pub mod oscillator;
mod random;
