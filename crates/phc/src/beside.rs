//! A clock of the kernel and the local counter, looked at together.

use std::io;

use sidereal_cpu::LocalCounter;
use sidereal_time::{Instant, Rate, Reading, Scale, Span, Ticks};

/// How many times a clock is looked at; the tightest counts. The first warms the caches.
const TRIES: u32 = 8;
/// `clock_gettime` and CLOCK_MONOTONIC_RAW show whole nanoseconds: what a look cannot see.
pub(crate) const GRANULARITY: Span = Span::from_nanos(2);

/// A clock between two looks at the counter: it showed `shown` within half of `window`, either way, from when the counter
/// stood at `ticks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) ticks: Ticks,
    /// Since the clock's epoch.
    pub(crate) shown: Span,
    pub(crate) window: Span,
}

impl Look {
    pub(crate) fn reading<S: Scale>(self) -> Reading<S> {
        Reading::new(self.ticks, Instant::EPOCH + self.shown, self.window)
    }
}

/// The counter that clocks are looked at beside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    counter: LocalCounter,
    /// The nominal length of the counter's tick: good enough for the length of a window.
    tick: Rate,
}

impl Beside {
    /// This may take 20 ms: the counter's rate is asked for ([`LocalCounter::nominal_hertz`]).
    pub(crate) fn new(counter: LocalCounter) -> Self {
        Self { counter, tick: Rate::from_hertz(counter.nominal_hertz()) }
    }

    pub(crate) const fn tick(&self) -> Rate {
        self.tick
    }

    /// `clock`, looked at several times: the look with the least time between its two sights of the counter. The error is
    /// the kernel's: no such clock, or a device that is gone.
    pub(crate) fn look(&self, clock: libc::clockid_t) -> io::Result<Look> {
        if clock == libc::CLOCK_MONOTONIC_RAW && self.counter == LocalCounter::MonotonicRaw {
            let ticks = self.counter.now();
            return Ok(Look { ticks, shown: Span::from_nanos(ticks.0.into()), window: Span::ZERO });
        }
        let mut best = self.try_look(clock)?;
        for _ in 1..TRIES {
            let next = self.try_look(clock)?;
            if next.window < best.window {
                best = next;
            }
        }
        Ok(best)
    }

    fn try_look(&self, clock: libc::clockid_t) -> io::Result<Look> {
        let before = fenced(self.counter);
        let shown = read(clock)?;
        let after = fenced(self.counter);
        let ticks = after.0.wrapping_sub(before.0);
        let window = self.tick.span(i64::try_from(ticks).unwrap_or(i64::MAX)) + GRANULARITY;
        Ok(Look { ticks: Ticks(before.0.wrapping_add(ticks / 2)), shown, window })
    }
}

/// What `clock` shows, since its epoch.
pub(crate) fn read(clock: libc::clockid_t) -> io::Result<Span> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to.
    if unsafe { libc::clock_gettime(clock, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Span::from_secs(now.tv_sec) + Span::from_nanos(now.tv_nsec.into()))
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
