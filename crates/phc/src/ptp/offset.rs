//! The ways to read a device's clock beside the local counter.

use core::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use sidereal_time::Span;

use crate::beside::{Beside, GRANULARITY, Look};
use crate::ioctl::Request;
use crate::track::between;

// SAFETY: PTP_SYS_OFFSET_PRECISE reads and fills a ptp_sys_offset_precise; all fields are integers.
const PRECISE: Request<libc::ptp_sys_offset_precise> = unsafe { Request::new(libc::PTP_SYS_OFFSET_PRECISE) };
// SAFETY: PTP_SYS_OFFSET_EXTENDED reads and fills a ptp_sys_offset_extended; all fields are integers.
const EXTENDED: Request<libc::ptp_sys_offset_extended> = unsafe { Request::new(libc::PTP_SYS_OFFSET_EXTENDED) };
// SAFETY: PTP_SYS_OFFSET reads a ptp_sys_offset and fills it; all fields are integers.
const OFFSET: Request<libc::ptp_sys_offset> = unsafe { Request::new(libc::PTP_SYS_OFFSET) };

/// How many times the kernel reads the device for one reading; the tightest counts. Each takes one to five microseconds on
/// PCI Express.
const SAMPLES: u32 = 6;
/// How far a system's stamp may lie outside of our own looks around it. A true one lies between; hypervisors and simulators
/// put theirs a little off, and the window grows by it.
const OUTSIDE_MAX: Span = Span::from_nanos(100_000);

/// A way to read a device's clock, by what stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OffsetMethod {
    /// `PTP_SYS_OFFSET_PRECISE`: hardware reads the processor's counter at the same time.
    Precise,
    /// `PTP_SYS_OFFSET_EXTENDED` against CLOCK_MONOTONIC_RAW (since Linux 6.13): the driver reads it right before and after
    /// the device, and nobody steers it.
    ExtendedRaw,
    /// `PTP_SYS_OFFSET_EXTENDED` against CLOCK_REALTIME.
    Extended,
    /// `PTP_SYS_OFFSET`: the kernel reads CLOCK_REALTIME before and after the driver's function.
    Offset,
    /// `clock_gettime(2)` between two looks at the counter.
    Gettime,
}

/// The system's clock and a device's at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Crossing {
    system: Span,
    device: Span,
    /// Half of it is how far `system` may be off, either way.
    window: Span,
}

impl OffsetMethod {
    /// All, the best first.
    pub const ALL: [Self; 5] = [Self::Precise, Self::ExtendedRaw, Self::Extended, Self::Offset, Self::Gettime];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::ExtendedRaw => "extended_raw",
            Self::Extended => "extended",
            Self::Offset => "offset",
            Self::Gettime => "gettime",
        }
    }

    /// The device's clock beside the counter; `None` where the driver's stamps contradict our own. `clock` is the device as
    /// `clock_gettime(2)` knows it.
    pub(super) fn look(
        self,
        device: BorrowedFd<'_>,
        clock: libc::clockid_t,
        beside: &Beside,
    ) -> io::Result<Option<Look>> {
        let system = match self {
            Self::Precise | Self::ExtendedRaw => libc::CLOCK_MONOTONIC_RAW,
            Self::Extended | Self::Offset => libc::CLOCK_REALTIME,
            Self::Gettime => return beside.look(clock).map(Some),
        };
        let before = beside.look(system)?;
        let crossing = match self {
            Self::Precise => precise(device)?,
            Self::Offset => offset(device)?,
            _ => extended(device, system)?,
        };
        let after = beside.look(system)?;
        Ok(crossing.and_then(|crossing| place(&before, &after, &crossing)))
    }
}

impl fmt::Display for OffsetMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn precise(device: BorrowedFd<'_>) -> io::Result<Option<Crossing>> {
    const NONE: libc::ptp_clock_time = libc::ptp_clock_time { sec: 0, nsec: 0, reserved: 0 };
    let mut said = libc::ptp_sys_offset_precise { device: NONE, sys_realtime: NONE, sys_monoraw: NONE, rsv: [0; 4] };
    PRECISE.send(device, &mut said)?;
    Ok(Some(Crossing { system: span(&said.sys_monoraw), device: span(&said.device), window: GRANULARITY }))
}

fn extended(device: BorrowedFd<'_>, clock: libc::clockid_t) -> io::Result<Option<Crossing>> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut said: libc::ptp_sys_offset_extended = unsafe { core::mem::zeroed() };
    said.n_samples = SAMPLES;
    // Kernels before 6.13 call this a reserved field, which must be zero: as CLOCK_REALTIME is.
    said.clockid = clock;
    EXTENDED.send(device, &mut said)?;
    let triples = said.ts.iter().take(SAMPLES as usize).map(|triple| triple.each_ref().map(span));
    Ok(tightest(triples))
}

