//! A host whose clock is right, but for what a scenario says.

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum, SystemVariables};
use sidereal_time::{Instant, LeapTable, NtpShort, NtpTimestamp, Span, Tai};

use super::responder::Responder;
use super::{Input, Outbox};
use crate::nic::{HostCounter, Nic};
use crate::oscillator::{Oscillator, OscillatorOptions};
use crate::packet::{endpoint, is_for};
use crate::scenario::{HostOptions, NTP_PORT, ReferenceOptions};

/// What it says it follows.
const REFERENCE_ID: ReferenceId = ReferenceId(*b"SIM\0");
/// 2^-30 s, the nanosecond in which its stamps are told.
const PRECISION: i8 = -30;
/// Leap seconds are announced for this long.
const ANNOUNCED: Span = Span::from_secs(86_400);

/// A reference in a run.
#[derive(Debug)]
pub(crate) struct ReferenceHost {
    number: usize,
    options: ReferenceOptions,
    leap_table: LeapTable,
    responder: Responder,
    nic: Nic,
    /// Perfect: one tick a nanosecond of truth.
    counter: HostCounter,
    start: Instant<Tai>,
    lie: Lie,
    unsynchronised: bool,
    down: bool,
}

/// How wrong the clock is by faults.
#[derive(Debug, Clone, Copy)]
struct Lie {
    since: Instant<Tai>,
    offset: Span,
    rate: f64,
}

impl Lie {
    fn at(&self, at: Instant<Tai>) -> Span {
        self.offset + Span::from_secs_f64((at - self.since).as_secs_f64() * self.rate)
    }
}

impl ReferenceHost {
    pub(crate) fn new(
        number: usize,
        host: &HostOptions,
        options: &ReferenceOptions,
        leap_table: &LeapTable,
        seed: u64,
        start: Instant<Tai>,
    ) -> Self {
        let oscillator = Oscillator::new(&OscillatorOptions::default(), seed, &host.name, start);
        Self {
            number,
            options: *options,
            leap_table: leap_table.clone(),
            responder: Responder::new(host.reply_latency, seed, &host.name),
            nic: Nic::new(&host.nic, seed, &host.name, start),
            counter: HostCounter::new(oscillator, 0),
            start,
            lie: Lie { since: start, offset: options.offset, rate: 0.0 },
            unsynchronised: false,
            down: false,
        }
    }

    pub(super) fn happen(&mut self, input: Input, now: Instant<Tai>, outbox: &mut Outbox) {
        match input {
            Input::Arrival(packet)
                if !self.down && is_for(packet.to.ip(), self.number) && packet.to.port() == NTP_PORT =>
            {
                let stamp = self.nic.receive(now, &mut self.counter);
                let received = self.instant(stamp.ticks.0) - packet.correction;
                let (receive, transmit) = (self.shown(received), self.shown(now));
                let mut packet = packet;
                packet.to = endpoint(self.number, NTP_PORT);
                let system = self.system(now);
                let Some(reply) = self.responder.answer(&packet, &system, receive, transmit, now) else { return };
                if let Some(token) = reply.token {
                    let departure = self.nic.transmit(now, reply.leaves, true, &mut self.counter);
                    let left = self.instant(departure.left.ticks.0);
                    let left = self.shown(left);
                    outbox.later.push((departure.known, Input::Replied(token, left)));
                }
                outbox.packets.push((reply.leaves, reply.packet));
            }
            Input::Replied(token, at) => self.responder.transmitted(token, at),
            _ => {}
        }
    }

    /// The clock is wrong by `by` more from `now` on.
    pub(crate) fn lie(&mut self, by: Span, now: Instant<Tai>) {
        self.lie = Lie { since: now, offset: self.lie.at(now) + by, ..self.lie };
    }

    /// The clock runs away at `rate` from `now` on.
    pub(crate) fn run_away(&mut self, rate: f64, now: Instant<Tai>) {
        self.lie = Lie { since: now, offset: self.lie.at(now), rate };
    }

    pub(crate) const fn set_unsynchronised(&mut self, unsynchronised: bool) {
        self.unsynchronised = unsynchronised;
    }

    pub(crate) const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// What the counter's value means in truth.
    fn instant(&self, ticks: u64) -> Instant<Tai> {
        self.start + Span::from_nanos(i128::from(ticks.cast_signed()))
    }

    /// What the clock shows when it is truly `at`.
    fn shown(&self, at: Instant<Tai>) -> NtpTimestamp {
        NtpTimestamp::from_utc(self.leap_table.tai_to_utc(at + self.lie.at(at)))
    }

    fn system(&self, now: Instant<Tai>) -> SystemVariables {
        if self.unsynchronised {
            return SystemVariables { precision: PRECISION, ..SystemVariables::UNSYNCHRONISED };
        }
        let leap = match self.leap_table.next(now).filter(|(at, _)| *at - now <= ANNOUNCED) {
            None => LeapIndicator::None,
            Some((_, step)) if step < 0 => LeapIndicator::Insert,
            Some(_) => LeapIndicator::Delete,
        };
        SystemVariables {
            leap,
            stratum: Stratum::new(self.options.stratum).unwrap_or(Stratum::PRIMARY),
            precision: PRECISION,
            root_delay: NtpShort::from_span_rounded_up(self.options.root_delay),
            root_dispersion: NtpShort::from_span_rounded_up(self.options.root_dispersion),
            reference_id: REFERENCE_ID,
            reference_time: self.shown(now - Span::SECOND),
        }
    }
}
