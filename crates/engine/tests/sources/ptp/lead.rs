//! The host leads, and says no more of its time than it knows.

use crate::lan::{PORT, identity, instance, primary, ptp};
use crate::ptp::NANOS_100;
use crate::world::{World, config, micros, millis, ntp, secs};
use sidereal_engine::{
    ClockReading, EngineConfig, Event, Reference, ReferenceKind, Report, SourceKind, SourceOptions, SourceState,
    Synchronisation, SystemReference,
};
use sidereal_ntp::{LeapIndicator, Poll, ReferenceId, Stratum};
use sidereal_ptp::{
    Action, Body, ClockAccuracy, ClockClass, InstanceOptions, Message, PortKey, PortState, Responders, TimeSource,
};
use sidereal_time::{Instant, LeapTable, Reading, Span, Utc};

#[test]
fn ntp_is_followed_and_ptp_led_with_honest_claims() {
    let mut world = World::new(3, config(vec![ntp(1, 0), ntp(2, 0), ntp(3, 0), ptp(instance())]));
    let follower = world.join(1, primary(NANOS_100), |options| options.slave_only = true);
    world.station(follower).state.can_lead = false;
    world.run(secs(200));
    let status = world.ptp();
    assert_eq!(status.port_ds.port_state, PortState::Master);
    assert_eq!(world.state("lan"), SourceState::Idle);
    assert_eq!(world.status().following.unwrap().followed, 3);
    let quality = status.default_ds.clock_quality;
    assert_eq!(quality.clock_class, ClockClass::DEFAULT);
    assert_eq!(status.time_properties_ds.time_source, TimeSource::NTP);
    assert!(status.time_properties_ds.time_traceable && status.time_properties_ds.current_utc_offset_valid);
    assert_eq!(status.time_properties_ds.current_utc_offset, 37);
    let (claimed, bound) = (quality.clock_accuracy.bound().unwrap(), world.status().error.unwrap());
    assert!(claimed >= bound && bound > micros(200), "{claimed} {bound}");
    // Who follows us finds our time, and not the truth.
    let station = world.station(follower);
    assert_eq!(station.instance().port_state(), PortState::Slave);
    let found = station.found().unwrap();
    let error = world.error();
    assert!((found - error).abs() < micros(1), "{found} {error}");
    assert!(world.lan.responders.of(PORT).is_some());
}

#[test]
fn who_has_no_time_does_not_lead() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    world.run(secs(60));
    assert_eq!(world.lan.sent, 0);
    assert_ne!(world.ptp().port_ds.port_state, PortState::Master);
    assert_eq!(world.lan.responders, Responders::default());
    assert_eq!(world.state("lan"), SourceState::Idle);
}

fn receiver() -> SourceOptions {
    let kind = SourceKind::Reference {
        kind: ReferenceKind::Sampled,
        reference_id: ReferenceId(*b"GPS\0"),
        stratum: 0,
        poll: Poll::new(0).unwrap(),
        delay: NANOS_100,
    };
    SourceOptions { name: "gps".to_owned(), kind, ..ntp(0, 0) }
}

/// Lets `seconds` pass, each of which the receiver shows.
fn receive(world: &mut World, seconds: i64) {
    let source = world.source("gps").id;
    for _ in 0..seconds {
        world.run(secs(1));
        let reading = Reading::new(world.ticks(), world.tai, Span::from_nanos(60));
        world.handle(Event::Sampled { source, reading: ClockReading::Tai(reading), leap: LeapIndicator::None });
    }
}

fn class(world: &World) -> ClockClass {
    world.ptp().default_ds.clock_quality.clock_class
}

#[test]
fn a_primary_reference_is_class_6_and_degrades_as_it_is_lost() {
    for (slave_only, master_only, last) in [
        (false, false, ClockClass::DEGRADED_SLAVE),
        (false, true, ClockClass::DEGRADED_MASTER),
        (true, false, ClockClass::SLAVE_ONLY),
    ] {
        let mut options = InstanceOptions { slave_only, ..instance() };
        options.port.master_only = master_only;
        let mut world = World::new(0, config(vec![receiver(), ptp(options)]));
        receive(&mut world, 120);
        let status = world.ptp();
        let (leads, good) = if slave_only {
            (PortState::Listening, [ClockClass::SLAVE_ONLY; 2])
        } else {
            (PortState::Master, [ClockClass::PRIMARY_REFERENCE, ClockClass::HOLDOVER])
        };
        assert_eq!(status.port_ds.port_state, leads);
        assert_eq!(class(&world), good[0]);
        if !slave_only {
            assert_eq!(status.time_properties_ds.time_source, TimeSource::GNSS);
            let claimed = status.default_ds.clock_quality.clock_accuracy.bound().unwrap();
            assert!(claimed >= world.status().error.unwrap() && claimed < micros(3), "{claimed}");
        }
        // The receiver is gone.
        world.run(secs(90));
        assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
        assert_eq!(class(&world), good[1], "{:?}", world.status().error);
        world.run(secs(3_000));
        assert_eq!(world.status().synchronisation, Synchronisation::Holdover);
        assert_eq!(class(&world), last, "{:?}", world.status().error);
        assert!(!world.ptp().time_properties_ds.time_traceable);
        receive(&mut world, 60);
        assert_eq!(class(&world), good[0]);
    }
}

