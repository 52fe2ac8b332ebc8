//! Who leads: better clocks, lost ones, liars, loops, storms.

use crate::lab::{Host, MICROSECOND, MILLISECOND, SECOND, World, fast, identity, pair};
use sidereal_ptp::{
    AcceptableMaster, AcceptableMasters, Address, Announce, Bmca, Body, ClockIdentity, ClockQuality, Content,
    Correction, Flags, Header, IgnoreReason, InstanceOptions, MAX_FOREIGN_MASTERS, Message, MessageType, PathTrace,
    PortIdentity, PortState, Profile, Received, SdoId, TimeSource, Timestamp, TlvWriter, Tlvs,
};

/// An Announce of clock `number` of this class, with a path trace.
fn announce(number: u64, clock_class: u8, sequence_id: u16, path: &[ClockIdentity]) -> Vec<u8> {
    let clock = ClockIdentity(number.to_be_bytes());
    let state = crate::lab::state(clock_class);
    let body = Body::Announce(Announce {
        origin_timestamp: Timestamp::ZERO,
        current_utc_offset: 37,
        priority1: 128,
        clock_quality: ClockQuality { ..state.quality },
        priority2: 128,
        grandmaster_identity: clock,
        steps_removed: 0,
        time_source: TimeSource::GNSS,
    });
    let header = Header {
        sdo_id: SdoId::DEFAULT,
        minor_version: 1,
        domain: 0,
        flags: state.time_properties.flags(Flags::NONE),
        correction: Correction::ZERO,
        message_type_specific: [0; 4],
        source: PortIdentity { clock, number: 1 },
        sequence_id,
        control: MessageType::Announce.control(),
        log_interval: 0,
    };
    let mut room = [0; 200];
    let mut tlvs = TlvWriter::new(&mut room);
    if !path.is_empty() {
        PathTrace::write(path.iter().copied(), &mut tlvs).unwrap();
    }
    let mut buffer = [0; 300];
    let len = Message { header, body, tlvs: tlvs.finish() }.write(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

fn address(number: u64) -> Address {
    let [.., a, b, c] = number.to_be_bytes();
    Address::Ip([11, a, b, c].into())
}

#[test]
fn the_best_clock_leads_and_when_it_dies_the_next_one_does() {
    let options = fast();
    let hosts = vec![Host::new(1, 6, &options), Host::new(2, 7, &options), Host::new(3, 248, &options)];
    let mut world = World::new(hosts, 5 * MICROSECOND);
    world.run_until(20 * SECOND);
    // Class 7 never follows: it waits (P1).
    assert_eq!(world.states(), [PortState::Master, PortState::Passive, PortState::Slave]);
    world.hosts[0].is_up = false;
    world.run_until(30 * SECOND);
    assert_eq!(world.states()[1..], [PortState::Master, PortState::Slave]);
    assert_eq!(world.hosts[2].instance.parent_ds().grandmaster_identity, identity(2));
    assert!(world.hosts[2].instance.counts().announce_timeouts > 0);
    world.hosts[0].is_up = true;
    world.run_until(50 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Passive, PortState::Slave]);
    assert_eq!(world.hosts[2].instance.parent_ds().grandmaster_identity, identity(1));
    // It degrades without a word: the others hear of it with the next Announce.
    world.hosts[0].state = crate::lab::state(52);
    world.run_until(55 * SECOND);
    assert_eq!(world.states()[1..], [PortState::Master, PortState::Slave]);
    assert_eq!(world.hosts[2].instance.parent_ds().grandmaster_identity, identity(2));
    world.assert_bounds(2);
}

#[test]
fn who_has_no_time_does_not_lead() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.hosts[0].offset = None;
    world.hosts[1].state.can_lead = false;
    world.run_until(20 * SECOND);
    assert_eq!(world.states(), [PortState::Listening; 2]);
    assert!(world.hosts.iter().all(|host| host.sent.is_empty()));
    world.hosts[0].offset = Some(0);
    world.run_until(40 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Slave]);
    // A leader that loses its time stops at the next decision.
    world.hosts[0].state.can_lead = false;
    world.run_until(42 * SECOND);
    assert_eq!(world.states()[0], PortState::Listening);
    assert!(world.hosts[0].instance.responder().is_none());
}

#[test]
fn slaves_only_never_lead_and_masters_only_never_follow() {
    let (mut slave, mut master) = (fast(), fast());
    slave.slave_only = true;
    master.port.master_only = true;
    let mut world = World::new(vec![Host::new(1, 248, &slave), Host::new(2, 248, &slave)], 5 * MICROSECOND);
    world.run_until(20 * SECOND);
    assert_eq!(world.states(), [PortState::Listening; 2]);
    assert_eq!(world.hosts[0].instance.default_ds().clock_quality.clock_class.0, 255);
    let mut world = World::new(vec![Host::new(1, 6, &fast()), Host::new(2, 248, &master)], 5 * MICROSECOND);
    world.run_until(20 * SECOND);
    assert_eq!(world.states(), [PortState::Master; 2]);
    assert!(world.hosts[1].ignored(IgnoreReason::MasterOnly) > 0);
}

