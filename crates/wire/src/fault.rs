//! Why a packet to one of our ports is dropped, as far as its headers alone show.

/// What is wrong with the headers of a packet to one of our ports. A packet with several faults is counted under the first
/// in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.describe())]
pub enum Fault {
    /// More than one VLAN tag, or a service tag.
    StackedVlan,
    /// The first fragment of a datagram: its end is elsewhere.
    FirstFragment,
    /// An IPv4 header with options.
    Ipv4Options,
    /// An IPv6 extension header before UDP.
    Ipv6ExtensionHeader,
    /// The IP length has no room for a UDP header.
    IpLength,
    /// The frame ends before the IP packet does.
    TruncatedFrame,
    /// The UDP length is shorter than a UDP header or longer than the IP packet.
    UdpLength,
    /// The source port is 0: nobody could be answered.
    SourcePortZero,
    /// The sender's address is not that of one host: multicast, broadcast, unspecified, loopback, an IPv4 address mapped
    /// into IPv6, or a group MAC address.
    SourceGroup,
    /// It was sent to a multicast, broadcast or unspecified address, or to a group MAC address.
    DestinationGroup,
    /// IPv6 without a UDP checksum (RFC 8200 §8.1).
    MissingUdpChecksum,
    /// The IPv4 header checksum is wrong.
    Ipv4HeaderChecksum,
    /// The UDP checksum is wrong.
    UdpChecksum,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    const ALL: [Self; 13] = [
        Self::StackedVlan,
        Self::FirstFragment,
        Self::Ipv4Options,
        Self::Ipv6ExtensionHeader,
        Self::IpLength,
        Self::TruncatedFrame,
        Self::UdpLength,
        Self::SourcePortZero,
        Self::SourceGroup,
        Self::DestinationGroup,
        Self::MissingUdpChecksum,
        Self::Ipv4HeaderChecksum,
        Self::UdpChecksum,
    ];

    /// Every fault, each at the place that [`Self::index`] tells.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &Self::ALL
    }

    /// Its place in [`Self::all`], for an array of counters.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in counters and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StackedVlan => "stacked_vlan",
            Self::FirstFragment => "first_fragment",
            Self::Ipv4Options => "ipv4_options",
            Self::Ipv6ExtensionHeader => "ipv6_extension_header",
            Self::IpLength => "ip_length",
            Self::TruncatedFrame => "truncated_frame",
            Self::UdpLength => "udp_length",
            Self::SourcePortZero => "source_port_zero",
            Self::SourceGroup => "source_group",
            Self::DestinationGroup => "destination_group",
            Self::MissingUdpChecksum => "missing_udp_checksum",
            Self::Ipv4HeaderChecksum => "ipv4_header_checksum",
            Self::UdpChecksum => "udp_checksum",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::StackedVlan => "more than one VLAN tag, or a service tag",
            Self::FirstFragment => "the first fragment of a datagram",
            Self::Ipv4Options => "an IPv4 header with options",
            Self::Ipv6ExtensionHeader => "an IPv6 extension header before UDP",
            Self::IpLength => "an IP length without room for a UDP header",
            Self::TruncatedFrame => "a frame that ends before its IP packet",
            Self::UdpLength => "a UDP length that does not fit the IP packet",
            Self::SourcePortZero => "source port 0",
            Self::SourceGroup => "a sender that is not one host",
            Self::DestinationGroup => "a broadcast or multicast destination",
            Self::MissingUdpChecksum => "IPv6 without a UDP checksum",
            Self::Ipv4HeaderChecksum => "a wrong IPv4 header checksum",
            Self::UdpChecksum => "a wrong UDP checksum",
        }
    }
}