#[test]
fn a_leap_second_is_announced_twelve_hours_before_and_made() {
    // 2017-01-01 00:00:00 UTC.
    let midnight = Instant::<Utc>::from_secs(1_483_228_800);
    for (before, first, then) in [(secs(43_500), (false, 36), (true, 36)), (secs(300), (true, 36), (false, 37))] {
        let mut world =
            World::at(midnight - before, LeapTable::built_in(), 3, config(vec![ntp(1, 0), ptp(instance())]));
        for (wait, expected) in [(secs(200), first), (secs(120), then)] {
            world.run(wait);
            let time = world.ptp().time_properties_ds;
            assert_eq!((time.leap61, time.current_utc_offset), expected);
            assert!(!time.leap59 && time.current_utc_offset_valid);
        }
    }
}

#[test]
fn a_clock_of_this_domain_does_not_outrank_its_master_and_leads_another() {
    let mut other = InstanceOptions { identity: identity(98), domain: 7, ..instance() };
    other.port.key = PortKey(1);
    let mut second = ptp(other);
    second.name = "other".to_owned();
    let mut world = World::new(0, config(vec![ptp(instance()), second]));
    world.join(1, primary(NANOS_100), |_| {});
    world.run(secs(100));
    let [own, other] = world.engine.ptp().try_into().unwrap();
    assert_eq!((own.port_ds.port_state, other.port_ds.port_state), (PortState::Slave, PortState::Master));
    assert_eq!(own.default_ds.clock_quality.clock_accuracy, ClockAccuracy::UNKNOWN);
    let told = other.time_properties_ds;
    assert_eq!((told.time_source, told.time_traceable, told.frequency_traceable), (TimeSource::PTP, true, true));
    assert!(other.default_ds.clock_quality.clock_accuracy.bound().unwrap() >= world.status().error.unwrap());
}

#[test]
fn the_system_clock_leads_as_what_it_is_said_to_follow() {
    for (stratum, name, class, source) in [
        (1, *b"GPS\0", ClockClass::PRIMARY_REFERENCE, TimeSource::GNSS),
        (2, [192, 0, 2, 1], ClockClass::DEFAULT, TimeSource::NTP),
        (1, *b"LOCL", ClockClass::DEFAULT, TimeSource::OTHER),
    ] {
        let reference = Reference::System(SystemReference {
            stratum: Stratum::from_wire(stratum),
            reference_id: ReferenceId(name),
            root_delay: millis(2),
            root_dispersion: millis(3),
        });
        let mut world = World::new(0, EngineConfig { reference, ..config(vec![ptp(instance())]) });
        world.run(secs(60));
        let status = world.ptp();
        assert_eq!(status.port_ds.port_state, PortState::Master);
        assert_eq!(status.default_ds.clock_quality.clock_class, class);
        assert_eq!(status.time_properties_ds.time_source, source);
        assert!(status.default_ds.clock_quality.clock_accuracy.bound().unwrap() >= millis(4));
    }
}

#[test]
fn a_port_whose_link_is_gone_does_not_lead_until_it_is_back() {
    let mut world = World::new(1, config(vec![ntp(1, 0), ptp(instance())]));
    world.run(secs(60));
    assert_eq!(world.ptp().port_ds.port_state, PortState::Master);
    world.handle(Event::PtpPort { port: PORT, usable: false });
    assert_eq!(world.ptp().port_ds.port_state, PortState::Faulty);
    assert_eq!(world.lan.responders, Responders::default());
    assert_eq!(world.said(|report| matches!(report, Report::PtpPort { state: PortState::Faulty, .. })), 1);
    let sent = world.lan.sent;
    world.run(secs(20));
    assert_eq!(world.lan.sent, sent);
    world.handle(Event::PtpPort { port: PORT, usable: true });
    world.run(secs(20));
    assert_eq!(world.ptp().port_ds.port_state, PortState::Master);
    assert!(world.lan.responders.of(PORT).is_some());
}

#[test]
fn management_of_this_host_is_answered_to_who_asked() {
    let mut world = World::new(0, config(vec![ptp(instance())]));
    // GET of PRIORITY1 for all ports of all clocks.
    let mut ask = vec![0x0d, 0x12, 0, 54, 0, 0, 0, 0];
    ask.resize(20, 0);
    ask.extend([5; 8]);
    ask.extend([0, 1, 0, 9, 4, 0x7f]);
    ask.extend([0xff; 10]);
    ask.extend([1, 1, 0, 0, 0, 1, 0, 2, 0x20, 0x05]);
    let (stated, length) = (u8::try_from(ask.len()).unwrap(), 3);
    ask[length] = stated;
    world.handle(Event::PtpManagement { client: 42, message: &ask });
    let [(42, answer)] = world.lan.answers.as_slice() else { panic!("{:?}", world.lan.answers) };
    let message = Message::parse(answer).unwrap();
    let Body::Management(management) = message.body else { panic!("{message:?}") };
    assert_eq!(management.action, Action::Response);
    assert_eq!(message.header.source.clock, identity(99));
    // Another domain is nobody's.
    ask[4] = 3;
    world.handle(Event::PtpManagement { client: 42, message: &ask });
    assert_eq!(world.lan.answers.len(), 1);
}
