//! The local counter, which nobody steers: how it runs, and where it stood at stamps.

use sidereal_cpu::LocalCounter;
use sidereal_engine::Engine;
use sidereal_phc::SystemClock;
use sidereal_time::{Arrived, Counter, Instant, LocalClock, Rate, Stamp, Ticks};
use tracing::debug;

/// `counter` as a clock that runs at its nominal rate.
pub(crate) fn local_clock(counter: LocalCounter) -> LocalClock {
    let rate = Rate::from_hertz(counter.nominal_hertz());
    LocalClock { counter: counter.counter(), width: 64, rate, precision: precision(counter, rate) }
}

/// Tells where the local counter stood at stamps: the engine of those of NICs and of the counter itself, the system clock of
/// the kernel's.
pub(crate) struct Locator<'a> {
    pub(crate) counter: LocalCounter,
    pub(crate) engine: &'a Engine,
    pub(crate) system: &'a mut SystemClock,
}

impl Locator<'_> {
    /// The place of `stamp`; `None` where it has none.
    pub(crate) fn locate(&mut self, stamp: Stamp) -> Option<Arrived> {
        if stamp.counter == Counter::Realtime {
            return by_kernel(self.system, stamp);
        }
        let located = self.engine.locate(stamp, self.counter.now());
        located.inspect_err(|fault| debug!("a stamp is not used: {fault}")).ok()
    }
}

/// Where the local counter stood at a stamp of the kernel; `None` for any other, and where the system clock was set meanwhile.
pub(crate) fn by_kernel(system: &mut SystemClock, stamp: Stamp) -> Option<Arrived> {
    if stamp.counter != Counter::Realtime {
        return None;
    }
    let located = system.locate(Instant::from_nanos(stamp.ticks.0.into()));
    let located = located.inspect_err(|error| debug!("a stamp of the kernel is not used: {error}")).ok()?;
    Some(Arrived { ticks: located.ticks, source: stamp.source })
}

/// How long reading the counter takes, as the next power of two of a second: the shortest step between two readings that
/// follow one another (RFC 5905 §7.3).
fn precision(counter: LocalCounter, rate: Rate) -> i8 {
    const TRIES: usize = 1000;
    let step = |_| {
        let Ticks(before) = counter.now();
        counter.now().0.wrapping_sub(before)
    };
    let shortest = (0..TRIES).map(step).filter(|ticks| *ticks > 0).min().unwrap_or(1);
    let seconds = rate.span(i64::try_from(shortest).unwrap_or(i64::MAX)).as_secs_f64();
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the clamp leaves what a counter can have")]
    let log2 = seconds.log2().ceil().clamp(-30.0, 0.0) as i8;
    log2
}
