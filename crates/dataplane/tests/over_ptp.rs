//! A worker whose port carries PTP, and NTP in it (RFC 10030): what it answers, and what it leaves to PTP and to the kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, their helpers too")]

mod messages;
mod rig;

use core::net::{IpAddr, SocketAddr};
use messages::{Way, delay_req};
use rig::{KEYS, Rig, SERVER, SERVER6, ptp_port, snapshot_at};
use sidereal_cpu::LocalCounter;
use sidereal_dataplane::Count;
use sidereal_nic::{RxStamps, Stamped, TxStamps};
use sidereal_nic_sim::SimOptions;
use sidereal_ntp::client::Request;
use sidereal_ntp::{
    AccessAction, AccessRule, AccessTable, HEADER_LEN, Header, Key, KeyId, KeyTable, Mode, Policy, RateLimit,
    RateLimitOptions,
};
use sidereal_ptp::{ClockIdentity, Correction, NTP_DOMAIN, NTP_PREFIX_LEN, NtpCarrier, PortIdentity, Transport};
use sidereal_time::{Counter, NtpTimestamp, Span, Ticks};
use sidereal_wire::build::UdpFrame;

const CLIENT: NtpCarrier =
    NtpCarrier { domain: NTP_DOMAIN, source: PortIdentity { clock: ClockIdentity([9; 8]), number: 1 } };

fn without_stamps() -> SimOptions {
    SimOptions {
        rx_stamps: RxStamps::Software,
        tx_stamps: TxStamps::Software,
        counter: Counter::MonotonicRaw,
        ..SimOptions::default()
    }
}

/// A worker that also leads PTP in domain 0.
fn rig(options: &SimOptions, serves: bool) -> Rig {
    Rig::over_ptp(options, rig::over_ptp(serves), vec![ptp_port(0, 0, Transport::UdpIpv4, None)])
}

fn key(number: u32) -> Key {
    KeyTable::parse(KEYS).unwrap().get(KeyId::new(number).unwrap()).unwrap().clone()
}

/// A request with the Network Correction field, carried by PTP.
fn request(nonce: u64, key: Option<&Key>) -> Vec<u8> {
    let mut ntp = [0; 160];
    let request = Request { network_correction: true, ..Request::basic(NtpTimestamp::from_bits(nonce)) };
    let len = request.write(key, &mut ntp).unwrap();
    let mut message = [0; 300];
    let len = CLIENT.wrap(7, &ntp[..len], &mut message).unwrap();
    message[..len].to_vec()
}

/// `message` as a frame from `source` to the server's port of event messages.
fn frame(source: &str, message: &[u8]) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let server: IpAddr = if source.is_ipv4() { SERVER.parse().unwrap() } else { SERVER6.parse().unwrap() };
    to(SocketAddr::new(server, 319), source, message)
}

fn to(destination: SocketAddr, source: SocketAddr, message: &[u8]) -> Vec<u8> {
    let addresses = UdpFrame { source_mac: [2, 0, 0, 0, 0, 2], destination_mac: rig::SERVER_MAC, source, destination };
    let mut buffer = vec![0; 2048];
    let len = addresses.write(message, &mut buffer);
    assert!(len > 0);
    buffer.truncate(len);
    buffer
}

/// The PTP message in a frame that is as it should be, to port 319.
fn message_of(frame: &[u8]) -> &[u8] {
    let headers = sidereal_wire::classify(frame).unwrap();
    assert_eq!(sidereal_wire::check(frame, &headers, sidereal_wire::Checksums::Verify), Ok(()));
    assert_eq!((headers.source_port, headers.destination_port), (319, 319));
    &frame[headers.payload()]
}

fn drops(rig: &Rig) -> Vec<(&'static str, u64)> {
    rig.counters.read().drops().filter(|&(_, n)| n > 0).map(|(reason, n)| (reason.name(), n)).collect()
}

