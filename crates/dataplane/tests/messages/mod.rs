//! PTP messages in frames of every kind, and what frames that come back must be.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "this is part of tests")]

use core::net::{IpAddr, SocketAddr};
use sidereal_ptp::{Address, ClockIdentity, Destination, MessageClass, MessageType, PortIdentity};
use sidereal_wire::{Checksums, Envelope, check_to_group, classify, ethernet, group_mac};

use crate::rig::{SERVER, SERVER_MAC, SERVER6};

/// Who sends what the rig hears.
pub(crate) const CLIENT: PortIdentity = PortIdentity { clock: ClockIdentity::from_mac(CLIENT_MAC), number: 1 };
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// How a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Ipv4,
    Ipv6,
    Ethernet,
    Ipv4Vlan5,
    EthernetVlan5,
}

/// A message of the client whose fields are zero but for those of the header.
pub(crate) fn message(kind: MessageType, domain: u8, len: usize) -> Vec<u8> {
    let mut message = vec![0; len];
    message[0] = kind.bits();
    message[1] = 0x12;
    message[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
    message[4] = domain;
    message[20..30].copy_from_slice(&CLIENT.to_be_bytes());
    message
}

/// The client's Delay_Req.
pub(crate) fn delay_req(domain: u8, sequence: u16, unicast: bool) -> Vec<u8> {
    let mut request = message(MessageType::DelayReq, domain, 44);
    request[6] = if unicast { 0x04 } else { 0 };
    request[30..32].copy_from_slice(&sequence.to_be_bytes());
    request
}

impl Way {
    /// The client's own address.
    pub(crate) fn client(self) -> Address {
        match self {
            Self::Ipv4 | Self::Ipv4Vlan5 => Address::Ip("10.77.0.2".parse().unwrap()),
            Self::Ipv6 => Address::Ip("fd77::2".parse().unwrap()),
            Self::Ethernet | Self::EthernetVlan5 => Address::Link(CLIENT_MAC),
        }
    }

    /// The frame of a Delay_Req of the client.
    pub(crate) fn request(self, request: &[u8], unicast: bool) -> Vec<u8> {
        self.frame(MessageType::DelayReq, request, unicast)
    }

    /// The frame of a message of the client, as such messages are sent: to the server or to the group.
    pub(crate) fn frame(self, kind: MessageType, message: &[u8], unicast: bool) -> Vec<u8> {
        let is_pdelay =
            matches!(kind, MessageType::PdelayReq | MessageType::PdelayResp | MessageType::PdelayRespFollowUp);
        let group = if is_pdelay { Destination::PeerDelay } else { Destination::Primary };
        let port = kind.class().udp_port();
        let to: Option<IpAddr> = match self {
            Self::Ipv4 | Self::Ipv4Vlan5 if unicast => Some(SERVER.parse().unwrap()),
            Self::Ipv6 if unicast => Some(SERVER6.parse().unwrap()),
            Self::Ipv4 | Self::Ipv4Vlan5 => group.ipv4_group().map(Into::into),
            Self::Ipv6 => group.ipv6_group().map(Into::into),
            Self::Ethernet | Self::EthernetVlan5 => None,
        };
        let envelope = match (self.client(), to) {
            (Address::Ip(from), Some(to)) => {
                let link = (CLIENT_MAC, group_mac(to).unwrap_or(SERVER_MAC));
                let (from, to) = (SocketAddr::new(from, port), SocketAddr::new(to, port));
                Envelope::udp(link, self.vlan(), from, to, 1).unwrap()
            }
            _ => {
                let to = if unicast { SERVER_MAC } else { group.mac_group().unwrap() };
                Envelope::ethernet(CLIENT_MAC, to, self.vlan(), 0x88f7)
            }
        };
        let mut buffer = vec![0; 2048];
        let start = envelope.header_len();
        buffer[start..start + message.len()].copy_from_slice(message);
        let len = envelope.wrap(&mut buffer, start..start + message.len());
        buffer.truncate(len);
        buffer
    }

    /// The message in a frame, and what follows it.
    pub(crate) fn message(self, frame: &[u8]) -> &[u8] {
        match self {
            Self::Ethernet | Self::EthernetVlan5 => &frame[ethernet(frame).unwrap().payload..],
            _ => &frame[classify(frame).unwrap().payload()],
        }
    }

    /// Checks the headers of an answer to the client.
    pub(crate) fn check_answer(self, frame: &[u8], unicast: bool) {
        let to = if unicast { Destination::Unicast(self.client()) } else { Destination::Primary };
        self.check_sent(frame, MessageClass::General, to);
    }

    /// Checks the headers of a frame of the server.
    pub(crate) fn check_sent(self, frame: &[u8], class: MessageClass, to: Destination) {
        let link = ethernet(frame).unwrap();
        assert_eq!((link.source, link.vlan), (SERVER_MAC, self.vlan()));
        let (source, group): (IpAddr, Option<IpAddr>) = match self {
            Self::Ipv4 | Self::Ipv4Vlan5 => (SERVER.parse().unwrap(), to.ipv4_group().map(Into::into)),
            Self::Ipv6 => (SERVER6.parse().unwrap(), to.ipv6_group().map(Into::into)),
            Self::Ethernet | Self::EthernetVlan5 => {
                assert_eq!((link.ethertype, link.destination), (0x88f7, to.mac_group().unwrap_or(CLIENT_MAC)));
                return;
            }
        };
        let headers = classify(frame).unwrap();
        assert_eq!(check_to_group(frame, &headers, Checksums::Verify), Ok(()));
        let port = class.udp_port();
        assert_eq!((headers.source, headers.source_port, headers.destination_port), (source, port, port));
        assert_eq!(link.destination, group.and_then(group_mac).unwrap_or(CLIENT_MAC));
        match to {
            Destination::Unicast(address) => assert_eq!(Address::Ip(headers.destination), address),
            _ => assert_eq!(Some(headers.destination), group),
        }
        // What goes to a group stays on its link.
        let hop_limit = match headers.source {
            IpAddr::V4(_) => frame[link.payload + 8],
            IpAddr::V6(_) => frame[link.payload + 7],
        };
        assert_eq!(hop_limit == 1, group.is_some());
    }

    const fn vlan(self) -> Option<u16> {
        match self {
            Self::Ipv4Vlan5 | Self::EthernetVlan5 => Some(5),
            _ => None,
        }
    }
}
