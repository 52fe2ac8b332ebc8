//! Packets in bursts.

use arrayvec::ArrayVec;
use core::net::IpAddr;
use core::time::Duration;
use sidereal_time::{Stamp, Ticks, TxStamp, TxToken};

/// How many packets a queue hands over at once at the most.
pub const BURST: usize = 32;

/// How many tokens a TX queue holds, waiting for their stamps or to be polled. Where more packets than this wait for their
/// stamps, the next token is lost at once; see [`TxQueue::poll_stamp`].
pub const TOKENS: usize = 1024;

/// A burst of packets on its way through a worker.
pub type Burst<P> = ArrayVec<P, BURST>;

/// Who sent a datagram to whom. Ports in host order. A directed broadcast (which only the kernel can tell from an address
/// of our own) is told as one to 255.255.255.255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The sender.
    pub source: IpAddr,
    /// The sender's UDP port.
    pub source_port: u16,
    /// To whom it was sent: one of our addresses, or a group.
    pub destination: IpAddr,
    /// To which UDP port.
    pub destination_port: u16,
}

impl Flow {
    /// The way back.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
        }
    }
}

/// A packet's bytes, as the kind of its queue sees them. Each slice is the whole buffer; the first `len` bytes are what
/// was received, the rest is room for a longer reply.
#[derive(Debug)]
pub enum Content<'a> {
    /// A frame from the Ethernet header on, without the frame check sequence.
    Frame {
        /// The buffer.
        buffer: &'a mut [u8],
        /// How much of it was received.
        len: usize,
        /// What the NIC found out about the checksums.
        checksums: RxChecksums,
    },
    /// The payload of one UDP datagram: the kernel has dealt with its headers.
    Datagram {
        /// The buffer.
        buffer: &'a mut [u8],
        /// How long the datagram is. Greater than the buffer where the buffer took only the beginning of it and the rest is
        /// lost: such a datagram can only be dropped.
        len: usize,
        /// Its addresses and ports.
        flow: Flow,
    },
}

/// What a NIC says of the checksums of a received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RxChecksums {
    /// Nothing: they must be verified.
    #[default]
    Unknown,
    /// IP header and UDP checksum are right.
    Good,
    /// At least one is wrong.
    Bad,
}

/// One received packet and what shall become of it. Until [`Packet::reply`] is called it is to be released. Either way it
/// goes to [`TxQueue::transmit`]: that is what gives its buffer back to the queue it came from.
pub trait Packet {
    /// The packet's bytes.
    fn content(&mut self) -> Content<'_>;

    /// When it arrived, if anybody knows.
    fn stamp(&self) -> Option<Stamp>;

    /// Marks it to be sent back out of its own queue: the first `len` bytes of the buffer (of a datagram: to where it came
    /// from, from the address it was sent to). `token` asks for a TX stamp. A `len` beyond the buffer is cut to it.
    fn reply(&mut self, len: usize, token: Option<TxToken>);

    /// Has it leave, if it is marked to be sent, when the port's own clock stands at `at`, and what is behind it in the queue after
    /// it. Only ports that send on time ([`crate::Capabilities::send_on_time`]) do it; by others it leaves as soon as it can.
    fn leave_at(&mut self, _at: Ticks) {}
}

/// The receiving half of a queue.
pub trait RxQueue {
    /// The packets it hands out.
    type Packet: Packet;

    /// Appends what has arrived to `burst`, as far as there is room, and never waits. Returns how many came.
    fn receive(&mut self, burst: &mut Burst<Self::Packet>) -> usize;

    /// Waits until something may have arrived, `at_most` this long. Called only where the configuration lets an idle worker
    /// sleep; a queue that cannot be woken by its NIC just sleeps.
    fn wait(&mut self, at_most: Duration) {
        std::thread::sleep(at_most);
    }

    /// Packets lost before they came here, since the queue was opened: no buffer, full ring. Asked only when somebody reads the
    /// statistics, as it may cost a system call.
    fn missed(&mut self) -> u64;
}

/// What a TX queue did with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Packets handed to the NIC or the kernel.
    pub sent: usize,
    /// Packets marked for sending that the queue would not take; their tokens come back lost.
    pub refused: usize,
}

/// The sending half of a queue, for packets of the kind `P`.
pub trait TxQueue<P: Packet> {
    /// Sends every packet of the burst that is marked, in order, releases all others, and leaves the burst empty.
    fn transmit(&mut self, burst: &mut Burst<P>) -> Sent;

    /// Sends one packet that is not a reply: a frame on a frame queue. Returns false where the queue would not take it.
    fn originate(&mut self, frame: &[u8], token: Option<TxToken>) -> bool;

    /// The next token that is answered, in any order; `None` when none is. Never waits. Every token comes back exactly once
    /// to a caller that polls until `None` after each burst; for one that does not, tokens beyond [`TOKENS`] are dropped.
    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)>;
}
