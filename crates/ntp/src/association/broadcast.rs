//! The listener to broadcasts (RFC 5905 §3 and §8, RFC 9769 §4).
//!
//! A broadcast tells when it left, not how long it was on the way. So its server is first asked in a volley of the
//! client's exchanges, authenticated if there is a key; the shortest delay of them is that of the broadcasts, give or take
//! how much longer the longest was, until it is measured again.

use super::client::Client;
use super::measure::{Quality, dispersion};
use super::options::{AssociationOptions, Poll};
use super::outcome::{IgnoreReason, Received};
use super::shown::Shown;
use super::symmetric::is_after;
use crate::client::verify;
use crate::extension::Body;
use crate::message::{Header, Mode, SystemVariables};
use sidereal_time::{Arrived, Instant, LocalClock, NtpTimestamp, Reading, Span, Ticks, Utc};

/// Requests in a volley, and the time between them.
const VOLLEY_LENGTH: u8 = 8;
const VOLLEY_INTERVAL: Poll = Poll::nearest(1);
/// How long a measured delay is believed, 2^12 s: then the volley is repeated.
const DELAY_LIFE: Poll = Poll::nearest(12);
/// How long a server is left alone that has not answered a volley.
const RETRY_INTERVAL: Poll = Poll::nearest(6);
/// How far the two transmit timestamps of one broadcast, of basic and of interleaved mode, may be apart (RFC 9769 §4):
/// beyond, one was lost between them.
const MAX_TRANSMIT_ERROR: Span = Span::SECOND;

/// How long a broadcast of the basic mode may have waited between being written and leaving, which neither its transmit
/// timestamp nor the volley tells: some hundred microseconds in a busy server. Interleaved broadcasts tell when they left.
const MAX_SENDING: Span = Span::from_nanos(250_000);

/// A listener to one server.
#[derive(Debug)]
pub(super) struct BroadcastClient {
    /// Asks for the delay.
    pub(super) client: Client,
    delay: Option<Delay>,
    /// From when on the next volley may begin, if a broadcast is heard.
    ask_after: Ticks,
    volley: Option<Volley>,
    last: Option<Heard>,
}

/// A volley that goes on.
#[derive(Debug, Clone, Copy)]
struct Volley {
    left: u8,
    /// When the next request is due, or, after the last one, when the volley is over.
    next: Ticks,
    delay: Option<Delay>,
}

/// How long the round trips of a volley took.
#[derive(Debug, Clone, Copy)]
struct Delay {
    shortest: Span,
    longest: Span,
}

/// A broadcast.
#[derive(Debug, Clone, Copy)]
struct Heard {
    transmit: NtpTimestamp,
    arrived: Arrived,
    server: SystemVariables,
}

/// One way of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    transmit: NtpTimestamp,
    arrived: Arrived,
    delay: Delay,
    /// What the server said of its clock: where another message told when this one left, the worse of both.
    pub(super) server: SystemVariables,
    pub(super) interleaved: bool,
}

impl Flight {
    /// The server's clock when the message arrived. Its window is the shortest delay of a round trip, since all of it may
    /// have been spent in the one direction or in the other. This message may have queued as well, for as long as any of
    /// the volley: that is part of its dispersion.
    pub(super) fn measure(&self, local: &LocalClock, pivot: Instant<Utc>) -> Quality {
        let Delay { shortest, longest } = self.delay;
        let at = self.transmit.near(pivot) + shortest.half();
        Quality {
            reading: Reading::new(self.arrived.ticks, at, shortest),
            dispersion: dispersion(self.server.precision, local, Span::ZERO)
                + (longest - shortest)
                + if self.interleaved { Span::ZERO } else { MAX_SENDING },
            unvouched: Span::ZERO,
            corrected: Some(false),
            stamps: self.arrived.source,
        }
    }
}

impl Heard {
    /// What it says of the server's clock. It has been on the way for no longer than a round trip.
    fn shown(&self, delay: Delay, clock: &LocalClock) -> Shown {
        let from = Some(clock.later(self.arrived.ticks, -delay.longest));
        Shown { from, until: self.arrived.ticks, at: self.transmit, server: self.server }
    }
}

impl BroadcastClient {
    /// Begins at `now`, with nothing heard.
    pub(super) const fn new(options: &AssociationOptions, now: Ticks) -> Self {
        Self { client: Client::new(options), delay: None, ask_after: now, volley: None, last: None }
    }

