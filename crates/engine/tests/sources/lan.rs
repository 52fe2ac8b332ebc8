//! A LAN on which the host speaks PTP with stations, whose clocks are right or lie.

use core::net::{IpAddr, Ipv4Addr};

use crate::world::{LOCAL, Pending, World, micros};
use sidereal_engine::{Event, PtpOutgoing, PtpStatus, SourceKind, SourceOptions};
use sidereal_ptp::{
    Address, ClockIdentity, ClockState, Context, Instance, InstanceOptions, LeapState, MAX_MESSAGE_LEN, Measured,
    MeasuredReading, MessageClass, PortKey, Responder, Responders, Roles, TimeBasis, TimeSource, clock_state,
};
use sidereal_time::{Arrived, ClockModel, Instant, Rate, Span, StampSource, Tai, Ticks};

/// The port of the host.
pub(crate) const PORT: PortKey = PortKey(0);

#[derive(Default)]
pub(crate) struct Lan {
    pub(crate) stations: Vec<Station>,
    /// As published last.
    pub(crate) responders: Responders,
    /// To management messages.
    pub(crate) answers: Vec<(u64, Vec<u8>)>,
    /// What the host has sent.
    pub(crate) sent: u32,
}

/// Another clock on the LAN. Its counter is TAI itself, in nanoseconds.
pub(crate) struct Station {
    instance: Instance,
    pub(crate) state: ClockState,
    /// How far what it tells is off.
    pub(crate) lie: Span,
    pub(crate) silent: bool,
    /// One way to it, and the most that queues add.
    pub(crate) delay: Span,
    pub(crate) queue: Span,
    /// What it has measured of its master, last.
    pub(crate) measured: Option<Measured>,
    /// When it is to be called.
    due: Option<Ticks>,
    random: u64,
}

/// What will happen on the LAN.
pub(crate) enum Happening {
    /// A message of the host, or of another station, arrives at a station.
    AtStation { station: usize, from: Address, message: Vec<u8> },
    /// A message of a station arrives at the host.
    AtHost { from: Address, message: Vec<u8> },
    /// A station wants to be called.
    Due { station: usize, at: Ticks },
}

pub(crate) fn identity(n: u8) -> ClockIdentity {
    ClockIdentity([n; 8])
}

/// The PTP Instance `lan` of the host, with identity 99.
pub(crate) fn instance() -> InstanceOptions {
    let mut options = InstanceOptions { identity: identity(99), ..InstanceOptions::default() };
    options.port.key = PORT;
    options.port.log_announce_interval = 0;
    options
}

pub(crate) fn ptp(options: InstanceOptions) -> SourceOptions {
    SourceOptions { name: "lan".to_owned(), kind: SourceKind::Ptp(Box::new(options)), ..crate::world::ntp(0, 0) }
}

/// What a clock says that is locked to a satellite receiver, within `bound`.
pub(crate) fn primary(bound: Span) -> ClockState {
    let leap = LeapState { tai_offset_s: Some(37), step: 0 };
    let basis = TimeBasis::PrimaryReference(TimeSource::GNSS);
    clock_state(&basis, Some(bound), Some(1e-11), &leap, sidereal_ptp::Profile::Default, Roles::Both)
}

impl World {
    /// Station `n` joins, and says `state` of its time.
    pub(crate) fn join(&mut self, n: u8, state: ClockState, change: impl FnOnce(&mut InstanceOptions)) -> usize {
        let mut options = InstanceOptions { identity: identity(n), ..instance() };
        change(&mut options);
        let mut random = || 7;
        let now = self.tai_ticks();
        let mut context = Context { clock: &LOCAL, time: None, state: &state, selected: true, random: &mut random };
        let instance = Instance::new(&options, now, &mut context);
        self.lan.stations.push(Station {
            instance,
            state,
            lie: Span::ZERO,
            silent: false,
            delay: micros(5),
            queue: Span::from_nanos(200),
            measured: None,
            due: None,
            random: 0x1234_5678_9abc_def1 + u64::from(n),
        });
        let station = self.lan.stations.len() - 1;
        self.turn(station);
        station
    }

    pub(crate) fn station(&mut self, station: usize) -> &mut Station {
        self.lan.stations.get_mut(station).unwrap()
    }

    pub(crate) fn ptp(&self) -> PtpStatus {
        self.engine.ptp().into_iter().next().unwrap()
    }

    pub(crate) fn send_ptp(&mut self, outgoing: PtpOutgoing) {
        self.lan.sent += 1;
        if outgoing.stamp_wanted {
            assert_eq!(outgoing.class, MessageClass::Event);
            let left = Some(Arrived { ticks: self.ticks(), source: StampSource::Hardware });
            let ticks = self.ticks();
            self.engine.handle(Event::Transmitted { packet: outgoing.packet, left }, ticks);
        }
        // Nobody is at the other ports.
        if outgoing.port == PORT {
            self.spread(None, &outgoing.payload);
        }
    }

