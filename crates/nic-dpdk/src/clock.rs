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
/// How many times it is tried each time.
const LOOKS: usize = 8;
/// A clock that runs so much beside nanoseconds counts something else.
const NANOSECONDS_WITHIN: f64 = 1e-3;
/// A clock that stands so near to CLOCK_MONOTONIC_RAW is that.
const SAME_WITHIN_NS: u64 = 1_000_000;

/// The clock of a port. It belongs to the thread that polls the port's first queue, beside whose stamps it is read.
#[derive(Debug)]
pub struct DpdkClock {
    seat: Seat,
    width: u8,
    _port: Arc<PortShared>,
}

impl DpdkClock {
    pub(crate) const fn new(seat: Seat, width: u8, port: Arc<PortShared>) -> Self {
        Self { seat, width, _port: port }
    }
}

impl HardwareClock for DpdkClock {
    fn read(&mut self) -> Option<Ticks> {
        read(self.seat.port()?).map(|ticks| wrapped(ticks, self.width))
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
    let first = look(port, counter);
    thread::sleep(TRIAL);
    let second = look(port, counter);
    let (Some(from), Some(to)) = (first, second) else {
        found.reading = found.reading.tried(ClockReading::Unreadable);
        return found;
    };
    let ticks = wrapped(Ticks(to.nic.0.wrapping_sub(from.nic.0)), width).0;
    let seconds = to.local.0.wrapping_sub(from.local.0) as f64 / counter.nominal_hertz();
    let hertz = ticks as f64 / seconds;
    let reading = if ticks == 0 {
        ClockReading::Stopped
    } else if to.nic.0.abs_diff(to.host.0) < SAME_WITHIN_NS {
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

/// A look at the clock on trial, at the local counter and at CLOCK_MONOTONIC_RAW.
struct Look {
    nic: Ticks,
    local: Ticks,
    host: Ticks,
}

/// The quickest of some looks: the thread may be held up in between.
fn look(port: u16, counter: LocalCounter) -> Option<Look> {
    let looks = (0..LOOKS).map_while(|_| {
        let before = counter.now();
        let nic = read(port)?;
        let taken = counter.now().0.wrapping_sub(before.0);
        let local = Ticks(before.0.wrapping_add(taken / 2));
        Some((taken, Look { nic, local, host: LocalCounter::MonotonicRaw.now() }))
    });
    looks.min_by_key(|(taken, _)| *taken).map(|(_, look)| look)
}
