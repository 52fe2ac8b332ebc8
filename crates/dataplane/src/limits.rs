//! Every bound of this crate.

/// Bytes that a ring between a worker and the exception path holds; a frame takes two more than its length. When it is
/// full a frame is dropped and counted ([`crate::Count::KernelRingFull`]).
pub const EXCEPTION_RING_BYTES: usize = 1 << 20;

/// The longest frame that goes through the exception path: a jumbo frame with two VLAN tags.
pub const FRAME_MAX: usize = 9216 + 22;

/// A snapshot older than this says nothing any more: the worker goes on as unsynchronised until a new one comes.
pub const SNAPSHOT_STALE_S: i64 = 10;

/// The longest time that the residence histogram tells apart, in nanoseconds; longer ones count as this.
pub(crate) const RESIDENCE_MAX_NS: u64 = 1_000_000_000;

/// TX stamps taken back in one turn: all that a queue may hold, so that none is ever dropped.
pub(crate) const STAMPS_PER_TURN: usize = sidereal_nic::TOKENS;

/// Empty turns after which an idle worker yields or sleeps.
pub(crate) const IDLE_TURNS: u32 = 64;

/// How long a worker that is told to stop goes on answering what still arrives, in empty turns in a row.
pub(crate) const DRAIN_TURNS: u32 = 1024;
