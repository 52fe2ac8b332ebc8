//! Captures in the classic pcap format, as tcpdump writes them.

#![expect(clippy::panic, clippy::expect_used, reason = "a capture that cannot be read fails the test that needs it")]

use sidereal_wire::ETHERTYPE_PTP;
use std::path::Path;

/// The frames of the capture at `path`, each as it was on the wire, with its time in nanoseconds since 1970-01-01 UTC.
///
/// # Panics
/// If the file cannot be read, or is not a little-endian Ethernet capture: a test cannot go on without it.
#[must_use]
pub fn frames(path: &Path) -> Vec<(u64, Vec<u8>)> {
    const MICROSECONDS: u32 = 0xa1b2_c3d4;
    const NANOSECONDS: u32 = 0xa1b2_3c4d;
    const ETHERNET: u32 = 1;

    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let unit_ns = match word(0) {
        MICROSECONDS => 1000,
        NANOSECONDS => 1,
        magic => panic!("{}: not a classic little-endian pcap file: {magic:#x}", path.display()),
    };
    assert_eq!(word(20), ETHERNET, "{}: link type", path.display());
    let mut frames = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let time_ns = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * unit_ns;
        let end = at + 16 + word(at + 8) as usize;
        frames.push((time_ns, bytes[at + 16..end].to_vec()));
        at = end;
    }
    frames
}

/// The PTP message that `frame` carries, if it does: over UDP or by Ethernet alone (IEEE 1588-2019 annexes C, D and E). Padding
/// may follow it.
#[must_use]
pub fn ptp_message(frame: &[u8]) -> Option<&[u8]> {
    const EVENT_AND_GENERAL: [u16; 2] = [319, 320];

    if let Some(header) = sidereal_wire::ethernet(frame).filter(|header| header.ethertype == ETHERTYPE_PTP) {
        return frame.get(header.payload..);
    }
    let headers = sidereal_wire::classify(frame)?;
    if EVENT_AND_GENERAL.contains(&headers.destination_port) { frame.get(headers.payload()) } else { None }
}
