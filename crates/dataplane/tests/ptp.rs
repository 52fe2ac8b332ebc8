//! A worker on a simulated NIC whose port carries PTP: what it answers, hands to the engine, sends for it, drops and counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, their helpers too")]

mod messages;
mod rig;

use messages::{CLIENT, Way, delay_req, message};
use rig::{Rig, SERVER_CLOCK, ptp_port, snapshot_at};
use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Count, PtpService, SNAPSHOT_STALE_S};
use sidereal_nic::{RxStamps, Stamped, TxStamps};
use sidereal_nic_sim::{SimOptions, StampFaults};
use sidereal_ptp::{
    Address, Body, Destination, MAX_MESSAGE_LEN, Message, MessageClass, MessageType, PortIdentity, PortKey, Responder,
    Responders, SdoId, Transport,
};
use sidereal_time::{ClockId, Counter, Instant, PtpTimestamp, Span, StampSource, Tai, Ticks};

/// A NIC that stamps nothing.
fn without_stamps() -> SimOptions {
    SimOptions {
        rx_stamps: RxStamps::Software,
        tx_stamps: TxStamps::Software,
        counter: Counter::MonotonicRaw,
        ..SimOptions::default()
    }
}

/// Ports over everything, one in domain 24, one on VLAN 5.
fn ports() -> Vec<PtpService> {
    vec![
        ptp_port(0, 0, Transport::UdpIpv4, None),
        ptp_port(1, 0, Transport::UdpIpv6, None),
        ptp_port(2, 24, Transport::Ethernet, None),
        ptp_port(3, 0, Transport::UdpIpv4, Some(5)),
        ptp_port(4, 0, Transport::Ethernet, Some(5)),
    ]
}

/// How messages come to each of [`ports`], and in which domain.
const WAYS: [(Way, u8); 5] =
    [(Way::Ipv4, 0), (Way::Ipv6, 0), (Way::Ethernet, 24), (Way::Ipv4Vlan5, 0), (Way::EthernetVlan5, 0)];

/// A rig all of whose ports lead.
fn leading(options: &SimOptions) -> Rig {
    lead(Rig::carrying(options, ports()))
}

/// The same, on a NIC that is said to stamp event messages.
fn stamping(options: &SimOptions) -> Rig {
    lead(Rig::stamping(options, ports()))
}

fn lead(mut rig: Rig) -> Rig {
    let responders = ports().into_iter().map(|port| Responder {
        key: port.key,
        identity: port.identity,
        domain: port.domain,
        sdo_id: SdoId::DEFAULT,
        minor_version: 1,
        log_min_delay_req_interval: -4,
        ingress_latency: Span::ZERO,
    });
    rig.responders.replace(Responders::new(responders));
    rig
}

fn drops(rig: &Rig) -> Vec<(&'static str, u64)> {
    rig.counters.read().drops().filter(|&(_, n)| n > 0).map(|(reason, n)| (reason.name(), n)).collect()
}

/// The Delay_Resp in `frame`, and when it says that the request arrived.
fn delay_resp(way: Way, frame: &[u8]) -> (Message<'_>, Instant<Tai>) {
    let message = Message::parse(way.message(frame)).unwrap();
    let Body::DelayResp { receive_timestamp, requesting } = message.body else { panic!("{message:?}") };
    assert_eq!(requesting, CLIENT);
    (message, PtpTimestamp::try_from(receive_timestamp).unwrap().to_tai())
}

#[test]
fn a_delay_req_is_answered_by_the_way_that_it_came() {
    let mut rig = leading(&without_stamps());
    for (way, domain) in WAYS {
        for unicast in [false, true] {
            let request = way.request(&delay_req(domain, 77, unicast), unicast);
            let before = LocalCounter::MonotonicRaw.now();
            let model = snapshot_at(before);
            rig.snapshot.publish(&model);
            let reply = rig.ask(&request).unwrap_or_else(|| panic!("{way:?}: no answer"));
            let after = LocalCounter::MonotonicRaw.now();
            way.check_answer(&reply, unicast);
            let (message, received) = delay_resp(way, &reply);
            assert_eq!((message.header.sequence_id, message.header.domain), (77, domain));
            assert_eq!(message.header.source, PortIdentity { clock: SERVER_CLOCK, number: 1 });
            let (earliest, latest) = (model.local.reference, model.local.instant(after));
            assert!((earliest..=latest).contains(&received), "{received} is not between {earliest} and {latest}");
        }
    }
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::DelayResponses), reading.count(Count::Sent)), (10, 10));
    assert_eq!((drops(&rig), reading.count(Count::ToKernel)), (vec![], 0));
}

