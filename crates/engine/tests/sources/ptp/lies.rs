//! Who lies is found out.

use crate::lan::{identity, instance, primary, ptp};
use crate::ptp::NANOS_100;
use crate::world::{World, config, micros, millis, ntp, secs};
use sidereal_engine::{Report, SourceState, Synchronisation};
use sidereal_ntp::Stratum;
use sidereal_ptp::{AcceptableMaster, AcceptableMasters, IgnoreReason, PortIdentity, PortState, Suspicion};
use sidereal_time::Span;

#[test]
fn the_one_that_lies_is_named() {
    // The master contradicts two servers; then a server contradicts the master and the other.
    for (lies, liar) in [(true, "lan"), (false, "s2")] {
        for lie in [millis(7), secs(-5), millis(-300)] {
            let mut world = World::new(2, config(vec![ntp(1, 0), ntp(2, 0), ptp(instance())]));
            let master = world.join(1, primary(NANOS_100), |_| {});
            if lies {
                world.station(master).lie = lie;
            } else {
                world.peer(2).lie = lie;
            }
            world.run(secs(120));
            world.watch(secs(60), millis(100));
            assert_eq!(world.state(liar), SourceState::Falseticker, "{lie}: {:?}", world.source(liar));
            assert!(world.worst < micros(300), "{lie}: {}", world.worst);
            assert_eq!(world.outside, 0);
            let port = if lies { PortState::Uncalibrated } else { PortState::Slave };
            assert_eq!(world.ptp().port_ds.port_state, port);
            assert_ne!(world.published.unwrap().system.stratum, Stratum::UNSYNCHRONISED);
        }
    }
}

#[test]
fn jumps_that_look_like_mistakes_are_named_and_waited_with() {
    let wrap = Span::from_nanos(1 << 32);
    let jumps = [
        (secs(37), Suspicion::TaiUtcConfused),
        (secs(-37), Suspicion::TaiUtcConfused),
        (secs(1), Suspicion::LeapSecond),
        (wrap, Suspicion::FourSecondWrap),
    ];
    for (jump, of) in jumps {
        let mut world = World::new(0, config(vec![ptp(instance())]));
        let master = world.join(1, primary(NANOS_100), |_| {});
        world.run(secs(100));
        world.station(master).lie = jump;
        world.watch(secs(200), millis(100));
        assert!(world.worst < millis(1), "{jump}: {}", world.worst);
        assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
        assert_eq!(world.state("lan"), SourceState::Falseticker, "{:?}", world.source("lan"));
        let said =
            |world: &World| world.said(|r| matches!(r, Report::PtpMistaken { suspicion, .. } if *suspicion == of));
        assert_eq!(said(&world), 1, "{:?}", world.reports);
        let counts = world.ptp().counts;
        assert!(counts.iter().any(|(name, count)| *name == of.name() && *count > 100), "{counts:?}");
        // The mistake is made good.
        world.station(master).lie = Span::ZERO;
        world.watch(secs(60), millis(100));
        assert!(world.worst < millis(1), "{jump}: {}", world.worst);
        assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
        assert_eq!(world.published.unwrap().local.generation, 1);
        // What lasts is the time.
        world.station(master).lie = jump;
        world.run(secs(400));
        assert!((world.error() - jump).abs() < millis(1), "{jump}: {}", world.error());
        assert_eq!(said(&world), 2);
    }
}

#[test]
fn a_rogue_master_is_named_and_not_followed() {
    let mut options = instance();
    options.acceptable_masters = AcceptableMasters::new(vec![AcceptableMaster {
        port: PortIdentity { clock: identity(1), number: 1 },
        alternate_priority1: 0,
    }]);
    let mut world = World::new(0, config(vec![ptp(options)]));
    world.join(1, primary(NANOS_100), |options| options.port.master_only = true);
    world.run(secs(60));
    let rogue = world.join(2, primary(NANOS_100), |options| options.priority1 = 1);
    world.station(rogue).lie = secs(100);
    world.watch(secs(120), millis(100));
    assert!(world.worst < micros(1), "{}", world.worst);
    assert_eq!(world.ptp().parent_ds.grandmaster_identity, identity(1));
    let named = world
        .said(|report| matches!(report, Report::PtpIgnored { reason: IgnoreReason::NotAcceptable, from: Some(_), .. }));
    assert_eq!(named, 1, "{:?}", world.reports);
}

#[test]
fn a_better_master_that_lies_is_not_believed_beside_two_servers() {
    let mut world = World::new(2, config(vec![ntp(1, 0), ntp(2, 0), ptp(instance())]));
    world.join(1, primary(NANOS_100), |_| {});
    world.run(secs(120));
    let rogue = world.join(2, primary(NANOS_100), |options| options.priority1 = 1);
    world.station(rogue).lie = secs(100);
    world.watch(secs(120), millis(100));
    assert!(world.worst < micros(300), "{}", world.worst);
    assert_eq!(world.ptp().parent_ds.grandmaster_identity, identity(2));
    assert_eq!(world.ptp().port_ds.port_state, PortState::Uncalibrated);
    assert_eq!(world.state("lan"), SourceState::Falseticker);
}

#[test]
fn one_server_and_a_mistaken_master_are_no_dispute() {
    let mut world = World::new(1, config(vec![ntp(1, 0), ptp(instance())]));
    let master = world.join(1, primary(NANOS_100), |_| {});
    world.run(secs(120));
    world.station(master).lie = secs(-37);
    world.watch(secs(120), millis(100));
    assert!(world.worst < micros(300), "{}", world.worst);
    assert_eq!(world.outside, 0);
    assert_eq!((world.state("lan"), world.state("s1")), (SourceState::Falseticker, SourceState::Selected));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}
