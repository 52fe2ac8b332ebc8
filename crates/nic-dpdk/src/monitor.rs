//! A port as seen from a thread that may wait: counters, link, and a device that disappeared and came back.

use core::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dpdk_sys::PortCounters;
use sidereal_nic::{Capabilities, RxStamps, TxStamps};

use crate::eal::Eal;
use crate::gate::Gate;
use crate::latch::{Belief, LATCH_COUNTS};
use crate::port::{Attached, PortError, PortShared};

/// How long workers may take to let go of a port. One turn takes microseconds; a worker that sleeps when idle takes longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of a port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Packets pass.
    Up,
    /// The device is there, but no packets pass.
    Down,
    /// The device, or the kernel interface below it, was removed. [`PortMonitor::recover`] takes it up again once it is back.
    Gone,
}

/// What a port has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStatus {
    /// Its link.
    pub link: Link,
    /// How fast that is, in megabits a second; 0 where the driver does not say.
    pub megabits: u32,
    /// Its counters since it was opened, through all recoveries.
    pub counters: PortCounters,
    /// Packet buffers that are free.
    pub buffers_free: u32,
    /// Packet buffers in all.
    pub buffers: u32,
    /// What the port can do, as far as that has been found out by now.
    pub capabilities: Capabilities,
    /// What the NIC's registers for stamps held, and what became of packets whose stamps were wanted; by name. All are zero where it
    /// has none.
    pub latches: [(&'static str, u64); LATCH_COUNTS],
}

/// So many event messages without a stamp, and none with one, say that a NIC stamps none.
const RX_SILENT_AFTER: u64 = 8;

/// The counters and the link of a port. There is one for each port: drivers count without locks.
#[derive(Debug)]
pub struct PortMonitor {
    eal: Eal,
    gate: Gate,
    port: Arc<PortShared>,
    /// Index of the kernel's interface below the device, 0 where there is none.
    interface: u32,
    /// As it was when the port was opened.
    capabilities: Capabilities,
    /// Counters of devices that this one replaced.
    past: PortCounters,
    /// Counters of the present device as they were read last.
    present: PortCounters,
}

impl PortMonitor {
    pub(crate) fn new(eal: Eal, gate: Gate, port: Arc<PortShared>, interface: u32, capabilities: Capabilities) -> Self {
        let (past, present) = (PortCounters::default(), PortCounters::default());
        Self { eal, gate, port, interface, capabilities, past, present }
    }

    /// Asks the port. May take long on a real NIC; never called by a worker.
    pub fn read(&mut self) -> PortStatus {
        let attached = self.port.attached.lock().unwrap_or_else(PoisonError::into_inner);
        let link = attached.as_ref().map_or(Link::Gone, |attached| attached.link(self.interface));
        let megabits = attached.as_ref().map_or(0, |attached| attached.megabits());
        if let Some(counters) = attached.as_ref().and_then(Attached::counters) {
            self.present = counters;
        }
        let counters = sum(&self.past, &self.present);
        self.port.missed.store(counters.rx_missed.saturating_add(counters.rx_no_buffer), Ordering::Relaxed);
        let (buffers_free, buffers) = (self.port.pool.available(), self.port.pool.buffers());
        let (capabilities, latches) = (self.found(), self.port.stamps.by_name());
        PortStatus { link, megabits, counters, buffers_free, buffers, capabilities, latches }
    }

    /// What the port can do, and what the queues have found out about it.
    fn found(&self) -> Capabilities {
        let mut found = self.capabilities;
        if matches!(found.rx_stamps.get(), RxStamps::Latch(..)) {
            found.rx_stamps = match self.port.stamps.rx() {
                (_, 1..) => found.rx_stamps.tried(found.rx_stamps.get()),
                (RX_SILENT_AFTER.., 0) => found.rx_stamps.tried(RxStamps::Software),
                _ => found.rx_stamps,
            };
        }
        if found.tx_stamps.get() == TxStamps::Latch {
            found.tx_stamps = match self.port.stamps.tx_belief() {
                Belief::Untried => found.tx_stamps,
                Belief::Answers => found.tx_stamps.tried(TxStamps::Latch),
                Belief::Silent => found.tx_stamps.tried(TxStamps::Software),
            };
        }
        found
    }

    /// Closes what is left of a device that is gone, and opens the one that has taken its place. Workers need not stop:
    /// they find the port empty meanwhile, and what they send is refused and counted. Returns the MAC address, which may
    /// be another than before; an exception interface has to follow it.
    ///
    /// # Errors
    /// Where the device is not back yet, or has changed so that it refuses the set-up: try again later. Where a worker does
    /// not let go of the port.
    pub fn recover(&mut self) -> Result<[u8; 6], PortError> {
        let PortShared { attached, options, pool, .. } = &*self.port;
        if !self.gate.close(PATIENCE) {
            return Err(PortError::Busy(options.device.clone()));
        }
        let mut attached = attached.lock().unwrap_or_else(PoisonError::into_inner);
        // The old one must be gone before its name can be used again.
        drop(attached.take());
        self.past = sum(&self.past, &core::mem::take(&mut self.present));
        let fresh = Attached::new(self.eal, &options.device)?;
        let info = fresh.info()?;
        fresh.start(options, &info, pool)?;
        self.interface = info.interface;
        self.gate.open(fresh.number);
        *attached = Some(fresh);
        Ok(info.mac)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Gone => "gone",
        })
    }
}

fn sum(past: &PortCounters, present: &PortCounters) -> PortCounters {
    PortCounters {
        rx_packets: past.rx_packets.wrapping_add(present.rx_packets),
        rx_bytes: past.rx_bytes.wrapping_add(present.rx_bytes),
        tx_packets: past.tx_packets.wrapping_add(present.tx_packets),
        tx_bytes: past.tx_bytes.wrapping_add(present.tx_bytes),
        rx_missed: past.rx_missed.wrapping_add(present.rx_missed),
        rx_errors: past.rx_errors.wrapping_add(present.rx_errors),
        rx_no_buffer: past.rx_no_buffer.wrapping_add(present.rx_no_buffer),
        tx_errors: past.tx_errors.wrapping_add(present.tx_errors),
    }
}
