//! The two halves of a queue.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sidereal_cpu::LocalCounter;
use sidereal_nic::{BURST, Burst, Next, RxQueue, Sent, TxQueue};
use sidereal_time::{ClockId, Stamp, StampSource, TxStamp, TxToken};

use crate::gate::Seat;
use crate::latch::{self, Latch};
use crate::packet::{Mbuf, stamped_by};
use crate::port::PortShared;

/// Answered tokens that are held without further memory: those of 64 full bursts. A worker that takes them back after each
/// burst needs those of one. Past this the queue of answers grows: no token is lost, but the packet path allocates.
pub const ANSWERS: usize = 64 * BURST;

const _: () = assert!(BURST == dpdk_sys::BURST, "the shim's arrays hold one burst");

/// The receiving half of a queue.
#[derive(Debug)]
pub struct DpdkRx {
    raw: dpdk_sys::RxQueue,
    seat: Seat,
    port: Arc<PortShared>,
}

/// The sending half of a queue.
///
/// The first queue of a NIC with a register for stamps: a frame that is originated with a token waits for the register, for
/// a bounded time; a reply never does, and where the register is taken its token is lost. Where the NIC turns out to stamp nothing, and
/// on all other queues, a token is answered as its packet is handed over, with the time just before. Where the port refuses
/// the packet, it is lost.
#[derive(Debug)]
pub struct DpdkTx {
    raw: dpdk_sys::TxQueue,
    seat: Seat,
    counter: LocalCounter,
    latch: Option<Latch>,
    answers: VecDeque<(TxToken, TxStamp)>,
    port: Arc<PortShared>,
}

// SAFETY: the pool that `raw` points to may be used by any thread, and so may the frames that wait, which are its buffers; the
// queue itself by one at a time, which `&mut` is.
unsafe impl Send for DpdkTx {}

impl DpdkRx {
    pub(crate) const fn new(raw: dpdk_sys::RxQueue, seat: Seat, port: Arc<PortShared>) -> Self {
        Self { raw, seat, port }
    }

    pub(crate) const fn name_clock(&mut self, clock: ClockId) {
        self.raw.callers = stamped_by(clock, self.raw.latches > 0);
    }
}

impl RxQueue for DpdkRx {
    type Packet = Mbuf;

    fn receive(&mut self, burst: &mut Burst<Mbuf>) -> usize {
        let Some(port) = self.seat.port() else { return 0 };
        self.raw.port = port;
        let (len, room) = (burst.len(), burst.remaining_capacity());
        // A burst holds at most BURST packets, which is far below 2^16.
        let asked = u16::try_from(room).unwrap_or(0);
        // SAFETY: `len` is within the array or just behind its end.
        let spare = unsafe { burst.as_mut_ptr().add(len) };
        // SAFETY: the port is up while the seat says so, this half is the only one to receive from the queue, and `spare`
        // has room for `asked` records, of which Mbuf is one.
        let filled = usize::from(unsafe { dpdk_sys::shim_receive(&raw mut self.raw, spare.cast(), asked) });
        // SAFETY: the shim filled that many records, at most as many as there was room for.
        unsafe { burst.set_len(len + filled) };
        filled
    }

    /// The port counts as a whole, and when [`crate::PortMonitor::read`] asks it: its first queue reports that.
    fn missed(&mut self) -> u64 {
        let port = if self.raw.queue == 0 { self.port.missed.load(Ordering::Relaxed) } else { 0 };
        if self.raw.latches > 0 {
            self.port.stamps.show_rx(self.raw.events, self.raw.latched, self.raw.flushed);
        }
        port.saturating_add(self.raw.unusable)
    }
}

impl DpdkTx {
    pub(crate) fn new(
        raw: dpdk_sys::TxQueue,
        seat: Seat,
        counter: LocalCounter,
        latch: Option<Latch>,
        port: Arc<PortShared>,
    ) -> Self {
        Self { raw, seat, counter, latch, answers: VecDeque::with_capacity(ANSWERS), port }
    }

