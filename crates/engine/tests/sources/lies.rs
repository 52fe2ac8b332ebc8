//! Sources that lie: by a lot, slowly, all at once, half of them.

use crate::world::{World, config, micros, millis, ntp, secs};
use sidereal_engine::{EngineConfig, Report, SourceState, Synchronisation};
use sidereal_time::Span;

fn four(poll: i8) -> EngineConfig {
    config((1..=4).map(|n| ntp(n, poll)).collect())
}

fn named_falsetickers(world: &World) -> Vec<&str> {
    let named = world.reports.iter().filter_map(|report| match report {
        Report::Judged { source, state: SourceState::Falseticker, .. } => Some(source.as_str()),
        _ => None,
    });
    named.collect()
}

#[test]
fn a_liar_of_four_is_named_and_never_followed() {
    for lie in [millis(50), millis(-50), secs(3_600), millis(2)] {
        // The liar answers first.
        for forward in [micros(50), micros(300)] {
            let mut world = World::new(4, four(0));
            world.peer(2).lie = lie;
            world.peer(2).forward = forward;
            world.watch(secs(300), millis(100));
            assert!(world.worst < micros(200), "{lie}: {}", world.worst);
            assert_eq!(world.outside, 0);
            assert_eq!(world.state("s2"), SourceState::Falseticker);
            assert_eq!(named_falsetickers(&world), ["s2"], "{:?}", world.reports);
            assert_eq!(world.status().following.unwrap().followed, 3);
            assert_eq!(world.published.unwrap().local.generation, 1);
        }
    }
}

#[test]
fn a_source_that_begins_to_lie_is_cast_out() {
    for lie in [millis(50), secs(100), millis(1)] {
        let mut world = World::new(4, four(0));
        world.run(secs(300));
        world.peer(3).lie = lie;
        world.watch(secs(300), millis(100));
        assert!(world.worst < micros(100), "{lie}: {}", world.worst);
        assert_eq!(world.state("s3"), SourceState::Falseticker);
        assert_eq!(named_falsetickers(&world), ["s3"]);
        world.peer(3).lie = Span::ZERO;
        world.run(secs(100));
        assert!(matches!(world.state("s3"), SourceState::Combined | SourceState::Selected), "{:?}", world.source("s3"));
    }
}

#[test]
fn a_source_that_drifts_away_slowly_pulls_no_further_than_the_majority_admits() {
    let mut world = World::new(4, four(2));
    world.run(secs(300));
    let now = world.tai;
    let peer = world.peer(4);
    // A millisecond in 1000 s.
    (peer.drift_ppb, peer.since) = (1_000, now);
    world.watch(secs(3_000), secs(1));
    assert_eq!(world.state("s4"), SourceState::Falseticker);
    assert!(world.worst < micros(250), "{}", world.worst);
    assert_eq!(world.outside, 0);
}

#[test]
fn half_of_the_sources_lying_leaves_holdover() {
    let mut world = World::new(4, four(0));
    world.run(secs(600));
    for n in [1, 2] {
        world.peer(n).lie = millis(50);
    }
    world.watch(secs(600), secs(1));
    assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
    assert!(world.worst < millis(1), "{}", world.worst);
    assert_eq!(world.outside, 0);
    let following = world.status().following.unwrap();
    assert!(following.failure.as_ref().unwrap().contains("no majority"), "{following:?}");
    assert!(world.reports.iter().any(|report| report.to_string().contains("no majority")), "{:?}", world.reports);
    for n in [1, 2] {
        world.peer(n).lie = Span::ZERO;
    }
    world.run(secs(60));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}

#[test]
fn half_of_the_sources_lying_from_the_start_leaves_nothing() {
    let mut world = World::new(4, four(0));
    for n in [1, 2] {
        world.peer(n).lie = millis(50);
    }
    world.run(secs(120));
    assert_eq!(world.status().synchronisation, Synchronisation::Acquiring);
    assert!((1..=4).all(|n| world.state(&format!("s{n}")) == SourceState::Disputed));
}

#[test]
fn a_liar_that_comes_back_first_is_not_believed() {
    let mut world = World::new(4, four(4));
    world.run(secs(1_800));
    for n in 1..=4 {
        world.peer(n).silent = true;
    }
    world.run(secs(1_800));
    assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
    world.peer(2).lie = millis(50);
    world.peer(2).silent = false;
    world.watch(secs(200), secs(1));
    assert!(world.worst < millis(1), "{}", world.worst);
    let failure = world.status().following.unwrap().failure;
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("1 of 4")), "{failure:?}");
    for n in 1..=4 {
        world.peer(n).silent = false;
    }
    world.watch(secs(300), secs(1));
    assert!(world.worst < millis(1), "{}", world.worst);
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}

#[test]
fn delays_that_explode_or_are_asymmetric_move_nothing() {
    let mut world = World::new(4, four(0));
    world.run(secs(600));
    world.peer(1).forward = millis(80);
    world.peer(2).backward = millis(20);
    world.watch(secs(600), secs(1));
    assert!(world.worst < micros(200), "{}", world.worst);
    assert_eq!(world.outside, 0);
    assert_eq!(world.published.unwrap().local.generation, 1);
}
