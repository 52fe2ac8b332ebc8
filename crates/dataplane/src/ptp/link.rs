//! The rings between the workers of a port and the engine.

use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rtrb::{Consumer, Producer, RingBuffer};
use sidereal_ptp::{Address, Destination, MAX_MESSAGE_LEN, MessageClass, MessageType, PortKey, Responders};
use sidereal_publish::{TableReader, TableWriter};
use sidereal_time::{Rate, Span, Stamp, StampPriority, Ticks, TxToken};
use std::sync::Arc;

use super::NicStamps;
use super::next_hops::NextHops;
use super::{Framing, PtpFrame, PtpJudge, PtpMessage, PtpService, ip};
use crate::limits::{
    PTP_FRAME_MAX, PTP_RING_HEARD, PTP_RING_OUTGOING, PTP_STAMPS, PTP_TO_ENGINE_BURST, PTP_TO_ENGINE_PER_S,
};

/// The ends of the workers, one for each of `queues`, and that of the engine, of the link between a port that carries
/// `services` and the engine. What the engine sends goes out by the first queue. `by_nic` says whether the port claims that its NIC
/// stamps event messages.
#[must_use]
pub fn ptp_link(
    services: &[PtpService],
    responders: &TableWriter<Responders>,
    queues: usize,
    by_nic: bool,
) -> (Vec<WorkerPtp>, EnginePtp) {
    let (outgoing, from_engine) = RingBuffer::new(PTP_RING_OUTGOING);
    let (to_engine, stamps) = RingBuffer::new(PTP_STAMPS);
    let mut outlet = Some(Outlet { from_engine, stamps: to_engine });
    let (mut heard, mut answered) = (Vec::new(), Vec::new());
    let workers = (0..queues)
        .map(|_| {
            let (to_engine, from_worker) = RingBuffer::new(PTP_RING_HEARD);
            heard.push(from_worker);
            let inlet = Inlet { to_engine, allowance: Allowance::default() };
            let own = Answered(services.iter().map(|service| (service.key, AtomicU64::new(0))).collect());
            answered.push((own.clone(), vec![0; services.len()]));
            WorkerPtp {
                judge: PtpJudge::new(services.to_vec()),
                responders: responders.reader(),
                nic_stamps: NicStamps::claimed(by_nic),
                answered: own,
                inlet,
                outlet: outlet.take(),
            }
        })
        .collect();
    let framings = services.iter().map(|service| (service.key, service.framing.clone())).collect();
    let waiting = [None; PTP_STAMPS];
    let next_hops = NextHops::default();
    (workers, EnginePtp { framings, heard, answered, outgoing, stamps, waiting, next_hops })
}

/// A worker's end of the link.
#[derive(Debug)]
pub struct WorkerPtp {
    pub(crate) judge: PtpJudge,
    pub(crate) responders: TableReader<Responders>,
    pub(crate) nic_stamps: NicStamps,
    pub(crate) answered: Answered,
    pub(crate) inlet: Inlet,
    outlet: Option<Outlet>,
}

/// Where what the engine shall have goes in.
#[derive(Debug)]
pub(crate) struct Inlet {
    to_engine: Producer<Upward>,
    allowance: Allowance,
}

/// Where what the engine sends leaves.
#[derive(Debug)]
struct Outlet {
    from_engine: Consumer<Downward>,
    stamps: Producer<(u16, Option<Stamp>)>,
}

/// The engine's end.
#[derive(Debug)]
pub struct EnginePtp {
    framings: Vec<(PortKey, Framing)>,
    heard: Vec<Consumer<Upward>>,
    /// The Delay_Req that each worker has answered, and how many of them were told, by PTP Port.
    answered: Vec<(Answered, Vec<u64>)>,
    outgoing: Producer<Downward>,
    stamps: Consumer<(u16, Option<Stamp>)>,
    /// The packets whose stamps are to come back, each in its place.
    waiting: [Option<u64>; PTP_STAMPS],
    next_hops: NextHops,
}