    /// When something is to be done.
    pub(super) fn next(&self) -> Option<Ticks> {
        self.volley.map(|volley| volley.next)
    }

    /// Whether a request is due. Ends the volley that is over.
    pub(super) fn is_due(&mut self, now: Ticks, clock: &LocalClock) -> bool {
        let Some(volley) = self.volley.filter(|volley| is_past(volley.next, now, clock)) else { return false };
        if volley.left > 0 {
            return true;
        }
        self.volley = None;
        self.delay = volley.delay.or(self.delay);
        let pause = if volley.delay.is_some() { DELAY_LIFE } else { RETRY_INTERVAL };
        self.ask_after = clock.later(now, pause.as_span());
        false
    }

    /// A request leaves at `now`.
    pub(super) fn sent(&mut self, now: Ticks, clock: &LocalClock) {
        if let Some(volley) = &mut self.volley {
            volley.left = volley.left.saturating_sub(1);
            volley.next = clock.later(now, VOLLEY_INTERVAL.as_span());
        }
    }

    /// A request was answered after `delay`.
    pub(super) fn answered(&mut self, delay: Span) {
        if let Some(volley) = &mut self.volley {
            let known = volley.delay.unwrap_or(Delay { shortest: delay, longest: delay });
            volley.delay = Some(Delay { shortest: known.shortest.min(delay), longest: known.longest.max(delay) });
        }
    }

    /// The server's clock is not what it was: no broadcast is believed until the server has been asked.
    pub(super) fn mistrust(&mut self, now: Ticks) {
        self.delay = None;
        self.ask_after = now;
    }

    /// The server has said that it is asked too often.
    pub(super) fn leave_alone(&mut self, now: Ticks, clock: &LocalClock) {
        self.volley = None;
        self.ask_after = clock.later(now, RETRY_INTERVAL.as_span());
    }

    /// Checks a broadcast: when one left there and arrived here, or why that is not known. `silent` says that nothing valid
    /// has come for long: then also a server whose clock was set back is listened to.
    pub(super) fn receive(
        &mut self,
        message: &[u8],
        options: &AssociationOptions,
        arrived: Arrived,
        now: Ticks,
        clock: &LocalClock,
        silent: bool,
    ) -> Result<Result<Option<Flight>, IgnoreReason>, Received> {
        let header = Header::of(message).ok_or(IgnoreReason::TooShort)?;
        if header.version() != Some(options.version) {
            return Err(IgnoreReason::WrongVersion.into());
        }
        if header.mode() != Mode::Broadcast {
            return Err(IgnoreReason::WrongMode.into());
        }
        let body = Body::of(message, options.version).map_err(IgnoreReason::from)?;
        if let Some(key) = &options.key {
            verify(&body, options.version, key)?;
        }
        let (origin, transmit) = (header.origin(), header.transmit());
        if transmit.is_unknown() {
            return Err(IgnoreReason::ZeroTimestamp.into());
        }
        if let Some(last) = self.last.filter(|_| !silent) {
            if last.transmit == transmit {
                return Err(IgnoreReason::Duplicate.into());
            }
            if !is_after(transmit, last.transmit) {
                return Err(IgnoreReason::Replayed.into());
            }
        }
        let server = header.system();
        let heard = Heard { transmit, arrived, server };
        let previous = self.last.replace(heard);
        if self.volley.is_none() && is_past(self.ask_after, now, clock) {
            self.volley = Some(Volley { left: VOLLEY_LENGTH, next: now, delay: None });
        }
        let interleaved = options.interleaved && !origin.is_unknown();
        Ok(match (self.delay, previous) {
            (None, _) => Err(IgnoreReason::Uncalibrated),
            (Some(delay), _) if !interleaved => Ok(Some(Flight { transmit, arrived, delay, server, interleaved })),
            // What is told is when the broadcast before this one left.
            (Some(delay), Some(before)) if origin.since(before.transmit).abs() <= MAX_TRANSMIT_ERROR => before
                .shown(delay, clock)
                .with(&heard.shown(delay, clock), clock)
                .map(|server| Some(Flight { transmit: origin, arrived: before.arrived, delay, server, interleaved })),
            (Some(_), _) => Ok(None),
        })
    }
}

fn is_past(at: Ticks, now: Ticks, clock: &LocalClock) -> bool {
    !clock.passed(at, now).is_negative()
}
