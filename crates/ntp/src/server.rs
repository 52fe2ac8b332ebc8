//! The server: a request in, its reply out, in the same buffer.

use crate::access::{AccessAction, AccessTable};
use crate::extension::{Body, BodyError};
use crate::hash::{AddressHasher, address_bits};
use crate::interleaved::{InterleavedTable, ReceiveTimes, as_receive, as_transmit, may_be_receive};
use crate::keys::KeyTable;
use crate::mac::{Key, MacFault};
use crate::message::{HEADER_LEN, Header, Mode, ReplyHeader, Times, Version};
use crate::outcome::{Answer, DropReason, KissCode, ReplyKind};
use crate::over_ptp::{self, Carriage};
use crate::peers::PeerTable;
use crate::rate::{RateLimit, RateTable, RateVerdict};
use core::net::IpAddr;
use sidereal_time::{NtpTimestamp, Span, Ticks, TxToken};

/// The longest request that is looked at, in bytes; it bounds the extension fields that are walked. The longest that a
/// client has reason to send, an NTS request for eight cookies (RFC 8915 §5.7), stays below.
pub const MAX_REQUEST_LEN: usize = 2048;

/// How much a server remembers; its memory is taken once, when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Clients of the interleaved mode; 128 bytes for five of them, rounded up to a power of two.
    pub interleaved_clients: usize,
    /// Prefixes of the rate limit; 64 bytes for four of them, rounded up likewise.
    pub rate_limit_prefixes: usize,
    /// Random bits that nobody else knows: they decide which clients compete for the same place.
    pub secret: [u64; 2],
}

/// How clients are to be treated. Built by the control plane and swapped as a whole.
#[derive(Debug, Default)]
pub struct Policy {
    /// Who is answered.
    pub access: AccessTable,
    /// The keys shared with clients and peers.
    pub keys: KeyTable,
    /// How often a client may ask, if that is limited.
    pub rate_limit: Option<RateLimit>,
    /// Whether the interleaved mode is offered.
    pub interleaved: bool,
    /// Whose messages are for associations. The server does not look at it: whoever hands it messages does.
    pub peers: PeerTable,
}

/// What holds for all replies of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The beginning of every reply.
    pub header: ReplyHeader,
    /// When the burst will leave, as well as it can be told beforehand.
    pub transmit: NtpTimestamp,
}

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// From whom.
    pub client: IpAddr,
    /// When, for the reply.
    pub receive: NtpTimestamp,
    /// When, by the counter that the rate limit was made for.
    pub ticks: Ticks,
}

/// A server, one for each worker: clients belong to a worker by their address.
#[derive(Debug)]
pub struct Server {
    hasher: AddressHasher,
    interleaved: InterleavedTable,
    rates: RateTable,
    receive_times: ReceiveTimes,
}

impl Server {
    /// A server that remembers nobody. Allocates all that it will ever need.
    #[must_use]
    pub fn new(limits: &ServerLimits) -> Self {
        Self {
            hasher: AddressHasher::new(limits.secret),
            interleaved: InterleavedTable::new(limits.interleaved_clients),
            rates: RateTable::new(limits.rate_limit_prefixes),
            receive_times: ReceiveTimes::default(),
        }
    }

    /// Turns the request in `buffer[..len]` into its reply in place. A reply is never longer than its request.
    ///
    /// A request is judged in this order: its length, version and mode; whether the access table drops it; the rate limit;
    /// its MAC, and whether it must have one. Kiss codes come last, so that they are limited and authenticated like any
    /// reply.
    ///
    /// A MAC that cannot be verified is never answered, neither with a crypto-NAK nor without a MAC: the one would tell
    /// anybody which key numbers exist and make forged packets cost us replies, the other would serve unprotected time to
    /// somebody who asked for protection. Extension fields are skipped; none of them is answered here.
    pub fn answer(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        arrival: &Arrival,
        moment: &Moment,
        policy: &Policy,
    ) -> Answer {
        let Some(request) = buffer.get_mut(..len) else { return Answer::Drop(DropReason::TooLong) };
        if let Ok(header) = (&mut *request).try_into()
            && let Some((kind, token)) = self.answer_plain(header, arrival, moment, policy)
        {
            return Answer::Reply { len: HEADER_LEN, kind, token };
        }
        self.judge(request, arrival, None, moment, policy).unwrap_or_else(Answer::Drop)
    }

