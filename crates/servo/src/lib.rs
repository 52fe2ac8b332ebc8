//! From readings to models: fits, filters and servos. Pure arithmetic: nothing here reads a clock or steers one.
#![forbid(unsafe_code)]

mod discipline;
mod fit;
mod line;

pub use discipline::Discipline;
pub use fit::{CounterFit, FitCounts, Offer, Rejection};
