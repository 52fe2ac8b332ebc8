//! The clock of a NIC, as DPDK's timesync reads it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sidereal_cpu::LocalCounter;
use sidereal_nic::{Ability, ClockAbilities, ClockReading, HardwareClock};
use sidereal_time::{Rate, Ticks};

use crate::gate::Seat;
use crate::port::PortShared;

/// How far apart the two looks are that tell how the clock runs.
const TRIAL: Duration = Duration::from_millis(10);
/// A clock that runs so much beside nanoseconds counts something else.
const NANOSECONDS_WITHIN: f64 = 1e-3;
/// A clock that stands so near to CLOCK_MONOTONIC_RAW is that.
const SAME_WITHIN_NS: u64 = 1_000_000;

/// The clock of a port. It belongs to the thread that polls the port's first queue, beside whose stamps it is read.
#[derive(Debug)]
pub struct DpdkClock {
    seat: Seat,
    width: u8,
    latches: u16,
    _port: Arc<PortShared>,
}

impl DpdkClock {
    pub(crate) const fn new(seat: Seat, width: u8, latches: u16, port: Arc<PortShared>) -> Self {
        Self { seat, width, latches, _port: port }
    }
}

impl HardwareClock for DpdkClock {
    fn read(&mut self) -> Option<Ticks> {
        let port = self.seat.port()?;
        if self.latches > 0 {
            // A packet that was stamped and never came, for want of a buffer, would keep the register for ever.
            // SAFETY: the port is up while the seat says so, and this is the thread of its first queue.
            unsafe { dpdk_sys::shim_rx_flush(port, self.latches) };
        }
        read(port).map(|ticks| wrapped(ticks, self.width))
    }
}

/// Where the clock of a port stands that is up.
fn read(port: u16) -> Option<Ticks> {
    let mut nanoseconds = 0;
    // SAFETY: the port is up, and this is the thread of its first queue, or it has none yet.
    let result = unsafe { dpdk_sys::shim_clock_read(port, &raw mut nanoseconds) };
    (result == 0).then_some(Ticks(nanoseconds))
}

/// The lower `width` bits.
pub(crate) const fn wrapped(ticks: Ticks, width: u8) -> Ticks {
    Ticks(ticks.0 & mask(width))
}

/// A mask of `width` bits, 1 to 64.
pub(crate) const fn mask(width: u8) -> u64 {
    u64::MAX.wrapping_shr(64_u32.wrapping_sub(width as u32))
}

/// What can be done with the clock of a port that has just been started and has no queue in use: tried, as drivers say
/// one thing and do another.
pub(crate) fn try_clock(port: u16, width: u8, counter: LocalCounter) -> ClockAbilities {
    // Steering the hardware is left alone: nobody else sees the clock of a NIC that we have for ourselves, and in most drivers it only
    // moves a software counter.
    let mut found = ClockAbilities {
        step: Ability::claimed(false),
        frequency: Ability::claimed(false),
        reading: Ability::claimed(ClockReading::Stamping),
        width,
        tick: Rate::NANOSECOND,
    };
    let look = || (counter.now(), LocalCounter::MonotonicRaw.now(), read(port));
    let first = look();
    thread::sleep(TRIAL);
    let second = look();
    let (Some(from), Some(to)) = (first.2, second.2) else {
        found.reading = found.reading.tried(ClockReading::Unreadable);
        return found;
    };
    let ticks = wrapped(Ticks(to.0.wrapping_sub(from.0)), width).0;
    let seconds = second.0.0.wrapping_sub(first.0.0) as f64 / counter.nominal_hertz();
    let hertz = ticks as f64 / seconds;
    let reading = if ticks == 0 {
        ClockReading::Stopped
    } else if to.0.abs_diff(second.1.0) < SAME_WITHIN_NS {
        ClockReading::Host
    } else {
        ClockReading::Stamping
    };
    if ticks > 0 && (hertz / 1e9 - 1.0).abs() > NANOSECONDS_WITHIN {
        found.tick = Rate::from_hertz(hertz);
    }
    found.reading = found.reading.tried(reading);
    found
}