#[test]
fn the_receive_timestamp_is_the_ports_stamp() {
    // The local counter's stamps, and the kernel's: its clock agrees with the rig's snapshot.
    for (counter, rx_stamps) in
        [(Counter::MonotonicRaw, RxStamps::Hardware(Stamped::All)), (Counter::Realtime, RxStamps::Kernel)]
    {
        let mut rig = leading(&SimOptions { counter, rx_stamps, ..SimOptions::default() });
        let now = LocalCounter::MonotonicRaw.now();
        rig.snapshot.publish(&snapshot_at(now));
        // 30 ms before the snapshot's reference.
        let ago = 30_000_000;
        let reference = if counter == Counter::Realtime { 1_767_225_601_000_000_000 } else { now.0 };
        rig.control.set_ticks(Ticks(reference - ago));
        let reply = rig.ask(&Way::Ipv4.request(&delay_req(0, 1, false), false)).unwrap();
        let (_, received) = delay_resp(Way::Ipv4, &reply);
        let expected = Instant::from_secs(1_767_225_601 + 37) - Span::from_nanos(ago.into());
        assert!((received - expected).abs() <= Span::from_nanos(1), "{counter:?}: {received}, not {expected}");
    }
}

#[test]
fn a_stamp_of_the_kernel_that_cannot_be_is_not_believed() {
    let kernel = SimOptions { counter: Counter::Realtime, rx_stamps: RxStamps::Kernel, ..SimOptions::default() };
    let mut rig = leading(&kernel);
    rig.control.set_ticks(Ticks(1_767_225_701_000_000_000));
    let reply = rig.ask(&Way::Ipv4.request(&delay_req(0, 1, false), false)).unwrap();
    let (_, received) = delay_resp(Way::Ipv4, &reply);
    let off = received - Instant::from_secs(1_767_225_601 + 37);
    assert!(off >= Span::ZERO && off < Span::from_secs(60), "{off}");
}

/// Another time is not put in its place: it would be of another clock.
#[test]
fn what_a_nic_should_have_stamped_and_did_not_has_no_time_of_arrival() {
    let unknown = SimOptions { counter: Counter::Nic(ClockId(1)), ..SimOptions::default() };
    for options in [unknown, without_stamps()] {
        let mut rig = stamping(&options);
        let request = Way::Ipv4.request(&delay_req(0, 1, false), false);
        assert_eq!(rig.ask(&request), None);
        assert_eq!(drops(&rig), [("ptp_delay_req_unstamped", 1)]);
        let sync = message(MessageType::Sync, 0, 44);
        assert_eq!(rig.ask(&Way::Ipv4.frame(MessageType::Sync, &sync, false)), None);
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let frame = rig.engine.receive(&mut buffer).unwrap();
        assert!(frame.by_nic, "{frame:?}");
    }
}

#[test]
fn a_nic_that_turns_out_to_stamp_nothing_is_done_without() {
    let mut rig = stamping(&without_stamps());
    let request = Way::Ipv4.request(&delay_req(0, 1, false), false);
    let answers = (0..100).filter(|_| rig.ask(&request).is_some()).count();
    assert!((80..100).contains(&answers), "{answers}");
    let mut answered = || rig.engine.take_answered().collect::<Vec<_>>();
    assert_eq!(answered(), [(PortKey(0), answers as u64)]);
    assert_eq!(answered(), [], "each is told once");
}

#[test]
fn who_does_not_lead_or_know_the_time_does_not_answer() {
    let mut rig = leading(&without_stamps());
    let request = Way::Ipv4.request(&delay_req(0, 1, false), false);
    let now = LocalCounter::MonotonicRaw.now();
    let old = Ticks(now.0.wrapping_sub((SNAPSHOT_STALE_S as u64 + 1) * 1_000_000_000));
    rig.snapshot.publish(&snapshot_at(old));
    assert_eq!(rig.ask(&request), None);
    rig.snapshot.publish(&snapshot_at(now));
    assert!(rig.ask(&request).is_some());
    rig.responders.replace(Responders::default());
    assert_eq!(rig.ask(&request), None);
    assert_eq!(drops(&rig), [("ptp_not_leading", 1), ("ptp_stale_clock", 1)]);
}

