//! A server or peer on the network: its address, and the association with it.

use core::net::SocketAddr;

use arrayvec::ArrayVec;
use sidereal_ntp::{
    Association, AssociationOptions, Carriage, Context, KissCode, MAX_MESSAGE_LEN, Measured, PollAdvice, Received, Role,
};
use sidereal_ptp::{ClockIdentity, NotCarried, NtpCarrier, PortIdentity};
use sidereal_time::{Arrived, LocalClock, Span, StampSource, Ticks};

use crate::event::{Endpoint, MAX_DATAGRAM_LEN};
use crate::resolution::Resolution;

/// Polls without an answer after which another address is tried, where there is one.
const SILENT_POLLS: u64 = 8;

/// A server or peer on the network.
#[derive(Debug)]
pub(crate) struct Remote {
    options: AssociationOptions,
    /// Where it has a name.
    resolution: Option<Resolution>,
    peer: Option<Peer>,
    /// Counts the associations there have been: what comes late for an earlier one is not for this one.
    incarnation: u16,
    listen_wanted: bool,
    resolve_wanted: bool,
    /// Datagrams from elsewhere.
    strays: u64,
    /// Messages of PTP that carry nothing, or nothing for us.
    not_carried: [u64; NotCarried::ALL.len() + 1],
    /// What it asked for last, and has been reported.
    kissed: Option<KissCode>,
    last_ignored: Option<&'static str>,
}

#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    association: Association,
    /// How PTP carries its messages, if it does.
    carrier: Option<NtpCarrier>,
    /// How many packets had been sent when it last answered.
    sent_when_heard: u64,
}

/// A packet that is to be sent to it.
pub(crate) struct Packet {
    pub(crate) to: SocketAddr,
    pub(crate) from: Endpoint,
    pub(crate) incarnation: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: ArrayVec<u8, MAX_DATAGRAM_LEN>,
    pub(crate) stamp_wanted: bool,
}

impl Remote {
    /// One whose address is to be found out.
    pub(crate) fn named(options: &AssociationOptions, resolution: Resolution) -> Self {
        Self {
            options: options.clone(),
            resolution: Some(resolution),
            peer: None,
            incarnation: 0,
            listen_wanted: false,
            resolve_wanted: false,
            strays: 0,
            not_carried: [0; NotCarried::ALL.len() + 1],
            kissed: None,
            last_ignored: None,
        }
    }

    /// One at this address.
    pub(crate) fn at(options: &AssociationOptions, address: SocketAddr, now: Ticks, context: &mut Context<'_>) -> Self {
        let mut remote = Self::named(options, Resolution::new("", 0, now));
        remote.resolution = None;
        remote.associate(address, now, context);
        remote
    }

    /// Begins anew with `address`.
    pub(crate) fn associate(&mut self, address: SocketAddr, now: Ticks, context: &mut Context<'_>) {
        self.incarnation = self.incarnation.wrapping_add(1);
        self.listen_wanted = self.options.role != Role::Client;
        self.kissed = None;
        let association = Association::new(&self.options, now, context);
        let carrier = self.options.over_ptp.map(|domain| NtpCarrier { domain, source: random_identity(context) });
        self.peer = Some(Peer { address, association, carrier, sent_when_heard: 0 });
    }

    /// Begins anew with the same address.
    pub(crate) fn restart(&mut self, options: &AssociationOptions, now: Ticks, context: &mut Context<'_>) {
        self.options = options.clone();
        if let Some(address) = self.address() {
            self.associate(address, now, context);
        }
        if let Some(resolution) = &mut self.resolution {
            resolution.counter_reset(now);
        }
    }

    pub(crate) fn resolution_mut(&mut self) -> Option<&mut Resolution> {
        self.resolution.as_mut()
    }