#[test]
fn a_carried_request_is_answered_as_any_other() {
    let mut rig = rig(&without_stamps(), true);
    for (source, key) in [("10.77.0.2:319", None), ("[fd77::2]:319", None), ("10.77.0.2:319", Some(key(4)))] {
        let asked = request(0x0123_4567_89ab_cdef, key.as_ref());
        let reply = rig.ask(&frame(source, &asked)).unwrap();
        let message = message_of(&reply);
        assert_eq!(message.len(), asked.len());
        let carried = CLIENT.unwrap(message).unwrap();
        assert_eq!(carried.correction, Correction::ZERO);
        let ntp = &message[carried.ntp];
        let expected =
            Request { network_correction: true, ..Request::basic(NtpTimestamp::from_bits(0x0123_4567_89ab_cdef)) };
        let answer = expected.check(ntp, key.as_ref()).unwrap();
        // No transparent clock, and no stamp of the beginning.
        assert_eq!(answer.network_correction, Some(Span::ZERO));
    }
    let reading = rig.counters.read();
    assert_eq!((reading.count(Count::RepliesOverPtp), reading.count(Count::Sent)), (3, 3));
    assert_eq!((drops(&rig), reading.count(Count::ToKernel)), (vec![], 0));
    assert_eq!(reading.replies().map(|(_, n)| n).sum::<u64>(), 3);
}

#[test]
fn a_stamp_of_the_beginning_is_moved_to_the_end_and_corrections_are_told() {
    let options = SimOptions {
        counter: Counter::MonotonicRaw,
        rx_stamps: RxStamps::Hardware(Stamped::All),
        ..SimOptions::default()
    };
    let mut rig = rig(&options, true);
    let now = LocalCounter::MonotonicRaw.now();
    let snapshot = snapshot_at(now);
    rig.snapshot.publish(&snapshot);
    rig.control.set_ticks(Ticks(now.0 - 1_000_000));
    let mut asked = request(1, None);
    // Switches say that they kept it 50 us.
    asked[8..16].copy_from_slice(&Correction::from_span(Span::from_nanos(50_000)).0.to_be_bytes());
    let reply = rig.ask(&frame("10.77.0.2:319", &asked)).unwrap();
    let message = message_of(&reply);
    let carried = CLIENT.unwrap(message).unwrap();
    let answer = Request::basic(NtpTimestamp::from_bits(1)).check(&message[carried.ntp], None).unwrap();
    // A gigabit takes 8 ns for each byte, and its check sequence.
    let reception = Span::from_nanos(8 * i128::try_from(reply.len() + 4).unwrap());
    let near = |a: Span, b: Span| assert!((a - b).abs() < Span::from_nanos(2), "{a}, not {b}");
    near(answer.network_correction.unwrap(), Span::from_nanos(50_000) + reception);
    near(answer.receive.since(snapshot.local_ntp.at(Ticks(now.0 - 1_000_000))), reception);
}

