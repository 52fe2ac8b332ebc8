//! Sources found, followed, lost and found again.

use crate::world::{World, config, micros, millis, ntp, secs};
use sidereal_engine::{EngineConfig, Event, Report, SavedFault, SourceState, Synchronisation};
use sidereal_ntp::{AccessAction, KissCode, LeapIndicator, ReferenceId, Stratum};
use sidereal_servo::TrackerState;
use sidereal_time::{NtpShort, Span};

fn four() -> EngineConfig {
    config((1..=4).map(|n| ntp(n, 0)).collect())
}

#[test]
fn one_server_is_found_at_once_and_followed() {
    let mut world = World::new(1, config(vec![ntp(1, 0)]));
    world.run(secs(1));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    world.run(secs(120));
    world.watch(secs(600), millis(500));
    assert!(world.worst < micros(20), "{}", world.worst);
    assert_eq!(world.outside, 0);
    let system = world.published.unwrap().system;
    assert_eq!((system.leap, system.stratum.number()), (LeapIndicator::None, 2));
    assert_eq!(system.reference_id, ReferenceId([192, 0, 2, 1]));
    let distance = system.root_delay.as_span().half() + system.root_dispersion.as_span();
    assert!(distance >= world.status().error.unwrap() && distance < millis(1), "{distance}");
    assert_eq!(world.state("s1"), SourceState::Selected);
    assert!(matches!(world.reports[..], [Report::Followed { .. }]), "{:?}", world.reports);
    let frequency = world.status().following.unwrap().frequency_ppm.unwrap();
    assert!((frequency - 12.0).abs() < 0.1, "{frequency}");
    let source = world.source("s1");
    assert_eq!((source.reach, source.poll, source.mode), (0xff, 0, Some("client")));
    assert!(source.offset.unwrap().abs() < micros(40) && source.delay.unwrap() >= micros(400));
}

#[test]
fn answers_that_are_stamped_at_their_beginning_count_from_their_end() {
    let mut world = World::new(1, config(vec![ntp(1, 0)]));
    world.peer(1).reception = micros(150);
    world.run(secs(120));
    world.watch(secs(60), millis(500));
    assert!(world.worst < micros(20), "{}", world.worst);
    assert!(world.source("s1").delay.unwrap() >= micros(400));
}

#[test]
fn stamps_of_the_system_clock_are_told_right_although_it_is_wrong() {
    let mut world = World::new(1, config(vec![ntp(1, 0)]));
    world.run(secs(30));
    for _ in 0..200 {
        world.run(millis(137));
        let (local, realtime) = world.told();
        // The clock is 3 ms off and drifts by 5 ppm; what is told by it is as good as what the counter tells.
        assert!(local.abs() < micros(20) && (realtime - local).abs() < micros(1), "{local} {realtime}");
    }
    assert!(world.reads < 4 * 60, "{}", world.reads);
}

#[test]
fn a_lost_source_is_held_over_and_taken_back() {
    let mut world = World::new(1, config(vec![ntp(1, 2)]));
    world.run(secs(900));
    world.peer(1).silent = true;
    let before = world.status().error.unwrap();
    world.watch(secs(1_200), secs(1));
    let status = world.status();
    assert_eq!(status.synchronisation, Synchronisation::Holdover);
    assert!(status.error.unwrap() > before && world.outside == 0);
    assert!(world.worst < micros(50), "{}", world.worst);
    assert_eq!(world.state("s1"), SourceState::Unreachable);
    let system = world.published.unwrap().system;
    assert_eq!(system.stratum.number(), 2);
    assert!(world.reports.iter().any(|report| matches!(report, Report::Holdover { .. })), "{:?}", world.reports);
    assert!(world.reports.iter().any(|report| {
        matches!(report, Report::Judged { source, state: SourceState::Unreachable, .. } if source == "s1")
    }));
    world.peer(1).silent = false;
    world.run(secs(200));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
    assert_eq!(world.said(|report| matches!(report, Report::Followed { .. })), 2);
    assert_eq!(world.published.unwrap().local.generation, 1);
}

#[test]
fn holdover_ends_when_policy_says_so() {
    let mut options = config(vec![ntp(1, 0)]);
    options.servo.holdover_limit = secs(600);
    let mut world = World::new(1, options);
    world.run(secs(300));
    world.peer(1).silent = true;
    world.run(secs(500));
    assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
    world.run(secs(200));
    assert_eq!(world.status().synchronisation, Synchronisation::Lost);
    assert_eq!(world.published.unwrap().system.stratum, Stratum::UNSYNCHRONISED);
    assert!(world.reports.iter().any(|report| matches!(report, Report::Unsynchronised { .. })));
    world.peer(1).silent = false;
    world.run(secs(100));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}

