//! The register that keeps the stamp of a sent packet, and whether it answers at all.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use sidereal_nic::{LatchCounts, TxArbiter};
use sidereal_time::{ClockId, Counter, Rate, Stamp, StampSource, Ticks};

use crate::clock::wrapped;

/// After so many stamps in a row that did not come the latch is taken for one that never answers.
const SILENT_AFTER: u32 = 8;
/// One of so many packets tries it again then.
const RETRY: u32 = 64;

/// What is believed of a latch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Belief {
    /// It has not been tried.
    Untried,
    /// It gives stamps.
    Answers,
    /// It does not: the driver does not ask for stamps (RTE_LIBRTE_IEEE1588), or the NIC does not take them.
    Silent,
}

/// The latch of a port, for its first send queue.
#[derive(Debug)]
pub(crate) struct Latch {
    pub(crate) arbiter: TxArbiter<NonNull<c_void>>,
    clock: ClockId,
    width: u8,
    belief: Belief,
    losses: u32,
    /// How many more packets go without, where it is silent.
    left_alone: u32,
}

impl Latch {
    /// A latch that keeps stamps of a clock of this width. The local counter has ticks of the length `local`.
    pub(crate) const fn new(clock: ClockId, width: u8, local: Rate) -> Self {
        let arbiter = TxArbiter::new(local);
        Self { arbiter, clock, width, belief: Belief::Untried, losses: 0, left_alone: 0 }
    }

    pub(crate) const fn name_clock(&mut self, clock: ClockId) {
        self.clock = clock;
    }

    /// Whether to ask it for the next stamp that is wanted.
    pub(crate) const fn is_asked(&mut self) -> bool {
        if !matches!(self.belief, Belief::Silent) {
            return true;
        }
        let is_asked = self.left_alone == 0;
        self.left_alone = if is_asked { RETRY } else { self.left_alone - 1 };
        is_asked
    }

    /// What became of a packet that it was asked for; shown in `shared`.
    pub(crate) fn answered(&mut self, ticks: Option<Ticks>, shared: &StampsShared) -> Option<Stamp> {
        self.losses = if ticks.is_some() { 0 } else { self.losses.saturating_add(1) };
        if ticks.is_some() {
            self.belief = Belief::Answers;
        } else if self.losses >= SILENT_AFTER {
            self.belief = Belief::Silent;
        }
        shared.show_tx(self.belief, &self.arbiter.counts());
        let ticks = wrapped(ticks?, self.width);
        Some(Stamp { ticks, counter: Counter::Nic(self.clock), source: StampSource::Latch })
    }

    /// The device was replaced: nothing is known of the new one.
    pub(crate) const fn forget(&mut self) {
        (self.belief, self.losses, self.left_alone) = (Belief::Untried, 0, 0);
    }
}

/// Takes the stamp out of the register of a port that is up.
pub(crate) fn read(port: u16) -> Option<Ticks> {
    let mut nanoseconds = 0;
    // SAFETY: the port is up, and this is the thread of its first queue.
    let result = unsafe { dpdk_sys::shim_tx_latch(port, &raw mut nanoseconds) };
    (result == 0).then_some(Ticks(nanoseconds))
}

/// What the queues of a port have found out about its stamps, for its monitor to read.
#[derive(Debug, Default)]
pub(crate) struct StampsShared {
    rx_events: AtomicU64,
    rx_latched: AtomicU64,
    rx_flushed: AtomicU64,
    tx_belief: AtomicU8,
    tx: [AtomicU64; TX_COUNTS],
}

const TX_COUNTS: usize = 8;
/// Everything that is counted about registers.
pub(crate) const LATCH_COUNTS: usize = TX_COUNTS + 3;

impl StampsShared {
    pub(crate) fn show_rx(&self, events: u64, latched: u64, flushed: u64) {
        self.rx_events.store(events, Relaxed);
        self.rx_latched.store(latched, Relaxed);
        self.rx_flushed.store(flushed, Relaxed);
    }

    fn show_tx(&self, belief: Belief, counts: &LatchCounts) {
        self.tx_belief.store(belief as u8, Relaxed);
        for (shown, (_, count)) in self.tx.iter().zip(counts.by_name()) {
            shown.store(count, Relaxed);
        }
    }

    /// Event messages that came by the first queue, and those whose stamp was in a latch.
    pub(crate) fn rx(&self) -> (u64, u64) {
        (self.rx_events.load(Relaxed), self.rx_latched.load(Relaxed))
    }

    pub(crate) fn tx_belief(&self) -> Belief {
        match self.tx_belief.load(Relaxed) {
            belief if belief == Belief::Answers as u8 => Belief::Answers,
            belief if belief == Belief::Silent as u8 => Belief::Silent,
            _ => Belief::Untried,
        }
    }

    /// Everything that is counted, by the names that `status` shows.
    pub(crate) fn by_name(&self) -> [(&'static str, u64); LATCH_COUNTS] {
        let (events, latched) = self.rx();
        let flushed = self.rx_flushed.load(Relaxed);
        let mut counts = [("", 0); LATCH_COUNTS];
        let rx = [("rx_latch_events", events), ("rx_latch_stamped", latched), ("rx_latch_flushed", flushed)];
        let tx = LatchCounts::default().by_name();
        let tx = tx.iter().zip(&self.tx).map(|((name, _), shown)| (*name, shown.load(Relaxed)));
        for (place, count) in counts.iter_mut().zip(rx.into_iter().chain(tx)) {
            *place = count;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latch() -> (Latch, StampsShared) {
        (Latch::new(ClockId(3), 40, Rate::NANOSECOND), StampsShared::default())
    }

    #[test]
    fn stamps_are_of_the_ports_clock_and_as_wide_as_that() {
        let (mut latch, shared) = latch();
        assert!(latch.is_asked());
        let stamp = latch.answered(Some(Ticks(5 + (7 << 40))), &shared).unwrap();
        let expected = Stamp { ticks: Ticks(5), counter: Counter::Nic(ClockId(3)), source: StampSource::Latch };
        assert_eq!((stamp, shared.tx_belief()), (expected, Belief::Answers));
    }

    #[test]
    fn a_latch_that_never_answers_is_left_alone_and_tried_again() {
        let (mut latch, shared) = latch();
        for _ in 0..SILENT_AFTER {
            assert!(latch.is_asked());
            assert_eq!(latch.answered(None, &shared), None);
        }
        assert_eq!(shared.tx_belief(), Belief::Silent);
        let asked: Vec<bool> = (0..=2 * RETRY).map(|_| latch.is_asked()).collect();
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 2, "{asked:?}");
        latch.answered(Some(Ticks(1)), &shared);
        assert_eq!(shared.tx_belief(), Belief::Answers);
        assert!((0..10).all(|_| latch.is_asked()));
    }
}