    pub(crate) const fn name_clock(&mut self, clock: ClockId) {
        if let Some(latch) = &mut self.latch {
            latch.name_clock(clock);
        }
    }

    fn now(&self) -> Stamp {
        Stamp { ticks: self.counter.now(), counter: self.counter.counter(), source: StampSource::Software }
    }

    fn answer(&mut self, token: TxToken, stamp: Option<Stamp>) {
        self.answers.push_back((token, stamp.map_or(TxStamp::Lost, TxStamp::Stamped)));
    }

    /// `frame` in a buffer of DPDK's; `None` where the port is away, or has no buffer, or does not take such a frame.
    fn prepare(&mut self, frame: &[u8]) -> Option<NonNull<c_void>> {
        self.raw.port = self.seat.port()?;
        let length = u16::try_from(frame.len()).ok()?;
        // SAFETY: EAL is up, the queue's pool lives as long as the process, and `frame` is readable for `length` bytes.
        NonNull::new(unsafe { dpdk_sys::shim_prepare(&raw const self.raw, frame.as_ptr(), length) })
    }

    /// Sends what was prepared, which is DPDK's afterwards. Whether it was taken. The seat must have said that the port is up.
    fn send(&self, prepared: NonNull<c_void>) -> bool {
        // SAFETY: the port is up as the caller has seen, this half is the only one to send to the queue, and what was prepared for
        // it is sent once.
        1 == unsafe { dpdk_sys::shim_send(&raw const self.raw, prepared.as_ptr()) }
    }

    /// Sends what was prepared and has the register to itself.
    fn send_stamped(&mut self, prepared: NonNull<c_void>) -> bool {
        // SAFETY: prepared, and not sent.
        unsafe { dpdk_sys::shim_want_stamp(prepared.as_ptr()) };
        let taken = self.send(prepared);
        if !taken && let Some(token) = self.latch.as_mut().and_then(|latch| latch.arbiter.withdraw()) {
            self.answer(token, None);
        }
        taken
    }

    /// Sends what was prepared and wants the register's stamp, now or when it is free.
    fn originate_by_latch(&mut self, prepared: NonNull<c_void>, token: TxToken) -> bool {
        let (now, port) = (self.counter.now(), self.raw.port);
        let Some(latch) = &mut self.latch else {
            self.answer(token, None);
            return self.send(prepared);
        };
        if latch.arbiter.is_free() {
            return match latch.arbiter.claim(token, now, || latch::read(port)) {
                Ok(()) => self.send_stamped(prepared),
                Err(token) => {
                    self.answer(token, None);
                    self.send(prepared)
                }
            };
        }
        if let Some((prepared, token)) = latch.arbiter.wait(prepared, token, now) {
            self.answer(token, None);
            self.send(prepared);
        }
        true
    }

    /// Gives the register to the first packet of the burst that wants a stamp, if it is free, and returns which one that is.
    fn claim(&mut self, burst: &mut Burst<Mbuf>) -> Option<usize> {
        let latch = self.latch.as_mut()?;
        let first = burst.iter().position(Mbuf::has_token)?;
        let packet = burst.get_mut(first)?;
        let (token, _) = packet.take_token()?;
        let port = self.raw.port;
        match latch.arbiter.claim(token, self.counter.now(), || latch::read(port)) {
            Ok(()) => {
                packet.want_stamp();
                Some(first)
            }
            Err(token) => {
                self.answer(token, None);
                None
            }
        }
    }

