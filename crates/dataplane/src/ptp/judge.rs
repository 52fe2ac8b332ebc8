//! From a frame to the verdict on the PTP message in it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;
use sidereal_nic::RxChecksums;
use sidereal_ptp::{
    Address, Destination, HEADER_LEN, MAX_MESSAGE_LEN, MessageClass, MessageType, PortKey, Responder, Transport,
};
use sidereal_time::Stamp;
use sidereal_wire::{
    Checksums, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_PTP, EthernetHeader, Fault, Ipv4, Ipv6, Network, Plain,
};

use super::{PtpService, PtpTerms};
use crate::DropReason;
use crate::judge::wire_checksums;
use crate::verdict::PtpDrop;

/// Judges PTP messages to the PTP Ports that a port carries: Delay_Req are answered in place.
#[derive(Debug)]
pub struct PtpJudge {
    ports: Vec<PtpService>,
    /// Those whose frames have no tag.
    ipv4: Vec<Own<Ipv4Addr>>,
    ipv6: Vec<Own<Ipv6Addr>>,
    ethernet: Vec<Own<[u8; 6]>>,
}

/// What a packet to a PTP Port is known by.
#[derive(Debug)]
struct Own<A> {
    address: A,
    domain: u8,
    /// Its place among all ports.
    place: usize,
}

/// What a worker does with a PTP message to one of its ports.
#[derive(Debug)]
pub enum PtpVerdict {
    /// The buffer now holds a Delay_Resp in its first `len` bytes: send it.
    DelayResp {
        /// The length of the frame.
        len: usize,
        /// The PTP Port that answers.
        key: PortKey,
    },
    /// A Delay_Req whose time of arrival nobody knows: the NIC should have stamped it and did not, or not believably.
    Unstamped {
        /// The PTP Port that it is for.
        key: PortKey,
    },
    /// It wants thought: the engine shall have it.
    Engine(PtpMessage),
    /// Nobody here wants it.
    Drop(DropReason),
}

/// A message for the engine, in its buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtpMessage {
    /// The PTP Port it is for.
    pub key: PortKey,
    /// Who sent it.
    pub from: Address,
    /// The MAC address it came from.
    pub mac: [u8; 6],
    /// Where it lies.
    pub message: Range<usize>,
}

/// Why there is no verdict on a message.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// It is not for us to judge.
    NotOurs,
    /// It is, and is dropped.
    Dropped(DropReason),
}

/// The headers around a message.
#[derive(Debug, PartialEq, Eq)]
struct Around {
    transport: Transport,
    vlan: Option<u16>,
    /// `None` where the transport does not tell.
    class: Option<MessageClass>,
    from: Address,
    mac: [u8; 6],
    /// The one host that it was sent to; `None` where that was a group of PTP's.
    to: Option<Address>,
    message: Range<usize>,
}

/// A message that may be a Delay_Req to one of the ports.
struct Request {
    /// The place of the port among all.
    place: usize,
    /// The one host that is to be answered, and its MAC address or that of the next hop; `None` for the group.
    back: Option<(Address, [u8; 6])>,
    /// Where it lies, and its length.
    start: usize,
    len: usize,
}

/// Where fields of messages are (IEEE 1588-2019 13.3.1, 13.8.1), and the version that is spoken here.
const VERSION_AT: usize = 1;
const VERSION: u8 = 2;
const DOMAIN_AT: usize = 4;
const REQUESTING_AT: usize = 44;
/// A Delay_Req without TLVs, in bytes (IEEE 1588-2019 13.6.1).
const DELAY_REQ_LEN: usize = 44;
/// The bit of messageType that general messages have and event messages have not (IEEE 1588-2019 table 36).
const GENERAL_BIT: u8 = 0x8;

/// Where the EtherType of a frame without tags is.
const ETHERTYPE_AT: usize = 12;
/// Its Ethernet header, in bytes.
const ETHERNET_HEADER: usize = 14;

impl PtpJudge {
    /// A judge for a port that carries these.
    #[must_use]
    pub fn new(ports: Vec<PtpService>) -> Self {
        let (mut ipv4, mut ipv6, mut ethernet) = (Vec::new(), Vec::new(), Vec::new());
        for (place, port) in ports.iter().enumerate().filter(|(_, port)| port.framing.vlan().is_none()) {
            let domain = port.domain;
            match port.framing.address() {
                Address::Ip(IpAddr::V4(address)) => ipv4.push(Own { address, domain, place }),
                Address::Ip(IpAddr::V6(address)) => ipv6.push(Own { address, domain, place }),
                Address::Link(address) => ethernet.push(Own { address, domain, place }),
            }
        }
        Self { ports, ipv4, ipv6, ethernet }
    }

