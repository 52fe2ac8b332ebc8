//! T3, the hard one: when a reply leaves, which it must say before it does.
//!
//! A T3 that is too early is covered by the client's delay; one that is too late by nothing but the return path and the root
//! dispersion. So everything here leans to the early side when it is not sure: what is learned follows quick packets sooner
//! than slow ones, nothing is added for what no stamp has shown, and the latest that a T3 was in the last seconds
//! ([`Transmitter::spread`]) goes into the root dispersion of every reply.

mod lateness;
mod model;
mod pace;

use core::fmt;
use sidereal_nic::{Capabilities, TxStamps};
use sidereal_time::{Counter, NtpClock, NtpShort, NtpTimestamp, Rate, Span, Ticks, TxToken};

use self::lateness::Lateness;
use self::model::{Place, TxModel};
use self::pace::Pace;
use crate::limits::{SAMPLES_PER_S, SEND_AHEAD};
use crate::{Count, LinkSpeed, WorkerCounters};

/// How the T3 of a reply is found. Chosen by what the port can do ([`Self::of`]) and shown to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStrategy {
    /// The NIC is told when to send: the first reply of a burst leaves when its clock stands where we say, those behind it
    /// follow at the speed of the wire.
    SendOnTime {
        /// The clock that it sends by.
        counter: Counter,
        /// How many ticks of that clock are between two times that it can send at.
        granularity: u64,
        /// Whether TX stamps show when replies really left.
        stamped: bool,
    },
    /// T3 comes from a model of how long replies take from being handed over to the wire, calibrated by TX stamps: those of
    /// interleaved clients, and of a reply now and then.
    Predicted,
    /// T3 is when the burst will be handed over, told from the pace of those before it. No stamp of a NIC says more; what the port
    /// knows of a reply that has left, interleaved clients get with the next one.
    AfterTheFact,
}

/// How a worker finds T3.
#[derive(Debug, Clone)]
pub struct TxOptions {
    /// The strategy.
    pub strategy: TxStrategy,
    /// How fast the wire is, where that is known: what a packet waits for those ahead of it follows from it.
    pub link: LinkSpeed,
}

impl TxStrategy {
    /// What a port with these capabilities allows; `counter` is its own clock.
    #[must_use]
    pub fn of(capabilities: &Capabilities, counter: Option<Counter>) -> Self {
        // The kernel's stamps are of CLOCK_REALTIME, which is known beside the counter to a part of a microsecond only: what they
        // seemed to show would make T3 too late.
        let stamped = match capabilities.reply_stamps() {
            TxStamps::Latch | TxStamps::Fifo(_) | TxStamps::Hardware => true,
            TxStamps::None | TxStamps::Software | TxStamps::Kernel => false,
        };
        let tick = capabilities.clock.map_or(Rate::NANOSECOND, |clock| clock.tick);
        match (capabilities.send_on_time.get(), counter) {
            (Some(on_time), Some(counter)) => {
                let granularity = on_time.granularity.units() / tick.span(1).units().max(1);
                let granularity = u64::try_from(granularity).unwrap_or(1).max(1);
                Self::SendOnTime { counter, granularity, stamped }
            }
            _ if stamped => Self::Predicted,
            _ => Self::AfterTheFact,
        }
    }

    /// Whether TX stamps are asked for to calibrate the model.
    const fn samples(self) -> bool {
        matches!(self, Self::Predicted | Self::SendOnTime { stamped: true, .. })
    }
}

impl fmt::Display for TxStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendOnTime { .. } => "send on time (the NIC sends each burst at the T3 that it carries)",
            Self::Predicted => "predicted (a model of the way to the wire, calibrated by TX stamps)",
            Self::AfterTheFact => {
                "after the fact (replies tell when they are handed over; no TX stamp of a NIC says more)"
            }
        })
    }
}

/// Finds the T3 of the replies of one worker.
#[derive(Debug)]
pub(crate) struct Transmitter {
    strategy: TxStrategy,
    link: LinkSpeed,
    megabits: u32,
    pace: Pace,
    model: TxModel,
    late: Lateness,
    sampler: Sampler,
    plan: Plan,
}

/// When the burst at hand will leave.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    /// When the last burst was found, and how many ticks a second has.
    found: Ticks,
    second: u64,
    /// When this one will be handed over, and when its first reply will pass the wire.
    handed_over: Ticks,
    first: Ticks,
    /// Until when the NIC holds it, if it does.
    held: Option<Ticks>,
}

