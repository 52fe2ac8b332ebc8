//! CLOCK_REALTIME.

use std::io;

use sidereal_cpu::LocalCounter;
use sidereal_servo::Discipline;
use sidereal_time::{Instant, Rate, Reading, Span, Ticks, Utc};

/// How many times a reading is tried; the tightest counts. The first warms the caches.
const TRIES: u32 = 8;
/// `clock_gettime` and CLOCK_MONOTONIC_RAW show whole nanoseconds: what a reading cannot see.
const GRANULARITY: Span = Span::from_nanos(2);

/// The kernel's system clock, CLOCK_REALTIME. It is read and never written.
#[derive(Debug, Clone)]
pub struct SystemClock {
    counter: LocalCounter,
    /// The nominal length of the counter's tick: good enough for the length of a window.
    tick: Rate,
}

/// Why the kernel does not say how it steers the system clock.
#[derive(Debug, thiserror::Error)]
#[error("adjtimex(2) failed: {0}")]
pub struct DisciplineError(#[from] io::Error);

impl SystemClock {
    /// The system clock as read beside `counter`. This may take 20 ms: the counter's rate is asked for
    /// ([`LocalCounter::nominal_hertz`]).
    #[must_use]
    pub fn new(counter: LocalCounter) -> Self {
        Self { counter, tick: Rate::from_hertz(counter.nominal_hertz()) }
    }

    /// The clock between two looks at the counter: of several tries the one with the least time between the two looks.
    /// Half its window is how far the reading may be off.
    #[must_use]
    pub fn read(&self) -> Reading<Utc> {
        let mut best = self.try_read();
        for _ in 1..TRIES {
            let next = self.try_read();
            if next.window() < best.window() {
                best = next;
            }
        }
        best
    }

    /// What the kernel says of how the clock is steered (`adjtimex(2)` with `modes = 0`, which changes nothing).
    ///
    /// # Errors
    /// Where the system call is forbidden, as in some sandboxes.
    pub fn discipline(&self) -> Result<Discipline, DisciplineError> {
        // SAFETY: all fields are integers (and padding), for which zero is a value.
        let mut timex: libc::timex = unsafe { core::mem::zeroed() };
        // SAFETY: `timex` is a timex to read from and to write to.
        if unsafe { libc::adjtimex(&raw mut timex) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(discipline(&timex))
    }

    fn try_read(&self) -> Reading<Utc> {
        let before = fenced(self.counter);
        let at = realtime();
        let after = fenced(self.counter);
        let ticks = after.0.wrapping_sub(before.0);
        let window = self.tick.span(i64::try_from(ticks).unwrap_or(i64::MAX)) + GRANULARITY;
        Reading::new(Ticks(before.0.wrapping_add(ticks / 2)), at, window)
    }
}

/// The counter, read after everything before and before everything after.
#[inline]
fn fenced(counter: LocalCounter) -> Ticks {
    fence();
    let ticks = counter.now();
    fence();
    ticks
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn fence() {
    // No later instruction starts before all earlier ones are complete (Intel SDM volume 2, LFENCE).
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { core::arch::x86_64::_mm_lfence() };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn fence() {
    // The only counter there is read by clock_gettime, which orders itself.
}

fn realtime() -> Instant<Utc> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to. The call cannot fail: every Linux has the clock.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    Instant::from_nanos(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
}

fn discipline(timex: &libc::timex) -> Discipline {
    let flag = |bit| timex.status & bit != 0;
    Discipline {
        synchronised: !flag(libc::STA_UNSYNC),
        max_error: Span::from_nanos(i128::from(timex.maxerror) * 1_000),
        tai_offset_s: (timex.tai != 0).then_some(timex.tai),
        leap_step: match (flag(libc::STA_INS), flag(libc::STA_DEL)) {
            (true, _) => -1,
            (false, true) => 1,
            (false, false) => 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use sidereal_cpu::LocalCounter;
    use sidereal_time::{Instant, Span, Utc};

    use super::{SystemClock, discipline};

    fn system_time() -> Instant<Utc> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Instant::from_nanos(since.as_nanos().cast_signed())
    }

    #[test]
    fn a_reading_lies_between_what_was_before_and_after() {
        for counter in [LocalCounter::MonotonicRaw, LocalCounter::best()] {
            let clock = SystemClock::new(counter);
            let (utc_before, ticks_before) = (system_time(), counter.now());
            let reading = clock.read();
            let (ticks_after, utc_after) = (counter.now(), system_time());
            assert!((ticks_before.0..=ticks_after.0).contains(&reading.ticks().0), "{counter:?}");
            assert!((utc_before..=utc_after).contains(&reading.at()), "{counter:?}");
            assert!(reading.window() > Span::ZERO && reading.window() < Span::SECOND, "{counter:?}: {reading:?}");
        }
    }

    #[test]
    fn readings_agree_with_each_other_within_their_windows() {
        let clock = SystemClock::new(LocalCounter::MonotonicRaw);
        let first = clock.read();
        for _ in 0..1_000 {
            let next = clock.read();
            let passed = Span::from_nanos(i128::from(next.ticks().0 - first.ticks().0));
            // Whoever steers the clock may slew it by 500 ppm, and by 10 % in an emergency, which this is not.
            let slewed = Span::from_units(passed.units() / 1_000);
            let off = ((next.at() - first.at()) - passed).abs();
            assert!(off <= first.error() + next.error() + slewed, "{off} between {first:?} and {next:?}");
        }
    }

    #[test]
    fn the_kernel_says_how_it_steers() {
        let said = SystemClock::new(LocalCounter::MonotonicRaw).discipline().unwrap();
        assert!(!said.max_error.is_negative());
        assert!((-1..=1).contains(&said.leap_step));
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        // SAFETY: all fields are integers (and padding), for which zero is a value.
        let mut timex: libc::timex = unsafe { core::mem::zeroed() };
        timex.maxerror = 1_500;
        let said = discipline(&timex);
        assert!(said.synchronised);
        assert_eq!((said.tai_offset_s, said.leap_step), (None, 0));
        assert_eq!(said.max_error, Span::from_nanos(1_500_000));
        timex.status = libc::STA_UNSYNC | libc::STA_INS;
        timex.tai = 37;
        let said = discipline(&timex);
        assert!(!said.synchronised);
        assert_eq!((said.tai_offset_s, said.leap_step), (Some(37), -1));
        timex.status = libc::STA_DEL;
        assert_eq!(discipline(&timex).leap_step, 1);
    }
}
