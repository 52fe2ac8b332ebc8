//! A reference clock: a wire into this host that shows times, or the beginnings of seconds.

use arrayvec::ArrayVec;
use sidereal_ntp::{LeapIndicator, Poll, ReferenceId, Stratum};
use sidereal_time::{ClockModel, Instant, LocalClock, Reading, Span, Tai, Ticks};

use crate::config::ReferenceKind;

/// Readings that are kept until a measurement is made of them; of more, the last ones.
const MAX_GATHERED: usize = 64;
/// The second of a pulse is known where the time is, within this.
const CERTAIN: Span = Span::from_nanos(400_000_000);
/// A measurement is made a little early rather than a whole reading late.
const EARLY: i128 = 16;

/// What is configured of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WireOptions {
    pub(crate) kind: ReferenceKind,
    pub(crate) reference_id: ReferenceId,
    pub(crate) stratum: u8,
    pub(crate) poll: Poll,
    pub(crate) delay: Span,
}

/// A reference clock, and what it has shown since the last measurement.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    options: WireOptions,
    gathered: ArrayVec<Reading<Tai>, MAX_GATHERED>,
    /// When the last measurement was made, or the last poll went by without one.
    polled: Ticks,
    reach: u8,
    /// Whether it has spoken since, if only to say that it does not know the time.
    heard: bool,
    /// Polls without a measurement.
    missed: u32,
    leap: Option<LeapIndicator>,
    readings: u64,
    measurements: u64,
}

impl Wire {
    pub(crate) fn new(options: &WireOptions, now: Ticks) -> Self {
        Self {
            options: *options,
            gathered: ArrayVec::new(),
            polled: now,
            reach: 0,
            heard: false,
            missed: 0,
            leap: None,
            readings: 0,
            measurements: 0,
        }
    }

    pub(crate) fn options(&self) -> &WireOptions {
        &self.options
    }

    /// Takes a reading of a clock that says `leap` of itself; says why where it is left out.
    pub(crate) fn sampled(&mut self, reading: Reading<Tai>, leap: LeapIndicator) -> Result<(), &'static str> {
        if self.options.kind != ReferenceKind::Sampled {
            return Err("wrong_kind");
        }
        self.leap = Some(leap);
        if leap == LeapIndicator::Unknown {
            self.heard = true;
            self.gathered.clear();
            return Err("unsynchronised");
        }
        self.gather(reading);
        Ok(())
    }

    /// Takes a pulse that came at `ticks`, `offset` after the second it stands for had begun. `told` is the time by those
    /// who know which second it is, and how far that may be off.
    pub(crate) fn pulse(
        &mut self,
        ticks: Ticks,
        window: Span,
        offset: Span,
        told: Option<(Instant<Tai>, Span)>,
    ) -> Result<(), &'static str> {
        if self.options.kind != ReferenceKind::Pulse {
            return Err("wrong_kind");
        }
        let second = told.and_then(|(about, within)| number(about - offset, within)).ok_or("unnumbered")?;
        self.gather(Reading::new(ticks, second, window));
        Ok(())
    }

    /// The measurement that is due, if one is: of what was gathered, what shows the median time.
    pub(crate) fn poll_measured(&mut self, local: &LocalClock) -> Option<Reading<Tai>> {
        let last = self.gathered.last()?;
        let period = self.options.poll.as_span();
        let early = Span::from_units(period.units() / EARLY);
        if self.reach != 0 && local.passed(self.polled, last.ticks()) < period - early {
            return None;
        }
        let line = ClockModel { reference_ticks: last.ticks(), reference: last.at(), ..local.unknown(last.ticks()) };
        self.polled = last.ticks();
        self.reach = self.reach << 1 | 1;
        self.missed = 0;
        self.measurements += 1;
        self.gathered.sort_unstable_by_key(|reading| reading.at() - line.instant(reading.ticks()));
        let median = self.gathered.get(self.gathered.len() / 2).copied();
        self.gathered.clear();
        median
    }

    /// Notices polls that go by without a reading.
    pub(crate) fn run(&mut self, local: &LocalClock, now: Ticks) {
        let period = self.options.poll.as_span();
        // A measurement comes with its reading: half a period later it is missed.
        if local.passed(self.polled, now) > period + period.half() {
            self.polled = local.later(self.polled, period);
            if local.passed(self.polled, now) > period + period {
                self.polled = now;
            }
            let heard = core::mem::take(&mut self.heard);
            self.reach = self.reach << 1 | u8::from(heard);
            self.missed = if heard { 0 } else { self.missed.saturating_add(1) };
        }
    }

    /// When [`Self::run`] is next needed.
    pub(crate) fn poll_timeout(&self, local: &LocalClock) -> Ticks {
        let period = self.options.poll.as_span();
        local.later(self.polled, period + period.half())
    }

    /// The counter was set back, or TAI has moved: what was gathered is worth nothing.
    pub(crate) fn forget(&mut self, now: Ticks) {
        self.gathered.clear();
        self.polled = now;
    }

    pub(crate) fn reach(&self) -> u8 {
        self.reach
    }

    /// Whether it has shown nothing for as long as its reach register tells.
    pub(crate) fn is_silent(&self) -> bool {
        self.missed >= u8::BITS
    }

    /// Whether it says that it knows the time; one that gives pulses has nothing to say.
    pub(crate) fn is_synchronised(&self) -> bool {
        match self.options.kind {
            ReferenceKind::Sampled => self.leap.is_some_and(|leap| leap != LeapIndicator::Unknown),
            ReferenceKind::Pulse => true,
        }
    }

    pub(crate) fn leap(&self) -> Option<LeapIndicator> {
        self.leap
    }

    /// Its stratum as it is told: a receiver of satellites is told as 1, like who follows it.
    pub(crate) fn stratum(&self) -> Stratum {
        Stratum::from_wire(self.options.stratum.max(1))
    }

    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("readings", self.readings), ("measurements", self.measurements)]
    }

    fn gather(&mut self, reading: Reading<Tai>) {
        self.readings += 1;
        if self.gathered.is_full() {
            self.gathered.remove(0);
        }
        self.gathered.push(reading);
    }
}

