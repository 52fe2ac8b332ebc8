//! The best master clock algorithm (IEEE 1588-2019 9.3) and the alternate one of telecom (ITU-T G.8275.1 6.3), as pure
//! functions.

mod alternate;
mod comparison;
mod decision;
#[cfg(test)]
mod tests;

pub use alternate::compare_alternate;
pub use comparison::{ComparisonSet, Relation, compare};
pub use decision::{Decision, decide};
