//! Whatever happens, the engine neither panics nor grows, and one liar among four moves nothing.

use core::net::{IpAddr, SocketAddr};

use crate::world::{LOCAL, World, address, config, micros, millis, named, ntp, secs, system_clock};
use proptest::prelude::*;
use sidereal_engine::{
    Action, BroadcastOptions, ClockReading, Engine, EngineConfig, Event, Outgoing, PacketId, Reference, ReferenceKind,
    SourceId, SourceKind, SourceOptions, Steer, SystemReference,
};
use sidereal_ntp::{BroadcasterOptions, LeapIndicator, Poll, ReferenceId, Role, Stratum};
use sidereal_servo::Discipline;
use sidereal_time::{Arrived, ClockId, Instant, LeapTable, LocalClock, Rate, Reading, Span, StampSource, Ticks};

/// More than any call of the engine may want done.
const MANY: usize = 600;

fn everything(seed: u8) -> EngineConfig {
    let poll = Poll::new(0).unwrap();
    let wire = |kind| SourceOptions {
        kind: SourceKind::Reference { kind, reference_id: ReferenceId(*b"PPS\0"), stratum: 0, poll, delay: Span::ZERO },
        ..ntp(9, 0)
    };
    let mut peer = ntp(8, 0);
    if let SourceKind::Ntp { association, .. } = &mut peer.kind {
        association.role =
            [Role::SymmetricActive, Role::SymmetricPassive, Role::BroadcastClient][usize::from(seed % 3)];
    }
    let sources = vec![
        ntp(1, 0),
        ntp(2, -2),
        named("pool.example.org", Some(4), 0),
        named("ntp.example.org", None, 3),
        wire(ReferenceKind::Sampled),
        wire(ReferenceKind::Pulse),
        peer,
        crate::lan::ptp(crate::lan::instance()),
    ];
    let reference = if seed.is_multiple_of(2) {
        Reference::Sources
    } else {
        Reference::System(SystemReference {
            stratum: Stratum::PRIMARY,
            reference_id: ReferenceId::NONE,
            root_delay: Span::ZERO,
            root_dispersion: Span::ZERO,
        })
    };
    let broadcaster = BroadcasterOptions { poll, ..BroadcasterOptions::default() };
    EngineConfig {
        reference,
        clocks: vec![system_clock(Steer::On), system_clock(Steer::Dry)],
        broadcasts: vec![BroadcastOptions { to: address(255), broadcaster }],
        ..config(sources)
    }
}

