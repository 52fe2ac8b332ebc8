//! The packets that nearly all are: untagged, from one host to one host, no options, lengths that fit. Each is told by a
//! few comparisons at fixed places. Whatever is not plain, or only might not be, is left to [`crate::walk`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    ETHERNET_HEADER, Headers, IPV4_HEADER, LinkDestination, PROTOCOL_UDP, UDP_HEADER, UDP_OVER_IPV4, UDP_OVER_IPV6,
    eight, field, four,
};

/// The headers of a plain IPv4 packet.
#[inline(always)]
pub(crate) fn ipv4(frame: &[u8]) -> Option<Headers> {
    let header: &[u8; UDP_OVER_IPV4 + UDP_HEADER] = frame.first_chunk()?;
    let total_length = usize::from(field(header, 16));
    let udp_length = usize::from(field(header, UDP_OVER_IPV4 + 4));
    let source_port = field(header, UDP_OVER_IPV4);
    let (source, destination) = (four(header, 26).to_ne_bytes(), four(header, 30).to_ne_bytes());
    // EtherType, version and header length; no fragment, UDP.
    let is_plain = four(header, 12) & mask([0xff, 0xff, 0xff, 0]) == mask([0x08, 0x00, 0x45, 0])
        && four(header, 20) & mask([0x3f, 0xff, 0, 0xff]) == mask([0, 0, 0, PROTOCOL_UDP])
        && is_between_stations(header)
        && ETHERNET_HEADER + total_length <= frame.len()
        && IPV4_HEADER + udp_length <= total_length
        && udp_length >= UDP_HEADER
        && source_port != 0
        && matches!(source[0], 1..=126 | 128..=223)
        && matches!(destination[0], 1..=223);
    if !is_plain {
        return None;
    }
    Some(Headers {
        vlan: None,
        tags: 0,
        source: IpAddr::V4(Ipv4Addr::from_octets(source)),
        destination: IpAddr::V4(Ipv4Addr::from_octets(destination)),
        source_port,
        destination_port: field(header, UDP_OVER_IPV4 + 2),
        link_destination: LinkDestination::Unicast,
        fault: None,
        network: u16::try_from(ETHERNET_HEADER).ok()?,
        transport: u16::try_from(UDP_OVER_IPV4).ok()?,
        end: u32::try_from(UDP_OVER_IPV4 + udp_length).ok()?,
    })
}

/// The headers of a plain IPv6 packet.
#[inline(always)]
pub(crate) fn ipv6(frame: &[u8]) -> Option<Headers> {
    let header: &[u8; UDP_OVER_IPV6 + UDP_HEADER] = frame.first_chunk()?;
    let payload_length = usize::from(field(header, 18));
    let udp_length = usize::from(field(header, UDP_OVER_IPV6 + 4));
    let source_port = field(header, UDP_OVER_IPV6);
    let is_plain = four(header, 12) & mask([0xff, 0xff, 0xf0, 0]) == mask([0x86, 0xdd, 0x60, 0])
        && header[20] == PROTOCOL_UDP
        && is_between_stations(header)
        && UDP_OVER_IPV6 + payload_length <= frame.len()
        && udp_length <= payload_length
        && udp_length >= UDP_HEADER
        && source_port != 0
        // Neither ::/8, where the special addresses are, nor multicast.
        && matches!(header[22], 1..=0xfe)
        && matches!(header[38], 1..=0xfe);
    if !is_plain {
        return None;
    }
    let (_, addresses) = header.split_first_chunk::<22>()?;
    let (source, after) = addresses.split_first_chunk::<16>()?;
    let destination = after.first_chunk::<16>()?;
    Some(Headers {
        vlan: None,
        tags: 0,
        source: IpAddr::V6(Ipv6Addr::from_octets(*source)),
        destination: IpAddr::V6(Ipv6Addr::from_octets(*destination)),
        source_port,
        destination_port: field(header, UDP_OVER_IPV6 + 2),
        link_destination: LinkDestination::Unicast,
        fault: None,
        network: u16::try_from(ETHERNET_HEADER).ok()?,
        transport: u16::try_from(UDP_OVER_IPV6).ok()?,
        end: u32::try_from(UDP_OVER_IPV6 + udp_length).ok()?,
    })
}

/// Four bytes as [`four`] reads them.
const fn mask(bytes: [u8; 4]) -> u32 {
    four(&bytes, 0)
}

/// Whether neither MAC address is a group's.
#[inline]
const fn is_between_stations<const N: usize>(header: &[u8; N]) -> bool {
    const GROUP_BITS: u64 = u64::from_ne_bytes([1, 0, 0, 0, 0, 0, 1, 0]);
    eight(header, 0) & GROUP_BITS == 0
}
