//! The TLVs of management messages.

use crate::management::ManagementId;
use crate::octets::{Reader, Text, TooLong};
use crate::tlv::{TlvType, TlvWriter};

/// Data, or the question for it (MANAGEMENT, IEEE 1588-2019 15.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManagementTlv<'a> {
    /// managementId.
    pub id: ManagementId,
    /// dataField: what [`Data::parse`](crate::Data::parse) reads. A question may have one too, of no meaning.
    pub data: &'a [u8],
}

impl<'a> ManagementTlv<'a> {
    pub(crate) fn parse(mut reader: Reader<'a>) -> Option<Self> {
        Some(Self { id: ManagementId(reader.u16()?), data: reader.rest() })
    }
}

/// Why a management message was not complied with (MANAGEMENT_ERROR_STATUS, IEEE 1588-2019 15.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManagementErrorStatus<'a> {
    /// managementErrorId.
    pub error: ManagementError,
    /// managementId: of the message that was not complied with.
    pub id: ManagementId,
    /// displayData: for people.
    pub display_data: Text<'a>,
}

impl<'a> ManagementErrorStatus<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let error = ManagementError::from_number(reader.u16()?);
        let id = ManagementId(reader.u16()?);
        reader.u32()?;
        let display_data = if reader.rest().is_empty() { Text::default() } else { Text::parse(reader)? };
        Some(Self { error, id, display_data })
    }

    /// Appends it to `tlvs`.
    ///
    /// # Errors
    /// Where there is no place for it.
    pub fn write(&self, tlvs: &mut TlvWriter<'_>) -> Result<(), TooLong> {
        tlvs.put(TlvType::MANAGEMENT_ERROR_STATUS, |value| {
            value.put(&self.error.number().to_be_bytes())?;
            value.put(&self.id.0.to_be_bytes())?;
            value.put(&[0; 4])?;
            self.display_data.write(value)
        })
    }
}

/// What was wrong (managementErrorId, IEEE 1588-2019 table 109).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ManagementError {
    /// RESPONSE_TOO_BIG.
    #[error("the answer does not fit into one message")]
    ResponseTooBig,
    /// NO_SUCH_ID.
    #[error("no such managementId")]
    NoSuchId,
    /// WRONG_LENGTH.
    #[error("the data has a length that it cannot have")]
    WrongLength,
    /// WRONG_VALUE.
    #[error("the data has a value that it cannot have")]
    WrongValue,
    /// NOT_SETABLE.
    #[error("this cannot be set")]
    NotSetable,
    /// NOT_SUPPORTED.
    #[error("this is not supported")]
    NotSupported,
    /// UNPOPULATED.
    #[error("there is no such data now")]
    Unpopulated,
    /// GENERAL_ERROR, and every number that is reserved.
    #[error("an error without a name")]
    General,
}

impl ManagementError {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::ResponseTooBig => 1,
            Self::NoSuchId => 2,
            Self::WrongLength => 3,
            Self::WrongValue => 4,
            Self::NotSetable => 5,
            Self::NotSupported => 6,
            Self::Unpopulated => 7,
            Self::General => 0xfffe,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::ResponseTooBig,
            2 => Self::NoSuchId,
            3 => Self::WrongLength,
            4 => Self::WrongValue,
            5 => Self::NotSetable,
            6 => Self::NotSupported,
            7 => Self::Unpopulated,
            _ => Self::General,
        }
    }
}
