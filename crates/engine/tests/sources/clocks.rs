//! The system clock, steered or not.

use crate::world::{World, config, micros, millis, ntp, secs, system_clock};
use sidereal_engine::{EngineConfig, Event, Report, Steer};
use sidereal_servo::Adjustment;
use sidereal_time::{ClockId, Span};

fn steered(steer: Steer) -> EngineConfig {
    EngineConfig { clocks: vec![system_clock(steer)], ..config(vec![ntp(1, 0)]) }
}

#[test]
fn a_clock_that_is_steered_follows() {
    let mut world = World::new(1, steered(Steer::On));
    world.run(secs(120));
    for _ in 0..100 {
        world.run(secs(1));
        let off = world.system_clock() - world.table.tai_to_utc(world.tai);
        assert!(off.abs() < micros(30), "{off}");
        let (_, realtime) = world.told();
        assert!(realtime.abs() < micros(30), "{realtime}");
    }
    let steps = world.adjustments.iter().filter(|adjustment| matches!(adjustment, Adjustment::Step(_))).count();
    assert_eq!(steps, 1, "3 ms off at the start");
    assert_eq!(world.said(|report| matches!(report, Report::ClockStepped { dry: false, .. })), 1);
    assert_eq!(world.announced.last(), Some(&(0, 37, true)));
    let [clock] = &world.status().clocks[..] else { panic!() };
    assert!(clock.offset.unwrap().abs() < micros(30) && clock.steps == 1 && clock.last_adjustment.is_some());
}

#[test]
fn a_dry_clock_is_left_alone_and_what_would_be_done_is_shown() {
    let mut world = World::new(1, steered(Steer::Dry));
    world.run(secs(120));
    assert!(world.adjustments.is_empty() && world.announced.is_empty());
    let [clock] = &world.status().clocks[..] else { panic!() };
    assert!(clock.last_adjustment.is_some() && clock.offset.unwrap() > millis(2));
    assert_eq!(world.said(|report| matches!(report, Report::ClockStepped { dry: true, .. })), 1, "{:?}", world.reports);
    let soon = |passed: &Span| *passed >= millis(0) && *passed < millis(1);
    assert!(world.would_adjust.len() > 10 && world.would_adjust.iter().all(soon), "{:?}", world.would_adjust);
}

#[test]
fn a_clock_with_a_rival_is_left_to_it() {
    let mut world = World::new(1, steered(Steer::On));
    world.run(secs(120));
    world.adjustments.clear();
    for _ in 0..10 {
        world.handle(Event::Rival { clock: ClockId::SYSTEM, who: Some("chronyd (pid 17)".to_owned()) });
        world.run(secs(60));
    }
    assert!(world.adjustments.is_empty());
    assert_eq!(world.said(|report| matches!(report, Report::Rival { .. })), 1);
    assert_eq!(world.status().clocks[0].rival.as_deref(), Some("chronyd (pid 17)"));
    world.run(secs(600));
    assert_eq!(world.status().clocks[0].rival, None);
    assert!(!world.adjustments.is_empty(), "it is gone: the clock is ours again");
}

#[test]
fn a_clock_that_is_lost_and_found_is_spoken_of_once_each() {
    let mut world = World::new(1, steered(Steer::On));
    world.run(secs(10));
    for _ in 0..3 {
        world.handle(Event::ClockLost { clock: ClockId::SYSTEM });
        world.handle(Event::SteerFailed { clock: ClockId::SYSTEM });
    }
    assert!(world.status().clocks[0].lost);
    world.run(secs(10));
    assert!(!world.status().clocks[0].lost);
    assert_eq!(world.said(|report| matches!(report, Report::ClockLost { .. })), 1);
    assert_eq!(world.said(|report| matches!(report, Report::ClockFound { .. })), 1);
    assert_eq!(world.said(|report| matches!(report, Report::SteerFailed { .. })), 1);
    world.handle(Event::ClockLost { clock: ClockId(200) });
}
