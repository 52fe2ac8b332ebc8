//! A worker on a simulated NIC: what it answers, hands on, drops and counts.

mod rig;

use rig::{Rig, frame, message, request, snapshot_at};
use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{Count, SNAPSHOT_STALE_S};
use sidereal_nic::{RxStamps, Stamped, TxStamps};
use sidereal_nic_sim::{SimOptions, StampFaults};
use sidereal_ntp::{AccessAction, AccessRule, AccessTable, Header, Mode, PeerTable, Policy, Stratum};
use sidereal_time::{Counter, Span, Ticks};

/// A NIC that stamps nothing.
fn without_stamps() -> SimOptions {
    SimOptions {
        rx_stamps: RxStamps::Software,
        tx_stamps: TxStamps::Software,
        counter: Counter::MonotonicRaw,
        ..SimOptions::default()
    }
}

fn drops(rig: &Rig) -> Vec<(&'static str, u64)> {
    rig.counters.read().drops().filter(|&(_, n)| n > 0).map(|(reason, n)| (reason.name(), n)).collect()
}

#[test]
fn a_request_is_turned_into_its_reply() {
    let mut rig = Rig::new(&without_stamps());
    for (source, ip) in [("10.77.0.2:4000", 14 + 20 + 8), ("[fd77::2]:4000", 14 + 40 + 8)] {
        let reply = rig.ask(&request(source, 0x0123_4567_89ab_cdef)).expect("a reply");
        let headers = sidereal_wire::classify(&reply).expect("a UDP frame");
        assert_eq!(sidereal_wire::check(&reply, &headers, sidereal_wire::Checksums::Verify), Ok(()));
        assert_eq!((headers.source_port, headers.destination_port), (123, 4000));
        let header = Header::of(&reply[ip..]).expect("an NTP header");
        assert_eq!(header.mode(), Mode::Server);
        assert_eq!(header.stratum_byte(), 1);
        assert_eq!(header.origin().to_bits(), 0x0123_4567_89ab_cdef);
        assert!(!header.receive().is_unknown());
        assert!(header.transmit().since(header.receive()).as_nanos_rounded() >= 0);
    }
    let reading = rig.counters.read();
    assert_eq!(reading.count(Count::Received), 2);
    assert_eq!(reading.count(Count::Sent), 2);
    assert_eq!(reading.replies().find(|(kind, _)| kind.name() == "basic").map(|(_, n)| n), Some(2));
}

#[test]
fn the_receive_timestamp_is_the_ports_stamp() {
    let options = SimOptions {
        counter: Counter::Realtime,
        ticks: Ticks(1_767_225_600_500_000_000),
        rx_stamps: RxStamps::Kernel,
        ..SimOptions::default()
    };
    let mut rig = Rig::new(&options);
    let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
    let header = Header::of(&reply[42..]).expect("an NTP header");
    // The server keeps the last bit to itself, to tell receive from transmit timestamps.
    let expected = (1_767_225_600 + 2_208_988_800) << 32 | 1 << 31;
    assert!(header.receive().to_bits().abs_diff(expected) <= 1, "{:x}", header.receive().to_bits());
}

#[test]
fn a_nics_stamp_of_the_beginning_is_moved_to_the_end() {
    for (rx_stamps, moved_ns) in [
        (RxStamps::Hardware(Stamped::All), (90 + 4) * 8),
        (RxStamps::Latch(1, Stamped::All), (90 + 4) * 8),
        (RxStamps::Kernel, 0),
    ] {
        let options = SimOptions { counter: Counter::MonotonicRaw, rx_stamps, ..SimOptions::default() };
        let mut rig = Rig::new(&options);
        let now = LocalCounter::MonotonicRaw.now();
        let snapshot = snapshot_at(now);
        rig.snapshot.publish(&snapshot);
        let began = Ticks(now.0 - 1_000_000);
        rig.control.set_ticks(began);
        let of = |reply: Vec<u8>| {
            Header::of(&reply[42..]).expect("an NTP header").receive().since(snapshot.local_ntp.at(began))
        };
        let near = |a: Span, ns| {
            assert!((a - Span::from_nanos(ns)).abs() < Span::from_nanos(2), "{rx_stamps:?}: {a}, not {ns} ns")
        };
        near(of(rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply")), 0);
        rig.speed.set(1000);
        near(of(rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply")), moved_ns);
    }
}

#[test]
fn what_is_not_ours_goes_to_the_kernel_and_back() {
    let mut rig = Rig::new(&without_stamps());
    let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2], &[0x08, 0x06], &[0; 28]].concat();
    assert_eq!(rig.ask(&arp), None);
    let mut buffer = [0; 2048];
    assert_eq!(rig.for_kernel.pop(&mut buffer).map(|len| buffer[..len].to_vec()), Some(arp.clone()));
    assert!(rig.of_kernel.push(&arp));
    assert_eq!(rig.worker.turn(), 1);
    assert_eq!(rig.taken(), Some(arp));

    let mut other_port = request("10.77.0.2:4000", 1);
    other_port[36..38].copy_from_slice(&80u16.to_be_bytes());
    assert_eq!(rig.ask(&other_port), None);
    let mut other_address = request("10.77.0.2:4000", 1);
    other_address[33] = 9;
    assert_eq!(rig.ask(&other_address), None);
    let mut tagged = request("10.77.0.2:4000", 1);
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x06]);
    assert_eq!(rig.ask(&tagged), None);
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::ToKernel), reading.count(Count::FromKernel)), (4, 1));
    assert_eq!(drops(&rig), []);
}