/// A message on its way to the engine.
#[derive(Debug)]
struct Upward {
    key: PortKey,
    from: Address,
    mac: [u8; 6],
    stamp: Option<Stamp>,
    by_nic: bool,
    found: Ticks,
    message: ArrayVec<u8, MAX_MESSAGE_LEN>,
}

/// How many Delay_Req a worker has answered, by PTP Port: it alone counts, the engine's thread reads.
#[derive(Debug, Clone)]
pub(crate) struct Answered(Arc<[(PortKey, AtomicU64)]>);

impl Answered {
    pub(crate) fn add(&self, key: PortKey) {
        if let Some((_, count)) = self.0.iter().find(|(own, _)| *own == key) {
            count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
        }
    }
}

/// A frame of the engine.
#[derive(Debug)]
struct Downward {
    frame: ArrayVec<u8, PTP_FRAME_MAX>,
    /// Its place among those that wait for a stamp, if it wants one, and how much.
    place: Option<(u16, StampPriority)>,
}

/// What became of a message for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handed {
    /// It is on its way.
    Over,
    /// The ring is full.
    RingFull,
    /// There were too many in too short a time.
    TooMany,
}

impl Inlet {
    /// Hands over a message that lies in `buffer` and came with a burst that was found at `found` by a counter of this rate; with
    /// its stamp, and whether nothing else says when it arrived.
    pub(crate) fn hand_over(
        &mut self,
        heard: PtpMessage,
        buffer: &[u8],
        (stamp, by_nic): (Option<Stamp>, bool),
        (found, rate): (Ticks, Rate),
    ) -> Handed {
        if !self.allowance.take(found, rate) {
            return Handed::TooMany;
        }
        let PtpMessage { key, from, mac, message } = heard;
        let Ok(message) = ArrayVec::try_from(buffer.get(message).unwrap_or_default()) else { return Handed::RingFull };
        match self.to_engine.push(Upward { key, from, mac, stamp, by_nic, found, message }) {
            Ok(()) => Handed::Over,
            Err(_) => Handed::RingFull,
        }
    }
}

impl WorkerPtp {
    /// Gives the next frame that the engine wants sent to `send`, with the token that asks for its stamp, and returns what that
    /// returned; `None` where there is none.
    pub(crate) fn send_next(&mut self, send: impl FnOnce(&[u8], Option<TxToken>) -> bool) -> Option<bool> {
        let Downward { frame, place } = self.outlet.as_mut()?.from_engine.pop().ok()?;
        let token = |(place, priority)| TxToken::new(OURS | u64::from(place)).with_priority(priority);
        Some(send(&frame, place.map(token)))
    }

    /// The stamp of the frame whose token had `key`, of which [`is_ptp`] is true.
    pub(crate) fn stamped(&mut self, key: u64, stamp: Option<Stamp>) {
        let Some(outlet) = &mut self.outlet else { return };
        if let Ok(place) = u16::try_from(key & !OURS) {
            // There is room: the engine has no more places than the ring.
            let _ = outlet.stamps.push((place, stamp));
        }
    }
}

/// What tells the keys of our tokens from those of the NTP server, whose upper five bits are zero.
const OURS: u64 = 1 << 63;

/// Whether a token with this key is one of the engine's packets.
#[inline]
pub(crate) const fn is_ptp(key: u64) -> bool {
    key & OURS != 0
}

impl EnginePtp {
    /// The PTP Ports that speak by this link, and their own addresses.
    pub fn ports(&self) -> impl Iterator<Item = (PortKey, Address)> {
        self.framings.iter().map(|(key, framing)| (*key, framing.address()))
    }

    /// The next message that a worker has handed over, copied to the start of `buffer` ([`MAX_MESSAGE_LEN`] bytes hold every
    /// one; of a longer one than the buffer the end is lost).
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<PtpFrame> {
        let Upward { key, from, mac, stamp, by_nic, found, message } =
            self.heard.iter_mut().find_map(|ring| ring.pop().ok())?;
        if let Some(host) = ip(from) {
            self.next_hops.heard(host, mac);
        }
        let len = message.len().min(buffer.len());
        buffer.iter_mut().zip(&message).for_each(|(to, byte)| *to = *byte);
        Some(PtpFrame { key, from, len, stamp, by_nic, found })
    }

