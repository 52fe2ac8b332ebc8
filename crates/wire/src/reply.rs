//! Making a received frame that of its reply.

use core::net::IpAddr;

use crate::check::pseudo_header;
use crate::checksum::Sum;
use crate::{
    ETHERNET_HEADER, Headers, IPV4_HEADER, IPV6_HEADER, MAC_ADDRESS, PROTOCOL_UDP, UDP_HEADER, eight, field, four, put,
};

/// The time to live and hop limit of replies (RFC 1700).
pub const REPLY_HOP_LIMIT: u8 = 64;

/// "Don't fragment", offset 0: such a datagram's identification means nothing (RFC 6864 §4.1), so the request's may stay.
const DONT_FRAGMENT: u16 = 0x4000;
/// Time to live and protocol, side by side in an IPv4 header.
const LIFE_AND_PROTOCOL: u16 = u16::from_be_bytes([REPLY_HOP_LIMIT, PROTOCOL_UDP]);

/// The longest UDP payload that an IPv4 packet carries.
const LONGEST_PAYLOAD: usize = u16::MAX as usize - IPV4_HEADER - UDP_HEADER;

/// Turns the request in `buffer` into the frame of its reply, in place, around a payload of `payload_len` bytes that already
/// stands where the request's began ([`Headers::payload`]). MAC addresses, IP addresses and ports change sides; lengths, hop
/// limit and checksums are written; VLAN tag, traffic class and flow label stay. Returns the length of the frame.
///
/// `headers` is what [`crate::classify`] made of this buffer, and [`crate::check()`] has passed it. `buffer` may go on behind
/// the received frame, for a reply that is longer. `payload_len` is cut to what the buffer holds and to what an IPv4
/// packet can carry, 65507 bytes. Returns 0, nothing to send, where the buffer does not even hold the headers.
///
/// The checksums are made anew from the words that are written, which costs no more than to update them: an IPv4 header is
/// three words, and of the payload nearly all has changed.
#[must_use]
pub fn turn_around(buffer: &mut [u8], headers: &Headers, payload_len: usize) -> usize {
    turn_at(headers.network.into(), headers.transport.into(), buffer, headers.source, payload_len).unwrap_or(0)
}

fn turn_at(network: usize, transport: usize, buffer: &mut [u8], source: IpAddr, payload_len: usize) -> Option<usize> {
    let (before_udp, datagram) = buffer.split_at_mut_checked(transport)?;
    let (link, packet) = before_udp.split_at_mut_checked(network)?;
    let (udp, rest) = datagram.split_first_chunk_mut()?;
    let payload = rest.get(..payload_len.min(LONGEST_PAYLOAD)).unwrap_or(rest);
    let udp_length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let addresses = match source {
        IpAddr::V4(_) => turn_ipv4(packet, udp_length)?,
        IpAddr::V6(_) => turn_ipv6(packet, udp_length)?,
    };
    turn_link(link.first_chunk_mut()?);
    turn_udp(udp, payload, addresses, udp_length);
    Some(transport + usize::from(udp_length))
}

/// Makes an Ethernet header that of the reply.
#[inline(always)]
pub(crate) fn turn_link(header: &mut [u8; ETHERNET_HEADER]) {
    let (destination, rest) = header.split_at_mut(MAC_ADDRESS);
    let (source, _) = rest.split_at_mut(MAC_ADDRESS);
    destination.swap_with_slice(source);
}

/// Makes an IPv4 header, options included, that of the reply. Returns the sum of its addresses.
#[inline(always)]
pub(crate) fn turn_ipv4(packet: &mut [u8], udp_length: u16) -> Option<Sum> {
    let total_length = u16::try_from(packet.len()).ok()?.checked_add(udp_length)?;
    let (header, options) = packet.split_first_chunk_mut::<IPV4_HEADER>()?;
    let (source, destination) = (four(header, 12), four(header, 16));
    let addresses = Sum::ZERO.add_four(source).add_four(destination);
    let checksum = !addresses
        .add_field(field(header, 0))
        .add_field(total_length)
        .add_field(field(header, 4))
        .add_field(DONT_FRAGMENT)
        .add_field(LIFE_AND_PROTOCOL)
        .add_bytes(options)
        .fold();
    put(header, 2, total_length.to_be_bytes());
    put(header, 6, DONT_FRAGMENT.to_be_bytes());
    put(header, 8, LIFE_AND_PROTOCOL.to_be_bytes());
    put(header, 10, checksum.to_be_bytes());
    put(header, 12, destination.to_ne_bytes());
    put(header, 16, source.to_ne_bytes());
    Some(addresses)
}

/// Makes an IPv6 header that of the reply; extension headers stay. Returns the sum of its addresses.
#[inline(always)]
pub(crate) fn turn_ipv6(packet: &mut [u8], udp_length: u16) -> Option<Sum> {
    let payload_length = u16::try_from(packet.len().checked_sub(IPV6_HEADER)?).ok()?.checked_add(udp_length)?;
    let header: &mut [u8; IPV6_HEADER] = packet.first_chunk_mut()?;
    let source = [eight(header, 8), eight(header, 16)];
    let destination = [eight(header, 24), eight(header, 32)];
    put(header, 4, payload_length.to_be_bytes());
    put(header, 7, [REPLY_HOP_LIMIT]);
    for (at, word) in [8, 16, 24, 32].into_iter().zip(destination.into_iter().chain(source)) {
        put(header, at, word.to_ne_bytes());
    }
    Some(Sum::ZERO.add_eight(source[0]).add_eight(source[1]).add_eight(destination[0]).add_eight(destination[1]))
}

/// Makes a UDP header that of the reply before `payload`.
#[inline(always)]
pub(crate) fn turn_udp(header: &mut [u8; UDP_HEADER], payload: &[u8], addresses: Sum, length: u16) {
    let ports = four(header, 0);
    let checksum = udp_checksum(addresses.add_four(ports), length, payload);
    put(header, 0, ports.rotate_left(16).to_ne_bytes());
    put(header, 4, length.to_be_bytes());
    put(header, 6, checksum);
}

/// The checksum field of a datagram of `length` bytes, from the sum of its IP addresses and ports (RFC 768, RFC 8200 §8.1). A
/// sum that comes out as 0 is sent as its other form, for 0 means that there is none.
#[inline(always)]
pub(crate) fn udp_checksum(addresses: Sum, length: u16, payload: &[u8]) -> [u8; 2] {
    match !pseudo_header(addresses, length).add_field(length).add_bytes(payload).fold() {
        0 => [0xff, 0xff],
        checksum => checksum.to_be_bytes(),
    }
}
