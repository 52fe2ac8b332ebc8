//! A host that runs the real engine and the real server.

use core::net::SocketAddr;
use std::collections::VecDeque;

use rand::RngExt;
use sidereal_engine::{
    Action, ClockReading, Endpoint, Engine, EngineConfig, Event, Outgoing, PtpOutgoing, Saved, Snapshot, SourceId,
    Synchronisation,
};
use sidereal_servo::{Discipline, TrackerState};
use sidereal_time::{
    Arrived, ClockId, Counter, Instant, LeapTable, LocalClock, Rate, Reading, Span, Stamp, Tai, Ticks,
};

use super::ptp::{PtpPorts, is_one_step, of_hardware, write_origin};
use super::responder::Responder;
use super::{Input, Outbox};
use crate::clock::SystemClock;
use crate::nic::{HostCounter, NIC_CLOCK, Nic};
use crate::oscillator::Oscillator;
use crate::packet::{Datagram, Packet, PtpPacket, endpoint, is_for};
use crate::random::{Stream, key, stream};
use crate::scenario::{EngineOptions, HostOptions, NTP_PORT, ptp_address};
use crate::truth::Sample;

/// How long it takes to read the system clock beside the counter.
const READ_WINDOW: Span = Span::from_nanos(80);
/// What clients are told as precision: 2^-23 s, the next power above the read window.
const PRECISION: i8 = -23;
/// How long a name server takes to answer.
const LOOK_UP: Span = Span::from_nanos(20_000_000);
/// The first of the ports that sockets are bound to.
const FIRST_PORT: u16 = 49_152;
/// How far published time may move where its generation stays: what rounding of the rate shifts.
const CONTINUOUS: Span = Span::from_nanos(2);

/// A host with an engine in a run.
#[derive(Debug)]
pub(crate) struct EngineHost {
    number: usize,
    options: EngineOptions,
    leap_table: LeapTable,
    engine: Engine,
    snapshot: Snapshot,
    saved: Option<Saved>,
    responder: Responder,
    ptp: PtpPorts,
    nic: Nic,
    counter: HostCounter,
    clock: SystemClock,
    sockets: Vec<Socket>,
    /// Who is heard on the NTP port, and for whom.
    listeners: Vec<(SourceId, SocketAddr)>,
    random: Stream,
    /// Sleeping, or its program not running.
    off: bool,
    down: bool,
    breaches: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Socket {
    source: SourceId,
    port: u16,
    remote: SocketAddr,
}

impl EngineHost {
    pub(crate) fn new(
        number: usize,
        host: &HostOptions,
        options: &EngineOptions,
        leap_table: &LeapTable,
        seed: u64,
        start: Instant<Tai>,
    ) -> Self {
        let mut random = stream(seed, &format!("{}/host", host.name));
        let oscillator = Oscillator::new(&options.oscillator, seed, &host.name, start);
        let mut counter = HostCounter::new(oscillator, random.random::<u64>() >> 1);
        let clock = SystemClock::new(leap_table.tai_to_utc(start) + options.clock_offset, Span::ZERO);
        let mut options = options.clone();
        options.config.seed = key(seed, &format!("{}/engine", host.name));
        let engine = Engine::new(LOCAL, options.config.clone(), leap_table.clone(), counter.at(start));
        Self {
            number,
            leap_table: leap_table.clone(),
            snapshot: engine.snapshot(),
            engine,
            saved: None,
            responder: Responder::new(host.reply_latency, seed, &host.name),
            ptp: PtpPorts::new(number, host, seed),
            nic: Nic::new(&host.nic, seed, &host.name, start),
            counter,
            clock,
            sockets: Vec::new(),
            listeners: Vec::new(),
            random,
            off: false,
            down: false,
            breaches: Vec::new(),
            options,
        }
    }

    pub(super) fn happen(&mut self, input: Input, now: Instant<Tai>, outbox: &mut Outbox) {
        if !self.off {
            match input {
                Input::Arrival(Packet::Ntp(datagram)) => self.arrive(&datagram, now, outbox),
                Input::Arrival(Packet::Ptp(packet)) => self.hear(&packet, now, outbox),
                Input::Timer if self.is_due(now) => self.tell(Event::Timer, now, outbox),
                Input::Timer | Input::Left(..) => {}
                Input::Transmitted(packet, left) => self.tell(Event::Transmitted { packet, left }, now, outbox),
                Input::Replied(token, at) => self.responder.transmitted(token, at),
                Input::Resolved(source, addresses) => {
                    self.tell(Event::Resolved { source, addresses }, now, outbox);
                }
            }
            outbox.timer = self.engine.poll_timeout().map(|deadline| self.counter.when(deadline, now));
        }
    }