#[test]
fn a_source_that_refuses_is_no_longer_asked() {
    let mut world = World::new(2, config(vec![ntp(1, 0), ntp(2, 0)]));
    world.peer(2).access = AccessAction::Deny;
    world.run(secs(60));
    assert!(world.peer(2).asked <= 2, "{}", world.peer(2).asked);
    assert_eq!(world.said(|r| matches!(r, Report::Kissed { source, code: KissCode::Deny } if source == "s2")), 1);
    assert!(world.source("s2").reason.contains("refuses"), "{}", world.source("s2").reason);
    assert_eq!(world.state("s1"), SourceState::Selected);
}

#[test]
fn servers_that_do_not_know_the_time_or_have_it_from_us_are_not_followed() {
    let mut world = World::new(4, four());
    world.peer(2).system.leap = LeapIndicator::Unknown;
    world.peer(3).system.stratum = Stratum::new(3).unwrap();
    world.peer(3).system.reference_id = ReferenceId([198, 51, 100, 1]);
    world.peer(4).system.root_dispersion = NtpShort::from_span_rounded_up(secs(2));
    world.run(secs(60));
    assert_eq!(world.state("s1"), SourceState::Selected);
    assert_eq!(world.state("s2"), SourceState::Unsynchronised);
    assert_eq!(world.state("s3"), SourceState::Loop);
    assert_eq!(world.state("s4"), SourceState::Distant);
}

#[test]
fn what_was_learned_is_saved_and_used() {
    let mut world = World::new(1, config(vec![ntp(1, 0)]));
    world.run(secs(3_700));
    let hourly = world.saved.take().unwrap();
    assert!((hourly.counter_hertz / 1e9 - 1.0 - 12e-6).abs() < 1e-8, "{hourly:?}");
    world.handle(Event::Stop);
    let saved = world.saved.take().unwrap();
    let mut again = World::new(1, EngineConfig { saved: Some(saved.clone()), ..config(vec![ntp(1, 0)]) });
    again.run(secs(2));
    again.watch(secs(10), millis(100));
    assert!(again.worst < micros(60), "{}", again.worst);
    let frequency = again.status().following.unwrap().frequency_ppm.unwrap();
    assert!((frequency - 12.0).abs() < 1.0, "{frequency}");
    let garbage = sidereal_engine::Saved { counter_hertz: 7.0, ..saved };
    let mut world = World::new(1, EngineConfig { saved: Some(garbage), ..config(vec![ntp(1, 0)]) });
    world.run(secs(5));
    assert!(matches!(world.reports[0], Report::SavedIgnored { fault: SavedFault::OtherFrequency }));
    assert_eq!(world.status().synchronisation, Synchronisation::Synchronised);
}

#[test]
fn a_reload_keeps_what_is_still_there() {
    let mut world = World::new(4, config(vec![ntp(1, 0), ntp(2, 0)]));
    world.run(secs(400));
    let asked = world.peer(1).asked;
    let before = (world.source("s1").id, world.published.unwrap().local.generation);
    world.handle(Event::Configuration(Box::new(config(vec![ntp(3, 0), ntp(1, 0)]))));
    assert_eq!(world.source("s1").id, before.0);
    assert!(world.saved.is_some());
    world.watch(secs(20), millis(100));
    // No burst for the one that stayed, one for the one that is new.
    assert!(world.peer(1).asked - asked <= 22, "{}", world.peer(1).asked - asked);
    assert!(world.worst < micros(40), "{}", world.worst);
    assert_eq!(world.published.unwrap().local.generation, before.1);
    assert!(world.engine.sources(world.ticks()).iter().all(|source| source.name != "s2"));
    assert_eq!(world.status().following.unwrap().state, TrackerState::Locked);
}

#[test]
fn a_change_of_source_moves_nothing() {
    let mut world = World::new(2, config(vec![ntp(1, 0), ntp(2, 0)]));
    // The second is a millisecond off, within what its distance admits.
    world.peer(2).lie = millis(1);
    world.peer(2).system.root_dispersion = NtpShort::from_span_rounded_up(millis(3));
    world.run(secs(300));
    world.peer(1).silent = true;
    let mut last = world.error();
    for _ in 0..600 {
        world.run(secs(1));
        let next = world.error();
        assert!((next - last).abs() < micros(510), "{}", next - last);
        last = next;
    }
    assert_eq!(world.published.unwrap().local.generation, 1);
    assert_eq!(world.said(|report| matches!(report, Report::Following { source, .. } if source == "s2")), 1);
    assert_eq!(world.state("s2"), SourceState::Selected);
    assert!(world.error() > Span::ZERO);
}
