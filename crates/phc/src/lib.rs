//! Clocks that the kernel can read and steer. What is here only reads.
#![allow(unsafe_code, reason = "clock_gettime and adjtimex have no safe wrapper in libc")]

mod system;

pub use system::{DisciplineError, SystemClock};
