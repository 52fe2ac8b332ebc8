//! From a packet to its verdict.

use core::net::IpAddr;
use sidereal_nic::{Flow, RxChecksums};
use sidereal_ntp::{Answer, Arrival, Moment, Policy, Server};
use sidereal_time::{NtpTimestamp, Ticks};
use sidereal_wire::{Checksums, Fault, Headers, LinkDestination};

use crate::{DropReason, Verdict};

/// What a port serves, and under which addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The port's own addresses. On a socket port they are the kernel's affair and may be left out.
    pub addresses: Vec<IpAddr>,
    /// The UDP port of NTP; packets to any other one are the kernel's.
    pub ntp_port: u16,
    /// VLAN identifiers that are served besides untagged frames; the reply goes back with the request's tag. Frames of
    /// other VLANs are the kernel's.
    pub vlans: Vec<u16>,
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
    server: Server,
}

impl Judge {
    /// A judge for a port that offers `service`.
    #[must_use]
    pub fn new(service: Service, server: Server) -> Self {
        Self { service, server }
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
        let Some(frame) = buffer.get(..len) else { return Verdict::Kernel };
        let Some(headers) = sidereal_wire::classify(frame) else { return Verdict::Kernel };
        if !self.is_ours(&headers) {
            return Verdict::Kernel;
        }
        if self.is_own(headers.source) {
            return Verdict::Drop(DropReason::OwnAddress);
        }
        let checksums = match checksums {
            RxChecksums::Unknown => Checksums::Verify,
            RxChecksums::Good => Checksums::AlreadyGood,
            RxChecksums::Bad => Checksums::AlreadyBad,
        };
        if let Err(fault) = sidereal_wire::check(frame, &headers, checksums) {
            return Verdict::Drop(DropReason::Headers(fault));
        }
        let payload = headers.payload();
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

    #[inline]
    fn is_own(&self, address: IpAddr) -> bool {
        self.service.addresses.iter().any(|own| *own == address)
    }

    /// Only packets to our port and our addresses, or to a group we would be part of, are ours to judge.
    #[inline(always)]
    fn is_ours(&self, headers: &Headers) -> bool {
        headers.destination_port == self.service.ntp_port
            && headers.vlan.is_none_or(|vlan| vlan == PRIORITY_TAG || self.service.vlans.contains(&vlan))
            && (self.is_own(headers.destination)
                || headers.link_destination != LinkDestination::Unicast
                || is_group(headers.destination))
    }
}

/// The VLAN identifier of a tag that carries a priority and no VLAN (IEEE 802.1Q 6.9.1).
const PRIORITY_TAG: u16 = 0;

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}
