//! A wire of finite speed, and a NIC that takes its time on the way to it.

use std::collections::VecDeque;

use fastrand::Rng;
use sidereal_time::Ticks;

/// What a port has between its queue and the link, where packets do not leave at once. Ticks are nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct SimWire {
    /// The nominal speed of the wire, in megabits a second, at least 1.
    pub megabits: u32,
    /// How much slower it is than that, in parts per billion.
    pub slower_ppb: i32,
    /// How long a packet takes at least from being handed over to an idle wire.
    pub latency: u64,
    /// What comes on top of that, exponentially distributed, at full load in the mean; an eighth of it at none. Drawn once for
    /// all that is handed over together, as a NIC is told of it once.
    pub jitter: u64,
    /// Once in so many times something else has the bus, and it takes another 500 ns; 0: never.
    pub stall_every: u32,
    /// Packets that may wait to be sent; more are refused.
    pub ring: usize,
    /// How far apart the values of stamps are.
    pub stamp_granularity: u64,
    /// The one latch: how long after a packet has left its stamp can be read. Until then every other token is lost.
    pub latch: u64,
    /// How many of a hundred stamps never come; the latch is given up after [`LOST_AFTER`].
    pub lost_percent: u8,
    /// How far apart the times are at which it can send on time; `None` where it cannot.
    pub send_on_time: Option<u64>,
    /// How long the processor takes for a packet that it answers: at least, and at most.
    pub handling: (u64, u64),
    /// Where chance begins.
    pub seed: u64,
}

/// How long a stamp is waited for that never comes, in ticks.
pub const LOST_AFTER: u64 = 1_000_000;

/// What a frame takes on the wire besides its bytes: check sequence, preamble, gap.
const FRAMING: usize = 4 + 8 + 12;
/// Over how long the load is averaged, in ticks.
const LOAD_OVER: f64 = 100_000.0;
const STALL: f64 = 500.0;

/// One direction of a wire.
#[derive(Debug)]
pub(crate) struct Wire {
    options: SimWire,
    per_byte: f64,
    random: Rng,
    /// When it will have sent all it has; counted from `origin`, so that fractions are not lost.
    free: f64,
    origin: u64,
    load: f64,
    loaded: f64,
    /// When the packets in the ring will have left.
    ring: VecDeque<f64>,
    latched_until: f64,
    past: u64,
}

/// What is handed over together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    /// When it has come through to the wire.
    through: f64,
}

impl Wire {
    pub(crate) fn new(options: SimWire, origin: Ticks) -> Self {
        let per_byte = 8000.0 / f64::from(options.megabits.max(1)) * (1.0 + f64::from(options.slower_ppb) * 1e-9);
        Self {
            options,
            per_byte,
            random: Rng::with_seed(options.seed),
            free: 0.0,
            origin: origin.0,
            load: 0.0,
            loaded: 0.0,
            ring: VecDeque::with_capacity(options.ring),
            latched_until: 0.0,
            past: 0,
        }
    }

    /// Packets with a time to leave at that had passed when they came.
    pub(crate) const fn past(&self) -> u64 {
        self.past
    }

    /// How long the processor takes for the next packet.
    pub(crate) fn handling(&mut self) -> u64 {
        let (least, most) = self.options.handling;
        self.random.u64(least..=most.max(least))
    }

    /// Something is handed over at `now`.
    pub(crate) fn batch(&mut self, now: Ticks) -> Batch {
        let now = self.local(now);
        while self.ring.front().is_some_and(|left| *left <= now) {
            self.ring.pop_front();
        }
        let load = (self.load * f64::exp(-(now - self.loaded).max(0.0) / LOAD_OVER)).min(1.0);
        let mean = self.options.jitter as f64 * (1.0 + 7.0 * load) / 8.0;
        let stalls = self.options.stall_every > 0 && self.random.u32(..self.options.stall_every) == 0;
        let more = -(1.0 - self.random.f64()).ln() * mean + if stalls { STALL } else { 0.0 };
        Batch { through: now + self.options.latency as f64 + more }
    }

    /// When the next packet of a batch leaves, which has `len` bytes and is to leave at `leave_at`, if that is told; `None` where
    /// the ring is full.
    pub(crate) fn send(&mut self, batch: Batch, len: usize, leave_at: Option<Ticks>) -> Option<Ticks> {
        if self.ring.len() >= self.options.ring {
            return None;
        }
        let mut start = batch.through.max(self.free);
        if let (Some(at), Some(granularity)) = (leave_at, self.options.send_on_time) {
            let at = self.local(Ticks(at.0.next_multiple_of(granularity.max(1))));
            if at < start {
                self.past += 1;
            }
            start = start.max(at);
        }
        let takes = (len + FRAMING) as f64 * self.per_byte;
        self.load = self.load * f64::exp(-(start - self.loaded).max(0.0) / LOAD_OVER) + takes / LOAD_OVER;
        self.loaded = start;
        self.free = start + takes;
        self.ring.push_back(self.free);
        Some(self.ticks(start))
    }

    /// The stamp of a packet with a token that leaves at `left`, and when it can be read; `None` in place of the stamp where it is
    /// lost.
    pub(crate) fn stamp(&mut self, now: Ticks, left: Ticks) -> (Option<Ticks>, Ticks) {
        if self.local(now) < self.latched_until {
            return (None, now);
        }
        let lost = self.random.u8(..100) < self.options.lost_percent;
        let due = left.0.wrapping_add(if lost { LOST_AFTER } else { self.options.latch });
        self.latched_until = self.local(Ticks(due));
        let granularity = self.options.stamp_granularity.max(1);
        // To the middle of what a value stands for, as a NIC's latency is calibrated to.
        let stamp = Ticks(left.0 / granularity * granularity + granularity / 2);
        ((!lost).then_some(stamp), Ticks(due))
    }

    fn local(&self, ticks: Ticks) -> f64 {
        ticks.0.wrapping_sub(self.origin).cast_signed() as f64
    }

    fn ticks(&self, local: f64) -> Ticks {
        #[expect(clippy::cast_possible_truncation, reason = "a simulation does not last for years")]
        let whole = local.round() as i64;
        Ticks(self.origin.wrapping_add_signed(whole))
    }
}