    /// What the messages of one of these ports travel in.
    pub(crate) fn transport(&self, key: PortKey) -> Option<Transport> {
        self.ports.iter().find(|port| port.key == key).map(|port| port.framing.transport())
    }

    /// The verdict on the frame in `buffer[..len]`, which has this stamp, if it is PTP to one of these ports; `None` of every
    /// other one, which is not changed.
    #[inline]
    pub fn frame(
        &self,
        buffer: &mut [u8],
        len: usize,
        checksums: RxChecksums,
        stamp: Option<Stamp>,
        terms: &PtpTerms<'_>,
    ) -> Option<PtpVerdict> {
        if may_be_ptp(buffer.get(..len)?) {
            self.closer(buffer, len, wire_checksums(checksums), stamp, terms)
        } else {
            None
        }
    }

    /// The same of a frame that may be PTP.
    #[inline(never)]
    fn closer(
        &self,
        buffer: &mut [u8],
        len: usize,
        checksums: Checksums,
        stamp: Option<Stamp>,
        terms: &PtpTerms<'_>,
    ) -> Option<PtpVerdict> {
        let frame = buffer.get_mut(..len)?;
        let request = self.delay_req::<Ipv4>(frame, checksums);
        let request = request.or_else(|| self.delay_req::<Ipv6>(frame, checksums));
        let request = request.or_else(|| self.delay_req_over_ethernet(frame));
        if let Some(verdict) = request.and_then(|request| self.reply(request, buffer, stamp, terms)) {
            return Some(verdict);
        }
        match self.judge(buffer, len, checksums, stamp, terms) {
            Ok(verdict) => Some(verdict),
            Err(Refused::Dropped(reason)) => Some(PtpVerdict::Drop(reason)),
            Err(Refused::NotOurs) => None,
        }
    }

    /// The Delay_Req without TLVs in a plain packet; `None` of every other frame. Only for speed, as are the next two: a leading
    /// port hears little else.
    #[inline(always)]
    fn delay_req<N: Family>(&self, frame: &mut [u8], checksums: Checksums) -> Option<Request> {
        let mut packet = Plain::<N>::to_group_with_payload(frame, DELAY_REQ_LEN)?;
        let (from, to) = packet.addresses();
        let mac = packet.source_mac();
        let request: &[u8; DELAY_REQ_LEN] = (&*packet.payload()).try_into().ok()?;
        let (version, domain) = (request[VERSION_AT], request[DOMAIN_AT]);
        let own = N::own(self).iter().find(|own| own.domain == domain)?;
        let is_unicast = to == own.address;
        if packet.destination_port() != MessageClass::Event.udp_port()
            || !(is_unicast || to == N::PRIMARY)
            || from == own.address
            || version & 0x0f != VERSION
            || packet.check(checksums).is_err()
        {
            return None;
        }
        let back = is_unicast.then(|| (Address::Ip(from.into()), mac));
        Some(Request { place: own.place, back, start: N::PAYLOAD, len: DELAY_REQ_LEN })
    }

    /// The Delay_Req in an Ethernet frame without tags; `None` of every other frame.
    #[inline(always)]
    fn delay_req_over_ethernet(&self, frame: &[u8]) -> Option<Request> {
        const GROUP_BIT: u8 = 1;
        let (header, message) = frame.split_first_chunk::<ETHERNET_HEADER>()?;
        let (to, rest) = header.split_first_chunk::<6>()?;
        let (from, ethertype) = rest.split_first_chunk::<6>()?;
        if *ethertype != ETHERTYPE_PTP.to_be_bytes() || message.len() > MAX_MESSAGE_LEN {
            return None;
        }
        let (version, domain) = (message.get(VERSION_AT)?, message.get(DOMAIN_AT)?);
        let own = self.ethernet.iter().find(|own| own.domain == *domain)?;
        let is_unicast = *to == own.address;
        if !(is_unicast || Some(*to) == Destination::Primary.mac_group())
            || *from == own.address
            || from[0] & GROUP_BIT != 0
            || version & 0x0f != VERSION
        {
            return None;
        }
        let back = is_unicast.then_some((Address::Link(*from), *from));
        Some(Request { place: own.place, back, start: ETHERNET_HEADER, len: message.len() })
    }

    /// The answer to a Delay_Req, as [`Self::judge`] would make it; `None`, and nothing done, where there is none.
    #[inline(always)]
    fn reply(
        &self,
        request: Request,
        buffer: &mut [u8],
        stamp: Option<Stamp>,
        terms: &PtpTerms<'_>,
    ) -> Option<PtpVerdict> {
        let Request { place, back, start, len } = request;
        let port = self.ports.get(place)?;
        let (responder, time) = (terms.responders.of(port.key)?, terms.time?);
        let received = time.received(stamp, terms.nic_stamps.are_expected(port.framing.transport()))?;
        let len = responder.answer(buffer.get_mut(start..)?, len, received).ok()?;
        let len = port.framing.answer(back, buffer, start..start + len);
        Some(PtpVerdict::DelayResp { len, key: port.key })
    }

