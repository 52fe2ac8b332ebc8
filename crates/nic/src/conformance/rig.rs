//! The suite's hands: packets that know themselves again, and bounded waiting.

use super::{Harness, Kind, Outcome};
use crate::{Burst, Content, Flow, Packet, RxQueue, Sent, TxQueue};
use core::time::Duration;
use sidereal_time::{Stamp, TxStamp, TxToken};
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

/// How long is waited for what must not come.
const SILENCE: Duration = Duration::from_millis(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_micros(200);
/// What the suite's packets begin with, behind their header.
const MARK: [u8; 8] = *b"conforms";
/// The shortest packet the suite sends: no Ethernet device pads it.
pub(super) const SHORTEST: usize = 64;

pub(super) type Check = Result<(), Outcome>;
pub(super) type PacketOf<H> = <<H as Harness>::Rx as RxQueue>::Packet;

pub(super) fn failed<T>(found: impl Into<String>) -> Result<T, Outcome> {
    Err(Outcome::Failed(found.into()))
}

pub(super) struct Rig<'h, H: Harness> {
    pub(super) harness: &'h mut H,
    /// The number of the next packet, and the key of the next token.
    next: u64,
    missed: u64,
}

/// A copy of what the queue shows of a packet.
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    /// How long it is said to be.
    pub(super) len: usize,
    /// The size of its buffer.
    pub(super) room: usize,
    pub(super) flow: Option<Flow>,
    pub(super) stamp: Option<Stamp>,
}

impl<'h, H: Harness> Rig<'h, H> {
    pub(super) fn new(harness: &'h mut H) -> Self {
        Self { harness, next: 1, missed: 0 }
    }

    /// Throws away what is still under way, so that one check does not see the packets of another, and sees to what always
    /// holds: no token comes that nobody waits for, and what was missed stays missed.
    pub(super) fn settle(&mut self) -> Check {
        let mut burst = Burst::new();
        let mut quiet_since = Instant::now();
        let end = quiet_since + self.harness.patience();
        while quiet_since.elapsed() < SILENCE && Instant::now() < end {
            let ours = self.take(&mut burst);
            self.transmit(&mut burst);
            if ours > 0 || self.reply().is_some() {
                quiet_since = Instant::now();
            } else {
                sleep(PAUSE);
            }
        }
        if let Some((token, _)) = self.harness.queue().1.poll_stamp() {
            return failed(format!("token {} came back although nobody waited for it", token.redeem()));
        }
        let missed = self.harness.queue().0.missed();
        if missed < self.missed {
            return failed(format!("missed went back from {} to {missed}", self.missed));
        }
        self.missed = missed;
        Ok(())
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The bytes of packet `number` as the peer sends it.
    pub(super) fn packet(&self, number: u64, len: usize) -> Vec<u8> {
        let mut bytes = match self.harness.kind() {
            Kind::Frames { header } => header.to_vec(),
            Kind::Datagrams { .. } => Vec::new(),
        };
        bytes.extend(MARK);
        bytes.extend(number.to_be_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "a pattern of bytes")]
        bytes.extend((bytes.len()..len).map(|place| (number as usize * 31 + place * 7) as u8));
        bytes
    }

    /// The bytes of the reply to packet `number`: the same with the header turned around.
    pub(super) fn reply_packet(&self, number: u64, len: usize) -> Vec<u8> {
        let mut bytes = self.packet(number, len);
        if let (Kind::Frames { .. }, Some((to, from))) = (self.harness.kind(), bytes.split_at_mut_checked(6)) {
            to.swap_with_slice(&mut from[..6]);
        }
        bytes
    }

