//! The engine: any counter, any events in any order, with a driver that may not fetch its actions. It neither panics nor
//! grows, says nothing of a time that it does not know, and what it publishes survives the way through a seqlock.
//!
//! The input is five bytes of counter and reference, and then events: a byte that says which, and what that one needs.
#![no_main]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use sidereal_engine::{
    Action, Address, BroadcastOptions, ClockOptions, ClockReading, ClockScale, Engine, EngineConfig, Event, Flags,
    Outgoing, PacketId, Reference, ReferenceKind, SelectionOptions, SmearOptions, Snapshot, SourceId, SourceKind,
    SourceOptions, Steer, Synchronisation, SystemReference,
};
use sidereal_ntp::{AssociationOptions, BroadcasterOptions, LeapIndicator, Poll, ReferenceId, Role, Stratum};
use sidereal_ptp::{ClockIdentity, DelayMechanism, InstanceOptions, MAX_FOREIGN_MASTERS, Message, PortKey};
use sidereal_publish::Words;
use sidereal_servo::{Discipline, FilterOptions, ServoOptions, SteeringOptions};
use sidereal_time::{
    Arrived, ClockId, Counter, CrossStamp, Instant, LeapTable, LocalClock, Rate, Reading, Span, Stamp, StampSource,
    Ticks, Utc,
};

/// More actions than the engine may ever have waiting.
const MANY: usize = 1_000;
/// More sources than the configuration can come to.
const MANY_SOURCES: usize = 32;
/// Twenty seconds before a leap second.
const START: Instant<Utc> = Instant::from_secs(1_483_228_780);

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn slice(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn i128(&mut self) -> Option<i128> {
        self.bytes().map(i128::from_be_bytes)
    }

    fn reading(&mut self) -> Option<ClockReading> {
        let (ticks, at, window) = (Ticks(self.u64()?), self.i128()?, Span::from_units(self.i128()?));
        Some(match window.units() % 3 {
            0 => ClockReading::Utc(Reading::new(ticks, Instant::from_units(at), window)),
            1 => ClockReading::Tai(Reading::new(ticks, Instant::from_units(at), window)),
            _ => ClockReading::Free(CrossStamp { nic: Ticks(at as u64), local: ticks, window }),
        })
    }

    fn addresses(&mut self) -> Option<Vec<SocketAddr>> {
        Some(self.slice()?.iter().copied().map(address).collect())
    }
}

/// A counter of nanoseconds that goes on evenly, and whatever else the input says of the world.
struct World<'a> {
    input: Input<'a>,
    now: Ticks,
    passed: Span,
    /// The last packet that was sent.
    sent: Option<Outgoing>,
    /// The last message of PTP that was sent and whose stamp is wanted.
    ptp_sent: Option<PacketId>,
}

