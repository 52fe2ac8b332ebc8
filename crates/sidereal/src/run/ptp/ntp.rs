//! NTP that comes to the sockets of PTP, answered there.

use sidereal_dataplane::{Carried, OverPtpServer, frame_len};
use sidereal_nic_kernel::{PtpDatagram, PtpSocket};
use sidereal_ptp::{Address, MessageClass};
use sidereal_time::{Arrived, TxToken};
use std::net::{IpAddr, Ipv4Addr};
use tracing::debug;

use super::domains::Incoming;

/// What tells the keys of replies to NTP from the engine's packets, which are of sources and have this bit never set, as little
/// as the keys of the NTP server do.
const OURS: u64 = 1 << 63;

/// Answers the NTP messages among those that come to one interface.
#[derive(Debug)]
pub(super) struct Ntp {
    server: OverPtpServer,
}

impl Ntp {
    pub(super) const fn new(server: OverPtpServer) -> Self {
        Self { server }
    }

    /// Answers a message that carries NTP, and was sent to us alone (RFC 10030 §2); says whether it was one. All others are not
    /// changed.
    pub(super) fn take(&mut self, socket: &mut PtpSocket, asked: &PtpDatagram, incoming: &mut Incoming) -> bool {
        let is_group = |to: IpAddr| to.is_multicast() || to == Ipv4Addr::BROADCAST;
        let (Address::Ip(client), Some(MessageClass::Event)) = (asked.from, asked.class) else { return false };
        if asked.to.is_some_and(is_group) {
            return false;
        }
        let Incoming { buffer, len, arrival, found, .. } = incoming;
        let arrival = arrival.unwrap_or(*found);
        let received = (*len).min(buffer.len());
        match self.server.answer(buffer, received, client, arrival, frame_len(client, *len)) {
            None => false,
            Some(Carried::Dropped) => true,
            Some(Carried::Reply { len, token }) => {
                let reply = buffer.get(..len).unwrap_or_default();
                let token = token.map(|token| TxToken::new(token.redeem() | OURS));
                let sent = socket.answer(MessageClass::Event, asked, reply, token);
                if let Err(error) = &sent {
                    debug!("NTP over PTP to {client}: {error}");
                }
                self.server.sent(sent.is_ok());
                true
            }
        }
    }

    /// Whether a token with this key is one of its replies.
    pub(super) const fn has_sent(key: u64) -> bool {
        key & OURS != 0
    }

    /// What became of the stamp of its reply with this key: when that left, `None` where nobody knows.
    pub(super) fn transmitted(&mut self, key: u64, left: Option<Arrived>) {
        self.server.transmitted(TxToken::new(key & !OURS), left);
    }
}
