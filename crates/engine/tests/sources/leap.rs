//! Leap seconds while sources are followed.

use crate::world::{World, config, micros, millis, ntp, secs, system_clock};
use sidereal_engine::{EngineConfig, Report, Steer};
use sidereal_ntp::LeapIndicator;
use sidereal_time::{Instant, LeapTable, Utc};

/// 2017-01-01 00:00:00 UTC, before which 23:59:60 was inserted.
const MIDNIGHT: Instant<Utc> = Instant::from_secs(1_483_228_800);

fn steered() -> EngineConfig {
    EngineConfig { clocks: vec![system_clock(Steer::On)], ..config((1..=3).map(|n| ntp(n, 0)).collect()) }
}

/// A table in which a second is deleted at the end of that day instead.
fn deleting() -> LeapTable {
    LeapTable::parse("#@ 3992217600\n3550089600 37\n3692217600 36\n").unwrap()
}

fn cross(world: &mut World) {
    for _ in 0..4_000 {
        world.run(millis(10));
        let (local, realtime) = world.told();
        assert!(local.abs() < micros(50) && realtime.abs() < micros(50), "{local} {realtime}");
    }
}

#[test]
fn a_leap_second_passes_without_a_seam() {
    for table in [LeapTable::built_in(), deleting()] {
        let mut world = World::at(MIDNIGHT - secs(420), table, 3, steered());
        world.run(secs(400));
        let armed = world.announced.last().unwrap().0;
        assert_ne!(armed, 0);
        cross(&mut world);
        assert_eq!(world.published.unwrap().local.generation, 1);
        assert_eq!(world.published.unwrap().system.leap, LeapIndicator::None);
        world.run(secs(60));
        let off = world.system_clock() - world.table.tai_to_utc(world.tai);
        assert!(off.abs() < micros(30), "{off}");
        assert_eq!(world.announced.last().unwrap().0, 0);
        assert_eq!(world.said(|report| matches!(report, Report::ClockJumped { .. })), 0, "{:?}", world.reports);
    }
}

#[test]
fn a_leap_second_that_only_the_sources_know_is_made() {
    // Our table lacks the leap second, and says that it has expired.
    let expired = LeapTable::parse("#@ 3660000000\n3644697600 36\n").unwrap();
    let mut world = World::at(MIDNIGHT - secs(420), LeapTable::built_in(), 3, steered());
    world.engine = sidereal_engine::Engine::new(crate::world::LOCAL, steered(), expired, world.ticks());
    for n in 1..=3 {
        world.peer(n).system.leap = LeapIndicator::Insert;
    }
    world.run(secs(400));
    assert_eq!(world.said(|report| matches!(report, Report::LeapSecondHeard { step: -1 })), 1, "{:?}", world.reports);
    assert_eq!(world.published.unwrap().system.leap, LeapIndicator::Insert);
    cross(&mut world);
    assert_eq!(world.published.unwrap().local.generation, 1);
}
