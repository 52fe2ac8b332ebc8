//! The client's exchanges, in basic and in interleaved mode (RFC 5905 §8, RFC 9769 §2).
//!
//! A volley is one request and what came of it. Two are kept: the last one, and the one before it that was answered, whose
//! true T3 the answer to the last one tells if the server is in interleaved mode. A volley is measured when its four times
//! are there, in whichever order they came.

use super::measure::{Departure, RoundTrip, check_order};
use super::options::AssociationOptions;
use super::outcome::{IgnoreReason, Received, Valid};
use super::shown::Shown;
use crate::client::{ReplyError, Request};
use crate::mac::Key;
use crate::message::{Header, SystemVariables, Version};
use crate::over_ptp::{Carriage, NetworkCorrections};
use core::mem::take;
use sidereal_time::{Arrived, LocalClock, NtpTimestamp, Span, Ticks};

/// Requests without an answer after which the next one is of the basic mode again: times of long ago are of no use
/// (RFC 9769 §2).
const MAX_INTERLEAVED_MISSES: u8 = 4;
/// How long a whole answer waits for the stamp of its request: 250 ms, many times what the slowest driver takes.
pub(super) const MAX_STAMP_WAIT: Span = Span::from_nanos(250_000_000);

/// The exchanges of one client.
#[derive(Debug)]
pub(super) struct Client {
    version: Version,
    interleaved: bool,
    /// Whether the network corrections of requests are asked for.
    over_ptp: bool,
    last: Option<Volley>,
    /// The volley before it that was answered.
    answered: Option<Volley>,
    /// The request before the last one, and whether it was answered: by it a late or repeated answer is known.
    before: Option<(Request, bool)>,
    misses: u8,
    /// Whether a later volley took the place of one whose stamp had not come.
    given_up: bool,
}

/// A request and what came of it.
#[derive(Debug, Clone, Copy)]
struct Volley {
    sequence: u32,
    /// When the request was written.
    asked: Ticks,
    request: Request,
    departure: Departure,
    answer: Option<Answer>,
    unmeasured: Option<Transmit>,
}

/// When a request arrived there, by its answer, and the answer here, and what it said of its clock.
#[derive(Debug, Clone, Copy)]
struct Answer {
    receive: NtpTimestamp,
    arrived: Arrived,
    server: SystemVariables,
    network: Option<NetworkCorrections>,
}

/// T3 of an answer that has not been measured.
#[derive(Debug, Clone, Copy)]
struct Transmit {
    at: NtpTimestamp,
    interleaved: bool,
    /// What is said of its clock by all the messages that tell of this volley.
    server: SystemVariables,
    /// Until when the stamp of the request is waited for.
    deadline: Ticks,
}

impl Client {
    pub(super) const fn new(options: &AssociationOptions) -> Self {
        let AssociationOptions { version, interleaved, over_ptp, .. } = *options;
        Self {
            version,
            interleaved,
            over_ptp: over_ptp.is_some(),
            last: None,
            answered: None,
            before: None,
            misses: 0,
            given_up: false,
        }
    }

    /// Writes the next request, at `now`, and returns its length, or `None` where the buffer is too short.
    pub(super) fn request(
        &mut self,
        sequence: u32,
        now: Ticks,
        poll: i8,
        key: Option<&Key>,
        random: &mut dyn FnMut() -> u64,
        buffer: &mut [u8],
    ) -> Option<usize> {
        if let Some(last) = self.last.take() {
            self.before = Some((last.request, last.answer.is_some()));
            if last.answer.is_some() {
                let replaced = self.answered.replace(last);
                self.given_up |= replaced.is_some_and(|volley| volley.unmeasured.is_some());
                self.misses = 0;
            } else {
                self.misses = self.misses.saturating_add(1);
            }
        }
        if self.misses >= MAX_INTERLEAVED_MISSES {
            self.answered = None;
        }
        let transmit = NtpTimestamp::from_bits(random());
        // What an unsynchronised clock stamped is not worth asking for: its next answer tells its own time.
        let worthy = |answer: &Answer| self.interleaved && answer.server.is_synchronised();
        let request = match self.answered.and_then(|volley| volley.answer).filter(worthy) {
            None => Request::basic(transmit),
            Some(answer) => Request::interleaved(answer.receive, NtpTimestamp::from_bits(random()), transmit),
        };
        let request = Request { version: self.version, poll, network_correction: self.over_ptp, ..request };
        let len = request.write(key, buffer)?;
        let departure = Departure::Awaited;
        self.last = Some(Volley { sequence, asked: now, request, departure, answer: None, unmeasured: None });
        Some(len)
    }

    /// What became of the stamp of request `sequence`: the round trip that it completes, or why there is none.
    pub(super) fn transmitted(
        &mut self,
        sequence: u32,
        departure: Departure,
    ) -> Result<Option<RoundTrip>, IgnoreReason> {
        for volley in [&mut self.last, &mut self.answered].into_iter().flatten() {
            if volley.sequence == sequence && volley.departure == Departure::Awaited {
                volley.departure = departure;
                return volley.complete();
            }
        }
        Ok(None)
    }

