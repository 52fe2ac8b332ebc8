//! PTP Ports on one interface of the kernel.

use sidereal_cpu::LocalCounter;
use sidereal_engine::{PacketId, PtpOutgoing};
use sidereal_nic_kernel::{Beside, PtpDatagram, PtpError, PtpLink, PtpSocket, Timestamping};
use sidereal_ptp::{Address, MAX_MESSAGE_LEN, MessageClass, PortKey, Transport};
use sidereal_time::{Arrived, StampSource, TxStamp, TxToken};
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tracing::{debug, info, warn};

use super::domains::{Answer, Domains, Incoming, Terms};
use super::ntp::Ntp;
use crate::counter::Locator;
use crate::run::happened::{Happened, is_unreachable};
use crate::run::sockets::Stray;
use crate::run::waiting::Ready;

/// How soon stamps are looked for while some are missing.
const STAMP_WAIT: Duration = Duration::from_millis(20);
/// Messages of one socket that are taken before something else gets its turn.
const MESSAGES_PER_TURN: usize = 64;
/// One interface of the kernel, for one transport, and the PTP Ports that speak by it.
#[derive(Debug)]
pub(super) struct Interface {
    name: String,
    transport: Transport,
    /// Who stamps its packets.
    timestamping: Timestamping,
    domains: Domains,
    /// Answers NTP that PTP carries, where that is wanted.
    ntp: Option<Ntp>,
    /// None while the interface is gone.
    socket: Option<PtpSocket>,
    /// The packets whose stamps are waited for.
    sent: Vec<PacketId>,
    /// What the engine was told last of whether it can be used.
    told: Option<bool>,
    counter: LocalCounter,
}

impl Interface {
    /// Without sockets and ports.
    pub(super) fn new(name: &str, transport: Transport, timestamping: Timestamping, counter: LocalCounter) -> Self {
        Self {
            name: name.to_owned(),
            transport,
            timestamping,
            domains: Domains::default(),
            ntp: None,
            socket: None,
            sent: Vec::new(),
            told: None,
            counter,
        }
    }

    pub(super) fn is(&self, name: &str, transport: Transport) -> bool {
        self.name == name && self.transport == transport
    }

    pub(super) fn has(&self, key: PortKey) -> bool {
        self.domains.has(key)
    }

    pub(super) fn add(&mut self, key: PortKey, domain: u8) {
        self.domains.add(key, domain);
    }

    /// Has NTP answered that comes here.
    pub(super) fn serve_ntp(&mut self, ntp: Ntp) {
        self.ntp = Some(ntp);
    }

    pub(super) const fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Opens the sockets.
    pub(super) fn open(&mut self) -> Result<(), PtpError> {
        self.socket = Some(PtpSocket::open(&self.name, self.transport, Beside::Nobody, self.timestamping)?);
        Ok(())
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.socket.iter().flat_map(PtpSocket::descriptors)
    }

    pub(super) fn idle(&self) -> Duration {
        let is_waiting = self.socket.as_ref().is_some_and(PtpSocket::is_waiting);
        if is_waiting { STAMP_WAIT } else { Duration::MAX }
    }

    /// The Delay_Req that its sockets have answered, by port, since this was last asked.
    pub(super) fn take_answered(&mut self) -> impl Iterator<Item = Happened> {
        self.domains.take_answered()
    }

    pub(super) fn counts(&self, key: PortKey) -> impl Iterator<Item = (&'static str, u64)> {
        self.domains.counts(key)
    }

    pub(super) fn send(&mut self, outgoing: &PtpOutgoing) -> Option<Happened> {
        let PtpOutgoing { packet, class, to, stamp_wanted, .. } = *outgoing;
        let failed = |unreachable| Some(Happened::SendFailed { packet, unreachable });
        let Some(socket) = &mut self.socket else { return failed(true) };
        let token = stamp_wanted.then(|| TxToken::new(packet.0));
        match socket.send(class, to, &outgoing.payload, token) {
            Ok(()) => {
                self.sent.extend(stamp_wanted.then_some(packet));
                None
            }
            Err(error) => {
                debug!("PTP on {}: {error}", self.name);
                failed(is_unreachable(&error))
            }
        }
    }

    /// Takes the stamps and messages at the descriptors that are `ready`, and answers by `terms` what can be answered at once.
    pub(super) fn turn(
        &mut self,
        ready: &[Ready],
        clock: &mut Locator<'_>,
        terms: Terms<'_>,
        happened: &mut Vec<Happened>,
    ) {
        let Some(mut socket) = self.socket.take() else { return };
        for (place, ready) in ready.iter().enumerate() {
            if ready.error {
                socket.read_notice(place);
            }
            if ready.readable {
                self.receive(&mut socket, place, clock, terms, happened);
            }
        }
        while let Some((token, stamp)) = socket.poll_stamp() {
            happened.extend(self.stamped(token, stamp, clock));
        }
        self.socket = Some(socket);
    }

