//! A worker's judgement of PTP: any frame in, and if a Delay_Resp comes out, it is one that may be sent.
//!
//! The input is one byte of choices and a frame to 10.77.0.1 and fd77::1.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_dataplane::{Framing, NicStamps, PtpJudge, PtpService, PtpTerms, PtpTime, PtpVerdict};
use sidereal_engine::NicClocks;
use sidereal_nic::RxChecksums;
use sidereal_ptp::{
    Body, ClockIdentity, HEADER_LEN, Message, PortIdentity, PortKey, Responder, Responders, SdoId, Transport,
};
use sidereal_time::{ClockModel, Counter, Instant, NtpClock, Rate, Span, Ticks};
use sidereal_wire::{Checksums, check_to_group, classify, ethernet};
use std::net::IpAddr;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CHECKSUMS: [RxChecksums; 3] = [RxChecksums::Unknown, RxChecksums::Good, RxChecksums::Bad];
const NOW: Ticks = Ticks(1 << 30);

fuzz_target!(|input: &[u8]| {
    let Some((choice, frame)) = input.split_first() else { return };
    let ports: Vec<PtpService> = ports().collect();
    let responders = Responders::new(ports.iter().filter(|port| choice >> port.key.0 & 1 != 0).map(responder));
    let local = model();
    let clock = NtpClock::new(&local, 37, None);
    let time =
        PtpTime { local: &local, local_ntp: &clock, realtime_ntp: &clock, nics: &NicClocks::default(), now: NOW };
    let terms = PtpTerms {
        responders: &responders,
        time: (choice & 0x80 != 0).then_some(time),
        nic_stamps: NicStamps::claimed(choice & 0x40 != 0),
    };
    let checksums = CHECKSUMS[usize::from(choice >> 4 & 3) % CHECKSUMS.len()];

    let mut buffer = frame.to_vec();
    buffer.resize(frame.len() + 100, 0);
    match PtpJudge::new(ports).frame(&mut buffer, frame.len(), checksums, None, &terms) {
        Some(PtpVerdict::DelayResp { len, .. }) => check_answer(&buffer[..len]),
        Some(PtpVerdict::Engine(message)) => {
            assert!(message.message.len() >= HEADER_LEN && message.message.end <= frame.len(), "no message");
            assert_eq!(&buffer[..frame.len()], frame, "a frame that is not answered was changed");
        }
        Some(PtpVerdict::Drop(_) | PtpVerdict::Unstamped { .. }) | None => {
            assert_eq!(&buffer[..frame.len()], frame, "a frame that is not answered was changed");
        }
    }
});

/// Whatever the request was, the answer is a whole Delay_Resp, and its headers are right.
fn check_answer(answer: &[u8]) {
    let Some(link) = ethernet(answer) else { panic!("an answer without headers") };
    assert_eq!(link.source, MAC);
    let payload = match classify(answer) {
        Some(headers) => {
            assert_eq!(check_to_group(answer, &headers, Checksums::Verify), Ok(()));
            assert_eq!((headers.source_port, headers.destination_port), (320, 320));
            headers.payload()
        }
        None => link.payload..answer.len(),
    };
    let Ok(message) = Message::parse(&answer[payload]) else { panic!("an answer that is no message") };
    assert!(matches!(message.body, Body::DelayResp { .. }), "{message:?}");
}

fn ports() -> impl Iterator<Item = PtpService> {
    let ipv4: IpAddr = [10, 77, 0, 1].into();
    let ipv6: IpAddr = [0xfd77, 0, 0, 0, 0, 0, 0, 1].into();
    let identity = PortIdentity { clock: ClockIdentity::from_mac(MAC), number: 1 };
    let of = [
        (Transport::UdpIpv4, Some(ipv4), None),
        (Transport::UdpIpv6, Some(ipv6), None),
        (Transport::Ethernet, None, None),
        (Transport::UdpIpv4, Some(ipv4), Some(5)),
    ];
    (0..).zip(of).filter_map(move |(key, (transport, address, vlan))| {
        let framing = Framing::new(transport, MAC, address, vlan)?;
        Some(PtpService { key: PortKey(key), domain: 0, identity, framing })
    })
}

fn responder(port: &PtpService) -> Responder {
    Responder {
        key: port.key,
        identity: port.identity,
        domain: port.domain,
        sdo_id: SdoId::DEFAULT,
        minor_version: 1,
        log_min_delay_req_interval: 0,
        ingress_latency: Span::ZERO,
    }
}

fn model() -> ClockModel {
    ClockModel {
        counter: Counter::MonotonicRaw,
        width: 64,
        reference_ticks: NOW,
        reference: Instant::from_secs(1_767_225_637),
        rate: Rate::NANOSECOND,
        error: Span::ZERO,
        drift_ppb: 0,
        generation: 0,
    }
}
