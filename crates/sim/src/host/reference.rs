//! A host whose clock is right, but for what a scenario says.

use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum, SystemVariables};
use sidereal_time::{ClockId, ClockModel, Counter, Instant, LeapTable, NtpShort, NtpTimestamp, Rate, Span, Tai, Ticks};

use super::grandmaster::{Grandmasters, Health, Message, Told};
use super::ptp::{PtpPorts, is_one_step, of_hardware, write_origin};
use super::responder::Responder;
use super::{Input, Outbox};
use crate::nic::{HostCounter, Nic, of_counter};
use crate::oscillator::{Oscillator, OscillatorOptions};
use crate::packet::{Datagram, Packet, PtpPacket, endpoint, is_for};
use crate::scenario::{HostOptions, NTP_PORT, ReferenceOptions, ptp_address};

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
    ptp: PtpPorts,
    grandmasters: Grandmasters,
    nic: Nic,
    /// Perfect: one tick a nanosecond of truth.
    counter: HostCounter,
    start: Instant<Tai>,
    lie: Lie,
    health: Health,
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

    /// What the clock shows by a counter that counts true nanoseconds from `start` on, as it is about `now`.
    fn model(&self, start: Instant<Tai>, now: Instant<Tai>) -> ClockModel {
        let nanos = (now - start).as_nanos_rounded();
        let whole = start + Span::from_nanos(nanos);
        ClockModel {
            counter: Counter::Nic(ClockId(1)),
            width: 64,
            reference_ticks: Ticks(u64::try_from(nanos).unwrap_or(0)),
            reference: whole + self.at(whole),
            rate: Rate::from_hertz(1e9 / (1.0 + self.rate)),
            error: Span::ZERO,
            drift_ppb: 0,
            generation: 1,
        }
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
        let lie = Lie { since: start, offset: options.offset, rate: 0.0 };
        let health = Health::Good;
        let claimed = options.root_dispersion + options.root_delay.half();
        let told = Told { ticks: Ticks(0), model: &lie.model(start, start), leap_table, health };
        Self {
            number,
            options: *options,
            leap_table: leap_table.clone(),
            responder: Responder::new(host.reply_latency, seed, &host.name),
            ptp: PtpPorts::new(number, host, seed),
            grandmasters: Grandmasters::new(host, claimed, seed, &told),
            nic: Nic::new(&host.nic, seed, &host.name, start),
            counter: HostCounter::new(oscillator, 0),
            start,
            lie,
            health,
            down: false,
        }
    }

    pub(super) fn happen(&mut self, input: Input, now: Instant<Tai>, outbox: &mut Outbox) {
        match input {
            Input::Arrival(Packet::Ntp(datagram)) => self.respond(datagram, now, outbox),
            Input::Arrival(Packet::Ptp(packet)) => self.hear(&packet, now, outbox),
            Input::Replied(token, at) => self.responder.transmitted(token, at),
            Input::Left(port, sequence, left) => {
                self.lead(now, |grandmasters, told| grandmasters.transmitted(port, sequence, left, told));
            }
            Input::Timer | Input::Transmitted(..) | Input::Resolved(..) => {}
        }
        self.speak(now, outbox);
    }

    /// Answers an NTP request.
    fn respond(&mut self, mut datagram: Datagram, now: Instant<Tai>, outbox: &mut Outbox) {
        if self.down || !is_for(datagram.to.ip(), self.number) || datagram.to.port() != NTP_PORT {
            return;
        }
        let stamp = self.nic.receive(now, &mut self.counter);
        let received = self.instant(stamp.ticks) - datagram.correction;
        let (receive, transmit) = (self.shown(received), self.shown(now));
        datagram.to = endpoint(self.number, NTP_PORT);
        let system = self.system(now);
        let Some(reply) = self.responder.answer(&datagram, &system, receive, transmit, now) else { return };
        if let Some(token) = reply.token {
            let departure = self.nic.transmit(now, reply.leaves, true, &mut self.counter);
            let left = self.shown(self.instant(departure.left.ticks));
            outbox.later.push((departure.known, Input::Replied(token, left)));
        }
        outbox.packets.push((reply.leaves, Packet::Ntp(reply.datagram)));
    }

    /// The clock is wrong by `by` more from `now` on.
    pub(crate) fn lie(&mut self, by: Span, now: Instant<Tai>) {
        self.lie = Lie { since: now, offset: self.lie.at(now) + by, ..self.lie };
    }

    /// The clock runs away at `rate` from `now` on.
    pub(crate) fn run_away(&mut self, rate: f64, now: Instant<Tai>) {
        self.lie = Lie { since: now, offset: self.lie.at(now), rate };
    }

    pub(crate) const fn set_health(&mut self, health: Health) {
        self.health = health;
    }

    pub(crate) const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// Takes a PTP message, and answers it where that is all it takes.
    fn hear(&mut self, packet: &PtpPacket, now: Instant<Tai>, outbox: &mut Outbox) {
        let Some(port) = self.ptp.hearer(packet).filter(|_| !self.down) else { return };
        let arrived = self.nic.receive(now, &mut self.counter);
        let model = self.lie.model(self.start, now);
        if let Some(answer) = self.ptp.answer(port, packet, model.instant(arrived.ticks), now) {
            return outbox.packets.push(answer);
        }
        let from = ptp_address(packet.from, packet.transport);
        let arrival = of_hardware(of_counter(arrived));
        self.lead(now, |grandmasters, told| grandmasters.receive(port, &packet.message, from, arrival, told));
    }

    /// Sends what is due.
    fn speak(&mut self, now: Instant<Tai>, outbox: &mut Outbox) {
        for Message { port, to, mut payload, stamped } in self.lead(now, Grandmasters::poll) {
            if is_one_step(&payload) {
                let written = self.nic.write(now, &mut self.counter);
                write_origin(&mut payload, self.lie.model(self.start, now).instant(written.ticks));
            }
            if let Some(sequence) = stamped {
                let departure = self.nic.transmit(now, now, true, &mut self.counter);
                outbox
                    .later
                    .push((departure.known, Input::Left(port, sequence, of_hardware(of_counter(departure.left)))));
            }
            let packet = self.ptp.leaving(port, to, payload).filter(|_| !self.down);
            outbox.packets.extend(packet.map(|packet| (now, packet)));
        }
        self.ptp.publish(self.grandmasters.responders());
        outbox.timer = self.grandmasters.poll_timeout().map(|deadline| self.counter.when(deadline, now));
    }

    /// Has the grandmasters do something by the clock as it is `now`.
    fn lead<R>(&mut self, now: Instant<Tai>, then: impl FnOnce(&mut Grandmasters, &Told<'_>) -> R) -> R {
        let model = self.lie.model(self.start, now);
        let ticks = self.counter.at(now);
        then(&mut self.grandmasters, &Told { ticks, model: &model, leap_table: &self.leap_table, health: self.health })
    }

    /// What the counter's value means in truth.
    fn instant(&self, ticks: Ticks) -> Instant<Tai> {
        self.start + Span::from_nanos(i128::from(ticks.0.cast_signed()))
    }

    /// What the clock shows when it is truly `at`.
    fn shown(&self, at: Instant<Tai>) -> NtpTimestamp {
        NtpTimestamp::from_utc(self.leap_table.tai_to_utc(at + self.lie.at(at)))
    }

    fn system(&self, now: Instant<Tai>) -> SystemVariables {
        if self.health == Health::Unsynchronised {
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