    /// The Delay_Req that the workers have answered since this was last asked, by PTP Port.
    pub fn take_answered(&mut self) -> impl Iterator<Item = (PortKey, u64)> {
        self.answered.iter_mut().flat_map(|(answered, told)| {
            answered.0.iter().zip(told).filter_map(|((key, count), told)| {
                let now = count.load(Relaxed);
                let fresh = now.wrapping_sub(core::mem::replace(told, now));
                (fresh > 0).then_some((*key, fresh))
            })
        })
    }

    /// Sends `message` from the PTP Port `key`. `packet` asks for its TX stamp, which [`Self::poll_stamp`] then gives back
    /// exactly once. Returns false where it cannot be sent, and no stamp will come: another port's key, a message too long, no
    /// way known to the one host it is for, or too many under way.
    pub fn send(
        &mut self,
        key: PortKey,
        class: MessageClass,
        to: Destination,
        message: &[u8],
        packet: Option<u64>,
    ) -> bool {
        let Some((_, framing)) = self.framings.iter().find(|(known, _)| *known == key) else { return false };
        let next_hop = match to {
            Destination::Unicast(Address::Ip(host)) => self.next_hops.of(host),
            _ => None,
        };
        let mut frame = [0; PTP_FRAME_MAX];
        let len = framing.frame(class, to, next_hop, message, &mut frame);
        let free = packet.map(|_| self.waiting.iter().position(Option::is_none));
        if len == 0 || free == Some(None) || self.outgoing.is_full() {
            return false;
        }
        let place = free.flatten();
        let mut frame = ArrayVec::from(frame);
        frame.truncate(len);
        let place_of_stamp = place.and_then(|place| u16::try_from(place).ok()).map(|place| (place, priority(message)));
        let downward = Downward { frame, place: place_of_stamp };
        if self.outgoing.push(downward).is_err() {
            return false;
        }
        if let Some(waiting) = place.and_then(|place| self.waiting.get_mut(place)) {
            *waiting = packet;
        }
        true
    }

    /// The next packet that is answered, with its stamp or, where that was lost, without; in any order.
    pub fn poll_stamp(&mut self) -> Option<(u64, Option<Stamp>)> {
        while let Ok((place, stamp)) = self.stamps.pop() {
            if let Some(packet) = self.waiting.get_mut(usize::from(place)).and_then(Option::take) {
                return Some((packet, stamp));
            }
        }
        None
    }
}

/// How much the stamp of `message` is wanted.
fn priority(message: &[u8]) -> StampPriority {
    match message.first().and_then(|first| MessageType::from_bits(*first)) {
        Some(MessageType::Sync) => StampPriority::Sync,
        Some(MessageType::PdelayResp) => StampPriority::PdelayResp,
        _ => StampPriority::DelayReq,
    }
}

/// How many messages a worker may still hand over: so many a second, and some at once.
#[derive(Debug, Default)]
struct Allowance {
    left: u32,
    since: Option<Ticks>,
}

impl Allowance {
    fn take(&mut self, now: Ticks, rate: Rate) -> bool {
        self.refill(now, rate);
        let granted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        granted
    }

    fn refill(&mut self, now: Ticks, rate: Rate) {
        const EACH: Span = Span::from_nanos(1_000_000_000 / PTP_TO_ENGINE_PER_S as i128);
        let Some(since) = self.since else {
            (self.left, self.since) = (PTP_TO_ENGINE_BURST, Some(now));
            return;
        };
        let passed = rate.span(now.0.wrapping_sub(since.0).cast_signed());
        let earned = passed.units() / EACH.units();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(PTP_TO_ENGINE_BURST);
            self.left = self.left.saturating_add(earned).min(PTP_TO_ENGINE_BURST);
            self.since = Some(now);
        }
    }
}
