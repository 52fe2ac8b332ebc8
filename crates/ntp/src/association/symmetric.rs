//! The exchanges of two peers, each of which measures the other (RFC 5905 §8, RFC 9769 §3).
//!
//! Every message tells when the sender's last message from the other side arrived, and when this message leaves (basic mode)
//! or the one before it left (interleaved mode). So its times are real ones, and tell of our clock what a server's would.

use super::client::MAX_STAMP_WAIT;
use super::measure::{Departed, Departure, RoundTrip};
use super::options::Poll;
use super::outcome::{IgnoreReason, Received, Valid};
use super::shown::Shown;
use super::{AssociationOptions, Context};
use crate::client::verify;
use crate::extension::Body;
use crate::message::{Header, Mode, ReplyHeader, SystemVariables, Times};
use crate::outcome::KissCode;
use core::mem::take;
use sidereal_time::{Arrived, ClockModel, Instant, LocalClock, NtpClock, NtpTimestamp, Ticks};

/// One side of a pair of peers.
#[derive(Debug)]
pub(super) struct Symmetric {
    mode: Mode,
    interleaved: bool,
    /// What a host without the time tells instead: its counter, from about now on.
    free_running: Option<NtpClock>,
    last: Option<Sent>,
    before: Option<Sent>,
    heard: Option<Heard>,
    /// Messages sent since the last valid one came, and between that and the valid one before it.
    sent_since_valid: u32,
    sent_between_valid: u32,
    waiting: Option<Waiting>,
    /// Whether another round trip took its place.
    given_up: bool,
    /// When the message arrived that has not been answered.
    answer_due: Option<Ticks>,
}

/// A message of ours.
#[derive(Debug, Clone, Copy)]
struct Sent {
    sequence: u32,
    /// When it was written.
    written: Ticks,
    transmit: NtpTimestamp,
    /// When `heard` arrived, as we told it; unknown if nothing had been heard.
    receive: NtpTimestamp,
    heard: Option<Heard>,
    departure: Departure,
    answered: bool,
}

impl Sent {
    fn is_origin(&self, origin: NtpTimestamp) -> bool {
        origin == self.transmit || (origin == self.receive && !origin.is_unknown())
    }
}

/// A message of the peer.
#[derive(Debug, Clone, Copy)]
struct Heard {
    times: Times,
    arrived: Arrived,
    server: SystemVariables,
    /// When that message of ours left that arrived there at `times.receive`, where it is known to be that one.
    answers: Option<Departed>,
}

/// A round trip without its T1, which message `sequence` has.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    sequence: u32,
    t2: NtpTimestamp,
    t3: NtpTimestamp,
    t4: Arrived,
    server: SystemVariables,
    interleaved: bool,
    deadline: Ticks,
}

impl Symmetric {
    /// A peer whose messages are of `mode`.
    pub(super) const fn new(mode: Mode, interleaved: bool) -> Self {
        Self {
            mode,
            interleaved,
            free_running: None,
            last: None,
            before: None,
            heard: None,
            sent_since_valid: 0,
            sent_between_valid: 0,
            waiting: None,
            given_up: false,
            answer_due: None,
        }
    }

    /// Writes the next message, and returns its length, or `None` where the buffer is too short.
    pub(super) fn message(
        &mut self,
        sequence: u32,
        poll: Poll,
        options: &AssociationOptions,
        now: Ticks,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Option<usize> {
        self.answer_due = None;
        let (system, clock) = self.clock(now, context);
        let noise = Noise::new(context.clock.precision);
        let arrival = |heard: Heard| noise.add(clock.at(heard.arrived.ticks), (context.random)());
        let receive = self.heard.map_or(NtpTimestamp::UNKNOWN, arrival);
        let times = match (self.previous_departure(), self.heard.map(|heard| heard.times)) {
            (Some(departed), Some(heard)) if !heard.receive.is_unknown() => {
                Times { origin: heard.receive, receive, transmit: clock.at(departed.ticks) }
            }
            (_, heard) => {
                let origin = heard.map_or(NtpTimestamp::UNKNOWN, |heard| heard.transmit);
                Times { origin, receive, transmit: noise.add(clock.at(now), (context.random)()) }
            }
        };
        let header = ReplyHeader::new(&system);
        let exponent = poll.exponent();
        let len = header.write_unasked(options.version, self.mode, exponent, &times, options.key.as_ref(), buffer)?;
        self.before = self.last.replace(Sent {
            sequence,
            written: now,
            transmit: times.transmit,
            receive,
            heard: self.heard,
            departure: Departure::Awaited,
            answered: false,
        });
        self.sent_since_valid = self.sent_since_valid.saturating_add(1);
        Some(len)
    }

    /// When the last message left, where the next one is to tell it: in interleaved mode, under the conditions of
    /// RFC 9769 §3, without which the peer could take it for that of another message.
    fn previous_departure(&self) -> Option<Departed> {
        match self.last?.departure {
            Departure::At(departed)
                if self.interleaved && self.sent_since_valid == 0 && self.sent_between_valid == 1 =>
            {
                Some(departed)
            }
            _ => None,
        }
    }

    /// What we say of our clock, and what it shows.
    fn clock(&mut self, now: Ticks, context: &Context<'_>) -> (SystemVariables, NtpClock) {
        match context.time {
            Some(time) => (*context.system, *time),
            None => {
                let system = SystemVariables { precision: context.system.precision, ..SystemVariables::UNSYNCHRONISED };
                let start = || {
                    let reference = Instant::from_units(context.pivot.units());
                    NtpClock::new(&ClockModel { reference, ..context.clock.unknown(now) }, 0, None)
                };
                (system, *self.free_running.get_or_insert_with(start))
            }
        }
    }

    /// What became of the stamp of message `sequence`: the round trip that it completes, or why there is none.
    pub(super) fn transmitted(
        &mut self,
        sequence: u32,
        departure: Departure,
    ) -> Result<Option<RoundTrip>, IgnoreReason> {
        for sent in [&mut self.last, &mut self.before].into_iter().flatten() {
            if sent.sequence == sequence && sent.departure == Departure::Awaited {
                sent.departure = departure;
            }
        }
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.sequence == sequence) else { return Ok(None) };
        match departure {
            Departure::Awaited => Ok(None),
            Departure::Lost => Err(IgnoreReason::TransmitStampLost),
            Departure::At(t1) => {
                if let Some(heard) = self.heard.as_mut().filter(|heard| heard.times.receive == waiting.t2) {
                    heard.answers = Some(t1);
                }
                let Waiting { t2, t3, t4, server, interleaved, .. } = waiting;
                Ok(Some(RoundTrip { t1, t2, t3, t4, server, interleaved, network: None }))
            }
        }
    }