fn offset(device: BorrowedFd<'_>) -> io::Result<Option<Crossing>> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut said: libc::ptp_sys_offset = unsafe { core::mem::zeroed() };
    said.n_samples = SAMPLES;
    OFFSET.send(device, &mut said)?;
    // The system's and the device's take turns, the system's being first and last.
    let stamps = said.ts.map(|stamp| span(&stamp));
    let triples = stamps.windows(3).step_by(2).take(SAMPLES as usize);
    Ok(tightest(triples.filter_map(|triple| triple.try_into().ok())))
}

/// Of triples system, device, system the one with the least between the system's; none where every one runs backwards, as
/// around a step.
fn tightest(triples: impl Iterator<Item = [Span; 3]>) -> Option<Crossing> {
    let forwards = triples.filter(|[before, _, after]| before <= after);
    let crossings = forwards.map(|[before, device, after]| {
        let passed = after - before;
        Crossing { system: before + passed.half(), device, window: passed + GRANULARITY }
    });
    // Of equals the last: it is the freshest.
    crossings.reduce(|best, next| if next.window <= best.window { next } else { best })
}

/// A crossing, placed on the counter by looks at the same system's clock before and after.
fn place(before: &Look, after: &Look, crossing: &Crossing) -> Option<Look> {
    if after.shown < before.shown {
        return None;
    }
    let nearest = crossing.system.clamp(before.shown, after.shown);
    let outside = crossing.system - nearest;
    if outside.abs() > OUTSIDE_MAX {
        return None;
    }
    let located = between(before, after, nearest)?;
    let window = crossing.window + located.window + outside.abs() + outside.abs();
    Some(Look { ticks: located.ticks, shown: crossing.device - outside, window })
}

fn span(time: &libc::ptp_clock_time) -> Span {
    Span::from_secs(time.sec) + Span::from_nanos(time.nsec.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidereal_time::{Span, Ticks};

    use super::{Crossing, OUTSIDE_MAX, place, tightest};
    use crate::beside::{GRANULARITY, Look};

    fn ns(nanos: i64) -> Span {
        Span::from_nanos(nanos.into())
    }

    fn look(ticks: u64, shown: i64, window: i64) -> Look {
        Look { ticks: Ticks(ticks), shown: ns(shown), window: ns(window) }
    }

    #[test]
    fn the_tightest_triple_counts() {
        let triples = [[0, 1_000, 400], [500, 1_650, 800], [900, 2_000, 1_300]].map(|triple| triple.map(ns));
        let crossing = Crossing { system: ns(650), device: ns(1_650), window: ns(300) + GRANULARITY };
        assert_eq!(tightest(triples.into_iter()), Some(crossing));
    }

    #[test]
    fn triples_that_run_backwards_do_not_count() {
        assert_eq!(tightest([[ns(10), ns(0), ns(5)]].into_iter()), None);
        assert_eq!(tightest(core::iter::empty()), None);
    }

    #[test]
    fn a_crossing_has_its_place_between_the_looks() {
        let crossing = Crossing { system: ns(1_250), device: ns(70_000), window: ns(100) };
        // A counter of 3 GHz.
        let placed = place(&look(30_000, 1_000, 40), &look(33_000, 2_000, 60), &crossing);
        assert_eq!(placed, Some(look(30_750, 70_000, 160)));
    }

    #[test]
    fn a_crossing_outside_of_the_looks_has_a_wider_window_or_none() {
        let (before, after) = (look(1_000, 1_000, 40), look(2_000, 2_000, 40));
        let at = |system| place(&before, &after, &Crossing { system: ns(system), device: ns(5_000), window: ns(100) });
        assert_eq!(at(900), Some(look(1_000, 5_100, 340)));
        assert_eq!(at(2_010), Some(look(2_000, 4_990, 160)));
        let far = OUTSIDE_MAX + ns(1);
        assert_eq!(at(2_000 + i64::try_from(far.as_nanos_rounded()).unwrap()), None);
        assert_eq!(place(&after, &before, &Crossing { system: ns(1_500), device: ns(0), window: ns(1) }), None);
    }

    proptest! {
        #[test]
        fn the_true_count_is_within_half_the_window(
            start in 0..1_000_000u64,
            waits in proptest::array::uniform4(0..50_000u64),
            slew in -100..100i64,
        ) {
            // The counter ticks in nanoseconds; the system's clock runs `slew` parts in 10 000 faster. The device shows the
            // counter itself.
            let shown = |ticks: u64| Span::from_units((ns(ticks.cast_signed()).units() * i128::from(10_000 + slew)) / 10_000);
            let at: Vec<u64> = waits.iter().scan(start, |now, wait| { *now += wait; Some(*now) }).collect();
            let before = Look { ticks: Ticks(start), shown: shown(start), window: GRANULARITY };
            let after = Look { ticks: Ticks(at[3]), shown: shown(at[3]), window: GRANULARITY };
            let crossing = tightest([[shown(at[0]), ns(at[1].cast_signed()), shown(at[2])]].into_iter()).unwrap();
            let placed = place(&before, &after, &crossing).unwrap();
            let off = placed.shown - ns(placed.ticks.0.cast_signed());
            // The window is told in the system's seconds.
            prop_assert!(off.abs() <= Span::from_units(placed.window.half().units() * 10_200 / 10_000), "{} {:?}", off, placed);
        }
    }
}
