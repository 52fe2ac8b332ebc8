//! The control plane as one sans-IO machine: events in, actions out, time only as an argument. The same [`Engine`] runs in
//! the daemon, in `single` mode and in the simulator.
#![forbid(unsafe_code)]

mod engine;
mod leap;
mod report;
mod snapshot;

pub use engine::{Action, Engine, EngineConfig, Event, Status, Synchronisation};
pub use report::{Report, Severity};
pub use snapshot::{SNAPSHOT_WORDS, Snapshot};
