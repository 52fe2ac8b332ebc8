//! A counter on a wandering oscillator, and a clock that is read beside it through windows of noise.

pub(crate) mod network;

use sidereal_time::{Instant, Reading, Span, Tai, Ticks};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.uniform()).ln()
    }

    /// Of deviation 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (core::f64::consts::TAU * self.uniform()).cos()
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    /// What the reference shows: the truth.
    pub(crate) clock: Instant<Tai>,
    /// Where the counter stands, with what floating point can hold of its fraction.
    ticks: u64,
    fraction: f64,
    pub(crate) hertz: f64,
    pub(crate) width: u8,
    /// How much faster the counter runs than it should, in seconds per second.
    pub(crate) frequency: f64,
    /// How far that walks in a second, in seconds per second.
    pub(crate) wander: f64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let frequency = random.normal() * 30e-6;
        let ticks = random.bits() >> 8;
        let hertz = 1e9 + random.uniform() * 3e9;
        Self {
            random,
            clock: Instant::from_secs(1_800_000_000),
            ticks,
            fraction: 0.0,
            hertz,
            width: 64,
            frequency,
            wander: 1e-9,
        }
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.masked(self.ticks)
    }

    pub(crate) fn advance(&mut self, seconds: f64) {
        self.frequency += self.random.normal() * self.wander * seconds.sqrt();
        self.clock += Span::from_secs_f64(seconds);
        self.fraction += seconds * self.hertz * (1.0 + self.frequency);
        let whole = self.fraction.floor();
        self.fraction -= whole;
        self.ticks = self.ticks.wrapping_add(whole as u64);
    }

    /// The counter is set, the clock is not.
    pub(crate) fn set_ticks(&mut self, ticks: u64) {
        self.ticks = ticks;
    }

    /// Both read together, in 40 ns and a bit, once in a hundred times in 100 us and more.
    pub(crate) fn read(&mut self) -> Reading<Tai> {
        let interrupted = self.random.uniform() < 0.01;
        let interruption = if interrupted { 100e-6 + self.random.exponential(100e-6) } else { 0.0 };
        let window = 40e-9 + self.random.exponential(20e-9) + interruption;
        let position = window * self.random.uniform();
        let middle = self.ticks.wrapping_add((window / 2.0 * self.hertz) as u64);
        let shown = self.clock + Span::from_secs_f64(position);
        let whole = Instant::from_nanos(shown.units().div_euclid(1 << 16));
        Reading::new(self.masked(middle), whole, Span::from_secs_f64(window))
    }

    fn masked(&self, ticks: u64) -> Ticks {
        Ticks(ticks & (u64::MAX >> (64 - self.width)))
    }
}
