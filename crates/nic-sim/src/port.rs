//! Two ports and the rings between them.

use crate::tokens::Tokens;
use crate::wire::{Batch, Wire};
use crate::{SimControl, SimOptions, SimPackets, WhenFull};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use rtrb::{Consumer, Producer, RingBuffer};
use sidereal_nic::{Burst, Content, Flow, Packet, RxChecksums, RxQueue, RxStamps, Sent, Stamped, TxQueue, TxStamps};
use sidereal_time::{Counter, Stamp, StampSource, Ticks, TxStamp, TxToken};
use std::sync::Arc;

/// Makes two ports joined by a cable, and the hand on it.
#[must_use]
pub fn link(options: &SimOptions) -> (SimPort, SimPort, SimControl) {
    let control = SimControl::new(options.ticks);
    let (near_out, far_in) = direction(options);
    let (far_out, near_in) = direction(options);
    let near = SimPort::new(near_in, near_out, &control, options);
    let far = SimPort::new(far_in, far_out, &control, options);
    (near, far, control)
}

/// One end of a link.
#[derive(Debug)]
pub struct SimPort {
    /// Receives what the other end sends.
    pub rx: SimRx,
    /// Sends to the other end.
    pub tx: SimTx,
}

impl SimPort {
    fn new(incoming: Incoming, outgoing: Outgoing, control: &SimControl, options: &SimOptions) -> Self {
        Self {
            rx: SimRx {
                arriving: incoming.arriving,
                missed: incoming.missed,
                rx_stamps: options.rx_stamps,
                counter: options.counter,
                checksums: options.checksums,
                control: control.clone(),
                wire: options.wire.map(|wire| Wire::new(wire, options.ticks)),
            },
            tx: SimTx {
                outgoing,
                returning: incoming.returning,
                tokens: Tokens::new(options.stamp_faults),
                packets: options.packets,
                tx_stamps: options.tx_stamps,
                counter: options.counter,
                when_full: options.when_full,
                control: control.clone(),
                wire: options.wire.map(|wire| Wire::new(wire, options.ticks)),
            },
        }
    }

    /// Sends a frame that arrives at the other end at `at`: later frames must not arrive earlier. Returns false as [`Self::send`].
    pub fn send_at(&mut self, frame: &[u8], at: Ticks) -> bool {
        let possible = self.tx.packets == SimPackets::Frames && frame.len() <= self.tx.outgoing.longest;
        possible && self.tx.put(at, |buffer| buffer.fill(frame, None)).is_ok()
    }

    /// Sends a frame to the other end. Returns false where that was impossible: link down, ring full, frame longer than a
    /// buffer, a link that carries datagrams.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        self.tx.originate(frame, None)
    }

    /// Sends a datagram to the other end, as sockets would deliver it. One longer than a buffer arrives cut. Returns false
    /// where that was impossible: link down, ring full, a link that carries frames.
    pub fn send_datagram(&mut self, payload: &[u8], flow: Flow) -> bool {
        self.tx.packets == SimPackets::Datagrams
            && self.tx.put(self.tx.control.ticks(), |buffer| buffer.fill(payload, Some(flow))).is_ok()
    }

    /// Takes the next packet off the link and copies its beginning into `into`.
    pub fn take(&mut self, into: &mut [u8]) -> Option<Taken> {
        let buffer = self.rx.arriving.pop().ok()?;
        for (to, from) in into.iter_mut().zip(buffer.bytes.iter().take(buffer.len)) {
            *to = *from;
        }
        let taken = Taken { len: buffer.len, flow: buffer.flow, ticks: buffer.ticks };
        self.tx.release(buffer);
        Some(taken)
    }
}

/// A packet that a test took off the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its length; where that exceeds the slice it was copied to, the rest of it is lost.
    pub len: usize,
    /// Its addresses and ports, if it is a datagram and not a frame.
    pub flow: Option<Flow>,
    /// When it left the other end.
    pub ticks: Ticks,
}

/// The receiving half of a simulated port.
#[derive(Debug)]
pub struct SimRx {
    arriving: Consumer<Box<Buffer>>,
    missed: Arc<AtomicU64>,
    rx_stamps: RxStamps,
    counter: Counter,
    checksums: RxChecksums,
    control: SimControl,
    wire: Option<Wire>,
}

impl RxQueue for SimRx {
    type Packet = SimPacket;