/// When a burst shall be sent by a NIC's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Not before this, by the local counter.
    pub(crate) earliest: Ticks,
    /// The NIC's clock.
    pub(crate) counter: Counter,
    /// How many of its ticks are between two times that it can send at.
    pub(crate) granularity: u64,
}

/// The T3 of the replies of a burst, one after the other.
#[derive(Debug)]
pub(crate) struct Departures {
    first: u64,
    /// What a byte ahead costs, in 2^-48 s.
    per_byte: u64,
    /// Bytes of the burst, with what the wire needs besides, ahead of the next reply.
    ahead: u64,
    /// Packets of the burst that have been looked at.
    seen: usize,
    /// Which of them is to be sampled; none where this is beyond the last.
    wanted: usize,
    sample: Option<Sample>,
    /// Tokens that they carry.
    claimed: u32,
}

/// The reply whose stamp is to calibrate the model.
#[derive(Debug, Clone, Copy)]
struct Sample {
    packet: usize,
    len: usize,
    ahead: u64,
    /// The key of the token that it carries anyway.
    key: Option<u64>,
}

/// A reply to which a token is to be given, besides those that clients want.
#[derive(Debug)]
pub(crate) struct Sampling {
    pub(crate) packet: usize,
    pub(crate) len: usize,
    pub(crate) token: TxToken,
}

/// What tells the keys of our own tokens from those of the NTP server, whose upper five bits are zero, and of PTP.
const OURS: u64 = 1 << 62;
/// Bytes of a frame's check sequence.
const CHECK_SEQUENCE: u64 = 4;
/// What a frame takes on the wire besides its bytes: check sequence, preamble, gap (IEEE 802.3 4.4.2).
const FRAMING: u64 = CHECK_SEQUENCE + 8 + 12;

impl Transmitter {
    pub(crate) fn new(TxOptions { strategy, link }: TxOptions) -> Self {
        Self {
            strategy,
            link,
            megabits: 0,
            pace: Pace::default(),
            model: TxModel::default(),
            late: Lateness::default(),
            sampler: Sampler::default(),
            plan: Plan::default(),
        }
    }

    /// A burst of `packets` packets was found at `found` by a counter of this rate. Returns when the NIC shall be told to
    /// begin to send its replies, where it can be told.
    pub(crate) fn plan(&mut self, found: Ticks, packets: usize, rate: Rate) -> Option<Held> {
        if self.link.megabits() != self.megabits || self.plan.second == 0 {
            self.new_speed(rate);
        }
        let handed_over = self.pace.leaving(found, packets);
        self.plan = Plan { found, handed_over, first: self.model.start(handed_over).0, held: None, ..self.plan };
        let TxStrategy::SendOnTime { counter, granularity, .. } = self.strategy else { return None };
        let ahead = Ticks(handed_over.0.wrapping_add(self.plan.second / SEND_AHEAD));
        // What waits for the replies ahead of it leaves on time without being told.
        let (earliest, is_queued) = self.model.start(ahead);
        (!is_queued).then_some(Held { earliest, counter, granularity })
    }

    /// The NIC holds the burst that was planned last until `at`.
    pub(crate) fn hold(&mut self, at: Ticks) {
        (self.plan.first, self.plan.held) = (at, Some(at));
    }

    /// The T3 of its replies, by `clock`.
    pub(crate) fn departures(&mut self, clock: &NtpClock, packets: usize) -> Departures {
        let Plan { found, first, second, .. } = self.plan;
        let wanted = if self.strategy.samples() { self.sampler.wanted(found, second, packets) } else { usize::MAX };
        Departures {
            first: clock.at(first).to_bits(),
            per_byte: self.model.ntp_per_byte(clock.rate),
            ahead: 0,
            seen: 0,
            wanted,
            sample: None,
            claimed: 0,
        }
    }

    /// Which reply shall carry a token of ours, where one shall and no client wants the stamp.
    pub(crate) fn sampling(&self, departures: &mut Departures) -> Option<Sampling> {
        let sample = departures.sample.as_mut().filter(|sample| sample.key.is_none())?;
        let key = self.sampler.own()?;
        sample.key = Some(key);
        departures.claimed += 1;
        Some(Sampling { packet: sample.packet, len: sample.len, token: TxToken::new(key) })
    }