impl<'a> World<'a> {
    fn event(&mut self) -> Option<Event<'a>> {
        let arrival = Arrived { ticks: self.now, source: StampSource::Kernel };
        let input = &mut self.input;
        Some(match input.u8()? % 24 {
            0 => {
                self.now = Ticks(input.u64()?);
                Event::Timer
            }
            1 => Event::ClockRead { clock: ClockId(input.u8()? % 3), reading: input.reading()? },
            2 => {
                let flags = input.u8()?;
                let discipline = Discipline {
                    synchronised: flags & 1 != 0,
                    max_error: Span::from_units(input.i128()? >> 2),
                    tai_offset_s: (flags & 2 != 0).then_some(i32::from(flags) - 100),
                    leap_step: flags.cast_signed() >> 6,
                };
                Event::Discipline { clock: ClockId(flags % 3), discipline }
            }
            3 => Event::Configuration(Box::new(config(input.u8()?))),
            4 => {
                let (first, _) = input.0.split_at_checked(input.0.len().min(64))?;
                Event::LeapTable(LeapTable::parse(core::str::from_utf8(first).ok()?).ok()?)
            }
            5 => {
                let (source, from) = (SourceId(input.u8()?.into()), address(input.u8()?));
                Event::Datagram { source, from, payload: input.slice()?, arrival, reception: Span::ZERO }
            }
            6 => {
                let left = Some(Arrived { ticks: Ticks(input.u64()?), ..arrival });
                Event::Transmitted { packet: PacketId(input.u64()?), left }
            }
            7 => Event::Sampled {
                source: SourceId(input.u8()?.into()),
                leap: LeapIndicator::from_bits(input.u8()?),
                reading: input.reading()?,
            },
            8 => Event::Pulse {
                source: SourceId(input.u8()?.into()),
                ticks: self.now,
                window: Span::from_units(input.i128()? >> 2),
            },
            9 => Event::Resolved { source: SourceId(input.u16()?), addresses: input.addresses()? },
            10 => Event::ResolveFailed { source: SourceId(input.u16()?) },
            11 => Event::SendFailed { packet: PacketId(input.u64()?), unreachable: true },
            12 => Event::ClockLost { clock: ClockId(input.u8()?) },
            13 => Event::SteerFailed { clock: ClockId(input.u8()?) },
            14 if input.u8()? % 2 == 0 => Event::ClockReset { clock: ClockId(input.u8()? % 4) },
            14 => Event::Rival { clock: ClockId(input.u8()?), who: None },
            15 => Event::Stop,
            // The last packet left, at some time.
            16 => {
                let packet = self.sent.as_ref()?.packet;
                let left = Some(Arrived { ticks: Ticks(self.now.0.wrapping_sub(input.u16()?.into())), ..arrival });
                Event::Transmitted { packet, left }
            }
            // What comes by PTP: mostly a message of a master, of which only some bytes are drawn.
            17 => {
                let message = input.slice()?;
                let arrival = (message.len() % 5 != 0).then_some(arrival);
                Event::PtpReceived { port: PortKey(0), from: None, message, arrival }
            }
            18 => Event::PtpManagement { client: input.u8()?.into(), message: input.slice()? },
            19 if input.u8()? % 4 == 0 => Event::PtpAnswered { port: PortKey(0), received: 3, sent: 2 },
            19 => Event::PtpPort { port: PortKey(0), usable: input.u8()? % 4 != 0 },
            // The last message of ours left, some time ago.
            20 => {
                let packet = self.ptp_sent.take()?;
                let left = Some(Arrived { ticks: Ticks(self.now.0.wrapping_sub(input.u16()?.into())), ..arrival });
                Event::Transmitted { packet, left }
            }
            // Most readings are honest, or off by some seconds.
            choice => {
                let wait = Span::from_nanos(i128::from(input.u16()?) * 10_000);
                let lie = if choice == 21 { Span::from_secs(input.u8()?.cast_signed().into()) } else { Span::ZERO };
                self.passed += wait;
                self.now = Ticks(self.now.0.wrapping_add(wait.as_nanos_rounded() as u64));
                let reading = Reading::new(self.now, START + self.passed + lie, Span::from_nanos(60));
                Event::ClockRead { clock: ClockId::SYSTEM, reading: ClockReading::Utc(reading) }
            }
        })
    }

    /// The answer to the last packet by a server that shows any time at all.
    fn answer(&mut self) -> Option<(SourceId, SocketAddr, [u8; 48])> {
        let outgoing = self.sent.take()?;
        let mut message = [0; 48];
        message[..4].copy_from_slice(&[0b00_100_100, self.input.u8()?, 0, 0xe8]);
        message[4..12].copy_from_slice(&self.input.bytes::<8>()?);
        message[24..32].copy_from_slice(outgoing.payload.get(40..48)?);
        message[32..48].copy_from_slice(&self.input.bytes::<16>()?);
        Some((outgoing.source?, outgoing.to, message))
    }
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 123)
}

/// One source of each kind, and two clocks.
fn config(seed: u8) -> EngineConfig {
    let poll = Poll::new(0).unwrap_or(Poll::MINUTE);
    let source = |kind| SourceOptions {
        name: String::from("source"),
        kind,
        filter: FilterOptions::default(),
        flags: Flags { noselect: seed & 2 != 0, ..Flags::default() },
        offset: Span::ZERO,
    };
    let association =
        |role| AssociationOptions { role, min_poll: poll, max_poll: poll, ..AssociationOptions::default() };
    let at =
        |n, role| SourceKind::Ntp { address: Address::Socket(address(n)), pool: None, association: association(role) };
    let under = |pool| SourceKind::Ntp {
        address: Address::Name { name: String::from("pool"), port: 123 },
        pool,
        association: association(Role::Client),
    };
    let wire =
        |kind| SourceKind::Reference { kind, reference_id: ReferenceId::NONE, stratum: 0, poll, delay: Span::ZERO };
    let kinds = [
        at(1, Role::Client),
        at(2, Role::SymmetricActive),
        at(3, Role::SymmetricPassive),
        at(4, Role::BroadcastClient),
        under(None),
        under(Some(4)),
        wire(ReferenceKind::Sampled),
        wire(ReferenceKind::Pulse),
        SourceKind::Ptp(Box::new(instance(seed))),
    ];
    let clock = |steer, scale| ClockOptions {
        name: String::from("clock"),
        steer,
        scale,
        steering: SteeringOptions::default(),
        read_period: Span::from_nanos(250_000_000),
        stamps: scale != ClockScale::Utc,
    };
    let reference = SystemReference {
        stratum: Stratum::from_wire(seed),
        reference_id: ReferenceId::NONE,
        root_delay: Span::from_nanos(i128::from(seed) << 20),
        root_dispersion: Span::ZERO,
    };
    EngineConfig {
        reference: if seed & 1 == 0 { Reference::Sources } else { Reference::System(reference) },
        sources: kinds.into_iter().map(source).collect(),
        selection: SelectionOptions::default(),
        servo: ServoOptions::default(),
        clocks: vec![
            clock(Steer::On, ClockScale::Utc),
            clock(Steer::Dry, ClockScale::Tai),
            clock(Steer::Off, ClockScale::Free { width: 40, rate: Rate::NANOSECOND }),
        ],
        own_addresses: vec![address(1)],
        broadcasts: vec![BroadcastOptions {
            to: address(255),
            broadcaster: BroadcasterOptions { poll, ..BroadcasterOptions::default() },
        }],
        smear: SmearOptions::default(),
        seed: [seed; 32],
        saved: None,
    }
}