    pub(super) fn sample(&mut self, second: u32, now: Instant<Tai>) -> Sample {
        let ticks = self.counter.at(now);
        let status = self.engine.status(ticks);
        let model = self.snapshot.local;
        let phase = self.counter.phase(now);
        let shown = self.clock.read(phase) - self.leap_table.tai_to_utc(now);
        let rate = model.rate.to_bits() as f64 / Rate::NANOSECOND.to_bits() as f64;
        let seconds = |span: Option<Span>| span.map_or(f64::INFINITY, Span::as_secs_f64);
        let served = matches!(status.synchronisation, Synchronisation::Synchronised | Synchronisation::Holdover);
        Sample {
            second,
            synchronised: served && !self.off,
            locked: status.following.is_some_and(|following| following.state == TrackerState::Locked),
            error: (model.instant(ticks) - now).as_secs_f64(),
            bound: seconds(status.error),
            uncertainty: seconds(status.uncertainty) + self.options.asymmetry_limit.as_secs_f64(),
            clock_error: shown.as_secs_f64(),
            nic_clock_error: self.nic.clock().map(|clock| (clock.shown(now) - now).as_secs_f64()),
            frequency_error: rate * (1.0 + self.counter.frequency(now)) - 1.0,
        }
    }

    /// What the engine did that no policy allows.
    pub(crate) fn breaches(&self) -> &[String] {
        &self.breaches
    }

    pub(crate) const fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// The counter, and with it the system clock, jumps by `by`.
    pub(crate) fn jump(&mut self, by: Span) {
        self.counter.jump(by);
    }

    /// Somebody sets the system clock `by` ahead.
    pub(crate) fn set_clock(&mut self, by: Span, now: Instant<Tai>) {
        let phase = self.counter.phase(now);
        self.clock.adjust(sidereal_servo::Adjustment::Step(by), phase);
    }

    /// The host begins to sleep.
    pub(crate) const fn suspend(&mut self) {
        self.off = true;
    }

    /// The host wakes: its counter stood still for `asleep`, its system clock did not.
    pub(crate) fn resume(&mut self, asleep: Span, now: Instant<Tai>, outbox: &mut Outbox) {
        let phase = self.counter.phase(now);
        let shown = self.clock.read(phase);
        self.counter.jump(-asleep);
        let phase = self.counter.phase(now);
        self.clock.resume(shown, phase);
        self.off = false;
        self.tell(Event::Timer, now, outbox);
        outbox.timer = Some(now);
    }

    /// The program ends; what it learned is kept.
    pub(crate) fn stop(&mut self, now: Instant<Tai>) {
        self.tell(Event::Stop, now, &mut Outbox::default());
        self.off = true;
        self.sockets.clear();
        self.listeners.clear();
    }

    /// The program begins again.
    pub(crate) fn restart(&mut self, now: Instant<Tai>, outbox: &mut Outbox) {
        let config = EngineConfig { saved: self.saved.clone(), ..self.options.config.clone() };
        self.engine = Engine::new(LOCAL, config, self.leap_table.clone(), self.counter.at(now));
        self.snapshot = self.engine.snapshot();
        self.off = false;
        outbox.timer = Some(now);
    }

    /// Whether the engine's timer has run out: the oscillator may have been slower than was seen ahead.
    fn is_due(&mut self, now: Instant<Tai>) -> bool {
        let ticks = self.counter.at(now);
        self.engine.poll_timeout().is_some_and(|deadline| ticks.0.wrapping_sub(deadline.0).cast_signed() >= 0)
    }

    fn arrive(&mut self, packet: &Datagram, now: Instant<Tai>, outbox: &mut Outbox) {
        if self.down || !is_for(packet.to.ip(), self.number) {
            return;
        }
        let stamp = self.nic.receive(now, &mut self.counter);
        let Some(mut arrival) = self.locate(stamp, now) else { return };
        let correction = packet.correction.as_nanos_rounded();
        arrival.ticks = Ticks(arrival.ticks.0.wrapping_sub(u64::try_from(correction).unwrap_or(0)));
        match self.owner(packet) {
            Some(source) => {
                let payload = &packet.payload;
                let event = Event::Datagram { source, from: packet.from, payload, arrival, reception: Span::ZERO };
                self.tell(event, now, outbox);
            }
            None if packet.to.port() == NTP_PORT => self.respond(packet, arrival, now, outbox),
            None => {}
        }
    }

