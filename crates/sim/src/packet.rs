//! Packets and the ways they take.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use sidereal_ptp::Transport;
use sidereal_time::Span;

use crate::link::Direction;
use crate::scenario::{BROADCAST, Scenario, address, host_at};
use crate::switch::{Switch, tell_residence};

/// What is on its way.
#[derive(Debug, Clone)]
pub(crate) enum Packet {
    Ntp(Datagram),
    Ptp(PtpPacket),
}

/// A UDP datagram with an NTP message.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) payload: Vec<u8>,
    /// How long it stayed in transparent switches, as they told it: the receiver takes it off its stamp.
    pub(crate) correction: Span,
}

/// A frame with a PTP message.
#[derive(Debug, Clone)]
pub(crate) struct PtpPacket {
    pub(crate) from: usize,
    /// To one host, or to all that there are links to.
    pub(crate) to: Option<usize>,
    pub(crate) transport: Transport,
    pub(crate) message: Box<[u8]>,
}

impl Packet {
    /// The host that it is for; `None` where it is for all.
    fn receiver(&self) -> Result<Option<usize>, Astray> {
        match self {
            Self::Ntp(datagram) if datagram.to.ip() == BROADCAST => Ok(None),
            Self::Ntp(datagram) => host_at(datagram.to.ip()).map(Some).ok_or(Astray),
            Self::Ptp(packet) => Ok(packet.to),
        }
    }

    /// A transparent switch tells that it stayed there for `residence`.
    fn stayed(&mut self, residence: Span) {
        match self {
            Self::Ntp(datagram) => datagram.correction += residence,
            Self::Ptp(packet) => tell_residence(&mut packet.message, residence),
        }
    }
}

/// Nobody has that address.
struct Astray;

/// All links of a run.
#[derive(Debug)]
pub(crate) struct Network {
    /// By the hosts that a way begins and ends at.
    ways: BTreeMap<(usize, usize), Way>,
    switches: Vec<Switch>,
    between: Vec<[usize; 2]>,
}

#[derive(Debug)]
struct Way {
    direction: Direction,
    /// In the order in which they are passed.
    through: Vec<usize>,
}

/// A copy of a packet that arrives.
pub(crate) struct Passage {
    /// Where.
    pub(crate) host: usize,
    /// How long after it left.
    pub(crate) after: Span,
    /// What it is then.
    pub(crate) packet: Packet,
}

impl Network {
    /// The links of `scenario` in the run `seed`.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let name = |host: usize| scenario.hosts.get(host).map_or("", |host| host.name.as_str());
        let mut ways = BTreeMap::new();
        for link in &scenario.links {
            let [a, b] = link.between;
            let there = Direction::new(&link.there, seed, &format!("{}>{}", name(a), name(b)));
            let back = Direction::new(&link.back, seed, &format!("{}>{}", name(b), name(a)));
            ways.insert((a, b), Way { direction: there, through: link.through.clone() });
            ways.insert((b, a), Way { direction: back, through: link.through.iter().rev().copied().collect() });
        }
        let switches = scenario.switches.iter().map(|options| Switch::new(options, seed)).collect();
        let between = scenario.links.iter().map(|link| link.between).collect();
        Self { ways, switches, between }
    }

    /// Sends `packet` of `host`: what arrives, where and when. A packet to an address without a link is lost.
    pub(crate) fn send(&mut self, host: usize, packet: &Packet) -> Vec<Passage> {
        let receivers: Vec<usize> = match packet.receiver() {
            Ok(Some(one)) => vec![one],
            Ok(None) => self.ways.range((host, 0)..=(host, usize::MAX)).map(|((_, to), _)| *to).collect(),
            Err(Astray) => Vec::new(),
        };
        let mut arriving = Vec::new();
        for receiver in receivers {
            let Some(way) = self.ways.get_mut(&(host, receiver)) else { continue };
            for passage in way.direction.pass() {
                let (mut after, mut packet) = (passage, packet.clone());
                for switch in &way.through {
                    let (stay, told) = self.switches.get_mut(*switch).map_or_else(Default::default, Switch::pass);
                    after += stay;
                    packet.stayed(told);
                }
                arriving.push(Passage { host: receiver, after, packet });
            }
        }
        arriving
    }

    /// Both directions of a link: there, and back.
    pub(crate) fn link(&mut self, link: usize) -> impl Iterator<Item = &mut Direction> {
        let between = self.between.get(link).copied().unwrap_or_default();
        let [a, b] = between;
        self.ways
            .iter_mut()
            .filter(move |(ends, _)| **ends == (a, b) || **ends == (b, a))
            .map(|(_, way)| &mut way.direction)
    }

    /// The direction of a link from its first host to its second.
    pub(crate) fn there(&mut self, link: usize) -> Option<&mut Direction> {
        let [a, b] = self.between.get(link).copied()?;
        self.ways.get_mut(&(a, b)).map(|way| &mut way.direction)
    }
}

/// The address of `host` with this port.
pub(crate) fn endpoint(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(address(host), port)
}

/// Whether a packet to `to` is meant for the host with this address.
pub(crate) fn is_for(to: IpAddr, host: usize) -> bool {
    to == BROADCAST || to == address(host)
}
