//! Any frame: its headers are read and judged, and it is turned around. What was good goes back, and is good there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidereal_wire::{Checksums, check, classify, turn_around};
use std::net::IpAddr;

fuzz_target!(|frame: &[u8]| {
    let Some(headers) = classify(frame) else { return };
    let payload = headers.payload();
    assert!(payload.end <= frame.len());
    let verified = check(frame, &headers, Checksums::Verify);
    let vouched_for = check(frame, &headers, Checksums::AlreadyGood);
    assert!(verified.is_err() || vouched_for.is_ok());
    assert_eq!(check(frame, &headers, Checksums::AlreadyBad), verified);

    for payload_len in [0, 1, 48, payload.len(), 1500, usize::MAX] {
        let mut buffer = frame.to_vec();
        buffer.resize(frame.len() + 100, 0);
        let length = turn_around(&mut buffer, &headers, payload_len);
        assert!(length <= buffer.len());
        // The checksums of a reply are right whatever those of the request were.
        if vouched_for.is_err() || is_nobody(headers.destination) || headers.destination_port == 0 {
            continue;
        }
        let room = buffer.len() - payload.start;
        let reply = &buffer[..length];
        let Some(back) = classify(reply) else { panic!("a reply without headers") };
        assert_eq!(check(reply, &back, Checksums::Verify), Ok(()));
        assert_eq!((back.source, back.source_port), (headers.destination, headers.destination_port));
        assert_eq!((back.destination, back.destination_port), (headers.source, headers.source_port));
        assert_eq!((back.vlan, back.tags), (headers.vlan, headers.tags));
        assert_eq!(back.payload().len(), payload_len.min(room).min(65_507));
    }
});

/// Whether a destination is one that nobody can answer from. Nobody has such an address, so that `check` does not ask.
fn is_nobody(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 0 || address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.to_ipv4_mapped().is_some(),
    }
}
