//! What a worker counts: one writer, any number of readers, no locked instruction.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crossbeam_utils::CachePadded;
use sidereal_ntp::ReplyKind;
use sidereal_time::StampFault;

use crate::DropReason;

/// Things that a worker counts besides replies by kind and drops by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Packets taken from the queue.
    Received,
    /// Bursts that held at least one packet.
    Bursts,
    /// Packets handed to the NIC or the kernel for sending.
    Sent,
    /// Replies that the TX queue would not take.
    Refused,
    /// Packets lost before the worker saw them.
    Missed,
    /// Packets given to the kernel through the exception path.
    ToKernel,
    /// Packets for the kernel that found the ring full, or no exception path at all.
    KernelRingFull,
    /// Packets of the kernel that were sent out of the port.
    FromKernel,
    /// NTP requests that PTP carried, answered; they are among the replies by kind as well.
    RepliesOverPtp,
    /// Delay_Req of PTP answered.
    DelayResponses,
    /// PTP messages handed to the engine.
    ToEngine,
    /// PTP messages for the engine that found the ring full.
    EngineRingFull,
    /// PTP messages of the engine that were sent.
    FromEngine,
    /// TX stamps that came back.
    StampsTaken,
    /// TX stamps that were asked for and lost.
    StampsLost,
    /// Replies whose TX stamps calibrated T3.
    T3Samples,
    /// Such replies whose stamps were lost.
    T3SamplesLost,
    /// Such replies whose stamps were nowhere near the time at which they must have left.
    T3SamplesRefused,
    /// How long a reply takes from being handed over to an idle wire, as T3 has it, in nanoseconds: no count, but a level.
    T3LatencyNs,
    /// How much too late T3 was at most in the last 16 to 32 seconds, in nanoseconds: a level likewise.
    T3SpreadNs,
    /// Bursts that the NIC was to send on time and got too late.
    T3Missed,
    /// Bursts answered as unsynchronised because the snapshot was too old.
    StaleBursts,
    /// Stamps of a NIC that are not believed: [`StampFault::Zero`].
    StampsZero,
    /// [`StampFault::UnknownClock`].
    StampsOfUnknownClock,
    /// [`StampFault::Off2To32Ns`].
    StampsOff2To32Ns,
    /// [`StampFault::Future`].
    StampsFromTheFuture,
    /// [`StampFault::Old`].
    StampsTooOld,
}

impl Count {
    /// All of them, in order.
    pub const ALL: [Self; 27] = [
        Self::Received,
        Self::Bursts,
        Self::Sent,
        Self::Refused,
        Self::Missed,
        Self::ToKernel,
        Self::KernelRingFull,
        Self::FromKernel,
        Self::RepliesOverPtp,
        Self::DelayResponses,
        Self::ToEngine,
        Self::EngineRingFull,
        Self::FromEngine,
        Self::StampsTaken,
        Self::StampsLost,
        Self::T3Samples,
        Self::T3SamplesLost,
        Self::T3SamplesRefused,
        Self::T3LatencyNs,
        Self::T3SpreadNs,
        Self::T3Missed,
        Self::StaleBursts,
        Self::StampsZero,
        Self::StampsOfUnknownClock,
        Self::StampsOff2To32Ns,
        Self::StampsFromTheFuture,
        Self::StampsTooOld,
    ];

    /// Its name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Bursts => "bursts",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Missed => "missed",
            Self::ToKernel => "to_kernel",
            Self::KernelRingFull => "kernel_ring_full",
            Self::FromKernel => "from_kernel",
            Self::RepliesOverPtp => "replies_over_ptp",
            Self::DelayResponses => "ptp_delay_responses",
            Self::ToEngine => "to_engine",
            Self::EngineRingFull => "engine_ring_full",
            Self::FromEngine => "from_engine",
            Self::StampsTaken => "stamps_taken",
            Self::StampsLost => "stamps_lost",
            Self::T3Samples => "t3_samples",
            Self::T3SamplesLost => "t3_samples_lost",
            Self::T3SamplesRefused => "t3_samples_refused",
            Self::T3LatencyNs => "t3_latency_ns",
            Self::T3SpreadNs => "t3_spread_ns",
            Self::T3Missed => "t3_missed",
            Self::StaleBursts => "stale_bursts",
            Self::StampsZero => StampFault::Zero.name(),
            Self::StampsOfUnknownClock => StampFault::UnknownClock.name(),
            Self::StampsOff2To32Ns => StampFault::Off2To32Ns.name(),
            Self::StampsFromTheFuture => StampFault::Future.name(),
            Self::StampsTooOld => StampFault::Old.name(),
        }
    }

    /// Where stamps with this fault are counted.
    #[must_use]
    pub const fn of_fault(fault: StampFault) -> Self {
        match fault {
            StampFault::Zero => Self::StampsZero,
            StampFault::UnknownClock => Self::StampsOfUnknownClock,
            StampFault::Off2To32Ns => Self::StampsOff2To32Ns,
            StampFault::Future => Self::StampsFromTheFuture,
            StampFault::Old => Self::StampsTooOld,
        }
    }
}

/// The counters of one worker. Only this worker writes them, so adding is a plain load and store; each begins a cache
/// line of its own so that no two workers share one.
#[derive(Debug)]
pub struct WorkerCounters {
    counts: CachePadded<[AtomicU64; Count::ALL.len()]>,
    replies: CachePadded<[AtomicU64; ReplyKind::ALL.len()]>,
    drops: CachePadded<[AtomicU64; DropReason::COUNT]>,
}

impl WorkerCounters {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: CachePadded::new([const { AtomicU64::new(0) }; _]),
            replies: CachePadded::new([const { AtomicU64::new(0) }; _]),
            drops: CachePadded::new([const { AtomicU64::new(0) }; _]),
        }
    }

    pub(crate) fn add(&self, what: Count, n: u64) {
        if let Some(counter) = self.counts.get(what as usize) {
            add(counter, n);
        }
    }

    pub(crate) fn set(&self, what: Count, value: u64) {
        if let Some(counter) = self.counts.get(what as usize) {
            counter.store(value, Relaxed);
        }
    }

    pub(crate) fn replied(&self, kind: ReplyKind) {
        if let Some(counter) = self.replies.get(kind.index()) {
            add(counter, 1);
        }
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        if let Some(counter) = self.drops.get(reason.index()) {
            add(counter, 1);
        }
    }

    /// What they say now. Each value is exact; two of them may be of slightly different moments.
    #[must_use]
    pub fn read(&self) -> CounterReading {
        CounterReading {
            counts: self.counts.each_ref().map(|counter| counter.load(Relaxed)),
            replies: self.replies.each_ref().map(|counter| counter.load(Relaxed)),
            drops: self.drops.each_ref().map(|counter| counter.load(Relaxed)),
        }
    }
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self::new()
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// What the counters of a worker said at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterReading {
    counts: [u64; Count::ALL.len()],
    replies: [u64; ReplyKind::ALL.len()],
    drops: [u64; DropReason::COUNT],
}

impl CounterReading {
    /// One of the plain counts.
    #[must_use]
    pub fn count(&self, what: Count) -> u64 {
        self.counts.get(what as usize).copied().unwrap_or(0)
    }

    /// Replies by kind.
    pub fn replies(&self) -> impl Iterator<Item = (ReplyKind, u64)> {
        ReplyKind::ALL.iter().copied().zip(self.replies)
    }

    /// Drops by reason.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::all().zip(self.drops)
    }
}
