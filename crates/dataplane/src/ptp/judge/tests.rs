//! The ways that are there for speed come to what the thorough one comes to.

use proptest::collection::vec;
use proptest::prelude::*;
use sidereal_engine::NicClocks;
use sidereal_ptp::{ClockIdentity, PortIdentity, Responders, SdoId};
use sidereal_time::{ClockModel, Counter, Instant, NtpClock, Rate, Span, Ticks};

use super::*;
use crate::{Framing, NicStamps, PtpTime};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn framing(transport: Transport, mac: [u8; 6], host: u8, vlan: Option<u16>) -> Framing {
    let address = match transport {
        Transport::UdpIpv4 => Some(IpAddr::from([10, 77, 0, host])),
        Transport::UdpIpv6 => Some(IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, host.into()])),
        Transport::Ethernet => None,
    };
    Framing::new(transport, mac, address, vlan).unwrap()
}

fn judge() -> PtpJudge {
    let ways = [
        (Transport::UdpIpv4, None, 0),
        (Transport::UdpIpv6, None, 0),
        (Transport::Ethernet, None, 0),
        (Transport::UdpIpv4, Some(5), 0),
        (Transport::UdpIpv4, None, 24),
    ];
    let port = |(key, (transport, vlan, domain))| PtpService {
        key: PortKey(key),
        domain,
        identity: PortIdentity { clock: ClockIdentity::from_mac(OURS), number: 1 },
        framing: framing(transport, OURS, 1, vlan),
    };
    PtpJudge::new((0..).zip(ways).map(port).collect())
}

fn model() -> ClockModel {
    ClockModel {
        counter: Counter::MonotonicRaw,
        width: 64,
        reference_ticks: Ticks(5),
        reference: Instant::from_secs(1_767_225_637),
        rate: Rate::NANOSECOND,
        error: Span::ZERO,
        drift_ppb: 0,
        generation: 0,
    }
}

fn transports() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::UdpIpv4), Just(Transport::UdpIpv6), Just(Transport::Ethernet)]
}

/// Frames of messages to groups and to the ports, some bytes changed.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let transport = transports();
    let host = (1..=3_u8).prop_map(|host| match host {
        1 => Destination::Primary,
        2 => Destination::PeerDelay,
        _ => Destination::Unicast(Address::Ip([10, 77, 0, 1].into())),
    });
    let changes = vec((0..100_usize, any::<u8>()), 0..4);
    let message = (any::<u8>(), prop_oneof![Just(0_u8), Just(24)], 30..80_usize);
    (transport, host, prop_oneof![Just(None), Just(Some(5)), Just(Some(6))], changes, message, any::<bool>()).prop_map(
        |(transport, to, vlan, changes, (kind, domain, len), is_event)| {
            let mut message = [0; 80];
            (message[0], message[1], message[4]) = (kind & 0x0f, 0x12, domain);
            let class = if is_event { MessageClass::Event } else { MessageClass::General };
            let mut frame = [0; 200];
            let sender = framing(transport, THEIRS, 2, vlan);
            let len = sender.frame(class, to, Some(OURS), &message[..len], &mut frame).max(14);
            for (at, value) in changes {
                frame[at % len] = value;
            }
            frame[..len].to_vec()
        },
    )
}

proptest! {
    /// What is there for speed comes to the same verdict and the same bytes.
    #[test]
    fn a_delay_req_is_answered_the_same(
        frame in frames(), request in any::<bool>(), unicast in any::<bool>(), over in transports(), leads in vec(any::<bool>(), 5),
        by_nic in any::<bool>(),
    ) {
        let mut frame = frame;
        if request {
            let message = [&[1, 2, 0, 44, 0, 0, if unicast { 4 } else { 0 }][..], &[7; 37]].concat();
            let to = match framing(over, OURS, 1, None).address() {
                address if unicast => Destination::Unicast(address),
                _ => Destination::Primary,
            };
            let mut buffer = [0; 200];
            let len = framing(over, THEIRS, 2, None).frame(MessageClass::Event, to, Some(OURS), &message, &mut buffer);
            frame = buffer[..len].to_vec();
        }
        let judge = judge();
        let responder = |port: &PtpService| Responder {
            key: port.key,
            identity: port.identity,
            domain: port.domain,
            sdo_id: SdoId::DEFAULT,
            minor_version: 1,
            log_min_delay_req_interval: 0,
            ingress_latency: Span::ZERO,
        };
        let leading = judge.ports.iter().zip(leads).filter(|(_, leads)| *leads).map(|(port, _)| responder(port));
        let responders = Responders::new(leading);
        let model = model();
        let clock = NtpClock::new(&model, 37, None);
        let time = PtpTime { local: &model, local_ntp: &clock, realtime_ntp: &clock, nics: &NicClocks::default(), now: model.reference_ticks };
        let terms = PtpTerms { responders: &responders, time: Some(time), nic_stamps: NicStamps::claimed(by_nic) };
        let (mut one, mut other) = (frame.clone(), frame.clone());
        one.resize(frame.len() + 40, 0);
        other.resize(frame.len() + 40, 0);
        let verdict = judge.closer(&mut one, frame.len(), Checksums::Verify, None, &terms);
        let expected = judge.judge(&mut other, frame.len(), Checksums::Verify, None, &terms);
        let expected = match expected {
            Ok(verdict) => Some(verdict),
            Err(Refused::Dropped(reason)) => Some(PtpVerdict::Drop(reason)),
            Err(Refused::NotOurs) => None,
        };
        prop_assert_eq!(format!("{verdict:?}"), format!("{expected:?}"));
        prop_assert_eq!(one, other);
        if verdict.is_some() {
            prop_assert!(may_be_ptp(&frame));
        }
    }

    #[test]
    fn no_frame_is_too_strange(
        frame in prop_oneof![frames(), vec(any::<u8>(), 0..80)], room in 0..60_usize,
    ) {
        let responders = Responders::default();
        let terms = PtpTerms { responders: &responders, time: None, nic_stamps: NicStamps::claimed(true) };
        let mut buffer = frame.clone();
        buffer.resize(frame.len() + room, 0);
        match judge().frame(&mut buffer, frame.len(), RxChecksums::Unknown, None, &terms) {
            Some(PtpVerdict::Engine(message)) => {
                prop_assert!(message.message.len() >= HEADER_LEN && message.message.end <= frame.len());
            }
            Some(PtpVerdict::Drop(_)) | None => {}
            other => prop_assert!(false, "nobody leads, and yet {:?}", other),
        }
        prop_assert_eq!(&buffer[..frame.len()], &frame[..]);
    }
}
