//! Two hosts, the network between them, and the time: everything exact to the nanosecond, so that what an association
//! measures can be compared with the truth.

use sidereal_ntp::{
    Answer, Arrival, Association, AssociationOptions, Broadcaster, Carriage, Context, Header, Key, KeyId, KeyTable,
    LeapIndicator, MAX_MESSAGE_LEN, Measured, Mode, Moment, Policy, Received, ReferenceId, ReplyHeader, Server,
    ServerLimits, Stratum, SystemVariables,
};
use sidereal_time::{
    Arrived, ClockModel, Counter, Instant, LocalClock, NtpClock, NtpShort, NtpTimestamp, Rate, Span, StampSource, Tai,
    Ticks, Utc,
};
use std::collections::BTreeMap;

pub(crate) const MICROSECOND: u64 = 1_000;
pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Where all counters begin: so near to where they wrap that long tests see it.
const FIRST_TICK: u64 = u64::MAX - 100 * SECOND;
/// The true time when the world begins, in seconds since 1970: an hour before NTP's era 1.
const FIRST_SECOND: i64 = 2_085_974_496;

pub(crate) const KEYS: &str = "1 MD5 one\n2 SHA1 two\n3 SHA256 three\n4 SHA512 four\n\
                        5 AES128 ASCII:0123456789abcdef\n6 AES256 ASCII:0123456789abcdef0123456789abcdef";

pub(crate) const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -28 };

pub(crate) const SYSTEM: SystemVariables = SystemVariables {
    leap: LeapIndicator::None,
    stratum: Stratum::PRIMARY,
    precision: -27,
    root_delay: NtpShort::from_bits(0x0000_0203),
    root_dispersion: NtpShort::from_bits(0x0000_0607),
    reference_id: ReferenceId(*b"PPS\0"),
    reference_time: NtpTimestamp::from_bits(0xeead_809c_6ba0_eb14),
};

pub(crate) fn key(number: u32) -> Key {
    KeyTable::parse(KEYS).unwrap().get(KeyId::new(number).unwrap()).unwrap().clone()
}

/// The counter of every host at the true time `ns`.
pub(crate) fn ticks(ns: u64) -> Ticks {
    Ticks(FIRST_TICK.wrapping_add(ns))
}

/// The true time `ns`.
pub(crate) fn utc(ns: u64) -> Instant<Utc> {
    Instant::from_secs(FIRST_SECOND) + Span::from_nanos(i128::from(ns))
}

/// The numbers that a test calls random.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next of them (splitmix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// A host: whatever of the three it runs.
pub(crate) struct Host {
    pub(crate) association: Option<Association>,
    pub(crate) broadcaster: Option<Broadcaster>,
    pub(crate) server: Option<Server>,
    pub(crate) policy: Policy,
    pub(crate) system: SystemVariables,
    /// Its clock less the truth, in nanoseconds.
    pub(crate) offset: i64,
    /// Whether it tells peers the time.
    pub(crate) has_time: bool,
    /// From when a transmit timestamp is written to when the message leaves, in nanoseconds.
    pub(crate) latency: u64,
    /// From then to when its stamp is known; `None` where it never is.
    pub(crate) stamp_delay: Option<u64>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) received: Vec<Received>,
    pub(crate) sent: Vec<(u64, Vec<u8>)>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            association: None,
            broadcaster: None,
            server: None,
            policy: Policy::default(),
            system: SYSTEM,
            offset: 0,
            has_time: true,
            latency: 0,
            stamp_delay: Some(0),
            measured: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn asking(options: &AssociationOptions) -> Self {
        let association = Association::new(options, ticks(0), &mut context(&SYSTEM, None, 0, &mut || 0));
        Self { association: Some(association), ..Self::new() }
    }

    pub(crate) fn serving(interleaved: bool) -> Self {
        let limits = ServerLimits { interleaved_clients: 64, rate_limit_prefixes: 16, secret: [1, 2] };
        let policy = Policy { keys: KeyTable::parse(KEYS).unwrap(), interleaved, ..Policy::default() };
        Self { server: Some(Server::new(&limits)), policy, ..Self::new() }
    }

    /// What its clock shows at the true time `ns`.
    pub(crate) fn shows(&self, ns: u64) -> Instant<Utc> {
        utc(ns) + Span::from_nanos(i128::from(self.offset))
    }

    pub(crate) fn clock(&self) -> NtpClock {
        let reference = Instant::<Tai>::from_units(self.shows(0).units());
        NtpClock::new(&ClockModel { reference, ..LOCAL.unknown(ticks(0)) }, 0, None)
    }

    pub(crate) fn association(&mut self) -> &mut Association {
        self.association.as_mut().unwrap()
    }
}

