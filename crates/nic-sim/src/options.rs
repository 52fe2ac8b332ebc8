//! What kind of NIC is simulated.

use sidereal_nic::{Ability, Capabilities, ChecksumOffload, RxChecksums, RxStamps, SendOnTime, Stamped, TxStamps};
use sidereal_time::{ClockId, Counter, Span, Ticks};

use crate::SimWire;

/// What kind of NIC is simulated, at both ends of a link.
#[derive(Debug, Clone, Copy)]
pub struct SimOptions {
    /// What the packets are.
    pub packets: SimPackets,
    /// How many packets are under way in each direction at the most.
    pub ring: usize,
    /// The size of a buffer in bytes, and so the longest packet.
    pub buffer: usize,
    /// The counter that stamps are read from.
    pub counter: Counter,
    /// Where the counter stands at first.
    pub ticks: Ticks,
    /// Who stamps received packets; with [`RxStamps::Software`] nobody does and packets come without.
    pub rx_stamps: RxStamps,
    /// Who stamps sent packets.
    pub tx_stamps: TxStamps,
    /// What becomes of TX stamps on their way back.
    pub stamp_faults: StampFaults,
    /// What received frames say of their checksums.
    pub checksums: RxChecksums,
    /// What becomes of a packet for which the ring has no room.
    pub when_full: WhenFull,
    /// The way to the wire and the wire; without, packets leave as they are handed over.
    pub wire: Option<SimWire>,
}

/// What a simulated link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SimPackets {
    /// Frames from the Ethernet header on, as from a NIC.
    #[default]
    Frames,
    /// The payload of datagrams, as from sockets.
    Datagrams,
}

/// What becomes of TX stamps on their way back. The shares are kept exactly, spread evenly: no chance is involved.
#[derive(Debug, Clone, Copy, Default)]
pub struct StampFaults {
    /// How many of a hundred stamps are lost.
    pub lost_percent: u8,
    /// How many of a hundred stamps come late.
    pub late_percent: u8,
    /// How many ticks after the packet left a late stamp can be polled.
    pub late_by: u64,
}

/// What becomes of a packet for which the ring has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The sender's ring is full: its queue refuses the packet.
    #[default]
    Refused,
    /// It leaves, and the receiver counts it as missed.
    Missed,
}

impl Default for SimOptions {
    /// A NIC with hardware stamps and no faults, 256 buffers of 2048 bytes in each direction.
    fn default() -> Self {
        Self {
            packets: SimPackets::Frames,
            ring: 256,
            buffer: 2048,
            counter: Counter::Nic(ClockId(1)),
            ticks: Ticks(0),
            rx_stamps: RxStamps::Hardware(Stamped::All),
            tx_stamps: TxStamps::Latch,
            stamp_faults: StampFaults::default(),
            checksums: RxChecksums::Unknown,
            when_full: WhenFull::Refused,
            wire: None,
        }
    }
}

impl SimOptions {
    /// What such a port can do, as a backend tells it.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            rx_stamps: Ability::claimed(self.rx_stamps),
            tx_stamps: Ability::claimed(self.tx_stamps),
            send_on_time: Ability::claimed(
                self.wire
                    .and_then(|wire| wire.send_on_time)
                    .map(|granularity| SendOnTime { granularity: Span::from_nanos(granularity.into()) }),
            ),
            clock: None,
            checksums: ChecksumOffload {
                rx: self.checksums != RxChecksums::Unknown,
                by_kernel: self.packets == SimPackets::Datagrams,
            },
            queues: 1,
            spread_by_address: true,
            max_length: self.buffer,
        }
    }
}
