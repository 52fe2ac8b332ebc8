//! Every bound of this crate.

/// Bytes that a ring between a worker and the exception path holds; a frame takes two more than its length. When it is
/// full a frame is dropped and counted ([`crate::Count::KernelRingFull`]).
pub const EXCEPTION_RING_BYTES: usize = 1 << 20;

/// The longest frame that goes through the exception path: a jumbo frame with two VLAN tags.
pub const FRAME_MAX: usize = 9216 + 22;

/// A snapshot older than this says nothing any more: the worker goes on as unsynchronised until a new one comes.
pub const SNAPSHOT_STALE_S: i64 = 10;

/// PTP messages that wait between one worker and the engine, which looks at least once a millisecond. When the ring is full a
/// message is dropped and counted ([`crate::Count::EngineRingFull`]).
pub(crate) const PTP_RING_HEARD: usize = 256;

/// PTP messages a second that one worker hands to the engine in the long run: what many masters at 128 Sync a second send. More
/// are dropped and counted ([`crate::PtpDrop::TooMany`]).
pub(crate) const PTP_TO_ENGINE_PER_S: u32 = 16_000;

/// PTP messages that one worker hands to the engine at once.
pub(crate) const PTP_TO_ENGINE_BURST: u32 = 1024;

/// PTP messages of the engine that wait to be sent by one port; more are refused.
pub(crate) const PTP_RING_OUTGOING: usize = 128;

/// PTP messages of one port whose TX stamps have not come back; more that want one are refused.
pub(crate) const PTP_STAMPS: usize = 128;

/// The longest frame of the engine: the longest message with the longest headers and the trailer of IPv6.
pub(crate) const PTP_FRAME_MAX: usize = sidereal_ptp::MAX_MESSAGE_LEN + 14 + 4 + 40 + 8 + 2;

/// PTP messages of the engine that are sent in one turn.
pub(crate) const PTP_SENT_PER_TURN: usize = 8;

/// The longest time that the residence histogram tells apart, in nanoseconds; longer ones count as this.
pub(crate) const RESIDENCE_MAX_NS: u64 = 1_000_000_000;

/// TX stamps taken back in one turn: all that a queue may hold, so that none is ever dropped.
pub(crate) const STAMPS_PER_TURN: usize = sidereal_nic::TOKENS;

/// Empty turns after which an idle worker yields or sleeps.
pub(crate) const IDLE_TURNS: u32 = 64;

/// How long a worker that is told to stop goes on answering what still arrives, in empty turns in a row.
pub(crate) const DRAIN_TURNS: u32 = 1024;

/// Replies whose TX stamps calibrate the model of their way to the wire, in a second: each takes the port's latch for some
/// microseconds, and a kernel's socket a system call.
pub(crate) const SAMPLES_PER_S: u64 = 256;

/// How much before it is to be sent a NIC that sends on time has a burst: this part of a second (4 us), for its way into the NIC and
/// for what the worker may be held up by.
pub(crate) const SEND_AHEAD: u64 = 250_000;

/// For how long the latest T3 is remembered, in seconds; twice that at the most.
pub(crate) const LATENESS_WINDOW_S: u64 = 16;

/// Answers about a NIC's clock that wait for the engine, which asks at most 128 times a second and looks once a millisecond. Where it
/// does not look, further ones are dropped.
pub(crate) const NIC_CLOCK_ANSWERS: usize = 16;

/// Turns with packets for which a reading of a NIC's clock is put off: some hundred microseconds under load.
pub(crate) const NIC_CLOCK_PUT_OFF: u32 = 64;

/// How often the clock is read for one answer, of which the quickest counts: each costs some reads across the bus.
pub(crate) const NIC_CLOCK_TRIES: usize = 3;
