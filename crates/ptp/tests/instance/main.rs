//! Instances in conversation: leading and following each other over links that lose, repeat and reorder.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the numbers of a test are small"
)]

mod follow;
mod lab;
mod observe;
mod roles;
