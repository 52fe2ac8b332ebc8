//! Reference clocks: times in shared memory, and pulses that others number.

use crate::world::{World, config, micros, millis, ntp, secs};
use sidereal_engine::{
    ClockReading, EngineConfig, Event, ReferenceKind, SourceId, SourceKind, SourceOptions, SourceState,
};
use sidereal_ntp::{LeapIndicator, Poll, ReferenceId};
use sidereal_time::{Instant, Reading, Span};

fn wire(name: &str, kind: ReferenceKind) -> SourceOptions {
    let kind = SourceKind::Reference {
        kind,
        reference_id: ReferenceId::from_name(name).unwrap(),
        stratum: 0,
        poll: Poll::new(0).unwrap(),
        delay: micros(1),
    };
    SourceOptions { name: name.to_owned(), kind, ..ntp(0, 0) }
}

/// Lets `seconds` pass; as each of them begins, the source sends a pulse that is `late`.
fn pulse(world: &mut World, id: SourceId, seconds: i64, late: Span) {
    for _ in 0..seconds {
        let (_, rest) = world.tai.split();
        world.run(Span::SECOND - rest + late);
        let ticks = world.ticks();
        world.handle(Event::Pulse { source: id, ticks, window: Span::from_nanos(60) });
    }
}

fn with_pulse() -> EngineConfig {
    let mut pps = wire("PPS", ReferenceKind::Pulse);
    pps.flags.prefer = true;
    pps.offset = micros(1);
    config(vec![ntp(1, 0), pps])
}

#[test]
fn a_pulse_is_numbered_by_a_server_and_then_followed() {
    let mut world = World::new(1, with_pulse());
    // As coarse a server as may be.
    world.peer(1).queue = millis(20);
    let id = world.source("PPS").id;
    pulse(&mut world, id, 120, micros(1));
    world.watch(secs(1), millis(300));
    assert_eq!(world.state("PPS"), SourceState::Selected, "{:?}", world.source("PPS"));
    assert!(world.worst < micros(2), "{}", world.worst);
    let system = world.published.unwrap().system;
    assert_eq!((system.stratum.number(), system.reference_id), (1, ReferenceId(*b"PPS\0")));
}

#[test]
fn pulses_without_anybody_who_knows_the_second_are_left_out() {
    let mut world = World::new(1, with_pulse());
    world.peer(1).silent = true;
    let id = world.source("PPS").id;
    pulse(&mut world, id, 30, micros(1));
    assert_eq!(world.source("PPS").last_ignored, Some("unnumbered"));
    assert!(world.status().model.is_none());
}

#[test]
fn a_receiver_is_followed_while_it_knows_the_time() {
    let mut world = World::new(0, config(vec![wire("GPS", ReferenceKind::Sampled)]));
    let id = world.source("GPS").id;
    let sample = |world: &mut World, seconds: u32, leap: LeapIndicator, off: Span| {
        for second in 0..seconds {
            world.run(secs(1));
            let ticks = world.ticks();
            let reading = if second % 2 == 0 {
                let utc = world.table.tai_to_utc(world.tai) + off;
                ClockReading::Utc(Reading::new(ticks, utc, Span::from_nanos(100)))
            } else {
                let tai = Instant::from_units((world.tai + off).units());
                ClockReading::Tai(Reading::new(ticks, tai, Span::from_nanos(100)))
            };
            world.handle(Event::Sampled { source: id, reading, leap });
        }
    };
    sample(&mut world, 60, LeapIndicator::None, Span::ZERO);
    assert_eq!(world.state("GPS"), SourceState::Selected);
    assert!(world.error().abs() < micros(1), "{}", world.error());
    assert_eq!(world.published.unwrap().system.stratum.number(), 1);
    // It loses its satellites and shows nonsense.
    sample(&mut world, 60, LeapIndicator::Unknown, secs(5));
    assert!(world.timers < 1_000, "{}: the engine is called without end", world.timers);
    assert_eq!(world.state("GPS"), SourceState::Unsynchronised);
    assert!(world.error().abs() < micros(2), "{}", world.error());
}