    /// The burst was handed over at `at`; `packets` had been found. Returns whether the NIC got it in time, if it was to be held.
    pub(crate) fn handed_over(&mut self, at: Ticks, packets: usize, departures: &Departures) -> bool {
        let Plan { found, handed_over, first, held, .. } = self.plan;
        self.pace.learn(found, at, packets);
        if held.is_none() {
            // How much too late the time of handing over was told needs no stamp to be known.
            self.late.of_pace.note(handed_over.0.wrapping_sub(at.0).cast_signed());
        }
        if departures.ahead == 0 {
            return true;
        }
        self.sampler.claimed(departures.claimed);
        let start = self.model.handed_over(at, held, departures.ahead);
        if let Some(Sample { ahead, key: Some(key), .. }) = departures.sample {
            let (place, told) = (self.model.place(start, ahead), self.model.after(first, ahead));
            self.sampler.sent(found, Waiting { key, place, told });
        }
        held.is_none_or(|held| held.0.wrapping_sub(at.0).cast_signed() >= 0)
    }

    /// A frame of `len` bytes that is no reply was handed over, with a token or without.
    pub(crate) fn originated(&mut self, len: usize, token: bool) {
        self.model.also(len as u64 + FRAMING);
        if token {
            self.sampler.claimed(1);
        }
    }

    /// The token with this key has come back, with `left`, or lost. `clock` is what `left` was told by.
    pub(crate) fn stamped(
        &mut self,
        key: u64,
        left: Option<NtpTimestamp>,
        clock: &NtpClock,
        counters: &WorkerCounters,
    ) {
        self.returned();
        let Some(Waiting { place, told, .. }) = self.sampler.take(key) else { return };
        let Some(left) = left else { return counters.add(Count::T3SamplesLost, 1) };
        let error = left.to_bits().wrapping_sub(clock.at(place.at).to_bits()).cast_signed();
        let error = error as f64 * (1u64 << 48) as f64 / clock.rate.max(1) as f64;
        if !self.model.learn(&place, error) {
            return counters.add(Count::T3SamplesRefused, 1);
        }
        counters.add(Count::T3Samples, 1);
        let told_late = told.0.wrapping_sub(place.at.0).cast_signed();
        #[expect(clippy::cast_possible_truncation, reason = "the model refuses what is not near")]
        self.late.of_model.note(told_late.saturating_sub(error as i64));
        counters.set(Count::T3LatencyNs, self.nanos(self.model.latency()));
        counters.set(Count::T3SpreadNs, self.nanos(self.late.most()));
    }

    /// A token has come back.
    pub(crate) fn returned(&mut self) {
        self.sampler.returned();
    }

    /// Whether a token with this key is our own.
    pub(crate) const fn is_own(key: u64) -> bool {
        key & OURS != 0 && !crate::ptp::is_ptp(key)
    }

    /// How much too late T3 was at most in the last seconds, as it goes into the root dispersion. What is less than a sixteenth
    /// of the finest step there is left out: rounding adds more, and the shortest return path takes longer.
    pub(crate) fn spread(&mut self) -> NtpShort {
        self.late.turn(self.plan.found, self.plan.second);
        let (most, second) = (self.late.most(), self.plan.second);
        if most < second >> 20 {
            return NtpShort::from_bits(0);
        }
        let nanos = i128::from(most) * 1_000_000_000 / i128::from(second.max(1));
        NtpShort::from_span_rounded_up(Span::from_nanos(nanos + 1))
    }

    #[cold]
    fn new_speed(&mut self, rate: Rate) {
        let hertz = rate.as_hertz();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let second = hertz as u64;
        self.plan.second = second.max(1);
        self.megabits = self.link.megabits();
        self.model.set_speed(self.megabits, hertz);
    }

    fn nanos(&self, ticks: u64) -> u64 {
        u64::try_from(u128::from(ticks) * 1_000_000_000 / u128::from(self.plan.second.max(1))).unwrap_or(u64::MAX)
    }
}

impl Departures {
    /// When a frame of `len` bytes that began to arrive at `receive` had arrived, its check sequence with it; `receive` itself where
    /// the link's speed is not known.
    #[inline]
    pub(crate) const fn arrived(&self, receive: NtpTimestamp, len: usize) -> NtpTimestamp {
        let bytes = len as u64 + CHECK_SEQUENCE;
        NtpTimestamp::from_bits(receive.to_bits().wrapping_add(bytes.wrapping_mul(self.per_byte) >> 16))
    }

    /// The T3 of the next reply.
    #[inline]
    pub(crate) const fn next(&self) -> NtpTimestamp {
        NtpTimestamp::from_bits(self.first.wrapping_add(self.ahead.wrapping_mul(self.per_byte) >> 16))
    }

    /// The next packet has been looked at, and is not answered.
    #[inline]
    pub(crate) const fn passed(&mut self) {
        self.seen += 1;
    }