    /// Asks for its address where that is due, and takes another one where this one is of no use. Says whether it has begun
    /// anew.
    pub(crate) fn run(&mut self, local: &LocalClock, now: Ticks, context: &mut Context<'_>) -> bool {
        let useless = self.is_silent() || self.is_denied();
        let Some(resolution) = &mut self.resolution else { return false };
        let mut found = None;
        if self.peer.is_none() || useless {
            let old = self.peer.as_ref().map(|peer| peer.address);
            found = resolution.take(|address| Some(*address) != old);
        }
        self.resolve_wanted |= resolution.ask(local, now);
        if let Some(address) = found {
            self.associate(address, now, context);
        }
        found.is_some()
    }

    /// Takes what came from `from`. Gives what it asks for, where that is new.
    pub(crate) fn receive(
        &mut self,
        from: SocketAddr,
        payload: &[u8],
        (arrival, reception): (Arrived, Span),
        now: Ticks,
        context: &mut Context<'_>,
    ) -> Option<KissCode> {
        let peer =
            self.peer.as_mut().filter(|peer| (peer.address.ip(), peer.address.port()) == (from.ip(), from.port()));
        let Some(peer) = peer else {
            self.strays += 1;
            self.last_ignored = Some("stray");
            return None;
        };
        let received = match &peer.carrier {
            None => {
                let arrival = Arrived { ticks: context.clock.later(arrival.ticks, reception), ..arrival };
                Ok(peer.association.receive(payload, arrival, now, context))
            }
            Some(carrier) => carried(carrier, payload).map(|(message, correction)| {
                let carriage = Carriage { correction, reception };
                peer.association.receive_over_ptp(message, arrival, carriage, now, context)
            }),
        };
        let received = match received {
            Ok(received) => received,
            Err(reason) => {
                self.last_ignored = Some(not_carried_name(reason));
                let place = reason.map_or(NotCarried::ALL.len(), |reason| reason as usize);
                if let Some(count) = self.not_carried.get_mut(place) {
                    *count += 1;
                }
                return None;
            }
        };
        match received {
            Received::Accepted => {
                peer.sent_when_heard = peer.association.counts().sent;
                None
            }
            Received::Ignored(reason) => {
                self.last_ignored = Some(reason.name());
                None
            }
            Received::Kiss(code) => (self.kissed.replace(code) != Some(code)).then_some(code),
        }
    }

    /// What became of a packet of `incarnation`.
    pub(crate) fn transmitted(&mut self, incarnation: u16, sequence: u32, left: Option<Arrived>) {
        if let Some(peer) = self.peer.as_mut().filter(|_| incarnation == self.incarnation) {
            let source = left.map_or(StampSource::Software, |left| left.source);
            peer.association.transmitted(sequence, left.map(|left| left.ticks), source);
        }
    }

    pub(crate) fn poll_measured(&mut self) -> Option<Measured> {
        self.peer.as_mut()?.association.poll_measured()
    }

    /// The packet that is due, if one is.
    pub(crate) fn poll_transmit(
        &mut self,
        local: &LocalClock,
        now: Ticks,
        context: &mut Context<'_>,
    ) -> Option<Packet> {
        let peer = self.peer.as_mut()?;
        let due = peer.association.poll_timeout()?;
        if local.passed(due, now) < Span::ZERO {
            return None;
        }
        let mut buffer = [0; MAX_MESSAGE_LEN];
        let transmit = peer.association.poll_transmit(now, context, &mut buffer)?;
        let message = buffer.get(..transmit.len)?;
        let (from, payload) = match &peer.carrier {
            Some(carrier) => {
                let mut buffer = [0; MAX_DATAGRAM_LEN];
                #[expect(clippy::cast_possible_truncation, reason = "the number of a PTP message wraps")]
                let len = carrier.wrap(transmit.sequence as u16, message, &mut buffer).ok()?;
                (Endpoint::PtpEvent, buffer.get(..len)?.iter().copied().collect())
            }
            None if transmit.fresh_port => (Endpoint::Fresh, message.iter().copied().collect()),
            None => (Endpoint::Ntp, message.iter().copied().collect()),
        };
        Some(Packet {
            to: peer.address,
            from,
            incarnation: self.incarnation,
            sequence: transmit.sequence,
            payload,
            stamp_wanted: transmit.stamp_wanted,
        })
    }

