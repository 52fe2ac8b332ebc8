//! Clocks and counters that jump.

use crate::world::{World, config, micros, millis, ntp, secs, system_clock};
use sidereal_engine::{EngineConfig, Event, Report, Steer, Synchronisation};
use sidereal_servo::Adjustment;

fn three(steer: Steer) -> EngineConfig {
    EngineConfig { clocks: vec![system_clock(steer)], ..config((1..=3).map(|n| ntp(n, 0)).collect()) }
}

#[test]
fn a_clock_that_is_set_disturbs_nothing() {
    for steer in [Steer::Off, Steer::Dry, Steer::On] {
        for by in [secs(3_600), secs(-86_400), millis(100)] {
            let mut world = World::new(3, three(steer));
            world.run(secs(60));
            world.set_system_clock(by);
            world.watch(secs(60), millis(100));
            assert!(world.worst < micros(50), "{steer:?} {by}: {}", world.worst);
            assert_eq!(world.published.unwrap().local.generation, 1);
            let jumped = |report: &Report| matches!(report, Report::ClockJumped { by: said, .. } if (*said - by).abs() < millis(1));
            assert_eq!(world.said(jumped), 1, "{steer:?} {by}: {:?}", world.reports);
            let (local, realtime) = world.told();
            assert!(local.abs() < micros(50) && realtime.abs() < micros(50), "{local} {realtime}");
            let off = world.system_clock() - world.table.tai_to_utc(world.tai);
            if steer == Steer::On {
                assert!(off.abs() < micros(50), "{by}: {off}");
            } else {
                assert!((off - by).abs() < millis(10) && world.adjustments.is_empty());
            }
        }
    }
}

#[test]
fn a_suspended_counter_is_found_out() {
    let mut world = World::new(3, three(Steer::Off));
    world.run(secs(300));
    // An hour goes by; the counter stands still.
    world.tai += secs(3_600);
    world.counter_moved -= 3_600_000_000_000 + 43_200_000;
    world.run(secs(60));
    assert!(
        world.said(
            |report| matches!(report, Report::CounterJumped { by: Some(by) } if (*by - secs(3_600)).abs() < secs(1))
        ) == 1,
        "{:?}",
        world.reports
    );
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    world.watch(secs(100), millis(100));
    assert!(world.worst < micros(50), "{}", world.worst);
}

#[test]
fn a_counter_that_is_set_back_is_survived() {
    let mut world = World::new(3, three(Steer::On));
    world.run(secs(300));
    world.counter_moved -= 370_000_000_000;
    world.handle(Event::Timer);
    world.run(secs(60));
    assert_eq!(world.said(|report| matches!(report, Report::CounterJumped { by: None })), 1, "{:?}", world.reports);
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    world.watch(secs(100), millis(100));
    assert!(world.worst < micros(50), "{}", world.worst);
    assert!(world.adjustments.iter().any(|adjustment| matches!(adjustment, Adjustment::Frequency(_))));
}
