//! NICs: what is known of when a packet passed.

mod clock;

use rand::RngExt;
use sidereal_time::{Arrived, ClockId, Counter, Instant, Span, Stamp, StampSource, Tai, Ticks};

pub use self::clock::{NicClock, NicClockOptions};

use crate::link::Jitter;
use crate::oscillator::Oscillator;
use crate::random::{Stream, stream};

/// What the clock of a NIC is called on its host.
pub const NIC_CLOCK: ClockId = ClockId(1);

/// How a host stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NicOptions {
    /// Stamps are whole multiples of this; of one nanosecond at least.
    pub granularity: Span,
    /// How late they are taken.
    pub jitter: Jitter,
    /// Whether there is one place for the stamps of packets that leave: until it has been read, no other is taken.
    pub one_latch: bool,
    /// Whether it writes the time into a Sync as that leaves, so that no Follow_Up is needed.
    pub one_step: bool,
    /// The probability that a stamp gets lost.
    pub lost: f64,
    /// How long after a packet has left its stamp is known.
    pub report_delay: Span,
    /// How late the program's own look at the counter is, which is all there is where a stamp got lost.
    pub software_jitter: Jitter,
    /// The clock that takes its stamps; `None`: it can look at the host's counter itself.
    pub clock: Option<NicClockOptions>,
}

/// A host's counter: one tick a nanosecond of its oscillator, 64 bits.
#[derive(Debug, Clone)]
pub struct HostCounter {
    oscillator: Oscillator,
    /// Where it stood at the beginning.
    origin: u64,
}

/// A NIC in a run.
#[derive(Debug, Clone)]
pub struct Nic {
    options: NicOptions,
    random: Stream,
    latched_until: Instant<Tai>,
    clock: Option<NicClock>,
}

/// What becomes of the stamp of a packet that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// When it left, as far as it is known.
    pub left: Stamp,
    /// When that is known.
    pub known: Instant<Tai>,
}

impl HostCounter {
    /// A counter on `oscillator` that stood at `origin` when that began.
    #[must_use]
    pub const fn new(oscillator: Oscillator, origin: u64) -> Self {
        Self { oscillator, origin }
    }

    /// Where it stands when it is truly `at`.
    pub fn at(&mut self, at: Instant<Tai>) -> Ticks {
        Ticks(self.origin.wrapping_add(nanos(self.oscillator.phase(at))))
    }

    /// The time that has passed by the counter's oscillator when it is truly `at`.
    pub fn phase(&mut self, at: Instant<Tai>) -> Span {
        self.oscillator.phase(at)
    }

    /// When it will stand at `ticks`, or some seconds from `now`, if that is earlier; `now` where it is past them.
    pub fn when(&mut self, ticks: Ticks, now: Instant<Tai>) -> Instant<Tai> {
        let ahead = ticks.0.wrapping_sub(self.at(now).0).cast_signed();
        // The phase at which the counter's value changes to that very tick.
        let whole = i128::from(nanos(self.oscillator.phase(now)));
        self.oscillator.when(Span::from_nanos(whole + i128::from(ahead)), now)
    }

    /// The fractional frequency deviation when it is truly `at`.
    pub fn frequency(&mut self, at: Instant<Tai>) -> f64 {
        self.oscillator.frequency(at)
    }

    /// It shows `by` more from now on.
    pub fn jump(&mut self, by: Span) {
        self.oscillator.jump(by);
    }
}

/// A stamp of the host's own counter: where nothing has to be located.
pub(crate) const fn of_counter(stamp: Stamp) -> Arrived {
    Arrived { ticks: stamp.ticks, source: stamp.source }
}

/// Whole nanoseconds of a phase, as a counter of 64 bits has them.
fn nanos(phase: Span) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "wrapping is what counters do")]
    let nanos = phase.units().div_euclid(Span::from_nanos(1).units()) as u64;
    nanos
}

impl Nic {
    /// The NIC of the host `name` in the run `seed`.
    #[must_use]
    pub fn new(options: &NicOptions, seed: u64, name: &str, start: Instant<Tai>) -> Self {
        Self {
            options: *options,
            random: stream(seed, &format!("{name}/nic")),
            latched_until: start,
            clock: options.clock.as_ref().map(|clock| NicClock::new(clock, seed, name, start)),
        }
    }

    /// The clock that takes its stamps, where it has one of its own.
    pub fn clock(&mut self) -> Option<&mut NicClock> {
        self.clock.as_mut()
    }

    /// A packet that truly arrives `at`.
    pub fn receive(&mut self, at: Instant<Tai>, counter: &mut HostCounter) -> Stamp {
        if self.happens() { self.software(at, counter) } else { self.hardware(at, counter) }
    }

