//! How the messages of one PTP Port travel.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use sidereal_ptp::{Address, Destination, MessageClass, Transport};
use sidereal_wire::{ETHERTYPE_PTP, Envelope, MULTICAST_HOP_LIMIT, REPLY_HOP_LIMIT, group_mac};

/// How the messages of one PTP Port travel: over what, from which addresses, on which VLAN (IEEE 1588-2019 Annexes C, D and
/// E). The headers are written once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    transport: Transport,
    vlan: Option<u16>,
    mac: [u8; 6],
    address: Option<IpAddr>,
    event: Envelopes,
    general: Envelopes,
}

/// The headers before messages of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Envelopes {
    primary: Envelope,
    peer_delay: Envelope,
    /// To nobody: the receiver's addresses are filled in.
    unicast: Envelope,
}

/// What is appended to event messages over IPv6, so that a transparent clock can mend the UDP checksum there
/// (IEEE 1588-2019 Annex D).
const IPV6_EVENT_TRAILER: usize = 2;

impl Framing {
    /// Of a port with this MAC address, and over UDP with this IP address. `None` where UDP is spoken and the address is missing
    /// or of the other family.
    #[must_use]
    pub fn new(transport: Transport, mac: [u8; 6], address: Option<IpAddr>, vlan: Option<u16>) -> Option<Self> {
        let envelopes = |class| match transport {
            Transport::Ethernet => Envelopes::over_ethernet(mac, vlan),
            Transport::UdpIpv4 => Envelopes::over_udp(mac, vlan, address.filter(IpAddr::is_ipv4)?, class),
            Transport::UdpIpv6 => Envelopes::over_udp(mac, vlan, address.filter(IpAddr::is_ipv6)?, class),
        };
        let (event, general) = (envelopes(MessageClass::Event)?, envelopes(MessageClass::General)?);
        Some(Self { transport, vlan, mac, address, event, general })
    }

    /// What the messages travel over.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The VLAN whose tag they carry.
    #[must_use]
    pub const fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    /// The port's address on its network: what others see messages come from.
    #[must_use]
    pub const fn address(&self) -> Address {
        match (self.transport, self.address) {
            (Transport::UdpIpv4 | Transport::UdpIpv6, Some(address)) => Address::Ip(address),
            _ => Address::Link(self.mac),
        }
    }

    /// Writes the frame of `message` to the start of `buffer`; returns its length. `next_hop` is the MAC address that frames to
    /// one host over UDP go to. 0, nothing to send, where that is wanted and missing, where the address is none of this
    /// transport's, or where the buffer is too short.
    #[must_use]
    pub fn frame(
        &self,
        class: MessageClass,
        to: Destination,
        next_hop: Option<[u8; 6]>,
        message: &[u8],
        buffer: &mut [u8],
    ) -> usize {
        let trailer = match (self.transport, class) {
            (Transport::UdpIpv6, MessageClass::Event) => IPV6_EVENT_TRAILER,
            _ => 0,
        };
        let start = self.header_len();
        let end = start + message.len() + trailer;
        let Some(payload) = buffer.get_mut(start..end) else { return 0 };
        let Some((head, trailer)) = payload.split_at_mut_checked(message.len()) else { return 0 };
        head.copy_from_slice(message);
        trailer.fill(0);
        self.wrap(class, to, next_hop, buffer, start..end)
    }

    /// The frame of a general message that lies at `message` in `buffer`, to the group or to one host and its MAC address or
    /// that of the next hop.
    #[inline(always)]
    #[must_use]
    pub(super) fn answer(&self, to: Option<(Address, [u8; 6])>, buffer: &mut [u8], message: Range<usize>) -> usize {
        match to {
            None => self.general.primary.wrap(buffer, message),
            Some((to, mac)) => self.wrap(MessageClass::General, Destination::Unicast(to), Some(mac), buffer, message),
        }
    }

    fn wrap(
        &self,
        class: MessageClass,
        to: Destination,
        next_hop: Option<[u8; 6]>,
        buffer: &mut [u8],
        message: Range<usize>,
    ) -> usize {
        let envelopes = match class {
            MessageClass::Event => &self.event,
            MessageClass::General => &self.general,
        };
        let redirected = match to {
            Destination::Primary => return envelopes.primary.wrap(buffer, message),
            Destination::PeerDelay => return envelopes.peer_delay.wrap(buffer, message),
            Destination::Unicast(Address::Link(mac)) if self.transport == Transport::Ethernet => {
                Some(Envelope::ethernet(self.mac, mac, self.vlan, ETHERTYPE_PTP))
            }
            Destination::Unicast(Address::Ip(address)) => {
                next_hop.and_then(|mac| envelopes.unicast.clone().redirected(mac, address))
            }
            Destination::Unicast(Address::Link(_)) => None,
        };
        redirected.map_or(0, |envelope| envelope.wrap(buffer, message))
    }

    /// Where messages begin in the frames.
    const fn header_len(&self) -> usize {
        self.event.primary.header_len()
    }
}

impl Envelopes {
    fn over_ethernet(mac: [u8; 6], vlan: Option<u16>) -> Option<Self> {
        let to = |mac_to| Envelope::ethernet(mac, mac_to, vlan, ETHERTYPE_PTP);
        Some(Self {
            primary: to(Destination::Primary.mac_group()?),
            peer_delay: to(Destination::PeerDelay.mac_group()?),
            unicast: to([0; 6]),
        })
    }

    fn over_udp(mac: [u8; 6], vlan: Option<u16>, address: IpAddr, class: MessageClass) -> Option<Self> {
        let port = class.udp_port();
        let source = SocketAddr::new(address, port);
        let to_group = |group: Destination| {
            let group: IpAddr = match address {
                IpAddr::V4(_) => group.ipv4_group()?.into(),
                IpAddr::V6(_) => group.ipv6_group()?.into(),
            };
            let link = (mac, group_mac(group)?);
            Envelope::udp(link, vlan, source, SocketAddr::new(group, port), MULTICAST_HOP_LIMIT)
        };
        Some(Self {
            primary: to_group(Destination::Primary)?,
            peer_delay: to_group(Destination::PeerDelay)?,
            unicast: Envelope::udp((mac, [0; 6]), vlan, source, source, REPLY_HOP_LIMIT)?,
        })
    }
}