    /// The verdict on any frame.
    #[inline(never)]
    fn judge(
        &self,
        buffer: &mut [u8],
        len: usize,
        checksums: Checksums,
        stamp: Option<Stamp>,
        terms: &PtpTerms<'_>,
    ) -> Result<PtpVerdict, Refused> {
        let around = self.around(buffer.get(..len).ok_or(Refused::NotOurs)?, checksums)?;
        let message = buffer.get(around.message.clone()).unwrap_or_default();
        let port = self.addressed(&around, message)?;
        if Responder::is_request(message) {
            return answer(port, buffer, around, stamp, terms);
        }
        if is_for_another(port, message) {
            return Err(PtpDrop::ForAnother.into());
        }
        let Around { from, mac, message, .. } = around;
        Ok(PtpVerdict::Engine(PtpMessage { key: port.key, from, mac, message }))
    }

    /// The headers of a message to one of the ports, which are as they should be.
    fn around(&self, frame: &[u8], checksums: Checksums) -> Result<Around, Refused> {
        let link = sidereal_wire::ethernet(frame).ok_or(Refused::NotOurs)?;
        if link.ethertype == ETHERTYPE_PTP {
            self.over_ethernet(frame, &link)
        } else {
            self.over_udp(frame, &link, checksums)
        }
    }

    fn over_ethernet(&self, frame: &[u8], link: &EthernetHeader) -> Result<Around, Refused> {
        let groups = [Destination::Primary.mac_group(), Destination::PeerDelay.mac_group()];
        let around = Around {
            transport: Transport::Ethernet,
            vlan: link.vlan,
            class: None,
            from: Address::Link(link.source),
            mac: link.source,
            to: (!groups.contains(&Some(link.destination))).then_some(Address::Link(link.destination)),
            message: link.payload..frame.len(),
        };
        self.claim(&around)?;
        link.fault.map_or(Ok(around), |fault| Err(fault.into()))
    }

    fn over_udp(&self, frame: &[u8], link: &EthernetHeader, checksums: Checksums) -> Result<Around, Refused> {
        let headers = sidereal_wire::classify(frame).ok_or(Refused::NotOurs)?;
        let around = Around {
            transport: if headers.source.is_ipv4() { Transport::UdpIpv4 } else { Transport::UdpIpv6 },
            vlan: headers.vlan,
            class: Some(class_of(headers.destination_port)?),
            from: Address::Ip(headers.source),
            mac: link.source,
            to: one_host(headers.destination),
            message: headers.payload(),
        };
        self.claim(&around)?;
        sidereal_wire::check_to_group(frame, &headers, checksums)?;
        Ok(around)
    }

    /// Whether it is to any of the ports, whatever its domain.
    fn claim(&self, around: &Around) -> Result<(), Refused> {
        let port = self.ports.iter().find(|port| port.hears(around)).ok_or(Refused::NotOurs)?;
        if around.from == port.framing.address() {
            return Err(Refused::Dropped(DropReason::OwnAddress));
        }
        Ok(())
    }

    /// The port that `message` is for, by its domain.
    fn addressed(&self, around: &Around, message: &[u8]) -> Result<&PtpService, Refused> {
        let header: &[u8; HEADER_LEN] = message.first_chunk().ok_or(PtpDrop::TooShort)?;
        if message.len() > MAX_MESSAGE_LEN {
            return Err(PtpDrop::TooLong.into());
        }
        if header[VERSION_AT] & 0x0f != VERSION {
            return Err(PtpDrop::Version.into());
        }
        let class = if header[0] & GENERAL_BIT == 0 { MessageClass::Event } else { MessageClass::General };
        if around.class.is_some_and(|by_port| by_port != class) {
            return Err(PtpDrop::WrongPort.into());
        }
        let of_domain = |port: &&PtpService| port.domain == header[DOMAIN_AT] && port.hears(around);
        self.ports.iter().find(of_domain).ok_or_else(|| PtpDrop::OtherDomain.into())
    }
}

impl PtpService {
    fn hears(&self, around: &Around) -> bool {
        self.framing.transport() == around.transport
            && self.framing.vlan() == around.vlan
            && around.to.is_none_or(|to| to == self.framing.address())
    }
}