    /// Checks a message of the peer, and finds the round trip that it completes. `silent` says that nothing valid has come
    /// for long: then also a peer whose clock was set back is listened to.
    pub(super) fn receive(
        &mut self,
        message: &[u8],
        options: &AssociationOptions,
        arrived: Arrived,
        now: Ticks,
        clock: &LocalClock,
        silent: bool,
    ) -> Result<Valid, Received> {
        let header = Header::of(message).ok_or(IgnoreReason::TooShort)?;
        if header.version() != Some(options.version) {
            return Err(IgnoreReason::WrongVersion.into());
        }
        match (self.mode, header.mode()) {
            (_, Mode::SymmetricActive) | (Mode::SymmetricActive, Mode::SymmetricPassive) => {}
            _ => return Err(IgnoreReason::WrongMode.into()),
        }
        let body = Body::of(message, options.version).map_err(IgnoreReason::from)?;
        if let Some(key) = &options.key {
            verify(&body, options.version, key)?;
        }
        let times = Times { origin: header.origin(), receive: header.receive(), transmit: header.transmit() };
        if self.heard.is_some_and(|heard| heard.times == times) {
            return Err(IgnoreReason::Duplicate.into());
        }
        if [self.last, self.before].into_iter().flatten().any(|sent| sent.transmit == times.transmit) {
            return Err(IgnoreReason::Reflected.into());
        }
        let answered = self.last.filter(|last| last.is_origin(times.origin) && !last.answered);
        // Peers that are not synchronised also send codes that ask for nothing, such as INIT.
        if header.stratum_byte() == 0
            && let Some(code) = KissCode::from_reference_id(header.reference_id())
        {
            // Without our nonce it is anybody's.
            answered.ok_or(IgnoreReason::BogusOrigin)?;
            return Err(Received::Kiss(code));
        }
        if times.transmit.is_unknown() || (times.receive.is_unknown() && !times.origin.is_unknown()) {
            return Err(IgnoreReason::ZeroTimestamp.into());
        }
        let server = header.system();
        let mut heard = Heard { times, arrived, server, answers: None };
        let Some(last) = answered else { return Err(self.overhear(heard, silent).into()) };
        let interleaved = times.origin != last.transmit;
        let trip = if interleaved {
            self.interleaved = true;
            self.interleaved_trip(&last, &heard, now, clock)
        } else {
            let trip = Waiting {
                sequence: last.sequence,
                t2: times.receive,
                t3: times.transmit,
                t4: arrived,
                server,
                interleaved,
                deadline: clock.later(now, MAX_STAMP_WAIT),
            };
            self.complete(trip, last.departure)
        };
        heard.answers = match last.departure {
            Departure::At(departed) if !interleaved || self.sent_since_valid == 1 => Some(departed),
            _ => None,
        };
        if let Some(last) = &mut self.last {
            last.answered = true;
        }
        self.hear(heard);
        self.sent_between_valid = self.sent_since_valid;
        self.sent_since_valid = 0;
        Ok(Valid { server, trip })
    }

