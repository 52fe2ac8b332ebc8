//! Headers that are written once and put before many payloads.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use crate::checksum::Sum;
use crate::reply::udp_checksum;
use crate::{
    ETHERNET_HEADER, ETHERTYPE_AT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, IPV4_HEADER, IPV6_HEADER,
    MAC_ADDRESS, PROTOCOL_UDP, TAG, UDP_HEADER, put,
};

/// The hop limit of what goes to a group unless somebody says otherwise (RFC 1112 §6.1): it stays on its network.
pub const MULTICAST_HOP_LIMIT: u8 = 1;

const TAGGED_HEADER: usize = ETHERNET_HEADER + TAG;
const IPV4_AND_UDP: usize = IPV4_HEADER + UDP_HEADER;
const IPV6_AND_UDP: usize = IPV6_HEADER + UDP_HEADER;

/// Where addresses and ports are in these headers.
const IPV4_SOURCE: usize = 12;
const IPV4_DESTINATION: usize = 16;
const IPV6_SOURCE: usize = 8;
const IPV6_DESTINATION: usize = 24;

/// The headers of a frame from one sender to one receiver or group, whatever it carries: Ethernet with or without a VLAN
/// tag, and UDP over IPv4 or IPv6 if it has any. What depends on the payload, lengths and checksums, is filled in with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    link: Link,
    network: Network,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Link {
    Untagged([u8; ETHERNET_HEADER]),
    Tagged([u8; TAGGED_HEADER]),
}

/// IP and UDP headers without lengths and checksums.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Network {
    None,
    Ipv4([u8; IPV4_AND_UDP]),
    Ipv6([u8; IPV6_AND_UDP]),
}

impl Envelope {
    /// A frame that carries a payload of this EtherType, with a tag for `vlan` (a VID, of which 12 bits count).
    #[must_use]
    pub fn ethernet(source: [u8; 6], destination: [u8; 6], vlan: Option<u16>, ethertype: u16) -> Self {
        Self { link: Link::new(source, destination, vlan, ethertype), network: Network::None }
    }

    /// A datagram between two addresses and ports, from the first MAC address of `link` to the second. `None` where the
    /// addresses are of two families.
    #[must_use]
    pub fn udp(
        link: ([u8; 6], [u8; 6]),
        vlan: Option<u16>,
        source: SocketAddr,
        destination: SocketAddr,
        hop_limit: u8,
    ) -> Option<Self> {
        let [s0, s1] = source.port().to_be_bytes();
        let [d0, d1] = destination.port().to_be_bytes();
        let ports = [s0, s1, d0, d1];
        let (ethertype, network) = match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = [0; IPV4_AND_UDP];
                put(&mut header, 0, [0x45]);
                // Don't fragment, offset 0.
                put(&mut header, 6, [0x40, 0, hop_limit, PROTOCOL_UDP]);
                put(&mut header, IPV4_SOURCE, source.octets());
                put(&mut header, IPV4_DESTINATION, destination.octets());
                put(&mut header, IPV4_HEADER, ports);
                (ETHERTYPE_IPV4, Network::Ipv4(header))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut header = [0; IPV6_AND_UDP];
                put(&mut header, 0, [0x60]);
                put(&mut header, 6, [PROTOCOL_UDP, hop_limit]);
                put(&mut header, IPV6_SOURCE, source.octets());
                put(&mut header, IPV6_DESTINATION, destination.octets());
                put(&mut header, IPV6_HEADER, ports);
                (ETHERTYPE_IPV6, Network::Ipv6(header))
            }
            _ => return None,
        };
        Some(Self { link: Link::new(link.0, link.1, vlan, ethertype), network })
    }

    /// The same to another host: its MAC address or that of the next hop, and its IP address. `None` where that is of another
    /// family than the sender's, or the envelope has no IP.
    #[inline]
    #[must_use]
    pub fn redirected(mut self, mac: [u8; 6], address: IpAddr) -> Option<Self> {
        match (&mut self.network, address) {
            (Network::Ipv4(header), IpAddr::V4(address)) => put(header, IPV4_DESTINATION, address.octets()),
            (Network::Ipv6(header), IpAddr::V6(address)) => put(header, IPV6_DESTINATION, address.octets()),
            _ => return None,
        }
        match &mut self.link {
            Link::Untagged(header) => put(header, 0, mac),
            Link::Tagged(header) => put(header, 0, mac),
        }
        Some(self)
    }

    /// How long the headers are: where the payload begins.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        let link = match self.link {
            Link::Untagged(_) => ETHERNET_HEADER,
            Link::Tagged(_) => TAGGED_HEADER,
        };
        link + match self.network {
            Network::None => 0,
            Network::Ipv4(_) => IPV4_AND_UDP,
            Network::Ipv6(_) => IPV6_AND_UDP,
        }
    }

    /// Makes a frame of the payload that lies at `payload` in `buffer`: it is moved to behind the headers unless it lies there,
    /// and they are written before it. Returns the length of the frame; 0, nothing to send, where the buffer or an IP packet
    /// does not hold it.
    #[inline(always)]
    #[must_use]
    pub fn wrap(&self, buffer: &mut [u8], payload: Range<usize>) -> usize {
        self.try_wrap(buffer, payload).unwrap_or(0)
    }

    #[inline(always)]
    fn try_wrap(&self, buffer: &mut [u8], payload: Range<usize>) -> Option<usize> {
        let (start, len) = (self.header_len(), payload.len());
        if payload.start != start {
            move_to(start, buffer, payload)?;
        }
        let frame = buffer.get_mut(..start + len)?;
        let packet = match &self.link {
            Link::Untagged(header) => lay(header, frame)?.1,
            Link::Tagged(header) => lay(header, frame)?.1,
        };
        match &self.network {
            Network::None => {}
            Network::Ipv4(header) => {
                let udp_length = u16::try_from(UDP_HEADER + len).ok()?;
                let total_length = u16::try_from(IPV4_AND_UDP + len).ok()?;
                let (network, payload) = lay(header, packet)?;
                let (ip, udp) = header.split_first_chunk::<IPV4_HEADER>()?;
                let (rest, addresses) = ip.split_first_chunk::<IPV4_SOURCE>()?;
                let addresses = Sum::ZERO.add_message::<8>(addresses.first_chunk()?);
                let sum = addresses.add_message(rest).add_field(total_length);
                put(network, 2, total_length.to_be_bytes());
                put(network, 10, (!sum.fold()).to_be_bytes());
                put(network, IPV4_HEADER + 4, udp_length.to_be_bytes());
                let sum = addresses.add_message::<4>(udp.first_chunk()?);
                put(network, IPV4_HEADER + 6, udp_checksum(sum, udp_length, payload));
            }
            Network::Ipv6(header) => {
                let udp_length = u16::try_from(UDP_HEADER + len).ok()?;
                let (network, payload) = lay(header, packet)?;
                let (_, addresses_and_ports) = header.split_first_chunk::<IPV6_SOURCE>()?;
                let sum = Sum::ZERO.add_message::<36>(addresses_and_ports.first_chunk()?);
                put(network, 4, udp_length.to_be_bytes());
                put(network, IPV6_HEADER + 4, udp_length.to_be_bytes());
                put(network, IPV6_HEADER + 6, udp_checksum(sum, udp_length, payload));
            }
        }
        Some(start + len)
    }
}

