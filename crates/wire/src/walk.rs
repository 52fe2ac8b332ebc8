//! Headers in all their variety: tags, options, extension headers, lengths and addresses that lie.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    ETHERNET_HEADER, ETHERTYPE_AT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_SERVICE_VLAN, ETHERTYPE_VLAN, Fault,
    Headers, IPV4_HEADER, IPV6_HEADER, LinkDestination, MAX_EXTENSION_HEADERS, MAX_TAGS, PROTOCOL_UDP, TAG, UDP_HEADER,
    field,
};

/// "More fragments" in IPv4's flags and fragment offset (RFC 791 §3.1).
const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset there.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Finds the UDP ports of a frame, from its Ethernet header on.
///
/// `Some` is an IPv4 or IPv6 packet with UDP whose ports can be read, first fragments and packets with lying lengths
/// included: if the port is ours, [`crate::check()`] judges it. `None` is everything else, which is the kernel's: ARP, TCP,
/// fragments other than the first, encrypted packets, more than [`MAX_TAGS`] tags or [`MAX_EXTENSION_HEADERS`] extension
/// headers, and what is too short to tell.
#[must_use]
pub fn classify(frame: &[u8]) -> Option<Headers> {
    let link = Link::of(frame)?;
    let network = match link.ethertype {
        ETHERTYPE_IPV4 => ipv4(frame, link.end)?,
        ETHERTYPE_IPV6 => ipv6(frame, link.end)?,
        _ => return None,
    };
    udp(frame, &link, &network)
}

/// What the link layer says.
pub(crate) struct Link {
    pub(crate) vlan: Option<u16>,
    tags: u8,
    pub(crate) destination: LinkDestination,
    pub(crate) source_is_group: bool,
    pub(crate) fault: Option<Fault>,
    /// What it carries.
    pub(crate) ethertype: u16,
    /// Where that begins.
    pub(crate) end: usize,
}

impl Link {
    /// Of a frame, from its Ethernet header on. `None` if it is too short or has too many tags.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let mut link = Self::untagged(frame.first_chunk()?);
        while link.ethertype == ETHERTYPE_VLAN || link.ethertype == ETHERTYPE_SERVICE_VLAN {
            // A tag's EtherType stands before its VID: what is left of a tag ends with the EtherType of what follows.
            let tag: &[u8; TAG] = frame.get(link.end..)?.first_chunk()?;
            link = link.tagged(field(tag, 0), field(tag, 2))?;
        }
        Some(link)
    }

    fn untagged(header: &[u8; ETHERNET_HEADER]) -> Self {
        let destination = match header {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => LinkDestination::Broadcast,
            [first, ..] if first & 1 != 0 => LinkDestination::Multicast,
            _ => LinkDestination::Unicast,
        };
        Self {
            vlan: None,
            tags: 0,
            destination,
            source_is_group: header[6] & 1 != 0,
            fault: None,
            ethertype: field(header, ETHERTYPE_AT),
            end: ETHERNET_HEADER,
        }
    }

    /// With the tag that its EtherType has announced, before what is of type `ethertype`. `None` if there are too many.
    fn tagged(self, control: u16, ethertype: u16) -> Option<Self> {
        if self.tags == MAX_TAGS {
            return None;
        }
        let vid = control & 0x0fff;
        let stacked = self.tags > 0 || self.ethertype == ETHERTYPE_SERVICE_VLAN;
        Some(Self {
            vlan: if self.tags == 0 { (vid != 0).then_some(vid) } else { self.vlan },
            tags: self.tags + 1,
            fault: if stacked { Some(Fault::StackedVlan) } else { self.fault },
            ethertype,
            end: self.end + TAG,
            ..self
        })
    }
}

fn ipv4(frame: &[u8], at: usize) -> Option<Network> {
    let header: &[u8; IPV4_HEADER] = frame.get(at..)?.first_chunk()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let fragment = field(header, 6);
    if header[0] >> 4 != 4
        || header_length < IPV4_HEADER
        || header[9] != PROTOCOL_UDP
        || fragment & FRAGMENT_OFFSET != 0
    {
        return None;
    }
    let fault = if fragment & MORE_FRAGMENTS != 0 {
        Some(Fault::FirstFragment)
    } else if header_length > IPV4_HEADER {
        Some(Fault::Ipv4Options)
    } else {
        None
    };
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Some(Network {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        transport: at + header_length,
        end: at + usize::from(field(header, 2)),
        fault,
    })
}

