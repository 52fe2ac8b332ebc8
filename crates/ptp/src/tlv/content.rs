//! What the values of TLVs mean.

use crate::management::{ManagementErrorStatus, ManagementTlv};
use crate::octets::Reader;
use crate::tlv::{
    AlternateTimeOffset, CancelUnicast, GrantUnicast, OrganizationExtension, PathTrace, RequestUnicast, Tlv, TlvError,
    TlvType,
};

/// The value of a TLV, read. Reserved fields are not kept, and are sent as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// MANAGEMENT: data of a data set, or the question for it.
    Management(ManagementTlv<'a>),
    /// MANAGEMENT_ERROR_STATUS: why there is none.
    ManagementErrorStatus(ManagementErrorStatus<'a>),
    /// REQUEST_UNICAST_TRANSMISSION: a port wants messages for itself.
    RequestUnicast(RequestUnicast),
    /// GRANT_UNICAST_TRANSMISSION: it gets them.
    GrantUnicast(GrantUnicast),
    /// CANCEL_UNICAST_TRANSMISSION: it does not want, or get, them any longer.
    CancelUnicast(CancelUnicast),
    /// ACKNOWLEDGE_CANCEL_UNICAST_TRANSMISSION: that was understood.
    AcknowledgeCancelUnicast(CancelUnicast),
    /// PATH_TRACE: the clocks that an Announce has passed.
    PathTrace(PathTrace<'a>),
    /// ALTERNATE_TIME_OFFSET_INDICATOR: the time of another timescale.
    AlternateTimeOffset(AlternateTimeOffset<'a>),
    /// ORGANIZATION_EXTENSION, `_PROPAGATE` or `_DO_NOT_PROPAGATE`: an organisation's own.
    OrganizationExtension(OrganizationExtension<'a>),
    /// PAD: so many bytes without a meaning.
    Pad(usize),
    /// AUTHENTICATION: recognised, not checked.
    Authentication(&'a [u8]),
    /// Any other: to be ignored, and by a boundary clock passed on where [`TlvType::propagates`] says so (14.2).
    Unknown(&'a [u8]),
}

impl<'a> Tlv<'a> {
    /// What its value means.
    ///
    /// # Errors
    /// Where the value is too short, or too long, for the type: such a TLV is to be ignored.
    pub fn content(self) -> Result<Content<'a>, TlvError> {
        self.fields().ok_or(TlvError::Length(self.kind))
    }

    fn fields(self) -> Option<Content<'a>> {
        let mut reader = Reader::new(self.value);
        Some(match self.kind {
            TlvType::MANAGEMENT => Content::Management(ManagementTlv::parse(reader)?),
            TlvType::MANAGEMENT_ERROR_STATUS => {
                Content::ManagementErrorStatus(ManagementErrorStatus::parse(&mut reader)?)
            }
            TlvType::REQUEST_UNICAST_TRANSMISSION => Content::RequestUnicast(RequestUnicast::parse(&mut reader)?),
            TlvType::GRANT_UNICAST_TRANSMISSION => Content::GrantUnicast(GrantUnicast::parse(&mut reader)?),
            TlvType::CANCEL_UNICAST_TRANSMISSION => Content::CancelUnicast(CancelUnicast::parse(&mut reader)?),
            TlvType::ACKNOWLEDGE_CANCEL_UNICAST_TRANSMISSION => {
                Content::AcknowledgeCancelUnicast(CancelUnicast::parse(&mut reader)?)
            }
            TlvType::PATH_TRACE => Content::PathTrace(PathTrace::parse(self.value)?),
            TlvType::ALTERNATE_TIME_OFFSET_INDICATOR => {
                Content::AlternateTimeOffset(AlternateTimeOffset::parse(&mut reader)?)
            }
            TlvType::ORGANIZATION_EXTENSION
            | TlvType::ORGANIZATION_EXTENSION_PROPAGATE
            | TlvType::ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE => {
                Content::OrganizationExtension(OrganizationExtension::parse(self.kind, reader)?)
            }
            TlvType::PAD => Content::Pad(self.value.len()),
            TlvType::AUTHENTICATION => Content::Authentication(self.value),
            _ => Content::Unknown(self.value),
        })
    }
}
