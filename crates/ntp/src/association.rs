//! The associations that measure other clocks: client, symmetric peer, broadcast client (RFC 5905 §8 to §14, RFC 9769), and
//! the broadcast server.
//!
//! An [`Association`] is told what arrives and when, and says what is to be sent and when. Its driver sends what
//! [`Association::poll_transmit`] writes, reports with [`Association::transmitted`] when it left, hands in what comes with
//! [`Association::receive`], and fetches with [`Association::poll_measured`], after each of the last two, what was measured.

mod broadcast;
mod broadcaster;
mod client;
mod measure;
mod options;
mod outcome;
mod pace;
mod reach;
mod shown;
mod symmetric;

pub use broadcaster::{Broadcaster, BroadcasterOptions};
pub use options::{AssociationOptions, Poll, PollAdvice, Role};
pub use outcome::{AssociationCounts, IgnoreReason, Received};

use crate::mac::MAX_MAC_LEN;
use crate::message::{HEADER_LEN, Header, Mode, SystemVariables};
use crate::outcome::KissCode;
use crate::over_ptp::{self, Carriage};
use broadcast::{BroadcastClient, Flight};
use client::Client;
use measure::{DelayFilter, Departure, MAX_FREQUENCY_PPM, Quality, RoundTrip};
use pace::Pace;
use reach::Reach;
use sidereal_time::{Arrived, Instant, LocalClock, NtpClock, Reading, Span, StampSource, Ticks, Utc};
use symmetric::Symmetric;

/// The longest message that is sent, in bytes: a header, the extension field of a message that PTP carries, and the longest
/// MAC. What is received may be longer.
pub const MAX_MESSAGE_LEN: usize = HEADER_LEN + over_ptp::FIELD_LEN + MAX_MAC_LEN;

/// What an association is told of the host at each call.
pub struct Context<'a> {
    /// The counter of all ticks, at its rate as known now.
    pub clock: &'a LocalClock,
    /// What peers are told of our clock.
    pub system: &'a SystemVariables,
    /// Our clock, as peers are told it, if it shows the time.
    pub time: Option<&'a NtpClock>,
    /// About now, within 68 years: tells the era of NTP timestamps.
    pub pivot: Instant<Utc>,
    /// Random numbers that nobody else can guess.
    pub random: &'a mut dyn FnMut() -> u64,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Its length in bytes.
    pub len: usize,
    /// Its number, for [`Association::transmitted`].
    pub sequence: u32,
    /// Whether a precise stamp is of use; the driver's own, taken around the call, is asked for either way.
    pub stamp_wanted: bool,
    /// Whether it is to leave from a port of its own, drawn at random (RFC 9109), on which the answer is then awaited. Else
    /// it leaves from the NTP port.
    pub fresh_port: bool,
}

/// A reading of the other clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// UTC by the other clock, in the middle of a round trip; its window is the delay.
    pub reading: Reading<Utc>,
    /// How far the reading may be off beyond its window: the precision of both clocks, and 15 ppm of the time that the
    /// exchange took; of a broadcast, how much longer than the shortest the longest round trip of the volley was; of one that is
    /// corrected by what transparent clocks say, all that the correction is (RFC 10030 §3: what is told on must not rest on it).
    pub dispersion: Span,
    /// What the other side says of its clock: it need not be synchronised. In interleaved mode, where two messages tell of
    /// the round trip, it is by both of them, and root delay and dispersion are the worse.
    pub server: SystemVariables,
    /// Whether the other side's transmit timestamp is the true one of interleaved mode. A round trip may be measured twice:
    /// at once in basic mode, and when its true transmit timestamp is known.
    pub interleaved: bool,
    /// Whether every message of it carried the MAC of our key.
    pub authenticated: bool,
    /// The worse of our two stamps.
    pub stamps: StampSource,
}

/// One other clock, and all that is known of the way to it.
#[derive(Debug)]
pub struct Association {
    options: AssociationOptions,
    protocol: Protocol,
    pace: Pace,
    reach: Reach,
    delays: DelayFilter,
    /// As told last.
    now: Ticks,
    clock: LocalClock,
    pivot: Instant<Utc>,
    sequence: u32,
    server: Option<SystemVariables>,
    /// The poll of the other side, where it polls too.
    other_poll: Option<Poll>,
    /// When, of a side that is not asked, the next message is missed.
    missed_at: Option<Ticks>,
    measured: Option<Measured>,
    last: Option<Quality>,
    denied: bool,
    counts: AssociationCounts,
}

