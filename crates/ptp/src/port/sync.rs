//! Sync and its Follow_Up, in whichever order they come (IEEE 1588-2019 9.5.4, 9.5.5).

use arrayvec::ArrayVec;
use sidereal_time::{Arrived, Instant, LocalClock, Span, Tai, Ticks};

use crate::message::{Flags, Header, Timestamp};
use crate::outcome::{IgnoreReason, PortCounts};
use crate::port::{instant, span};

/// Syncs that are remembered: a quarter of a second of the fastest.
const MAX_SYNCS: usize = 32;
/// Follow_Ups that wait for their Syncs: those that overtook them. Were they kept with the Syncs, those of a master that has
/// just been found would push out Syncs whose Follow_Ups are late.
const MAX_EARLY: usize = 8;
/// How long a Follow_Up may be later than its Sync, or earlier: 1 s.
const MAX_WAIT: Span = Span::SECOND;

/// The Syncs of one master.
#[derive(Debug, Clone, Default)]
pub(crate) struct Syncs {
    syncs: ArrayVec<Sync, MAX_SYNCS>,
    early: ArrayVec<Early, MAX_EARLY>,
}

/// A Sync that came.
#[derive(Debug, Clone, Copy)]
struct Sync {
    sequence_id: u16,
    since: Ticks,
    arrived: Option<Arrived>,
    correction: Span,
    /// Whether nothing is waited for: its Follow_Up came, or it was all.
    is_done: bool,
}

/// A Follow_Up that came before its Sync.
#[derive(Debug, Clone, Copy)]
struct Early {
    sequence_id: u16,
    since: Ticks,
    left: Instant<Tai>,
}

/// A Sync whose two times are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncTimes {
    /// T1 with all corrections: when it would have left, by the master, had nothing held it up that says how long it did.
    pub(crate) left: Instant<Tai>,
    /// T2.
    pub(crate) arrived: Arrived,
}

impl Syncs {
    /// Takes a Sync that arrived at `arrived`.
    pub(crate) fn sync(
        &mut self,
        header: &Header,
        origin: Timestamp,
        arrived: Option<Arrived>,
        now: Ticks,
    ) -> Result<Option<SyncTimes>, IgnoreReason> {
        let (sequence_id, correction) = (header.sequence_id, span(header.correction)?);
        let left = if header.flags.has(Flags::TWO_STEP) {
            let early = self.early.iter().position(|early| early.sequence_id == sequence_id);
            early.map(|index| self.early.remove(index).left)
        } else {
            Some(instant(origin)?)
        };
        if self.find(sequence_id).is_some() {
            return Err(IgnoreReason::Duplicate);
        }
        let sync = Sync { sequence_id, since: now, arrived, correction, is_done: left.is_some() };
        // There is room: `expire` has made it.
        let _ = self.syncs.try_push(sync);
        left.map(|left| sync.times(left)).transpose()
    }

    /// Takes a Follow_Up.
    pub(crate) fn follow_up(
        &mut self,
        header: &Header,
        precise_origin: Timestamp,
        now: Ticks,
    ) -> Result<Option<SyncTimes>, IgnoreReason> {
        let sequence_id = header.sequence_id;
        let left = instant(precise_origin)? + span(header.correction)?;
        let is_early = self.early.iter().any(|early| early.sequence_id == sequence_id);
        match self.find(sequence_id) {
            None if is_early => Err(IgnoreReason::Duplicate),
            None => {
                let early = Early { sequence_id, since: now, left };
                self.early.try_push(early).map(|()| None).map_err(|_| IgnoreReason::SyncMissing)
            }
            Some(sync) if sync.is_done => Err(IgnoreReason::Duplicate),
            Some(sync) => {
                sync.is_done = true;
                sync.times(left).map(Some)
            }
        }
    }

    /// Gives up what has been waited for long enough; where more is waited for than there is room, the oldest. To be called
    /// before each message.
    pub(crate) fn expire(&mut self, clock: &LocalClock, now: Ticks, counts: &mut PortCounts) {
        let has_come = |since: Ticks| clock.passed(since, now) > MAX_WAIT;
        while self.syncs.first().is_some_and(|oldest| self.syncs.is_full() || has_come(oldest.since)) {
            if !self.syncs.remove(0).is_done {
                counts.ignore(IgnoreReason::FollowUpMissing);
            }
        }
        while self.early.first().is_some_and(|oldest| self.early.is_full() || has_come(oldest.since)) {
            self.early.remove(0);
            counts.ignore(IgnoreReason::SyncMissing);
        }
    }

    fn find(&mut self, sequence_id: u16) -> Option<&mut Sync> {
        self.syncs.iter_mut().rev().find(|sync| sync.sequence_id == sequence_id)
    }
}

impl Sync {
    /// Its times, where it left at `left` but for the corrections of the Sync itself.
    fn times(&self, left: Instant<Tai>) -> Result<SyncTimes, IgnoreReason> {
        let arrived = self.arrived.ok_or(IgnoreReason::ReceiveStampLost)?;
        Ok(SyncTimes { left: left + self.correction, arrived })
    }
}
