//! From readings to models: fits, filters and servos. Pure arithmetic: nothing here reads a clock or steers one.
#![forbid(unsafe_code)]

mod fit;
mod line;
mod reading;

pub use fit::{CounterFit, FitCounts, Offer, Rejection};
pub use reading::{Discipline, Reading};