/// The whole second next to `about`, which may be off by `within`, where there is no doubt. TAI and UTC begin their seconds
/// together.
fn number(about: Instant<Tai>, within: Span) -> Option<Instant<Tai>> {
    let (second, rest) = about.split();
    let second = Span::from_units(second * Span::SECOND.units());
    let (nearest, away) =
        if rest < Span::SECOND.half() { (second, rest) } else { (second + Span::SECOND, Span::SECOND - rest) };
    (within <= CERTAIN && away <= CERTAIN).then(|| Instant::EPOCH + nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::{Counter, Rate};

    const LOCAL: LocalClock = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -24 };

    fn wire(kind: ReferenceKind, poll: i8) -> Wire {
        let options = WireOptions {
            kind,
            reference_id: ReferenceId(*b"PPS\0"),
            stratum: 0,
            poll: Poll::new(poll).unwrap(),
            delay: Span::ZERO,
        };
        Wire::new(&options, Ticks(0))
    }

    fn millis(n: i128) -> Span {
        Span::from_nanos(n * 1_000_000)
    }

    #[test]
    fn pulses_are_numbered_by_those_who_know_within_four_tenths() {
        let at = |ms| Instant::from_secs(1_000) + millis(ms);
        for ms in [-400, -399, -1, 0, 1, 399, 400] {
            assert_eq!(number(at(ms), millis(400)), Some(Instant::from_secs(1_000)), "{ms}");
        }
        for (ms, within) in [(-401, 1), (401, 1), (500, 1), (0, 401), (-500, 0)] {
            assert_eq!(number(at(ms), millis(within)), None, "{ms} {within}");
        }
    }

    #[test]
    fn a_pulse_late_by_its_offset_stands_for_its_second() {
        let mut wire = wire(ReferenceKind::Pulse, 0);
        let told = Some((Instant::from_secs(1_000) + millis(610), millis(5)));
        wire.pulse(Ticks(0), Span::ZERO, millis(600), told).unwrap();
        assert_eq!(wire.poll_measured(&LOCAL).unwrap().at(), Instant::from_secs(1_000));
        assert_eq!(wire.pulse(Ticks(0), Span::ZERO, Span::ZERO, None), Err("unnumbered"));
    }

    #[test]
    fn the_median_of_a_poll_is_measured() {
        let mut wire = wire(ReferenceKind::Sampled, 2);
        for second in 0..41_u32 {
            let ticks = Ticks(u64::from(second) * 1_000_000_000);
            // Every fourth is off by a lot.
            let off = if second % 4 == 0 { millis(200) } else { Span::from_nanos((second % 3).into()) };
            let at = Instant::from_secs(second.into()) + off;
            wire.sampled(Reading::new(ticks, at, Span::ZERO), LeapIndicator::None).unwrap();
            let measured = wire.poll_measured(&LOCAL);
            assert_eq!(measured.is_some(), second % 4 == 0, "{second}");
            if let Some(reading) = measured.filter(|_| second > 0) {
                let shown = reading.at() - Instant::EPOCH;
                assert!(shown - LOCAL.passed(Ticks(0), reading.ticks()) < Span::from_nanos(3), "{second}: {shown}");
            }
        }
    }

    #[test]
    fn silence_empties_the_reach_register() {
        let mut wire = wire(ReferenceKind::Sampled, 0);
        wire.sampled(Reading::new(Ticks(0), Instant::EPOCH, Span::ZERO), LeapIndicator::None).unwrap();
        assert!(wire.poll_measured(&LOCAL).is_some());
        for _ in 0..8 {
            assert_ne!(wire.reach(), 0);
            wire.run(&LOCAL, wire.poll_timeout(&LOCAL));
            wire.run(&LOCAL, LOCAL.later(wire.poll_timeout(&LOCAL), Span::from_nanos(1)));
        }
        assert_eq!(wire.reach(), 0);
    }

    #[test]
    fn a_receiver_without_a_fix_is_not_measured() {
        let mut wire = wire(ReferenceKind::Sampled, 0);
        let reading = Reading::new(Ticks(0), Instant::EPOCH, Span::ZERO);
        assert_eq!(wire.sampled(reading, LeapIndicator::Unknown), Err("unsynchronised"));
        assert!(!wire.is_synchronised());
        assert_eq!(wire.pulse(Ticks(0), Span::ZERO, Span::ZERO, None), Err("wrong_kind"));
    }
}