    /// The same for a request that PTP carried, in `carriage` (RFC 10030): who asks for its network correction is told it.
    pub fn answer_over_ptp(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        arrival: &Arrival,
        carriage: &Carriage,
        moment: &Moment,
        policy: &Policy,
    ) -> Answer {
        let Some(request) = buffer.get_mut(..len) else { return Answer::Drop(DropReason::TooLong) };
        let correction = Some(carriage.network_correction());
        self.judge(request, arrival, correction, moment, policy).unwrap_or_else(Answer::Drop)
    }

    /// The reply, as long as its request, to one that needs no closer look by [`Self::answer`], as most do not: nothing but a
    /// client's header, no rules of access, and within the rate limit. `None` says that nothing has been done.
    #[inline(always)]
    pub fn answer_plain(
        &mut self,
        request: &mut [u8; HEADER_LEN],
        arrival: &Arrival,
        moment: &Moment,
        policy: &Policy,
    ) -> Option<(ReplyKind, Option<TxToken>)> {
        if !is_plain(request) || !policy.access.is_empty() {
            return None;
        }
        if let Some(limit) = &policy.rate_limit
            && !self.rates.passes(address_bits(arrival.client), arrival.ticks, limit, &self.hasher)
        {
            return None;
        }
        Some(self.serve(request, Mode::Server, None, arrival, moment, policy))
    }

    /// What became of the TX stamp of an earlier reply: `at` is when it left, `None` where nobody knows. A token whose
    /// client has been forgotten, or has asked again, does nothing.
    pub fn transmitted(&mut self, token: TxToken, at: Option<NtpTimestamp>) {
        if let Some(at) = at {
            self.interleaved.transmitted(token, at);
        }
    }

    /// All the checks, and then the reply.
    fn judge(
        &mut self,
        request: &mut [u8],
        arrival: &Arrival,
        correction: Option<Span>,
        moment: &Moment,
        policy: &Policy,
    ) -> Result<Answer, DropReason> {
        if request.len() > MAX_REQUEST_LEN {
            return Err(DropReason::TooLong);
        }
        let header = Header::of(request).ok_or(DropReason::TooShort)?;
        let version = header.version().ok_or(DropReason::UnknownVersion)?;
        let mode = reply_mode(version, header.mode())?;
        let rule = policy.access.rule(arrival.client);
        if rule.action == AccessAction::Drop {
            return Err(DropReason::Access);
        }
        let rate = match &policy.rate_limit {
            Some(limit) => self.rates.take(address_bits(arrival.client), arrival.ticks, limit, &self.hasher),
            None => RateVerdict::Pass,
        };
        if rate == RateVerdict::Drop {
            return Err(DropReason::RateLimited);
        }
        let body = taken_apart(request, version)?;
        let key = authenticate(&body, version, &policy.keys)?;
        let correction = correction.filter(|_| over_ptp::network_correction(&body).is_some());
        if key.is_none() && mode == Mode::SymmetricPassive {
            return Err(DropReason::SymmetricUnauthenticated);
        }
        if key.is_none() && rule.require_key {
            return Err(DropReason::KeyRequired);
        }
        let header = request.first_chunk_mut().ok_or(DropReason::TooShort)?;
        let kiss = kiss_code(rate, rule.action);
        let (kind, token) = match kiss {
            Some(code) => (write_kiss(header, mode, code, moment), None),
            None => self.serve(header, mode, key, arrival, moment, policy),
        };
        // The request carried the same field and a MAC of the same key, so that there is room.
        let len = match correction.filter(|_| kiss.is_none()) {
            None => HEADER_LEN,
            Some(correction) => over_ptp::write_network_correction(correction, request, HEADER_LEN)
                .ok_or(DropReason::ExtensionFieldLength)?,
        };
        let len = match key {
            None => len,
            Some(key) => key.append(version, request, len).ok_or(DropReason::MacLength)?,
        };
        Ok(Answer::Reply { len, kind, token })
    }