#[test]
fn a_configured_vlan_is_served_with_its_tag() {
    let mut rig = Rig::new(&without_stamps());
    let mut tagged = request("10.77.0.2:4000", 1);
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let reply = rig.ask(&tagged).expect("a reply");
    assert_eq!(reply[12..16], [0x81, 0x00, 0x00, 0x05]);
}

#[test]
fn bad_packets_are_dropped_by_name() {
    let mut rig = Rig::new(&without_stamps());
    let good = request("10.77.0.2:4000", 1);
    let mut bad_sum = good.clone();
    bad_sum[60] ^= 1;
    let mut truncated = good.clone();
    truncated.truncate(80);
    let mut broadcast = good.clone();
    broadcast[..6].fill(0xff);
    for bad in [
        bad_sum,
        truncated,
        broadcast,
        request("10.77.0.1:4000", 1),
        request("10.77.0.2:0", 1),
        frame("10.77.0.2:123", &[0x24; 48]),
        frame("10.77.0.2:123", &[0x23; 47]),
    ] {
        assert_eq!(rig.ask(&bad), None);
    }
    assert_eq!(
        drops(&rig),
        [
            ("truncated_frame", 1),
            ("source_port_zero", 1),
            ("destination_group", 1),
            ("udp_checksum", 1),
            ("own_address", 1),
            ("ntp_too_short", 1),
            ("ntp_response", 1),
        ]
    );
}

#[test]
fn a_reply_is_never_answered() {
    let mut rig = Rig::new(&without_stamps());
    let mut reply = rig.ask(&request("10.77.0.2:123", 1)).expect("a reply");
    // Play it back as if another server had sent it.
    let headers = sidereal_wire::classify(&reply).expect("a UDP frame");
    let len = headers.payload().len();
    assert_eq!(sidereal_wire::turn_around(&mut reply, &headers, len), reply.len());
    assert_eq!(rig.ask(&reply), None);
    assert_eq!(drops(&rig), [("ntp_response", 1)]);
}

#[test]
fn an_interleaved_client_gets_the_time_its_last_reply_left() {
    let options = SimOptions { counter: Counter::Realtime, tx_stamps: TxStamps::Kernel, ..SimOptions::default() };
    let mut rig = Rig::new(&options);
    rig.control.set_ticks(Ticks(1_767_225_601_000_000_000));
    let mut last_receive = [0; 8];
    let mut kinds = Vec::new();
    for round in 0..4u8 {
        let mut message = message(u64::from(round) + 1);
        if round > 0 {
            message[24..32].copy_from_slice(&last_receive);
            message[32..40].copy_from_slice(&[round; 8]);
        }
        rig.control.advance(1_000_000);
        let left_after = rig.control.ticks();
        let reply = rig.ask(&frame("10.77.0.2:4000", &message)).expect("a reply");
        rig.worker.turn();
        let header = Header::of(&reply[42..]).expect("an NTP header");
        last_receive = header.receive().to_be_bytes();
        let interleaved = header.origin().to_be_bytes() == [round; 8] && round > 0;
        if interleaved {
            // The reply before left a millisecond ago, as the simulated NIC stamped it.
            let age = header.receive().since(header.transmit());
            assert_eq!(age.as_nanos_rounded(), 1_000_000, "at {left_after:?}");
        }
        kinds.push(interleaved);
    }
    // The first request has no origin, so its reply is not remembered; the second is answered in basic mode and is.
    assert_eq!(kinds, [false, false, true, true]);
    assert_eq!(rig.counters.read().count(Count::StampsTaken), 3);
}

#[test]
fn lost_stamps_are_counted_and_answered_in_basic_mode() {
    let faults = StampFaults { lost_percent: 100, ..StampFaults::default() };
    let options = SimOptions { counter: Counter::Realtime, stamp_faults: faults, ..SimOptions::default() };
    let mut rig = Rig::new(&options);
    let mut last_receive = [9; 8];
    for round in 1..=4u8 {
        let mut message = message(round.into());
        message[24..32].copy_from_slice(&last_receive);
        message[32..40].copy_from_slice(&[round; 8]);
        let reply = rig.ask(&frame("10.77.0.2:4000", &message)).expect("a reply");
        rig.worker.turn();
        let header = Header::of(&reply[42..]).expect("an NTP header");
        last_receive = header.receive().to_be_bytes();
        assert_eq!(header.origin().to_bits(), u64::from(round));
    }
    assert_eq!(rig.counters.read().count(Count::StampsLost), 4);
}

