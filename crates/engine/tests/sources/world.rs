//! A host for the engine, in virtual time: a counter that runs a little fast, a system clock, and NTP servers at the other
//! ends of links whose delays are known.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

use crate::lan::{Happening, Lan};
use sidereal_engine::{
    Action, Address, ClockOptions, ClockReading, ClockScale, Endpoint, Engine, EngineConfig, Event, Flags, Outgoing,
    Reference, Report, Saved, SelectionOptions, SmearOptions, Snapshot, SourceId, SourceKind, SourceOptions,
    SourceState, SourceStatus, Status, Steer,
};
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, Answer, Arrival, AssociationOptions, LeapIndicator, Moment, Policy, Poll,
    ReferenceId, ReplyHeader, Server, ServerLimits, Stratum, SystemVariables,
};
use sidereal_servo::{Adjustment, Discipline, FilterOptions, ServoOptions, SteeringOptions};
use sidereal_time::{
    Arrived, ClockId, Counter, Instant, LeapTable, LocalClock, NtpShort, NtpTimestamp, Rate, Reading, Span,
    StampSource, Tai, Ticks, Utc,
};

pub(crate) const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -24 };
/// How fast the counter runs, in parts per billion.
const COUNTER_PPB: i128 = 12_000;
/// How fast the system clock runs by itself, in parts per billion.
const SYSTEM_CLOCK_PPB: f64 = 5_000.0;

pub(crate) const fn micros(n: i128) -> Span {
    Span::from_nanos(n * 1_000)
}

pub(crate) const fn millis(n: i128) -> Span {
    Span::from_nanos(n * 1_000_000)
}

pub(crate) const fn secs(n: i64) -> Span {
    Span::from_secs(n)
}

/// An NTP server, and the way to it.
pub(crate) struct Peer {
    /// How far its clock is off.
    pub(crate) lie: Span,
    /// How fast that grows, in parts per billion, from `since` on.
    pub(crate) drift_ppb: i128,
    pub(crate) since: Instant<Tai>,
    /// One way each.
    pub(crate) forward: Span,
    pub(crate) backward: Span,
    /// The most that queues add, to each way.
    pub(crate) queue: Span,
    /// How long before its end an answer of it is stamped, as a NIC does.
    pub(crate) reception: Span,
    pub(crate) silent: bool,
    pub(crate) system: SystemVariables,
    pub(crate) access: AccessAction,
    pub(crate) asked: u32,
    server: Server,
}

/// What will happen.
pub(crate) enum Pending {
    Request { to: SocketAddr, source: SourceId, payload: Vec<u8> },
    Reply { from: SocketAddr, source: SourceId, payload: Vec<u8> },
    Lan(Happening),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) tai: Instant<Tai>,
    pub(crate) table: LeapTable,
    pub(crate) peers: BTreeMap<SocketAddr, Peer>,
    /// What names stand for; those that are missing cannot be resolved.
    pub(crate) names: BTreeMap<String, Vec<SocketAddr>>,
    /// Whether nobody ever answers those who ask for names.
    pub(crate) names_hang: bool,
    pub(crate) asked_names: u32,
    pub(crate) reports: Vec<Report>,
    pub(crate) published: Option<Snapshot>,
    pub(crate) saved: Option<Saved>,
    pub(crate) adjustments: Vec<Adjustment>,
    /// How long after a measurement arrived the system clock would have been adjusted, each time.
    pub(crate) would_adjust: Vec<Span>,
    pub(crate) announced: Vec<(i8, i32, bool)>,
    pub(crate) listening: BTreeSet<SourceId>,
    pub(crate) reads: u32,
    /// How often the engine was called for nothing but that time has passed.
    pub(crate) timers: u32,
    /// The largest distance of published time from the truth, and of those moments when it was outside of its bound.
    pub(crate) worst: Span,
    pub(crate) outside: u32,
    /// How far the system clock was off at `system_since`, and how fast it runs against TAI, in parts per billion.
    system_off: Span,
    system_since: Instant<Tai>,
    system_ppb: f64,
    epoch: Instant<Tai>,
    /// By how much the counter has been moved.
    pub(crate) counter_moved: i128,
    pub(crate) lan: Lan,
    queue: BTreeMap<(Instant<Tai>, u64), Pending>,
    number: u64,
    random: u64,
}

pub(crate) fn address(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 123)
}