impl Link {
    fn new(source: [u8; 6], destination: [u8; 6], vlan: Option<u16>, ethertype: u16) -> Self {
        fn addressed<const N: usize>(source: [u8; 6], destination: [u8; 6]) -> [u8; N] {
            let mut header = [0; N];
            put(&mut header, 0, destination);
            put(&mut header, MAC_ADDRESS, source);
            header
        }
        match vlan {
            None => {
                let mut header = addressed(source, destination);
                put(&mut header, ETHERTYPE_AT, ethertype.to_be_bytes());
                Self::Untagged(header)
            }
            Some(vlan) => {
                let mut header = addressed(source, destination);
                put(&mut header, ETHERTYPE_AT, ETHERTYPE_VLAN.to_be_bytes());
                put(&mut header, ETHERTYPE_AT + 2, (vlan & 0x0fff).to_be_bytes());
                put(&mut header, ETHERTYPE_AT + TAG, ethertype.to_be_bytes());
                Self::Tagged(header)
            }
        }
    }
}

/// The MAC address of an IP group (RFC 1112 §6.4, RFC 2464 §7); `None` of what is no group.
#[must_use]
pub const fn group_mac(group: IpAddr) -> Option<[u8; 6]> {
    match group {
        IpAddr::V4(group) if group.is_multicast() => {
            let [_, b, c, d] = group.octets();
            Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) if group.is_multicast() => {
            let [.., a, b, c, d] = group.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        _ => None,
    }
}

/// Moves a payload within its buffer; `None`, and nothing moved, where there is no room.
#[cold]
fn move_to(start: usize, buffer: &mut [u8], payload: Range<usize>) -> Option<()> {
    if payload.end > buffer.len() || start + payload.len() > buffer.len() {
        return None;
    }
    buffer.copy_within(payload, start);
    Some(())
}

/// Writes `header` to the start of `frame`: what has been written, and what follows it.
#[inline(always)]
fn lay<'a, const N: usize>(header: &[u8; N], frame: &'a mut [u8]) -> Option<(&'a mut [u8; N], &'a mut [u8])> {
    let (written, rest) = frame.split_first_chunk_mut()?;
    *written = *header;
    Some((written, rest))
}
