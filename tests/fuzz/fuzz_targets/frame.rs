//! A worker's whole judgement: any frame in, and if a reply comes out, it is one that may be sent.
//!
//! The input is one byte of choices and a frame to 10.77.0.1 and fd77::1, as in the captures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_dataplane::{Judge, Service, Terms, Verdict};
use sidereal_nic::RxChecksums;
use sidereal_ntp::{KeyTable, Moment, PeerTable, Policy, ReplyHeader, Server, ServerLimits, SystemVariables};
use sidereal_time::{NtpTimestamp, Ticks};
use sidereal_wire::{Checksums, check, classify};

const KEYS: &str = "1 MD5 HEX:0102030405060708090A0B0C0D0E0F10\n4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";
const CHECKSUMS: [RxChecksums; 3] = [RxChecksums::Unknown, RxChecksums::Good, RxChecksums::Bad];

fuzz_target!(|input: &[u8]| {
    let Some((choice, frame)) = input.split_first() else { return };
    let addresses = vec![[10, 77, 0, 1].into(), [0xfd77, 0, 0, 0, 0, 0, 0, 1].into()];
    let service = Service { addresses, ntp_port: 123, vlans: vec![5], smear: None, over_ptp: None };
    let limits = ServerLimits { interleaved_clients: 8, rate_limit_prefixes: 8, secret: [1, 2] };
    let mut judge = Judge::new(service, Server::new(&limits));
    let keys = KeyTable::parse(KEYS).unwrap_or_default();
    let peers = PeerTable::new((choice & 8 != 0).then_some([10, 77, 0, 2].into()));
    let policy = Policy { keys, interleaved: choice & 4 != 0, peers, ..Policy::default() };
    let header = ReplyHeader::new(&SystemVariables::UNSYNCHRONISED);
    let receive = NtpTimestamp::from_bits(1 << 40);
    let moment = Moment { header, transmit: NtpTimestamp::from_bits((1 << 40) + 77) };
    let terms = Terms { now: Ticks(1 << 30), moment, policy: &policy };
    let checksums = CHECKSUMS[usize::from(choice & 3) % CHECKSUMS.len()];

    // Room behind the frame, as a NIC's buffers have it, must not let a reply grow.
    let mut buffer = frame.to_vec();
    buffer.resize(frame.len() + 100, 0);
    let verdict = judge.frame(&mut buffer, frame.len(), checksums, receive, &terms);
    let Verdict::Reply { len, .. } = verdict else {
        assert_eq!(&buffer[..frame.len()], frame, "a frame that is not answered was changed");
        return;
    };
    assert!(len <= frame.len(), "a reply longer than its request");
    let Some(headers) = classify(&buffer[..len]) else { panic!("a reply without headers") };
    assert_eq!(check(&buffer[..len], &headers, Checksums::Verify), Ok(()));
    assert_eq!(headers.source_port, 123);
    let again = judge.frame(&mut buffer, len, RxChecksums::Unknown, receive, &terms);
    assert!(!matches!(again, Verdict::Reply { .. }), "a reply was answered");
});
