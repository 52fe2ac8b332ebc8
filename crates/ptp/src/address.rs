//! Where PTP messages go and come from.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which configured PTP Port something is about: its place in the configuration, counted over all instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey(pub u16);

/// The network protocol that a PTP Port speaks over (networkProtocol, IEEE 1588-2019 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP over IPv4 (Annex C).
    UdpIpv4,
    /// UDP over IPv6 (Annex D).
    UdpIpv6,
    /// IEEE 802.3, `EtherType` 0x88F7 (Annex E).
    Ethernet,
}

/// The address of one PTP Port on its network. Its UDP port is that of the message's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A MAC address.
    Link([u8; 6]),
    /// An IP address.
    Ip(IpAddr),
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To all PTP Ports: 224.0.1.129, ff0e::181 (of the port's scope) or 01-1B-19-00-00-00.
    Primary,
    /// To the neighbour on the link: 224.0.0.107, ff02::6b or 01-80-C2-00-00-0E.
    PeerDelay,
    /// To one PTP Port.
    Unicast(Address),
}

impl Destination {
    /// The IPv4 address of [`Self::Primary`] (Annex C.3).
    pub const PRIMARY_IPV4: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 129);
    /// The IPv6 address of [`Self::Primary`], of global scope (Annex D.3).
    pub const PRIMARY_IPV6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 0x181);

    /// The IPv4 group (Annex C.3); `None` of one PTP Port.
    #[must_use]
    pub const fn ipv4_group(self) -> Option<Ipv4Addr> {
        match self {
            Self::Primary => Some(Self::PRIMARY_IPV4),
            Self::PeerDelay => Some(Ipv4Addr::new(224, 0, 0, 107)),
            Self::Unicast(_) => None,
        }
    }

    /// The IPv6 group, of global scope where the scope may be chosen (Annex D.3); `None` of one PTP Port.
    #[must_use]
    pub const fn ipv6_group(self) -> Option<Ipv6Addr> {
        match self {
            Self::Primary => Some(Self::PRIMARY_IPV6),
            Self::PeerDelay => Some(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x6b)),
            Self::Unicast(_) => None,
        }
    }

    /// The group's MAC address over IEEE 802.3 (Annex E.3); `None` of one PTP Port.
    #[must_use]
    pub const fn mac_group(self) -> Option<[u8; 6]> {
        match self {
            Self::Primary => Some([0x01, 0x1b, 0x19, 0, 0, 0]),
            Self::PeerDelay => Some([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
            Self::Unicast(_) => None,
        }
    }
}

/// Whether a message's own time is measured (IEEE 1588-2019 7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageClass {
    /// It is: UDP port 319.
    Event,
    /// It is not: UDP port 320.
    General,
}

impl MessageClass {
    /// The UDP port of such messages (Annex C.2).
    #[must_use]
    pub const fn udp_port(self) -> u16 {
        match self {
            Self::Event => 319,
            Self::General => 320,
        }
    }
}
