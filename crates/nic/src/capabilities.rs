//! What a port can do: what its driver claims, and what was found when that was tried.

use core::fmt;
use sidereal_time::{Rate, Span};

/// What a port can do. Shown to the user ([`Capabilities::statements`]), and what the worker's strategies are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Stamps of received packets.
    pub rx_stamps: Ability<RxStamps>,
    /// Stamps of sent packets.
    pub tx_stamps: Ability<TxStamps>,
    /// Whether the NIC sends a packet when its clock stands where we say.
    pub send_on_time: Ability<Option<SendOnTime>>,
    /// The clock that hardware stamps are read from; `None` where the port has none.
    pub clock: Option<ClockAbilities>,
    /// Checksums that the port verifies and computes itself.
    pub checksums: ChecksumOffload,
    /// RX/TX queue pairs that are open.
    pub queues: u16,
    /// Whether packets of one sender always meet the same queue.
    pub spread_by_address: bool,
    /// The longest frame or datagram it takes, in bytes.
    pub max_length: usize,
}

impl Capabilities {
    /// Who stamps replies of NTP. On sockets that is who stamps their requests: where the NIC stamps PTP alone, the kernel.
    #[must_use]
    pub fn reply_stamps(&self) -> TxStamps {
        let ptp_alone = self.rx_stamps.get().by_nic() == Some(Stamped::Ptp);
        if self.checksums.by_kernel && ptp_alone { TxStamps::Kernel } else { self.tx_stamps.get() }
    }
}

/// Something that a port can do or not: as its driver says, and as it was found where it was tried. Drivers say what
/// they would do if they were built for it, and what their documentation says they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ability<T> {
    claimed: T,
    found: Option<T>,
}

impl<T: Copy + PartialEq> Ability<T> {
    /// What the driver says, and nobody has tried.
    #[must_use]
    pub const fn claimed(claimed: T) -> Self {
        Self { claimed, found: None }
    }

    /// The same ability, tried, with this result.
    #[must_use]
    pub const fn tried(self, found: T) -> Self {
        Self { found: Some(found), ..self }
    }

    /// What is believed: what was found, or else what is claimed.
    #[must_use]
    pub fn get(&self) -> T {
        self.found.unwrap_or(self.claimed)
    }

    /// What is believed by.
    #[must_use]
    pub fn evidence(&self) -> Evidence<T> {
        match self.found {
            None => Evidence::Claimed,
            Some(found) if found == self.claimed => Evidence::Confirmed,
            Some(_) => Evidence::Refuted(self.claimed),
        }
    }
}

/// Why an ability is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence<T> {
    /// The driver says so.
    Claimed,
    /// The driver says so, and it was tried.
    Confirmed,
    /// It was tried; the driver had said this.
    Refuted(T),
}

/// Who stamps received packets, and where the stamps are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RxStamps {
    /// Our program, when it finds the burst.
    Software,
    /// The kernel, every packet.
    Kernel,
    /// The NIC; the stamp is stored with its packet.
    Hardware(Stamped),
    /// The NIC, in so many registers: while they are taken, packets come without a stamp.
    Latch(u8, Stamped),
    /// The NIC; the driver keeps the stamp of the last packet of each burst of a queue.
    LastOfQueue(Stamped),
}

impl RxStamps {
    /// Which packets the NIC stamps; `None` where it stamps none.
    #[must_use]
    pub const fn by_nic(self) -> Option<Stamped> {
        match self {
            Self::Software | Self::Kernel => None,
            Self::Hardware(stamped) | Self::Latch(_, stamped) | Self::LastOfQueue(stamped) => Some(stamped),
        }
    }
}

/// Which received packets a NIC stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamped {
    /// All of them.
    All,
    /// Event messages of PTP alone, in the transports that its filter knows.
    Ptp,
}

/// Who stamps sent packets, and where the stamps are found. Only packets sent with a token are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStamps {
    /// Nobody: every token comes back lost.
    None,
    /// Our program, when it hands the burst over.
    Software,
    /// The kernel, when the driver takes the packet.
    Kernel,
    /// The NIC, one packet at a time.
    Latch,
    /// The NIC; so many stamps may wait to be read, in the order of their packets.
    Fifo(u8),
    /// The NIC; each stamp comes back with its packet.
    Hardware,
}

/// How a NIC sends on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOnTime {
    /// How far apart the times are that it can send at.
    pub granularity: Span,
}

/// What can be done with a NIC's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAbilities {
    /// Whether it can be set.
    pub step: Ability<bool>,
    /// Whether its frequency can be set.
    pub frequency: Ability<bool>,
    /// What one reads who asks for the time.
    pub reading: Ability<ClockReading>,
    /// How many bits it has, 1 to 64.
    pub width: u8,
    /// The length of one tick, nominally.
    pub tick: Rate,
}

/// Which clock answers when a NIC's clock is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockReading {
    /// The one that stamps packets.
    Stamping,
    /// CLOCK_MONOTONIC_RAW of this host: the driver makes it up (`net_ice` of DPDK; `net_igc` before 26.03).
    Host,
    /// Another counter of the NIC, in another unit than its stamps (`net_mlx5` of DPDK before 24.11, in real-time mode).
    Other,
    /// None: it stands still.
    Stopped,
    /// None: the driver cannot read it.
    Unreadable,
}

/// Checksums that a port takes care of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChecksumOffload {
    /// It verifies IPv4 header and UDP checksums of received frames.
    pub rx: bool,
    /// The kernel does it all: we never see headers.
    pub by_kernel: bool,
}

impl fmt::Display for RxStamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software => f.write_str("software (the program's clock when the burst is found)"),
            Self::Kernel => f.write_str("kernel (every packet)"),
            Self::Hardware(stamped) => write!(f, "hardware, stored with the packet ({stamped})"),
            Self::Latch(1, stamped) => write!(f, "hardware, one register ({stamped})"),
            Self::Latch(count, stamped) => write!(f, "hardware, {count} registers ({stamped})"),
            Self::LastOfQueue(stamped) => write!(f, "hardware, the last packet of a queue ({stamped})"),
        }
    }
}

impl fmt::Display for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "every packet",
            Self::Ptp => "PTP alone",
        })
    }
}

impl fmt::Display for TxStamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Software => f.write_str("software (the program's clock when the burst is sent)"),
            Self::Kernel => f.write_str("kernel (packets that ask for one)"),
            Self::Latch => f.write_str("hardware, one packet at a time"),
            Self::Fifo(depth) => write!(f, "hardware, up to {depth} packets at a time"),
            Self::Hardware => f.write_str("hardware, any packet that asks for one"),
        }
    }
}

impl fmt::Display for ClockReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stamping => "the clock that stamps packets",
            Self::Host => "CLOCK_MONOTONIC_RAW of the host",
            Self::Other => "another counter than the one that stamps packets",
            Self::Stopped => "a clock that stands still",
            Self::Unreadable => "nothing: it cannot be read",
        })
    }
}
