//! Received packets.

use core::slice;

use dpdk_sys::{CALLERS, CHECKSUMS_BAD, CHECKSUMS_GOOD, SEND, SENT, STAMPED, TOKEN, WANT_STAMP};
use sidereal_nic::{Content, Packet, RxChecksums};
use sidereal_time::{ClockId, Counter, Stamp, StampSource, Ticks, TxToken};

/// A received frame in DPDK's memory. The record is the shim's own, so that a burst is passed to C as it lies. Dropping
/// one frees its buffer; a queue that transmits frees those of a whole burst at once.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(dpdk_sys::Packet);

// SAFETY: the record is the only owner of its buffer, and DPDK's pools take buffers back from any thread.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Whether it was marked to be sent.
    pub(crate) const fn is_marked(&self) -> bool {
        self.0.flags & SEND != 0
    }

    /// Whether it was marked with a token that has not been taken.
    pub(crate) const fn has_token(&self) -> bool {
        self.0.flags & TOKEN != 0
    }

    /// The token it was marked with, and whether the port took the packet. Once.
    pub(crate) const fn take_token(&mut self) -> Option<(TxToken, bool)> {
        if !self.has_token() {
            return None;
        }
        self.0.flags &= !TOKEN;
        Some((TxToken::new(self.0.token), self.was_sent()))
    }

    /// Whether the port took it.
    pub(crate) const fn was_sent(&self) -> bool {
        self.0.flags & SENT != 0
    }

    /// Has the NIC stamp it as it leaves.
    pub(crate) const fn want_stamp(&mut self) {
        self.0.flags |= WANT_STAMP;
    }
}

/// [`dpdk_sys::RxQueue::callers`]: the stamp is of a NIC's clock, and was kept in a register.
const LATCHED: u16 = 0x8000;

/// [`dpdk_sys::RxQueue::callers`] of a queue whose stamps are of the clock `clock`. Zero: they are the kernel's.
pub(crate) const fn stamped_by(ClockId(id): ClockId, latched: bool) -> u16 {
    ((id as u16) << 8 & CALLERS & !LATCHED) | if latched { LATCHED } else { 0 }
}

impl Packet for Mbuf {
    fn content(&mut self) -> Content<'_> {
        // SAFETY: `data` points to `room` bytes of a buffer that this record alone owns, in memory that the pool set to
        // zero when it was made.
        let buffer = unsafe { slice::from_raw_parts_mut(self.0.data, usize::from(self.0.room)) };
        let checksums = match self.0.flags & (CHECKSUMS_GOOD | CHECKSUMS_BAD) {
            0 => RxChecksums::Unknown,
            CHECKSUMS_GOOD => RxChecksums::Good,
            _ => RxChecksums::Bad,
        };
        Content::Frame { buffer, len: usize::from(self.0.length), checksums }
    }

    fn stamp(&self) -> Option<Stamp> {
        if self.0.flags & STAMPED == 0 {
            return None;
        }
        let [id, _] = (self.0.flags & CALLERS & !LATCHED).to_be_bytes();
        let (counter, source) = match (id, self.0.flags & LATCHED) {
            // A port without a clock writes stamps only where it was told to: net_af_packet, which passes on the kernel's.
            (0, _) => (Counter::Realtime, StampSource::Kernel),
            (id, 0) => (Counter::Nic(ClockId(id)), StampSource::Hardware),
            (id, _) => (Counter::Nic(ClockId(id)), StampSource::Latch),
        };
        Some(Stamp { ticks: Ticks(self.0.stamp), counter, source })
    }

    fn reply(&mut self, len: usize, token: Option<TxToken>) {
        self.0.send_length = u16::try_from(len).unwrap_or(u16::MAX).min(self.0.room);
        self.0.flags |= SEND;
        if let Some(token) = token {
            self.0.token = token.redeem();
            self.0.flags |= TOKEN;
        }
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: the buffer is this record's, which nobody sees after this.
        unsafe { dpdk_sys::shim_release(self.0.mbuf) };
    }
}
