//! The clock of a NIC, on an oscillator of its own.

use rand_distr::{Distribution, StandardNormal};
use sidereal_servo::Adjustment;
use sidereal_time::{Instant, Reading, Span, Tai, Ticks};

use super::{HostCounter, nanos};
use crate::clock::SteeredClock;
use crate::oscillator::{Oscillator, OscillatorOptions};
use crate::random::{Stream, stream};

/// What the clock of a NIC is like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NicClockOptions {
    /// What it runs on.
    pub oscillator: OscillatorOptions,
    /// How wrong it is at the beginning.
    pub offset: Span,
    /// How far a reading of it is off: one standard deviation.
    pub read_noise: Span,
    /// How long a reading takes.
    pub read_window: Span,
}

/// A NIC's clock: it shows TAI, where it is made to, and takes the stamps of packets.
#[derive(Debug, Clone)]
pub struct NicClock {
    options: NicClockOptions,
    oscillator: Oscillator,
    steered: SteeredClock<Tai>,
    random: Stream,
}

impl NicClock {
    /// The clock of the NIC of the host `name` in the run `seed`.
    #[must_use]
    pub fn new(options: &NicClockOptions, seed: u64, name: &str, start: Instant<Tai>) -> Self {
        Self {
            options: *options,
            oscillator: Oscillator::new(&options.oscillator, seed, &format!("{name}/nic"), start),
            steered: SteeredClock::new(start + options.offset, Span::ZERO),
            random: stream(seed, &format!("{name}/nic clock")),
        }
    }

    /// What it shows when it is truly `at`.
    pub fn shown(&mut self, at: Instant<Tai>) -> Instant<Tai> {
        let phase = self.oscillator.phase(at);
        self.steered.read(phase)
    }

    /// It is read beside `counter`.
    pub fn read(&mut self, at: Instant<Tai>, counter: &mut HostCounter) -> Reading<Tai> {
        let off: f64 = StandardNormal.sample(&mut self.random);
        let off = Span::from_secs_f64(off * self.options.read_noise.as_secs_f64());
        Reading::new(counter.at(at), self.shown(at) + off, self.options.read_window)
    }

    /// Steers it from `now` on.
    pub fn adjust(&mut self, adjustment: Adjustment, now: Instant<Tai>) {
        let phase = self.oscillator.phase(now);
        self.steered.adjust(adjustment, phase);
    }

    /// A stamp of it when it is truly `at`, in nanoseconds.
    pub(super) fn stamp(&mut self, at: Instant<Tai>) -> Ticks {
        Ticks(nanos(self.shown(at) - Instant::EPOCH))
    }
}