#[test]
fn an_old_snapshot_is_not_believed() {
    let mut rig = Rig::new(&without_stamps());
    let now = LocalCounter::MonotonicRaw.now();
    let old = Ticks(now.0.wrapping_sub((SNAPSHOT_STALE_S as u64 + 1) * 1_000_000_000));
    rig.snapshot.publish(&snapshot_at(old));
    let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
    assert_eq!(reply[42] >> 6, 3, "leap indicator says unsynchronised");
    assert_eq!(reply[43], Stratum::UNSYNCHRONISED.to_wire());
    assert_eq!(rig.counters.read().count(Count::StaleBursts), 1);
    rig.snapshot.publish(&snapshot_at(now));
    let reply = rig.ask(&request("10.77.0.2:4000", 1)).expect("a reply");
    assert_eq!((reply[42] >> 6, reply[43]), (0, 1));
}

#[test]
fn a_new_policy_holds_from_the_next_burst_on() {
    let mut rig = Rig::new(&without_stamps());
    assert!(rig.ask(&request("10.77.0.2:4000", 1)).is_some());
    let rule = AccessRule { action: AccessAction::Drop, require_key: false };
    let access = AccessTable::new([("10.77.0.0/24".parse().unwrap(), rule)]);
    rig.policy.replace(Policy { access, ..rig::policy() });
    assert_eq!(rig.ask(&request("10.77.0.2:4000", 1)), None);
    assert_eq!(drops(&rig), [("ntp_access", 1)]);
    rig.policy.replace(rig::policy());
    assert!(rig.ask(&request("10.77.0.2:4000", 1)).is_some());
}

#[test]
fn what_peers_say_as_peers_goes_to_the_kernel() {
    let mut rig = Rig::new(&without_stamps());
    let peers = PeerTable::new(["10.77.0.9", "fd77::9"].map(|peer| peer.parse().unwrap()));
    rig.policy.replace(Policy { peers, ..rig::policy() });
    let mut buffer = [0; 2048];
    for mode in [1, 2, 5] {
        for peer in ["10.77.0.9:123", "[fd77::9]:123"] {
            // Whether it carries a MAC is for the association to see.
            for len in [48, 68] {
                let mut payload = [0; 68];
                payload[0] = 0x20 | mode;
                let sent = frame(peer, &payload[..len]);
                assert_eq!(rig.ask(&sent), None);
                let taken = rig.for_kernel.pop(&mut buffer).map(|len| buffer[..len].to_vec());
                assert_eq!(taken, Some(sent), "mode {mode} of {peer}");
            }
        }
    }
    // Broadcasts come to everybody.
    let mut broadcast = frame("10.77.0.9:123", &[0x25; 48]);
    broadcast[..6].fill(0xff);
    assert_eq!(rig.ask(&broadcast), None);
    assert_eq!(rig.for_kernel.pop(&mut buffer).map(|len| buffer[..len].to_vec()), Some(broadcast));
    assert_eq!((rig.counters.read().count(Count::ToKernel), drops(&rig)), (13, vec![]));

    // A peer that asks as a client is one, and others are no peers.
    assert!(rig.ask(&request("10.77.0.9:4000", 1)).is_some());
    for mode in [1, 2, 5] {
        let mut payload = [0; 48];
        payload[0] = 0x20 | mode;
        assert_eq!(rig.ask(&frame("10.77.0.8:123", &payload)), None);
    }
    assert_eq!(rig.for_kernel.pop(&mut buffer), None);
    assert_eq!(drops(&rig), [("ntp_symmetric_unauthenticated", 1), ("ntp_symmetric_passive", 1), ("ntp_broadcast", 1)]);
}

#[test]
fn a_dead_link_refuses_and_recovers() {
    let mut rig = Rig::new(&without_stamps());
    assert!(rig.client.send(&request("10.77.0.2:4000", 1)));
    rig.control.set_link(false);
    rig.worker.turn();
    assert_eq!(rig.counters.read().count(Count::Refused), 1);
    rig.control.set_link(true);
    assert!(rig.ask(&request("10.77.0.2:4000", 1)).is_some());
}

#[test]
fn residence_is_recorded_once_per_reply() {
    let mut rig = Rig::new(&without_stamps());
    for round in 0..100 {
        assert!(rig.ask(&request("10.77.0.2:4000", round)).is_some());
    }
    for _ in 0..3 {
        rig.residence.read();
        rig.worker.turn();
    }
    assert_eq!(rig.residence.read().len(), 100);
}