/// A server at [`address`], asked every 2^poll s.
pub(crate) fn ntp(n: u8, poll: i8) -> SourceOptions {
    let poll = Poll::new(poll).unwrap();
    let association = AssociationOptions { min_poll: poll, max_poll: poll, ..AssociationOptions::default() };
    SourceOptions {
        name: format!("s{n}"),
        kind: SourceKind::Ntp { address: Address::Socket(address(n)), pool: None, association },
        filter: FilterOptions::default(),
        flags: Flags::default(),
        offset: Span::ZERO,
    }
}

pub(crate) fn named(name: &str, pool: Option<usize>, poll: i8) -> SourceOptions {
    let mut options = ntp(0, poll);
    options.name = name.to_owned();
    if let SourceKind::Ntp { address, pool: wanted, .. } = &mut options.kind {
        *address = Address::Name { name: name.to_owned(), port: 123 };
        *wanted = pool;
    }
    options
}

pub(crate) fn config(sources: Vec<SourceOptions>) -> EngineConfig {
    EngineConfig {
        reference: Reference::Sources,
        sources,
        selection: SelectionOptions::default(),
        servo: ServoOptions::default(),
        clocks: vec![system_clock(Steer::Off)],
        own_addresses: vec!["198.51.100.1:123".parse().unwrap()],
        broadcasts: Vec::new(),
        smear: SmearOptions::default(),
        seed: [9; 32],
        saved: None,
    }
}

pub(crate) fn system_clock(steer: Steer) -> ClockOptions {
    ClockOptions {
        name: "system".to_owned(),
        steer,
        scale: ClockScale::Utc,
        steering: SteeringOptions::default(),
        read_period: millis(250),
        stamps: false,
    }
}

impl Peer {
    fn new(n: u8) -> Self {
        let limits = ServerLimits { interleaved_clients: 16, rate_limit_prefixes: 16, secret: [1, 2] };
        Self {
            lie: Span::ZERO,
            drift_ppb: 0,
            since: Instant::EPOCH,
            forward: micros(200),
            backward: micros(200),
            queue: micros(20),
            reception: Span::ZERO,
            silent: false,
            system: SystemVariables {
                leap: LeapIndicator::None,
                stratum: Stratum::PRIMARY,
                precision: -24,
                root_delay: NtpShort::default(),
                root_dispersion: NtpShort::from_span_rounded_up(micros(30)),
                reference_id: ReferenceId([b'G', b'0' + n % 10, 0, 0]),
                reference_time: NtpTimestamp::from_bits(1),
            },
            access: AccessAction::Allow,
            asked: 0,
            server: Server::new(&limits),
        }
    }

    fn utc(&self, tai: Instant<Tai>, table: &LeapTable) -> Instant<Utc> {
        let drifted = Span::from_units((tai - self.since).units() * self.drift_ppb / 1_000_000_000);
        table.tai_to_utc(tai) + self.lie + drifted
    }

    fn answer(&mut self, request: &[u8], tai: Instant<Tai>, table: &LeapTable) -> Option<Vec<u8>> {
        self.asked += 1;
        if self.silent {
            return None;
        }
        let mut buffer = request.to_vec();
        let at = NtpTimestamp::from_utc(self.utc(tai, table));
        let rule = AccessRule { action: self.access, require_key: false };
        let everybody = "0.0.0.0/0".parse().unwrap();
        let policy = Policy { access: AccessTable::new([(everybody, rule)]), interleaved: true, ..Policy::default() };
        let arrival = Arrival { client: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), receive: at, ticks: Ticks(0) };
        let moment = Moment { header: ReplyHeader::new(&self.system), transmit: at };
        match self.server.answer(&mut buffer, request.len(), &arrival, &moment, &policy) {
            Answer::Reply { len, .. } => {
                buffer.truncate(len);
                Some(buffer)
            }
            Answer::Drop(_) => None,
        }
    }
}

impl World {
    /// `peers` honest servers, and an engine with this configuration, in the spring of 2026.
    pub(crate) fn new(peers: u8, config: EngineConfig) -> Self {
        Self::at(Instant::from_secs(1_780_000_000), LeapTable::built_in(), peers, config)
    }

