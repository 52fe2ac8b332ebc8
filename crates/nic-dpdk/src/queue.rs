//! The two halves of a queue.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sidereal_cpu::LocalCounter;
use sidereal_nic::{BURST, Burst, RxQueue, Sent, TxQueue};
use sidereal_time::{Stamp, StampSource, TxStamp, TxToken};

use crate::gate::Seat;
use crate::packet::Mbuf;
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

/// The sending half of a queue. A token is answered as its packet is handed over: with the time just before, or as lost
/// where the port refused the packet.
#[derive(Debug)]
pub struct DpdkTx {
    raw: dpdk_sys::TxQueue,
    seat: Seat,
    counter: LocalCounter,
    answers: VecDeque<(TxToken, TxStamp)>,
    _port: Arc<PortShared>,
}

// SAFETY: the pool that `raw` points to may be used by any thread; the queue itself by one at a time, which `&mut` is.
unsafe impl Send for DpdkTx {}

impl DpdkRx {
    pub(crate) const fn new(raw: dpdk_sys::RxQueue, seat: Seat, port: Arc<PortShared>) -> Self {
        Self { raw, seat, port }
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
        port.saturating_add(self.raw.unusable)
    }
}

impl DpdkTx {
    pub(crate) fn new(raw: dpdk_sys::TxQueue, seat: Seat, counter: LocalCounter, port: Arc<PortShared>) -> Self {
        Self { raw, seat, counter, answers: VecDeque::with_capacity(ANSWERS), _port: port }
    }

    fn now(&self) -> Stamp {
        Stamp { ticks: self.counter.now(), counter: self.counter.counter(), source: StampSource::Software }
    }

    fn answer(&mut self, token: TxToken, stamp: Stamp, taken: bool) {
        self.answers.push_back((token, if taken { TxStamp::Stamped(stamp) } else { TxStamp::Lost }));
    }

    /// `frame` in a buffer of DPDK's; `None` where the port is away, or has no buffer, or does not take such a frame.
    fn prepare(&mut self, frame: &[u8]) -> Option<NonNull<c_void>> {
        self.raw.port = self.seat.port()?;
        let length = u16::try_from(frame.len()).ok()?;
        // SAFETY: EAL is up, the queue's pool lives as long as the process, and `frame` is readable for `length` bytes.
        NonNull::new(unsafe { dpdk_sys::shim_prepare(&raw const self.raw, frame.as_ptr(), length) })
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

impl TxQueue<Mbuf> for DpdkTx {
    fn transmit(&mut self, burst: &mut Burst<Mbuf>) -> Sent {
        let Some(port) = self.seat.port() else { return self.refuse(burst) };
        if burst.is_empty() {
            return Sent::default();
        }
        self.raw.port = port;
        let stamp = burst.iter().any(Mbuf::has_token).then(|| self.now());
        let count = u16::try_from(burst.len()).unwrap_or(0);
        // SAFETY: the port is up while the seat says so, this half is the only one to send to the queue, and the burst
        // holds `count` records, of which Mbuf is one.
        let settled = unsafe { dpdk_sys::shim_settle(&raw const self.raw, burst.as_mut_ptr().cast(), count) };
        if let Some(stamp) = stamp {
            for (token, taken) in burst.iter_mut().filter_map(Mbuf::take_token) {
                self.answer(token, stamp, taken);
            }
        }
        // SAFETY: the buffers are DPDK's now; the records must not be dropped, only forgotten.
        unsafe { burst.set_len(0) };
        Sent { sent: usize::from(settled.sent), refused: usize::from(settled.refused) }
    }

    fn originate(&mut self, frame: &[u8], token: Option<TxToken>) -> bool {
        let prepared = self.prepare(frame);
        // Read when nothing but the driver is left between it and the wire.
        let stamp = self.now();
        // SAFETY: the seat has said that the port is up, this half is the only one to send to the queue, and what was prepared
        // for it is sent once.
        let taken =
            prepared.is_some_and(|mbuf| 1 == unsafe { dpdk_sys::shim_send(&raw const self.raw, mbuf.as_ptr()) });
        if let Some(token) = token {
            self.answer(token, stamp, taken);
        }
        taken
    }

    fn poll_stamp(&mut self) -> Option<(TxToken, TxStamp)> {
        // A worker that has nothing to send comes by here alone, and must see a closed gate all the same.
        let _ = self.seat.port();
        self.answers.pop_front()
    }
}
