//! Ethernet, VLAN, IPv4, IPv6 and UDP headers, read and turned around in place.
//!
//! A worker calls three functions per frame: [`classify`] finds the ports, [`check()`] says why a packet to our ports must be
//! dropped, [`turn_around`] makes the received frame that of its reply. [`Plain`] does all three for the packets that nearly
//! all are, several times as fast. [`build`] writes frames from nothing; an [`Envelope`] holds headers that are written once and
//! put before many payloads. [`ethernet()`] reads no further than the link layer, for what is carried by it alone.
//!
//! Nothing here allocates, and nothing panics, whatever the bytes: an offset that does not fit is an outcome.
//! Sources: IEEE 802.3 and 802.1Q, RFC 791, RFC 8200, RFC 768, RFC 1071.
#![forbid(unsafe_code)]

pub mod build;
mod check;
mod checksum;
mod envelope;
mod ethernet;
mod fault;
mod headers;
mod plain;
mod reply;
mod walk;

pub use check::{Checksums, check, check_to_group};
pub use checksum::checksum;
pub use envelope::{Envelope, MULTICAST_HOP_LIMIT, group_mac};
pub use ethernet::{EthernetHeader, ethernet};
pub use fault::Fault;
pub use headers::{Headers, LinkDestination, MAX_EXTENSION_HEADERS, MAX_TAGS};
pub use plain::{Ipv4, Ipv6, Network, Plain};
pub use reply::{REPLY_HOP_LIMIT, turn_around};
pub use walk::classify;

/// EtherType of IPv4 (RFC 894).
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6 (RFC 2464).
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherType of PTP (IEEE 1588-2019 Annex E.2).
pub const ETHERTYPE_PTP: u16 = 0x88f7;
/// EtherType of a customer VLAN tag (IEEE 802.1Q-2022 9.4).
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType of a service VLAN tag (IEEE 802.1Q-2022 9.4).
pub const ETHERTYPE_SERVICE_VLAN: u16 = 0x88a8;

/// A MAC address, in bytes.
const MAC_ADDRESS: usize = 6;
/// The two addresses and the EtherType, in bytes.
const ETHERNET_HEADER: usize = 14;
/// Where the EtherType stands in a frame without tags.
const ETHERTYPE_AT: usize = 12;
/// A VLAN tag, in bytes.
const TAG: usize = 4;
/// An IPv4 header without options, in bytes.
const IPV4_HEADER: usize = 20;
/// The fixed IPv6 header, in bytes.
const IPV6_HEADER: usize = 40;
/// A UDP header, in bytes.
const UDP_HEADER: usize = 8;
/// Where UDP begins in a frame without tags over IPv4 without options.
const UDP_OVER_IPV4: usize = ETHERNET_HEADER + IPV4_HEADER;
/// Where UDP begins in a frame without tags over IPv6 without extension headers.
const UDP_OVER_IPV6: usize = ETHERNET_HEADER + IPV6_HEADER;
/// UDP as IP knows it (RFC 768).
const PROTOCOL_UDP: u8 = 17;

/// The 16-bit field at `at`. Everywhere in this crate `at` is a constant within the array, which costs one load.
#[inline]
const fn field<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// The four bytes at `at`, as they lie in memory. A constant again.
#[inline]
const fn four<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// The eight bytes at `at`, as they lie in memory. A constant again.
#[inline]
const fn eight<const N: usize>(header: &[u8; N], at: usize) -> u64 {
    u64::from_ne_bytes([
        header[at],
        header[at + 1],
        header[at + 2],
        header[at + 3],
        header[at + 4],
        header[at + 5],
        header[at + 6],
        header[at + 7],
    ])
}

/// Writes `bytes` at `at`. A constant again: one store.
#[inline]
fn put<const N: usize, const LENGTH: usize>(header: &mut [u8; N], at: usize, bytes: [u8; LENGTH]) {
    header[at..at + LENGTH].copy_from_slice(&bytes);
}
