//! From a packet to its verdict.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use sidereal_engine::SmearKind;
use sidereal_nic::{Flow, RxChecksums};
use sidereal_ntp::{Answer, Arrival, HEADER_LEN, Moment, PeerTable, Policy, Server};
use sidereal_ptp::{MessageClass, NTP_PREFIX_LEN, NtpCarrier};
use sidereal_time::{NtpTimestamp, StampSource, Ticks};
use sidereal_wire::{Checksums, Fault, Headers, Ipv4, Ipv6, LinkDestination, Network, Plain};

use crate::ptp::may_be_ptp;
use crate::{CarriedArrival, DropReason, OverPtp, Verdict};

/// What a port serves, and under which addresses.
#[derive(Debug, Clone)]
pub struct Service {
    /// The port's own addresses. On a socket port they are the kernel's affair and may be left out.
    pub addresses: Vec<IpAddr>,
    /// The UDP port of NTP; packets to any other one are the kernel's.
    pub ntp_port: u16,
    /// VLAN identifiers that are served besides untagged frames; the reply goes back with the request's tag. Frames of
    /// other VLANs are the kernel's.
    pub vlans: Vec<u16>,
    /// How leap seconds are smeared here; `None` where clients are told of them instead.
    pub smear: Option<SmearKind>,
    /// How NTP over PTP is dealt with, if it is.
    pub over_ptp: Option<OverPtp>,
}

/// What holds for every packet of a burst.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The local counter as the burst was found.
    pub now: Ticks,
    /// What all replies have in common.
    pub moment: Moment,
    /// How clients are to be treated.
    pub policy: &'a Policy,
}

/// Turns requests into replies in place. One per worker: it holds the server's state of that worker's clients.
#[derive(Debug)]
pub struct Judge {
    service: Service,
    hosts: Hosts,
    server: Server,
}

impl Judge {
    /// A judge for a port that offers `service`.
    #[must_use]
    pub fn new(service: Service, server: Server) -> Self {
        let hosts = Hosts::new(&service.addresses);
        Self { service, hosts, server }
    }

    /// How leap seconds are smeared on its port.
    #[must_use]
    pub const fn smear(&self) -> Option<SmearKind> {
        self.service.smear
    }