    /// Checks an answer, and finds the round trip that it completes.
    pub(super) fn receive(
        &mut self,
        message: &[u8],
        key: Option<&Key>,
        arrived: Arrived,
        carriage: Option<Carriage>,
        now: Ticks,
        clock: &LocalClock,
    ) -> Result<Valid, Received> {
        let Self { last: Some(last), answered, before, .. } = self else { return Err(IgnoreReason::Unasked.into()) };
        let reply = match last.request.check(message, key) {
            Err(ReplyError::Bogus) => return Err(bogus(message, before.as_ref()).into()),
            // Whatever it says: who answers twice is a replay, or the network's doing.
            Ok(_) | Err(ReplyError::Kiss(_) | ReplyError::UnknownKiss(_) | ReplyError::NoTime)
                if last.answer.is_some() =>
            {
                return Err(IgnoreReason::Duplicate.into());
            }
            reply => reply?,
        };
        let (server, interleaved) = (reply.system, reply.interleaved);
        let network = reply.network_correction.zip(carriage).map(|(request, carriage)| NetworkCorrections {
            request,
            response: carriage.network_correction(),
            reception: carriage.reception,
        });
        let answer = Answer { receive: reply.receive, arrived, server, network };
        let unmeasured =
            Transmit { at: reply.transmit, interleaved, server, deadline: clock.later(now, MAX_STAMP_WAIT) };
        let trip = if interleaved {
            // It tells T3 of the volley whose receive timestamp its request carried; its own comes later.
            let told = answered.as_mut().ok_or(IgnoreReason::BogusOrigin)?;
            let before = told.answer.ok_or(IgnoreReason::BogusOrigin)?;
            check_order(before.receive, reply.transmit, server.precision)?;
            last.answer = Some(answer);
            let worse = before.shown(told.asked).with(&answer.shown(last.asked), clock);
            worse.and_then(|server| told.complete_by(Transmit { server, ..unmeasured }))
        } else {
            check_order(reply.receive, reply.transmit, server.precision)?;
            last.answer = Some(answer);
            last.complete_by(unmeasured)
        };
        Ok(Valid { server, trip })
    }

    /// Until when an answer waits for the stamp of its request.
    pub(super) fn deadline(&self) -> Option<Ticks> {
        // One answer waits at a time, but for a stamp that is later than the next poll; that one's deadline is earlier.
        [&self.answered, &self.last].into_iter().flatten().find_map(Volley::deadline)
    }

    /// Gives up waiting, if the time has come. A stamp that comes even later still serves the interleaved answer.
    pub(super) fn expire(&mut self, now: Ticks, clock: &LocalClock) -> Result<(), IgnoreReason> {
        for volley in [&mut self.answered, &mut self.last].into_iter().flatten() {
            if volley.deadline().is_some_and(|deadline| !clock.passed(deadline, now).is_negative()) {
                volley.unmeasured = None;
                return Err(IgnoreReason::TransmitStampLate);
            }
        }
        if take(&mut self.given_up) { Err(IgnoreReason::TransmitStampLate) } else { Ok(()) }
    }
}

impl Answer {
    /// What it says of its clock, to a request of `asked`.
    const fn shown(&self, asked: Ticks) -> Shown {
        Shown { from: Some(asked), until: self.arrived.ticks, at: self.receive, server: self.server }
    }
}

impl Volley {
    /// The round trip with this T3, if all the rest of it is known.
    fn complete_by(&mut self, transmit: Transmit) -> Result<Option<RoundTrip>, IgnoreReason> {
        self.unmeasured = Some(transmit);
        self.complete()
    }

    /// The round trip, once, when all of it is known.
    fn complete(&mut self) -> Result<Option<RoundTrip>, IgnoreReason> {
        let (Some(answer), Some(transmit)) = (self.answer, self.unmeasured) else { return Ok(None) };
        let t1 = match self.departure {
            Departure::Awaited => return Ok(None),
            Departure::Lost => {
                self.unmeasured = None;
                return Err(IgnoreReason::TransmitStampLost);
            }
            Departure::At(departed) => departed,
        };
        self.unmeasured = None;
        Ok(Some(RoundTrip {
            t1,
            t2: answer.receive,
            t3: transmit.at,
            t4: answer.arrived,
            server: transmit.server,
            interleaved: transmit.interleaved,
            network: answer.network,
        }))
    }

    fn deadline(&self) -> Option<Ticks> {
        self.unmeasured.map(|transmit| transmit.deadline)
    }
}

/// What `message` is, which answers another request than the last one.
fn bogus(message: &[u8], before: Option<&(Request, bool)>) -> IgnoreReason {
    match (Header::of(message), before) {
        (Some(header), Some((request, answered))) if request.is_origin(header.origin()) => {
            if *answered {
                IgnoreReason::Duplicate
            } else {
                IgnoreReason::Reordered
            }
        }
        _ => IgnoreReason::BogusOrigin,
    }
}
