//! Where PTP messages go and come from.

use core::net::IpAddr;

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