    /// The next packet is answered by `len` bytes; the client wants their stamp by the token with `key`.
    #[inline]
    pub(crate) fn reply(&mut self, len: usize, key: Option<u64>) {
        if key.is_some() || self.seen == self.wanted {
            self.note(len, key);
        }
        self.seen += 1;
        self.ahead += len as u64 + FRAMING;
    }

    #[cold]
    fn note(&mut self, len: usize, key: Option<u64>) {
        self.claimed += u32::from(key.is_some());
        let is_clients = self.sample.is_some_and(|sample| sample.key.is_some());
        if self.wanted != usize::MAX && !is_clients {
            self.sample = Some(Sample { packet: self.seen, len, ahead: self.ahead, key });
        }
    }
}

/// Chooses whose stamps calibrate the model: the port's one latch is the clients' first, and what they leave of it ours.
#[derive(Debug, Default)]
struct Sampler {
    /// When the last sample was taken.
    last: Ticks,
    waiting: Option<Waiting>,
    /// Tokens that have not come back.
    outstanding: u32,
    number: u64,
}

/// A reply whose stamp has not come back.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    key: u64,
    place: Place,
    /// The time that it told.
    told: Ticks,
}

impl Sampler {
    /// Which packet of a burst of so many is to be sampled.
    #[inline]
    fn wanted(&mut self, now: Ticks, second: u64, packets: usize) -> usize {
        let since = now.0.wrapping_sub(self.last.0);
        if since < second / SAMPLES_PER_S {
            return usize::MAX;
        }
        if since >= second {
            // Tokens come back; one that has not by now was dropped.
            (self.waiting, self.outstanding) = (None, 0);
        }
        if self.waiting.is_some() {
            return usize::MAX;
        }
        self.number = self.number.wrapping_add(1);
        usize::try_from(self.number).unwrap_or(0) % packets.max(1)
    }

    /// A key of our own, where the latch is free.
    fn own(&self) -> Option<u64> {
        (self.outstanding == 0).then_some(OURS | (self.number & (OURS - 1)))
    }

    fn claimed(&mut self, tokens: u32) {
        self.outstanding = self.outstanding.saturating_add(tokens);
    }

    fn sent(&mut self, now: Ticks, waiting: Waiting) {
        (self.last, self.waiting) = (now, Some(waiting));
    }

    fn returned(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    fn take(&mut self, key: u64) -> Option<Waiting> {
        self.waiting.take_if(|waiting| waiting.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transmitter(strategy: TxStrategy) -> Transmitter {
        Transmitter::new(TxOptions { strategy, link: LinkSpeed::of(1000) })
    }

    #[test]
    fn what_was_too_late_goes_into_root_dispersion_from_a_microsecond_on() {
        let mut transmitter = transmitter(TxStrategy::AfterTheFact);
        let clock = NtpClock {
            reference_ticks: Ticks(0),
            reference: NtpTimestamp::UNKNOWN,
            rate: (1 << 48) * 43 / 10,
            unused_bits: 0,
            leap_after: i64::MAX,
            leap_step: 0,
        };
        let mut spread_after = |found: u64, takes: u64| {
            let _ = transmitter.plan(Ticks(found), 1, Rate::NANOSECOND);
            let departures = transmitter.departures(&clock, 1);
            assert!(transmitter.handed_over(Ticks(found + takes), 1, &departures));
            transmitter.spread().to_bits()
        };
        for burst in 0..2_000 {
            assert_eq!(spread_after(burst * 100_000, 50_000), 0);
        }
        assert_eq!(spread_after(200_000_000, 49_500), 0);
        // 20 us too late: two steps of 15 us.
        assert_eq!(spread_after(200_100_000, 29_000), 2);
    }

    #[test]
    fn a_client_that_wants_the_stamp_comes_before_a_sample_of_ours() {
        for (key, own) in [(None, true), (Some(7), false)] {
            let mut sampler = transmitter(TxStrategy::Predicted);
            let _ = sampler.plan(Ticks(5_000_000_000), 3, Rate::NANOSECOND);
            let mut departures =
                Departures { first: 0, per_byte: 0, ahead: 0, seen: 0, wanted: 1, sample: None, claimed: 0 };
            departures.reply(90, None);
            departures.reply(90, None);
            departures.reply(90, key);
            assert_eq!(sampler.sampling(&mut departures).map(|sampling| sampling.packet), own.then_some(1));
            assert_eq!(departures.claimed, 1);
            assert!(sampler.handed_over(Ticks(5_000_001_000), 3, &departures));
            // While it is out, the latch is not asked for again.
            assert_eq!(sampler.sampler.own(), None);
        }
    }
}
