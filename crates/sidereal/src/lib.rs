//! The Sidereal time appliance: its configuration and its commands.
#![forbid(unsafe_code)]

mod command;
pub mod config;
mod counter;
mod engine_config;
mod host;
mod hw;
mod leap;
mod logging;
mod policy;
mod run;
mod show;
mod stamping;

pub use command::main;
