use core::net::Ipv4Addr;

use proptest::prelude::*;
use sidereal_ntp::{Poll, SystemVariables};
use sidereal_ptp::{Correction, NTP_DOMAIN, NTP_PREFIX_LEN};
use sidereal_time::{Counter, Instant, NtpTimestamp, Rate};

use super::*;

const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -28 };
const SYSTEM: SystemVariables = SystemVariables::UNSYNCHRONISED;
const SECOND: u64 = 1_000_000_000;

fn server() -> SocketAddr {
    (Ipv4Addr::new(10, 77, 0, 1), 319).into()
}

/// Calls `speak` with a context.
fn with<R>(speak: impl FnOnce(&mut Context<'_>) -> R) -> R {
    let mut random = || 0x5a5a_5a5a_5a5a_5a5a;
    let pivot = Instant::from_secs(1_800_000_000);
    speak(&mut Context { clock: &LOCAL, system: &SYSTEM, time: None, pivot, random: &mut random })
}

/// One that is asked by PTP, and what it was asked first.
fn asked() -> (Remote, Packet) {
    let poll = Poll::new(0).unwrap_or(Poll::MIN);
    let options = AssociationOptions {
        over_ptp: Some(NTP_DOMAIN),
        iburst: false,
        min_poll: poll,
        max_poll: poll,
        ..AssociationOptions::default()
    };
    let mut remote = with(|context| Remote::at(&options, server(), Ticks(SECOND), context));
    let packet = with(|context| remote.poll_transmit(&LOCAL, Ticks(9 * SECOND), context)).expect("a question");
    let left = Arrived { ticks: Ticks(9 * SECOND), source: StampSource::Hardware };
    remote.transmitted(packet.incarnation, packet.sequence, Some(left));
    (remote, packet)
}

/// What a server of stratum 1 answers, on whose way transparent clocks kept both messages `kept`.
fn answer(question: &[u8], kept: Span) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[8..16].copy_from_slice(&Correction::from_span(kept).0.to_be_bytes());
    let ntp = &mut answer[NTP_PREFIX_LEN..];
    ntp[..4].copy_from_slice(&[0x24, 1, 0, (-25_i8).cast_unsigned()]);
    ntp[12..16].copy_from_slice(b"GPS\0");
    let nonce = <[u8; 8]>::try_from(&ntp[40..48]).expect("a nonce");
    let now = NtpTimestamp::from_utc(Instant::from_secs(1_800_000_000));
    for (at, time) in [(24, nonce), (32, now.to_be_bytes()), (40, now.to_be_bytes())] {
        ntp[at..at + 8].copy_from_slice(&time);
    }
    ntp[52..60].copy_from_slice(&NtpTimestamp::UNKNOWN.after(kept).to_be_bytes());
    answer
}

fn receive(remote: &mut Remote, message: &[u8]) {
    let arrival = Arrived { ticks: Ticks(9 * SECOND + 1_000_000), source: StampSource::Hardware };
    let now = Ticks(9 * SECOND + 2_000_000);
    with(|context| remote.receive(server(), message, (arrival, Span::ZERO), now, context));
}

#[test]
fn what_ptp_carries_is_asked_from_its_port_and_corrected() {
    let (mut remote, packet) = asked();
    assert_eq!((packet.from, packet.to), (Endpoint::PtpEvent, server()));
    assert!(NtpCarrier::carries(&packet.payload));
    let kept = Span::from_nanos(200_000);
    receive(&mut remote, &answer(&packet.payload, kept));
    let measured = remote.poll_measured().expect("a measurement");
    // Of a round trip of 1 ms, 400 us were spent in switches, of which 100 ppm are not believed.
    let delay = measured.reading.window();
    assert!((delay - Span::from_nanos(600_040)).abs() < Span::from_nanos(2), "{delay}");
    assert!(remote.counts().contains(&("measured_corrected", 1)), "{:?}", remote.counts());
}

#[test]
fn what_carries_nothing_for_us_is_counted() {
    let (mut remote, packet) = asked();
    let whole = answer(&packet.payload, Span::ZERO);
    for (at, value, name) in
        [(4, 9, "over_ptp_other_domain"), (6, 0, "over_ptp_not_unicast"), (50, 1, "over_ptp_no_ntp")]
    {
        let mut message = whole.clone();
        message[at] = value;
        receive(&mut remote, &message);
        assert!(remote.counts().contains(&(name, 1)), "{name}: {:?}", remote.counts());
        assert_eq!(remote.last_ignored(), Some(name));
    }
    // Plain NTP is no answer by PTP.
    receive(&mut remote, &whole[NTP_PREFIX_LEN..]);
    assert!(remote.counts().contains(&("over_ptp_no_ntp", 2)), "{:?}", remote.counts());
    assert!(remote.poll_measured().is_none());
}

proptest! {
    #[test]
    fn any_message_is_taken_or_counted(changes in proptest::collection::vec((0_usize..140, any::<u8>()), 0..6), len in 0_usize..140) {
        let (mut remote, packet) = asked();
        let mut message = answer(&packet.payload, Span::from_nanos(1000));
        for (at, value) in changes {
            let len = message.len();
            message[at % len] = value;
        }
        message.truncate(len.max(1));
        receive(&mut remote, &message);
        let heard: u64 = remote.counts().iter().filter(|(name, _)| *name == "received" || name.starts_with("over_ptp_")).map(|(_, n)| n).sum();
        prop_assert_eq!(heard, 1);
    }
}
