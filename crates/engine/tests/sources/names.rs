//! Names that cannot be resolved, and pools whose members are replaced.

use core::net::SocketAddr;

use crate::world::{World, address, config, millis, named, ntp, secs};
use sidereal_engine::{Event, Report, SourceState, Synchronisation};
use sidereal_ntp::AccessAction;

fn members(world: &World) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> =
        world.engine.sources(world.ticks()).into_iter().filter_map(|source| source.address).collect();
    addresses.sort();
    addresses
}

#[test]
fn a_name_is_asked_for_until_it_is_known() {
    let mut world = World::new(1, config(vec![named("ntp.example.org", None, 0)]));
    world.run(secs(600));
    // Twice as long each time: 2, 4, 8 ... 256 s.
    assert!((8..=10).contains(&world.asked_names), "{}", world.asked_names);
    assert_eq!(world.said(|report| matches!(report, Report::Unresolved { .. })), 1);
    assert!(world.source("ntp.example.org").reason.contains("cannot be resolved"));
    world.names.insert("ntp.example.org".to_owned(), vec![address(1)]);
    world.run(secs(600));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    assert_eq!(world.source("ntp.example.org").address, Some(address(1)));
    let asked = world.asked_names;
    world.run(secs(3_600));
    assert_eq!(world.asked_names, asked, "who has an address needs no other");
}

#[test]
fn a_server_that_is_lost_is_looked_for_under_its_name() {
    let mut world = World::new(2, config(vec![named("ntp.example.org", None, 0)]));
    world.names.insert("ntp.example.org".to_owned(), vec![address(1)]);
    world.run(secs(300));
    world.peer(1).silent = true;
    world.names.insert("ntp.example.org".to_owned(), vec![address(2)]);
    world.run(secs(300));
    assert_eq!(world.source("ntp.example.org").address, Some(address(2)));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}

#[test]
fn dns_that_hangs_is_not_asked_twice_and_hinders_nobody() {
    let mut world = World::new(1, config(vec![named("hangs.example.org", None, 0), ntp(1, 0)]));
    world.names_hang = true;
    world.run(secs(3_600));
    assert_eq!(world.asked_names, 1);
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    let source = world.source("hangs.example.org");
    assert!(source.reason.contains("being asked for"), "{}", source.reason);
    // The answer comes at last.
    world.handle(Event::Resolved { source: source.id, addresses: vec![address(1)] });
    world.run(secs(10));
    assert_eq!(world.source("hangs.example.org").address, Some(address(1)));
}

#[test]
fn bad_members_of_a_pool_are_replaced() {
    let mut world = World::new(9, config(vec![named("pool.example.org", Some(4), 0)]));
    world.names.insert("pool.example.org".to_owned(), (1..=6).map(address).collect());
    world.run(secs(30));
    assert_eq!(members(&world), [1, 2, 3, 4].map(address));
    world.peer(2).silent = true;
    world.run(secs(60));
    assert_eq!(members(&world), [1, 3, 4, 5].map(address));
    // Who refuses is only noticed by who asks anew.
    world.peer(3).access = AccessAction::Deny;
    world.run(secs(60));
    assert_eq!(members(&world), [1, 4, 5, 6].map(address));
    // The list is used up: the name is asked for again.
    world.names.insert("pool.example.org".to_owned(), (2..=9).map(address).collect());
    world.peer(4).lie = millis(50);
    world.run(secs(900));
    assert_eq!(world.state("pool.example.org (192.0.2.4)"), SourceState::Falseticker);
    world.run(secs(1_000));
    assert_eq!(members(&world), [1, 5, 6, 7].map(address));
    assert_eq!(world.said(|report| matches!(report, Report::Replaced { .. })), 3, "{:?}", world.reports);
    assert_eq!(world.status().following.unwrap().followed, 4);
}

#[test]
fn a_pool_without_a_name_says_so() {
    let mut world = World::new(1, config(vec![named("pool.example.org", Some(4), 0)]));
    world.run(secs(10));
    let source = world.source("pool.example.org");
    assert_eq!((source.kind, source.state), ("pool", SourceState::Unreachable));
    assert!(source.reason.contains("cannot be resolved"), "{}", source.reason);
}
