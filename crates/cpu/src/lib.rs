//! The processor: its counters, pinning, real-time priority, locked memory.
#![allow(unsafe_code, reason = "reads the time stamp counter and makes system calls that have no safe wrapper")]

mod counter;
#[cfg(target_arch = "x86_64")]
mod tsc;
mod worker;

pub use counter::LocalCounter;
#[cfg(target_arch = "x86_64")]
pub use tsc::TscUnfit;
pub use worker::{LockMemoryError, PinError, RealTimeError, cores, lock_memory, pin, real_time};
