//! Hosts on one link, and the time: everything exact to the nanosecond, so that what an instance measures can be compared
//! with the truth.

use sidereal_ptp::{
    Address, ClockAccuracy, ClockClass, ClockIdentity, ClockQuality, ClockState, Context, Destination, Flags,
    IgnoreReason, Instance, InstanceOptions, MAX_MESSAGE_LEN, Measured, MeasuredReading, Message, MessageType,
    PortState, Received, TimePropertiesDs, TimeSource, Transmit,
};
use sidereal_time::{Arrived, ClockModel, Counter, Instant, LocalClock, Rate, Span, StampSource, Tai, Ticks};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) const MICROSECOND: u64 = 1_000;
pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Where all counters begin: so near to where they wrap that long tests see it.
const FIRST_TICK: u64 = u64::MAX - 100 * SECOND;
/// The true time when the world begins, in seconds since 1970.
const FIRST_SECOND: i64 = 1_800_000_000;

pub(crate) const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -28 };

/// The true time `ns`.
pub(crate) fn tai(ns: u64) -> Instant<Tai> {
    Instant::from_secs(FIRST_SECOND) + Span::from_nanos(i128::from(ns))
}

/// What a clock of this class says of itself.
pub(crate) fn state(clock_class: u8) -> ClockState {
    ClockState {
        quality: ClockQuality {
            clock_class: ClockClass(clock_class),
            clock_accuracy: ClockAccuracy::WITHIN_1_US,
            offset_scaled_log_variance: 0x4e5d,
        },
        time_properties: TimePropertiesDs {
            current_utc_offset: 37,
            current_utc_offset_valid: true,
            leap59: false,
            leap61: false,
            time_traceable: clock_class == 6,
            frequency_traceable: clock_class == 6,
            ptp_timescale: true,
            time_source: TimeSource::GNSS,
        },
        can_lead: true,
    }
}

/// The numbers that a test calls random (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
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

    /// One of an exponential distribution.
    pub(crate) fn exponential(&mut self, mean: f64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean) as u64
    }
}

/// A host with one instance.
pub(crate) struct Host {
    pub(crate) instance: Instance,
    pub(crate) address: Address,
    pub(crate) state: ClockState,
    /// Its clock less the truth, in nanoseconds; `None`: it has no time.
    pub(crate) offset: Option<i64>,
    /// How much faster its counter runs than nominal.
    pub(crate) ppb: i64,
    /// The granularity of its stamps in ticks.
    pub(crate) granularity: u64,
    /// Whether the engine follows what is measured.
    pub(crate) selects: bool,
    /// From when a message is written to when it leaves, in nanoseconds.
    pub(crate) latency: u64,
    /// How late its transmit stamps are known; `None`: never.
    pub(crate) stamp_delay: Option<u64>,
    /// Whether it is there.
    pub(crate) is_up: bool,
    pub(crate) measured: Vec<Measured>,
    pub(crate) received: Vec<(MessageType, Received)>,
    pub(crate) sent: Vec<(u64, Destination, Vec<u8>)>,
}