pub(crate) fn context<'a>(
    system: &'a SystemVariables,
    time: Option<&'a NtpClock>,
    now: u64,
    random: &'a mut dyn FnMut() -> u64,
) -> Context<'a> {
    Context { clock: &LOCAL, system, time, pivot: utc(now), random }
}

/// What happens to a message of host `from` that leaves at a time: when each copy of it arrives.
pub(crate) type Link = Box<dyn FnMut(usize, u64) -> Vec<u64>>;

enum Event {
    Deliver { to: usize, message: Vec<u8>, carriage: Option<Carriage> },
    Stamp { host: usize, sequence: u32, left: Option<u64> },
    BroadcastStamp { host: usize, sequence: u32, left: Option<u64> },
}

/// Both hosts and the network.
pub(crate) struct World {
    pub(crate) hosts: [Host; 2],
    pub(crate) link: Link,
    pub(crate) now: u64,
    pub(crate) random: Random,
    /// Whether symmetric active peers are answered by the server.
    pub(crate) serves_peers: bool,
    /// What PTP says of a message that it carried, and that was so long on the way; `None` where it carries nothing.
    pub(crate) carriage: Option<fn(u64) -> Carriage>,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
}

impl World {
    /// The two hosts, `way` nanoseconds apart.
    pub(crate) fn new(a: Host, b: Host, way: u64) -> Self {
        let link: Link = Box::new(move |_, at| vec![at + way]);
        Self {
            hosts: [a, b],
            link,
            now: 0,
            random: Random(7),
            serves_peers: false,
            carriage: None,
            events: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Lets everything happen until `end`.
    pub(crate) fn run_until(&mut self, end: u64) {
        loop {
            let timer = self.next_timer();
            let event = self.events.keys().next().map(|(at, _)| *at);
            let next = match (timer, event) {
                (Some(timer), Some(event)) => timer.min(event),
                (one, other) => match one.or(other) {
                    Some(next) => next,
                    None => break,
                },
            };
            if next > end {
                break;
            }
            self.now = next.max(self.now);
            if event == Some(next) {
                let (_, event) = self.events.pop_first().unwrap();
                self.happen(event);
            }
            (0..2).for_each(|host| self.transmit(host));
        }
        self.now = end;
    }

    fn next_timer(&self) -> Option<u64> {
        let timers = self.hosts.iter().flat_map(|host| {
            let association = host.association.as_ref().and_then(Association::poll_timeout);
            [association, host.broadcaster.as_ref().map(Broadcaster::poll_timeout)]
        });
        let ns = |at: Ticks| u64::try_from(LOCAL.passed(ticks(0), at).as_nanos_rounded()).unwrap();
        timers.flatten().map(ns).min()
    }

    fn at(&mut self, time: u64, event: Event) {
        self.serial += 1;
        self.events.insert((time, self.serial), event);
    }

    fn send(&mut self, from: usize, left: u64, message: &[u8]) {
        self.hosts[from].sent.push((left, message.to_vec()));
        for arrival in (self.link)(from, left) {
            let carriage = self.carriage.map(|carriage| carriage(arrival - left));
            self.at(arrival, Event::Deliver { to: 1 - from, message: message.to_vec(), carriage });
        }
    }

    /// Sends what is due.
    fn transmit(&mut self, number: usize) {
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let (now, host, random) = (self.now, &mut self.hosts[number], &mut self.random);
        let (clock, left) = (host.clock(), now + host.latency);
        let time = host.has_time.then_some(&clock);
        let mut random = || random.next();
        let mut context = context(&host.system, time, now, &mut random);
        let asked =
            host.association.as_mut().and_then(|asking| asking.poll_transmit(ticks(now), &mut context, &mut buffer));
        let stamp = host.stamp_delay.map(|_| left);
        let stamp_at = left + host.stamp_delay.unwrap_or(0);
        if let Some(transmit) = asked {
            self.at(stamp_at, Event::Stamp { host: number, sequence: transmit.sequence, left: stamp });
            self.send(number, left, &buffer[..transmit.len]);
            return;
        }
        let told =
            host.broadcaster.as_mut().and_then(|telling| telling.poll_transmit(ticks(now), &mut context, &mut buffer));
        if let Some(transmit) = told {
            assert!(!transmit.fresh_port);
            if transmit.stamp_wanted {
                self.at(stamp_at, Event::BroadcastStamp { host: number, sequence: transmit.sequence, left: stamp });
            }
            self.send(number, left, &buffer[..transmit.len]);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, message, carriage } => {
                let request = match Header::of(&message).map(Header::mode) {
                    Some(Mode::Client) => true,
                    Some(Mode::SymmetricActive) => self.serves_peers,
                    _ => false,
                };
                if request && self.hosts[to].server.is_some() {
                    self.serve(to, message, carriage);
                } else {
                    let _ = self.take(to, &message, carriage);
                }
            }
            Event::Stamp { host, sequence, left } => {
                self.hosts[host].association().transmitted(sequence, left.map(ticks), StampSource::Hardware);
                self.collect(host);
            }
            Event::BroadcastStamp { host, sequence, left } => {
                let broadcaster = self.hosts[host].broadcaster.as_mut().unwrap();
                broadcaster.transmitted(sequence, left.map(ticks), StampSource::Hardware);
            }
        }
    }

    /// Hands `message` to a host's association, now.
    pub(crate) fn deliver(&mut self, to: usize, message: &[u8]) -> Option<Received> {
        self.take(to, message, None)
    }

    fn take(&mut self, to: usize, message: &[u8], carriage: Option<Carriage>) -> Option<Received> {
        let (now, host, random) = (self.now, &mut self.hosts[to], &mut self.random);
        let clock = host.clock();
        let time = host.has_time.then_some(&clock);
        let mut random = || random.next();
        let mut context = context(&host.system, time, now, &mut random);
        let arrived = Arrived { ticks: ticks(now), source: StampSource::Hardware };
        let association = host.association.as_mut()?;
        let received = match carriage {
            Some(carriage) => association.receive_over_ptp(message, arrived, carriage, ticks(now), &mut context),
            None => association.receive(message, arrived, ticks(now), &mut context),
        };
        host.received.push(received);
        self.collect(to);
        Some(received)
    }

    fn collect(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        host.measured.extend(host.association.as_mut().and_then(Association::poll_measured));
    }

    /// Answers a request as the data plane does.
    fn serve(&mut self, number: usize, message: Vec<u8>, carriage: Option<Carriage>) {
        let (now, host) = (self.now, &mut self.hosts[number]);
        let (clock, left) = (host.clock(), now + host.latency);
        // What PTP carries is stamped at its beginning.
        let receive = clock.at(ticks(now)).after(carriage.map_or(Span::ZERO, |carriage| carriage.reception));
        let arrival = Arrival { client: [10, 0, 0, 2].into(), receive, ticks: ticks(now) };
        let moment = Moment { header: ReplyHeader::new(&host.system), transmit: receive };
        let len = message.len();
        let mut buffer = message;
        let server = host.server.as_mut().unwrap();
        let answer = match carriage {
            Some(carriage) => server.answer_over_ptp(&mut buffer, len, &arrival, &carriage, &moment, &host.policy),
            None => server.answer(&mut buffer, len, &arrival, &moment, &host.policy),
        };
        if let Answer::Reply { len, token, .. } = answer {
            if let Some(token) = token {
                server.transmitted(token, host.stamp_delay.map(|_| clock.at(ticks(left))));
            }
            self.send(number, left, &buffer[..len]);
        }
    }

    /// How far a reading of host 0 or 1 is from what the other's clock showed; positive where it says later.
    pub(crate) fn error(&self, reader: usize, measured: &Measured) -> Span {
        let ns = LOCAL.passed(ticks(0), measured.reading.ticks()).as_nanos_rounded();
        measured.reading.at() - self.hosts[1 - reader].shows(u64::try_from(ns).unwrap())
    }

    /// Checks that every reading is as near to the truth as it says.
    pub(crate) fn assert_bounds(&self) {
        for (reader, host) in self.hosts.iter().enumerate() {
            for measured in &host.measured {
                let (error, bound) = (self.error(reader, measured), measured.reading.error() + measured.dispersion);
                assert!(error.abs() <= bound, "host {reader}: {error} off, within {bound}: {measured:?}");
            }
        }
    }
}