#[test]
fn everything_else_goes_to_the_engine() {
    let options = SimOptions { counter: Counter::MonotonicRaw, ticks: Ticks(4711), ..SimOptions::default() };
    let mut rig = leading(&options);
    let mut buffer = [0; MAX_MESSAGE_LEN];
    for (port, (way, domain)) in ports().iter().zip(WAYS) {
        for kind in MessageType::ALL.into_iter().filter(|kind| *kind != MessageType::DelayReq) {
            for unicast in [false, true] {
                let mut sent = message(kind, domain, 64);
                sent[44..54].copy_from_slice(&port.identity.to_be_bytes());
                assert_eq!(rig.ask(&way.frame(kind, &sent, unicast)), None);
                let heard = rig.engine.receive(&mut buffer).unwrap_or_else(|| panic!("{way:?}: no {}", kind.name()));
                assert_eq!((heard.key, heard.from, &buffer[..heard.len]), (port.key, way.client(), &sent[..]));
                let stamp = heard.stamp.unwrap();
                assert_eq!((stamp.ticks, stamp.source), (Ticks(4711), StampSource::Hardware));
                let passed = LocalCounter::MonotonicRaw.now().0.wrapping_sub(heard.found.0);
                assert!(passed < 60_000_000_000, "found at {:?}", heard.found);
            }
        }
    }
    assert_eq!(rig.engine.receive(&mut buffer), None);
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::ToEngine), reading.count(Count::EngineRingFull)), (5 * 9 * 2, 0));
    assert_eq!((drops(&rig), reading.count(Count::ToKernel)), (vec![], 0));
}

#[test]
fn what_nobody_here_wants_is_dropped_by_name() {
    let mut rig = leading(&without_stamps());
    let way = Way::Ipv4;
    let sync = message(MessageType::Sync, 0, 44);
    let changed = |at: usize, value: u8| {
        let mut changed = sync.clone();
        changed[at] = value;
        changed
    };
    let general = |message: &[u8]| way.frame(MessageType::Announce, message, false);
    let event = |message: &[u8]| way.frame(MessageType::Sync, message, false);
    let mut own = delay_req(0, 1, false);
    own[20..30].copy_from_slice(&ports()[0].identity.to_be_bytes());
    let mut other_sdo = delay_req(0, 1, false);
    other_sdo[5] = 1;
    let mut bad_sum = event(&sync);
    bad_sum[60] ^= 1;
    let mut from_us = Way::Ethernet.frame(MessageType::Sync, &message(MessageType::Sync, 24, 44), false);
    from_us[6..12].copy_from_slice(&rig::SERVER_MAC);
    let mut from_group = Way::Ethernet.frame(MessageType::Sync, &message(MessageType::Sync, 24, 44), false);
    from_group[6] |= 1;
    for frame in [
        event(&sync[..33]),
        general(&message(MessageType::Announce, 0, MAX_MESSAGE_LEN + 1)),
        event(&changed(1, 0x01)),
        general(&sync),
        event(&message(MessageType::Announce, 0, 64)),
        event(&changed(4, 1)),
        Way::Ethernet.frame(MessageType::Sync, &sync, false),
        general(&message(MessageType::DelayResp, 0, 54)),
        event(&own),
        event(&other_sdo),
        bad_sum,
        from_us,
        from_group,
    ] {
        assert_eq!(rig.ask(&frame), None);
    }
    assert_eq!(
        drops(&rig),
        [
            ("source_group", 1),
            ("udp_checksum", 1),
            ("own_address", 1),
            ("ptp_too_short", 1),
            ("ptp_too_long", 1),
            ("ptp_version", 1),
            ("ptp_wrong_port", 2),
            ("ptp_other_domain", 2),
            ("ptp_for_another", 1),
            ("ptp_wrong_sdo_id", 1),
            ("ptp_reflected", 1),
        ]
    );
    assert_eq!(rig.engine.receive(&mut [0; MAX_MESSAGE_LEN]), None);
}

