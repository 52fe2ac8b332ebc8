//! NTP that PTP carries: any frame to the port of PTP's event messages, judged by a worker that answers such, and any message
//! for an association that asks so.
//!
//! The input is one byte of choices and a frame to 10.77.0.1 and fd77::1, or the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_dataplane::{Judge, LinkSpeed, OverPtp, Service, Terms, Verdict};
use sidereal_nic::RxChecksums;
use sidereal_ntp::{
    Association, AssociationOptions, Carriage, Context, KeyTable, Moment, Policy, ReplyHeader, Server, ServerLimits,
    SystemVariables,
};
use sidereal_ptp::{ClockIdentity, Correction, NTP_DOMAIN, NTP_PREFIX_LEN, NtpCarrier, PortIdentity};
use sidereal_time::{Arrived, Counter, Instant, LocalClock, NtpTimestamp, Rate, Span, StampSource, Ticks};
use sidereal_wire::{Checksums, check, classify};

const KEYS: &str = "1 MD5 HEX:0102030405060708090A0B0C0D0E0F10\n4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";
const CARRIER: NtpCarrier =
    NtpCarrier { domain: NTP_DOMAIN, source: PortIdentity { clock: ClockIdentity([7; 8]), number: 1 } };
const LOCAL: LocalClock =
    LocalClock { counter: Counter::MonotonicRaw, width: 64, rate: Rate::NANOSECOND, precision: -28 };

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice & 1 == 0 { judge(*choice, rest) } else { associate(*choice, rest) }
});

/// A frame that is answered is a message that carries NTP, no longer than its question, which nobody answers again.
fn judge(choice: u8, frame: &[u8]) {
    let addresses = vec![[10, 77, 0, 1].into(), [0xfd77, 0, 0, 0, 0, 0, 0, 1].into()];
    let link = LinkSpeed::of(u32::from(choice) * 10);
    let over_ptp = Some(OverPtp { carrier: CARRIER, serves: choice & 2 == 0, link });
    let service = Service { addresses, ntp_port: 123, vlans: vec![5], smear: None, over_ptp };
    let limits = ServerLimits { interleaved_clients: 8, rate_limit_prefixes: 8, secret: [1, 2] };
    let mut judge = Judge::new(service, Server::new(&limits));
    let keys = KeyTable::parse(KEYS).unwrap_or_default();
    let policy = Policy { keys, interleaved: choice & 4 != 0, ..Policy::default() };
    let header = ReplyHeader::new(&SystemVariables::UNSYNCHRONISED);
    let receive = (NtpTimestamp::from_bits(1 << 40), (choice & 8 != 0).then_some(StampSource::Hardware));
    let moment = Moment { header, transmit: NtpTimestamp::from_bits((1 << 40) + (1 << 20)) };
    let terms = Terms { now: Ticks(1 << 30), moment, policy: &policy };
    let checksums = if choice & 16 != 0 { RxChecksums::Good } else { RxChecksums::Unknown };

    let mut buffer = frame.to_vec();
    buffer.resize(frame.len() + 100, 0);
    let verdict = judge.over_ptp(&mut buffer, frame.len(), checksums, receive, &terms);
    let Some(Verdict::Reply { len, .. }) = verdict else {
        assert_eq!(&buffer[..frame.len()], frame, "a frame that is not answered was changed");
        return;
    };
    assert!(choice & 2 == 0 && len <= frame.len(), "a reply longer than its request");
    let Some(headers) = classify(&buffer[..len]) else { panic!("a reply without headers") };
    assert_eq!(check(&buffer[..len], &headers, Checksums::Verify), Ok(()));
    assert_eq!(headers.source_port, 319);
    let Some(message) = buffer.get(headers.payload()) else { panic!("a reply without a message") };
    assert!(NtpCarrier::carries(message));
    let Ok(carried) = CARRIER.unwrap(message) else { panic!("a reply that is broken") };
    assert_eq!((carried.correction, carried.len), (Correction::ZERO, message.len()));
    let again = judge.over_ptp(&mut buffer, len, RxChecksums::Unknown, receive, &terms);
    assert!(!matches!(again, Some(Verdict::Reply { .. })), "a reply was answered");
}

/// An association takes whatever it is told, and what it measures is within its own bound of what it could be.
fn associate(choice: u8, message: &[u8]) {
    let mut random = || 0x5a5a_5a5a_5a5a_5a5a;
    let system = SystemVariables::UNSYNCHRONISED;
    let mut context =
        Context { clock: &LOCAL, system: &system, time: None, pivot: Instant::from_secs(1 << 31), random: &mut random };
    let options = AssociationOptions {
        over_ptp: Some(NTP_DOMAIN),
        interleaved: choice & 2 != 0,
        iburst: false,
        ..AssociationOptions::default()
    };
    let mut association = Association::new(&options, Ticks(1 << 40), &mut context);
    let mut buffer = [0; sidereal_ntp::MAX_MESSAGE_LEN];
    let Some(asked) = association.poll_transmit(Ticks(1 << 41), &mut context, &mut buffer) else { return };
    association.transmitted(asked.sequence, Some(Ticks(1 << 41)), StampSource::Hardware);
    let mut answer = message.to_vec();
    if choice & 4 != 0 && answer.len() >= NTP_PREFIX_LEN + 48 {
        // What carries and answers, so that more than the first check is passed.
        let mut whole = [0; NTP_PREFIX_LEN];
        if CARRIER.wrap(0, &[], &mut whole).is_ok() {
            answer[..2].copy_from_slice(&whole[..2]);
            answer[4..8].copy_from_slice(&whole[4..8]);
            answer[44..46].copy_from_slice(&whole[44..46]);
            answer[48..56].copy_from_slice(&whole[48..56]);
        }
        answer[56] = 0x24;
        answer[80..88].copy_from_slice(&buffer[40..48]);
    }
    if !NtpCarrier::carries(&answer) {
        return;
    }
    let Ok(carried) = CARRIER.unwrap(&answer) else { return };
    let carriage = Carriage {
        correction: carried.correction.span().unwrap_or_default(),
        reception: Span::from_nanos(i128::from(choice) * 10),
    };
    let arrived = Arrived { ticks: Ticks((1 << 41) + 1_000_000), source: StampSource::Hardware };
    let now = Ticks((1 << 41) + 2_000_000);
    let _ = association.receive_over_ptp(&answer[carried.ntp], arrived, carriage, now, &mut context);
    if let Some(measured) = association.poll_measured() {
        let bound = measured.reading.error() + measured.dispersion;
        assert!(bound >= Span::ZERO, "a bound of less than nothing");
        // A round trip of a millisecond and the reception: no claim of a switch makes it surer than that.
        let whole = Span::from_nanos(1_000_000) + carriage.reception;
        let held = measured.reading.window();
        assert!(held <= whole + measured.dispersion, "more was on the way than time passed");
    }
}