#[test]
fn the_alternate_algorithm_knows_local_priorities() {
    let mut options = InstanceOptions::of(Profile::G8275_1);
    assert_eq!((options.bmca, options.domain), (Bmca::Alternate, 24));
    options.slave_only = true;
    let leader = InstanceOptions { slave_only: false, ..options.clone() };
    let mut world = World::new(vec![Host::new(1, 6, &leader), Host::new(2, 248, &options)], 5 * MICROSECOND);
    world.run_until(10 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Slave]);
    assert!(world.hosts[1].measured.len() > 60);
    world.assert_bounds(1);
}

#[test]
fn the_host_says_whether_the_port_is_calibrated() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.hosts[1].selects = false;
    world.run_until(20 * SECOND);
    assert_eq!(world.states()[1], PortState::Uncalibrated);
    world.hosts[1].selects = true;
    world.run_until(22 * SECOND);
    assert_eq!(world.states()[1], PortState::Slave);
    world.hosts[1].selects = false;
    world.run_until(24 * SECOND);
    assert_eq!(world.states()[1], PortState::Uncalibrated);
}

#[test]
fn a_link_that_goes_and_comes_back_begins_anew() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.run_until(20 * SECOND);
    world.with(1, |instance, now, context| instance.faulty(true, now, context));
    assert_eq!(world.states()[1], PortState::Faulty);
    assert_eq!(world.hosts[1].instance.poll_timeout(), None);
    world.run_until(25 * SECOND);
    assert!(world.hosts[1].ignored(IgnoreReason::PortDown) > 0);
    world.with(1, |instance, now, context| instance.faulty(false, now, context));
    world.run_until(40 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Slave]);
    world.with(1, |instance, now, context| instance.counter_reset(now, context));
    assert_eq!(world.states()[1], PortState::Listening);
    world.run_until(60 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Slave]);
    world.assert_bounds(1);
}

#[test]
fn what_is_announced_is_what_is_true() {
    let mut options = fast();
    (options.path_trace, options.port.minor_version) = (true, 0);
    let mut world = pair(&options, 5 * MICROSECOND);
    world.run_until(10 * SECOND);
    world.hosts[0].state.time_properties.leap61 = true;
    world.run_until(20 * SECOND);
    let (_, _, message) = world.hosts[0].sent(MessageType::Announce).last().unwrap();
    let Body::Announce(announce) = message.body else { panic!() };
    assert_eq!(message.header.minor_version, 0);
    assert!(message.header.flags.has(Flags::LEAP_61) && message.header.flags.has(Flags::PTP_TIMESCALE));
    assert_eq!((announce.current_utc_offset, announce.time_source), (37, TimeSource::GNSS));
    let path = message.tlvs.iter().find_map(|tlv| match tlv.content() {
        Ok(Content::PathTrace(path)) => Some(path.iter().collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(path, Some(vec![identity(1)]));
    assert!(world.hosts[1].instance.time_properties_ds().leap61);
    assert_eq!(world.hosts[1].instance.path_trace(), [identity(1)]);
    // One Announce each second, and eight Syncs.
    let count = |kind| world.hosts[0].sent(kind).filter(|(at, ..)| (10 * SECOND..20 * SECOND).contains(at)).count();
    assert_eq!((count(MessageType::Announce), count(MessageType::Sync), count(MessageType::FollowUp)), (10, 80, 80));
}

#[test]
fn our_own_messages_and_those_of_our_double_are_told_apart() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.run_until(10 * SECOND);
    let (own, other) = (world.hosts[0].address, world.hosts[1].address);
    let (_, _, sync) = world.hosts[0].sent.iter().rfind(|(_, _, bytes)| bytes[0] & 15 == 0).unwrap().clone();
    assert_eq!(world.deliver(0, own, &sync), Received::Ignored(IgnoreReason::Reflected));
    assert_eq!(world.deliver(0, other, &sync), Received::Ignored(IgnoreReason::DuplicateIdentity));
    // To who follows it, a master of the same identity elsewhere is not the master.
    assert_eq!(world.deliver(1, address(9), &sync), Received::Ignored(IgnoreReason::DuplicateIdentity));
    let (_, _, announce) = world.hosts[0].sent.iter().rfind(|(_, _, bytes)| bytes[0] & 15 == 11).unwrap().clone();
    assert_eq!(world.deliver(1, address(9), &announce), Received::Ignored(IgnoreReason::DuplicateIdentity));
    assert_eq!(world.deliver(1, own, &announce), Received::Ignored(IgnoreReason::Duplicate));
}

#[test]
fn what_is_not_for_us_is_named() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.run_until(10 * SECOND);
    let ours = identity(2);
    let ignored = |world: &mut World, bytes: &[u8]| match world.deliver(1, address(5), bytes) {
        Received::Ignored(reason) => reason,
        Received::Accepted => panic!("accepted"),
    };
    let good = announce(5, 248, 1, &[]);
    let changed = |index: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[index] = value;
        bytes
    };
    assert_eq!(ignored(&mut world, &good[..60]), IgnoreReason::Truncated);
    assert_eq!(ignored(&mut world, &changed(1, 1)), IgnoreReason::WrongVersion);
    assert_eq!(ignored(&mut world, &changed(0, 7)), IgnoreReason::UnknownMessageType);
    assert_eq!(ignored(&mut world, &changed(0, 0x1b)), IgnoreReason::WrongSdoId);
    assert_eq!(ignored(&mut world, &changed(4, 1)), IgnoreReason::WrongDomain);
    assert_eq!(ignored(&mut world, &changed(6, 1)), IgnoreReason::AlternateMaster);
    assert_eq!(ignored(&mut world, &changed(62, 255)), IgnoreReason::TooManySteps);
    assert_eq!(ignored(&mut world, &announce(5, 6, 1, &[identity(9), ours])), IgnoreReason::Loop);
    let mut looped = good.clone();
    looped[53..61].copy_from_slice(&ours.0);
    assert_eq!(ignored(&mut world, &looped), IgnoreReason::Loop);
    let of_kind = |kind: u8, len: u8| {
        let mut bytes = changed(0, kind);
        bytes[3] = len;
        bytes
    };
    assert_eq!(ignored(&mut world, &of_kind(0, 64)), IgnoreReason::TlvPastEnd);
    assert_eq!(ignored(&mut world, &of_kind(0, 44)), IgnoreReason::NotOurMaster);
    assert_eq!(ignored(&mut world, &of_kind(9, 54)), IgnoreReason::ForAnother);
    assert_eq!(ignored(&mut world, &of_kind(3, 54)), IgnoreReason::WrongDelayMechanism);
    let counts = world.hosts[1].instance.counts();
    let by_name: std::collections::BTreeMap<_, _> = counts.by_name().collect();
    assert_eq!((by_name["loop"], by_name["wrong_domain"], by_name["not_our_master"]), (2, 1, 1));
    assert!(by_name["received_sync"] > 10 && by_name["accepted"] > 10);
}