    /// The source whose socket hears `packet`.
    fn owner(&self, packet: &Datagram) -> Option<SourceId> {
        if packet.to.port() == NTP_PORT {
            let heard = self.listeners.iter().find(|(_, from)| *from == packet.from);
            return heard.map(|(source, _)| *source);
        }
        let hears = |socket: &&Socket| socket.port == packet.to.port() && socket.remote == packet.from;
        self.sockets.iter().find(hears).map(|socket| socket.source)
    }

    fn respond(&mut self, packet: &Datagram, arrival: Arrived, now: Instant<Tai>, outbox: &mut Outbox) {
        let served = self.snapshot.local_ntp;
        let (receive, transmit) = (served.at(arrival.ticks), served.at(self.counter.at(now)));
        let mut packet = packet.clone();
        packet.to = endpoint(self.number, NTP_PORT);
        let Some(reply) = self.responder.answer(&packet, &self.snapshot.system, receive, transmit, now) else { return };
        if let Some(token) = reply.token {
            let departure = self.nic.transmit(now, reply.leaves, true, &mut self.counter);
            if let Some(left) = self.locate(departure.left, departure.known) {
                outbox.later.push((departure.known, Input::Replied(token, served.at(left.ticks))));
            }
        }
        outbox.packets.push((reply.leaves, Packet::Ntp(reply.datagram)));
    }

    /// Takes a PTP message, and answers it where that is all it takes.
    fn hear(&mut self, packet: &PtpPacket, now: Instant<Tai>, outbox: &mut Outbox) {
        let Some(port) = self.ptp.hearer(packet).filter(|_| !self.down) else { return };
        let stamp = self.nic.receive(now, &mut self.counter);
        let arrived = self.locate(stamp, now);
        if let Some(arrived) = arrived
            && let Some(answer) = self.ptp.answer(port, packet, self.snapshot.local.instant(arrived.ticks), now)
        {
            return outbox.packets.push(answer);
        }
        let from = Some(ptp_address(packet.from, packet.transport));
        let arrival = arrived.and_then(of_hardware);
        self.tell(Event::PtpReceived { port, from, message: &packet.message, arrival }, now, outbox);
    }

    /// Tells the engine, and does what it then wants.
    fn tell(&mut self, event: Event<'_>, now: Instant<Tai>, outbox: &mut Outbox) {
        let ticks = self.counter.at(now);
        self.engine.handle(event, ticks);
        let mut answers = VecDeque::new();
        loop {
            while let Some(action) = self.engine.poll_action() {
                self.act(action, now, outbox, &mut answers);
            }
            let Some(answer) = answers.pop_front() else { break };
            self.engine.handle(answer, ticks);
        }
    }

    fn act(&mut self, action: Action, now: Instant<Tai>, outbox: &mut Outbox, answers: &mut VecDeque<Event<'static>>) {
        match action {
            Action::ReadClock(clock) => self.read_clock(clock, now, answers),
            Action::Publish(snapshot) => self.publish(snapshot, now),
            Action::Send(outgoing) => self.send(&outgoing, now, outbox),
            Action::SendPtp(outgoing) => self.send_ptp(outgoing, now, outbox),
            Action::PublishResponders(responders) => self.ptp.publish(responders),
            Action::Listen { source, from } => {
                self.listeners.retain(|(listener, _)| *listener != source);
                self.listeners.push((source, from));
            }
            Action::Close { source } => {
                self.listeners.retain(|(listener, _)| *listener != source);
                self.sockets.retain(|socket| socket.source != source);
            }
            Action::Resolve { source, name, port } => {
                let known = self.options.names.iter().filter(|(known, _)| *known == name);
                let addresses = known.map(|(_, host)| endpoint(*host, port)).collect();
                outbox.later.push((now + LOOK_UP, Input::Resolved(source, addresses)));
            }
            Action::Steer { clock: NIC_CLOCK, adjustment, .. } => {
                if let Some(clock) = self.nic.clock() {
                    clock.adjust(adjustment, now);
                }
            }
            Action::Steer { clock: ClockId::SYSTEM, adjustment, .. } => {
                let phase = self.counter.phase(now);
                self.clock.adjust(adjustment, phase);
            }
            Action::Announce { clock: ClockId::SYSTEM, leap_step, tai_offset_s, synchronised, max_error, .. } => {
                let phase = self.counter.phase(now);
                let tai_offset_s = Some(tai_offset_s);
                self.clock.announce(Discipline { synchronised, max_error, tai_offset_s, leap_step }, phase);
            }
            Action::Save(saved) => self.saved = Some(saved),
            Action::Steer { .. }
            | Action::WouldSteer { .. }
            | Action::Announce { .. }
            | Action::Report(_)
            | Action::AnswerManagement { .. } => {}
        }
    }

