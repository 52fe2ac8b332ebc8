//! Raw counters and what a port says about when a packet passed.

/// A raw value of one [`Counter`]. Values of counters narrower than 64 bits wrap; [`crate::ClockModel`] knows the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ticks(pub u64);

/// Where ticks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// The processor's time stamp counter.
    Tsc,
    /// CLOCK_MONOTONIC_RAW, in nanoseconds.
    MonotonicRaw,
    /// CLOCK_REALTIME, in nanoseconds since its epoch: what the kernel's software stamps count. The only counter here that
    /// somebody steers.
    Realtime,
    /// The clock of a NIC, in its own unit: nanoseconds where a kernel shows it as `/dev/ptpN`. It may be steered.
    Nic(ClockId),
}

/// Which clock of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockId(pub u8);

impl ClockId {
    /// The system clock, CLOCK_REALTIME.
    pub const SYSTEM: Self = Self(0);
}

/// How good a stamp is: who took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StampSource {
    /// Our own program, reading a counter near the packet's burst.
    Software,
    /// The kernel, when the driver handed the packet over.
    Kernel,
    /// The NIC, in a register that holds one stamp at a time.
    Latch,
    /// The NIC, stored with the packet itself.
    Hardware,
}

/// When a packet passed, in ticks of `counter`, according to `source`. A stamp that was not taken is `None` wherever an
/// `Option<Stamp>` stands: nothing assumes that a stamp arrives, arrives once, or arrives in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The counter's value as the packet passed.
    pub ticks: Ticks,
    /// The counter that was read.
    pub counter: Counter,
    /// Who read it.
    pub source: StampSource,
}

/// When a message passed, by the local counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// By the local counter.
    pub ticks: Ticks,
    /// Who took the stamp.
    pub source: StampSource,
}

/// What a TX stamp is wanted for, the least first: where a port takes one stamp at a time, the greater goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum StampPriority {
    /// An NTP reply, of which any may be stamped.
    #[default]
    Sampled,
    /// A request whose round trip is measured: Delay_Req and Pdelay_Req of PTP (IEEE 1588-2019 11.3 and 11.4).
    DelayReq,
    /// A Pdelay_Resp of PTP, which somebody waits for (11.4).
    PdelayResp,
    /// A Sync of PTP, which everybody waits for (11.2).
    Sync,
}

impl StampPriority {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Sampled, Self::DelayReq, Self::PdelayResp, Self::Sync];
}

/// The right to one TX stamp. Neither `Clone` nor `Copy`: each token given to a port with a packet comes back exactly
/// once, with [`TxStamp::Stamped`] or [`TxStamp::Lost`].
#[derive(Debug, PartialEq, Eq, Hash)]
#[must_use = "a token that is dropped can no longer be answered"]
pub struct TxToken {
    key: u64,
    priority: StampPriority,
}

impl TxToken {
    /// A token that carries `key`, by which its maker will know it again, of the least priority.
    pub const fn new(key: u64) -> Self {
        Self { key, priority: StampPriority::Sampled }
    }

    /// The same token with another priority.
    pub const fn with_priority(self, priority: StampPriority) -> Self {
        Self { priority, ..self }
    }

    /// What its stamp is wanted for.
    #[must_use]
    pub const fn priority(&self) -> StampPriority {
        self.priority
    }

    /// Gives the token back for its key.
    #[must_use]
    pub const fn redeem(self) -> u64 {
        self.key
    }
}

/// What became of a wish for a TX stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStamp {
    /// The packet left at this time.
    Stamped(Stamp),
    /// Nobody knows when the packet left, or whether.
    Lost,
}
