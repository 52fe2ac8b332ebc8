//! A deterministic simulator of clocks, networks and hosts: one seed gives one run, to the bit.
//!
//! Hosts run the real engine and the real server; oscillators, links, switches and NICs are models. Nothing here reads a
//! clock or draws a number that does not come from the seed.
#![forbid(unsafe_code)]

pub mod clock;
pub mod csv;
pub mod fault;
pub mod fuzz;
mod host;
pub mod limit;
pub mod link;
pub mod nic;
pub mod oscillator;
pub mod outcome;
mod packet;
pub mod plot;
mod random;
pub mod run;
pub mod scenario;
pub mod switch;
pub mod truth;
mod world;
