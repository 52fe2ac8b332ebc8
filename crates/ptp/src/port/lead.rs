//! When a leader speaks, and the Follow_Ups that it owes.

use arrayvec::ArrayVec;
use sidereal_time::{Instant, LocalClock, Span, Tai, Ticks};

/// Follow_Ups that wait to be sent.
const MAX_FOLLOW_UPS: usize = 16;

/// Something that is done again and again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    next: Ticks,
}

impl Pace {
    /// For the first time at `next`.
    pub(crate) const fn new(next: Ticks) -> Self {
        Self { next }
    }

    /// When it is due.
    pub(crate) const fn next(&self) -> Ticks {
        self.next
    }

    /// Whether it is due; then it is again `interval` after it was, or, where that has passed too, `interval` from now.
    pub(crate) fn take(&mut self, interval: Span, now: Ticks, clock: &LocalClock) -> bool {
        if clock.passed(self.next, now).is_negative() {
            return false;
        }
        self.next = clock.later(self.next, interval);
        if !clock.passed(self.next, now).is_negative() {
            self.next = clock.later(now, interval);
        }
        true
    }
}

/// The Follow_Ups of Syncs whose stamps are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct FollowUps(ArrayVec<FollowUp, MAX_FOLLOW_UPS>);

/// What a Follow_Up tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FollowUp {
    pub(crate) sequence_id: u16,
    /// When the Sync left.
    pub(crate) left: Instant<Tai>,
}

impl FollowUps {
    /// One more is owed; whether there was room.
    pub(crate) fn owe(&mut self, follow_up: FollowUp) -> bool {
        self.0.try_push(follow_up).is_ok()
    }

    /// The next one to be sent.
    pub(crate) fn poll(&mut self) -> Option<FollowUp> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Whether one waits to be sent.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// Forgets them all.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}