impl Host {
    /// Host `number`, which counts from 1 and is in its addresses.
    pub(crate) fn new(number: u8, clock_class: u8, options: &InstanceOptions) -> Self {
        let address = Address::Ip(IpAddr::from([10, 0, 0, number]));
        let mut options = options.clone();
        options.identity = identity(number);
        options.port.protocol_address = Some(address);
        let (state, mut zero) = (state(clock_class), || 0);
        let model = ClockModel { reference: tai(0), ..LOCAL.unknown(Ticks(FIRST_TICK)) };
        let mut context =
            Context { clock: &LOCAL, time: Some(&model), state: &state, selected: false, random: &mut zero };
        Self {
            instance: Instance::new(&options, Ticks(FIRST_TICK), &mut context),
            address,
            state,
            offset: Some(0),
            ppb: 0,
            granularity: 1,
            selects: true,
            latency: 0,
            stamp_delay: Some(0),
            is_up: true,
            measured: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Its counter at the true time `ns`.
    pub(crate) fn ticks(&self, ns: u64) -> Ticks {
        let ns = i128::from(ns);
        let ticks = ns + ns * i128::from(self.ppb) / 1_000_000_000;
        Ticks(FIRST_TICK.wrapping_add(ticks as u64))
    }

    /// The first true time at which its counter has reached `ticks`.
    fn when(&self, ticks: Ticks) -> u64 {
        let elapsed = i128::from(ticks.0.wrapping_sub(FIRST_TICK) as i64);
        (elapsed * 1_000_000_000 / (1_000_000_000 + i128::from(self.ppb)) + 1).max(0) as u64
    }

    /// The true time at `ticks`, as nearly as its counter tells.
    pub(crate) fn truth(&self, ticks: Ticks) -> Instant<Tai> {
        let elapsed = i128::from(ticks.0.wrapping_sub(FIRST_TICK) as i64) << 16;
        tai(0) + Span::from_units(elapsed * 1_000_000_000 / (1_000_000_000 + i128::from(self.ppb)))
    }

    /// The stamp of a message that passes at the true time `ns`.
    fn stamp(&self, ns: u64) -> Arrived {
        let ticks = self.ticks(ns).0;
        Arrived { ticks: Ticks(ticks - ticks % self.granularity), source: StampSource::Hardware }
    }

    /// Its time as it would be published.
    fn model(&self) -> Option<ClockModel> {
        let rate = Rate::from_hertz(1e9 + self.ppb as f64);
        let offset = Span::from_nanos(i128::from(self.offset?));
        Some(ClockModel { reference: tai(0) + offset, rate, ..LOCAL.unknown(Ticks(FIRST_TICK)) })
    }

    pub(crate) fn ignored(&self, reason: IgnoreReason) -> u64 {
        self.instance.counts().ignored(reason)
    }

    pub(crate) fn sent(&self, message_type: MessageType) -> impl Iterator<Item = (u64, Destination, Message<'_>)> {
        let parsed = self.sent.iter().map(|(at, to, bytes)| (*at, *to, Message::parse(bytes).unwrap()));
        parsed.filter(move |(_, _, message)| message.message_type() == message_type)
    }
}

pub(crate) fn identity(number: u8) -> ClockIdentity {
    ClockIdentity::from_mac([2, 0, 0, 0, 0, number])
}

/// Intervals of an eighth of a second, and Announce each second.
pub(crate) fn fast() -> InstanceOptions {
    let mut options = InstanceOptions::default();
    options.port.log_announce_interval = 0;
    options.port.log_sync_interval = -3;
    options.port.log_min_delay_req_interval = -3;
    options.port.log_min_pdelay_req_interval = -3;
    options
}

/// A grandmaster and one that follows, whose counters differ by 40 ppm.
pub(crate) fn pair(options: &InstanceOptions, way: u64) -> World {
    let mut world = World::new(vec![Host::new(1, 6, options), Host::new(2, 248, options)], way);
    (world.hosts[0].ppb, world.hosts[1].ppb) = (10_000, -30_000);
    world
}

/// What happens to a message from one host to another that leaves at a time: when each copy of it arrives, and what is added
/// to its correctionField.
pub(crate) type Link = Box<dyn FnMut(&mut Random, usize, usize, &[u8], u64) -> Vec<u64>>;

enum Event {
    Deliver { to: usize, from: Address, message: Vec<u8> },
    Stamp { host: usize, sequence: u32, left: Option<u64> },
}

/// All hosts and the link.
pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    pub(crate) link: Link,
    pub(crate) now: u64,
    pub(crate) random: Random,
    events: BTreeMap<(u64, u64), Event>,
    serial: u64,
}

impl World {
    /// The hosts, `way` nanoseconds apart.
    pub(crate) fn new(hosts: Vec<Host>, way: u64) -> Self {
        let link: Link = Box::new(move |_, _, _, _, at| vec![at + way]);
        Self { hosts, link, now: 0, random: Random(7), events: BTreeMap::new(), serial: 0 }
    }

    /// Lets everything happen until `end`.
    pub(crate) fn run_until(&mut self, end: u64) {
        loop {
            let timers = self.hosts.iter().filter(|host| host.is_up);
            let timer = timers.filter_map(|host| host.instance.poll_timeout().map(|at| host.when(at))).min();
            let event = self.events.keys().next().map(|(at, _)| *at);
            let Some(next) = [timer, event].into_iter().flatten().min().filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            if event.is_some_and(|event| event <= self.now) {
                let (_, event) = self.events.pop_first().unwrap();
                self.happen(event);
            }
            (0..self.hosts.len()).for_each(|host| self.transmit(host));
        }
        self.now = end;
    }

    fn at(&mut self, time: u64, event: Event) {
        self.serial += 1;
        self.events.insert((time, self.serial), event);
    }

