//! Messages (IEEE 1588-2019 clause 13): a header, what the type of message has of its own, and TLVs.

mod body;
mod header;
mod quality;
#[cfg(test)]
mod tests;

pub use body::{Announce, Body, Timestamp};
pub use header::{Correction, Flags, HEADER_LEN, Header, SdoId};
pub use quality::{ClockAccuracy, ClockClass, ClockQuality, TimeSource};

use crate::address::MessageClass;
use crate::octets::{Reader, TooLong, Writer};
use crate::tlv::{TlvError, Tlvs};

/// The longest message that is sent here, in bytes: with UDP and IPv6 it fills 1500.
pub const MAX_MESSAGE_LEN: usize = 1452;

/// One message, read: reserved fields are not kept, and are sent as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What all messages have.
    pub header: Header,
    /// What the type of message has; it is the type.
    pub body: Body,
    /// What is appended.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Message<'a> {
    /// The message at the start of `bytes`. What follows its messageLength, such as the padding of a short Ethernet frame, is
    /// nobody's.
    ///
    /// # Errors
    /// Where it is none, or its TLVs do not end where it does.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, message_type, length) = Header::parse(bytes)?;
        let rest = bytes.get(HEADER_LEN..length.max(HEADER_LEN)).ok_or(ParseError::Truncated)?;
        let mut reader = Reader::new(rest);
        let body = Body::parse(message_type, &mut reader)?;
        Ok(Self { header, body, tlvs: Tlvs::parse(reader.rest())? })
    }

    /// Its type.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        self.body.message_type()
    }

    /// Writes it to the start of `buffer`; returns its length.
    ///
    /// # Errors
    /// Where `buffer` is too short, or the message longer than its messageLength can tell.
    pub fn write(&self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        let mut writer = Writer::new(buffer);
        self.header.write(self.message_type(), &mut writer)?;
        self.body.write(&mut writer)?;
        writer.put(self.tlvs.as_bytes())?;
        let length = u16::try_from(writer.len()).map_err(|_| TooLong)?;
        writer.patch(2, &length.to_be_bytes())?;
        Ok(usize::from(length))
    }
}

/// What a message is for (messageType, IEEE 1588-2019 table 36).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// A master's time.
    Sync = 0x0,
    /// The question how far away the master is.
    DelayReq = 0x1,
    /// The question how far away the neighbour is.
    PdelayReq = 0x2,
    /// The answer to it.
    PdelayResp = 0x3,
    /// When the Sync left.
    FollowUp = 0x8,
    /// The answer to a Delay_Req.
    DelayResp = 0x9,
    /// When the Pdelay_Resp left.
    PdelayRespFollowUp = 0xa,
    /// Who is a master, and how good.
    Announce = 0xb,
    /// TLVs for a PTP Port.
    Signaling = 0xc,
    /// Data sets asked for, answered and set.
    Management = 0xd,
}

impl MessageType {
    /// All there are, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Sync,
        Self::DelayReq,
        Self::PdelayReq,
        Self::PdelayResp,
        Self::FollowUp,
        Self::DelayResp,
        Self::PdelayRespFollowUp,
        Self::Announce,
        Self::Signaling,
        Self::Management,
    ];

    /// The type with these four bits, where it is not reserved; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0x0f {
            0x0 => Self::Sync,
            0x1 => Self::DelayReq,
            0x2 => Self::PdelayReq,
            0x3 => Self::PdelayResp,
            0x8 => Self::FollowUp,
            0x9 => Self::DelayResp,
            0xa => Self::PdelayRespFollowUp,
            0xb => Self::Announce,
            0xc => Self::Signaling,
            0xd => Self::Management,
            _ => return None,
        })
    }

    /// Its four bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether its own time is measured (7.3.3).
    #[must_use]
    pub const fn class(self) -> MessageClass {
        match self {
            Self::Sync | Self::DelayReq | Self::PdelayReq | Self::PdelayResp => MessageClass::Event,
            Self::FollowUp
            | Self::DelayResp
            | Self::PdelayRespFollowUp
            | Self::Announce
            | Self::Signaling
            | Self::Management => MessageClass::General,
        }
    }

    /// The controlField of such messages (13.3.2.13).
    #[must_use]
    pub const fn control(self) -> u8 {
        match self {
            Self::Sync => 0,
            Self::DelayReq => 1,
            Self::FollowUp => 2,
            Self::DelayResp => 3,
            Self::Management => 4,
            Self::PdelayReq | Self::PdelayResp | Self::PdelayRespFollowUp | Self::Announce | Self::Signaling => 5,
        }
    }

    /// Its name in counters: the standard's, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::DelayReq => "delay_req",
            Self::PdelayReq => "pdelay_req",
            Self::PdelayResp => "pdelay_resp",
            Self::FollowUp => "follow_up",
            Self::DelayResp => "delay_resp",
            Self::PdelayRespFollowUp => "pdelay_resp_follow_up",
            Self::Announce => "announce",
            Self::Signaling => "signaling",
            Self::Management => "management",
        }
    }
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// There are fewer bytes than a header has, or than its messageLength states.
    #[error("the message is cut short")]
    Truncated,
    /// versionPTP is not 2; version 1 is another protocol.
    #[error("PTP version {0}, not 2")]
    Version(u8),
    /// The messageType is reserved.
    #[error("reserved message type {0:#x}")]
    MessageType(u8),
    /// messageLength is less than such a message has.
    #[error("messageLength is too short for {}", .0.name())]
    TooShort(MessageType),
    /// The actionField of a management message is reserved.
    #[error("reserved management action {0:#x}")]
    ManagementAction(u8),
    /// The TLVs are broken.
    #[error(transparent)]
    Tlv(#[from] TlvError),
}

impl ParseError {
    /// Its name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version(_) => "wrong_version",
            Self::MessageType(_) => "unknown_message_type",
            Self::TooShort(_) => "too_short",
            Self::ManagementAction(_) => "unknown_management_action",
            Self::Tlv(error) => error.name(),
        }
    }
}