    fn read_clock(&mut self, clock: ClockId, now: Instant<Tai>, answers: &mut VecDeque<Event<'static>>) {
        if clock != ClockId::SYSTEM {
            let read = self.nic.clock().map(|clock| clock.read(now, &mut self.counter));
            return answers.push_back(match read {
                Some(reading) => Event::ClockRead { clock, reading: ClockReading::Tai(reading) },
                None => Event::ClockLost { clock },
            });
        }
        // Somewhere in the window the clock was really read.
        let place = self.random.random::<f64>() - 0.5;
        let phase = self.counter.phase(now) + Span::from_secs_f64(READ_WINDOW.as_secs_f64() * place);
        let reading = Reading::new(self.counter.at(now), self.clock.read(phase), READ_WINDOW);
        answers.push_back(Event::Discipline { clock, discipline: self.clock.discipline() });
        answers.push_back(Event::ClockRead { clock, reading: ClockReading::Utc(reading) });
    }

    fn publish(&mut self, snapshot: Snapshot, now: Instant<Tai>) {
        let (before, after) = (self.snapshot.local, snapshot.local);
        let ticks = self.counter.at(now);
        let moved = after.instant(ticks) - before.instant(ticks);
        if before.generation == after.generation && after.generation > 0 && moved.abs() > CONTINUOUS {
            self.breaches.push(format!("published time moved by {moved} s at {now} without a new generation"));
        }
        self.snapshot = snapshot;
    }

    fn send(&mut self, outgoing: &Outgoing, now: Instant<Tai>, outbox: &mut Outbox) {
        let port = self.port(outgoing);
        let departure = self.nic.transmit(now, now, outgoing.stamp_wanted, &mut self.counter);
        let left = self.locate(departure.left, departure.known);
        outbox.later.push((departure.known, Input::Transmitted(outgoing.packet, left)));
        if !self.down {
            let from = endpoint(self.number, port);
            let payload = outgoing.payload.to_vec();
            let datagram = Datagram { from, to: outgoing.to, payload, correction: Span::ZERO };
            outbox.packets.push((now, Packet::Ntp(datagram)));
        }
    }

    fn send_ptp(&mut self, outgoing: PtpOutgoing, now: Instant<Tai>, outbox: &mut Outbox) {
        let PtpOutgoing { packet, port, to, mut payload, stamp_wanted, .. } = outgoing;
        if is_one_step(&payload) {
            let written = self.nic.write(now, &mut self.counter);
            if let Some(written) = self.locate(written, now) {
                write_origin(&mut payload, self.snapshot.local.instant(written.ticks));
            }
        }
        if stamp_wanted {
            let departure = self.nic.transmit(now, now, true, &mut self.counter);
            let left = self.locate(departure.left, departure.known).and_then(of_hardware);
            outbox.later.push((departure.known, Input::Transmitted(packet, left)));
        }
        let packet = self.ptp.leaving(port, to, payload).filter(|_| !self.down);
        outbox.packets.extend(packet.map(|packet| (now, packet)));
    }

    /// The place of a stamp on the host's counter, as the engine knows it when it is truly `at`.
    fn locate(&mut self, stamp: Stamp, at: Instant<Tai>) -> Option<Arrived> {
        self.engine.locate(stamp, self.counter.at(at)).ok()
    }

    /// The port that a packet comes from; a socket is opened where there is none yet.
    fn port(&mut self, outgoing: &Outgoing) -> u16 {
        let Some(source) = outgoing.source else { return NTP_PORT };
        if outgoing.from == Endpoint::Ntp {
            if !self.listeners.contains(&(source, outgoing.to)) {
                self.listeners.push((source, outgoing.to));
            }
            return NTP_PORT;
        }
        self.sockets.retain(|socket| socket.source != source);
        let port = self.random.random_range(FIRST_PORT..=u16::MAX);
        self.sockets.push(Socket { source, port, remote: outgoing.to });
        port
    }
}

/// The counter as the engine is told of it.
const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: PRECISION };