    /// Runs `call` on a host's instance.
    pub(crate) fn with<R>(&mut self, host: usize, call: impl FnOnce(&mut Instance, Ticks, &mut Context<'_>) -> R) -> R {
        let (now, host, random) = (self.now, &mut self.hosts[host], &mut self.random);
        let (ticks, model) = (host.ticks(now), host.model());
        let selected = host.selects && !host.measured.is_empty();
        let mut random = || random.next();
        let mut context =
            Context { clock: &LOCAL, time: model.as_ref(), state: &host.state, selected, random: &mut random };
        let result = call(&mut host.instance, ticks, &mut context);
        host.measured.extend(host.instance.poll_measured());
        result
    }

    /// Sends what is due.
    fn transmit(&mut self, number: usize) {
        while self.hosts[number].is_up {
            let mut buffer = [0; MAX_MESSAGE_LEN];
            let transmit =
                self.with(number, |instance, now, context| instance.poll_transmit(now, context, &mut buffer));
            let Some(Transmit { len, to, sequence, stamp_wanted, .. }) = transmit else { break };
            if stamp_wanted {
                let delay = self.hosts[number].stamp_delay;
                let leaves = self.now + self.hosts[number].latency;
                let left = delay.map(|_| leaves);
                self.at(leaves + delay.unwrap_or(0), Event::Stamp { host: number, sequence, left });
            }
            self.send(number, to, &buffer[..len]);
        }
    }

    /// Puts a message of host `from` on the link, now.
    pub(crate) fn send(&mut self, from: usize, to: Destination, message: &[u8]) {
        let (leaves, address) = (self.now + self.hosts[from].latency, self.hosts[from].address);
        self.hosts[from].sent.push((leaves, to, message.to_vec()));
        for number in 0..self.hosts.len() {
            let is_for = match to {
                Destination::Primary | Destination::PeerDelay => number != from,
                Destination::Unicast(address) => self.hosts[number].address == address,
            };
            if !is_for {
                continue;
            }
            for arrival in (self.link)(&mut self.random, from, number, message, leaves) {
                self.at(arrival, Event::Deliver { to: number, from: address, message: message.to_vec() });
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, .. } if !self.hosts[to].is_up => {}
            Event::Deliver { to, from, message } => {
                if !self.answer(to, from, &message) {
                    self.deliver(to, from, &message);
                }
            }
            Event::Stamp { host, sequence, left } => {
                let left = left.map(|left| self.hosts[host].stamp(left));
                self.with(host, |instance, now, context| instance.transmitted(sequence, left, now, context));
            }
        }
    }

    /// Hands `message` to a host's instance, now.
    pub(crate) fn deliver(&mut self, to: usize, from: Address, message: &[u8]) -> Received {
        let arrived = self.hosts[to].stamp(self.now);
        let received =
            self.with(to, |instance, now, context| instance.receive(message, Some(from), Some(arrived), now, context));
        if let Ok(message) = Message::parse(message) {
            self.hosts[to].received.push((message.message_type(), received));
        }
        received
    }

    /// Answers a Delay_Req as the data plane does; whether it was one.
    pub(crate) fn answer(&mut self, number: usize, from: Address, message: &[u8]) -> bool {
        let host = &self.hosts[number];
        let Some(responder) = host.instance.responder().filter(|_| sidereal_ptp::Responder::is_request(message)) else {
            return false;
        };
        let mut buffer = [0; MAX_MESSAGE_LEN];
        buffer[..message.len()].copy_from_slice(message);
        let received = host.model().unwrap().instant(host.stamp(self.now).ticks);
        let len = responder.answer(&mut buffer, message.len(), received).unwrap();
        let is_unicast = Message::parse(message).unwrap().header.flags.has(Flags::UNICAST);
        let to = if is_unicast { Destination::Unicast(from) } else { Destination::Primary };
        self.send(number, to, &buffer[..len]);
        true
    }

    /// How far what a host measured is from the truth; positive where it says later.
    pub(crate) fn error(&self, host: usize, measured: &Measured) -> Span {
        let host = &self.hosts[host];
        match measured.reading {
            MeasuredReading::Tai(reading) => reading.at() - host.truth(reading.ticks()),
            MeasuredReading::Utc(reading) => {
                Span::from_units(reading.at().units()) - Span::from_units(host.truth(reading.ticks()).units())
            }
        }
    }

    /// Checks that every reading of a host is as near to the truth as it says; how far the furthest is.
    pub(crate) fn assert_bounds(&self, host: usize) -> Span {
        let mut worst = Span::ZERO;
        for measured in &self.hosts[host].measured {
            let window = match measured.reading {
                MeasuredReading::Tai(reading) => reading.error(),
                MeasuredReading::Utc(reading) => reading.error(),
            };
            let (error, bound) = (self.error(host, measured), window + measured.dispersion);
            assert!(error.abs() <= bound, "host {host}: {error} off, within {bound}: {measured:?}");
            worst = worst.max(error.abs());
        }
        worst
    }

    pub(crate) fn states(&self) -> Vec<PortState> {
        self.hosts.iter().map(|host| host.instance.port_state()).collect()
    }
}
