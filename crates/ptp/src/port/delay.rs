//! The requests of the delay request-response mechanism (IEEE 1588-2019 11.3).

use arrayvec::ArrayVec;
use sidereal_time::{Arrived, Instant, LocalClock, Span, Tai, Ticks};

use crate::outcome::{IgnoreReason, PortCounts};
use crate::port::Departure;

/// Requests that are waited for at a time.
const MAX_REQUESTS: usize = 32;
/// How long an answer, and the stamp of the request, is waited for: 1 s.
const MAX_WAIT: Span = Span::SECOND;

/// The requests to one master that have not been answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct DelayRequests(ArrayVec<Request, MAX_REQUESTS>);

#[derive(Debug, Clone, Copy)]
struct Request {
    sequence_id: u16,
    sent: Ticks,
    departure: Departure,
    /// T4 with the corrections.
    received: Option<Instant<Tai>>,
}

/// A Delay_Req whose two times are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DelayTimes {
    /// T3.
    pub(crate) left: Arrived,
    /// T4 with all corrections: when it would have arrived, by the master, had nothing held it up that says how long it did.
    pub(crate) received: Instant<Tai>,
}

impl DelayRequests {
    /// Request `sequence_id` is sent, at `now`.
    pub(crate) fn sent(&mut self, sequence_id: u16, now: Ticks) {
        // There is room: `expire` has made it.
        let _ = self.0.try_push(Request { sequence_id, sent: now, departure: Departure::Awaited, received: None });
    }

    /// What became of the stamp of request `sequence_id`.
    pub(crate) fn transmitted(
        &mut self,
        sequence_id: u16,
        departure: Departure,
    ) -> Result<Option<DelayTimes>, IgnoreReason> {
        let Some(index) = self.find(sequence_id) else { return Ok(None) };
        if departure == Departure::Lost {
            self.0.remove(index);
            return Err(IgnoreReason::TransmitStampLost);
        }
        self.0.get_mut(index).into_iter().for_each(|request| request.departure = departure);
        Ok(self.complete(index))
    }

    /// The answer: request `sequence_id` arrived at `received`, by the master and with all corrections.
    pub(crate) fn answered(
        &mut self,
        sequence_id: u16,
        received: Instant<Tai>,
    ) -> Result<Option<DelayTimes>, IgnoreReason> {
        let index = self.find(sequence_id).ok_or(IgnoreReason::Unexpected)?;
        let request = self.0.get_mut(index).ok_or(IgnoreReason::Unexpected)?;
        if request.received.is_some() {
            return Err(IgnoreReason::Duplicate);
        }
        request.received = Some(received);
        Ok(self.complete(index))
    }

    /// Gives up what has been waited for long enough; where more is waited for than there is room, the oldest. To be called
    /// before each request.
    pub(crate) fn expire(&mut self, clock: &LocalClock, now: Ticks, counts: &mut PortCounts) {
        while let Some(oldest) = self.0.first() {
            if !self.0.is_full() && clock.passed(oldest.sent, now) <= MAX_WAIT {
                break;
            }
            let missing = oldest.received.is_none();
            counts.ignore(if missing { IgnoreReason::DelayRespMissing } else { IgnoreReason::TransmitStampLost });
            self.0.remove(0);
        }
    }

    fn find(&self, sequence_id: u16) -> Option<usize> {
        self.0.iter().rposition(|request| request.sequence_id == sequence_id)
    }

    /// Takes the request out, if both of its times are known.
    fn complete(&mut self, index: usize) -> Option<DelayTimes> {
        let request = self.0.get(index)?;
        let (Departure::At(left), Some(received)) = (request.departure, request.received) else { return None };
        self.0.remove(index);
        Some(DelayTimes { left, received })
    }
}
