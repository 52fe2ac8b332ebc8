//! Real conversations between two chronyd, given to our side of them, and between two ptp4l, read and written again.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says no by panicking")]

mod associations;
mod ptp;
mod server;

use core::net::IpAddr;
use sidereal_ntp::{Header, Mode};
use sidereal_tests::pcap;
use std::path::Path;

/// The keys of the captures.
pub(crate) const KEYS: &str =
    "1 MD5 HEX:0102030405060708090A0B0C0D0E0F10\n4 AES128 HEX:404142434445464748494A4B4C4D4E4F\n";
pub(crate) const NTP_PORT: u16 = 123;

/// An NTP message and who sent it to which port.
pub(crate) struct Message {
    /// When it was captured, in nanoseconds since 1970-01-01 UTC.
    pub(crate) time_ns: u64,
    pub(crate) source: IpAddr,
    pub(crate) destination_port: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn header(&self) -> Header<'_> {
        Header::of(&self.bytes).unwrap()
    }

    /// Whether a server is asked by it.
    pub(crate) fn is_request(&self) -> bool {
        matches!(self.header().mode(), Mode::Client | Mode::SymmetricActive)
    }
}

/// The NTP messages of a capture, in order.
pub(crate) fn messages(capture: &str) -> Vec<Message> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(capture);
    let frames = pcap::frames(&path).into_iter();
    let messages: Vec<Message> = frames
        .filter_map(|(time_ns, frame)| {
            let headers = sidereal_wire::classify(&frame)?;
            let ntp = headers.source_port == NTP_PORT || headers.destination_port == NTP_PORT;
            ntp.then(|| Message {
                time_ns,
                source: headers.source,
                destination_port: headers.destination_port,
                bytes: frame[headers.payload()].to_vec(),
            })
        })
        .collect();
    assert!(messages.len() >= 4, "{capture} has no messages");
    messages
}
