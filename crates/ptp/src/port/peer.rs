//! The peer-to-peer delay mechanism: asking the neighbour, and answering it (IEEE 1588-2019 11.4).

use arrayvec::ArrayVec;
use sidereal_time::{Arrived, ClockModel, Instant, LocalClock, Span, Tai, Ticks};

use crate::identity::PortIdentity;
use crate::message::{Correction, Flags, Header, Timestamp};
use crate::outcome::{IgnoreReason, PortCounts};
use crate::port::link::LinkDelay;
use crate::port::rate::RemoteRate;
use crate::port::sync::SyncTimes;
use crate::port::{Departure, instant, span};

/// Requests whose answers are told apart.
const MAX_REQUESTS: usize = 4;
/// How long the answers to a request are waited for: 1 s.
const MAX_WAIT: Span = Span::SECOND;
/// Requests in a row without an answer after which the link is no longer known.
const MAX_MISSES: u8 = 8;
/// A round trip that is longer says nothing of use.
const MAX_DELAY: Span = Span::SECOND;
/// By how much a round trip may be less than nothing for the granularity of stamps: two periods of 25 MHz, the slowest clock of a NIC.
const GRANULARITY: Span = Span::from_nanos(80);

/// The requests to the neighbour, and what is known of the link by them.
#[derive(Debug, Clone)]
pub(crate) struct PeerRequests {
    /// From the reference plane to the stamp and back, both together: no part of the link.
    latencies: Span,
    asymmetry: Span,
    requests: ArrayVec<Request, MAX_REQUESTS>,
    /// The rate of our counter by the neighbour, who tells by his how long he held a request.
    rate: RemoteRate,
    link: LinkDelay,
    misses: u8,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    sequence_id: u16,
    sent: Ticks,
    /// T1.
    departure: Departure,
    /// Who answered.
    neighbour: Option<PortIdentity>,
    response: Option<Response>,
    /// T3 by the neighbour, and the corrections of the message that tells it.
    left: Option<(Instant<Tai>, Span)>,
    is_done: bool,
}

#[derive(Debug, Clone, Copy)]
struct Response {
    /// T2 by the neighbour.
    received: Instant<Tai>,
    correction: Span,
    /// T4.
    arrived: Option<Arrived>,
}

impl PeerRequests {
    /// Of a port with these.
    pub(crate) fn new(latencies: Span, asymmetry: Span, clock: &LocalClock) -> Self {
        let rate = RemoteRate::new(clock);
        Self { latencies, asymmetry, requests: ArrayVec::new(), rate, link: LinkDelay::default(), misses: 0 }
    }

    /// What is known of the link.
    pub(crate) const fn link(&self) -> &LinkDelay {
        &self.link
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self, clock: &LocalClock) {
        *self = Self::new(self.latencies, self.asymmetry, clock);
    }

    /// Request `sequence_id` is sent, at `now`.
    pub(crate) fn sent(&mut self, sequence_id: u16, now: Ticks) {
        // There is room: `expire` has made it.
        let _ = self.requests.try_push(Request {
            sequence_id,
            sent: now,
            departure: Departure::Awaited,
            neighbour: None,
            response: None,
            left: None,
            is_done: false,
        });
    }

    /// What became of the stamp of request `sequence_id`.
    pub(crate) fn transmitted(
        &mut self,
        sequence_id: u16,
        departure: Departure,
        clock: &LocalClock,
    ) -> Result<(), IgnoreReason> {
        let Some(request) = self.find(sequence_id) else { return Ok(()) };
        request.departure = departure;
        if departure == Departure::Lost {
            request.is_done = true;
            return Err(IgnoreReason::TransmitStampLost);
        }
        self.measure(sequence_id, clock)
    }

    /// Takes a Pdelay_Resp that is for us.
    pub(crate) fn response(
        &mut self,
        header: &Header,
        request_receipt: Timestamp,
        arrived: Option<Arrived>,
        clock: &LocalClock,
    ) -> Result<(), IgnoreReason> {
        let correction = span(header.correction)? + self.asymmetry;
        let two_step = header.flags.has(Flags::TWO_STEP);
        let received = if two_step { instant(request_receipt)? } else { Instant::EPOCH };
        let request = self.answered(header)?;
        if request.response.is_some() {
            return Err(IgnoreReason::Duplicate);
        }
        request.response = Some(Response { received, correction, arrived });
        if !two_step {
            request.left = Some((Instant::EPOCH, Span::ZERO));
        }
        self.measure(header.sequence_id, clock)
    }

    /// Takes a Pdelay_Resp_Follow_Up that is for us.
    pub(crate) fn follow_up(
        &mut self,
        header: &Header,
        response_origin: Timestamp,
        clock: &LocalClock,
    ) -> Result<(), IgnoreReason> {
        let left = (instant(response_origin)?, span(header.correction)?);
        let request = self.answered(header)?;
        if request.left.is_some() {
            return Err(IgnoreReason::Duplicate);
        }
        request.left = Some(left);
        self.measure(header.sequence_id, clock)
    }