/// Whether a frame may be PTP: a quick look, which most of what a port of NTP receives does not pass.
#[inline]
pub(crate) fn may_be_ptp(frame: &[u8]) -> bool {
    const PLAIN_IPV4: u8 = 0x45;
    const UDP: u8 = 17;
    const IS_PTP_PORT: fn([u8; 2]) -> bool = |port| matches!(u16::from_be_bytes(port), 319 | 320);
    let Some(header) = frame.first_chunk::<58>() else { return frame.len() >= ETHERTYPE_AT + 2 };
    match u16::from_be_bytes([header[12], header[13]]) {
        ETHERTYPE_IPV4 if header[14] == PLAIN_IPV4 => IS_PTP_PORT([header[36], header[37]]),
        ETHERTYPE_IPV6 if header[20] == UDP => IS_PTP_PORT([header[56], header[57]]),
        // Tags, options and extension headers want a closer look.
        _ => true,
    }
}

/// Answers the Delay_Req in `buffer` by the way that it came (IEEE 1588-2019 9.5.12, 16.9).
fn answer(
    port: &PtpService,
    buffer: &mut [u8],
    around: Around,
    stamp: Option<Stamp>,
    terms: &PtpTerms<'_>,
) -> Result<PtpVerdict, Refused> {
    let responder = terms.responders.of(port.key).ok_or(PtpDrop::NotLeading)?;
    let time = terms.time.ok_or(PtpDrop::StaleClock)?;
    let by_nic = terms.nic_stamps.are_expected(port.framing.transport());
    let Some(received) = time.received(stamp, by_nic) else { return Ok(PtpVerdict::Unstamped { key: port.key }) };
    let Around { from, mac, to, message, .. } = around;
    let start = message.start;
    let len = responder.answer(buffer.get_mut(start..).unwrap_or_default(), message.len(), received)?;
    let len = port.framing.answer(to.map(|_| (from, mac)), buffer, start..start + len);
    Ok(PtpVerdict::DelayResp { len, key: port.key })
}

/// Whether `message` is a Delay_Resp to the request of another port: in a group with many followers most are.
fn is_for_another(port: &PtpService, message: &[u8]) -> bool {
    let is_delay_resp = message.first().is_some_and(|kind| kind & 0x0f == MessageType::DelayResp.bits());
    let requesting = message.get(REQUESTING_AT..).and_then(|rest| rest.first_chunk());
    is_delay_resp && requesting.is_some_and(|requesting| *requesting != port.identity.to_be_bytes())
}

/// The class of messages to a UDP port.
fn class_of(udp_port: u16) -> Result<MessageClass, Refused> {
    let classes = [MessageClass::Event, MessageClass::General];
    classes.into_iter().find(|class| class.udp_port() == udp_port).ok_or(Refused::NotOurs)
}

/// The address of one host that messages to `destination` are for; `None` where that is a group of PTP's, for IPv6 of any
/// scope (IEEE 1588-2019 Annexes C and D).
fn one_host(destination: IpAddr) -> Option<Address> {
    const SCOPE: u128 = 0x000f << 112;
    let is_group = match destination {
        IpAddr::V4(address) => {
            [Destination::Primary.ipv4_group(), Destination::PeerDelay.ipv4_group()].contains(&Some(address))
        }
        IpAddr::V6(address) => {
            let unscoped = |group: Option<Ipv6Addr>| group.map(|group| group.to_bits() & !SCOPE);
            let groups = [unscoped(Destination::Primary.ipv6_group()), unscoped(Destination::PeerDelay.ipv6_group())];
            groups.contains(&Some(address.to_bits() & !SCOPE))
        }
    };
    (!is_group).then_some(Address::Ip(destination))
}

/// A kind of network whose PTP Ports are told apart by addresses of its own.
trait Family: Network<Address: 'static> {
    /// The group of all PTP Ports.
    const PRIMARY: Self::Address;

    fn own(judge: &PtpJudge) -> &[Own<Self::Address>];
}

impl Family for Ipv4 {
    const PRIMARY: Ipv4Addr = Destination::PRIMARY_IPV4;

    #[inline(always)]
    fn own(judge: &PtpJudge) -> &[Own<Ipv4Addr>] {
        &judge.ipv4
    }
}

impl Family for Ipv6 {
    const PRIMARY: Ipv6Addr = Destination::PRIMARY_IPV6;

    #[inline(always)]
    fn own(judge: &PtpJudge) -> &[Own<Ipv6Addr>] {
        &judge.ipv6
    }
}

impl From<PtpDrop> for Refused {
    fn from(reason: PtpDrop) -> Self {
        Self::Dropped(DropReason::Ptp(reason))
    }
}

impl From<sidereal_ptp::NoAnswer> for Refused {
    fn from(reason: sidereal_ptp::NoAnswer) -> Self {
        PtpDrop::NoAnswer(reason).into()
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Dropped(DropReason::Headers(fault))
    }
}

#[cfg(test)]
mod tests;