#[test]
fn only_acceptable_masters_are_followed() {
    let mut options = fast();
    let port = PortIdentity { clock: identity(2), number: 0xffff };
    options.acceptable_masters = AcceptableMasters::new(vec![AcceptableMaster { port, alternate_priority1: 0 }]);
    let hosts = vec![Host::new(1, 6, &fast()), Host::new(2, 7, &fast()), Host::new(3, 248, &options)];
    let mut world = World::new(hosts, 5 * MICROSECOND);
    world.hosts[1].state.can_lead = true;
    world.run_until(20 * SECOND);
    // The rogue silences the one that is acceptable, but is not followed.
    assert_ne!(world.states()[2], PortState::Slave);
    assert!(world.hosts[2].ignored(IgnoreReason::NotAcceptable) > 0);
    world.hosts[0].is_up = false;
    world.run_until(40 * SECOND);
    assert_eq!(world.states()[1..], [PortState::Master, PortState::Slave]);
}

#[test]
fn a_storm_of_identities_does_not_move_the_one_that_is_followed() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.run_until(20 * SECOND);
    let before = world.hosts[1].measured.len();
    for number in 0..100_000_u64 {
        let bytes = announce(number + 1_000, 6, 1, &[]);
        world.deliver(1, address(number), &bytes);
        if number % 1_000 == 0 {
            let next = world.now + 50 * MILLISECOND;
            world.run_until(next);
        }
    }
    world.run_until(40 * SECOND);
    assert_eq!(world.states(), [PortState::Master, PortState::Slave]);
    assert_eq!(world.hosts[1].instance.parent_ds().grandmaster_identity, identity(1));
    assert!(world.hosts[1].instance.foreign_masters().len() <= MAX_FOREIGN_MASTERS);
    assert!(world.hosts[1].measured.len() > before + 80);
}

#[test]
fn messages_without_tlvs_are_as_long_as_they_must_be() {
    let mut world = pair(&fast(), 5 * MICROSECOND);
    world.run_until(10 * SECOND);
    for (_, _, message) in world.hosts[0].sent(MessageType::Sync).chain(world.hosts[1].sent(MessageType::DelayReq)) {
        assert_eq!(message.tlvs, Tlvs::NONE);
    }
    let lengths: std::collections::BTreeSet<_> =
        world.hosts.iter().flat_map(|host| &host.sent).map(|(_, _, bytes)| (bytes[0] & 15, bytes.len())).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [(0, 44), (1, 44), (8, 44), (9, 54), (11, 64)]);
}