    /// The NTP server, which wants its TX stamps back.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Judges the frame in `buffer[..len]`, which arrived at `receive`; a reply is written over it.
    #[inline]
    pub fn frame(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: RxChecksums,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Verdict {
        let checksums = wire_checksums(checksums);
        if let Some(frame) = buffer.get_mut(..len) {
            if let Some(reply) = self.plain::<Ipv4>(frame, checksums, receive, terms) {
                return reply;
            }
            if let Some(reply) = self.plain::<Ipv6>(frame, checksums, receive, terms) {
                return reply;
            }
        }
        self.other(buffer, len, checksums, receive, terms)
    }

    /// The reply to a plain request in a plain packet, as [`Self::any`] would make it; `None` says that the frame is another
    /// and that nothing has been done. Only for speed: what nearly all packets are gets no bounds checks, no addresses of two
    /// kinds and no length that is not a constant.
    #[inline(always)]
    fn plain<N: Family>(
        &mut self,
        frame: &mut [u8],
        checksums: Checksums,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Option<Verdict> {
        let mut packet = Plain::<N>::with_payload(frame, HEADER_LEN)?;
        if !self.is_for_us(&packet) || packet.check(checksums).is_err() {
            return None;
        }
        let (source, _) = packet.addresses();
        let arrival = Arrival { client: source.into(), receive, ticks: terms.now };
        let request = packet.payload().try_into().ok()?;
        let (kind, token) = self.server.answer_plain(request, &arrival, &terms.moment, terms.policy)?;
        Some(Verdict::Reply { len: packet.turn_around(HEADER_LEN), kind, token })
    }

    /// The verdict on a frame that is no plain request.
    #[inline(never)]
    fn other(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: Checksums,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Verdict {
        if let Some(frame) = buffer.get_mut(..len) {
            if let Some(verdict) = self.longer::<Ipv4>(frame, checksums, receive, terms) {
                return verdict;
            }
            if let Some(verdict) = self.longer::<Ipv6>(frame, checksums, receive, terms) {
                return verdict;
            }
        }
        self.any(buffer, len, checksums, receive, terms)
    }

    /// The verdict on any request in a plain packet, as that of [`Self::any`]: with a MAC or extension fields, or where the
    /// policy asks for a closer look. Only for speed again: these are many where clients use keys. What may be for an
    /// association is left to [`Self::any`].
    #[inline]
    fn longer<N: Family>(
        &mut self,
        frame: &mut [u8],
        checksums: Checksums,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Option<Verdict> {
        let mut packet = Plain::<N>::of(frame)?;
        if !self.is_for_us(&packet) || packet.check(checksums).is_err() {
            return None;
        }
        let (source, _) = packet.addresses();
        let arrival = Arrival { client: source.into(), receive, ticks: terms.now };
        let payload = packet.payload();
        if PeerTable::may_claim(payload) {
            return None;
        }
        Some(match self.server.answer(payload, payload.len(), &arrival, &terms.moment, terms.policy) {
            Answer::Reply { len, kind, token } => Verdict::Reply { len: packet.turn_around(len), kind, token },
            Answer::Drop(reason) => Verdict::Drop(DropReason::Ntp(reason)),
        })
    }

    /// Whether a plain packet is to one of our hosts, and from none of them.
    #[inline(always)]
    fn is_for_us<N: Family>(&self, packet: &Plain<'_, N>) -> bool {
        let (source, destination) = packet.addresses();
        let own = N::own(&self.hosts);
        packet.destination_port() == self.service.ntp_port && own.contains(&destination) && !own.contains(&source)
    }

    /// The verdict on any frame.
    #[inline(never)]
    fn any(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: Checksums,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Verdict {
        let Some(frame) = buffer.get(..len) else { return Verdict::Kernel };
        let Some(headers) = sidereal_wire::classify(frame) else { return Verdict::Kernel };
        if !self.is_ours(&headers) {
            return Verdict::Kernel;
        }
        if self.is_own(headers.source) {
            return Verdict::Drop(DropReason::OwnAddress);
        }
        let payload = headers.payload();
        // Before the check: broadcasts, which are no requests, are to be heard too, and the kernel checks for itself.
        if frame.get(payload.clone()).is_some_and(|message| terms.policy.peers.claim(headers.source, message)) {
            return Verdict::Kernel;
        }
        if let Err(fault) = sidereal_wire::check(frame, &headers, checksums) {
            return Verdict::Drop(DropReason::Headers(fault));
        }
        let Some(message) = buffer.get_mut(payload.start..) else {
            return Verdict::Drop(DropReason::Headers(Fault::TruncatedFrame));
        };
        let arrival = Arrival { client: headers.source, receive, ticks: terms.now };
        match self.server.answer(message, payload.len(), &arrival, &terms.moment, terms.policy) {
            Answer::Reply { len, kind, token } => {
                Verdict::Reply { len: sidereal_wire::turn_around(buffer, &headers, len), kind, token }
            }
            Answer::Drop(reason) => Verdict::Drop(DropReason::Ntp(reason)),
        }
    }

    /// Judges the frame in `buffer[..len]` if it is a PTP message that carries NTP for us; a reply is written over it. It
    /// arrived at `receive`, by a stamp of `source`. `None` of every other frame, which is not changed.
    #[inline]
    pub fn over_ptp(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: RxChecksums,
        (receive, source): (NtpTimestamp, Option<StampSource>),
        terms: &Terms<'_>,
    ) -> Option<Verdict> {
        if self.service.over_ptp.is_some() && len >= CARRIED_LEN && may_be_ptp(buffer.get(..len)?) {
            self.carried(buffer, len, wire_checksums(checksums), (receive, source), terms)
        } else {
            None
        }
    }

    /// The same of a frame that may be PTP.
    #[inline(never)]
    fn carried(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        checksums: Checksums,
        (receive, source): (NtpTimestamp, Option<StampSource>),
        terms: &Terms<'_>,
    ) -> Option<Verdict> {
        let frame = buffer.get(..len)?;
        let headers = sidereal_wire::classify(frame)?;
        // Only what was sent to us alone: RFC 10030 §2.
        let is_to_us = headers.destination_port == MessageClass::Event.udp_port()
            && headers.vlan.is_none_or(|vlan| vlan == PRIORITY_TAG || self.service.vlans.contains(&vlan))
            && self.is_own(headers.destination)
            && !is_group(headers.destination)
            && headers.link_destination == LinkDestination::Unicast;
        let payload = headers.payload();
        if !is_to_us || !frame.get(payload.clone()).is_some_and(NtpCarrier::carries) {
            return None;
        }
        if self.is_own(headers.source) {
            return Some(Verdict::Drop(DropReason::OwnAddress));
        }
        if let Err(fault) = sidereal_wire::check(frame, &headers, checksums) {
            return Some(Verdict::Drop(DropReason::Headers(fault)));
        }
        let arrival = Arrival { client: headers.source, receive, ticks: terms.now };
        let came = CarriedArrival { arrival, source, frame_len: len };
        let Self { service, server, .. } = self;
        let message = buffer.get_mut(payload.start..)?;
        Some(match service.over_ptp.as_ref()?.message(message, payload.len(), &came, server, terms)? {
            Verdict::Reply { len, kind, token } => {
                Verdict::Reply { len: sidereal_wire::turn_around(buffer, &headers, len), kind, token }
            }
            verdict => verdict,
        })
    }

    /// Judges the datagram in `buffer[..len]`, which arrived at `receive`; a reply is written over it.
    #[inline]
    pub fn datagram(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        flow: &Flow,
        receive: NtpTimestamp,
        terms: &Terms<'_>,
    ) -> Verdict {
        if flow.source_port == 0 {
            return Verdict::Drop(DropReason::Headers(Fault::SourcePortZero));
        }
        // A host may ask itself, but not from the port that it answers from: that would be a loop.
        if flow.source == flow.destination && flow.source_port == flow.destination_port {
            return Verdict::Drop(DropReason::OwnAddress);
        }
        if is_group(flow.destination) {
            return Verdict::Drop(DropReason::Headers(Fault::DestinationGroup));
        }
        let arrival = Arrival { client: flow.source, receive, ticks: terms.now };
        match self.server.answer(buffer, len, &arrival, &terms.moment, terms.policy) {
            Answer::Reply { len, kind, token } => Verdict::Reply { len, kind, token },
            Answer::Drop(reason) => Verdict::Drop(DropReason::Ntp(reason)),
        }
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.service.addresses.contains(&address)
    }

    /// Only packets to our port and our addresses, or to a group we would be part of, are ours to judge.
    fn is_ours(&self, headers: &Headers) -> bool {
        headers.destination_port == self.service.ntp_port
            && headers.vlan.is_none_or(|vlan| vlan == PRIORITY_TAG || self.service.vlans.contains(&vlan))
            && (self.is_own(headers.destination)
                || headers.link_destination != LinkDestination::Unicast
                || is_group(headers.destination))
    }
}

/// What a NIC says of the checksums of a frame, as it is checked by.
#[inline]
pub(crate) const fn wire_checksums(checksums: RxChecksums) -> Checksums {
    match checksums {
        RxChecksums::Unknown => Checksums::Verify,
        RxChecksums::Good => Checksums::AlreadyGood,
        RxChecksums::Bad => Checksums::AlreadyBad,
    }
}

/// Those of the port's own addresses that are a host's, by family: one comparison finds an address among them.
#[derive(Debug)]
struct Hosts {
    ipv4: Vec<Ipv4Addr>,
    ipv6: Vec<Ipv6Addr>,
}

impl Hosts {
    fn new(addresses: &[IpAddr]) -> Self {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for address in addresses.iter().filter(|address| !is_group(**address) && !address.is_unspecified()) {
            match address {
                IpAddr::V4(address) => ipv4.push(*address),
                IpAddr::V6(address) => ipv6.push(*address),
            }
        }
        Self { ipv4, ipv6 }
    }
}

/// A kind of network whose hosts are told apart by addresses of its own.
trait Family: Network {
    fn own(hosts: &Hosts) -> &[Self::Address];
}

impl Family for Ipv4 {
    #[inline(always)]
    fn own(hosts: &Hosts) -> &[Ipv4Addr] {
        &hosts.ipv4
    }
}

impl Family for Ipv6 {
    #[inline(always)]
    fn own(hosts: &Hosts) -> &[Ipv6Addr] {
        &hosts.ipv6
    }
}

/// The shortest frame of an NTP message that PTP carries, over IPv4 without options: longer than what plain requests have, and
/// than most of PTP's own.
const CARRIED_LEN: usize = 14 + 20 + 8 + NTP_PREFIX_LEN + HEADER_LEN;

/// The VLAN identifier of a tag that carries a priority and no VLAN (IEEE 802.1Q 6.9.1).
const PRIORITY_TAG: u16 = 0;

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sidereal_ntp::{RateLimit, RateLimitOptions, ReplyHeader, ServerLimits, SystemVariables};
    use sidereal_wire::build::UdpFrame;

    fn judge() -> Judge {
        let addresses = ["10.77.0.1", "224.0.1.1", "fd77::1"].map(|address| address.parse().unwrap()).to_vec();
        let limits = ServerLimits { interleaved_clients: 16, rate_limit_prefixes: 16, secret: [7, 11] };
        Judge::new(
            Service { addresses, ntp_port: 123, vlans: Vec::new(), smear: None, over_ptp: None },
            Server::new(&limits),
        )
    }

    /// Frames of requests with one byte changed or none, to and from addresses of which some are the judge's own.
    fn frames() -> impl Strategy<Value = Vec<u8>> {
        let hosts = prop_oneof![
            Just(["10.77.0.2", "10.77.0.1"]),
            Just(["10.77.0.2", "10.77.0.3"]),
            Just(["10.77.0.2", "224.0.1.1"]),
            Just(["10.77.0.1", "10.77.0.1"]),
            Just(["fd77::2", "fd77::1"]),
            Just(["fd77::1", "fd77::1"]),
        ];
        let changes = (0..120_usize, any::<u8>());
        (hosts, prop_oneof![Just(48_usize), 0..72_usize], 0..64_u8, any::<bool>(), changes).prop_map(
            |([source, destination], len, first, change, (at, value))| {
                let addresses = UdpFrame {
                    source_mac: [2; 6],
                    destination_mac: [4; 6],
                    source: (source.parse::<IpAddr>().unwrap(), 4000).into(),
                    destination: (destination.parse::<IpAddr>().unwrap(), 123).into(),
                };
                let mut payload = [0x5a; 72];
                payload[0] = first;
                let mut buffer = [0; 160];
                let len = addresses.write(&payload[..len], &mut buffer);
                if change {
                    buffer[at % len] = value;
                }
                buffer[..len].to_vec()
            },
        )
    }

    proptest! {
        /// The ways that are there for speed come to the same verdict and the same bytes.
        #[test]
        fn every_way_comes_to_the_same(frames in proptest::collection::vec(frames(), 1..20), limited: bool, vouched: bool) {
            let options = RateLimitOptions {
                requests_per_second: 1,
                burst: 5,
                ipv4_prefix: 32,
                ipv6_prefix: 64,
                kiss_of_death: true,
            };
            let rate_limit = limited.then(|| RateLimit::new(&options, 1_000_000_000).unwrap());
            let peers = PeerTable::new(["10.77.0.9", "fd77::9"].map(|peer| peer.parse().unwrap()));
            let policy = Policy { rate_limit, interleaved: true, peers, ..Policy::default() };
            let moment = Moment {
                header: ReplyHeader::new(&SystemVariables::UNSYNCHRONISED),
                transmit: NtpTimestamp::from_bits(1 << 40),
            };
            let terms = Terms { now: Ticks(5), moment, policy: &policy };
            let receive = NtpTimestamp::from_bits(1 << 39);
            let (given, known) = if vouched {
                (RxChecksums::Good, Checksums::AlreadyGood)
            } else {
                (RxChecksums::Unknown, Checksums::Verify)
            };
            let (mut fast, mut thorough) = (judge(), judge());
            for frame in frames {
                let (mut one, mut other) = (frame.clone(), frame.clone());
                let verdict = fast.frame(&mut one, frame.len(), given, receive, &terms);
                let expected = thorough.any(&mut other, frame.len(), known, receive, &terms);
                prop_assert_eq!(format!("{verdict:?}"), format!("{expected:?}"));
                prop_assert_eq!(one, other);
            }
        }
    }
}
