//! The sockets of associations: which packet leaves by which, and whose answer comes by which.

use nix::net::if_::if_nametoindex;
use sidereal_cpu::LocalCounter;
use sidereal_dataplane::{LinkSpeed, frame_len};
use sidereal_engine::{Endpoint, MAX_SOURCES, Outgoing, PacketId, SourceId};
use sidereal_nic_kernel::{AssociationSocket, DATAGRAM_BYTES, OpenError};
use sidereal_ntp::{Header, Mode};
use sidereal_ptp::{NTP_PREFIX_LEN, NtpCarrier};
use sidereal_time::{Arrived, Span, StampSource, Ticks, TxStamp, TxToken};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

use super::happened::{Happened, is_unreachable};
use super::link_speeds::LinkSpeeds;
use super::ports::ntp_port;
use super::waiting::Ready;
use crate::config::Config;
use crate::counter::Locator;
use crate::stamping::{Stamped, Stamping};

/// How long a port of a source's own stays open after its last question: answers do not take longer, and nobody else is to
/// have time to find it.
const FRESH_LIFETIME: Duration = Duration::from_secs(8);
/// How soon stamps are looked for while some are missing.
const STAMP_WAIT: Duration = Duration::from_millis(20);

/// All sockets of associations and broadcasts. They are few: two or three for each source.
#[derive(Debug)]
pub(super) struct Sockets {
    counter: LocalCounter,
    ntp_port: u16,
    /// How far broadcasts go, by where they go.
    ttls: Vec<(SocketAddr, u8)>,
    held: Vec<Held>,
    /// Who had no socket the last time: said once, and of so many at most.
    without: BTreeSet<SocketAddr>,
    strays: Vec<Stray>,
    stamping: Stamping,
    speeds: LinkSpeeds,
}

/// A message that has come to a socket of an association on the port of PTP's event messages, and is no answer to it: who is
/// asked may ask us, or speak PTP.
#[derive(Debug)]
pub(super) struct Stray {
    source: SourceId,
    /// The index of the interface that it came by.
    pub(super) interface: u32,
    pub(super) from: SocketAddr,
    pub(super) message: Vec<u8>,
    pub(super) arrival: Arrived,
}

impl Stray {
    /// As the association is to be told, where it is for nobody else.
    pub(super) fn datagram(self) -> Happened {
        let Self { source, from, message: payload, arrival, .. } = self;
        Happened::Datagram { source, from, payload, arrival, reception: Span::ZERO }
    }
}

#[derive(Debug)]
struct Held {
    /// Whose it is; nobody's where it only broadcasts.
    source: Option<SourceId>,
    kind: Kind,
    peer: SocketAddr,
    socket: AssociationSocket,
    /// The index of the interface whose NIC stamps its packets, where one does.
    stamped_by: Option<u32>,
    used: Instant,
    /// The packets whose stamps are waited for, and when they were sent by our own counter.
    sent: Vec<(PacketId, Ticks)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On a random port, connected.
    Fresh,
    /// On the NTP port, connected.
    Ntp,
    /// On the NTP port, for what is sent to all.
    Listener,
    /// On the port of PTP's event messages, connected.
    PtpEvent,
}

