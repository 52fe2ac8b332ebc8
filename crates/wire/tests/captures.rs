//! Frames of real clients and servers.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use sidereal_wire::{Checksums, Fault, LinkDestination, check, classify, turn_around};

#[path = "../../../tests/src/pcap.rs"]
#[expect(unreachable_pub, dead_code, reason = "public, and used, in the crate that this module belongs to")]
mod pcap;

fn captures(prefix: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of captures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_unicast_frame_is_good_and_its_payload_is_ntp() {
    let mut checked = 0;
    for path in captures("ntp") {
        if path.ends_with("ntp4-broadcast.pcap") || path.ends_with("ntp-over-ptp.pcap") {
            continue;
        }
        for frame in frames(&path) {
            let headers = classify(&frame).expect("a UDP frame");
            assert_eq!(check(&frame, &headers, Checksums::Verify), Ok(()), "{}", path.display());
            assert!(headers.source_port == 123 || headers.destination_port == 123);
            assert_eq!(headers.source.is_ipv6(), path.to_string_lossy().contains("ntp6"));
            let payload = &frame[headers.payload()];
            assert!(payload.len() >= 48 && payload.len().is_multiple_of(4), "{} bytes", payload.len());
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} frames");
}

/// The IPv6 capture has group MAC addresses on both ends (33:33:00:00:00:01 and :02), which no station sends from.
const GROUP_MACS: &str = "ntp6-basic.pcap";

/// The frames of a capture between stations: as they are, but in [`GROUP_MACS`] with the group bits cleared. No checksum
/// covers a MAC address.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = pcap::frames(path).into_iter().map(|(_, frame)| frame).collect();
    if path.ends_with(GROUP_MACS) {
        for frame in &mut frames {
            frame[0] &= !1;
            frame[6] &= !1;
        }
    }
    frames
}

#[test]
fn group_macs_are_refused_whatever_the_ip_addresses_say() {
    for path in captures(GROUP_MACS) {
        for (_, frame) in pcap::frames(&path) {
            let headers = classify(&frame).expect("a UDP frame");
            assert_eq!(headers.link_destination, LinkDestination::Multicast);
            assert_eq!(check(&frame, &headers, Checksums::Verify), Err(Fault::SourceGroup));
        }
    }
}

#[test]
fn broadcasts_are_told_apart() {
    for path in captures("ntp4-broadcast") {
        for (_, frame) in pcap::frames(&path) {
            let headers = classify(&frame).expect("a UDP frame");
            assert_eq!(headers.link_destination, LinkDestination::Broadcast);
            assert_eq!(check(&frame, &headers, Checksums::Verify), Err(Fault::DestinationGroup));
        }
    }
}

#[test]
fn a_real_request_turned_around_is_what_the_server_would_check_good() {
    for path in captures("ntp") {
        for frame in frames(&path) {
            let headers = classify(&frame).expect("a UDP frame");
            if check(&frame, &headers, Checksums::Verify).is_err() {
                continue;
            }
            let mut reply = frame.clone();
            let len = turn_around(&mut reply, &headers, headers.payload().len());
            assert_eq!(len, frame.len());
            let turned = classify(&reply).expect("a UDP frame");
            assert_eq!(check(&reply, &turned, Checksums::Verify), Ok(()));
            assert_eq!((turned.source, turned.source_port), (headers.destination, headers.destination_port));
            assert_eq!((turned.destination, turned.destination_port), (headers.source, headers.source_port));
        }
    }
}
