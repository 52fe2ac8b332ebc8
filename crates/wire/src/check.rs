//! Judging a packet to one of our ports by its headers.

use core::net::IpAddr;

use crate::checksum::Sum;
use crate::{
    ETHERNET_HEADER, Fault, Headers, IPV4_HEADER, IPV6_HEADER, PROTOCOL_UDP, UDP_HEADER, UDP_OVER_IPV4, UDP_OVER_IPV6,
    eight, field, four,
};

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
#[inline(always)]
pub fn check(frame: &[u8], headers: &Headers, checksums: Checksums) -> Result<(), Fault> {
    if let Some(fault) = headers.fault {
        return Err(fault);
    }
    // At the usual places all offsets are constants, and with them the bounds checks are gone.
    match (usize::from(headers.network), usize::from(headers.transport)) {
        (ETHERNET_HEADER, UDP_OVER_IPV4) => checksums_at(ETHERNET_HEADER, UDP_OVER_IPV4, frame, headers, checksums),
        (ETHERNET_HEADER, UDP_OVER_IPV6) => checksums_at(ETHERNET_HEADER, UDP_OVER_IPV6, frame, headers, checksums),
        (network, transport) => checksums_anywhere(network, transport, frame, *headers, checksums),
    }
}

/// The headers come by value here, for a reference would force those of plain frames out of registers too.
#[cold]
#[inline(never)]
fn checksums_anywhere(
    network: usize,
    transport: usize,
    frame: &[u8],
    headers: Headers,
    checksums: Checksums,
) -> Result<(), Fault> {
    checksums_at(network, transport, frame, &headers, checksums)
}

#[inline(always)]
fn checksums_at(
    network: usize,
    transport: usize,
    frame: &[u8],
    headers: &Headers,
    checksums: Checksums,
) -> Result<(), Fault> {
    let frame = frame.get(..headers.payload().end).ok_or(Fault::TruncatedFrame)?;
    let (packet, datagram) = frame.split_at_checked(transport).ok_or(Fault::TruncatedFrame)?;
    let packet = packet.get(network..).ok_or(Fault::TruncatedFrame)?;
    let (header, payload) = datagram.split_first_chunk().ok_or(Fault::TruncatedFrame)?;
    let datagram = Datagram { header, payload };
    match headers.source {
        IpAddr::V4(_) => ipv4_checksums(packet, &datagram, checksums),
        IpAddr::V6(_) => ipv6_checksum(packet, &datagram, checksums),
    }
}

#[inline(always)]
fn ipv4_checksums(packet: &[u8], datagram: &Datagram<'_>, checksums: Checksums) -> Result<(), Fault> {
    if checksums == Checksums::AlreadyGood {
        return Ok(());
    }
    let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(Fault::TruncatedFrame)?;
    let addresses = Sum::ZERO.add_four(four(header, 12)).add_four(four(header, 16));
    if addresses.add_four(four(header, 0)).add_four(four(header, 4)).add_four(four(header, 8)).fold() != 0xffff {
        return Err(Fault::Ipv4HeaderChecksum);
    }
    if datagram.checksum() == 0 || datagram.is_right(addresses) { Ok(()) } else { Err(Fault::UdpChecksum) }
}

#[inline(always)]
fn ipv6_checksum(packet: &[u8], datagram: &Datagram<'_>, checksums: Checksums) -> Result<(), Fault> {
    if datagram.checksum() == 0 {
        return Err(Fault::MissingUdpChecksum);
    }
    if checksums == Checksums::AlreadyGood {
        return Ok(());
    }
    let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(Fault::TruncatedFrame)?;
    let source = Sum::ZERO.add_eight(eight(header, 8)).add_eight(eight(header, 16));
    let addresses = source.add_eight(eight(header, 24)).add_eight(eight(header, 32));
    if datagram.is_right(addresses) { Ok(()) } else { Err(Fault::UdpChecksum) }
}

/// A UDP header and its payload.
struct Datagram<'a> {
    header: &'a [u8; UDP_HEADER],
    payload: &'a [u8],
}

impl Datagram<'_> {
    #[inline]
    const fn checksum(&self) -> u16 {
        field(self.header, 6)
    }

    /// Whether the sum over pseudo header and datagram is that of a right checksum.
    #[inline(always)]
    fn is_right(&self, addresses: Sum) -> bool {
        let sum = pseudo_header(addresses, field(self.header, 4)).add_eight(eight(self.header, 0));
        sum.add_bytes(self.payload).fold() == 0xffff
    }
}

/// The sum of the pseudo header of a UDP datagram of `length` bytes (RFC 768, RFC 8200 §8.1), from that of the addresses.
#[inline]
pub(crate) const fn pseudo_header(addresses: Sum, length: u16) -> Sum {
    addresses.add_field(PROTOCOL_UDP as u16).add_field(length)
}