    fn receive(&mut self, burst: &mut Burst<SimPacket>) -> usize {
        let before = burst.len();
        let mut latched = 0;
        while !burst.is_full() {
            let now = self.control.ticks();
            if self.wire.is_some()
                && self.arriving.peek().is_ok_and(|next| next.ticks.0.wrapping_sub(now.0).cast_signed() > 0)
            {
                break;
            }
            let Ok(buffer) = self.arriving.pop() else { break };
            let is_last = burst.remaining_capacity() == 1 || self.arriving.is_empty();
            let is_stamped = self.rx_stamps.by_nic() != Some(Stamped::Ptp) || buffer.is_ptp();
            let source = match self.rx_stamps {
                RxStamps::Software => None,
                RxStamps::Kernel => Some(StampSource::Kernel),
                RxStamps::Hardware(_) => is_stamped.then_some(StampSource::Hardware),
                RxStamps::Latch(count, _) => {
                    latched += usize::from(is_stamped);
                    (is_stamped && latched <= usize::from(count)).then_some(StampSource::Latch)
                }
                RxStamps::LastOfQueue(_) => (is_stamped && is_last).then_some(StampSource::Latch),
            };
            let stamp = source.map(|source| Stamp { ticks: buffer.ticks, counter: self.counter, source });
            let handling = self.wire.as_mut().map(|wire| (wire.handling(), self.control.clone()));
            burst.push(SimPacket { buffer, stamp, checksums: self.checksums, reply: None, leave_at: None, handling });
        }
        burst.len() - before
    }

    /// Returns at once: how much time passes is for the test to say.
    fn wait(&mut self, _at_most: Duration) {}