    pub(crate) fn at(utc: Instant<Utc>, table: LeapTable, peers: u8, config: EngineConfig) -> Self {
        let tai = table.utc_to_tai(utc);
        Self {
            engine: Engine::new(LOCAL, config, table.clone(), Ticks(77_000_000_000)),
            tai,
            peers: (1..=peers).map(|n| (address(n), Peer::new(n))).collect(),
            names: BTreeMap::new(),
            names_hang: false,
            asked_names: 0,
            reports: Vec::new(),
            published: None,
            saved: None,
            adjustments: Vec::new(),
            would_adjust: Vec::new(),
            announced: Vec::new(),
            listening: BTreeSet::new(),
            reads: 0,
            timers: 0,
            worst: Span::ZERO,
            outside: 0,
            system_off: millis(3),
            system_since: tai,
            system_ppb: SYSTEM_CLOCK_PPB,
            epoch: tai,
            counter_moved: 77_000_000_000,
            lan: Lan::default(),
            queue: BTreeMap::new(),
            number: 0,
            random: 1,
            table,
        }
    }

    pub(crate) fn peer(&mut self, n: u8) -> &mut Peer {
        self.peers.get_mut(&address(n)).unwrap()
    }

    pub(crate) fn ticks(&self) -> Ticks {
        let passed = (self.tai - self.epoch).as_nanos_rounded();
        Ticks(u64::try_from(passed + passed * COUNTER_PPB / 1_000_000_000 + self.counter_moved).unwrap())
    }

    pub(crate) fn run(&mut self, span: Span) {
        let until = self.tai + span;
        loop {
            self.act();
            let due = self.engine.poll_timeout().unwrap();
            let wait = LOCAL.passed(self.ticks(), due).max(Span::ZERO);
            // The counter is fast: by the time that it has waited, a little less has passed.
            let timer =
                self.tai + (wait - Span::from_units(wait.units() * COUNTER_PPB / 1_000_000_000)) + Span::from_nanos(1);
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let at = next.map_or(timer, |next| next.min(timer)).min(self.tai + secs(1));
            if at > until {
                self.tai = until;
                return;
            }
            self.tai = at;
            match self.queue.first_entry().filter(|entry| entry.key().0 <= at).map(|entry| entry.remove()) {
                Some(pending) => self.happen(pending),
                None => {
                    self.timers += 1;
                    self.handle(Event::Timer);
                }
            }
        }
    }

    /// Runs, and looks every `step` how far what is published is off.
    pub(crate) fn watch(&mut self, span: Span, step: Span) {
        let until = self.tai + span;
        while self.tai < until {
            self.run(step);
            let error = self.error();
            self.worst = self.worst.max(error.abs());
            let status = self.status();
            if status.error.is_some_and(|bound| error.abs() > bound) {
                self.outside += 1;
            }
        }
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) {
        let ticks = self.ticks();
        self.engine.handle(event, ticks);
        self.act();
    }

    /// Published time less the truth.
    pub(crate) fn error(&self) -> Span {
        self.published.map_or(Span::ZERO, |snapshot| snapshot.local.instant(self.ticks()) - self.tai)
    }

    /// UTC as replies tell it less the truth: by the counter, and by a stamp of the kernel at present.
    pub(crate) fn told(&self) -> (Span, Span) {
        let Some(snapshot) = self.published else { panic!("nothing is published") };
        let truth = NtpTimestamp::from_utc(self.table.tai_to_utc(self.tai));
        let stamp = Ticks(u64::try_from((self.system_clock() - Instant::EPOCH).as_nanos_rounded()).unwrap());
        (snapshot.local_ntp.at(self.ticks()).since(truth), snapshot.realtime_ntp.at(stamp).since(truth))
    }

    pub(crate) fn status(&self) -> Status {
        self.engine.status(self.ticks())
    }

    pub(crate) fn source(&self, name: &str) -> SourceStatus {
        let sources = self.engine.sources(self.ticks());
        sources.into_iter().find(|source| source.name == name).unwrap_or_else(|| panic!("no source {name}"))
    }

    pub(crate) fn state(&self, name: &str) -> SourceState {
        self.source(name).state
    }

    pub(crate) fn said(&self, of: impl Fn(&Report) -> bool) -> usize {
        self.reports.iter().filter(|report| of(report)).count()
    }

    /// What the system clock shows.
    pub(crate) fn system_clock(&self) -> Instant<Utc> {
        let drifted = Span::from_secs_f64((self.tai - self.system_since).as_secs_f64() * self.system_ppb * 1e-9);
        self.table.tai_to_utc(self.tai) + self.system_off + drifted
    }

    /// Somebody sets the system clock.
    pub(crate) fn set_system_clock(&mut self, by: Span) {
        self.system_off += by;
    }