    /// Gives up what has been waited for long enough; where more is waited for than there is room, the oldest. To be called
    /// before each request.
    pub(crate) fn expire(&mut self, clock: &LocalClock, now: Ticks, counts: &mut PortCounts) {
        while let Some(oldest) = self.requests.first() {
            if !self.requests.is_full() && clock.passed(oldest.sent, now) <= MAX_WAIT {
                break;
            }
            if !oldest.is_done {
                counts.ignore(IgnoreReason::PdelayRespMissing);
                self.misses = self.misses.saturating_add(1);
            }
            self.requests.remove(0);
        }
        if self.misses >= MAX_MISSES {
            self.link.forget();
        }
    }

    fn find(&mut self, sequence_id: u16) -> Option<&mut Request> {
        self.requests.iter_mut().rev().find(|request| request.sequence_id == sequence_id)
    }

    /// The request that a message of one neighbour answers. A second neighbour is a fault (11.4.4).
    fn answered(&mut self, header: &Header) -> Result<&mut Request, IgnoreReason> {
        let request = self.find(header.sequence_id).ok_or(IgnoreReason::Unexpected)?;
        if *request.neighbour.get_or_insert(header.source) != header.source {
            return Err(IgnoreReason::SeveralNeighbours);
        }
        Ok(request)
    }

    /// Learns from the request, if all of its times are known.
    fn measure(&mut self, sequence_id: u16, clock: &LocalClock) -> Result<(), IgnoreReason> {
        let latencies = self.latencies;
        let Some(request) = self.find(sequence_id).filter(|request| !request.is_done) else { return Ok(()) };
        let (Departure::At(sent), Some(response), Some((left, correction))) =
            (request.departure, request.response, request.left)
        else {
            return Ok(());
        };
        request.is_done = true;
        let arrived = response.arrived.ok_or(IgnoreReason::ReceiveStampLost)?;
        let held = (left - response.received) + correction + response.correction;
        // Who answers in one step, or with the time he took alone, tells no time of his own.
        if left != Instant::EPOCH {
            self.rate.learn(SyncTimes { left, arrived }, clock);
        }
        let round_trip = self.rate.clock().passed(sent.ticks, arrived.ticks) - latencies - held;
        if (round_trip + GRANULARITY).is_negative() {
            return Err(IgnoreReason::NegativeDelay);
        }
        if round_trip > MAX_DELAY {
            return Err(IgnoreReason::DelayTooLong);
        }
        self.misses = 0;
        self.link.learn(round_trip);
        Ok(())
    }
}

/// Neighbours' questions that wait for their answer to be sent.
const MAX_ANSWERS: usize = 8;

/// The answers to a neighbour.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerAnswers {
    responses: ArrayVec<PeerAnswer, MAX_ANSWERS>,
    follow_ups: ArrayVec<PeerAnswer, MAX_ANSWERS>,
}

/// What is said to a neighbour: in a Pdelay_Resp, `at` is T2; in a Pdelay_Resp_Follow_Up it is T3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAnswer {
    pub(crate) requesting: PortIdentity,
    pub(crate) sequence_id: u16,
    /// Of the request, to be told with T3.
    pub(crate) correction: Correction,
    pub(crate) at: Instant<Tai>,
    /// Our clock as T2 was told by it: T3 is told by the same, whatever our clock does meanwhile.
    pub(crate) time: ClockModel,
}

impl PeerAnswers {
    /// A request arrived.
    pub(crate) fn request(&mut self, answer: PeerAnswer) -> Result<(), IgnoreReason> {
        self.responses.try_push(answer).map_err(|_| IgnoreReason::TooManyRequests)
    }

    /// The Pdelay_Resp for this left at `left`, which is `latency` before it passed the reference plane.
    pub(crate) fn transmitted(&mut self, answer: PeerAnswer, left: Arrived, latency: Span) -> Result<(), IgnoreReason> {
        let at = answer.time.instant(left.ticks) + latency;
        self.follow_ups.try_push(PeerAnswer { at, ..answer }).map_err(|_| IgnoreReason::TooManyRequests)
    }

    /// The next Pdelay_Resp to be sent.
    pub(crate) fn poll_response(&mut self) -> Option<PeerAnswer> {
        (!self.responses.is_empty()).then(|| self.responses.remove(0))
    }

    /// The next Pdelay_Resp_Follow_Up to be sent.
    pub(crate) fn poll_follow_up(&mut self) -> Option<PeerAnswer> {
        (!self.follow_ups.is_empty()).then(|| self.follow_ups.remove(0))
    }

    /// Whether something waits to be sent.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.responses.is_empty() || !self.follow_ups.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}
