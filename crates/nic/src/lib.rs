//! What a port can do and what a backend must do: packets in bursts, replies in the same buffers, TX stamps that come
//! back later or never.
//!
//! A port is composed by direction. An [`RxQueue`] fills a [`Burst`] with packets of its own kind, the worker marks each
//! with what shall become of it ([`Packet::reply`]), and a [`TxQueue`] that accepts this kind of packet sends what is
//! marked and gives every buffer back. The two need not be of one backend: a port may receive by DPDK and send by a socket.
#![forbid(unsafe_code)]

mod arbiter;
mod burst;
mod capabilities;
mod clock;
pub mod conformance;
mod statement;

pub use arbiter::{LatchCounts, Next, TxArbiter, WAITING};
pub use burst::{BURST, Burst, Content, Flow, Packet, RxChecksums, RxQueue, Sent, TOKENS, TxQueue};
pub use capabilities::{
    Ability, Capabilities, ChecksumOffload, ClockAbilities, ClockReading, Evidence, RxStamps, SendOnTime, Stamped,
    TxStamps,
};
pub use clock::HardwareClock;
pub use statement::Statement;
