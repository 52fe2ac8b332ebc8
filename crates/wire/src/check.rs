//! Judging a packet to one of our ports by its headers.

use core::net::IpAddr;

use crate::checksum::Sum;
use crate::{Fault, Headers, IPV4_HEADER, IPV6_HEADER, PROTOCOL_UDP, UDP_HEADER, eight, field, four};

/// What is known about the checksums of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksums {
    /// Nothing: they are verified.
    Verify,
    /// The NIC found both right: they are not looked at.
    AlreadyGood,
    /// The NIC found at least one wrong. They are verified all the same, to tell which, and because some NICs count IPv4's
    /// legal absence of a UDP checksum as a wrong one.
    AlreadyBad,
}

/// Whether a packet to one of our ports may be answered, as far as its headers show. `frame` is what `headers` was made
/// from. What lies behind the IP packet (padding) and behind the UDP datagram (RFC 9868) is ignored.
///
/// # Errors
/// The first [`Fault`] in the order in which they are declared.
pub fn check(frame: &[u8], headers: &Headers, checksums: Checksums) -> Result<(), Fault> {
    match headers.fault {
        Some(fault) => Err(fault),
        None => sums(frame, headers, checksums),
    }
}

/// The same of a packet that may be to a group: [`Fault::DestinationGroup`] is none here.
///
/// # Errors
/// The first [`Fault`] in the order in which they are declared.
pub fn check_to_group(frame: &[u8], headers: &Headers, checksums: Checksums) -> Result<(), Fault> {
    match headers.fault {
        // It is found last, so that nothing else is wrong with the headers.
        None | Some(Fault::DestinationGroup) => sums(frame, headers, checksums),
        Some(fault) => Err(fault),
    }
}

fn sums(frame: &[u8], headers: &Headers, checksums: Checksums) -> Result<(), Fault> {
    let frame = frame.get(..headers.payload().end).ok_or(Fault::TruncatedFrame)?;
    let (packet, datagram) = frame.split_at_checked(headers.transport.into()).ok_or(Fault::TruncatedFrame)?;
    let packet = packet.get(usize::from(headers.network)..).ok_or(Fault::TruncatedFrame)?;
    let (header, payload) = datagram.split_first_chunk().ok_or(Fault::TruncatedFrame)?;
    match headers.source {
        IpAddr::V4(_) => ipv4(packet.first_chunk().ok_or(Fault::TruncatedFrame)?, header, payload, checksums),
        IpAddr::V6(_) => ipv6(packet.first_chunk().ok_or(Fault::TruncatedFrame)?, header, payload, checksums),
    }
}

/// Checks the checksums of a datagram in an IPv4 packet without options.
#[inline(always)]
pub(crate) fn ipv4(
    header: &[u8; IPV4_HEADER],
    udp: &[u8; UDP_HEADER],
    payload: &[u8],
    checksums: Checksums,
) -> Result<(), Fault> {
    if checksums == Checksums::AlreadyGood {
        return Ok(());
    }
    if !Sum::ZERO.add_four(four(header, 16)).add_eight(eight(header, 0)).add_eight(eight(header, 8)).is_right() {
        return Err(Fault::Ipv4HeaderChecksum);
    }
    let addresses = Sum::ZERO.add_four(four(header, 12)).add_four(four(header, 16));
    if datagram(addresses, udp, payload).is_right() { Ok(()) } else { without_checksum(udp) }
}

/// Checks the checksum of a datagram in an IPv6 packet.
#[inline(always)]
pub(crate) fn ipv6(
    header: &[u8; IPV6_HEADER],
    udp: &[u8; UDP_HEADER],
    payload: &[u8],
    checksums: Checksums,
) -> Result<(), Fault> {
    if has_no_checksum(udp) {
        return Err(Fault::MissingUdpChecksum);
    }
    if checksums == Checksums::AlreadyGood {
        return Ok(());
    }
    let source = Sum::ZERO.add_eight(eight(header, 8)).add_eight(eight(header, 16));
    let addresses = source.add_eight(eight(header, 24)).add_eight(eight(header, 32));
    if datagram(addresses, udp, payload).is_right() { Ok(()) } else { Err(Fault::UdpChecksum) }
}

/// Over IPv4 a datagram may do without. Nearly none does, so that this is asked last and out of the way.
#[cold]
#[inline(never)]
const fn without_checksum(udp: &[u8; UDP_HEADER]) -> Result<(), Fault> {
    if has_no_checksum(udp) { Ok(()) } else { Err(Fault::UdpChecksum) }
}

const fn has_no_checksum(udp: &[u8; UDP_HEADER]) -> bool {
    field(udp, 6) == 0
}

/// The sum over pseudo header and datagram, its checksum included.
#[inline(always)]
fn datagram(addresses: Sum, udp: &[u8; UDP_HEADER], payload: &[u8]) -> Sum {
    pseudo_header(addresses, field(udp, 4)).add_eight(eight(udp, 0)).add_bytes(payload)
}

/// The sum of the pseudo header of a UDP datagram of `length` bytes (RFC 768, RFC 8200 §8.1), from that of the addresses.
#[inline]
pub(crate) const fn pseudo_header(addresses: Sum, length: u16) -> Sum {
    addresses.add_field(PROTOCOL_UDP as u16).add_field(length)
}