    fn act(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            let ticks = self.ticks();
            match action {
                Action::ReadClock(clock) => {
                    self.reads += 1;
                    let (kernel_max_error, reading) =
                        (millis(1), Reading::new(ticks, self.system_clock(), Span::from_nanos(60)));
                    let armed = self.table.next(self.tai).filter(|(at, _)| *at - self.tai <= secs(86_400));
                    let discipline = Discipline {
                        synchronised: true,
                        max_error: kernel_max_error,
                        tai_offset_s: None,
                        leap_step: armed.map_or(0, |(_, step)| step),
                    };
                    self.engine.handle(Event::Discipline { clock, discipline }, ticks);
                    self.engine.handle(Event::ClockRead { clock, reading: ClockReading::Utc(reading) }, ticks);
                }
                Action::Publish(snapshot) => self.published = Some(snapshot),
                Action::Report(report) => self.reports.push(report),
                Action::Listen { source, .. } => {
                    self.listening.insert(source);
                }
                Action::Close { source } => {
                    self.listening.remove(&source);
                }
                Action::Send(outgoing) => self.send(outgoing),
                Action::Resolve { source, name, .. } => {
                    self.asked_names += 1;
                    let event = match self.names.get(&name) {
                        _ if self.names_hang => continue,
                        Some(addresses) => Event::Resolved { source, addresses: addresses.clone() },
                        None => Event::ResolveFailed { source },
                    };
                    self.engine.handle(event, ticks);
                }
                Action::Steer { clock, adjustment, .. } => {
                    assert_eq!(clock, ClockId::SYSTEM);
                    self.adjustments.push(adjustment);
                    match adjustment {
                        Adjustment::Step(by) => self.system_off += by,
                        Adjustment::Frequency(frequency) => {
                            self.system_off = self.system_clock() - self.table.tai_to_utc(self.tai);
                            self.system_since = self.tai;
                            self.system_ppb = SYSTEM_CLOCK_PPB + frequency.as_ppb();
                        }
                    }
                }
                Action::Announce { leap_step, tai_offset_s, synchronised, .. } => {
                    self.announced.push((leap_step, tai_offset_s, synchronised));
                }
                Action::Save(saved) => self.saved = Some(saved),
                Action::SendPtp(outgoing) => self.send_ptp(outgoing),
                Action::PublishResponders(responders) => self.lan.responders = responders,
                Action::WouldSteer { clock, cause } => {
                    assert_eq!(clock, ClockId::SYSTEM);
                    self.would_adjust.push(LOCAL.passed(cause, ticks));
                }
                Action::AnswerManagement { client, payload } => self.lan.answers.push((client, payload)),
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let left = Some(Arrived { ticks: self.ticks(), source: StampSource::Kernel });
        let event = Event::Transmitted { packet: outgoing.packet, left };
        self.engine.handle(event, self.ticks());
        assert!(
            outgoing.from == Endpoint::Fresh || outgoing.source.is_none_or(|source| self.listening.contains(&source))
        );
        let (Some(source), Some(peer)) = (outgoing.source, self.peers.get(&outgoing.to)) else { return };
        let delay = peer.forward + self.queued(outgoing.to);
        self.later(delay, Pending::Request { to: outgoing.to, source, payload: outgoing.payload.to_vec() });
    }

    fn happen(&mut self, pending: Pending) {
        match pending {
            Pending::Request { to, source, payload } => {
                let Some(peer) = self.peers.get_mut(&to) else { return };
                let Some(reply) = peer.answer(&payload, self.tai, &self.table) else { return };
                let delay = peer.backward + self.queued(to);
                self.later(delay, Pending::Reply { from: to, source, payload: reply });
            }
            Pending::Reply { from, source, payload } => {
                let reception = self.peers.get(&from).map_or(Span::ZERO, |peer| peer.reception);
                let began = LOCAL.later(self.ticks(), Span::ZERO - reception);
                let arrival = Arrived { ticks: began, source: StampSource::Kernel };
                self.handle(Event::Datagram { source, from, payload: &payload, arrival, reception });
            }
            Pending::Lan(happening) => self.happen_on_lan(happening),
        }
    }

    pub(crate) fn later(&mut self, delay: Span, pending: Pending) {
        self.number += 1;
        self.queue.insert((self.tai + delay, self.number), pending);
    }

    fn queued(&mut self, to: SocketAddr) -> Span {
        let most = self.peers.get(&to).map_or(Span::ZERO, |peer| peer.queue);
        self.draw(most)
    }

    /// Anything below `most`.
    pub(crate) fn draw(&mut self, most: Span) -> Span {
        // xorshift64: any numbers will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Span::from_units((most.units() * i128::from(self.random >> 32)) >> 32)
    }
}