impl Sockets {
    /// No sockets.
    pub(super) fn new(counter: LocalCounter, config: &Config, stamping: &Stamping) -> Self {
        let ttls = config.ntp_broadcasts.iter().filter_map(|broadcast| {
            let to = SocketAddr::new(broadcast.address, u16::try_from(broadcast.port.get()).ok()?);
            Some((to, u8::try_from(broadcast.ttl?.get()).ok()?))
        });
        Self {
            counter,
            ntp_port: ntp_port(config),
            ttls: ttls.collect(),
            held: Vec::new(),
            without: BTreeSet::new(),
            strays: Vec::new(),
            stamping: stamping.clone(),
            speeds: LinkSpeeds::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// What to wait for, in the order that [`Self::turn`] wants.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.held.iter().map(|held| held.socket.as_fd())
    }

    /// How long nothing needs to be done here unless a descriptor is ready.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        if self.held.iter().any(|held| held.socket.is_waiting()) {
            return STAMP_WAIT;
        }
        let fresh = self.held.iter().filter(|held| held.kind == Kind::Fresh);
        let left = fresh.map(|held| (held.used + FRESH_LIFETIME).saturating_duration_since(now));
        left.min().unwrap_or(Duration::MAX)
    }

    /// Sends a packet; what becomes of it happens later, by [`Self::turn`], or at once.
    pub(super) fn send(&mut self, outgoing: &Outgoing, now: Instant) -> Vec<Happened> {
        let mut happened = Vec::new();
        let place = match self.place(outgoing, now, &mut happened) {
            Ok(place) => place,
            Err(error) => {
                if self.without.len() < MAX_SOURCES && self.without.insert(outgoing.to) {
                    warn!("no socket for {}: {error}", outgoing.to);
                }
                happened
                    .push(Happened::SendFailed { packet: outgoing.packet, unreachable: is_open_unreachable(&error) });
                return happened;
            }
        };
        self.without.remove(&outgoing.to);
        let Some(held) = self.held.get_mut(place) else { return happened };
        held.used = now;
        let token = outgoing.stamp_wanted.then(|| TxToken::new(outgoing.packet.0));
        // Where the kernel does not say when it left: not before this. A round trip that is told too long covers its own error.
        let left = self.counter.now();
        let sent = held.socket.send(&outgoing.payload, token);
        match sent {
            Ok(()) if outgoing.stamp_wanted => held.sent.push((outgoing.packet, left)),
            Ok(()) => happened.push(Happened::transmitted(outgoing.packet, left, StampSource::Software)),
            Err(error) => {
                debug!("{}: {error}", outgoing.to);
                happened.push(Happened::SendFailed { packet: outgoing.packet, unreachable: is_unreachable(&error) });
                // Addresses and routes may have changed: the next packet gets a socket of its own.
                let held = self.held.swap_remove(place);
                happened.extend(held.close());
            }
        }
        happened
    }

    /// Has sockets on the NTP port that hear `from` on behalf of `source`: what it sends to us, and to all.
    pub(super) fn listen(&mut self, source: SourceId, from: SocketAddr, now: Instant) {
        if !self.has(source, Kind::Ntp, from) {
            let opened = AssociationSocket::connect_from(self.ntp_port, from, None);
            self.hold(opened, source, Kind::Ntp, from, now);
        }
        if !self.has(source, Kind::Listener, from) {
            let opened = AssociationSocket::listen(self.ntp_port, from.ip());
            self.hold(opened, source, Kind::Listener, from, now);
        }
    }

    /// Closes the sockets of `source`.
    pub(super) fn close(&mut self, source: SourceId) -> Vec<Happened> {
        self.close_where(|held| held.source == Some(source))
    }

    /// What has happened, of the sockets that are `ready` (in the order of [`Self::descriptors`]) and of those whose time is
    /// over. Stamps get their place on the counter by `clock`, at once: it knows the recent past alone.
    pub(super) fn turn(&mut self, ready: &[Ready], clock: &mut Locator<'_>, now: Instant) -> Vec<Happened> {
        let mut happened = Vec::new();
        let ready = ready.iter().copied().chain(core::iter::repeat(Ready::NONE));
        for (held, ready) in self.held.iter_mut().zip(ready) {
            if ready.error {
                held.socket.read_notice();
            }
            while let Some((token, stamp)) = held.socket.poll_stamp() {
                happened.extend(held.stamped(token, stamp, clock));
            }
            if ready.readable {
                match held.receive(self.counter, clock, &mut self.speeds, now) {
                    Some(Heard::Here(here)) => happened.push(here),
                    Some(Heard::Stray(stray)) => self.strays.push(stray),
                    None => {}
                }
            }
        }
        happened.extend(self.close_where(|held| {
            held.kind == Kind::Fresh && now.saturating_duration_since(held.used) >= FRESH_LIFETIME
        }));
        happened
    }

    /// What came here in the last [`Self::turn`], and is for PTP.
    pub(super) fn take_strays(&mut self) -> Vec<Stray> {
        core::mem::take(&mut self.strays)
    }

    /// The place of the socket by which `outgoing` leaves.
    fn place(&mut self, outgoing: &Outgoing, now: Instant, happened: &mut Vec<Happened>) -> Result<usize, OpenError> {
        let (source, peer) = (outgoing.source, outgoing.to);
        let kind = match outgoing.from {
            Endpoint::Fresh => Kind::Fresh,
            Endpoint::Ntp => Kind::Ntp,
            Endpoint::PtpEvent => Kind::PtpEvent,
        };
        let found = self.held.iter().position(|held| held.source == source && held.kind == kind && held.peer == peer);
        if let (Some(place), Kind::Ntp | Kind::PtpEvent) = (found, kind) {
            return Ok(place);
        }
        let socket = match kind {
            Kind::Fresh => {
                happened.extend(self.close_where(|held| held.source == source && held.kind == Kind::Fresh));
                AssociationSocket::connect(peer)?
            }
            Kind::PtpEvent => AssociationSocket::connect_from_ptp(peer)?,
            Kind::Ntp | Kind::Listener => {
                let ttl = self.ttls.iter().find(|(to, _)| *to == peer).map(|(_, ttl)| *ttl);
                AssociationSocket::connect_from(self.ntp_port, peer, ttl)?
            }
        };
        let (socket, stamped_by) = self.stamped(socket, kind, peer)?;
        self.held.push(Held { source, kind, peer, socket, stamped_by, used: now, sent: Vec::new() });
        Ok(self.held.len() - 1)
    }

    /// Has the NIC stamp what goes to `peer` and comes from it, where one does on the way there; the index of its interface.
    fn stamped(
        &self,
        socket: AssociationSocket,
        kind: Kind,
        peer: SocketAddr,
    ) -> Result<(AssociationSocket, Option<u32>), OpenError> {
        match way_to(peer, &self.stamping).filter(|stamped| stamped.ntp || kind == Kind::PtpEvent) {
            Some(Stamped { interface, timestamping, .. }) => {
                Ok((socket.by_interface(interface, *timestamping)?, if_nametoindex(interface.as_str()).ok()))
            }
            None => Ok((socket, None)),
        }
    }

    fn has(&self, source: SourceId, kind: Kind, peer: SocketAddr) -> bool {
        self.held.iter().any(|held| held.source == Some(source) && held.kind == kind && held.peer == peer)
    }

    fn hold(
        &mut self,
        opened: Result<AssociationSocket, OpenError>,
        source: SourceId,
        kind: Kind,
        peer: SocketAddr,
        now: Instant,
    ) {
        match opened.and_then(|socket| self.stamped(socket, kind, peer)) {
            Ok((socket, stamped_by)) => {
                let source = Some(source);
                self.held.push(Held { source, kind, peer, socket, stamped_by, used: now, sent: Vec::new() });
            }
            Err(error) => warn!("nothing that {peer} sends by itself is heard: {error}"),
        }
    }

    fn close_where(&mut self, closes: impl Fn(&Held) -> bool) -> Vec<Happened> {
        self.held.extract_if(.., |held| closes(held)).flat_map(Held::close).collect()
    }
}