    /// Writes the header of a reply that tells the time over that of the request; interleaved (RFC 9769 §2) where the
    /// client asks for it and the time is known that it asks for.
    #[inline(always)]
    fn serve(
        &mut self,
        header: &mut [u8; HEADER_LEN],
        mode: Mode,
        key: Option<&Key>,
        arrival: &Arrival,
        moment: &Moment,
        policy: &Policy,
    ) -> (ReplyKind, Option<TxToken>) {
        let request = Header::of_array(header);
        let mut times = Times { origin: request.transmit(), receive: arrival.receive, transmit: moment.transmit };
        let (mut interleaved, mut token) = (false, None);
        if policy.interleaved {
            times.receive = self.receive_times.next(arrival.receive);
            times.transmit = as_transmit(moment.transmit);
            if mode == Mode::Server && may_be_receive(request.origin()) && request.receive() != request.transmit() {
                let client = self.hasher.hash(address_bits(arrival.client));
                if let Some(recorded) = self.interleaved.record(client, request.origin(), times.receive) {
                    times.receive = recorded.receive;
                    token = Some(recorded.token);
                    if let Some(previous) = recorded.previous_transmit {
                        times.origin = request.receive();
                        times.transmit = previous;
                        interleaved = true;
                    }
                }
            }
        }
        moment.header.write_over(header, mode, &times);
        let kind = match (mode, interleaved, key) {
            (Mode::SymmetricPassive, ..) => ReplyKind::Symmetric,
            (_, false, None) => ReplyKind::Basic,
            (_, false, Some(_)) => ReplyKind::Authenticated,
            (_, true, None) => ReplyKind::Interleaved,
            (_, true, Some(_)) => ReplyKind::InterleavedAuthenticated,
        };
        (kind, token)
    }
}

/// Whether a request of nothing but this header is a client's, in a version that is spoken here: whether its first byte,
/// the leap indicator aside, is one of four.
#[inline]
const fn is_plain(header: &[u8; HEADER_LEN]) -> bool {
    matches!(header[0] & 0b00_111_111, 0b001_011 | 0b010_011 | 0b011_011 | 0b100_011)
}

/// The mode of the reply to a request of this version and mode. Responses are never answered, so that no two servers can
/// be set against each other.
///
/// Version 1 has no mode field (RFC 1059 appendix B): its clients send zeros there. A symmetric peer of version 1, which
/// only its port number would tell from a client, gets the same answer, and being an answer of mode 4 it ends there.
#[inline]
const fn reply_mode(version: Version, mode: Mode) -> Result<Mode, DropReason> {
    match mode {
        Mode::Client => Ok(Mode::Server),
        Mode::Reserved if version.number() == 1 => Ok(Mode::Server),
        Mode::Reserved => Err(DropReason::ReservedMode),
        Mode::SymmetricActive => Ok(Mode::SymmetricPassive),
        Mode::SymmetricPassive => Err(DropReason::SymmetricPassive),
        Mode::Server => Err(DropReason::Response),
        Mode::Broadcast => Err(DropReason::Broadcast),
        Mode::Control => Err(DropReason::Control),
        Mode::Private => Err(DropReason::Private),
    }
}

#[inline]
const fn kiss_code(rate: RateVerdict, action: AccessAction) -> Option<KissCode> {
    match (rate, action) {
        (RateVerdict::Kiss, _) => Some(KissCode::Rate),
        (_, AccessAction::Deny) => Some(KissCode::Deny),
        (_, AccessAction::Restrict) => Some(KissCode::Restrict),
        _ => None,
    }
}

/// What follows the header of `request`.
fn taken_apart(request: &[u8], version: Version) -> Result<Body<'_>, DropReason> {
    Body::of(request, version).map_err(|error| match error {
        BodyError::TooShort => DropReason::TooShort,
        BodyError::FieldLength => DropReason::ExtensionFieldLength,
        BodyError::MacLength => DropReason::MacLength,
    })
}

/// The key that a request is authenticated with, if it carries a MAC.
fn authenticate<'k>(body: &Body<'_>, version: Version, keys: &'k KeyTable) -> Result<Option<&'k Key>, DropReason> {
    if body.mac().is_empty() {
        return Ok(None);
    }
    keys.verify(version, body.covered(), body.mac()).map(Some).map_err(|fault| match fault {
        MacFault::CryptoNak => DropReason::CryptoNak,
        MacFault::UnknownKey => DropReason::UnknownKey,
        MacFault::Wrong => DropReason::WrongMac,
    })
}

/// Writes a kiss-o'-death packet over the header of the request.
fn write_kiss(header: &mut [u8; HEADER_LEN], mode: Mode, code: KissCode, moment: &Moment) -> ReplyKind {
    // The client's own time in all three places: whoever takes it for a reply learns nothing from it.
    let origin = Header::of_array(header).transmit();
    let times = Times { origin, receive: as_receive(origin), transmit: as_transmit(origin) };
    moment.header.kiss(code.reference_id()).write_over(header, mode, &times);
    ReplyKind::Kiss(code)
}
