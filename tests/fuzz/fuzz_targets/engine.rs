//! The engine: any counter, any events in any order, with a driver that may not fetch its actions. It neither panics nor
//! grows, says nothing of a time that it does not know, and what it publishes survives the way through a seqlock.
//!
//! The input is eight bytes of counter and then events: a byte that says which, and what that one needs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_engine::{Action, Engine, EngineConfig, Event, Snapshot, Synchronisation};
use sidereal_ntp::{ReferenceId, Stratum};
use sidereal_publish::Words;
use sidereal_servo::Discipline;
use sidereal_time::{Counter, Instant, LeapTable, LocalClock, Rate, Reading, Span, Ticks, Utc};

/// More actions than the engine may ever have waiting.
const MANY: usize = 64;
/// Twenty seconds before a leap second.
const START: Instant<Utc> = Instant::from_secs(1_483_228_780);

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
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
}

/// A counter of nanoseconds that goes on evenly, and whatever else the input says of the world.
struct World<'a> {
    input: Input<'a>,
    now: Ticks,
    passed: Span,
    config: EngineConfig,
}

impl World<'_> {
    fn event(&mut self) -> Option<Event> {
        let input = &mut self.input;
        Some(match input.u8()? % 8 {
            0 => {
                self.now = Ticks(input.u64()?);
                Event::Timer
            }
            1 => {
                let (ticks, at, window) = (input.u64()?, input.i128()?, input.i128()?);
                Event::Reading(Reading::new(Ticks(ticks), Instant::from_units(at), Span::from_units(window)))
            }
            2 => {
                let flags = input.u8()?;
                Event::Discipline(Discipline {
                    synchronised: flags & 1 != 0,
                    max_error: Span::from_units(input.i128()? >> 2),
                    tai_offset_s: (flags & 2 != 0).then_some(i32::from(flags) - 100),
                    leap_step: flags.cast_signed() >> 6,
                })
            }
            3 => {
                self.config.stratum = Stratum::from_wire(input.u8()?);
                self.config.root_delay = Span::from_nanos(input.u64()?.into());
                Event::Configuration(self.config)
            }
            4 => {
                let (first, _) = input.0.split_at_checked(input.0.len().min(64))?;
                Event::LeapTable(LeapTable::parse(core::str::from_utf8(first).ok()?).ok()?)
            }
            // Most readings are honest, or off by some seconds.
            choice => {
                let wait = Span::from_nanos(i128::from(input.u16()?) * 10_000);
                let lie = if choice == 5 { Span::from_secs(input.u8()?.cast_signed().into()) } else { Span::ZERO };
                self.passed += wait;
                self.now = Ticks(self.now.0.wrapping_add(wait.as_nanos_rounded() as u64));
                Event::Reading(Reading::new(self.now, START + self.passed + lie, Span::from_nanos(60)))
            }
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let (Some(width), Some(precision), Some(rate)) = (input.u8(), input.u8(), input.u16()) else { return };
    let rate = if rate % 4 == 0 { Rate::from_bits(u64::from(rate) << 48) } else { Rate::NANOSECOND };
    let local = LocalClock { counter: Counter::Nic, width, rate, precision: precision.cast_signed() };
    let config = EngineConfig {
        stratum: Stratum::PRIMARY,
        reference_id: ReferenceId::NONE,
        root_delay: Span::ZERO,
        root_dispersion: Span::ZERO,
    };
    let mut world = World { input, now: Ticks(0), passed: Span::ZERO, config };
    let mut engine = Engine::new(local, config, LeapTable::built_in(), world.now);
    while let Some(event) = world.event() {
        engine.handle(event, world.now);
        let status = engine.status(world.now);
        assert!(status.error.is_none_or(|error| !error.is_negative()));
        assert!(engine.poll_timeout().is_some());
        let snapshot = engine.snapshot();
        assert_eq!(Snapshot::from_words(snapshot.to_words()), snapshot);
        if status.synchronisation != Synchronisation::Synchronised {
            assert_eq!(snapshot.system.stratum, Stratum::UNSYNCHRONISED);
        }
        // A copy's actions are all fetched, the engine's own now and then.
        let mut waiting = engine.clone();
        assert!(core::iter::from_fn(|| waiting.poll_action()).take(MANY).count() < MANY);
        if let Some(Action::Report(report)) = engine.poll_action() {
            assert!(!report.to_string().is_empty());
        }
    }
});
