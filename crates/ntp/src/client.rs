//! The client's side of one exchange: a request, and the check of what comes back (RFC 5905 §8, RFC 9769 §2).

use crate::extension::{Body, BodyError};
use crate::mac::{Key, MacFault};
use crate::message::{HEADER_LEN, Header, Mode, ReferenceId, SystemVariables, Version};
use crate::outcome::KissCode;
use crate::over_ptp;
use sidereal_time::{NtpTimestamp, Span};

/// A request. Its timestamps are only matched with the reply, never read as times, so that the caller is to draw them at
/// random: whoever cannot see the request cannot forge its reply, and who can learns nothing of our clock from it
/// (draft-ietf-ntp-data-minimization).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The version to ask in.
    pub version: Version,
    /// How often we ask, as a power of two of a second.
    pub poll: i8,
    /// Zero, or in interleaved mode the receive timestamp of the server's last reply.
    pub origin: NtpTimestamp,
    /// Zero, or in interleaved mode what an interleaved reply will carry as its origin.
    pub receive: NtpTimestamp,
    /// What a basic reply will carry as its origin.
    pub transmit: NtpTimestamp,
    /// Whether the reply is to tell the network correction of this request, in version 4: where PTP carries both (RFC 10030 §3).
    pub network_correction: bool,
}

impl Request {
    /// A request of the basic mode with the nonce `transmit`. A zero would match replies to nobody: it is sent as 1.
    #[must_use]
    pub fn basic(transmit: NtpTimestamp) -> Self {
        Self {
            version: Version::V4,
            poll: 6,
            origin: NtpTimestamp::UNKNOWN,
            receive: NtpTimestamp::UNKNOWN,
            transmit: NtpTimestamp::from_bits(transmit.to_bits().max(1)),
            network_correction: false,
        }
    }

    /// A request of the interleaved mode after a reply that carried the receive timestamp `last_receive`, with two nonces.
    /// They are made to differ, as they must (RFC 9769 §2).
    #[must_use]
    pub fn interleaved(last_receive: NtpTimestamp, receive: NtpTimestamp, transmit: NtpTimestamp) -> Self {
        let basic = Self::basic(transmit);
        let receive = receive.to_bits().max(1);
        let receive = if receive == basic.transmit.to_bits() { receive ^ 2 } else { receive };
        Self { origin: last_receive, receive: NtpTimestamp::from_bits(receive), ..basic }
    }

    /// Writes the request, with the MAC of `key` if there is one. Returns its length, or `None` where the buffer is too
    /// short: 48 bytes and [`Key::mac_len`] are enough, and 28 for the network correction.
    #[must_use]
    pub fn write(&self, key: Option<&Key>, buffer: &mut [u8]) -> Option<usize> {
        let header = buffer.first_chunk_mut::<HEADER_LEN>()?;
        *header = [0; HEADER_LEN];
        let (words, _) = header.as_chunks_mut::<8>();
        if let [first, _, _, origin, receive, transmit] = words {
            *first = [self.version.number() << 3 | Mode::Client.to_bits(), 0, self.poll.cast_unsigned(), 0, 0, 0, 0, 0];
            *origin = self.origin.to_be_bytes();
            *receive = self.receive.to_be_bytes();
            *transmit = self.transmit.to_be_bytes();
        }
        let len = if self.network_correction && self.version == Version::V4 {
            over_ptp::write_network_correction(Span::ZERO, buffer, HEADER_LEN)?
        } else {
            HEADER_LEN
        };
        match key {
            None => Some(len),
            Some(key) => key.append(self.version, buffer, len),
        }
    }

    /// Whether a reply with this origin timestamp answers this request: it is the nonce of one mode or the other.
    #[must_use]
    pub fn is_origin(&self, origin: NtpTimestamp) -> bool {
        origin == self.transmit || (origin == self.receive && !self.receive.is_unknown())
    }

    /// Reads the reply to this request; with `key`, only one that carries its MAC.
    ///
    /// # Errors
    /// [`ReplyError`] where `message` is not the reply, or says that we are not welcome.
    pub fn check(&self, message: &[u8], key: Option<&Key>) -> Result<Reply, ReplyError> {
        let header = Header::of(message).ok_or(ReplyError::Body(BodyError::TooShort))?;
        if header.version() != Some(self.version) {
            return Err(ReplyError::Version(header.version_number()));
        }
        if header.mode() != Mode::Server {
            return Err(ReplyError::Mode(header.mode()));
        }
        if !self.is_origin(header.origin()) {
            return Err(ReplyError::Bogus);
        }
        let interleaved = header.origin() != self.transmit;
        let body = Body::of(message, self.version)?;
        if let Some(key) = key {
            verify(&body, self.version, key)?;
        }
        if header.stratum_byte() == 0 && header.reference_id() != ReferenceId::NONE {
            let id = header.reference_id();
            return Err(KissCode::from_reference_id(id).map_or(ReplyError::UnknownKiss(id), ReplyError::Kiss));
        }
        if header.receive().is_unknown() || header.transmit().is_unknown() {
            return Err(ReplyError::NoTime);
        }
        Ok(Reply {
            system: header.system(),
            poll: header.poll(),
            receive: header.receive(),
            transmit: header.transmit(),
            interleaved,
            network_correction: over_ptp::network_correction(&body),
        })
    }
}

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// What it says of its clock.
    pub system: SystemVariables,
    /// How often we may ask, as a power of two of a second.
    pub poll: i8,
    /// When this request arrived there.
    pub receive: NtpTimestamp,
    /// When this reply left there, or, interleaved, the reply before it.
    pub transmit: NtpTimestamp,
    /// Whether `transmit` is that of the reply whose receive timestamp this request carried as its origin.
    pub interleaved: bool,
    /// How long the network kept this request, where the reply says so.
    pub network_correction: Option<Span>,
}

impl Reply {
    /// Whether the server's clock follows something: only then are its times worth anything.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.system.is_synchronised()
    }
}

/// Why a message is not the reply, or not one with times in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// What follows the header is broken, or there is no header.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Not the version that was asked in.
    #[error("reply of version {0}")]
    Version(u8),
    /// Not a server's reply.
    #[error("message of mode {0:?} instead of a reply")]
    Mode(Mode),
    /// It answers something else: late, repeated or forged.
    #[error("reply to another request")]
    Bogus,
    /// It does not carry a MAC, and one was asked for.
    #[error("reply without a MAC")]
    Unauthenticated,
    /// Its MAC is wrong.
    #[error(transparent)]
    Mac(#[from] MacFault),
    /// It says that it does not know the time.
    #[error("reply without a time in it")]
    NoTime,
    /// The server sent a kiss code instead of times (RFC 5905 §7.4).
    #[error("kiss of death: {}", .0.reference_id())]
    Kiss(KissCode),
    /// Likewise, with a code that says nothing to us.
    #[error("kiss of death: {0}")]
    UnknownKiss(ReferenceId),
}

/// Checks that `body` carries the MAC of `key`.
pub(crate) fn verify(body: &Body<'_>, version: Version, key: &Key) -> Result<(), ReplyError> {
    let (id, digest) = match body.mac().split_first_chunk() {
        None => return Err(ReplyError::Unauthenticated),
        Some((id, digest)) => (u32::from_be_bytes(*id), digest),
    };
    if id == 0 {
        Err(MacFault::CryptoNak.into())
    } else if id != key.id().number() {
        Err(MacFault::UnknownKey.into())
    } else if !key.verify(version, body.covered(), digest) {
        Err(MacFault::Wrong.into())
    } else {
        Ok(())
    }
}