/// A PTP Instance of any kind.
fn instance(seed: u8) -> InstanceOptions {
    let mut options = InstanceOptions {
        identity: ClockIdentity([99; 8]),
        slave_only: seed & 4 != 0,
        path_trace: seed & 8 != 0,
        ..InstanceOptions::default()
    };
    options.port.delay_mechanism = if seed & 16 != 0 { DelayMechanism::P2p } else { DelayMechanism::E2e };
    options.port.hybrid = seed & 32 != 0;
    options
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let (Some(width), Some(precision), Some(rate), Some(seed)) = (input.u8(), input.u8(), input.u16(), input.u8())
    else {
        return;
    };
    let rate = if rate % 4 == 0 { Rate::from_bits(u64::from(rate) << 48) } else { Rate::NANOSECOND };
    let local = LocalClock { counter: Counter::Nic(ClockId(1)), width, rate, precision: precision.cast_signed() };
    let mut world = World { input, now: Ticks(0), passed: Span::ZERO, sent: None, ptp_sent: None };
    let mut engine = Engine::new(local, config(seed), LeapTable::built_in(), world.now);
    while let Some(event) = world.event() {
        engine.handle(event, world.now);
        let status = engine.status(world.now);
        assert!(status.error.is_none_or(|error| !error.is_negative()));
        assert!(engine.poll_timeout().is_some());
        // A stamp of any clock, from any time.
        if let (Some(clock), Some(ticks)) = (world.input.u8(), world.input.u64()) {
            let counter = Counter::Nic(ClockId(clock % 4));
            let _ = engine.locate(Stamp { ticks: Ticks(ticks), counter, source: StampSource::Latch }, world.now);
        }
        assert!(engine.sources(world.now).len() <= MANY_SOURCES);
        assert!(engine.ptp().iter().all(|instance| instance.foreign_masters.len() <= MAX_FOREIGN_MASTERS));
        let snapshot = engine.snapshot();
        assert_eq!(Snapshot::from_words(snapshot.to_words()), snapshot);
        if !matches!(status.synchronisation, Synchronisation::Synchronised | Synchronisation::Holdover) {
            assert_eq!(snapshot.system.stratum, Stratum::UNSYNCHRONISED);
        }
        // Actions are all fetched now and then, and one by one in between.
        let fetched = if world.input.u8().is_some_and(|byte| byte % 2 == 0) { MANY } else { 1 };
        for fetch in 0..fetched {
            match engine.poll_action() {
                Some(Action::Report(report)) => assert!(!report.to_string().is_empty()),
                Some(Action::Send(outgoing)) => world.sent = Some(outgoing),
                Some(Action::SendPtp(outgoing)) => {
                    assert!(Message::parse(&outgoing.payload).is_ok());
                    world.ptp_sent = outgoing.stamp_wanted.then_some(outgoing.packet).or(world.ptp_sent);
                }
                Some(_) => {}
                None => break,
            }
            assert!(fetch + 1 < MANY, "there is no end to what is wanted");
        }
        if let Some((source, from, payload)) = world.answer() {
            let arrival = Arrived { ticks: world.now, source: StampSource::Kernel };
            engine
                .handle(Event::Datagram { source, from, payload: &payload, arrival, reception: Span::ZERO }, world.now);
        }
    }
});
