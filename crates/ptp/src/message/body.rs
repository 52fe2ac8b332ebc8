//! What follows the header, by type of message (IEEE 1588-2019 13.5 to 13.13).

use sidereal_time::{PtpTimestamp, PtpTimestampError};

use crate::identity::{ClockIdentity, PortIdentity};
use crate::management::Management;
use crate::message::{ClockQuality, MessageType, ParseError, TimeSource};
use crate::octets::{Reader, TooLong, Writer};

/// The ten bytes of a timestamp as they are on the wire (5.3.3): what a peer may fill with anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timestamp(pub [u8; 10]);

impl Timestamp {
    /// All zeros: what is sent where no time is told.
    pub const ZERO: Self = Self([0; 10]);
}

impl From<PtpTimestamp> for Timestamp {
    fn from(timestamp: PtpTimestamp) -> Self {
        Self(timestamp.to_be_bytes())
    }
}

impl TryFrom<Timestamp> for PtpTimestamp {
    type Error = PtpTimestampError;

    fn try_from(timestamp: Timestamp) -> Result<Self, PtpTimestampError> {
        Self::from_be_bytes(timestamp.0)
    }
}

/// The fields of a message's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// A master and its grandmaster (13.5).
    Announce(Announce),
    /// originTimestamp: when the Sync left, near enough where a Follow_Up tells exactly (13.6).
    Sync(Timestamp),
    /// originTimestamp: when the Delay_Req left, or zero (13.6).
    DelayReq(Timestamp),
    /// preciseOriginTimestamp: when the Sync left (13.7).
    FollowUp(Timestamp),
    /// The answer to a Delay_Req (13.8).
    DelayResp {
        /// receiveTimestamp: when the request arrived.
        receive_timestamp: Timestamp,
        /// requestingPortIdentity: who asked.
        requesting: PortIdentity,
    },
    /// originTimestamp: when the Pdelay_Req left, or zero (13.9).
    PdelayReq(Timestamp),
    /// The answer to a Pdelay_Req (13.10).
    PdelayResp {
        /// requestReceiptTimestamp: when the request arrived, or zero.
        request_receipt_timestamp: Timestamp,
        /// requestingPortIdentity: who asked.
        requesting: PortIdentity,
    },
    /// When the Pdelay_Resp left (13.11).
    PdelayRespFollowUp {
        /// responseOriginTimestamp: when the answer left, or zero.
        response_origin_timestamp: Timestamp,
        /// requestingPortIdentity: who asked.
        requesting: PortIdentity,
    },
    /// TLVs for a PTP Port (13.12).
    Signaling {
        /// targetPortIdentity: whom it is for.
        target: PortIdentity,
    },
    /// A question about a data set, or an answer (13.13).
    Management(Management),
}

impl Body {
    /// The type of message that has such a body.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Announce(_) => MessageType::Announce,
            Self::Sync(_) => MessageType::Sync,
            Self::DelayReq(_) => MessageType::DelayReq,
            Self::FollowUp(_) => MessageType::FollowUp,
            Self::DelayResp { .. } => MessageType::DelayResp,
            Self::PdelayReq(_) => MessageType::PdelayReq,
            Self::PdelayResp { .. } => MessageType::PdelayResp,
            Self::PdelayRespFollowUp { .. } => MessageType::PdelayRespFollowUp,
            Self::Signaling { .. } => MessageType::Signaling,
            Self::Management(_) => MessageType::Management,
        }
    }

    pub(super) fn parse(message_type: MessageType, reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        if message_type == MessageType::Management {
            return Management::parse(reader).map(Self::Management);
        }
        Self::fields(message_type, reader).ok_or(ParseError::TooShort(message_type))
    }

    fn fields(message_type: MessageType, reader: &mut Reader<'_>) -> Option<Self> {
        if message_type == MessageType::Announce {
            return Announce::parse(reader).map(Self::Announce);
        }
        if message_type == MessageType::Signaling {
            return reader.port().map(|target| Self::Signaling { target });
        }
        let timestamp = Timestamp(reader.array()?);
        Some(match message_type {
            MessageType::Sync => Self::Sync(timestamp),
            MessageType::DelayReq => Self::DelayReq(timestamp),
            MessageType::FollowUp => Self::FollowUp(timestamp),
            MessageType::DelayResp => Self::DelayResp { receive_timestamp: timestamp, requesting: reader.port()? },
            MessageType::PdelayReq => {
                reader.array::<PDELAY_REQ_RESERVED>()?;
                Self::PdelayReq(timestamp)
            }
            MessageType::PdelayResp => {
                Self::PdelayResp { request_receipt_timestamp: timestamp, requesting: reader.port()? }
            }
            MessageType::PdelayRespFollowUp => {
                Self::PdelayRespFollowUp { response_origin_timestamp: timestamp, requesting: reader.port()? }
            }
            MessageType::Announce | MessageType::Signaling | MessageType::Management => return None,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        let mut put = |timestamp: &Timestamp, rest: &[u8]| {
            writer.put(&timestamp.0)?;
            writer.put(rest)
        };
        match self {
            Self::Sync(timestamp) | Self::DelayReq(timestamp) | Self::FollowUp(timestamp) => put(timestamp, &[]),
            Self::PdelayReq(timestamp) => put(timestamp, &[0; PDELAY_REQ_RESERVED]),
            Self::DelayResp { receive_timestamp: timestamp, requesting }
            | Self::PdelayResp { request_receipt_timestamp: timestamp, requesting }
            | Self::PdelayRespFollowUp { response_origin_timestamp: timestamp, requesting } => {
                put(timestamp, &requesting.to_be_bytes())
            }
            Self::Announce(announce) => announce.write(writer),
            Self::Signaling { target } => writer.put(&target.to_be_bytes()),
            Self::Management(management) => management.write(writer),
        }
    }
}

/// Reserved bytes that make a Pdelay_Req as long as its answer (13.9.1).
const PDELAY_REQ_RESERVED: usize = 10;

/// What a master says of itself and of its grandmaster (IEEE 1588-2019 13.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Announce {
    /// originTimestamp: zero, or the time within a second or so.
    pub origin_timestamp: Timestamp,
    /// currentUtcOffset: TAI - UTC in seconds, where the flags say that it is valid.
    pub current_utc_offset: i16,
    /// grandmasterPriority1.
    pub priority1: u8,
    /// grandmasterClockQuality.
    pub clock_quality: ClockQuality,
    /// grandmasterPriority2.
    pub priority2: u8,
    /// grandmasterIdentity.
    pub grandmaster_identity: ClockIdentity,
    /// stepsRemoved: how many boundary clocks lie between.
    pub steps_removed: u16,
    /// timeSource of the grandmaster.
    pub time_source: TimeSource,
}

impl Announce {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let origin_timestamp = Timestamp(reader.array()?);
        let current_utc_offset = reader.i16()?;
        let [_reserved, priority1] = reader.array()?;
        Some(Self {
            origin_timestamp,
            current_utc_offset,
            priority1,
            clock_quality: ClockQuality::parse(reader)?,
            priority2: reader.u8()?,
            grandmaster_identity: reader.clock()?,
            steps_removed: reader.u16()?,
            time_source: TimeSource(reader.u8()?),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        writer.put(&self.origin_timestamp.0)?;
        writer.put(&self.current_utc_offset.to_be_bytes())?;
        writer.put(&[0, self.priority1])?;
        self.clock_quality.write(writer)?;
        writer.put(&[self.priority2])?;
        writer.put(&self.grandmaster_identity.0)?;
        writer.put(&self.steps_removed.to_be_bytes())?;
        writer.put(&[self.time_source.0])
    }
}