/// An event, and what it is made of.
#[derive(Debug, Clone)]
enum Happening {
    Plain(Event<'static>),
    Datagram {
        source: u16,
        from: u8,
        payload: Vec<u8>,
    },
    /// The last packet that was sent is answered, with these bytes changed.
    Answer {
        off: i64,
        change: (u8, u8),
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let reading = (any::<u64>(), any::<i128>(), any::<i128>(), any::<bool>()).prop_map(|(ticks, at, window, utc)| {
        let window = Span::from_units(window);
        if utc {
            ClockReading::Utc(Reading::new(Ticks(ticks), Instant::from_units(at), window))
        } else {
            ClockReading::Tai(Reading::new(Ticks(ticks), Instant::from_units(at), window))
        }
    });
    let source = (0_u16..20).prop_map(SourceId);
    let leap = any::<u8>().prop_map(LeapIndicator::from_bits);
    let left = any::<Option<u64>>()
        .prop_map(|left| left.map(|ticks| Arrived { ticks: Ticks(ticks), source: StampSource::Kernel }));
    let addresses = prop::collection::vec((0_u8..40).prop_map(address), 0..100);
    let discipline = (any::<bool>(), any::<i64>(), any::<Option<i32>>(), any::<i8>()).prop_map(
        |(synchronised, max_error, tai_offset_s, leap_step)| Discipline {
            synchronised,
            max_error: Span::from_nanos(max_error.into()),
            tai_offset_s,
            leap_step,
        },
    );
    let clock = (0_u8..4).prop_map(ClockId);
    prop_oneof![
        4 => Just(Happening::Plain(Event::Timer)),
        2 => (clock.clone(), reading.clone()).prop_map(|(clock, reading)| Happening::Plain(Event::ClockRead { clock, reading })),
        1 => (clock.clone(), discipline).prop_map(|(clock, discipline)| Happening::Plain(Event::Discipline { clock, discipline })),
        2 => (source.clone(), reading, leap)
            .prop_map(|(source, reading, leap)| Happening::Plain(Event::Sampled { source, reading, leap })),
        2 => (source.clone(), any::<u64>(), any::<i128>()).prop_map(|(source, ticks, window)| {
            Happening::Plain(Event::Pulse { source, ticks: Ticks(ticks), window: Span::from_units(window >> 2) })
        }),
        2 => (0_u16..20, 0_u8..40, prop::collection::vec(any::<u8>(), 0..120))
            .prop_map(|(source, from, payload)| Happening::Datagram { source, from, payload }),
        8 => (any::<i64>(), any::<(u8, u8)>()).prop_map(|(off, change)| Happening::Answer { off: off >> 20, change }),
        1 => (any::<u64>(), left).prop_map(|(packet, left)| Happening::Plain(Event::Transmitted { packet: PacketId(packet), left })),
        1 => (any::<u64>(), any::<bool>())
            .prop_map(|(packet, unreachable)| Happening::Plain(Event::SendFailed { packet: PacketId(packet), unreachable })),
        2 => (source.clone(), addresses).prop_map(|(source, addresses)| Happening::Plain(Event::Resolved { source, addresses })),
        1 => (16_384_u16..16_390, 0_u8..9).prop_map(|(source, n)| {
            Happening::Plain(Event::Resolved { source: SourceId(source), addresses: vec![address(n); 70] })
        }),
        1 => source.prop_map(|source| Happening::Plain(Event::ResolveFailed { source })),
        1 => clock.clone().prop_map(|clock| Happening::Plain(Event::ClockLost { clock })),
        1 => clock.clone().prop_map(|clock| Happening::Plain(Event::SteerFailed { clock })),
        1 => (clock, any::<Option<String>>()).prop_map(|(clock, who)| Happening::Plain(Event::Rival { clock, who })),
        1 => any::<u8>().prop_map(|seed| Happening::Plain(Event::Configuration(Box::new(everything(seed))))),
        1 => Just(Happening::Plain(Event::LeapTable(LeapTable::parse("3692217600 38\n").unwrap()))),
        1 => Just(Happening::Plain(Event::Stop)),
    ]
}

/// The answer of a server that is `off` nanoseconds off, with one byte changed.
fn answer(outgoing: &Outgoing, off: i64, (place, value): (u8, u8)) -> Vec<u8> {
    let mut message = vec![0; 48];
    message[..4].copy_from_slice(&[0b00_100_100, 1, 0, 0xe8]);
    message[12..16].copy_from_slice(b"GPS\0");
    message[24..32].copy_from_slice(&outgoing.payload[40..48]);
    let time = 0xe0b0_0000_0000_0000_u64.wrapping_add_signed(off << 2).to_be_bytes();
    message[32..40].copy_from_slice(&time);
    message[40..48].copy_from_slice(&time);
    if let Some(byte) = message.get_mut(usize::from(place)) {
        *byte ^= value;
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_events_are_survived(
        seed: u8,
        happenings in prop::collection::vec((happening(), prop_oneof![any::<u64>(), 0_u64..3_000_000_000]), 0..150),
    ) {
        let mut now = Ticks(1 << 40);
        let mut engine = Engine::new(LOCAL, everything(seed), LeapTable::built_in(), now);
        let mut last: Option<Outgoing> = None;
        for (happening, wait) in happenings {
            now = Ticks(now.0.wrapping_add(wait));
            let arrival = Arrived { ticks: now, source: StampSource::Kernel };
            match happening {
                Happening::Plain(event) => engine.handle(event, now),
                Happening::Datagram { source, from, payload } => {
                    engine.handle(Event::Datagram { source: SourceId(source), from: address(from), payload: &payload, arrival, reception: Span::ZERO }, now);
                }
                Happening::Answer { off, change } => {
                    if let Some((outgoing, source)) = last.take().and_then(|outgoing| outgoing.source.map(|source| (outgoing, source))) {
                        let left = Some(Arrived { ticks: Ticks(now.0.wrapping_sub(wait.min(1_000_000))), ..arrival });
                        engine.handle(Event::Transmitted { packet: outgoing.packet, left }, now);
                        let payload = answer(&outgoing, off, change);
                        engine.handle(Event::Datagram { source, from: outgoing.to, payload: &payload, arrival, reception: Span::ZERO }, now);
                    }
                }
            }
            let status = engine.status(now);
            prop_assert!(status.error.is_none_or(|error| !error.is_negative()));
            prop_assert!(engine.poll_timeout().is_some());
            let sources = engine.sources(now);
            prop_assert!(sources.len() <= 32, "{}", sources.len());
            prop_assert!(sources.iter().all(|source| !source.reason.is_empty()));
            let wanted: Vec<_> = core::iter::from_fn(|| engine.poll_action()).take(MANY).collect();
            prop_assert!(wanted.len() < MANY, "{:?}", wanted.last());
            for action in wanted {
                match action {
                    Action::Report(report) => prop_assert!(!report.to_string().is_empty()),
                    Action::Send(outgoing) => last = Some(outgoing),
                    _ => {}
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A quarter of the sources may say what they like, when they like.
    #[test]
    fn one_liar_of_four_moves_nothing(
        liar in 1_u8..=4,
        lies in prop::collection::vec((prop_oneof![-100_000_i64..100_000, -500_000_000_i64..500_000_000], 1_i64..30, any::<bool>()), 1..8),
        late in 0_u8..4,
    ) {
        let mut world = World::new(4, config((1..=4).map(|n| ntp(n, 0)).collect()));
        for n in 1..=4 {
            world.peer(n).forward = micros(100 + i128::from((n + late) % 4) * 400);
            world.peer(n).backward = world.peer(n).forward;
        }
        let mut bound = Span::ZERO;
        for (lie, length, silent) in lies {
            world.peer(liar).lie = Span::from_nanos(lie.into());
            world.peer(liar).silent = silent;
            world.watch(secs(length), millis(250));
            bound = bound.max(world.status().error.unwrap_or_default());
        }
        // The majority agrees within the shortest of their ways; no liar moves us out of what they admit.
        prop_assert!(world.worst < millis(2), "{}", world.worst);
        prop_assert_eq!(world.outside, 0, "{}", bound);
        let generation = world.published.map_or(0, |snapshot| snapshot.local.generation);
        prop_assert!(generation <= 1, "{}", generation);
    }
}

#[test]
fn there_is_a_limit_to_everything() {
    let sources = (0..400).map(|n| SourceOptions { name: format!("{n}"), ..ntp(1, 0) }).collect();
    let mut engine = Engine::new(LOCAL, config(sources), LeapTable::built_in(), Ticks(0));
    assert_eq!(engine.sources(Ticks(0)).len(), 256);
    let reports: Vec<_> =
        core::iter::from_fn(|| engine.poll_action()).filter(|a| matches!(a, Action::Report(_))).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let addresses: Vec<SocketAddr> = (0..200).map(|n| SocketAddr::new(IpAddr::from([10, 0, 0, n]), 123)).collect();
    let mut engine = Engine::new(LOCAL, config(vec![named("pool", Some(1_000), 0)]), LeapTable::built_in(), Ticks(0));
    engine.handle(Event::Timer, Ticks(0));
    let Some(source) = core::iter::from_fn(|| engine.poll_action()).find_map(|action| match action {
        Action::Resolve { source, .. } => Some(source),
        _ => None,
    }) else {
        panic!("no name is asked for");
    };
    engine.handle(Event::Resolved { source, addresses }, Ticks(0));
    assert_eq!(engine.sources(Ticks(0)).len(), 16);
    // A counter that stands still: everything is due all the time, and each source is asked once.
    let stopped = LocalClock { rate: Rate::from_bits(0), ..LOCAL };
    let mut engine = Engine::new(stopped, everything(0), LeapTable::built_in(), Ticks(0));
    engine.handle(Event::Timer, Ticks(0));
    assert!(core::iter::from_fn(|| engine.poll_action()).take(MANY).count() < MANY);
}
