//! The workers: packets in, replies out in the same buffers, everything else handed on.
//!
//! A [`Worker`] owns one queue pair of a port and everything it needs to answer: the server's state of its clients, a
//! reader of the [`Snapshot`](sidereal_engine::Snapshot), a reader of the policy, its link to the engine where its port carries
//! PTP ([`ptp_link`]), and its own [`WorkerCounters`]. It makes
//! no system call, takes no lock, allocates nothing once it runs, never logs and never waits for a TX stamp; what a
//! backend does to move packets is the backend's affair.
#![forbid(unsafe_code)]

mod counters;
mod exception;
mod judge;
mod limits;
mod link_speed;
mod nic_clock;
mod over_ptp;
mod ptp;
mod residence;
mod thread;
mod transmit;
mod verdict;
mod worker;

pub use counters::{Count, CounterReading, WorkerCounters};
pub use exception::{FrameReceiver, FrameSender, WorkerLink, frame_ring};
pub use judge::{Judge, Service, Terms};
pub use limits::{EXCEPTION_RING_BYTES, FRAME_MAX, SNAPSHOT_STALE_S};
pub use link_speed::{LinkSpeed, frame_len};
pub use nic_clock::{EngineNicClock, WorkerNicClock, nic_clock_ring};
pub use over_ptp::{Carried, CarriedArrival, OverPtp, OverPtpParts, OverPtpServer};
pub use ptp::{
    EnginePtp, Framing, NicStamps, PtpFrame, PtpJudge, PtpMessage, PtpService, PtpTerms, PtpTime, PtpVerdict,
    WorkerPtp, ptp_link,
};
pub use residence::{Residence, ResidenceReader, residence};
pub use thread::{Idle, Placement, PlacementError, run};
pub use transmit::{TxOptions, TxStrategy};
pub use verdict::{DropReason, PtpDrop, Verdict};
pub use worker::{Parts, SnapshotReader, TickSource, Worker};
