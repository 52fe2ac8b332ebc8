//! One writer, many readers: a seqlock for small values and a swapped pointer for tables.
//!
//! Both let a worker look at what the engine has published without a lock, a system call or an allocation, and neither
//! ever makes the writer wait. A [`seqlock()`] copies a value of a few words whole; it suits what changes often, as the
//! clock model does. A [`table()`] hands out a reference to something large that changes seldom, as the access list does.
#![allow(unsafe_code, reason = "readers of a table follow a pointer whose life the writer tracks by generations")]

mod seqlock;
mod sync;
mod table;

pub use seqlock::{SeqlockReader, SeqlockWriter, Words, seqlock};
pub use table::{TableReader, TableWriter, table};