    pub(crate) fn happen_on_lan(&mut self, happening: Happening) {
        match happening {
            Happening::Due { station, at } => {
                if self.station(station).due == Some(at) {
                    self.turn(station);
                }
            }
            Happening::AtStation { station, from, message } => {
                let now = self.tai_ticks();
                if let Some(answer) = self.station(station).receive(&message, from, now) {
                    self.spread(Some(station), &answer);
                }
                self.turn(station);
            }
            Happening::AtHost { from, mut message } => {
                let ticks = self.ticks();
                let responder = self.lan.responders.of(PORT);
                if let Some(responder) = responder.filter(|_| Responder::is_request(&message)) {
                    let len = message.len();
                    message.resize(MAX_MESSAGE_LEN, 0);
                    let received = self.published.unwrap().local.instant(ticks);
                    if let Ok(len) = responder.answer(&mut message, len, received) {
                        let answer = message.get(..len).unwrap().to_vec();
                        self.spread(None, &answer);
                    }
                    return;
                }
                let arrival = Some(Arrived { ticks, source: StampSource::Hardware });
                self.handle(Event::PtpReceived { port: PORT, from: Some(from), message: &message, arrival });
            }
        }
    }

    /// Lets a station send what is due, and comes back to it.
    fn turn(&mut self, station: usize) {
        let now = self.tai_ticks();
        while let Some(message) = self.station(station).send(now) {
            if !self.station(station).silent {
                self.spread(Some(station), &message);
            }
        }
        let due = self.station(station).instance.poll_timeout();
        self.station(station).due = due;
        if let Some(at) = due {
            let wait = LOCAL.passed(now, at).max(Span::from_nanos(1_000));
            self.later(wait, Pending::Lan(Happening::Due { station, at }));
        }
    }

    /// A message of a station, or of the host, on its way to all others.
    fn spread(&mut self, of: Option<usize>, message: &[u8]) {
        let way = |station: Option<&Station>| station.map_or((Span::ZERO, Span::ZERO), |at| (at.delay, at.queue));
        let from = way(of.and_then(|of| self.lan.stations.get(of)));
        let address = |n: usize| Address::Ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, u8::try_from(n).unwrap())));
        let sender = address(of.map_or(1, |of| of + 10));
        for station in 0..self.lan.stations.len() {
            if Some(station) == of {
                continue;
            }
            let to = way(self.lan.stations.get(station));
            let delay = from.0 + to.0 + self.draw(from.1 + to.1);
            let happening = Happening::AtStation { station, from: sender, message: message.to_vec() };
            self.later(delay, Pending::Lan(happening));
        }
        if of.is_some() {
            let delay = from.0 + self.draw(from.1);
            self.later(delay, Pending::Lan(Happening::AtHost { from: sender, message: message.to_vec() }));
        }
    }

    fn tai_ticks(&self) -> Ticks {
        Ticks(u64::try_from(self.tai.as_nanos_rounded()).unwrap())
    }
}

impl Station {
    /// Lets the instance speak in its surroundings.
    fn with<R>(&mut self, now: Ticks, speak: impl FnOnce(&mut Instance, &mut Context<'_>) -> R) -> R {
        let model = ClockModel {
            reference_ticks: now,
            reference: self.time(now),
            rate: Rate::NANOSECOND,
            ..LOCAL.unknown(now)
        };
        let mut random = || {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.random ^ self.random >> 33
        };
        let time = self.state.can_lead.then_some(&model);
        let mut context = Context { clock: &LOCAL, time, state: &self.state, selected: true, random: &mut random };
        speak(&mut self.instance, &mut context)
    }

    /// Takes a message; gives the answer of a leader to Delay_Req.
    fn receive(&mut self, message: &[u8], from: Address, now: Ticks) -> Option<Vec<u8>> {
        if self.silent {
            return None;
        }
        if let Some(responder) = self.instance.responder().filter(|_| Responder::is_request(message)) {
            let mut buffer = message.to_vec();
            buffer.resize(MAX_MESSAGE_LEN, 0);
            let len = responder.answer(&mut buffer, message.len(), self.time(now)).ok()?;
            buffer.truncate(len);
            return Some(buffer);
        }
        let arrival = Some(Arrived { ticks: now, source: StampSource::Hardware });
        self.with(now, |instance, context| instance.receive(message, Some(from), arrival, now, context));
        self.note_measured();
        None
    }

    fn send(&mut self, now: Ticks) -> Option<Vec<u8>> {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let transmit = self.with(now, |instance, context| instance.poll_transmit(now, context, &mut buffer))?;
        if transmit.stamp_wanted {
            let left = Some(Arrived { ticks: now, source: StampSource::Hardware });
            self.with(now, |instance, context| instance.transmitted(transmit.sequence, left, now, context));
            self.note_measured();
        }
        buffer.get(..transmit.len).map(<[u8]>::to_vec)
    }

    /// How far the master's time is ahead of the truth, by the last measurement.
    pub(crate) fn found(&self) -> Option<Span> {
        let MeasuredReading::Tai(reading) = self.measured?.reading else { return None };
        let truth = Instant::<Tai>::EPOCH + Span::from_nanos(i128::from(reading.ticks().0));
        Some(reading.at() - truth)
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    fn note_measured(&mut self) {
        self.measured = self.instance.poll_measured().or(self.measured.take());
    }

    fn time(&self, now: Ticks) -> Instant<Tai> {
        Instant::EPOCH + Span::from_nanos(i128::from(now.0)) + self.lie
    }
}
