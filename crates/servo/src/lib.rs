//! From readings to models: fits, filters and servos. Pure arithmetic: nothing here reads a clock or steers one.
#![forbid(unsafe_code)]

mod belief;
mod cross;
mod discipline;
mod filter;
mod fit;
mod kalman;
mod line;
mod measurement;
mod mixture;
mod normal;
mod pi;
mod regression;
mod servo;
pub mod stability;
mod steering;
mod tracker;

pub use cross::{CrossCounts, CrossEstimate, CrossOffered, CrossTracker};
pub use discipline::Discipline;
pub use filter::{FilterKind, FilterOptions, FilterRejection, Filtered, SourceFilter, SourceStatistics};
pub use fit::{CounterFit, FitCounts, Offer, Rejection};
pub use measurement::{Measurement, Queueing};
pub use servo::{PiOptions, ServoKind, ServoOptions};
pub use steering::{Adjustment, FrequencyOffset, Standing, Steering, SteeringOptions, SteeringStatus, Told};
pub use tracker::{Estimate, IntervalAdvice, Learned, Offered, Tracker, TrackerState};