/// What differs between the roles.
#[derive(Debug)]
enum Protocol {
    Client(Client),
    Active(Symmetric),
    Passive(Symmetric),
    Broadcast(BroadcastClient),
}

impl Association {
    /// An association that begins at `now`.
    #[must_use]
    pub fn new(options: &AssociationOptions, now: Ticks, context: &mut Context<'_>) -> Self {
        let protocol = match options.role {
            Role::Client => Protocol::Client(Client::new(options)),
            Role::SymmetricActive => Protocol::Active(Symmetric::new(Mode::SymmetricActive, options.interleaved)),
            Role::SymmetricPassive => Protocol::Passive(Symmetric::new(Mode::SymmetricPassive, options.interleaved)),
            Role::BroadcastClient => Protocol::Broadcast(BroadcastClient::new(options, now)),
        };
        Self {
            options: options.clone(),
            protocol,
            pace: Pace::new(options, now),
            reach: Reach::default(),
            delays: DelayFilter::new(options.max_delay, options.max_delay_ratio),
            now,
            clock: *context.clock,
            pivot: context.pivot,
            sequence: 0,
            server: None,
            other_poll: None,
            missed_at: None,
            measured: None,
            last: None,
            denied: false,
            counts: AssociationCounts::NONE,
        }
    }

    /// When [`Self::poll_transmit`] is to be called next, even if it will have nothing to send; `None` where only a message
    /// can bring something new. Changes with every call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Ticks> {
        if self.denied {
            return None;
        }
        let (next, deadline) = match &self.protocol {
            Protocol::Client(client) => (Some(self.pace.next()), client.deadline()),
            Protocol::Active(symmetric) => (Some(self.pace.next()), symmetric.deadline()),
            Protocol::Passive(symmetric) => (symmetric.answer_due(), symmetric.deadline()),
            Protocol::Broadcast(broadcast) => (broadcast.next(), broadcast.client.deadline()),
        };
        let earlier = |a: Ticks, b: Ticks| if self.clock.passed(a, b).is_negative() { b } else { a };
        [next, deadline, self.missed_at].into_iter().flatten().reduce(earlier)
    }

    /// Writes the message that is due at `now`, if one is. `buffer` holds [`MAX_MESSAGE_LEN`] bytes, or nothing is sent.
    pub fn poll_transmit(&mut self, now: Ticks, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        self.meet(now, context);
        self.expire();
        if self.denied || !self.begin_poll() {
            return None;
        }
        let sequence = self.sequence.wrapping_add(1);
        let poll = self.poll();
        let options = &self.options;
        let len = match &mut self.protocol {
            Protocol::Client(client) | Protocol::Broadcast(BroadcastClient { client, .. }) => {
                client.request(sequence, now, poll.exponent(), options.key.as_ref(), context.random, buffer)
            }
            Protocol::Active(symmetric) | Protocol::Passive(symmetric) => {
                symmetric.message(sequence, poll, options, now, context, buffer)
            }
        };
        match &mut self.protocol {
            Protocol::Client(_) | Protocol::Active(_) => {
                self.pace.sent(now, &self.clock, self.other_poll.unwrap_or(Poll::MAX), (context.random)());
            }
            Protocol::Broadcast(broadcast) => broadcast.sent(now, &self.clock),
            Protocol::Passive(_) => {}
        }
        let len = len?;
        self.sequence = sequence;
        self.counts.sent += 1;
        let fresh_port = matches!(self.protocol, Protocol::Client(_) | Protocol::Broadcast(_));
        Some(Transmit { len, sequence, stamp_wanted: true, fresh_port })
    }

    /// What became of message `sequence`: it left at `left`, `None` where nobody knows. To be called once for each
    /// [`Transmit`], however late.
    pub fn transmitted(&mut self, sequence: u32, left: Option<Ticks>, source: StampSource) {
        let departure = Departure::new(left, source);
        let trip = match &mut self.protocol {
            Protocol::Client(client) | Protocol::Broadcast(BroadcastClient { client, .. }) => {
                client.transmitted(sequence, departure)
            }
            Protocol::Active(symmetric) | Protocol::Passive(symmetric) => symmetric.transmitted(sequence, departure),
        };
        if let Err(reason) = self.measure(trip) {
            self.counts.ignore(reason);
        }
    }

    /// Takes a message that arrived from the other side's address, at `arrival`; `now` is not before it.
    pub fn receive(&mut self, message: &[u8], arrival: Arrived, now: Ticks, context: &mut Context<'_>) -> Received {
        self.take(message, arrival, None, now, context)
    }

    /// The same, of a message that PTP carried, in `carriage`: what is measured is the end of it.
    pub fn receive_over_ptp(
        &mut self,
        message: &[u8],
        arrival: Arrived,
        carriage: Carriage,
        now: Ticks,
        context: &mut Context<'_>,
    ) -> Received {
        let ticks = context.clock.later(arrival.ticks, carriage.reception);
        self.take(message, Arrived { ticks, ..arrival }, Some(carriage), now, context)
    }

    fn take(
        &mut self,
        message: &[u8],
        arrival: Arrived,
        carriage: Option<Carriage>,
        now: Ticks,
        context: &mut Context<'_>,
    ) -> Received {
        self.meet(now, context);
        self.counts.received += 1;
        let received = self.judge(message, arrival, carriage).err().unwrap_or(Received::Accepted);
        match received {
            Received::Accepted => {}
            Received::Ignored(reason) => self.counts.ignore(reason),
            Received::Kiss(code) => self.heed(code),
        }
        received
    }

    /// What the last call of [`Self::receive`] or [`Self::transmitted`] measured.
    #[must_use]
    pub fn poll_measured(&mut self) -> Option<Measured> {
        self.measured.take()
    }

    /// Says, once for each [`Measured`], whether the poll suits what is made of them. It changes when enough advice agrees.
    pub fn advise(&mut self, advice: PollAdvice) {
        self.pace.advise(advice);
    }

    /// The outcome of the last eight polls, the last one in the lowest bit (RFC 5905 §13): 0 says unreachable.
    #[must_use]
    pub const fn reach(&self) -> u8 {
        self.reach.bits()
    }

    /// How often the other side is asked, or, where it is not, how often it says that it speaks.
    #[must_use]
    pub fn poll(&self) -> Poll {
        match self.protocol {
            Protocol::Client(_) | Protocol::Active(_) => self.pace.poll(),
            Protocol::Passive(_) | Protocol::Broadcast(_) => self.other_poll.unwrap_or(self.options.min_poll),
        }
    }

    /// What has been counted.
    #[must_use]
    pub const fn counts(&self) -> &AssociationCounts {
        &self.counts
    }

    /// What the other side said of its clock in its last valid message.
    #[must_use]
    pub const fn last_server(&self) -> Option<&SystemVariables> {
        self.server.as_ref()
    }

    /// Whether the other side has said, by DENY or RSTR, that it is not to be asked. Then it is not, until there is a new
    /// association.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.denied
    }
}