#[test]
fn ptp_that_the_port_does_not_carry_is_the_kernels() {
    let mut without = Rig::new(&without_stamps());
    let mut ipv4_only = Rig::carrying(&without_stamps(), vec![ptp_port(0, 0, Transport::UdpIpv4, None)]);
    for (way, domain) in WAYS {
        let frame = way.frame(MessageType::Sync, &message(MessageType::Sync, domain, 44), false);
        assert_eq!(without.ask(&frame), None);
        assert_eq!(ipv4_only.ask(&frame), None);
    }
    let elsewhere = |mut frame: Vec<u8>| {
        frame[33] = 99;
        frame[40..42].fill(0);
        let sum = sidereal_wire::checksum(&[&frame[14..24], &frame[26..34]].concat());
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    assert_eq!(ipv4_only.ask(&elsewhere(Way::Ipv4.request(&delay_req(0, 1, true), true))), None);
    let counts = |rig: &Rig| (rig.counters.read().count(Count::ToKernel), rig.counters.read().count(Count::ToEngine));
    assert_eq!((counts(&without), counts(&ipv4_only)), ((5, 0), (5, 1)));
    assert_eq!((drops(&without), drops(&ipv4_only)), (vec![], vec![]));
}

#[test]
fn the_engines_messages_leave_and_their_stamps_come_back_once() {
    let mut rig = leading(&SimOptions { counter: Counter::Realtime, ..SimOptions::default() });
    rig.control.set_ticks(Ticks(99));
    let sync = message(MessageType::Sync, 0, 44);
    let announce = message(MessageType::Announce, 0, 64);
    for (port, (way, _)) in ports().iter().zip(WAYS) {
        for to in [Destination::Primary, Destination::PeerDelay] {
            for (class, sent, packet) in
                [(MessageClass::Event, &sync, Some(u64::MAX)), (MessageClass::General, &announce, None)]
            {
                assert!(rig.engine.send(port.key, class, to, sent, packet));
                assert_eq!(rig.worker.turn(), 1);
                let frame = rig.taken().unwrap();
                way.check_sent(&frame, class, to);
                let (ours, rest) = way.message(&frame).split_at(sent.len());
                assert_eq!(ours, sent);
                let trailer = if way == Way::Ipv6 && class == MessageClass::Event { &[0, 0][..] } else { &[] };
                assert_eq!(rest, trailer);
                let stamp = rig.engine.poll_stamp();
                assert_eq!(stamp.map(|(packet, _)| packet), packet);
                if let Some((_, stamp)) = stamp {
                    assert_eq!(stamp.map(|stamp| stamp.ticks), Some(Ticks(99)));
                }
                assert_eq!(rig.engine.poll_stamp(), None);
            }
        }
    }
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::FromEngine), reading.count(Count::StampsTaken)), (20, 10));
    assert!(!rig.engine.send(PortKey(9), MessageClass::Event, Destination::Primary, &sync, None), "no such port");
    let too_long = vec![0; MAX_MESSAGE_LEN + 100];
    assert!(!rig.engine.send(PortKey(0), MessageClass::General, Destination::Primary, &too_long, None));
}

#[test]
fn one_host_is_reached_by_the_way_that_it_is_heard_by() {
    let mut rig = leading(&without_stamps());
    let mut buffer = [0; MAX_MESSAGE_LEN];
    let question = delay_req(0, 5, true);
    for way in [Way::Ipv4, Way::Ipv6] {
        let key = PortKey(u16::from(way == Way::Ipv6));
        let to = Destination::Unicast(way.client());
        let sync = way.frame(MessageType::Sync, &message(MessageType::Sync, 0, 44), false);
        assert!(!rig.engine.send(key, MessageClass::Event, to, &question, Some(1)), "nobody has been heard");
        assert_eq!(rig.ask(&sync), None);
        assert!(rig.engine.receive(&mut buffer).is_some());
        assert!(rig.engine.send(key, MessageClass::Event, to, &question, Some(2)));
        rig.worker.turn();
        way.check_sent(&rig.taken().unwrap(), MessageClass::Event, to);
        assert_eq!(rig.engine.poll_stamp().map(|(packet, _)| packet), Some(2));
    }
    let link = Destination::Unicast(Address::Link([2, 0, 0, 0, 0, 2]));
    assert!(rig.engine.send(PortKey(2), MessageClass::Event, link, &question, None));
    rig.worker.turn();
    Way::Ethernet.check_sent(&rig.taken().unwrap(), MessageClass::Event, link);
    assert!(!rig.engine.send(PortKey(0), MessageClass::Event, link, &question, None), "no MAC addresses over UDP");
}

