//! Who is wrong, where two disagree: the few and the many, the counter and the clocks.

use sidereal_time::{LocalClock, Span, Ticks};

use crate::source::SourceId;

/// How long to wait for a majority at the start: an answer of each source takes a round trip, an initial burst a quarter of
/// a minute.
const START_PATIENCE: Span = Span::from_secs(8);
/// How long a minority must contradict our own time before it is believed.
const PATIENCE: Span = Span::from_secs(300);
/// How long after a jump of the system clock sources may say that it was the counter that jumped.
const DOUBT_FOR: Span = Span::from_secs(4 << 10);
/// How much of a jump sources and system clock may tell differently: a clock that is slewed meanwhile, a rate that is not
/// known.
const TOLERANCE_PPM: i128 = 10_000;
/// A source's witness is remembered of so many.
const MAX_WITNESSES: usize = 256;

/// Sources that agree, but are no majority of all that there are: the others are silent, or have not been heard yet.
///
/// They may be the liars. So at first they are believed only after the others had time to speak; and later, where they
/// contradict our own time beyond its hard bound, only after they have done so for long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Minority {
    since: Option<Ticks>,
    agreeing: usize,
    electorate: usize,
}

impl Minority {
    /// Whether `agreeing` of `electorate` sources are to be believed. `told` says whether they agree with our own time,
    /// while we have one.
    pub(crate) fn is_credible(
        &mut self,
        agreeing: usize,
        electorate: usize,
        told: Option<bool>,
        local: &LocalClock,
        now: Ticks,
    ) -> bool {
        if told == Some(true) {
            *self = Self::default();
            return true;
        }
        (self.agreeing, self.electorate) = (agreeing, electorate);
        let since = *self.since.get_or_insert(now);
        let patience = if told.is_none() { START_PATIENCE } else { PATIENCE };
        local.passed(since, now) >= patience
    }

    /// Why nobody is followed, if that is because of this.
    pub(crate) fn words(&self) -> Option<String> {
        self.since.map(|_| {
            let Self { agreeing, electorate, .. } = self;
            format!("only {agreeing} of {electorate} sources are heard, which is no majority: waiting for others")
        })
    }
}

/// A jump of the system clock against the counter. Either somebody set the clock, or the counter stood still: while the host
/// was suspended, or as it was moved. The sources tell which.
#[derive(Debug, Clone, Default)]
pub(crate) struct CounterDoubt {
    jump: Option<(Span, Ticks)>,
    witnesses: Vec<SourceId>,
}

impl CounterDoubt {
    /// The system clock has jumped by `by`.
    pub(crate) fn begin(&mut self, by: Span, now: Ticks) {
        // What jumps twice before any source speaks, has jumped by the sum.
        let before = self.jump.filter(|_| self.witnesses.is_empty()).map_or(Span::ZERO, |(by, _)| by);
        self.jump = Some((before + by, now));
        self.witnesses.clear();
    }

    /// A source is `offset` ahead of our time, where either may be off by `within`. Says whether a quorum of them says
    /// that it was the counter.
    pub(crate) fn witness(
        &mut self,
        id: SourceId,
        offset: Span,
        within: Span,
        quorum: usize,
        local: &LocalClock,
        now: Ticks,
    ) -> bool {
        let Some((by, at)) = self.jump else { return false };
        if local.passed(at, now) > DOUBT_FOR {
            *self = Self::default();
            return false;
        }
        let tolerance = within + Span::from_units(by.abs().units() * TOLERANCE_PPM / 1_000_000);
        let says_so = (offset - by).abs() <= tolerance && by.abs() > tolerance + tolerance;
        if !says_so {
            self.witnesses.retain(|witness| *witness != id);
            return false;
        }
        if !self.witnesses.contains(&id) && self.witnesses.len() < MAX_WITNESSES {
            self.witnesses.push(id);
        }
        self.witnesses.len() >= quorum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidereal_time::{Counter, Rate};

    const LOCAL: LocalClock = LocalClock { counter: Counter::Tsc, width: 64, rate: Rate::NANOSECOND, precision: -24 };

    fn at(seconds: i64) -> Ticks {
        LOCAL.later(Ticks(0), Span::from_secs(seconds))
    }

    #[test]
    fn a_minority_is_believed_late_or_when_it_agrees_with_us() {
        let mut minority = Minority::default();
        assert!(!minority.is_credible(1, 4, None, &LOCAL, at(0)));
        assert!(minority.words().is_some());
        assert!(!minority.is_credible(1, 4, None, &LOCAL, at(7)));
        assert!(minority.is_credible(1, 4, None, &LOCAL, at(8)));
        let mut minority = Minority::default();
        assert!(!minority.is_credible(1, 4, Some(false), &LOCAL, at(0)));
        assert!(minority.is_credible(1, 4, Some(true), &LOCAL, at(200)));
        assert!(!minority.is_credible(1, 4, Some(false), &LOCAL, at(250)));
        assert!(!minority.is_credible(1, 4, Some(false), &LOCAL, at(400)));
        assert!(minority.is_credible(1, 4, Some(false), &LOCAL, at(550)));
    }

    #[test]
    fn the_counter_is_wrong_where_the_sources_agree_with_the_system_clock() {
        let (by, near) = (Span::from_secs(3600), Span::from_nanos(1_000_000));
        let mut doubt = CounterDoubt::default();
        assert!(!doubt.witness(SourceId(0), by, near, 1, &LOCAL, at(0)));
        doubt.begin(by, at(0));
        assert!(!doubt.witness(SourceId(0), Span::ZERO, near, 1, &LOCAL, at(1)));
        assert!(!doubt.witness(SourceId(0), by + near, near, 2, &LOCAL, at(2)));
        assert!(!doubt.witness(SourceId(0), by, near, 2, &LOCAL, at(3)), "one source, asked twice");
        assert!(doubt.witness(SourceId(1), by - near, near, 2, &LOCAL, at(4)));
    }

    #[test]
    fn a_clock_that_was_set_stays_the_one_that_is_wrong() {
        let mut doubt = CounterDoubt::default();
        doubt.begin(Span::SECOND, at(0));
        for second in 1..9_000 {
            assert!(!doubt.witness(SourceId(0), Span::ZERO, Span::from_nanos(9), 1, &LOCAL, at(second)));
        }
    }
}