    /// A packet that was handed over at `now` and truly leaves `at`. Without `stamped` nobody waits for its stamp.
    pub fn transmit(
        &mut self,
        now: Instant<Tai>,
        at: Instant<Tai>,
        stamped: bool,
        counter: &mut HostCounter,
    ) -> Departure {
        let known = at + self.options.report_delay;
        let latched = self.options.one_latch && at < self.latched_until;
        if !stamped || latched || self.happens() {
            return Departure { left: self.software(now, counter), known };
        }
        self.latched_until = known;
        Departure { left: self.hardware(at, counter), known }
    }

    /// The stamp that it writes by itself into a packet that truly leaves `at`: nobody has to fetch it.
    pub fn write(&mut self, at: Instant<Tai>, counter: &mut HostCounter) -> Stamp {
        self.hardware(at, counter)
    }

    fn hardware(&mut self, at: Instant<Tai>, counter: &mut HostCounter) -> Stamp {
        let late = self.options.jitter.draw(&mut self.random);
        let at = at + Span::from_secs_f64(late);
        let (ticks, counter) = match &mut self.clock {
            Some(clock) => (clock.stamp(at), Counter::Nic(NIC_CLOCK)),
            None => (counter.at(at), Counter::MonotonicRaw),
        };
        let granule = nanos(self.options.granularity).max(1);
        Stamp { ticks: Ticks(ticks.0 - ticks.0 % granule), counter, source: StampSource::Hardware }
    }

    fn software(&mut self, at: Instant<Tai>, counter: &mut HostCounter) -> Stamp {
        let late = self.options.software_jitter.draw(&mut self.random);
        let ticks = counter.at(at + Span::from_secs_f64(late));
        Stamp { ticks, counter: Counter::MonotonicRaw, source: StampSource::Software }
    }

    fn happens(&mut self) -> bool {
        self.options.lost > 0.0 && self.random.random::<f64>() < self.options.lost
    }
}

#[cfg(test)]
mod tests {
    use super::{HostCounter, Nic, NicOptions};
    use crate::link::Jitter;
    use crate::oscillator::{Oscillator, OscillatorOptions};
    use sidereal_time::{Instant, Span, StampSource, Tai, Ticks};

    const START: Instant<Tai> = Instant::from_secs(1_700_000_000);

    fn counter() -> HostCounter {
        let options = OscillatorOptions { frequency_offset: 50e-6, ..OscillatorOptions::default() };
        HostCounter::new(Oscillator::new(&options, 1, "h", START), u64::MAX - 1_000_000_000)
    }

    #[test]
    fn a_counter_wraps_and_its_timers_are_exact() {
        let mut counter = counter();
        let now = START + Span::from_nanos(999_900_000);
        let before = counter.at(now);
        let deadline = Ticks(before.0.wrapping_add(300_000));
        assert!(deadline.0 < before.0, "wrapped");
        let when = counter.when(deadline, now);
        assert_eq!(counter.at(when), deadline);
        assert_eq!(counter.at(when - Span::from_units(2)).0, deadline.0 - 1);
        assert_eq!(counter.when(before, now), now);
    }

    #[test]
    fn stamps_are_coarse_late_or_lost() {
        let options = NicOptions { granularity: Span::from_nanos(40), ..NicOptions::default() };
        let mut nic = Nic::new(&options, 1, "h", START);
        let stamp = nic.receive(START + Span::from_nanos(12_345), &mut counter());
        assert_eq!((stamp.ticks.0 % 40, stamp.source), (0, StampSource::Hardware));

        let jitter = Jitter::Exponential { mean: Span::from_nanos(1000) };
        let mut nic = Nic::new(&NicOptions { jitter, ..NicOptions::default() }, 1, "h", START);
        let mut counter = counter();
        let at = START + Span::SECOND;
        let truth = counter.at(at);
        let late: Vec<u64> = (0..1000).map(|_| nic.receive(at, &mut counter).ticks.0.wrapping_sub(truth.0)).collect();
        let mean = late.iter().sum::<u64>() as f64 / 1000.0;
        assert!((900.0..1100.0).contains(&mean), "{mean}");

        let mut nic = Nic::new(&NicOptions { lost: 0.3, ..NicOptions::default() }, 1, "h", START);
        let lost = (0..1000).filter(|_| nic.receive(at, &mut counter).source == StampSource::Software).count();
        assert!((250..350).contains(&lost), "{lost}");
    }

    #[test]
    fn one_latch_holds_one_stamp() {
        let options = NicOptions { one_latch: true, report_delay: Span::from_nanos(500_000), ..NicOptions::default() };
        let mut nic = Nic::new(&options, 1, "h", START);
        let mut counter = counter();
        let mut source = |micros: i128| {
            let at = START + Span::from_nanos(1000 * micros);
            nic.transmit(at, at, true, &mut counter).left.source
        };
        assert_eq!(source(0), StampSource::Hardware);
        assert_eq!(source(100), StampSource::Software);
        assert_eq!(source(600), StampSource::Hardware);
    }
}