/// What has come to a socket.
enum Heard {
    Here(Happened),
    Stray(Stray),
}

impl Held {
    /// The stamp of a packet, or the time of the call where the kernel had none. Nothing where sending it had failed.
    fn stamped(&mut self, token: TxToken, stamp: TxStamp, clock: &mut Locator<'_>) -> Option<Happened> {
        let packet = PacketId(token.redeem());
        let place = self.sent.iter().position(|(sent, _)| *sent == packet)?;
        let (packet, by_us) = self.sent.swap_remove(place);
        let located = match stamp {
            TxStamp::Stamped(stamp) => clock.locate(stamp),
            TxStamp::Lost => None,
        };
        let left = located.unwrap_or(Arrived { ticks: by_us, source: StampSource::Software });
        Some(Happened::transmitted(packet, left.ticks, left.source))
    }

    /// Receives one datagram: the others' turn comes before the next, and whoever waits finds the socket ready again.
    fn receive(
        &mut self,
        counter: LocalCounter,
        clock: &mut Locator<'_>,
        speeds: &mut LinkSpeeds,
        now: Instant,
    ) -> Option<Heard> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let received = match self.socket.receive(&mut buffer) {
            Ok(received) => received?,
            // Told of what was sent: no answer comes, and that is what counts.
            Err(error) => {
                debug!("{}: {error}", self.peer);
                return None;
            }
        };
        let located = received.stamp.and_then(|stamp| clock.locate(stamp));
        let arrival = located.unwrap_or_else(|| Arrived { ticks: counter.now(), source: StampSource::Software });
        // Whatever is sent to all comes here; link-local addresses differ by their interface.
        let is_peer = (received.from.ip(), received.from.port()) == (self.peer.ip(), self.peer.port());
        if self.kind == Kind::Listener && !is_peer {
            return None;
        }
        // A datagram that was cut is no message of ours.
        let payload = buffer.get(..received.len)?.to_vec();
        let (source, from) = (self.source?, received.from);
        if let (Kind::PtpEvent, Some(interface)) = (self.kind, received.interface)
            && !is_carried_answer(&payload)
        {
            return Some(Heard::Stray(Stray { source, interface, from, message: payload, arrival }));
        }
        let megabits = received.interface.or(self.stamped_by).map_or(0, |interface| speeds.megabits(interface, now));
        let reception = LinkSpeed::of(megabits).reception(arrival.source, frame_len(from.ip(), payload.len()));
        Some(Heard::Here(Happened::Datagram { source, from, payload, arrival, reception }))
    }

    /// Closes the socket; what was still waited for left when we say.
    fn close(self) -> Vec<Happened> {
        let tokens = self.socket.close().map(|(token, _)| PacketId(token.redeem()));
        let sent = tokens.filter_map(|packet| self.sent.iter().find(|(sent, _)| *sent == packet));
        sent.map(|(packet, left)| Happened::transmitted(*packet, *left, StampSource::Software)).collect()
    }
}

/// Whether a message of PTP carries the answer of an NTP server.
fn is_carried_answer(message: &[u8]) -> bool {
    let carried = message.get(NTP_PREFIX_LEN..).filter(|_| NtpCarrier::carries(message)).and_then(Header::of);
    carried.is_some_and(|header| header.mode() == Mode::Server)
}

/// The interface by which `peer` is reached, where its NIC stamps.
fn way_to(peer: SocketAddr, stamping: &Stamping) -> Option<&Stamped> {
    if stamping.interfaces().is_empty() {
        return None;
    }
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    let own = socket.local_addr().ok()?.ip();
    let has_own = |here: &nix::ifaddrs::InterfaceAddress| {
        here.address.as_ref().is_some_and(|address| {
            address.as_sockaddr_in().is_some_and(|address| own == address.ip())
                || address.as_sockaddr_in6().is_some_and(|address| own == address.ip())
        })
    };
    let here = nix::ifaddrs::getifaddrs().ok()?.find(has_own)?;
    stamping.interfaces().iter().find(|stamped| stamped.interface == here.interface_name)
}

fn is_open_unreachable(error: &OpenError) -> bool {
    matches!(error, OpenError::Call { error, .. } if is_unreachable(error))
}

#[cfg(test)]
mod tests;
