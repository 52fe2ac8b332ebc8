//! The time stamp counter of x86-64 (Intel SDM volume 3, "Time-Stamp Counter"; volume 2, CPUID).

use core::arch::x86_64::{__cpuid, _rdtsc, CpuidResult};
use std::fs;
use std::thread;
use std::time::Duration;

use sidereal_time::Ticks;

/// How long the counter is compared with another to learn its rate.
const MEASUREMENT: Duration = Duration::from_millis(20);
/// How many pairs of readings are taken at either end of the comparison; the closest pair counts.
const PAIRS: u32 = 16;
/// The clocks that the kernel holds fit; it takes `tsc` off the list when its watchdog finds it out of step.
const CLOCK_SOURCES: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";

/// Why the time stamp counter cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TscUnfit {
    /// The processor does not promise a constant rate in every power state (CPUID 80000007H, EDX bit 8).
    #[error("the processor does not call its time stamp counter invariant")]
    NotInvariant,
    /// The kernel does not offer it as a clock source: it found it unstable, or was told so.
    #[error("the kernel does not list tsc in {CLOCK_SOURCES}: it holds the time stamp counter unstable")]
    Unstable,
}

pub(crate) fn check() -> Result<(), TscUnfit> {
    let invariant = leaf(0x8000_0007).is_some_and(|leaf| leaf.edx & (1 << 8) != 0);
    if !invariant {
        return Err(TscUnfit::NotInvariant);
    }
    // Where the list cannot be read, the processor's word must do.
    match fs::read_to_string(CLOCK_SOURCES) {
        Ok(list) if !list.split_whitespace().any(|name| name == "tsc") => Err(TscUnfit::Unstable),
        _ => Ok(()),
    }
}

#[inline]
pub(crate) fn now() -> Ticks {
    // SAFETY: every x86-64 processor has the instruction.
    Ticks(unsafe { _rdtsc() })
}

/// The rate as the processor tells it: crystal and ratio (leaf 15H); where the crystal is not told, the base frequency
/// (leaf 16H), which is the same multiple of it.
pub(crate) fn told_hertz() -> Option<f64> {
    let ratio = leaf(0x15).filter(|ratio| ratio.eax != 0 && ratio.ebx != 0)?;
    if ratio.ecx != 0 {
        return Some(f64::from(ratio.ecx) * f64::from(ratio.ebx) / f64::from(ratio.eax));
    }
    let base_megahertz = leaf(0x16)?.eax & 0xffff;
    (base_megahertz != 0).then(|| f64::from(base_megahertz) * 1e6)
}

/// The rate measured against `nanoseconds`, a counter of nanoseconds.
pub(crate) fn measured_hertz(nanoseconds: impl Fn() -> Ticks) -> f64 {
    let start = closest_pair(&nanoseconds);
    thread::sleep(MEASUREMENT);
    let end = closest_pair(&nanoseconds);
    (end.tsc.wrapping_sub(start.tsc)) as f64 / (end.nanoseconds.wrapping_sub(start.nanoseconds)) as f64 * 1e9
}

struct Pair {
    tsc: u64,
    nanoseconds: u64,
}

/// Both counters at the same time: of several readings of one between two of the other, the one with the least between.
fn closest_pair(nanoseconds: &impl Fn() -> Ticks) -> Pair {
    let mut closest = Pair { tsc: 0, nanoseconds: 0 };
    let mut width = u64::MAX;
    for _ in 0..PAIRS {
        let before = now().0;
        let between = nanoseconds().0;
        let passed = now().0.wrapping_sub(before);
        if passed < width {
            width = passed;
            closest = Pair { tsc: before.wrapping_add(passed / 2), nanoseconds: between };
        }
    }
    closest
}

/// A leaf of CPUID, if the processor has it.
fn leaf(number: u32) -> Option<CpuidResult> {
    // The first leaf of each range tells the last of it.
    let last = __cpuid(number & 0x8000_0000).eax;
    (number <= last).then(|| __cpuid(number))
}

#[cfg(test)]
mod tests {
    use super::{leaf, measured_hertz, told_hertz};
    use crate::LocalCounter;

    #[test]
    fn measurement_agrees_with_what_the_processor_tells() {
        let measured = measured_hertz(|| LocalCounter::MonotonicRaw.now());
        assert!((1e8..1e11).contains(&measured), "{measured} Hz");
        if let Some(told) = told_hertz() {
            let ratio = measured / told;
            // Wide: a busy host may stop this thread within a pair, and some guests are told the host's base frequency.
            assert!((0.8..1.25).contains(&ratio), "measured {measured} Hz, told {told} Hz");
        }
    }

    #[test]
    fn a_leaf_that_is_not_there_is_not_read() {
        assert!(leaf(0).is_some());
        assert!(leaf(0x7fff_ffff).is_none());
        assert!(leaf(0xffff_ffff).is_none());
    }
}