fn ipv6(frame: &[u8], at: usize) -> Option<Network> {
    let header: &[u8; IPV6_HEADER] = frame.get(at..)?.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let after = at + IPV6_HEADER;
    let (transport, fault) =
        if header[6] == PROTOCOL_UDP { (after, None) } else { extension_headers(frame, after, header[6])? };
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    Some(Network {
        source: IpAddr::V6(Ipv6Addr::from(*source)),
        destination: IpAddr::V6(Ipv6Addr::from(*destination.first_chunk::<16>()?)),
        transport,
        end: after + usize::from(field(header, 4)),
        fault,
    })
}

/// Steps over extension headers (RFC 8200 §4): where UDP begins, and the fault that such a packet has.
fn extension_headers(frame: &[u8], mut at: usize, mut kind: u8) -> Option<(usize, Option<Fault>)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION_OPTIONS: u8 = 60;
    const MOBILITY: u8 = 135;
    const HIP: u8 = 139;
    const SHIM6: u8 = 140;

    let mut fault = Fault::Ipv6ExtensionHeader;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let header: &[u8; 8] = frame.get(at..)?.first_chunk()?;
        at += match kind {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => (usize::from(header[1]) + 1) * 8,
            AUTHENTICATION => (usize::from(header[1]) + 2) * 4,
            FRAGMENT => {
                let fragment = field(header, 2);
                if fragment & 0xfff8 != 0 {
                    return None;
                }
                if fragment & 1 != 0 {
                    fault = Fault::FirstFragment;
                }
                8
            }
            _ => return None,
        };
        kind = header[0];
        if kind == PROTOCOL_UDP {
            return Some((at, Some(fault)));
        }
    }
    None
}

/// What the network layer says. Offsets are within the frame.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    fault: Option<Fault>,
    /// Where the transport layer begins.
    transport: usize,
    /// Where the packet ends, by its own length.
    end: usize,
}

fn udp(frame: &[u8], link: &Link, network: &Network) -> Option<Headers> {
    let rest = frame.get(network.transport..)?;
    let ports: &[u8; 4] = rest.first_chunk()?;
    let source_port = field(ports, 0);
    let length = rest.first_chunk::<UDP_HEADER>().map_or(0, |header| usize::from(field(header, 4)));
    let end = network.transport + length;

    let fault = if link.fault.is_some() {
        link.fault
    } else if network.fault.is_some() {
        network.fault
    } else if network.end < network.transport + UDP_HEADER {
        Some(Fault::IpLength)
    } else if network.end > frame.len() {
        Some(Fault::TruncatedFrame)
    } else if length < UDP_HEADER || end > network.end {
        Some(Fault::UdpLength)
    } else if source_port == 0 {
        Some(Fault::SourcePortZero)
    } else if link.source_is_group || !is_one_host(network.source) {
        Some(Fault::SourceGroup)
    } else if link.destination != LinkDestination::Unicast || is_group(network.destination) {
        Some(Fault::DestinationGroup)
    } else {
        None
    };
    Some(Headers {
        vlan: link.vlan,
        tags: link.tags,
        source: network.source,
        destination: network.destination,
        source_port,
        destination_port: field(ports, 2),
        link_destination: link.destination,
        fault,
        network: u16::try_from(link.end).ok()?,
        transport: u16::try_from(network.transport).ok()?,
        end: u32::try_from(end.min(frame.len())).ok()?,
    })
}

const fn is_one_host(address: IpAddr) -> bool {
    match address {
        // 0.0.0.0/8 is "this network" (RFC 1122 §3.2.1.3).
        IpAddr::V4(ip) => ip.octets()[0] != 0 && !ip.is_loopback() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => {
            !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none()
        }
    }
}

const fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unspecified(),
    }
}