    /// Looks after the register, and sends what waits for it.
    fn serve_latch(&mut self) {
        let port = self.seat.port();
        let Some(latch) = &mut self.latch else { return };
        let Some(port) = port else { return self.abandon() };
        if latch.arbiter.is_free() {
            return;
        }
        self.raw.port = port;
        let now = self.counter.now();
        if let Some((token, ticks)) = latch.arbiter.look(now, || latch::read(port)) {
            let stamp = latch.answered(ticks, &self.port.stamps);
            self.answer(token, stamp);
        }
        while let Some(next) = self.latch.as_mut().and_then(|latch| latch.arbiter.next(now, || latch::read(port))) {
            match next {
                Next::Stamped(prepared) => {
                    self.send_stamped(prepared);
                }
                Next::Unstamped(prepared, token) => {
                    self.send(prepared);
                    self.answer(token, None);
                }
            }
        }
    }

    /// The port is away: nothing that waits will leave, and no stamp will come.
    #[cold]
    fn abandon(&mut self) {
        let Some(latch) = &mut self.latch else { return };
        latch.forget();
        while let Some((prepared, token)) = latch.arbiter.abandon() {
            if let Some(prepared) = prepared {
                // SAFETY: prepared, and never sent; pools outlive the port.
                unsafe { dpdk_sys::shim_release(prepared.as_ptr()) };
            }
            self.answers.push_back((token, TxStamp::Lost));
        }
    }

    /// What is left of a transmit where the port is away.
    #[cold]
    fn refuse(&mut self, burst: &mut Burst<Mbuf>) -> Sent {
        let mut refused = 0;
        for mut packet in burst.drain(..) {
            refused += usize::from(packet.is_marked());
            if let Some((token, _)) = packet.take_token() {
                self.answers.push_back((token, TxStamp::Lost));
            }
        }
        Sent { sent: 0, refused }
    }
}

impl Drop for DpdkTx {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl TxQueue<Mbuf> for DpdkTx {
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) -> Sent {
        let Some(port) = self.seat.port() else { return self.refuse(burst) };
        if burst.is_empty() {
            return Sent::default();
        }
        self.raw.port = port;
        let has_tokens = burst.iter().any(Mbuf::has_token);
        let by_latch = has_tokens && self.latch.as_mut().is_some_and(Latch::is_asked);
        let claimed = if by_latch { self.claim(burst) } else { None };
        let stamp = (has_tokens && !by_latch).then(|| self.now());
        let count = u16::try_from(burst.len()).unwrap_or(0);
        // SAFETY: the port is up while the seat says so, this half is the only one to send to the queue, and the burst
        // holds `count` records, of which Mbuf is one.
        let settled = unsafe { dpdk_sys::shim_settle(&raw const self.raw, burst.as_mut_ptr().cast(), count) };
        if has_tokens {
            if claimed.and_then(|claimed| burst.get(claimed)).is_some_and(|packet| !packet.was_sent())
                && let Some(token) = self.latch.as_mut().and_then(|latch| latch.arbiter.withdraw())
            {
                self.answer(token, None);
            }
            for (token, taken) in burst.iter_mut().filter_map(Mbuf::take_token) {
                self.answer(token, stamp.filter(|_| taken));
            }
        }
        // SAFETY: the buffers are DPDK's now; the records must not be dropped, only forgotten.
        unsafe { burst.set_len(0) };
        Sent { sent: usize::from(settled.sent), refused: usize::from(settled.refused) }
    }

    fn originate(&mut self, frame: &[u8], token: Option<TxToken>) -> bool {
        let Some(prepared) = self.prepare(frame) else {
            if let Some(token) = token {
                self.answer(token, None);
            }
            return false;
        };
        let Some(token) = token else { return self.send(prepared) };
        if self.latch.as_mut().is_some_and(Latch::is_asked) {
            return self.originate_by_latch(prepared, token);
        }
        // Read when nothing but the driver is left between it and the wire.
        let stamp = self.now();
        let taken = self.send(prepared);
        self.answer(token, Some(stamp).filter(|_| taken));
        taken
    }

    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        if self.answers.is_empty() {
            // A worker that has nothing to send comes by here alone, and must see a closed gate all the same.
            self.serve_latch();
        }
        self.answers.pop_front()
    }
}