#[test]
fn lost_stamps_come_back_as_lost() {
    let faults = StampFaults { lost_percent: 100, ..StampFaults::default() };
    let mut rig = leading(&SimOptions { counter: Counter::Realtime, stamp_faults: faults, ..SimOptions::default() });
    let sync = message(MessageType::Sync, 0, 44);
    assert!(rig.engine.send(PortKey(0), MessageClass::Event, Destination::Primary, &sync, Some(3)));
    rig.worker.turn();
    assert_eq!(rig.engine.poll_stamp(), Some((3, None)));
    // A link that is down takes nothing; the stamp is lost too.
    rig.control.set_link(false);
    assert!(rig.engine.send(PortKey(0), MessageClass::Event, Destination::Primary, &sync, Some(4)));
    rig.worker.turn();
    assert_eq!(rig.engine.poll_stamp(), Some((4, None)));
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::StampsLost), reading.count(Count::Refused)), (2, 1));
}

#[test]
fn stamps_of_ntp_and_ptp_are_told_apart() {
    let mut rig = leading(&SimOptions { counter: Counter::Realtime, ..SimOptions::default() });
    rig.control.set_ticks(Ticks(1_767_225_601_000_000_000));
    let sync = message(MessageType::Sync, 0, 44);
    for round in 0..200_u64 {
        let mut request = rig::message(round + 1);
        request[24..32].fill(7);
        request[32..40].fill(8);
        assert!(rig.engine.send(PortKey(0), MessageClass::Event, Destination::Primary, &sync, Some(round)));
        assert!(rig.ask(&rig::frame("10.77.0.2:4000", &request)).is_some());
        assert!(rig.taken().is_some(), "the Sync");
        assert_eq!(rig.engine.poll_stamp().map(|(packet, stamp)| (packet, stamp.is_some())), Some((round, true)));
        assert_eq!(rig.engine.poll_stamp(), None);
    }
    assert_eq!(rig.counters.read().count(Count::StampsTaken), 400);
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut rig = leading(&without_stamps());
    let sync = message(MessageType::Sync, 0, 44);
    let mut buffer = [0; 2048];
    let send = |rig: &mut Rig, packet| {
        rig.engine.send(PortKey(0), MessageClass::Event, Destination::Primary, &sync, Some(packet))
    };
    for round in 0..3 {
        let mut taken = 0;
        while send(&mut rig, taken) {
            taken += 1;
            assert!(taken < 10_000, "there is no end");
        }
        assert!(taken >= 64, "only {taken} in round {round}");
        while rig.worker.turn() > 0 {
            while rig.client.take(&mut buffer).is_some() {}
        }
        for packet in 0..taken {
            assert_eq!(rig.engine.poll_stamp().map(|(packet, _)| packet), Some(packet));
        }
        assert_eq!(rig.engine.poll_stamp(), None);
    }
}

#[test]
fn a_flood_of_announce_is_bounded_and_counted() {
    let mut rig = leading(&without_stamps());
    let announce = Way::Ipv4.frame(MessageType::Announce, &message(MessageType::Announce, 0, 64), false);
    let mut buffer = [0; 2048];
    let begun = std::time::Instant::now();
    for _ in 0..50_000 {
        assert_eq!(rig.ask(&announce), None);
    }
    let passed = begun.elapsed().as_secs_f64();
    let reading = rig.counters.read();
    let full = reading.count(Count::EngineRingFull);
    let too_many = drops(&rig);
    assert!(full > 0, "the ring takes all");
    let [("ptp_too_many", too_many)] = too_many[..] else { panic!("{too_many:?}") };
    let handed = reading.count(Count::ToEngine);
    assert_eq!(handed + full + too_many, 50_000);
    assert!(((handed + full) as f64) < 1024.0 + 17_000.0 * passed, "{handed} and {full} in {passed} s");
    let mut received = 0;
    while rig.engine.receive(&mut buffer).is_some() {
        received += 1;
    }
    assert_eq!(received, handed);
    // NTP is served meanwhile.
    assert!(rig.ask(&rig::request("10.77.0.2:4000", 1)).is_some());
}