impl Association {
    fn meet(&mut self, now: Ticks, context: &Context<'_>) {
        (self.now, self.clock, self.pivot) = (now, *context.clock, context.pivot);
    }

    /// Whether something is to be sent now.
    fn begin_poll(&mut self) -> bool {
        match &mut self.protocol {
            Protocol::Client(_) | Protocol::Active(_) => {
                let due = self.pace.is_due(self.now, &self.clock);
                if due {
                    self.reach.polled();
                    if self.reach.is_lost() {
                        self.pace.lost();
                    }
                }
                due
            }
            Protocol::Passive(symmetric) => symmetric.answer_due().is_some(),
            Protocol::Broadcast(broadcast) => broadcast.is_due(self.now, &self.clock),
        }
    }

    /// Gives up what has been waited for long enough.
    fn expire(&mut self) {
        let waited = match &mut self.protocol {
            Protocol::Client(client) | Protocol::Broadcast(BroadcastClient { client, .. }) => {
                client.expire(self.now, &self.clock)
            }
            Protocol::Active(symmetric) | Protocol::Passive(symmetric) => symmetric.expire(self.now, &self.clock),
        };
        if let Err(reason) = waited {
            self.counts.ignore(reason);
        }
        if self.missed_at.is_some_and(|at| !self.clock.passed(at, self.now).is_negative()) {
            self.reach.polled();
            self.missed_at = Some(self.clock.later(self.now, self.poll().as_span()));
        }
    }

