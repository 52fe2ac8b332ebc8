//! The 34 bytes that every message begins with (IEEE 1588-2019 13.3).

use core::fmt;

use sidereal_time::Span;

use crate::identity::PortIdentity;
use crate::message::{MessageType, ParseError};
use crate::octets::{Reader, TooLong, Writer};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 34;

/// The major version that is spoken here (versionPTP, 13.3.2.4).
pub(super) const VERSION: u8 = 2;

/// The common header, but for the type and length of the message, which its body decides (IEEE 1588-2019 13.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Which group of PTP Instances this belongs to (sdoId, 16.5).
    pub sdo_id: SdoId,
    /// minorVersionPTP, 0 to 15: 1 in messages of the 2019 edition, 0 in those of 2008 (13.3.2.5).
    pub minor_version: u8,
    /// domainNumber (13.3.2.7).
    pub domain: u8,
    /// flagField (13.3.2.8).
    pub flags: Flags,
    /// correctionField (13.3.2.9).
    pub correction: Correction,
    /// messageTypeSpecific (13.3.2.10).
    pub message_type_specific: [u8; 4],
    /// Who sent the message (sourcePortIdentity, 13.3.2.11).
    pub source: PortIdentity,
    /// sequenceId (13.3.2.12).
    pub sequence_id: u16,
    /// controlField (13.3.2.13): obsolete, of use to old hardware only; [`MessageType::control`] says what it is sent as.
    pub control: u8,
    /// logMessageInterval (13.3.2.14).
    pub log_interval: i8,
}

impl Header {
    /// The header at the start of `message`, the type, and the messageLength that it states.
    pub(super) fn parse(message: &[u8]) -> Result<(Self, MessageType, usize), ParseError> {
        Self::fields(&mut Reader::new(message)).unwrap_or(Err(ParseError::Truncated))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Result<(Self, MessageType, usize), ParseError>> {
        let [kind, version] = reader.array()?;
        if version & 0x0f != VERSION {
            return Some(Err(ParseError::Version(version & 0x0f)));
        }
        let Some(message_type) = MessageType::from_bits(kind) else {
            return Some(Err(ParseError::MessageType(kind & 0x0f)));
        };
        let length = reader.u16()?;
        let [domain, minor_sdo_id] = reader.array()?;
        let header = Self {
            sdo_id: SdoId(u16::from(kind >> 4) << 8 | u16::from(minor_sdo_id)),
            minor_version: version >> 4,
            domain,
            flags: Flags(reader.u16()?),
            correction: Correction(reader.i64()?),
            message_type_specific: reader.array()?,
            source: reader.port()?,
            sequence_id: reader.u16()?,
            control: reader.u8()?,
            log_interval: reader.i8()?,
        };
        Some(Ok((header, message_type, usize::from(length))))
    }

    /// Writes the header of a message of `message_type` with a messageLength of zero, to be patched.
    pub(super) fn write(&self, message_type: MessageType, writer: &mut Writer<'_>) -> Result<(), TooLong> {
        let [major_sdo_id, minor_sdo_id] = self.sdo_id.0.to_be_bytes();
        writer.put(&[major_sdo_id << 4 | message_type.bits(), self.minor_version << 4 | VERSION, 0, 0])?;
        writer.put(&[self.domain, minor_sdo_id])?;
        writer.put(&self.flags.0.to_be_bytes())?;
        writer.put(&self.correction.0.to_be_bytes())?;
        writer.put(&self.message_type_specific)?;
        writer.put(&self.source.to_be_bytes())?;
        writer.put(&self.sequence_id.to_be_bytes())?;
        writer.put(&[self.control, self.log_interval.cast_unsigned()])
    }
}

/// Which standards organisation's rules a message follows: 12 bits (sdoId, IEEE 1588-2019 7.1.4); the upper four were
/// transportSpecific in 2008.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SdoId(u16);

impl SdoId {
    /// Everybody's, unless a profile says otherwise.
    pub const DEFAULT: Self = Self(0);
    /// IEEE 802.1AS.
    pub const GPTP: Self = Self(0x100);

    /// `number` as an sdoId, where it has 12 bits.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < 0x1000 { Some(Self(number)) } else { None }
    }

    /// Its number, below 0x1000.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The flags of a message (flagField, IEEE 1588-2019 table 37), its first octet in the upper eight bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// None is set.
    pub const NONE: Self = Self(0);
    /// alternateMasterFlag.
    pub const ALTERNATE_MASTER: Self = Self(0x0100);
    /// twoStepFlag: the time of this message follows in another.
    pub const TWO_STEP: Self = Self(0x0200);
    /// unicastFlag.
    pub const UNICAST: Self = Self(0x0400);
    /// PTP profile Specific 1.
    pub const PROFILE_SPECIFIC_1: Self = Self(0x2000);
    /// PTP profile Specific 2.
    pub const PROFILE_SPECIFIC_2: Self = Self(0x4000);
    /// leap61: the last minute of the UTC day has 61 seconds.
    pub const LEAP_61: Self = Self(0x0001);
    /// leap59: the last minute of the UTC day has 59 seconds.
    pub const LEAP_59: Self = Self(0x0002);
    /// currentUtcOffsetValid.
    pub const CURRENT_UTC_OFFSET_VALID: Self = Self(0x0004);
    /// ptpTimescale: the grandmaster's timescale is PTP, which is TAI.
    pub const PTP_TIMESCALE: Self = Self(0x0008);
    /// timeTraceable.
    pub const TIME_TRACEABLE: Self = Self(0x0010);
    /// frequencyTraceable.
    pub const FREQUENCY_TRACEABLE: Self = Self(0x0020);
    /// synchronizationUncertain (9.4).
    pub const SYNCHRONIZATION_UNCERTAIN: Self = Self(0x0040);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These, with `flags` set where `on`, else cleared.
    #[must_use]
    pub const fn with(self, flags: Self, on: bool) -> Self {
        Self(if on { self.0 | flags.0 } else { self.0 & !flags.0 })
    }
}

impl Flags {
    /// Those of them that are in `flags` too.
    pub(crate) const fn only(self, flags: Self) -> Self {
        Self(self.0 & flags.0)
    }

    /// Those that describe the grandmaster's time, as timePropertiesDS is sent in management messages.
    pub(crate) const fn second_octet(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

/// A correction in 2^-16 ns (correctionField, IEEE 1588-2019 13.3.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Correction(pub i64);

impl Correction {
    /// Nothing to correct.
    pub const ZERO: Self = Self(0);
    /// All ones but the sign: the correction is too big to be told.
    pub const TOO_BIG: Self = Self(i64::MAX);

    /// The correction that `span` is, or [`Self::TOO_BIG`] where it does not fit.
    #[must_use]
    pub fn from_span(span: Span) -> Self {
        i64::try_from(span.units()).map_or(Self::TOO_BIG, Self)
    }

    /// How long it is; `None` where it is too big to be told.
    #[must_use]
    pub const fn span(self) -> Option<Span> {
        if self.0 == Self::TOO_BIG.0 { None } else { Some(Span::from_units(self.0 as i128)) }
    }

    /// Both together; what does not fit, or was too big before, is [`Self::TOO_BIG`].
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        match (self.span(), other.span()) {
            (Some(a), Some(b)) => Self::from_span(a + b),
            _ => Self::TOO_BIG,
        }
    }
}

/// Nanoseconds with their fraction, or `too big`.
impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span() {
            Some(_) => write!(f, "{} ns", self.0 as f64 / 65536.0),
            None => f.write_str("too big"),
        }
    }
}
