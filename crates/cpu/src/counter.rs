//! The counter by which this host tells the time between packets.

use sidereal_time::{Counter, Ticks};

#[cfg(target_arch = "x86_64")]
use crate::tsc;

/// A counter of this host that runs evenly, is the same on every core, and that nobody steers. All its ticks are 64 bits
/// wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocalCounter {
    /// The time stamp counter, read by one instruction. [`Self::tsc`] tells whether it is fit to be used.
    #[cfg(target_arch = "x86_64")]
    Tsc,
    /// CLOCK_MONOTONIC_RAW, in nanoseconds (`clock_gettime(2)`).
    MonotonicRaw,
}

impl LocalCounter {
    /// The cheapest counter that is fit: the time stamp counter where [`Self::tsc`] allows it, else CLOCK_MONOTONIC_RAW.
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self::tsc().unwrap_or(Self::MonotonicRaw);
        #[cfg(not(target_arch = "x86_64"))]
        Self::MonotonicRaw
    }

    /// The time stamp counter.
    ///
    /// # Errors
    /// Where the counter's rate follows the processor's, or where the kernel found it out of step between cores.
    #[cfg(target_arch = "x86_64")]
    pub fn tsc() -> Result<Self, tsc::TscUnfit> {
        tsc::check().map(|()| Self::Tsc)
    }

    /// The counter's value. The processor may read it some instructions early or late: it is not fenced.
    #[inline]
    #[must_use]
    pub fn now(self) -> Ticks {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc => tsc::now(),
            Self::MonotonicRaw => monotonic_raw(),
        }
    }

    /// The name of the counter in stamps and models.
    #[must_use]
    pub const fn counter(self) -> Counter {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc => Counter::Tsc,
            Self::MonotonicRaw => Counter::MonotonicRaw,
        }
    }

    /// About how fast the counter runs, in hertz. For the time stamp counter this is what the processor tells of itself,
    /// and where it tells nothing, a measurement that takes 20 ms: ask once.
    #[must_use]
    pub fn nominal_hertz(self) -> f64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Tsc => tsc::told_hertz().unwrap_or_else(|| tsc::measured_hertz(monotonic_raw)),
            Self::MonotonicRaw => 1e9,
        }
    }
}

fn monotonic_raw() -> Ticks {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to. The call cannot fail: every Linux that this is built for has the clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut now) };
    // Neither is ever negative: the clock counts from the start of the machine.
    let [seconds, nanoseconds] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    Ticks(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds))
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::LocalCounter;

    fn counters() -> Vec<LocalCounter> {
        let mut counters = vec![LocalCounter::MonotonicRaw];
        if LocalCounter::best() != LocalCounter::MonotonicRaw {
            counters.push(LocalCounter::best());
        }
        counters
    }

    #[test]
    fn never_runs_backwards_on_one_thread() {
        for counter in counters() {
            let mut last = counter.now();
            for _ in 0..100_000 {
                let now = counter.now();
                assert!(now.0 >= last.0, "{counter:?}: {now:?} after {last:?}");
                last = now;
            }
        }
    }

    #[test]
    fn never_runs_backwards_from_one_thread_to_the_next() {
        for counter in counters() {
            let mut last = counter.now();
            for _ in 0..50 {
                let now = thread::spawn(move || counter.now()).join().unwrap();
                assert!(now.0 >= last.0, "{counter:?}: {now:?} after {last:?}");
                last = now;
            }
        }
    }

    #[test]
    fn runs_at_the_nominal_rate() {
        for counter in counters() {
            let start = (counter.now(), LocalCounter::MonotonicRaw.now());
            thread::sleep(Duration::from_millis(50));
            let end = (counter.now(), LocalCounter::MonotonicRaw.now());
            let measured = (end.0.0 - start.0.0) as f64 / (end.1.0 - start.1.0) as f64 * 1e9;
            let ratio = measured / counter.nominal_hertz();
            // Wide: a busy host may stop this thread between the two readings of a pair.
            assert!((0.8..1.25).contains(&ratio), "{counter:?} at {measured} Hz, {ratio} of nominal");
        }
    }
}
