//! The host follows.

use crate::lan::{identity, instance, primary, ptp};
use crate::ptp::NANOS_100;
use crate::world::{LOCAL, World, config, micros, millis, secs};
use sidereal_engine::{Engine, Report, SourceState, Synchronisation};
use sidereal_ntp::{LeapIndicator, ReferenceId, Stratum};
use sidereal_ptp::{ClockClass, PortState, TimeSource};
use sidereal_time::{Instant, LeapTable, Utc};

#[test]
fn a_grandmaster_is_followed_and_its_time_served_by_ntp() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    world.join(1, primary(NANOS_100), |_| {});
    world.run(secs(60));
    world.watch(secs(60), millis(100));
    assert_eq!(world.state("lan"), SourceState::Selected, "{:?}", world.source("lan"));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    assert!(world.worst < micros(1), "{}", world.worst);
    assert_eq!(world.outside, 0);
    let status = world.ptp();
    assert_eq!(status.port_ds.port_state, PortState::Slave);
    assert_eq!(status.parent_ds.grandmaster_identity, identity(1));
    assert!(status.current_ds.offset_from_master.abs() < micros(1));
    assert!((status.current_ds.mean_delay - micros(5)).abs() < micros(1));
    let system = world.published.unwrap().system;
    assert_eq!(system.stratum, Stratum::from_wire(2));
    assert_ne!(system.reference_id, ReferenceId::NONE);
    let slaves = world.said(|report| matches!(report, Report::PtpPort { state: PortState::Slave, .. }));
    assert_eq!(slaves, 1, "{:?}", world.reports);
}

#[test]
fn when_the_master_dies_we_lead_in_holdover_and_give_way_when_it_is_back() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    let master = world.join(1, primary(NANOS_100), |_| {});
    world.run(secs(100));
    world.station(master).silent = true;
    world.watch(secs(30), millis(100));
    let status = world.ptp();
    assert_eq!(status.port_ds.port_state, PortState::Master);
    assert_eq!(status.default_ds.clock_quality.clock_class, ClockClass::DEFAULT);
    assert_eq!(status.time_properties_ds.time_source, TimeSource::INTERNAL_OSCILLATOR);
    assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
    assert_eq!(world.state("lan"), SourceState::Idle);
    world.station(master).silent = false;
    world.watch(secs(60), millis(100));
    assert_eq!(world.ptp().port_ds.port_state, PortState::Slave);
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    assert!(world.worst < micros(2), "{}", world.worst);
    assert_eq!(world.outside, 0);
}

#[test]
fn our_own_time_that_comes_back_is_not_followed() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    world.join(99, primary(NANOS_100), |options| options.port.number = 2);
    world.run(secs(60));
    assert_eq!(world.status().synchronisation, Synchronisation::Acquiring);
    assert_ne!(world.ptp().port_ds.port_state, PortState::Slave);
}

#[test]
fn a_follower_hardly_notices_that_its_grandmaster_is_another_one() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    let best = world.join(1, primary(NANOS_100), |options| options.priority2 = 1);
    world.join(2, primary(NANOS_100), |_| {});
    world.run(secs(100));
    assert_eq!(world.ptp().parent_ds.grandmaster_identity, identity(1));
    world.station(best).silent = true;
    world.watch(secs(60), millis(100));
    assert_eq!(world.ptp().parent_ds.grandmaster_identity, identity(2));
    assert_eq!(world.state("lan"), SourceState::Selected);
    world.station(best).silent = false;
    world.watch(secs(60), millis(100));
    assert_eq!(world.ptp().parent_ds.grandmaster_identity, identity(1));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    assert!(world.worst < micros(1), "{}", world.worst);
    assert_eq!(world.outside, 0);
    let masters = world.reports.iter().filter_map(|report| match report {
        Report::PtpPort { state: PortState::Slave, grandmaster, .. } => Some(*grandmaster),
        _ => None,
    });
    assert_eq!(masters.collect::<Vec<_>>(), [1, 2, 1].map(identity), "{:?}", world.reports);
}

#[test]
fn a_leap_second_that_only_the_grandmaster_knows_is_made() {
    // 2017-01-01 00:00:00 UTC; our table has expired.
    let midnight = Instant::<Utc>::from_secs(1_483_228_800);
    let expired = LeapTable::parse("#@ 3660000000\n3644697600 36\n").unwrap();
    let mut world = World::at(midnight - secs(420), LeapTable::built_in(), 0, config(vec![ptp(instance())]));
    world.engine = Engine::new(LOCAL, config(vec![ptp(instance())]), expired, world.ticks());
    let mut state = primary(NANOS_100);
    state.time_properties.current_utc_offset = 36;
    state.time_properties.leap61 = true;
    world.join(1, state, |_| {});
    world.run(secs(300));
    assert_eq!(world.said(|report| matches!(report, Report::LeapSecondHeard { step: -1 })), 1, "{:?}", world.reports);
    assert_eq!(world.published.unwrap().system.leap, LeapIndicator::Insert);
}
