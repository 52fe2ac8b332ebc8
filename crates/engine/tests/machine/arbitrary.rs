//! Whatever happens, the engine neither panics nor grows.

use crate::host;
use proptest::prelude::*;
use sidereal_engine::{Action, Engine, Event};
use sidereal_servo::Discipline;
use sidereal_time::{Instant, LeapTable, Reading, Span, Ticks};

/// More than any call of the engine may want done.
const MANY: usize = 64;

fn event() -> impl Strategy<Value = Event<'static>> {
    let reading = (any::<u64>(), any::<i128>(), any::<i128>()).prop_map(|(ticks, at, window)| {
        host::read(Reading::new(Ticks(ticks), Instant::from_units(at), Span::from_units(window)))
    });
    let near = (0..1_000_u64, 0..2_000_u32).prop_map(|(n, lead)| {
        let at = Instant::from_secs(1_483_228_700) + Span::from_nanos(i128::from(n * 250_000_000 + u64::from(lead)));
        host::read(Reading::new(Ticks(n * 250_000_000), at, Span::from_nanos(60)))
    });
    let discipline = (any::<bool>(), any::<u32>(), any::<Option<i32>>(), any::<i8>()).prop_map(
        |(synchronised, max_error, tai_offset_s, leap_step)| {
            let max_error = Span::from_nanos(max_error.into());
            host::discipline(Discipline { synchronised, max_error, tai_offset_s, leap_step })
        },
    );
    prop_oneof![
        Just(Event::Timer),
        Just(Event::Configuration(Box::new(host::config(host::CONFIG)))),
        Just(Event::LeapTable(LeapTable::built_in())),
        reading,
        near,
        discipline,
    ]
}

proptest! {
    #[test]
    fn any_events_are_survived(events in prop::collection::vec((event(), any::<u64>()), 0..200)) {
        let mut engine = Engine::new(host::LOCAL, host::config(host::CONFIG), LeapTable::built_in(), Ticks(0));
        for (event, now) in events {
            engine.handle(event, Ticks(now));
            prop_assert!(engine.status(Ticks(now)).error.is_none_or(|error| !error.is_negative()));
            let wanted: Vec<_> = core::iter::from_fn(|| engine.poll_action()).take(MANY).collect();
            prop_assert!(wanted.len() < MANY);
            for action in wanted {
                if let Action::Report(report) = action {
                    prop_assert!(!report.to_string().is_empty());
                }
            }
        }
    }
}
