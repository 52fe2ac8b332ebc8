//! A Sync and a Delay_Req make a round trip: master to us, us to master (IEEE 1588-2019 11.3).
//!
//! Neither knows of the other, and they need not come in turn. A Delay_Req is paired with the Sync that came nearest to it, of
//! those since the last pair; each message is used once. So both queues are as long as chance will have it, which is what a
//! reading's window stands for. Were the luckiest of a hundred Syncs taken, all of the window would be the queue of the one
//! Delay_Req, always on the same side: that is six times as far off as not to choose.

use arrayvec::ArrayVec;
use sidereal_time::{LocalClock, Reading, Span, Tai, Ticks};

use crate::outcome::IgnoreReason;
use crate::port::delay::DelayTimes;
use crate::port::rate::RemoteRate;
use crate::port::sync::SyncTimes;

/// How coarse the stamps of a master may be: the period of 25 MHz, the slowest clock of a NIC.
const MASTER_GRANULARITY: Span = Span::from_nanos(40);
/// Syncs of which the nearest is looked for: an eighth of a second of the fastest, if an answer takes so long.
const MAX_SYNCS: usize = 16;
/// A round trip that is longer says nothing of use.
const MAX_DELAY: Span = Span::SECOND;

/// What has been heard of one master since the last pair.
#[derive(Debug, Clone)]
pub(crate) struct Pairing {
    rate: RemoteRate,
    /// Since the last pair.
    syncs: ArrayVec<SyncTimes, MAX_SYNCS>,
    /// Waits for a Sync.
    delay: Option<DelayTimes>,
    last: Option<Ticks>,
}

/// A reading, and how far it may be off beyond its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quality {
    pub(crate) reading: Reading<Tai>,
    pub(crate) dispersion: Span,
}

impl Pairing {
    pub(crate) fn new(clock: &LocalClock) -> Self {
        Self { rate: RemoteRate::new(clock), syncs: ArrayVec::new(), delay: None, last: None }
    }

    /// Takes a Sync: it is paired at once where a Delay_Req waits.
    pub(crate) fn sync(&mut self, sync: SyncTimes, clock: &LocalClock) -> Result<Option<Quality>, IgnoreReason> {
        self.rate.learn(sync, clock);
        if self.syncs.is_full() {
            self.syncs.remove(0);
        }
        self.syncs.push(sync);
        match self.delay.take() {
            Some(delay) => self.pair(&delay),
            None => Ok(None),
        }
    }

    /// Takes a Delay_Req: it is paired at once with a Sync since the last pair, where there is one.
    pub(crate) fn delay(&mut self, delay: DelayTimes) -> Result<Option<Quality>, IgnoreReason> {
        if self.syncs.is_empty() {
            self.delay = Some(delay);
            return Ok(None);
        }
        self.pair(&delay)
    }

    /// A Sync over a link whose delay is known (11.4): `mean` one way, of late within `spread`. What it took longer than the
    /// luckiest of late, and than the link explains, is delay too: somebody held it up, or was late to stamp it.
    pub(crate) fn over_link(
        &mut self,
        sync: &SyncTimes,
        mean: Span,
        spread: Span,
        clock: &LocalClock,
    ) -> Result<Quality, IgnoreReason> {
        self.rate.learn(*sync, clock);
        let late = (self.rate.lateness(sync) - spread).max(Span::ZERO);
        let delay = mean + late;
        let window = delay + delay;
        if window > MAX_DELAY {
            return Err(IgnoreReason::DelayTooLong);
        }
        let reading = Reading::new(sync.arrived.ticks, sync.left + delay, window);
        self.follow_on(Quality { reading, dispersion: granularity(clock) + spread })
    }

    fn pair(&mut self, delay: &DelayTimes) -> Result<Option<Quality>, IgnoreReason> {
        let away = |sync: &SyncTimes| self.rate.clock().passed(sync.arrived.ticks, delay.left.ticks).abs();
        let Some(sync) = self.syncs.iter().copied().min_by_key(away) else { return Ok(None) };
        self.syncs.clear();
        let quality = self.measure(&sync, delay)?;
        self.follow_on(quality).map(Some)
    }

    /// Lets only readings through that are later than the ones before.
    fn follow_on(&mut self, quality: Quality) -> Result<Quality, IgnoreReason> {
        let ticks = quality.reading.ticks();
        if self.last.is_some_and(|last| self.rate.clock().passed(last, ticks) <= Span::ZERO) {
            return Err(IgnoreReason::Stale);
        }
        self.last = Some(ticks);
        Ok(quality)
    }

    /// The master's clock in the middle between both; the window is what both were on the way.
    fn measure(&self, sync: &SyncTimes, delay: &DelayTimes) -> Result<Quality, IgnoreReason> {
        let clock = self.rate.clock();
        let here = clock.passed(sync.arrived.ticks, delay.left.ticks);
        let there = delay.received - sync.left;
        let window = there - here;
        let dispersion = granularity(clock) + self.rate.error(here);
        if (window + dispersion).is_negative() {
            return Err(IgnoreReason::NegativeDelay);
        }
        if window > MAX_DELAY {
            return Err(IgnoreReason::DelayTooLong);
        }
        let middle = clock.later(sync.arrived.ticks, here.half());
        // A tick may be long: what rounding to one has shifted in our time, is shifted in theirs.
        let rounded = clock.passed(sync.arrived.ticks, middle) - here.half();
        let at = sync.left + there.half() + rounded;
        Ok(Quality { reading: Reading::new(middle, at, window), dispersion })
    }
}

/// How far two stamps may be off together: the precision of our clock, and the coarsest stamps of a master.
fn granularity(clock: &LocalClock) -> Span {
    // The exponents of one byte shift by less than 128 bits; one of a second or more is not believed.
    let precision = Span::from_units((Span::SECOND.units() >> clock.precision.min(0).unsigned_abs().min(127)) + 1);
    MASTER_GRANULARITY + precision
}