    /// All the checks of a message, and then what it measures. `Err` says what else it is than a message that is accepted.
    fn judge(&mut self, message: &[u8], arrival: Arrived, carriage: Option<Carriage>) -> Result<(), Received> {
        if self.denied {
            return Err(IgnoreReason::Denied.into());
        }
        let (options, now, clock) = (&self.options, self.now, &self.clock);
        let silent = !self.reach.is_reachable();
        let header = Header::of(message).ok_or(IgnoreReason::TooShort)?;
        let valid = match &mut self.protocol {
            Protocol::Client(client) => client.receive(message, options.key.as_ref(), arrival, carriage, now, clock)?,
            Protocol::Active(symmetric) => {
                let valid = symmetric.receive(message, options, arrival, now, clock, silent)?;
                self.other_poll = Some(Poll::nearest(header.poll()));
                valid
            }
            Protocol::Passive(symmetric) => {
                let valid = symmetric.receive(message, options, arrival, now, clock, silent)?;
                self.hear(Poll::nearest(header.poll()));
                valid
            }
            Protocol::Broadcast(broadcast) if header.mode() == Mode::Broadcast => {
                let flight = broadcast.receive(message, options, arrival, now, clock, silent)?;
                self.hear(Poll::nearest(header.poll()));
                self.accept(header.system());
                return self.measure_broadcast(flight).map_err(Received::from);
            }
            Protocol::Broadcast(broadcast) => {
                broadcast.client.receive(message, options.key.as_ref(), arrival, carriage, now, clock)?
            }
        };
        self.accept(valid.server);
        self.measure(valid.trip).map_err(Received::from)
    }

    /// A message came that nobody asked for: another one is expected after `poll`.
    fn hear(&mut self, poll: Poll) {
        self.other_poll = Some(poll);
        self.reach.polled();
        self.missed_at = Some(self.clock.later(self.now, poll.as_span() + poll.as_span().half()));
    }

    fn accept(&mut self, server: SystemVariables) {
        self.counts.accepted += 1;
        self.server = Some(server);
        if !self.reach.is_reachable() {
            self.pace.found(self.now, &self.clock);
        }
        self.reach.answered();
    }

    /// What a round trip measures, if there is one.
    fn measure(&mut self, trip: Result<Option<RoundTrip>, IgnoreReason>) -> Result<(), IgnoreReason> {
        let Some(trip) = trip? else { return Ok(()) };
        let quality = trip.measure(&self.clock, self.pivot)?;
        let delay = quality.reading.window();
        self.delays.check(delay, quality.dispersion)?;
        if let Protocol::Broadcast(broadcast) = &mut self.protocol {
            broadcast.answered(delay);
        }
        if self.contradicts_last(&quality) {
            self.pace.restart(self.now, &self.clock);
        }
        self.conclude(quality, trip.server, trip.interleaved);
        Ok(())
    }

    /// What a broadcast measures, if anything.
    fn measure_broadcast(&mut self, flight: Result<Option<Flight>, IgnoreReason>) -> Result<(), IgnoreReason> {
        let Some(flight) = flight? else { return Ok(()) };
        let quality = flight.measure(&self.clock, self.pivot);
        if self.contradicts_last(&quality) {
            if let Protocol::Broadcast(broadcast) = &mut self.protocol {
                broadcast.mistrust(self.now);
            }
            return Err(IgnoreReason::Jumped);
        }
        self.conclude(quality, flight.server, flight.interleaved);
        Ok(())
    }

    /// Whether no clock that runs at its own pace can have given the last reading and this one.
    fn contradicts_last(&self, quality: &Quality) -> bool {
        let Some(last) = self.last else { return false };
        let here = self.clock.passed(last.reading.ticks(), quality.reading.ticks());
        let there = quality.reading.at() - last.reading.at();
        let drift = Span::from_units(here.units().abs() * MAX_FREQUENCY_PPM / 1_000_000);
        (there - here).abs() > last.error() + quality.error() + drift
    }

    fn conclude(&mut self, quality: Quality, server: SystemVariables, interleaved: bool) {
        self.counts.measured += 1;
        self.counts.measured_interleaved += u64::from(interleaved);
        self.last = Some(quality);
        self.counts.measured_corrected += u64::from(quality.corrected == Some(true));
        self.counts.corrections_refused += u64::from(quality.corrected.is_none());
        let Quality { reading, dispersion, unvouched, stamps, .. } = quality;
        let dispersion = dispersion + unvouched;
        let authenticated = self.options.key.is_some();
        self.measured = Some(Measured { reading, dispersion, server, interleaved, authenticated, stamps });
    }

    /// Does what a kiss code asks for.
    fn heed(&mut self, code: KissCode) {
        self.counts.kisses += 1;
        match (code, &mut self.protocol) {
            (KissCode::Deny | KissCode::Restrict, _) => self.denied = true,
            (KissCode::Rate, Protocol::Broadcast(broadcast)) => broadcast.leave_alone(self.now, &self.clock),
            (KissCode::Rate, _) => self.pace.kissed(self.now, &self.clock),
        }
    }
}