    /// The address that a socket is to hear, where one is needed before anything is sent.
    pub(crate) fn poll_listen(&mut self) -> Option<SocketAddr> {
        core::mem::take(&mut self.listen_wanted).then(|| self.address())?
    }

    /// The name and port that is to be resolved.
    pub(crate) fn poll_resolve(&mut self) -> Option<(String, u16)> {
        let resolution = self.resolution.as_ref()?;
        core::mem::take(&mut self.resolve_wanted).then(|| (resolution.name.clone(), resolution.port))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Ticks> {
        match &self.peer {
            Some(peer) => peer.association.poll_timeout(),
            None => self.resolution.as_ref()?.poll_timeout(),
        }
    }

    pub(crate) fn advise(&mut self, advice: PollAdvice) {
        if let Some(peer) = &mut self.peer {
            peer.association.advise(advice);
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.peer.as_ref().map(|peer| peer.address)
    }

    pub(crate) fn association(&self) -> Option<&Association> {
        self.peer.as_ref().map(|peer| &peer.association)
    }

    pub(crate) fn options(&self) -> &AssociationOptions {
        &self.options
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.association().is_some_and(Association::is_denied)
    }

    /// Whether it has not answered for so long that another address is better.
    pub(crate) fn is_silent(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| {
            peer.association.reach() == 0 && peer.association.counts().sent - peer.sent_when_heard >= SILENT_POLLS
        })
    }

    /// Why nothing is asked, in words, where nothing is.
    pub(crate) fn why_silent(&self) -> Option<String> {
        match (&self.peer, &self.resolution) {
            (None, Some(resolution)) => Some(resolution.words()),
            _ if self.is_denied() => Some("it refuses to serve us".to_owned()),
            _ => None,
        }
    }

    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.association().map(Association::counts);
        let mut named: Vec<_> =
            counts.iter().flat_map(|counts| counts.by_name()).filter(|(_, count)| *count > 0).collect();
        named.extend((self.strays > 0).then_some(("stray", self.strays)));
        let reasons = NotCarried::ALL.into_iter().map(Some).chain([None]).map(not_carried_name);
        named.extend(reasons.zip(self.not_carried).filter(|(_, count)| *count > 0));
        named
    }

    pub(crate) fn last_ignored(&self) -> Option<&'static str> {
        self.last_ignored
    }
}

/// The NTP message that `message` of PTP carries, and how long transparent clocks say that they kept it; `Err(None)` where it
/// carries none. A correction that is too big to be told corrects nothing.
fn carried<'a>(carrier: &NtpCarrier, message: &'a [u8]) -> Result<(&'a [u8], Span), Option<NotCarried>> {
    if !NtpCarrier::carries(message) {
        return Err(None);
    }
    let carried = carrier.unwrap(message)?;
    Ok((message.get(carried.ntp).ok_or(NotCarried::Length)?, carried.correction.span().unwrap_or_default()))
}

/// What a message that carries nothing for us is counted as.
const fn not_carried_name(reason: Option<NotCarried>) -> &'static str {
    match reason {
        Some(reason) => reason.name(),
        None => "over_ptp_no_ntp",
    }
}

/// An identity that is nobody else's: of a MAC address that nobody was given (IEEE 802 8.2, 8.4).
fn random_identity(context: &mut Context<'_>) -> PortIdentity {
    const LOCAL: u8 = 0b10;
    const GROUP: u8 = 0b01;
    let [first, b, c, d, e, f, ..] = (context.random)().to_be_bytes();
    PortIdentity { clock: ClockIdentity::from_mac([first & !GROUP | LOCAL, b, c, d, e, f]), number: 1 }
}

#[cfg(test)]
mod tests;