    /// The round trip that the interleaved message `telling` completes: its transmit timestamp is when the message before it left there, the
    /// one that `last` told the arrival of. With it go the way of that message's own question, or that of `last`: the
    /// shorter of the two, because clocks drift apart meanwhile.
    fn interleaved_trip(
        &mut self,
        last: &Sent,
        telling: &Heard,
        now: Ticks,
        clock: &LocalClock,
    ) -> Result<Option<RoundTrip>, IgnoreReason> {
        let heard = last.heard.ok_or(IgnoreReason::Crossed)?;
        let (t3, t4) = (telling.times.transmit, heard.arrived);
        let length = |trip: &RoundTrip| clock.passed(trip.t1.ticks, trip.t4.ticks).abs();
        // Where several messages told that arrival, it cannot be known which of them arrived at `times.receive`.
        let unambiguous = self.sent_since_valid == 1;
        let from = heard.answers.map(|departed| departed.ticks);
        let at = if from.is_some() { heard.times.receive } else { t3 };
        let before = Shown { from, until: t4.ticks, at, server: heard.server };
        let from = Some(if unambiguous { last.written } else { t4.ticks });
        let after = Shown { from, until: telling.arrived.ticks, at: telling.times.receive, server: telling.server };
        let server = before.with(&after, clock)?;
        let interleaved = true;
        let question = heard.answers.map(|t1| RoundTrip {
            t1,
            t2: heard.times.receive,
            t3,
            t4,
            server,
            interleaved,
            network: None,
        });
        match (question, last.departure) {
            (Some(question), Departure::At(t1)) if unambiguous => {
                let recent = RoundTrip { t1, t2: telling.times.receive, t3, t4, server, interleaved, network: None };
                Ok(Some(if length(&recent) < length(&question) { recent } else { question }))
            }
            (Some(question), _) => Ok(Some(question)),
            (None, departure) if unambiguous => {
                let deadline = clock.later(now, MAX_STAMP_WAIT);
                let t2 = telling.times.receive;
                let trip = Waiting { sequence: last.sequence, t2, t3, t4, server, interleaved, deadline };
                self.complete(trip, departure)
            }
            (None, _) => Err(IgnoreReason::Crossed),
        }
    }

    fn complete(&mut self, trip: Waiting, departure: Departure) -> Result<Option<RoundTrip>, IgnoreReason> {
        let Waiting { t2, t3, t4, server, interleaved, .. } = trip;
        match departure {
            Departure::At(t1) => Ok(Some(RoundTrip { t1, t2, t3, t4, server, interleaved, network: None })),
            Departure::Lost => Err(IgnoreReason::TransmitStampLost),
            Departure::Awaited => {
                self.given_up |= self.waiting.replace(trip).is_some();
                Ok(None)
            }
        }
    }

    /// Why a message answers nothing. Its times are told back to the peer all the same, as that is how an association
    /// begins, unless it is an old one.
    fn overhear(&mut self, overheard: Heard, silent: bool) -> IgnoreReason {
        let times = overheard.times;
        let older = |heard: &Heard| !is_after(times.transmit, heard.times.transmit);
        if !silent && self.heard.as_ref().is_some_and(older) {
            return IgnoreReason::Replayed;
        }
        self.hear(overheard);
        if times.origin.is_unknown() {
            IgnoreReason::ZeroOrigin
        } else if self.last.is_some_and(|last| last.is_origin(times.origin)) {
            IgnoreReason::Duplicate
        } else if self.before.is_some_and(|before| before.is_origin(times.origin)) {
            IgnoreReason::Crossed
        } else {
            IgnoreReason::BogusOrigin
        }
    }

    /// Since when the peer waits for an answer.
    pub(super) const fn answer_due(&self) -> Option<Ticks> {
        self.answer_due
    }

    fn hear(&mut self, heard: Heard) {
        self.answer_due = Some(heard.arrived.ticks);
        self.heard = Some(heard);
    }

    /// Until when a round trip waits for the stamp of our message.
    pub(super) fn deadline(&self) -> Option<Ticks> {
        self.waiting.map(|waiting| waiting.deadline)
    }

    /// Gives up waiting, if the time has come.
    pub(super) fn expire(&mut self, now: Ticks, clock: &LocalClock) -> Result<(), IgnoreReason> {
        let over = |waiting: &mut Waiting| !clock.passed(waiting.deadline, now).is_negative();
        let late = self.waiting.take_if(over).is_some() | take(&mut self.given_up);
        if late { Err(IgnoreReason::TransmitStampLate) } else { Ok(()) }
    }
}

/// Whether `later` is after `earlier`, the short way round.
pub(super) fn is_after(later: NtpTimestamp, earlier: NtpTimestamp) -> bool {
    later.to_bits().wrapping_sub(earlier.to_bits()).cast_signed() > 0
}

/// Random bits below a clock's precision: a timestamp that nobody guesses (RFC 5905 §6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise(u64);

impl Noise {
    /// For a clock whose precision is 2^`precision` s.
    pub(super) fn new(precision: i8) -> Self {
        let bits = i16::from(precision) + 32;
        Self(1_u64.checked_shl(u32::try_from(bits).unwrap_or(0)).map_or(u64::from(u32::MAX), |bit| bit - 1))
    }

    /// `time` with random bits; never "unknown".
    pub(super) fn add(self, time: NtpTimestamp, random: u64) -> NtpTimestamp {
        NtpTimestamp::from_bits(((time.to_bits() & !self.0) | (random & self.0)).max(1))
    }
}
