//! Delay_Req answered in place, by whoever holds the packet (IEEE 1588-2019 9.5.12, 11.3.2).

use sidereal_time::{Instant, PtpTimestamp, Span, Tai};

use crate::address::PortKey;
use crate::identity::PortIdentity;
use crate::message::{Correction, Flags, MessageType, SdoId};

/// The length of a Delay_Req without TLVs, in bytes (13.6.1).
const DELAY_REQ_LEN: usize = 44;
/// The length of a Delay_Resp, in bytes (13.8.1): the least room that an answer needs.
pub const DELAY_RESP_LEN: usize = 54;
/// logMessageInterval where none is told (table 42).
const NO_INTERVAL: u8 = 0x7f;

/// What answering the Delay_Req of one leading port takes: small, and the same until something of the port changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Responder {
    /// The port whose messages these are.
    pub key: PortKey,
    /// portDS.portIdentity.
    pub identity: PortIdentity,
    /// defaultDS.domainNumber.
    pub domain: u8,
    /// defaultDS.sdoId.
    pub sdo_id: SdoId,
    /// minorVersionPTP of the answers.
    pub minor_version: u8,
    /// portDS.logMinDelayReqInterval, told to who asks by multicast.
    pub log_min_delay_req_interval: i8,
    /// From when a message passes the reference plane to when its receive stamp is taken.
    pub ingress_latency: Span,
}

/// Why a message is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    /// It is no whole Delay_Req of version 2.
    NotDelayReq,
    /// The buffer has no room for the answer.
    NoRoom,
    /// Another domain.
    WrongDomain,
    /// Another sdoId.
    WrongSdoId,
    /// Our own, come back.
    Reflected,
    /// Our time is beyond what a timestamp can tell.
    NoTime,
}

impl NoAnswer {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::NotDelayReq, Self::NoRoom, Self::WrongDomain, Self::WrongSdoId, Self::Reflected, Self::NoTime];

    /// Its name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotDelayReq => "not_delay_req",
            Self::NoRoom => "no_room",
            Self::WrongDomain => "wrong_domain",
            Self::WrongSdoId => "wrong_sdo_id",
            Self::Reflected => "reflected",
            Self::NoTime => "no_time",
        }
    }
}

impl Responder {
    /// Whether `message` is a Delay_Req, of any domain: a look at its first byte and its length.
    #[must_use]
    pub const fn is_request(message: &[u8]) -> bool {
        matches!(message.first(), Some(first) if *first & 0x0f == MessageType::DelayReq.bits())
            && message.len() >= DELAY_REQ_LEN
    }

    /// Turns the Delay_Req in the first `len` bytes of `buffer`, which arrived at `received` by our clock, into its
    /// Delay_Resp; returns that one's length. The unicast flag is kept: the answer goes by the way that the question came.
    ///
    /// # Errors
    /// Where it is not to be answered; the buffer is then as it was.
    #[inline]
    pub fn answer(&self, buffer: &mut [u8], len: usize, received: Instant<Tai>) -> Result<usize, NoAnswer> {
        let Some(message) = buffer.first_chunk_mut::<DELAY_RESP_LEN>() else { return Err(NoAnswer::NoRoom) };
        let [kind, version, length_high, length_low, domain, minor_sdo_id, flags, _, ..] = *message;
        let stated = usize::from(u16::from_be_bytes([length_high, length_low]));
        let is_request = kind & 0x0f == MessageType::DelayReq.bits() && version & 0x0f == 2;
        if !is_request || len < stated || stated < DELAY_REQ_LEN {
            return Err(NoAnswer::NotDelayReq);
        }
        if domain != self.domain {
            return Err(NoAnswer::WrongDomain);
        }
        if u16::from(kind >> 4) << 8 | u16::from(minor_sdo_id) != self.sdo_id.number() {
            return Err(NoAnswer::WrongSdoId);
        }
        let requesting: [u8; 10] = copied(message, 20);
        if requesting == self.identity.to_be_bytes() {
            return Err(NoAnswer::Reflected);
        }
        let received = received - self.ingress_latency;
        let timestamp = PtpTimestamp::from_tai(received).map_err(|_| NoAnswer::NoTime)?;
        // receiveTimestamp has whole nanoseconds; the follower subtracts correctionField from it, which tells the rest.
        let rest = Correction::from_span(timestamp.to_tai() - received);
        let correction = Correction(i64::from_be_bytes(copied(message, 8))).saturating_add(rest);
        let unicast = flags & Flags::UNICAST.0.to_be_bytes()[0];
        let interval = if unicast == 0 { self.log_min_delay_req_interval.cast_unsigned() } else { NO_INTERVAL };
        // Domain, sdoId and sequenceId stay.
        message[0] = kind & 0xf0 | MessageType::DelayResp.bits();
        message[1] = self.minor_version << 4 | 2;
        message[2..4].copy_from_slice(&[0, 54]);
        message[6..8].copy_from_slice(&[unicast, 0]);
        message[8..16].copy_from_slice(&correction.0.to_be_bytes());
        message[16..20].fill(0);
        message[20..30].copy_from_slice(&self.identity.to_be_bytes());
        message[32..34].copy_from_slice(&[MessageType::DelayResp.control(), interval]);
        message[34..44].copy_from_slice(&timestamp.to_be_bytes());
        message[44..54].copy_from_slice(&requesting);
        Ok(DELAY_RESP_LEN)
    }
}

/// The `N` bytes of `message` from `at` on, a constant within it.
fn copied<const N: usize>(message: &[u8; DELAY_RESP_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&message[at..at + N]);
    bytes
}

/// The responders of all ports, as the engine tells them to who answers. By default nobody is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Responders(Vec<Responder>);

impl Responders {
    /// Those of ports that lead.
    #[must_use]
    pub fn new(responders: impl IntoIterator<Item = Responder>) -> Self {
        Self(responders.into_iter().collect())
    }

    /// The one of this port, if it leads.
    #[must_use]
    pub fn of(&self, key: PortKey) -> Option<&Responder> {
        self.0.iter().find(|responder| responder.key == key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Responder> {
        self.0.iter()
    }
}
