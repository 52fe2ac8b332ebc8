//! When to poll: the poll exponent and what moves it, bursts, and what a kiss code asks for.

use super::options::{AssociationOptions, Poll, PollAdvice};
use sidereal_time::{LocalClock, Span, Ticks};

/// Requests in a burst (RFC 5905 appendix A.1.1, BCOUNT).
const BURST_LENGTH: u8 = 8;
/// The time between them (BTIME), unless the poll is shorter.
const BURST_INTERVAL: Poll = Poll::nearest(1);
/// A burst at each poll is worth its messages only above this poll.
const MIN_BURST_POLL: Poll = Poll::nearest(4);
/// As much advice in one direction, more than in the other, moves the poll: towards longer ones slowly, since a poll that is
/// too long does more harm than one that is too short.
const LONGER_AFTER: i8 = 6;
const SHORTER_AFTER: i8 = -2;
/// How far a RATE kiss may lengthen the poll where `max_poll` is shorter: 17 minutes.
const KISS_MAX_POLL: Poll = Poll::USUAL_MAX;
/// Polls for which a RATE kiss is remembered.
const KISS_MEMORY: u8 = 32;
/// The interval is shortened or lengthened at random by up to this fraction of it, 2^-6, so that clients that began
/// together do not stay together.
const SPREAD_BITS: u32 = 6;

/// The pace of one association.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    min: Poll,
    max: Poll,
    poll: Poll,
    /// Not shorter than this, after a RATE kiss, for so many more polls.
    floor: Option<(Poll, u8)>,
    bursts: bool,
    initial_burst: bool,
    burst_left: u8,
    score: i8,
    next: Ticks,
}

impl Pace {
    /// Begins at `now`.
    pub(super) fn new(options: &AssociationOptions, now: Ticks) -> Self {
        let max = options.max_poll;
        let min = options.min_poll.min(max);
        let burst_left = if options.iburst { BURST_LENGTH } else { 1 };
        Self {
            min,
            max,
            poll: min,
            floor: None,
            bursts: options.burst,
            initial_burst: options.iburst,
            burst_left,
            score: 0,
            next: now,
        }
    }

    pub(super) const fn poll(&self) -> Poll {
        self.poll
    }

    /// When the next request is due.
    pub(super) const fn next(&self) -> Ticks {
        self.next
    }

    pub(super) fn is_due(&self, now: Ticks, clock: &LocalClock) -> bool {
        !clock.passed(self.next, now).is_negative()
    }

    /// Whether the request that is due is the first of its poll.
    pub(super) const fn begins_poll(&self) -> bool {
        self.burst_left == 0
    }

    /// A request leaves at `now`; sets the time of the next one. `limit` is the longest poll to wait: a peer that polls more
    /// often than we do is met half-way.
    pub(super) fn sent(&mut self, now: Ticks, clock: &LocalClock, limit: Poll, random: u64) {
        if self.begins_poll() {
            self.age_kiss();
            self.burst_left = if self.bursts && self.poll > MIN_BURST_POLL { BURST_LENGTH } else { 1 };
        }
        self.burst_left -= 1;
        let poll = if self.burst_left > 0 { BURST_INTERVAL.min(self.poll) } else { self.poll };
        let poll = poll.min(limit.max(self.shortest()));
        self.next = clock.later(now, spread(poll.as_span(), random));
    }

    /// A source answers that has been silent: as at the beginning, it is measured quickly.
    pub(super) fn found(&mut self, now: Ticks, clock: &LocalClock) {
        if self.initial_burst && self.burst_left == 0 && self.floor.is_none() {
            self.burst_left = BURST_LENGTH - 1;
            self.poll = self.min;
            self.next = clock.later(now, BURST_INTERVAL.min(self.poll).as_span());
        }
    }

    /// A source has been silent for long.
    pub(super) fn lost(&mut self) {
        self.set(self.poll.longer());
    }

    /// Back to the shortest poll: what was measured is no longer so.
    pub(super) fn restart(&mut self, now: Ticks, clock: &LocalClock) {
        self.set(self.min);
        self.score = 0;
        let soon = clock.later(now, self.poll.as_span());
        if clock.passed(soon, self.next) > Span::ZERO {
            self.next = soon;
        }
    }

    /// A RATE kiss: the poll becomes longer at once, and stays so for [`KISS_MEMORY`] polls; bursts end.
    pub(super) fn kissed(&mut self, now: Ticks, clock: &LocalClock) {
        self.burst_left = 0;
        self.score = 0;
        self.poll = self.poll.longer().min(self.max.max(KISS_MAX_POLL)).max(self.poll);
        self.floor = Some((self.poll, KISS_MEMORY));
        self.next = clock.later(now, self.poll.as_span());
    }

    /// Moves the poll where enough advice agrees.
    pub(super) fn advise(&mut self, advice: PollAdvice) {
        match advice {
            PollAdvice::Keep => self.score -= self.score.signum(),
            PollAdvice::Longer => self.score = self.score.max(0) + 1,
            PollAdvice::Shorter => self.score = self.score.min(0) - 1,
        }
        if self.score >= LONGER_AFTER {
            self.set(self.poll.longer());
            self.score = 0;
        } else if self.score <= SHORTER_AFTER {
            self.set(self.poll.shorter());
            self.score = 0;
        }
    }

    /// The shortest poll that is allowed now.
    fn shortest(&self) -> Poll {
        self.floor.map_or(self.min, |(floor, _)| floor.max(self.min))
    }

    fn set(&mut self, poll: Poll) {
        let shortest = self.shortest();
        self.poll = poll.clamp(shortest, self.max.max(shortest));
    }

    fn age_kiss(&mut self) {
        self.floor = match self.floor {
            Some((poll, left)) if left > 1 => Some((poll, left - 1)),
            Some(_) | None => None,
        };
        self.set(self.poll);
    }
}

/// `interval`, up to 2^-[`SPREAD_BITS`] of it more or less.
fn spread(interval: Span, random: u64) -> Span {
    let random = i128::from(random >> 32) - (1 << 31);
    Span::from_units(interval.units() + ((interval.units() * random) >> (31 + SPREAD_BITS)))
}