    /// Looks whether the interface is there and up. Sockets of one that is gone are closed, and those of one that is back
    /// opened.
    pub(super) fn look(&mut self, happened: &mut Vec<Happened>) {
        let link = self.socket.as_ref().map_or(PtpLink::Gone, PtpSocket::link);
        if link == PtpLink::Gone {
            if let Some(socket) = self.socket.take() {
                warn!("PTP on {}: the interface is gone", self.name);
                for (token, _) in socket.close() {
                    happened.extend(self.answered(token, None));
                }
            }
            match self.open() {
                Ok(()) => info!("PTP on {}: the interface is back", self.name),
                // That it is gone has been said.
                Err(error) => debug!("{error}"),
            }
        }
        let is_usable = self.socket.as_ref().is_some_and(|socket| socket.link() == PtpLink::Up);
        if self.told != Some(is_usable) {
            self.told = Some(is_usable);
            happened.extend(self.domains.keys().map(|port| Happened::PtpPort { port, usable: is_usable }));
        }
    }

    fn receive(
        &mut self,
        socket: &mut PtpSocket,
        place: usize,
        clock: &mut Locator<'_>,
        terms: Terms<'_>,
        happened: &mut Vec<Happened>,
    ) {
        for _ in 0..MESSAGES_PER_TURN {
            let mut buffer = [0; MAX_MESSAGE_LEN];
            let asked = match socket.receive(place, &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                // The interface is down or gone, which is looked for.
                Err(error) => return debug!("PTP on {}: {error}", self.name),
            };
            let PtpDatagram { len, from, stamp, .. } = asked;
            let found = Arrived { ticks: self.counter.now(), source: StampSource::Software };
            let located = stamp.and_then(|stamp| clock.locate(stamp));
            // Beside stamps of a NIC, those of us would be off by the time from it to here. Of messages that are not stamped,
            // it only counts how long it takes to heed them.
            let is_unstamped = self.timestamping == Timestamping::Software || is_general(&buffer);
            let arrival = located.or(is_unstamped.then_some(found));
            let mut incoming = Incoming { buffer, len, from, arrival, found };
            self.hear(socket, &asked, &mut incoming, terms, happened);
        }
    }

    /// Takes a message that has come to a socket of another's: whether it is one on this interface, by which it came.
    pub(super) fn hear_stray(&mut self, stray: &Stray, terms: Terms<'_>, happened: &mut Vec<Happened>) -> bool {
        let Some(mut socket) = self.socket.take_if(|socket| socket.is_on(stray.interface, self.transport)) else {
            return false;
        };
        let from = Address::Ip(stray.from.ip());
        let class = Some(MessageClass::Event);
        let asked =
            PtpDatagram { len: stray.message.len(), from, from_port: stray.from.port(), to: None, class, stamp: None };
        let buffer = [0; MAX_MESSAGE_LEN];
        let (arrival, found) = (Some(stray.arrival), stray.arrival);
        let mut incoming = Incoming { buffer, len: asked.len, from, arrival, found };
        incoming.buffer.iter_mut().zip(&stray.message).for_each(|(to, byte)| *to = *byte);
        self.hear(&mut socket, &asked, &mut incoming, terms, happened);
        self.socket = Some(socket);
        true
    }

    fn hear(
        &mut self,
        socket: &mut PtpSocket,
        asked: &PtpDatagram,
        incoming: &mut Incoming,
        terms: Terms<'_>,
        happened: &mut Vec<Happened>,
    ) {
        if self.ntp.as_mut().is_some_and(|ntp| ntp.take(socket, asked, incoming)) {
            return;
        }
        if let Some(Answer { port, to, len }) = self.domains.take(incoming, terms, happened) {
            let answer = incoming.buffer.get(..len).unwrap_or_default();
            let sent = socket.send(MessageClass::General, to, answer, None);
            self.domains.sent(port, sent.is_ok());
        }
    }

    fn stamped(&mut self, token: TxToken, stamp: TxStamp, clock: &mut Locator<'_>) -> Option<Happened> {
        let left = match stamp {
            TxStamp::Stamped(stamp) => clock.locate(stamp),
            TxStamp::Lost => None,
        };
        self.answered(token, left)
    }

    /// What became of a packet; nothing where that sending it has failed was told.
    fn answered(&mut self, token: TxToken, left: Option<Arrived>) -> Option<Happened> {
        let key = token.redeem();
        if let Some(ntp) = self.ntp.as_mut().filter(|_| Ntp::has_sent(key)) {
            ntp.transmitted(key, left);
            return None;
        }
        let packet = PacketId(key);
        let place = self.sent.iter().position(|sent| *sent == packet)?;
        self.sent.swap_remove(place);
        Some(Happened::Transmitted { packet, left })
    }
}

/// Whether a message is one of those that are not stamped (IEEE 1588-2019 13.3.2.3, table 36).
const fn is_general(message: &[u8; MAX_MESSAGE_LEN]) -> bool {
    message[0] & 0x08 != 0
}