#[test]
fn interleaved_mode_access_and_limits_hold_for_carried_requests() {
    let mut rig = rig(&SimOptions { counter: Counter::MonotonicRaw, ..SimOptions::default() }, true);
    rig.snapshot.publish(&snapshot_at(LocalCounter::MonotonicRaw.now()));
    let ask = |rig: &mut Rig, last: NtpTimestamp| {
        let request = Request::interleaved(last, NtpTimestamp::from_bits(5), NtpTimestamp::from_bits(6));
        let mut ntp = [0; HEADER_LEN];
        request.write(None, &mut ntp).unwrap();
        let mut message = [0; 200];
        let len = CLIENT.wrap(0, &ntp, &mut message).unwrap();
        let reply = rig.ask(&frame("10.77.0.2:319", &message[..len])).unwrap();
        rig.worker.turn();
        let message = message_of(&reply);
        request.check(&message[CLIENT.unwrap(message).unwrap().ntp], None).unwrap()
    };
    let first = ask(&mut rig, NtpTimestamp::from_bits(1));
    let second = ask(&mut rig, first.receive);
    assert!(!first.interleaved && second.interleaved);

    let rule =
        |action| AccessTable::new([("10.77.0.0/24".parse().unwrap(), AccessRule { action, require_key: false })]);
    rig.policy.replace(Policy { access: rule(AccessAction::Drop), ..rig::policy() });
    assert_eq!(rig.ask(&frame("10.77.0.2:319", &request(1, None))), None);
    assert_eq!(drops(&rig), [("ntp_access", 1)]);
    let options =
        RateLimitOptions { requests_per_second: 1, burst: 1, ipv4_prefix: 32, ipv6_prefix: 64, kiss_of_death: false };
    let rate_limit = Some(RateLimit::new(&options, 1_000_000_000).unwrap());
    rig.policy.replace(Policy { rate_limit, ..rig::policy() });
    let answered = (0..5).filter(|_| rig.ask(&frame("10.77.0.3:319", &request(1, None))).is_some()).count();
    assert_eq!(answered, 1);
    assert!(drops(&rig).contains(&("ntp_rate_limited", 4)));
}

#[test]
fn what_is_not_for_us_is_left_to_ptp_and_to_the_kernel() {
    let mut rig = rig(&without_stamps(), true);
    let ntp = request(1, None);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = ntp.clone();
        change(&mut message);
        frame("10.77.0.2:319", &message)
    };
    // Broken, and counted as that.
    for (change, reason) in [
        (&(|message: &mut Vec<u8>| message[6] = 0) as &dyn Fn(&mut Vec<u8>), "over_ptp_not_unicast"),
        (&|message| message[5] = 1, "over_ptp_other_sdo_id"),
        (&|message| message[3] += 4, "over_ptp_length"),
        (&|message| message[NTP_PREFIX_LEN] = 0x2b, "ntp_unknown_version"),
    ] {
        assert_eq!(rig.ask(&changed(change)), None);
        assert!(drops(&rig).contains(&(reason, 1)), "{reason}: {:?}", drops(&rig));
    }
    // To a group: PTP's own, which knows no such domain.
    let group = to("224.0.1.129:319".parse().unwrap(), "10.77.0.2:319".parse().unwrap(), &ntp);
    assert_eq!(rig.ask(&group), None);
    assert_eq!(rig.ask(&changed(&|message| message[4] = 9)), None);
    assert!(drops(&rig).contains(&("ptp_other_domain", 2)), "{:?}", drops(&rig));
    // From ourselves.
    assert_eq!(
        rig.ask(&to(format!("{SERVER}:319").parse().unwrap(), format!("{SERVER}:319").parse().unwrap(), &ntp)),
        None
    );
    assert!(drops(&rig).contains(&("own_address", 1)));
    // An answer to an association of ours: the kernel has its socket.
    assert_eq!(rig.ask(&changed(&|message| message[NTP_PREFIX_LEN] = 0x24)), None);
    assert_eq!(rig.counters.read().count(Count::ToKernel), 1);
    // PTP itself.
    assert_eq!(rig.ask(&Way::Ipv4.request(&delay_req(0, 77, false), false)), None);
    assert!(drops(&rig).contains(&("ptp_not_leading", 1)));
    assert_eq!(rig.counters.read().count(Count::RepliesOverPtp), 0);
}

#[test]
fn who_only_asks_answers_nobody() {
    let mut rig = rig(&without_stamps(), false);
    assert_eq!(rig.ask(&frame("10.77.0.2:319", &request(1, None))), None);
    assert_eq!(rig.counters.read().count(Count::ToKernel), 1);
    let ordinary = rig.ask(&rig::request("10.77.0.2:4000", 3)).unwrap();
    assert_eq!(Header::of(&ordinary[42..]).unwrap().mode(), Mode::Server);
}
