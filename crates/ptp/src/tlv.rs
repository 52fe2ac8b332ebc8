//! What is appended to messages: type, length, value (IEEE 1588-2019 clause 14).

mod announced;
mod content;
mod organization;
#[cfg(test)]
mod tests;
mod unicast;

pub use announced::{AlternateTimeOffset, PathTrace};
pub use content::Content;
pub use organization::{FollowUpInformation, OrganizationExtension};
pub use unicast::{CancelUnicast, GrantUnicast, RequestUnicast};

use core::fmt;

use crate::octets::{Reader, TooLong, Writer};

/// Length of a TLV's type and length fields in bytes.
pub(crate) const TLV_HEADER_LEN: usize = 4;

/// What a TLV is (tlvType, IEEE 1588-2019 table 52).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvType(pub u16);

impl TlvType {
    /// MANAGEMENT (15.5.2).
    pub const MANAGEMENT: Self = Self(0x0001);
    /// MANAGEMENT_ERROR_STATUS (15.5.4).
    pub const MANAGEMENT_ERROR_STATUS: Self = Self(0x0002);
    /// ORGANIZATION_EXTENSION (14.3).
    pub const ORGANIZATION_EXTENSION: Self = Self(0x0003);
    /// REQUEST_UNICAST_TRANSMISSION (16.1.4.1).
    pub const REQUEST_UNICAST_TRANSMISSION: Self = Self(0x0004);
    /// GRANT_UNICAST_TRANSMISSION (16.1.4.2).
    pub const GRANT_UNICAST_TRANSMISSION: Self = Self(0x0005);
    /// CANCEL_UNICAST_TRANSMISSION (16.1.4.3).
    pub const CANCEL_UNICAST_TRANSMISSION: Self = Self(0x0006);
    /// ACKNOWLEDGE_CANCEL_UNICAST_TRANSMISSION (16.1.4.4).
    pub const ACKNOWLEDGE_CANCEL_UNICAST_TRANSMISSION: Self = Self(0x0007);
    /// PATH_TRACE (16.2.5).
    pub const PATH_TRACE: Self = Self(0x0008);
    /// ALTERNATE_TIME_OFFSET_INDICATOR (16.3.3).
    pub const ALTERNATE_TIME_OFFSET_INDICATOR: Self = Self(0x0009);
    /// ORGANIZATION_EXTENSION_PROPAGATE (14.3).
    pub const ORGANIZATION_EXTENSION_PROPAGATE: Self = Self(0x4000);
    /// ENHANCED_ACCURACY_METRICS (16.12).
    pub const ENHANCED_ACCURACY_METRICS: Self = Self(0x4001);
    /// ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE (14.3).
    pub const ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE: Self = Self(0x8000);
    /// PAD: bytes without a meaning (14.4.2).
    pub const PAD: Self = Self(0x8008);
    /// AUTHENTICATION (16.14).
    pub const AUTHENTICATION: Self = Self(0x8009);

    /// Whether a boundary clock attaches such a TLV of its parent's Announce to its own, even where it does not know what it
    /// means (14.2.2).
    #[must_use]
    pub const fn propagates(self) -> bool {
        matches!(self, Self::PATH_TRACE | Self::ALTERNATE_TIME_OFFSET_INDICATOR) || matches!(self.0, 0x4000..0x8000)
    }
}

impl fmt::Display for TlvType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// One TLV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub kind: TlvType,
    /// An even number of bytes.
    pub value: &'a [u8],
}

/// Why bytes are no TLVs, or a TLV not what its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TlvError {
    /// A TLV goes on after the end of the message.
    #[error("a TLV goes on after the end of the message")]
    PastEnd,
    /// A TLV has a length that is not even (14.1.1).
    #[error("the length of a TLV of type {0} is odd")]
    Odd(TlvType),
    /// A TLV has too few bytes, or too many, for its type.
    #[error("a TLV of type {0} has a length that it cannot have")]
    Length(TlvType),
}

impl TlvError {
    /// Its name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PastEnd => "tlv_past_end",
            Self::Odd(_) => "tlv_odd_length",
            Self::Length(_) => "tlv_wrong_length",
        }
    }
}

/// The TLVs of a message: none reaches past its end, and all have an even length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    /// No TLV.
    pub const NONE: Self = Self(&[]);

    /// `bytes` as TLVs.
    ///
    /// # Errors
    /// Where one is longer than what is left, or has an odd length.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TlvError> {
        let mut reader = Reader::new(bytes);
        while !reader.rest().is_empty() {
            let tlv = next(&mut reader).ok_or(TlvError::PastEnd)?;
            if !tlv.value.len().is_multiple_of(2) {
                return Err(TlvError::Odd(tlv.kind));
            }
        }
        Ok(Self(bytes))
    }

    /// One after another, in their order.
    pub fn iter(self) -> impl Iterator<Item = Tlv<'a>> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || next(&mut reader))
    }

    /// The first of this type.
    #[must_use]
    pub fn find(self, kind: TlvType) -> Option<Tlv<'a>> {
        self.iter().find(|tlv| tlv.kind == kind)
    }

    /// As they are on the wire.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn next<'a>(reader: &mut Reader<'a>) -> Option<Tlv<'a>> {
    let kind = TlvType(reader.u16()?);
    let length = reader.u16()?;
    Some(Tlv { kind, value: reader.slice(usize::from(length))? })
}

/// TLVs put one after another into a buffer, to be sent with a message.
#[derive(Debug)]
pub struct TlvWriter<'a>(Writer<'a>);

impl<'a> TlvWriter<'a> {
    /// Writes from the start of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self(Writer::new(buffer))
    }

    /// Appends a TLV whose value `fill` writes; a zero is added where its length is odd.
    pub(crate) fn put(
        &mut self,
        kind: TlvType,
        fill: impl FnOnce(&mut Writer<'a>) -> Result<(), TooLong>,
    ) -> Result<(), TooLong> {
        let start = self.0.len();
        self.0.put(&kind.0.to_be_bytes())?;
        self.0.put(&[0; 2])?;
        fill(&mut self.0)?;
        let value = self.0.len() - start - TLV_HEADER_LEN;
        if !value.is_multiple_of(2) {
            self.0.put(&[0])?;
        }
        let length = u16::try_from(value.next_multiple_of(2)).map_err(|_| TooLong)?;
        self.0.patch(start + 2, &length.to_be_bytes())
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Tlvs<'a> {
        Tlvs(self.0.into_written())
    }
}