    fn missed(&mut self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// A received packet.
#[derive(Debug)]
pub struct SimPacket {
    buffer: Box<Buffer>,
    stamp: Option<Stamp>,
    checksums: RxChecksums,
    reply: Option<(usize, Option<TxToken>)>,
    leave_at: Option<Ticks>,
    /// How long it takes to answer it, and whose time passes then.
    handling: Option<(u64, SimControl)>,
}

impl Packet for SimPacket {
    #[inline]
    fn content(&mut self) -> Content<'_> {
        let Buffer { bytes, len, flow, .. } = &mut *self.buffer;
        match *flow {
            Some(flow) => Content::Datagram { buffer: bytes, len: *len, flow },
            None => Content::Frame { buffer: bytes, len: *len, checksums: self.checksums },
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    #[inline]
    fn reply(&mut self, len: usize, token: Option<TxToken>) {
        if let Some((handling, control)) = self.handling.take() {
            control.advance(handling);
        }
        self.reply = Some((len.min(self.buffer.bytes.len()), token));
    }

    fn leave_at(&mut self, at: Ticks) {
        self.leave_at = Some(at);
    }
}

/// The sending half of a simulated port.
#[derive(Debug)]
pub struct SimTx {
    outgoing: Outgoing,
    returning: Producer<Box<Buffer>>,
    tokens: Tokens,
    packets: SimPackets,
    tx_stamps: TxStamps,
    counter: Counter,
    when_full: WhenFull,
    control: SimControl,
    wire: Option<Wire>,
}

impl TxQueue<SimPacket> for SimTx {
    fn transmit(&mut self, burst: &mut Burst<SimPacket>) -> Sent {
        let mut outcome = Sent::default();
        let batch = self.batch();
        for SimPacket { mut buffer, reply, leave_at, .. } in burst.drain(..) {
            let Some((len, token)) = reply else {
                self.release(buffer);
                continue;
            };
            buffer.len = len;
            buffer.flow = buffer.flow.map(Flow::reversed);
            let mut reply = Some(buffer);
            // The reply leaves in its own buffer, and the free one it displaces goes back in its place.
            let left = self.leave(batch, len, leave_at);
            let result = left.and_then(|left| {
                self.put(left, |free| {
                    if let Some(reply) = &mut reply {
                        core::mem::swap(free, reply);
                    }
                })?;
                Ok(left)
            });
            if let Some(buffer) = reply {
                self.release(buffer);
            }
            match result {
                Ok(_) => outcome.sent += 1,
                Err(Refused) => outcome.refused += 1,
            }
            self.answer(token, result);
        }
        outcome
    }

    fn originate(&mut self, frame: &[u8], token: Option<TxToken>) -> bool {
        let possible = self.packets == SimPackets::Frames && frame.len() <= self.outgoing.longest;
        let batch = self.batch();
        let result = if possible { self.leave(batch, frame.len(), None) } else { Err(Refused) };
        let result = result.and_then(|left| {
            self.put(left, |buffer| buffer.fill(frame, None))?;
            Ok(left)
        });
        self.answer(token, result);
        result.is_ok()
    }

    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        self.tokens.poll(self.control.ticks())
    }
}

/// The queue would not take the packet.
#[derive(Debug, Clone, Copy)]
struct Refused;

impl SimTx {
    /// Packets that were to leave at a time which had passed when they came. They left at once.
    #[must_use]
    pub fn past_times(&self) -> u64 {
        self.wire.as_ref().map_or(0, Wire::past)
    }

    /// Something is handed over.
    fn batch(&mut self) -> Option<Batch> {
        let now = self.control.ticks();
        self.wire.as_mut().map(|wire| wire.batch(now))
    }

    /// When a packet leaves.
    fn leave(&mut self, batch: Option<Batch>, len: usize, leave_at: Option<Ticks>) -> Result<Ticks, Refused> {
        match (&mut self.wire, batch) {
            (Some(wire), Some(batch)) => wire.send(batch, len, leave_at).ok_or(Refused),
            _ => Ok(self.control.ticks()),
        }
    }

    /// Puts a packet that leaves at `left` on the link: `write` makes it of a free buffer.
    fn put(&mut self, left: Ticks, write: impl FnOnce(&mut Box<Buffer>)) -> Result<(), Refused> {
        if !self.control.link_up() {
            return Err(Refused);
        }
        let Ok(mut buffer) = self.outgoing.free.pop() else {
            if self.when_full == WhenFull::Refused {
                return Err(Refused);
            }
            self.outgoing.missed.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        write(&mut buffer);
        buffer.ticks = left;
        // There are only as many buffers as the ring has places.
        self.outgoing.leaving.push(buffer).map_err(|_| Refused)
    }

    fn release(&mut self, buffer: Box<Buffer>) {
        // There are only as many buffers as the ring has places, so this cannot fail.
        let _ = self.returning.push(buffer);
    }

    fn answer(&mut self, token: Option<TxToken>, result: Result<Ticks, Refused>) {
        let Some(token) = token else { return };
        let ticks = self.control.ticks();
        let source = match self.tx_stamps {
            TxStamps::None => None,
            TxStamps::Software => Some(StampSource::Software),
            TxStamps::Kernel => Some(StampSource::Kernel),
            TxStamps::Latch | TxStamps::Fifo(_) => Some(StampSource::Latch),
            TxStamps::Hardware => Some(StampSource::Hardware),
        };
        match (source, result) {
            (Some(source), Ok(left)) => match &mut self.wire {
                None => self.tokens.stamped(token, Stamp { ticks: left, counter: self.counter, source }),
                Some(wire) => {
                    let (stamp, due) = wire.stamp(ticks, left);
                    let counter = self.counter;
                    let stamp = stamp.map(|ticks| TxStamp::Stamped(Stamp { ticks, counter, source }));
                    self.tokens.answered(token, stamp.unwrap_or(TxStamp::Lost), due);
                }
            },
            (None, _) | (_, Err(Refused)) => self.tokens.lost(token, ticks),
        }
    }
}

/// A packet's bytes and what the link knows of it.
#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    flow: Option<Flow>,
    ticks: Ticks,
}

impl Buffer {
    /// Whether it is what NICs take for PTP that know only that on Ethernet (IEEE 1588-2019 annex F).
    fn is_ptp(&self) -> bool {
        self.flow.is_none() && self.bytes.get(12..14) == Some(&[0x88, 0xf7])
    }

    fn fill(&mut self, packet: &[u8], flow: Option<Flow>) {
        for (to, from) in self.bytes.iter_mut().zip(packet) {
            *to = *from;
        }
        self.len = packet.len();
        self.flow = flow;
    }
}

/// The sender's end of one direction. Buffers go round: free, leaving, and free again when the receiver gives them back.
#[derive(Debug)]
struct Outgoing {
    leaving: Producer<Box<Buffer>>,
    free: Consumer<Box<Buffer>>,
    missed: Arc<AtomicU64>,
    longest: usize,
}

/// The receiver's end of one direction.
struct Incoming {
    arriving: Consumer<Box<Buffer>>,
    returning: Producer<Box<Buffer>>,
    missed: Arc<AtomicU64>,
}

fn direction(options: &SimOptions) -> (Outgoing, Incoming) {
    let (leaving, arriving) = RingBuffer::new(options.ring);
    let (mut returning, free) = RingBuffer::new(options.ring);
    for _ in 0..options.ring {
        let bytes = vec![0; options.buffer].into_boxed_slice();
        // The ring was made with a place for each.
        let _ = returning.push(Box::new(Buffer { bytes, len: 0, flow: None, ticks: Ticks(0) }));
    }
    let missed = Arc::new(AtomicU64::new(0));
    (
        Outgoing { leaving, free, missed: Arc::clone(&missed), longest: options.buffer },
        Incoming { arriving, returning, missed },
    )
}
