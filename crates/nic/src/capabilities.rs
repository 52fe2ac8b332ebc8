//! What a port can do, as it was found when it was opened.

use core::fmt;

/// What a port can do. Shown to the user, and what the worker's strategies are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Stamps of received packets.
    pub rx_stamps: RxStamps,
    /// Stamps of sent packets.
    pub tx_stamps: TxStamps,
    /// Checksums that the port verifies and computes itself.
    pub checksums: ChecksumOffload,
    /// RX/TX queue pairs that are open.
    pub queues: u16,
    /// Whether packets of one sender always meet the same queue.
    pub spread_by_address: bool,
    /// The longest frame or datagram it takes, in bytes.
    pub max_length: usize,
}

/// Which received packets are stamped, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RxStamps {
    /// By our program, when it finds the burst.
    Software,
    /// Every packet, by the kernel.
    Kernel,
    /// Every packet, by the NIC.
    Hardware,
}

/// Which sent packets are stamped, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStamps {
    /// By our program, when it hands the burst over.
    Software,
    /// Packets sent with a token, by the kernel.
    Kernel,
    /// Packets sent with a token, one at a time, by the NIC.
    Latch,
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
        f.write_str(match self {
            Self::Software => "software (the program's clock when the burst is found)",
            Self::Kernel => "kernel (every packet)",
            Self::Hardware => "hardware (every packet)",
        })
    }
}

impl fmt::Display for TxStamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Software => "software (the program's clock when the burst is sent)",
            Self::Kernel => "kernel (packets of interleaved clients)",
            Self::Latch => "hardware, one packet at a time",
        })
    }
}