    /// The number in a packet of the suite's own.
    fn number(&self, bytes: &[u8]) -> Option<u64> {
        let header = match self.harness.kind() {
            Kind::Frames { header } => header.len(),
            Kind::Datagrams { .. } => 0,
        };
        let rest = bytes.get(header..)?.strip_prefix(&MARK)?;
        rest.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// Lets the peer send packets of these lengths. Returns their numbers.
    pub(super) fn send(&mut self, lens: &[usize]) -> Result<Vec<u64>, Outcome> {
        let mut numbers = Vec::new();
        for &len in lens {
            let number = self.next_number();
            let packet = self.packet(number, len);
            if !self.harness.send(&packet) {
                return failed(format!("the peer cannot send its packet of {len} bytes"));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Receives until `burst` holds `count` packets of the suite's own.
    pub(super) fn gather(&mut self, burst: &mut Burst<PacketOf<H>>, count: usize) -> Check {
        let end = Instant::now() + self.harness.patience();
        while burst.len() < count {
            if self.take(burst) == 0 {
                if Instant::now() > end {
                    return failed(format!("of {count} packets sent to the queue only {} came", burst.len()));
                }
                sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Receives once, and releases the packets of others. Returns how many came that are ours.
    pub(super) fn take(&mut self, burst: &mut Burst<PacketOf<H>>) -> usize {
        let before = burst.len();
        self.harness.queue().0.receive(burst);
        let mut foreign = Burst::new();
        let mut place = before;
        while let Some(packet) = burst.get_mut(place) {
            let seen = see(packet);
            if self.number(&seen.bytes).is_some() {
                place += 1;
            } else {
                foreign.push(burst.remove(place));
            }
        }
        self.transmit(&mut foreign);
        burst.len() - before
    }

    /// The number of a received packet of ours.
    pub(super) fn number_of(&self, packet: &mut PacketOf<H>) -> u64 {
        self.number(&see(packet).bytes).unwrap_or_default()
    }

    /// Writes the reply of `len` bytes over a packet and marks it to be sent.
    pub(super) fn answer(&self, packet: &mut PacketOf<H>, len: usize, token: Option<TxToken>) {
        let reply = self.reply_packet(self.number_of(packet), len);
        let (Content::Frame { buffer, .. } | Content::Datagram { buffer, .. }) = packet.content();
        for (to, from) in buffer.iter_mut().zip(reply) {
            *to = from;
        }
        packet.reply(len, token);
    }

    pub(super) fn transmit(&mut self, burst: &mut Burst<PacketOf<H>>) -> Sent {
        self.harness.queue().1.transmit(burst)
    }

    /// The next packet of ours that has come to the peer.
    pub(super) fn reply(&mut self) -> Option<(u64, Vec<u8>)> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let len = self.harness.receive(&mut buffer)?;
            let bytes = buffer.get(..len).unwrap_or(&buffer);
            if let Some(number) = self.number(bytes) {
                return Some((number, bytes.to_vec()));
            }
        }
    }

    /// Waits until `count` packets of ours have come to the peer.
    pub(super) fn replies(&mut self, count: usize) -> Result<Vec<(u64, Vec<u8>)>, Outcome> {
        let end = Instant::now() + self.harness.patience();
        let mut replies = Vec::new();
        while replies.len() < count {
            match self.reply() {
                Some(reply) => replies.push(reply),
                None if Instant::now() > end => {
                    return failed(format!("of {count} packets that the queue sent only {} came", replies.len()));
                }
                None => sleep(PAUSE),
            }
        }
        Ok(replies)
    }

    /// Waits until each of the tokens with these keys has come back, and no other has.
    pub(super) fn tokens(&mut self, keys: &[u64]) -> Result<Vec<TxStamp>, Outcome> {
        let end = Instant::now() + self.harness.patience();
        let mut answers = BTreeMap::new();
        loop {
            while let Some((token, stamp)) = self.harness.queue().1.poll_stamp() {
                let key = token.redeem();
                if !keys.contains(&key) {
                    return failed(format!("token {key} came back although it was not given, or once already"));
                }
                if answers.insert(key, stamp).is_some() {
                    return failed(format!("token {key} came back twice"));
                }
            }
            if answers.len() == keys.len() {
                return Ok(answers.into_values().collect());
            }
            if Instant::now() > end {
                return failed(format!("of {} tokens only {} came back", keys.len(), answers.len()));
            }
            sleep(PAUSE);
        }
    }
}

/// Copies what the queue shows of a packet.
pub(super) fn see<P: Packet>(packet: &mut P) -> Seen {
    let stamp = packet.stamp();
    let (buffer, len, flow) = match packet.content() {
        Content::Frame { buffer, len, .. } => (buffer, len, None),
        Content::Datagram { buffer, len, flow } => (buffer, len, Some(flow)),
    };
    Seen { bytes: buffer.get(..len).unwrap_or(buffer).to_vec(), len, room: buffer.len(), flow, stamp }
}
